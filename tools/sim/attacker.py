"""An attacker off the path, who guesses well: forged segments that a connection must survive.

They come for connections that are established, and miss what would be believed by a little: resets
beside RCV.NXT, SYNs anywhere, data outside of the window, acknowledgements of what was not sent
(RFC 5961, 3 to 5).  None may change anything but counters, or cost the connection's user anything.
"""
from spinet.prim import add32, cksum
from spinet.tcp.states import ESTABLISHED, TIME_WAIT


class Attacker:
    """Forges `count` segments to connections of `host`, which come in by `port`."""

    def __init__(self, host, port, count, gap_us):
        self.host = host
        self.port = port
        self.count = count
        self.gap_us = gap_us
        self.rand = host.sim.rand.fork()
        self.forged = 0
        host.sim.after(gap_us, self._turn, None)

    def _turn(self, _):
        sim = self.host.sim
        victims = [c for c in self.host.stack.tcp.all() if ESTABLISHED <= c.state < TIME_WAIT]
        if victims:
            self.port.arrive(self._forge(victims[self.rand.below(len(victims))]))
            self.forged += 1
        self.count -= 1
        if self.count:
            sim.after(1 + self.rand.below(2 * self.gap_us), self._turn, None)

    def _forge(self, c):
        below = self.rand.below
        seq = ack = n = 0       # from RCV.NXT and from SND.UNA
        kind = below(4)
        if kind == 0:
            flags = 4 | 16 * below(2)                       # RST
            seq = self._beside(c.rcv_adv)
        elif kind == 1:
            flags = 2                                       # SYN
            seq = below(70000) - 1000
        elif kind == 2:
            flags = 16 | 8 * below(2)                       # data
            n = 1 + below(500)
            seq = c.rcv_adv + below(50000) if below(2) else -n - below(50000)
        else:
            flags = 16                                      # ACK
            ack = c.snd_max + 1 + below(50000)
        return self._frame(c, flags, seq, ack, n)

    def _beside(self, window):
        """An offset that is not 0, in the window or near it."""
        return (1 + self.rand.below(max(window, 1) + 3000)) * (1 if self.rand.below(3) else -1)

    def _frame(self, c, flags, seq, ack, n):
        head = c.head
        h = 14 if self.port.medium == "ethernet" else 0
        frame = bytearray(h + 40 + n)
        if h:
            frame[:6] = self.port.mac
            frame[6:12] = b"\2\0\0\0\xbd\1"
            frame[12] = 8
        frame[h:h + 10] = bytes((0x45, 0, 40 + n >> 8, 40 + n & 255, 0, 0, 0, 0, 64, 6))
        frame[h + 12:h + 16] = c.path.dst
        frame[h + 16:h + 20] = c.path.src
        k = cksum(frame, h, h + 20) ^ 0xFFFF
        frame[h + 10] = k >> 8
        frame[h + 11] = k & 255
        s = h + 20
        frame[s:s + 2] = head[2:4]
        frame[s + 2:s + 4] = head[0:2]
        add32(frame, s + 4, head, 8, seq)
        if flags & 16:
            add32(frame, s + 8, head, 4, ack)
        frame[s + 12] = 0x50
        frame[s + 13] = flags
        frame[s + 14] = self.rand.below(256)
        for i in range(n):
            frame[s + 20 + i] = 0xBD
        k = cksum(frame, s, s + 20 + n, cksum(frame, h + 12, h + 20, 26 + n)) ^ 0xFFFF
        frame[s + 16] = k >> 8
        frame[s + 17] = k & 255
        return frame
