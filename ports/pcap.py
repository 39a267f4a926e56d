"""Record what passes a port into a pcap file, which Wireshark, tshark and scapy open.

    port = Pcap(RawSocket("eth0"), open("eth0.pcap", "wb"))

`Pcap` stands in for the port: it has all its attributes and methods and takes nothing away.  Frames
are recorded as they cross the port, received ones before the stack sees them, sent ones once the
port has taken them.  The format is the classic one with nanoseconds.

A failing file (a full disk) ends the recording, never the traffic: see `error`.
"""
import struct
import time

_MAGIC = 0xA1B23C4D     # times in nanoseconds, byte order of the writer
_LINKTYPES = {"ethernet": 1, "ip": 101}
_HALF = 1 << 29


class Pcap:
    """A port that records the frames of `port` into `file` (anything with `write`).

    Without a clock, frames carry the time of day.  `clock` is a callable that returns ticks in ms
    modulo 2**30, as a stack's; `clock_ns` one that returns ns.  Both count from `epoch_s`, seconds
    since 1970, so that a run in virtual time records the same bytes each time.

    `file` stays the caller's to close; `close()` flushes it and closes the port.
    """

    def __init__(self, port, file, clock=None, clock_ns=None, epoch_s=0):
        self.port = port
        self.file = file
        self.error = None       # the OSError that ended the recording
        self.recorded = 0       # frames written
        self._recv = port.recv
        self._send = port.send
        if hasattr(port, "sendv"):
            self._sendv = port.sendv
            self.sendv = self._record_sendv
        self._epoch_s = epoch_s
        self._ms = 0
        self._last = 0
        self._clock = None
        if clock_ns:
            self._clock_ns = clock_ns
        elif clock:
            self._clock = clock
            self._last = clock()
            self._clock_ns = self._elapsed_ns
        else:
            self._clock_ns = _time_ns
        self._write(struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, 65535, _LINKTYPES[port.medium]))

    def __getattr__(self, name):
        if name == "port":      # not set yet: __init__ failed or pickle asks
            raise AttributeError(name)
        return getattr(self.port, name)

    def recv(self, buf):
        n = self._recv(buf)
        if n and self.file:
            self._record(memoryview(buf)[:n])
        return n

    def send(self, buf, n):
        taken = self._send(buf, n)
        if taken and self.file:
            self._record(memoryview(buf)[:n])
        return taken

    def _record_sendv(self, pieces):
        # A caller's iterator could be walked only once.
        pieces = list(pieces)
        taken = self._sendv(pieces)
        if taken and self.file:
            self._record(b"".join([bytes(piece) for piece in pieces]))
        return taken

    def link(self):
        return self.port.link()

    def close(self):
        if self.file and hasattr(self.file, "flush"):
            try:
                self.file.flush()
            except OSError as e:
                self.error = e
        self.file = None
        self.port.close()

    def _elapsed_ns(self):
        now = self._clock()
        passed = now - self._last
        if passed >= _HALF:
            passed = passed - _HALF - _HALF
        elif passed < -_HALF:
            passed = passed + _HALF + _HALF
        self._ms += passed
        self._last = now
        return self._ms * 1000000

    def _record(self, frame):
        ns = self._clock_ns()
        second = (self._epoch_s + ns // 1000000000) & 0xFFFFFFFF
        n = len(frame)
        self._write(struct.pack("<IIII", second, ns % 1000000000, n, n))
        self._write(frame)
        self.recorded += 1

    def _write(self, data):
        if self.file:
            try:
                self.file.write(data)
            except OSError as e:
                self.error = e
                self.file = None


def _time_ns():
    # MicroPython counts from 1970 or 2000, by the port.
    return time.time_ns() + _TO_1970_NS


_TO_1970_NS = 946684800 * 1000000000 if time.gmtime(0)[0] == 2000 else 0
