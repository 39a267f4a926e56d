"""The data of an iperf3 test: one stream sends or receives, and what is reported of it."""
from spinet.prim import BUFFER, get16, put16

_BURST = 64             # writes, or reads, in one step


def stream_id(i):
    """The number that iperf3 gives the i-th stream; there is no second."""
    return 1 if i == 0 else i + 2


class End:
    """Our end of a stream; `step(ms)` does what can be done `ms` after the beginning."""

    sends = False

    def __init__(self, sock, options, number):
        self.sock = sock
        self.udp = bool(options.get("udp"))
        self.number = number
        self.bytes = self.packets = self.errors = self.jitter_us = 0
        self.wide = bool(options.get("udp_counters_64bit"))


class Sender(End):
    """Sends as fast as it goes; UDP at the rate agreed on."""

    sends = True

    def __init__(self, sock, options, number):
        End.__init__(self, sock, options, number)
        n = int(options.get("len") or 1460)
        n = max(min(n, 65507), 16) if self.udp else min(n, BUFFER, 16384)
        self._out = bytearray(n)
        self._rate = int(options.get("bandwidth") or 1000000) // 8      # bytes a second

    def step(self, ms, last=False):
        """Send what is due."""
        out = self._out
        sock = self.sock
        for _ in range(0 if last else _BURST):
            if self.udp:
                if self.bytes >= self._rate * ms // 1000:
                    return
                self._stamp(ms)
            n = sock.write(out)
            if not n:
                if self.udp:
                    self.packets -= 1
                return
            self.bytes += n

    def _stamp(self, ms):
        """When and the how many-th: seconds, microseconds, number."""
        out = self._out
        self.packets = n = self.packets + 1
        us = ms % 1000 * 1000
        put16(out, 0, 0)
        put16(out, 2, ms // 1000 & 0xFFFF)
        put16(out, 4, us >> 16)
        put16(out, 6, us & 0xFFFF)
        i = 8
        if self.wide:
            put16(out, 8, 0)
            put16(out, 10, 0)
            i = 12
        put16(out, i, n >> 16 & 0xFFFF)
        put16(out, i + 2, n & 0xFFFF)


class Receiver(End):
    """Takes what comes of a stream."""

    def __init__(self, sock, options, number):
        End.__init__(self, sock, options, number)
        self._buf = bytearray(min(BUFFER, 16384))

    def step(self, ms, last=False):
        """Take what is there."""
        buf = self._buf
        sock = self.sock
        for _ in range(_BURST):
            n = sock.readinto(buf)
            if not n:
                return
            self.bytes += n


class UdpReceiver(End):
    """Takes each datagram as it arrives, so that no burst is too long for a queue, and counts
    what is missing."""

    def __init__(self, sock, options, number):
        End.__init__(self, sock, options, number)
        self._buf = bytearray(16)
        self._transit = None
        sock.endpoint.waiter = self.take

    def step(self, ms, last=False):
        """Take what had come before we were told."""
        self.take()

    def take(self):
        """Something has arrived."""
        buf = self._buf
        endpoint = self.sock.endpoint
        while endpoint.readable:
            n = endpoint.recv_into(buf, 0, 16)
            self.bytes += endpoint.length
            if n >= 12:
                self._count(buf, self.sock.stack.timers.now, n)

    def _count(self, buf, ms, n):
        i = 12 if self.wide and n >= 16 else 8
        number = get16(buf, i) << 16 | get16(buf, i + 2)
        if number > self.packets:
            self.errors += number - self.packets - 1
            self.packets = number
        elif self.errors:
            self.errors -= 1        # it is late, but not lost
        # RFC 3550, 6.4.1.  Clocks differ: only differences of the transit times count.
        sent = (get16(buf, 2) & 0xFFF) * 1000 + (get16(buf, 4) << 16 | get16(buf, 6)) // 1000
        transit = (ms & 0x3FFFFF) - sent
        if self._transit is not None:
            d = abs(transit - self._transit)
            if d < 1000:
                self.jitter_us += (d * 1000 - self.jitter_us) // 16
        self._transit = transit


def make(sock, options, number, sends):
    """Our end of a stream, which we send or receive."""
    return (Sender if sends else UdpReceiver if options.get("udp") else Receiver)(
        sock, options, number)


def results(ends, ms):
    """What an end tells the other after the test."""
    return {
        "cpu_util_total": 0, "cpu_util_user": 0, "cpu_util_system": 0,
        "sender_has_retransmits": 0,
        "streams": [{
            "id": end.number, "bytes": end.bytes, "retransmits": -1,
            "jitter": end.jitter_us / 1000000, "errors": end.errors, "packets": end.packets,
            "start_time": 0, "end_time": ms / 1000,
        } for end in ends],
    }
