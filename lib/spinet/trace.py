"""A port that prints a line for each frame that goes through it."""
from spinet.addr import fmt, fmt_mac

_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP"}


class Trace:
    """The port `traced`; flag 2 prints the frames sent, 4 those received."""

    def __init__(self, port, flags):
        self.traced = port
        self.flags = flags

    def __getattr__(self, name):
        return getattr(self.traced, name)

    def recv(self, buf):
        """As the port's."""
        n = self.traced.recv(buf)
        if n and self.flags & 4:
            print("<", line(buf, n))
        return n

    def send(self, buf, n):
        """As the port's."""
        sent = self.traced.send(buf, n)
        if self.flags & 2:
            print(">" if sent else "> (busy)", line(buf, n))
        return sent

    def sendv(self, pieces):
        """As the port's, or of one piece."""
        whole = b"".join([bytes(piece) for piece in pieces])
        return self.send(whole, len(whole))


def line(frame, n):
    """A frame in words."""
    if n < 14:
        return "%d bytes" % n
    kind = frame[12] << 8 | frame[13]
    text = "%s > %s " % (fmt_mac(frame, 6), fmt_mac(frame, 0))
    if kind == 0x0806 and n >= 42:
        return "%sARP %s %s for %s" % (text, ("request", "reply")[frame[21] == 2],
                                       fmt(frame, 28), fmt(frame, 38))
    if kind == 0x0800 and n >= 34:
        text += "%s > %s %s" % (fmt(frame, 26), fmt(frame, 30),
                                _PROTOCOLS.get(frame[23], frame[23]))
        p = 14 + ((frame[14] & 15) << 2)
        if frame[23] in (6, 17) and n >= p + 4:
            text += " %d > %d" % (frame[p] << 8 | frame[p + 1], frame[p + 2] << 8 | frame[p + 3])
        return "%s, %d bytes" % (text, n)
    return "%s%04x, %d bytes" % (text, kind, n)
