"""A name of ours in multicast DNS, and its records: probed, announced, defended, given up.

An `Entry` is a name that only we may have, the host's or that of a service, with its records
(RFC 6762, 8 and 9).  Beside the records of its own name it has shared ones, by which it is found
(RFC 6763, 4 and 9).  An `Own` is one record.
"""
from spinet.dnsmsg import A, ANY, IN, PTR, SRV, TXT, encode, labels, read_name, same_name
from spinet.mdns import instance
from spinet.service import tell
from spinet.timers import Timer

PROBES = 3
PROBE_MS = 250
ANNOUNCEMENTS = 2
HOST_TTL = 120          # seconds, of what depends on the host's name or address
TTL = 4500              # of the rest
FLUSH = 0x8001          # class IN, with the bit that says: there is no other

PROBE = 0
ANNOUNCE = 1
READY = 2

ENUM = encode("_services._dns-sd._udp.local")


class Own:
    """One record.  `entry.rdata(own)` is what it says."""

    def __init__(self, entry, name, kind, ttl, unique):
        self.entry = entry
        self.name = name
        self.kind = kind
        self.ttl = ttl
        self.unique = unique
        self.last = None        # when it was multicast, ticks
        self.asked = False      # by the query in hand
        self.wanted = False     # it will be multicast


class Entry(Timer):
    """A name of ours: the host's, or with `kind` and `port` that of a service."""

    def __init__(self, owner, name, kind=None, port=0, txt=b"\0", subtypes=()):
        Timer.__init__(self)
        self.owner = owner
        self.base = name
        self.kind = kind
        self.port = port
        self.txt = txt
        self.subtypes = subtypes
        self.serial = 1
        self.state = PROBE
        self.tries = 0
        self.nothing = False    # the query in hand asks for what this name has not
        self.named()

    def named(self):
        """Make the records of the present name."""
        number = self.serial
        name = self.base
        if self.kind is None:
            if number > 1:
                name = "%s-%d" % (name[:58], number)
            self.name = instance_host(name)
            self.records = [Own(self, self.name, A, HOST_TTL, True)]
            self.shared = []
        else:
            if number > 1:
                name = "%s (%d)" % (name[:56], number)
            self.name = instance(name, self.kind)
            self.records = [Own(self, self.name, SRV, HOST_TTL, True),
                            Own(self, self.name, TXT, TTL, True)]
            kind = encode(self.kind + ".local")
            self.shared = [Own(self, kind, PTR, TTL, False), Own(self, ENUM, PTR, TTL, False)]
            for sub in self.subtypes:
                self.shared.append(Own(
                    self, encode(sub + "._sub." + self.kind + ".local"), PTR, TTL, False))
        self.name_text = name
        self.all = self.records + self.shared

    def rdata(self, own):
        """(bytes, name that follows them) of a record; None if there is nothing to say now."""
        if own.kind == A:
            addresses = self.owner.mdns.ip.addresses
            return (addresses[0].addr, None) if addresses else None
        if own.kind == SRV:
            host = self.owner.hostname()
            return b"\0\0\0\0" + bytes((self.port >> 8, self.port & 255)), host
        if own.kind == TXT:
            return self.txt, None
        if own.name == ENUM:
            return b"", encode(self.kind + ".local")
        return b"", self.name

    def plain(self, own):
        """The data of a record as one piece, a name in it not compressed."""
        data = self.rdata(own)
        return None if data is None else bytes(data[0]) + (data[1] or b"")

    # -- probing, announcing ------------------------------------------------

    def begin(self, wait_ms):
        """Probe for the name, from the beginning."""
        self.state = PROBE
        self.tries = 0
        self.owner.timers.arm(self, wait_ms)

    def expire(self, now):
        """The next probe or announcement; in a second, if there is no memory for it."""
        try:
            self._next()
        except MemoryError:
            self.owner.mdns.count["no_memory"] += 1
            self.owner.timers.arm(self, 1000)

    def _next(self):
        owner = self.owner
        if not owner.mdns.ip.addresses:
            owner.timers.arm(self, 1000)
            return
        if self.state == PROBE and self.tries < PROBES:
            self._probe()
            owner.timers.arm(self, PROBE_MS)
        else:
            if self.state == PROBE:
                self.state = ANNOUNCE
                self.tries = 0
            owner.multicast(self.all)
            if self.tries + 1 < ANNOUNCEMENTS:
                owner.timers.arm(self, 1000)
            else:
                self.state = READY
        self.tries += 1

    def _probe(self):
        """Ask whether anybody has the name, and say what we would have it be (8.1, 8.2)."""
        w = self.owner.writer()
        w.question(self.name, ANY, FLUSH if self.tries == 0 else IN)
        for own in self.records:
            data = self.rdata(own)
            if data is not None:
                w.record(2, own.name, own.kind, IN, own.ttl, data[0], data[1])
        self.owner.mdns.send(w)

    def conflict(self):
        """Somebody else has the name (9): probe for it again, or if that was in vain, for
        another."""
        owner = self.owner
        owner.mdns.count["conflict"] += 1
        owner.conflicts += 1
        if self.state == PROBE:
            self.serial += 1
            old = self.name_text
            self.named()
            tell(owner.on_rename, old, self.name_text)
        # Fifteen are too many: be patient then (8.1).
        self.begin(owner.mdns.below(PROBE_MS) if owner.conflicts < 15 else 5000)

    def heard(self, buf, base, r, end):
        """A record of an answer: does it contradict us?"""
        if not r.ttl or not same_name(buf, base, r.name, end, self.name):
            return
        contrary = self.state == PROBE
        for own in self.records:
            if own.kind == r.type:
                if rdata(buf, base, r, end) == self.plain(own):
                    return
                contrary = True
        if contrary:
            self.conflict()

    def rival(self, theirs):
        """Another host probes for the name with the records `theirs`: the later ones win (8.2)."""
        ours = sorted([(IN, own.kind, self.plain(own) or b"") for own in self.records])
        if ours < sorted(theirs):
            self.owner.mdns.count["conflict"] += 1
            self.begin(1000)


def rdata(buf, base, r, end):
    """The data of a record as one piece, a name in it not compressed (RFC 6762, 8.2)."""
    if r.type == SRV and r.size > 6:
        return bytes(buf[r.data:r.data + 6]) + (read_name(buf, base, r.data + 6, r.end) or b"")
    if r.type == PTR:
        return read_name(buf, base, r.data, r.end) or b""
    return bytes(buf[r.data:r.end])


def instance_host(name):
    """The wire form of `name`.local; ValueError if it is more than one label."""
    wire = encode(name + ".local")
    if len(labels(wire)) != 2:
        raise ValueError("%r: a host's name has no dot" % name)
    return wire
