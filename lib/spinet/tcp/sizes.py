"""Rings that change their size: because the user says so, or by themselves."""
from spinet.prim import copy, ticks_diff
from spinet.tcp.states import RECEIVES


def set_receive(c, size):
    """Give `c` a receive ring of `size` bytes, or of as many as the peer was promised."""
    old = c.rbuf
    if len(old) and RECEIVES >> c.state & 1:
        size = max(size, c.r_len + c.rcv_adv)
        if size != len(old):
            c.rbuf = _moved(old, c.r_head, size)
            c.r_head = 0
            c.consume(0)


def set_send(c, size):
    """Give `c` a send ring of `size` bytes, or of as many as wait in it."""
    old = c.sbuf
    size = max(size, c.s_len)
    if len(old) and size != len(old):
        c.sbuf = _moved(old, c.s_head, size)
        c.s_head = 0


def _moved(old, head, size):
    """A ring of `size` bytes with what is in `old`, where it begins at `head`, in front."""
    new = bytearray(size)
    n = min(len(old) - head, size)
    copy(new, 0, old, head, n)
    copy(new, n, old, 0, min(head, size - n))
    return new


class Tuner:
    """Rings of one connection that grow up to `tcp.autosize` bytes, for as long as that helps.

    What the user takes out of the receive ring in one round trip, the peer can
    have sent in one; for it to send twice as much in the next (slow start) the
    window must be twice that.  The send ring must hold what the congestion
    window lets be in flight, and as much again to follow it.  A ring whose size
    the user has set keeps it.
    """

    def __init__(self, now):
        self._began = now
        self._taken = 0

    def reads(self, c, n):
        """The user has read `n` bytes."""
        if not n or c.rcvbuf:
            return
        self._taken = n = self._taken + n
        now = c.tcp.timers.now
        passed = ticks_diff(now, self._began)
        rtt = (c.srtt >> 3) + 1
        if passed < rtt:
            return
        want = 2 * n * rtt // passed + 2 * c.mss
        if want > len(c.rbuf):
            _try(set_receive, c, min(want, c.tcp.autosize, c.path.ip.id.window))
        self._began = now
        self._taken = 0

    def sends(self, c, n):
        """The user has `n` bytes to send, more than there is room for; the room there is now."""
        want = min(2 * c.cwnd, c.tcp.autosize)
        if not c.sndbuf and want > len(c.sbuf) < 2 * (c.snd_wnd + c.mss):
            _try(set_send, c, want)
        return len(c.sbuf) - c.s_len


def _try(change, c, size):
    if size > len(c.rbuf if change is set_receive else c.sbuf):
        try:
            change(c, size)
        except MemoryError:
            c.tcp.count["no_memory"] += 1
