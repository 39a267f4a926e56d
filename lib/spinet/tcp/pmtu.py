"""The largest segment that a path takes: less than its first interface does.

A router that may not fragment says so (RFC 1191), and is believed if it quotes
what is in flight (RFC 5927).  Where none says so, full segments vanish and
nothing is heard (RFC 2923, 2.1): after some timeouts smaller ones are tried
(RFC 8899, 4.4).  Both are looked at again: after ten minutes where a router has
spoken (RFC 1191, 6.3), after half a minute where it was a guess, and twice as
long each time it proves right.  What is tried then is the next larger of the
sizes below, and given up at the first timeout.

Nobody gets us below `FLOOR`, where segments may be fragmented: a forged error
must not make a stream of tiny ones.  All sizes are of IPv4 packets.
"""
from spinet.timers import Timer
from spinet.tcp import output
from spinet.tcp.states import CARRIES

PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1280, 1006, 552)
FLOOR = 552
RAISE_MS = 600000
GUESS_MS = 30000


class Search(Timer):
    """The search for what the path of the connection `c` takes."""

    def __init__(self, c):
        Timer.__init__(self)
        self._c = c
        use_own_path(c, True)
        self._mss = c.mss       # what the ends agreed on
        self.good = c.path.mtu  # what was tried before the last step upward
        self.wait = 0

    def use(self, mtu):
        """Send packets of at most `mtu` bytes from now on."""
        c = self._c
        if c.path.df == (mtu <= FLOOR):
            use_own_path(c, mtu > FLOOR)
        c.path.mtu = mtu
        mss = mtu - 20 - len(c.head)
        c.mss = mss if mss < self._mss else self._mss
        if 0 < c.cwnd < c.mss:
            c.cwnd = c.mss      # or nothing would fit

    def lower(self, mtu, wait):
        """The path takes no more than `mtu`; do not try again for `wait` ms."""
        c = self._c
        self.wait = max(wait, self.wait)
        self.use(mtu)
        self.good = mtu
        c.tcp.count["smaller"] += 1
        c.tcp.timers.arm(self, self.wait)

    def expire(self, now):
        """Try the next larger size."""
        c = self._c
        if c.retries:
            # What is tried now has not been answered yet.
            c.tcp.timers.arm(self, self.wait)
            return
        most = c.path.ip.id.mtu
        self.good = c.path.mtu
        mtu = most
        for plateau in PLATEAUS:
            if self.good < plateau < mtu:
                mtu = plateau
        self.use(mtu)
        c.tcp.count["larger"] += 1
        if mtu < most and c.mss < self._mss:
            c.tcp.timers.arm(self, self.wait)


def _search(c):
    if c.pmtu is None:
        c.pmtu = Search(c)
    return c.pmtu


def too_big(c, mtu, sent):
    """A router could not forward a packet of `sent` bytes; the next hop takes `mtu`, 0: unknown."""
    if mtu == 0:
        mtu = _below(min(sent, c.path.mtu))
    if not 68 <= mtu < c.path.mtu:
        c.tcp.count["bad_icmp"] += 1
        return
    search = _search(c)
    before = c.mss
    search.lower(max(mtu, FLOOR), RAISE_MS)
    if c.mss < before and CARRIES >> c.state & 1:
        # This is no congestion: send again at once (RFC 1191, 6.5).
        c.snd_nxt = c.rtt_end = 0
        output.push(c)


def use_own_path(c, df):
    """Give `c` a path that it shares with nobody, on which routers may fragment if not `df`."""
    old = c.path
    path = c.tcp.stack.path(old.dst, old.head[9], old.src, c.ttl, c.tos, df)
    if path is not None:
        c.path = path


def black_hole(c):
    """The retransmission timer of a connection expires, again, or with a search under way."""
    size = min(c.snd_max, c.mss) + 20 + len(c.head)     # of the packet that is not answered
    search = c.pmtu
    if search is not None and search.good < c.path.mtu:
        # The last step upward was one too many.
        if size > search.good:
            search.lower(search.good, min(search.wait << 1, RAISE_MS))
    elif c.retries >= 2 and not c.retries & 1 and size > FLOOR:
        _search(c).lower(1280 if c.retries == 2 and size > 1280 else FLOOR, GUESS_MS)


def _below(mtu):
    """The next lower plateau (RFC 1191, 7)."""
    for plateau in PLATEAUS:
        if plateau < mtu:
            return plateau
    return FLOOR
