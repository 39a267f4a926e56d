"""What we answer in multicast DNS: questions of others for the names that are ours.

The `Responder` has all entries (mdnsentry.py), finds what a query asks for, takes off what the
asker knows, and answers: to him alone, or to all after a while.
"""
from spinet.dnsmsg import (
    A, ANY, IN, NSEC, PTR, SRV, Record, Writer, labels, read_name, same_name,
)
from spinet.errors import ENOBUFS, os_error
from spinet.mdns import PORT
from spinet.mdnsentry import (
    ANNOUNCE, ENUM, FLUSH, HOST_TTL, PROBE, PROBE_MS, TTL, Entry, instance_host, rdata,
)
from spinet.prim import MANY, ticks_diff
from spinet.timers import Timer

WATCH_MS = 2000         # between looks at our address


class _Watch(Timer):
    """Looks whether our address is another than before, which is to be announced (8.4)."""

    def __init__(self, owner):
        Timer.__init__(self)
        self.owner = owner
        self.address = None

    def expire(self, now):
        """Look, and look again later."""
        addresses = self.owner.mdns.ip.addresses
        address = addresses[0].addr if addresses else self.address
        if address != self.address:
            if self.address is not None:
                self.owner.announce()
            self.address = address
        self.owner.timers.arm(self, WATCH_MS)


