"""Browsing for services (RFC 6763, 4): which there are of one kind, kept up to date."""
from spinet.dnsmsg import PTR, TTL_MAX, Writer, equal, labels, same_name
from spinet.prim import MANY, ticks_add, ticks_diff
from spinet.service import public, tell
from spinet.timers import Timer

FIRST_MS = 1000         # until we ask again, then twice that, and so on
LONGEST_MS = 3600000
GOODBYE_MS = 1000       # RFC 6762, 10.1


class Found:
    """A service that is there: `wire` its name, `due` (ticks) when it is not to be believed."""

    def __init__(self, wire):
        self.wire = wire
        self.ttl = self.due = 0


class Browser(Timer):
    """`found` has the names of the services, text as people read it."""

    def __init__(self, mdns, kind, on_change):
        public(Browser, "close")
        Timer.__init__(self)
        self.mdns = mdns
        self.kind = kind
        self.on_change = on_change
        self._entries = []
        self._wait = FIRST_MS
        # RFC 6762, 5.2: not all at once after a power cut.
        mdns.stack.timers.arm(self, 20 + mdns.below(100))

    @property
    def found(self):
        """The names of the services that are there."""
        return [_first(entry.wire) for entry in self._entries]

    def offer(self, buf, base, r, end):
        """A record of an answer, perhaps about one."""
        if r.type != PTR or not same_name(buf, base, r.name, end, self.kind):
            return
        wire = r.value(buf, base)
        if wire is None or not wire[0]:
            raise ValueError
        timers = self.mdns.stack.timers
        entry = None
        for known in self._entries:
            if equal(known.wire, wire):
                entry = known
        if not r.ttl:
            if entry is not None:
                entry.due = ticks_add(timers.now, GOODBYE_MS)
                entry.ttl = 0
                timers.arm(self, GOODBYE_MS)
            return
        new = entry is None
        if new:
            if len(self._entries) >= MANY:
                return
            entry = Found(wire)
            self._entries.append(entry)
        entry.ttl = min(r.ttl, TTL_MAX)
        entry.due = ticks_add(timers.now, entry.ttl * 1000)
        if self.due is None or ticks_diff(self.due, timers.now) > entry.ttl * 800:
            timers.arm(self, entry.ttl * 800)
        if new:
            self._tell(entry, True)

    def _tell(self, entry, there):
        tell(self.on_change, _first(entry.wire), there)

    def expire(self, now):
        """Forget what is gone, and ask."""
        for entry in list(self._entries):
            if ticks_diff(entry.due, now) <= 0:
                self._entries.remove(entry)
                self._tell(entry, False)
        mdns = self.mdns
        try:
            wait = self._ask(mdns, now)
        except MemoryError:
            mdns.count["no_memory"] += 1
            wait = self._wait
        self._wait = min(2 * self._wait, LONGEST_MS)
        mdns.stack.timers.arm(self, wait)

    def _ask(self, mdns, now):
        """Ask, and say which we know (RFC 6762, 7.1); the ms until we have to ask again."""
        w = Writer(min(mdns.ip.id.mtu - 28, 1440))
        w.begin()
        w.question(self.kind, PTR)
        wait = self._wait
        for entry in self._entries:
            left = ticks_diff(entry.due, now)
            if left > entry.ttl * 500:
                w.record(1, self.kind, PTR, 1, left // 1000, b"", entry.wire)
            # Ask again when 80, 85, 90 and 95 % of its time are over (RFC 6762, 5.2).
            again = left - entry.ttl * 200
            wait = min(wait, left, again if again > 0 else max(entry.ttl * 50, 1000))
        mdns.send(w)
        return wait

    def close(self):
        """Look no more."""
        self.mdns.stack.timers.remove(self)
        if self in self.mdns.browsers:
            self.mdns.browsers.remove(self)


def _first(wire):
    """The first label as text."""
    label = labels(wire)[0]
    try:
        return label.decode()
    except ValueError:
        return repr(label)
