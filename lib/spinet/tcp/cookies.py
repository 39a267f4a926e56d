"""SYN cookies (RFC 4987, 3.6): connections that nothing is remembered of before they are open.

When a listener's half-open set is full, what would have been remembered of a
SYN goes into the initial sequence number of the answer: 5 bits of a clock that
ticks every 65,536 ms, 3 bits that choose the peer's MSS from a table, and 24
bits of a keyed hash over them, both addresses, both ports and the peer's
sequence number.  An acknowledgement that brings it back, in this tick or the
next, opens the connection.  The other options fit where the peer uses
timestamps: the low 6 bits of ours, which it echoes, are the window scale (15:
none) and whether it uses SACK and ECN.  Otherwise the connection does without them.

What is lost: a peer whose acknowledgement is lost, and that waits for us to
speak first, waits in vain; and a late copy of an acknowledgement might open the
connection once more after it has ended, for which the last `USED` are
remembered.  So cookies are sent only while the set is full, and
believed only for two ticks after that.
"""
from spinet.prim import add32, copy, diff32, eq4
from spinet.tcp import limit, options, output
from spinet.tcp.input import arrives
from spinet.tcp.output import ACK, FIN, RST, SYN
from spinet.tcp.states import ECN, SACK, SCALED, SND_SHIFT, SYN_RECEIVED

MSS = (64, 216, 536, 1024, 1300, 1400, 1440, 1460)
USED = 64
_NO_SCALE = 15
_SACK = 16
_ECN = 32


def _acknowledged(buf, s):
    """The sequence number that the segment at `buf[s]` acknowledges, and its sender's first."""
    numbers = bytearray(8)
    add32(numbers, 0, buf, s + 8, -1)
    add32(numbers, 4, buf, s + 4, -1)
    return numbers


