"""SLIP (RFC 1055): IPv4 packets over a byte stream, such as a UART or a pseudo-terminal.

    stack.add(Slip(machine.UART(0, 115200)), "192.168.7.2/24", gateway="192.168.7.1")
    stack.add(Slip(io.FileIO(fd, "r+")), ...)       # CPython: a descriptor that does not block

The stream has `readinto(buf)` and `write(buf)`, which take or give what they can and return how
much, None or 0 when that is nothing.
SLIP has no checksum of its own: those of IP, TCP and UDP find what the line spoils.
"""
from spinet.prim import copy

END = 0xC0
ESC = 0xDB
ESC_END = 0xDC
ESC_ESC = 0xDD


class Slip:
    """One end of a line.  RFC 1055 has packets of 1006 bytes; both ends may agree on more."""

    medium = "ip"
    mac = None
    pads = False

    def __init__(self, stream, mtu=1006):
        self.mtu = mtu
        self.count = {"rx": 0, "tx": 0, "rx_too_long": 0, "rx_bad_escape": 0, "tx_too_long": 0,
                      "busy": 0}
        self._stream = stream
        self._in = bytearray(128)       # raw bytes, of which [_at:_end] are not looked at yet
        self._at = self._end = 0
        self._packet = bytearray(mtu)   # what is being received
        self._n = 0                     # bytes of it; -1: it is spoilt, up to the next END
        self._escaped = False
        self._out = bytearray(2 * mtu + 2)
        self._out_at = self._out_end = 0
        self._view = memoryview(self._out)

    @property
    def pollable(self):
        """The stream, where it can be waited for; None while it has not taken all of a packet."""
        stream = self._stream
        if self._out_at < self._out_end or not (
                hasattr(stream, "fileno") or hasattr(stream, "ioctl")):
            return None
        return stream

    def recv(self, buf):
        """Take the next packet into `buf`; its length, 0 if none is complete."""
        self._flush()
        while True:
            while self._at < self._end:
                at = self._at
                self._at = at + 1
                n = self._take(self._in[at])
                if n:
                    copy(buf, 0, self._packet, 0, n)
                    self.count["rx"] += 1
                    return n
            self._at = 0
            self._end = self._stream.readinto(self._in) or 0 if self._stream else 0
            if not self._end:
                return 0

    def _take(self, byte):
        """One byte of the line; the length of the packet that it completes, else 0."""
        n = self._n
        escaped = self._escaped
        self._escaped = False
        if byte == END:
            self._n = 0
            if escaped and n >= 0:
                self.count["rx_bad_escape"] += 1
                return 0
            return n if n > 0 else 0
        if n < 0:
            return 0
        if escaped:
            if byte == ESC_END:
                byte = END
            elif byte == ESC_ESC:
                byte = ESC
            else:
                self.count["rx_bad_escape"] += 1
                self._n = -1
                return 0
        elif byte == ESC:
            self._escaped = True
            return 0
        if n == self.mtu:
            self.count["rx_too_long"] += 1
            self._n = -1
            return 0
        self._packet[n] = byte
        self._n = n + 1
        return 0

    def send(self, buf, n):
        """Send the packet buf[0:n]; False while the one before is not out."""
        if not self._flush():
            self.count["busy"] += 1
            return False
        if n > self.mtu:
            self.count["tx_too_long"] += 1
            return True
        out = self._out
        out[0] = END        # ends whatever noise there was
        k = 1
        for i in range(n):
            byte = buf[i]
            if byte == END:
                out[k] = ESC
                byte = ESC_END
                k += 1
            elif byte == ESC:
                out[k] = ESC
                byte = ESC_ESC
                k += 1
            out[k] = byte
            k += 1
        out[k] = END
        self._out_at = 0
        self._out_end = k + 1
        self.count["tx"] += 1
        self._flush()
        return True

    def _flush(self):
        """Give the stream what it takes; whether all is out."""
        while self._out_at < self._out_end:
            n = self._stream.write(self._view[self._out_at:self._out_end]) if self._stream else 0
            if not n:
                return False
            self._out_at += n
        return True

    def link(self):
        """True: a line does not say whether there is somebody."""
        return self._stream is not None

    def fileno(self):
        """The stream's descriptor, -1 if it has none."""
        return self._stream.fileno() if hasattr(self._stream, "fileno") else -1

    def close(self):
        """Let go of the stream, which stays open: it was the caller's."""
        self._stream = None
