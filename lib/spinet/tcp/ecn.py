"""Explicit congestion notification (RFC 3168), for `stack.tcp.ecn = True`.

A router that is about to drop marks instead.  The receiver of a marked
datagram says so in every acknowledgement (ECE) until the sender has said that
it has slowed down (CWR), which it does as after a loss, once per window.
"""
from spinet.prim import add32, diff32
from spinet.tcp.states import PERSIST, SYN_RECEIVED

SYN = 2
ECE = 64
CWR = 128
_ECT = 2        # ECT(0), in the last two bits of the type of service
_CE = 3


def agreed(flags, ack):
    """Whether the flags of the peer's SYN, or SYN,ACK if `ack`, speak for ECN (6.1.1)."""
    return flags & (ECE | CWR) == (ECE if ack else ECE | CWR)


class Ecn:
    """What ECN knows of a connection; it exists if both ends use it."""

    def __init__(self):
        self.echo = False       # a mark has come, and the peer has not slowed down yet
        self.cwr = False        # we have slowed down, and the peer does not know it yet
        self.slowed = False
        self.point = bytearray(4)   # what had been sent when we slowed down last

    def arrives(self, c, buf, h, s):
        """A segment at `buf[s]` with ECE or CWR, or in a datagram at `buf[h]` that was marked."""
        flags = buf[s + 13]
        if flags & SYN or c.state <= SYN_RECEIVED:
            return      # there the flags say something else, and no window is open yet
        if diff32(buf, s + 4, c.head, 8) >= 0:
            if flags & CWR:
                self.echo = False
            if buf[h + 1] & 3 == _CE:
                self.echo = True
        if flags & ECE:
            n = diff32(buf, s + 8, c.head, 4)
            loss = c.losses()
            if loss and 0 <= n <= c.snd_max:
                loss.cc_acked -= n  # such an acknowledgement lets the window not grow
                if not loss.recover and not self.did(buf, s + 8):
                    c.tcp.count["ecn"] += 1
                    c.cc.lost(c)
                    c.cwnd = loss.ssthresh
                    self.reduced(c)

    def did(self, buf, i):
        """Whether the window in which the sequence number at `buf[i]` is was the reason already."""
        return self.slowed and diff32(buf, i, self.point, 0) <= 0

    def reduced(self, c):
        """The congestion window was reduced, for this or another reason (6.1.2)."""
        self.cwr = self.slowed = True
        add32(self.point, 0, c.head, 4, c.snd_max)

    def mark(self, c, tx, t, off, n):
        """The segment at `tx[t]` is about to leave, with `n` bytes from offset `off`."""
        # Only new data may be marked (6.1.4 to 6.1.6).
        new = n and off >= c.snd_max and not c.flags & PERSIST
        if self.echo:
            tx[t + 13] |= ECE
        if new and self.cwr:
            tx[t + 13] |= CWR
            self.cwr = False
        path = c.path
        n = (_ECT if new else 0) - (path.head[1] & 3)
        if n:
            path.head[1] += n
            path.base += n
