"""Address conflict detection (RFC 5227): is an address free, and does it stay ours?

A `Claim` is what one interface claims of one address.

    NONE ──probe──> PROBING ──nobody objects──> NONE, `on_free()` is called
                       └──────somebody does───> NONE, `on_conflict(mac)` is called
    NONE ──hold───> ANNOUNCING ──> HELD         the address is in use: announced twice, defended

Against a claim that is held another host's is answered with one announcement,
but not twice within ten seconds (2.4): `defended` says whether this one was.
`on_conflict(mac)` is called each time; whether to let go of an address that
could not be defended, by `drop()`, is for the owner to decide.
"""
from spinet.prim import eq4, ticks_diff
from spinet.timers import Timer

PROBE_WAIT_MS = 1000            # RFC 5227, 1.1
PROBE_NUM = 3
PROBE_MIN_MS = 1000
PROBE_MAX_MS = 2000
ANNOUNCE_WAIT_MS = 2000
ANNOUNCE_INTERVAL_MS = 2000
MAX_CONFLICTS = 10
RATE_LIMIT_MS = 60000
DEFEND_INTERVAL_MS = 10000

NONE = 0
PROBING = 1
ANNOUNCING = 2
HELD = 3


def between(random, low, high):
    """A number from `low` to `high`, which differ by less than 2**14, at random."""
    r = random(2)
    return low + (r[0] << 8 | r[1]) * (high - low + 1) // 65536


class Claim(Timer):
    """The claim of the interface `ip` to `addr` (4 bytes).

    `on_free()` and `on_conflict(mac)`, 6 bytes, are called from within `poll`.
    `conflicts` counts those since the last address that was free.
    """

    def __init__(self, ip, on_free, on_conflict):
        Timer.__init__(self)
        self.ip = ip
        self.arp = ip.id.arp
        self.timers = ip.timers
        self.on_free = on_free
        self.on_conflict = on_conflict
        self.addr = b"\0\0\0\0"
        self.state = NONE
        self.conflicts = 0
        self.defended = False
        self._left = 0          # probes still to be sent
        self._last = None       # when we last defended ourselves

    def probe(self, addr):
        """Find out whether `addr` is free; takes four to seven seconds.

        After ten conflicts one address a minute is tried (2.1.1).  On a link without ARP an
        address is free.
        """
        self.drop()
        self.addr = addr
        self.state = PROBING
        self._left = PROBE_NUM
        if self.arp is None:
            self._left = wait = 0
        else:
            self.arp.claims.append(self)
            wait = between(self.ip.id.random, 0, PROBE_WAIT_MS)
            if self.conflicts >= MAX_CONFLICTS:
                wait += RATE_LIMIT_MS
        self.timers.arm(self, wait)

    def hold(self, addr):
        """`addr` is in use from now on, and was announced once."""
        self.drop()
        self.addr = addr
        self.state = ANNOUNCING
        self._last = None
        if self.arp is not None:
            self.arp.claims.append(self)
            self.timers.arm(self, ANNOUNCE_INTERVAL_MS)

    def use(self, addr):
        """Hold `addr`, which is in use unprobed, and see whether anybody objects."""
        self.hold(addr)
        if self.arp is not None:
            self.arp.probe(addr)
            self.arp.announce(addr)

    def drop(self):
        """Claim nothing any more; idempotent."""
        self.state = NONE
        self.timers.remove(self)
        if self.arp is not None and self in self.arp.claims:
            self.arp.claims.remove(self)

    def expire(self, now):
        """The next probe or announcement is due."""
        if self.state == ANNOUNCING:
            self.state = HELD
            self.arp.announce(self.addr)
        elif self._left:
            self._left -= 1
            self.arp.probe(self.addr)
            self.timers.arm(self, between(self.ip.id.random, PROBE_MIN_MS, PROBE_MAX_MS)
                            if self._left else ANNOUNCE_WAIT_MS)
        else:
            self.drop()
            self.conflicts = 0
            try:
                self.on_free()
            except MemoryError:
                if self.arp is not None:
                    self.arp.count["no_memory"] += 1

    def heard(self, buf, p):
        """Whether the ARP packet at `buf[p]`, of another host, contests the claim; acts on it."""
        state = self.state
        if not eq4(buf, p + 14, self.addr, 0):
            # A probe like ours, for the same address (2.1.1).
            if state != PROBING or buf[p + 7] != 1 or not eq4(buf, p + 24, self.addr, 0) or (
                    not eq4(buf, p + 14, b"\0\0\0\0", 0)):
                return False
        if state == PROBING:
            self.drop()
            self.conflicts += 1
            self.defended = False
        else:
            self._defend()
        self.on_conflict(bytes(buf[p + 8:p + 14]))
        return True

    def _defend(self):
        now = self.timers.now
        last = self._last
        self.defended = last is None or not 0 <= ticks_diff(now, last) < DEFEND_INTERVAL_MS
        if self.defended:
            self._last = now
            self.arp.announce(self.addr)