class Responder(Timer):
    """All names of ours; its timer is that of the answers that are due.

    `on_rename(old, new)` is called when another host had a name first.
    """

    def __init__(self, mdns):
        Timer.__init__(self)
        self.mdns = mdns
        self.stack = mdns.stack
        self.timers = mdns.stack.timers
        self.entries = []
        self.conflicts = 0
        self.on_rename = None
        self.record = Record()
        self._watch = _Watch(self)

    def writer(self, ident=0, flags=0):
        """An empty message."""
        w = Writer(min(self.mdns.ip.id.mtu - 28, 1440))
        w.begin(ident, flags)
        return w

    # -- what is ours -------------------------------------------------------

    def host(self, name):
        """Be `name`.local; None: the name of this host that `network.hostname` has."""
        if name is None:
            from spinet.lan import hostname

            name = hostname().split(".")[0]
        instance_host(name)
        for entry in self.entries:
            if entry.kind is None:
                if entry.base == name:
                    return entry
                self.unregister(entry)
        return self._add(Entry(self, name))

    def hostname(self):
        """Our host's name in wire form."""
        for entry in self.entries:
            if entry.kind is None:
                return entry.name
        return self.host(None).name

    def register(self, kind, port, name, txt, subtypes):
        """Offer a service."""
        data = bytearray()
        for key in txt or ():
            value = txt[key]
            item = key.encode()
            if value is not None:
                item += b"=" + (value.encode() if isinstance(value, str) else bytes(value))
            if len(item) > 255:
                raise ValueError("a text is at most 255 bytes, key included")
            data.append(len(item))
            data.extend(item)
        if len(data) > 1000:
            raise ValueError("the texts of a service are at most 1000 bytes")
        host = self.hostname()
        if name is None:
            name = labels(host)[0].decode()
        return self._add(Entry(self, name, kind, port, bytes(data) or b"\0", subtypes))

    def _add(self, entry):
        if len(self.entries) >= MANY >> 2:
            raise os_error(ENOBUFS)
        self.entries.append(entry)
        entry.begin(self.mdns.below(PROBE_MS))
        if self._watch.due is None:
            self._watch.expire(self.timers.now)
        return entry

    def unregister(self, entry):
        """Take a name back (10.1)."""
        if entry in self.entries:
            self.entries.remove(entry)
            self.timers.remove(entry)
            if entry.state != PROBE:
                self.multicast(entry.all, goodbye=True)

    def announce(self):
        """Tell of every name again."""
        for entry in self.entries:
            if entry.state != PROBE:
                entry.state = ANNOUNCE
                entry.tries = 0
                self.timers.arm(entry, 0)

    def values(self, name, kind):
        """What we would answer ourselves, as a `Query` has it; [] if nothing."""
        for entry in self.entries:
            for own in entry.records:
                if own.kind == kind and own.name.lower() == name and entry.state != PROBE:
                    data = entry.plain(own)
                    if kind == A and data:
                        return ["%d.%d.%d.%d" % tuple(data)]
                    if kind == SRV:
                        return [(0, 0, entry.port, data[6:])]
        return []

    def close(self):
        """Say goodbye to all."""
        self.timers.remove(self)
        self.timers.remove(self._watch)
        for entry in list(self.entries):
            self.unregister(entry)

    # -- sending ------------------------------------------------------------

    def multicast(self, records, goodbye=False):
        """Send records to all, with what goes with them."""
        w = self.writer(0, 0x8400)
        now = self.timers.now
        for own in records:
            own.wanted = False
            if not self._put(w, 1, own, goodbye) and w.count(1):
                self.mdns.send(w)
                w.begin(0, 0x8400)
                self._put(w, 1, own, goodbye)
            own.last = now
        if not goodbye:
            self._additional(w, records)
        if w.count(1):
            self.mdns.send(w)

    def _put(self, w, section, own, goodbye=False, most=TTL, unique=FLUSH):
        data = own.entry.rdata(own)
        return data is None or w.record(
            section, own.name, own.kind, unique if own.unique else IN,
            0 if goodbye else min(own.ttl, most), data[0], data[1])

    def _additional(self, w, records, most=TTL, unique=FLUSH):
        """Records that whoever asked for these will ask for next (RFC 6763, 12)."""
        more = []
        host = False
        for own in records:
            entry = own.entry
            if own.kind == PTR and own.name != ENUM:
                more += [o for o in entry.records if o not in records and o not in more]
            host = host or entry.kind is not None and own.name != ENUM
        for entry in self.entries:
            if host and entry.kind is None and entry.state != PROBE:
                more += [o for o in entry.records if o not in records]
            if entry.nothing:
                entry.nothing = False
                self._nothing(w, entry, most, unique)
        for own in more:
            self._put(w, 3, own, False, most, unique)

    def _nothing(self, w, entry, most, unique):
        """RFC 6762, 6.1: of which types there are records, so that nobody waits for others."""
        bits = bytearray(5)
        for own in entry.records:
            bits[own.kind >> 3] |= 0x80 >> (own.kind & 7)
        w.record(1, entry.name, NSEC, unique, min(HOST_TTL, most), entry.name + b"\0\5" + bits)

    def expire(self, now):
        """Answers are due."""
        wanted = [own for entry in self.entries for own in entry.all if own.wanted]
        nothing = [entry for entry in self.entries if entry.nothing]
        if wanted or nothing:
            try:
                self.multicast(wanted)
            except MemoryError:
                self.mdns.count["no_memory"] += 1

    # -- queries ------------------------------------------------------------

    def query(self, buf, h, base, end, sport):
        """A query: note what is asked for, take off what is known, answer."""
        if not self.entries:
            return
        i = self._questions(buf, base, end)
        if i < 0:
            raise ValueError
        i = self._known(buf, base, i, end)
        probed = False
        if self._found or buf[base + 8] | buf[base + 9]:
            probed = self._rivals(buf, base, i, end)
        if self._found:
            self._answer(buf, h, base, end, sport, probed)

    def _questions(self, buf, base, end):
        """Mark what the questions ask for; the index behind them, -1 if they are malformed."""
        r = self.record
        i = base + 12
        n = buf[base + 4] << 8 | buf[base + 5]
        self._found = self._unicast = False
        while n:
            n -= 1
            if not r.question(buf, i, end):
                return -1
            i = r.end
            if r.klass == IN or r.klass == ANY:
                for entry in self.entries:
                    if entry.state != PROBE:
                        self._mark(entry, buf, base, r, end)
        return i

    def _mark(self, entry, buf, base, r, end):
        ours = False
        named = False
        for own in entry.all:
            if same_name(buf, base, r.name, end, own.name):
                named = named or own.unique
                if r.type == own.kind or r.type == ANY:
                    own.asked = ours = True
        if named and not ours:
            entry.nothing = ours = True
        if ours:
            self._found = True
            self._unicast = self._unicast or r.flag

    def _known(self, buf, base, i, end):
        """Take off what the asker knows already (7.1); the index behind the answers."""
        r = self.record
        n = buf[base + 6] << 8 | buf[base + 7]
        more = not (buf[base + 4] | buf[base + 5])      # of an earlier query (7.2)
        while n:
            n -= 1
            if not r.read(buf, i, end):
                raise ValueError
            i = r.end
            if not self._found and not more:
                continue
            for entry in self.entries:
                for own in entry.all:
                    if own.kind == r.type and (own.asked or more and own.wanted) and (
                            r.ttl >= own.ttl >> 1) and (
                            same_name(buf, base, r.name, end, own.name)) and (
                            rdata(buf, base, r, end).lower() == (entry.plain(own) or b"").lower()):
                        own.asked = own.wanted = False
                        self.mdns.count["suppressed"] += 1
        return i

    def _rivals(self, buf, base, i, end):
        """A probe has what it would say in its authority section; whether it is for a name that
        is ours, which we defend."""
        r = self.record
        n = buf[base + 8] << 8 | buf[base + 9]
        start = i
        for entry in self.entries:
            theirs = None
            i = start
            for _ in range(n):
                if not r.read(buf, i, end):
                    raise ValueError
                i = r.end
                if same_name(buf, base, r.name, end, entry.name):
                    if theirs is None:
                        theirs = []
                    theirs.append((r.klass, r.type, rdata(buf, base, r, end)))
            if theirs is not None and entry.state == PROBE and entry.tries:
                entry.rival(theirs)
        return n > 0

    def _answer(self, buf, h, base, end, sport, probed):
        """Answer what is marked: to the asker alone, or to all after a while."""
        now = self.timers.now
        asked = []
        unicast = self._unicast
        for entry in self.entries:
            for own in entry.all:
                if own.asked:
                    own.asked = False
                    asked.append(own)
                    # RFC 6762, 5.4: if the others have not heard it for long, they shall now.
                    if own.last is None or ticks_diff(now, own.last) > own.ttl * 250:
                        unicast = False
        nothing = [entry for entry in self.entries if entry.nothing]
        if not asked and not nothing:
            return
        if sport != PORT:
            self._legacy(asked, buf, h, base, end, sport)
            return
        if unicast:
            w = self.writer(0, 0x8400)
            for own in asked:
                self._put(w, 1, own)
            self._additional(w, asked)
            self.mdns.send(w, bytes(buf[h + 12:h + 16]), PORT)
            return
        shared = False
        for own in asked:
            # RFC 6762, 6: not twice a second, but for one who probes.
            if own.last is None or ticks_diff(now, own.last) >= (250 if probed else 1000):
                own.wanted = True
                shared = shared or not own.unique
        wait = 0
        if buf[base + 2] & 2:
            wait = 400 + self.mdns.below(100)       # more that it knows will follow (7.2)
        elif shared:
            wait = 20 + self.mdns.below(100)
        if self.due is None or ticks_diff(self.due, now) > wait:
            self.timers.arm(self, wait)

    def _legacy(self, asked, buf, h, base, end, sport):
        """RFC 6762, 6.7: to a simple resolver, as a server of unicast DNS would."""
        w = self.writer(buf[base] << 8 | buf[base + 1], 0x8400)
        r = self.record
        i = base + 12
        for _ in range(buf[base + 4] << 8 | buf[base + 5]):
            r.question(buf, i, end)
            i = r.end
            name = read_name(buf, base, r.name, end)
            if name is None or not w.question(name, r.type, r.klass):
                return
        for own in asked:
            self._put(w, 1, own, False, 10, IN)
        self._additional(w, asked, 10, IN)
        self.mdns.send(w, bytes(buf[h + 12:h + 16]), sport)

    def heard(self, buf, base, r, end):
        """A record of another's answer: a conflict, or what we were about to say (7.4)."""
        for entry in self.entries:
            entry.heard(buf, base, r, end)
            for own in entry.shared:
                if own.wanted and own.kind == r.type and r.ttl >= own.ttl and (
                        same_name(buf, base, r.name, end, own.name)) and (
                        rdata(buf, base, r, end) == entry.plain(own)):
                    own.wanted = False
                    self.mdns.count["suppressed"] += 1