class Cookies:
    """The cookies of one stack."""

    def __init__(self, tcp):
        self.tcp = tcp
        self._budget = limit.Budget(tcp.timers, tcp.stack.random)
        self._last = 0      # the tick in which the last cookie was sent
        self._used = bytearray(4 * USED)    # the last that came back, lest a copy come again
        self._next = 0

    def _tick(self):
        ms = self.tcp.clock.ms()
        return ms[0] << 8 | ms[1]

    def _make(self, path, lport, rport, peer, tick, mss):
        """The 4 bytes of a cookie; `peer` are those of the peer's sequence number."""
        what = bytes((tick >> 8, tick & 255, mss))
        made = self.tcp.secret.digest(path.src, lport, path.dst, rport, peer + what)
        return bytes(((tick & 31) << 3 | mss,)) + made[8:11]

    def answer(self, listener, path, buf, s, p):
        """Answer the SYN at `buf[s:p]`, and forget it."""
        tcp = self.tcp
        if not self._budget.take(tcp.cookies_max):
            tcp.count["rate_limited"] += 1
            return
        c = listener.child(path, buf, s, p)
        mss = len(MSS) - 1
        while mss and MSS[mss] > c.mss + len(c.head) - 20:
            mss -= 1
        self._last = tick = self._tick()
        copy(c.head, 4, self._make(path, c.lport(), c.rport(), bytes(buf[s + 4:s + 8]), tick, mss),
             0, 4)
        if len(c.head) > 20:
            low = c.flags >> SND_SHIFT if c.flags & SCALED else _NO_SCALE
            if c.flags & SACK:
                low |= _SACK
            if c.flags & ECN:
                low |= _ECN
            was = c.head[27]
            c.head[27] = was & ~63 | low
            if c.head[27] > was:
                # Rather a little in the past than in the future.
                add32(c.head, 24, c.head, 24, -64)
        else:
            c.flags &= ~(ECN | SACK | SCALED)
        c.state = SYN_RECEIVED
        tcp.count["cookie_sent"] += 1
        output.send_syn(c)

    def returned(self, buf, h, s, p, end):
        """An acknowledgement for no connection: if it brings a cookie back it opens one.

        False if it cannot have to do with a cookie.
        """
        tcp = self.tcp
        now = self._tick()
        if now - self._last & 0xFFFF > 1 or buf[s + 13] & (SYN | RST | ACK) != ACK:
            return False
        listener = tcp.listener(buf, h + 16, buf[s + 2] << 8 | buf[s + 3])
        path = tcp.back(buf, h)
        cookie = _acknowledged(buf, s)
        if listener is None or path is None or now - (cookie[0] >> 3) & 31 > 1:
            return False
        if not self._ours(path, buf, s, cookie):
            if end == p and not buf[s + 13] & FIN:
                return False
            # It may be a later segment of a peer whose first was lost, or found no room: a reset
            # would end what its retransmission can still open.
            tcp.count["no_socket"] += 1
            return True
        for i in range(0, 4 * USED, 4):
            if eq4(self._used, i, cookie, 0):
                return False
        if not listener.has_room():
            tcp.count["backlog_full"] += 1
            return True
        if tcp.connections >= tcp.connections_max and listener.half_open:
            listener.half_open[0].end(0)    # a peer that is there counts more
        if tcp.room():
            try:
                self._open(listener, path, buf, s, p, cookie, MSS[cookie[0] & 7])
            except MemoryError:
                tcp.count["no_memory"] += 1
                return True
            arrives(listener.half_open[-1], buf, s, p, end)
        return True

    def _ours(self, path, buf, s, cookie):
        """Whether we have sent `cookie` to the peer that the segment at `buf[s]` is from."""
        now = self._tick()
        age = now - (cookie[0] >> 3) & 31
        return age < 2 and cookie[:4] == self._make(
            path, buf[s + 2] << 8 | buf[s + 3], buf[s] << 8 | buf[s + 1], bytes(cookie[4:]),
            now - age & 0xFFFF, cookie[0] & 7)

    def instead(self, c, buf, s, p, end):
        """An acknowledgement for the half-open `c`, which brings back a cookie: that one counts.

        One copy of a SYN was answered with the cookie, another, when there was room again,
        with `c`.  The peer believes what it has got first.
        """
        if (not c.listener or diff32(buf, s + 8, c.head, 4) == 1
                or self._tick() - self._last & 0xFFFF > 1):
            return False
        cookie = _acknowledged(buf, s)
        if not self._ours(c.path, buf, s, cookie):
            return False
        listener = c.listener
        path = c.path
        c.end(0)
        try:
            self._open(listener, path, buf, s, p, cookie, MSS[cookie[0] & 7])
        except MemoryError:
            self.tcp.count["no_memory"] += 1
            return True
        arrives(listener.half_open[-1], buf, s, p, end)
        return True

    def _open(self, listener, path, buf, s, p, cookie, mss):
        """Make the connection that the SYN would have made."""
        tcp = self.tcp
        c = listener.child(path, buf, s, s)
        copy(c.head, 4, cookie, 0, 4)
        copy(c.head, 8, buf, s + 4, 4)
        c.flags &= ~ECN
        c.ecn = None
        i = options.stamps(buf, s, p)
        if i and tcp.timestamps:
            tcp.draw_clock(c)
            copy(c.head, 28, buf, i, 4)
            low = buf[i + 7]
            if low & _SACK and tcp.sack:
                c.flags |= SACK
            if low & _ECN and tcp.ecn:
                from spinet.tcp.ecn import Ecn

                c.flags |= ECN
                c.ecn = Ecn()
            if low & 15 != _NO_SCALE and tcp.window_scaling:
                options.scale(c, low & 15)
        options.bound(c, mss)
        size = tcp.ring(c)
        c.rcv_adv = size if size < 65535 else 65535
        copy(self._used, self._next, cookie, 0, 4)
        self._next = (self._next + 4) % (4 * USED)
        tcp.count["cookie"] += 1
        listener.enter(c)
