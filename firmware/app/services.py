"""The small services: echo (RFC 862), discard (RFC 863), and a data source for speed tests.

The source, on the port of chargen (RFC 864), sends the bytes 0 to 255 over and
over instead of printable lines, so that a receiver can check them by position.
"""
from app.server import RD, WR, Slot, ready

_CHUNK = 1024


class Echo(Slot):
    """Sends back what arrives, in order; reads no more than could be sent back."""

    def __init__(self):
        Slot.__init__(self)
        self.buf = bytearray(_CHUNK)
        self.view = memoryview(self.buf)
        self.begin()

    def begin(self):
        self.start = 0
        self.end = 0

    def step(self, now):
        moved = False
        sock = self.sock
        if self.start == self.end:
            if not ready(sock, RD):
                return False
            n = sock.readinto(self.buf)
            if n == 0:
                self.close()
                return True
            self.start = 0
            self.end = n
            moved = True
        if ready(sock, WR):
            self.start += sock.write(self.view[self.start:self.end]) or 0
            moved = True
        return moved


class Discard(Slot):
    """Reads and forgets."""

    scratch = bytearray(_CHUNK)

    def step(self, now):
        if not ready(self.sock, RD):
            return False
        if self.sock.readinto(self.scratch) == 0:
            self.close()
        return True


class Source(Slot):
    """Sends 0, 1, ... 255, 0, ... as fast as the peer takes it, until the peer closes."""

    pattern = bytes(i & 0xFF for i in range(_CHUNK + 256))
    views = memoryview(pattern)

    def begin(self):
        self.at = 0

    def step(self, now):
        sock = self.sock
        if ready(sock, RD) and sock.readinto(Discard.scratch) == 0:
            self.close()
            return True
        if not ready(sock, WR):
            return False
        n = sock.write(self.views[self.at:self.at + _CHUNK]) or 0
        self.at = (self.at + n) & 0xFF
        return True


class UdpEcho:
    """Sends each datagram back to where it came from."""

    def __init__(self, stack, port):
        self.name = "echo/udp"
        self.port = port
        self.endpoint = stack.udp.endpoint(4096)
        self.endpoint.bind(None, port)
        self.buf = bytearray(1472)
        self.echoed = 0

    def step(self, now):
        """Echo up to eight waiting datagrams; True if there was one."""
        endpoint = self.endpoint
        for turn in range(8):
            n = endpoint.recv_into(self.buf, 0, len(self.buf))
            if n < 0:
                return turn > 0
            try:
                endpoint.sendto(self.buf, 0, n, endpoint.peer, endpoint.peer_port)
                self.echoed += 1
            except OSError:
                # No route back, or the link is busy: a datagram may be lost.
                pass
        return True

    def open(self):
        """How many datagrams wait to be echoed, as far as can be told: 0 or 1."""
        return int(self.endpoint.readable)

    def served(self):
        """How many were echoed in all."""
        return self.echoed

    def close(self):
        """Stop listening."""
        self.endpoint.close()


TCP = {"echo": Echo, "discard": Discard, "source": Source}
DATAGRAM = {"echo": UdpEcho}

