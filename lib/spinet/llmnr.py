"""LLMNR (RFC 4795): names of one label among neighbours, as some desktop systems ask for them.

    r = llmnr.Responder(stack, "board")         answers to "board", if nobody else does
    llmnr.resolve(stack, "desktop")             waits: ["10.0.0.7"]; OSError(-2) without an answer
"""
from spinet.addr import parse
from spinet.dnsmsg import A, ANY, IN, PTR, Record, Writer, encode, same_name
from spinet.errors import EAI_NONAME, ENODEV, os_error
from spinet.igmp import igmp
from spinet.service import Service, counters, public
from spinet.timers import Timer
from spinet.wait import until

PORT = 5355
GROUP = b"\xe0\0\0\xfc"
TIMEOUT_MS = 100        # LLMNR_TIMEOUT on a wire
TRIES = 3
TTL = 30                # seconds (2.8)


def _interface(stack, ip):
    for known in stack.interfaces:
        if ip is None and not known.id.loopback:
            ip = known
    if ip is None:
        raise os_error(ENODEV)
    return ip


class Query(Service, Timer):
    """A question to the neighbours: `values`, texts of addresses, when `done`."""

    def __init__(self, stack, name, ip=None, kind=A):
        Service.__init__(self, stack, counters(
            stack, "llmnr.query", "rx", "mismatch", "malformed", "no_memory", "not_sent"))
        Timer.__init__(self)
        self.name = encode(name)
        if self.name[self.name[0] + 1]:
            raise ValueError("%r: a name of one label" % name)
        self.kind = kind
        self.values = []
        self.done = False
        self.conflict = False       # more than one host has answered
        self.record = Record()
        self.multicast_if = _interface(stack, ip)
        self.multicast_ttl = self.ttl = 255
        self.multicast_loop = False
        r = stack.random(2)
        self._id = r[0] << 8 | r[1]
        self._tries = 0
        self.bind(None, 0)
        stack.timers.now = stack.clock()
        stack.timers.arm(self, 0)

    def expire(self, now):
        """Ask, or give up."""
        if self._tries >= TRIES:
            self.finish()
            return
        self._tries += 1
        self.stack.timers.arm(self, TIMEOUT_MS)
        try:
            w = Writer(300)
            w.begin(self._id, 0)
            w.question(self.name, self.kind)
            self.sendto(w.buf, 0, w.n, GROUP, PORT)
        except OSError:
            self.count["not_sent"] += 1
        except MemoryError:
            self.count["no_memory"] += 1

    def datagram(self, buf, h, start, end, sport):
        """An answer, perhaps."""
        r = self.record
        if end - start < 12 or buf[start] << 8 | buf[start + 1] != self._id or sport != PORT or (
                buf[start + 2] & 0xF8 != 0x80 or buf[start + 4] or buf[start + 5] != 1
                or not r.question(buf, start + 12, end) or r.type != self.kind
                or not same_name(buf, start, r.name, end, self.name)):
            self.count["mismatch"] += 1
            return
        for _ in range(buf[start + 6] << 8 | buf[start + 7]):
            if not r.read(buf, r.end, end):
                raise ValueError
            if r.type == A and r.klass == IN and len(self.values) < 16 and (
                    same_name(buf, start, r.name, end, self.name)):
                value = r.value(buf, start)
                if value is None:
                    raise ValueError
                self.values.append(value)
        self.conflict = bool(buf[start + 2] & 4)
        self.count["rx"] += 1
        if not buf[start + 3] & 15:
            # Not from within the reception: whoever is next in line must find us there.
            self._tries = TRIES
            self.stack.timers.arm(self, 0)

    def finish(self):
        """Done."""
        self.done = True
        self.stack.timers.remove(self)
        self.close()


class Responder(Service, Timer):
    """Answers for `name`, one label, on the interface `ip`; not while it is `taken`.

    Before the first answer it asks whether another host has the name (4.1); `taken` says so.
    """

    def __init__(self, stack, name, ip=None):
        public(Responder, "close")
        Service.__init__(self, stack, {
            "rx": 0, "tx": 0, "malformed": 0, "no_memory": 0, "not_sent": 0, "ignored": 0,
        })
        Timer.__init__(self)
        self.text = name
        self.name = encode(name)
        self.ip = ip = _interface(stack, ip)
        self.record = Record()
        self.taken = False
        self.ready = False
        self.ttl = 255
        self._query = Query(stack, name, ip, ANY)
        self.bind(None, PORT)
        igmp(stack).join(self, ip, GROUP)
        stack.services["llmnr"] = self
        stack.timers.arm(self, TIMEOUT_MS)

    def expire(self, now):
        """Is the name ours?"""
        if not self.ip.addresses:
            self._query.finish()
            self._query = Query(self.stack, self.text, self.ip, ANY)
        elif self._query.done:
            self.taken = bool(self._query.values)
            self.ready = not self.taken
            return
        self.stack.timers.arm(self, TIMEOUT_MS)

    def datagram(self, buf, h, start, end, sport):
        """A question (2.1.1)."""
        r = self.record
        if end - start < 12:
            raise ValueError
        if not self.ready or not self.ip.addresses or (
                buf[start + 2] & 0xF8 or buf[start + 4] or buf[start + 5] != 1
                or buf[start + 6] | buf[start + 7] | buf[start + 8] | buf[start + 9]):
            self.count["ignored"] += 1
            return
        if not r.question(buf, start + 12, end):
            raise ValueError
        ours = same_name(buf, start, r.name, end, self.name)
        if r.klass != IN or not ours and (r.type != PTR or not self._reverse(buf, start, r, end)):
            self.count["ignored"] += 1
            return
        self.count["rx"] += 1
        w = Writer(512)
        w.begin(buf[start] << 8 | buf[start + 1], 0x8000)
        name = self.name if ours else encode(self._arpa())
        w.question(name, r.type)
        if not ours:
            w.record(1, name, PTR, IN, TTL, b"", self.name)
        elif r.type == A or r.type == ANY:
            w.record(1, name, A, IN, TTL, self.ip.addresses[0].addr)
        # (Of the other types we have none: an answer without records says so.)
        self.sendto(w.buf, 0, w.n, bytes(buf[h + 12:h + 16]), sport)
        self.count["tx"] += 1

    def _arpa(self):
        a = self.ip.addresses[0].addr
        return "%d.%d.%d.%d.in-addr.arpa" % (a[3], a[2], a[1], a[0])

    def _reverse(self, buf, base, r, end):
        return same_name(buf, base, r.name, end, encode(self._arpa()))

    def close(self):
        """Answer no more."""
        self.stack.timers.remove(self)
        if not self._query.done:
            self._query.finish()
        Service.close(self)


def resolve(stack, name, ip=None):
    """Wait for the addresses of a neighbour, text; OSError(-2) if none answers."""
    try:
        return [name] if parse(name) else []
    except ValueError:
        pass
    query = Query(stack, name, ip)
    until(stack, query)
    if not query.values:
        raise os_error(EAI_NONAME)
    return list(query.values)
