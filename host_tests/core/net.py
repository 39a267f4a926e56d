"""Networks for tests, in virtual time: two stacks on a cable, or one stack and a scripted peer."""
from kit import Clock, Random

from spinet import Stack

RUN_MS = 1 << 20


class End:
    """One end of a cable: a port."""

    medium = "ethernet"
    mtu = 1500
    pads = True
    pollable = None

    def __init__(self, mac):
        self.mac = mac
        self.count = {}
        self.send_to = None     # called with each frame that is sent
        self.waiting = []

    def recv(self, buf):
        if not self.waiting:
            return 0
        frame = self.waiting.pop(0)
        buf[:len(frame)] = frame
        return len(frame)

    def send(self, buf, n):
        self.send_to(bytes(buf[:n]))
        return True

    def link(self):
        return True

    def close(self):
        pass


class Net:
    """Hosts 10.0.0.1 (`a`) and 10.0.0.2 (`b`) on a cable that delivers after `delay_ms`.

    `treat(frame, to_b)` says what becomes of each frame: a list of the frames
    to deliver (the same, none, changed ones), or of (frame, extra delay).
    """

    def __init__(self, treat=None, delay_ms=1, seed=1, rcvbuf=4096, sndbuf=4096):
        self.clock = Clock()
        self.elapsed = 0
        self.delay = delay_ms
        self.treat = treat
        self.flying = []        # (due, order, end, frame)
        self.sent = 0
        self.ends = End(b"\x02\0\0\0\0\x01"), End(b"\x02\0\0\0\0\x02")
        self.ends[0].send_to = lambda frame: self._fly(frame, True)
        self.ends[1].send_to = lambda frame: self._fly(frame, False)
        self.a = self._host(0, "10.0.0.1/24", seed, rcvbuf, sndbuf)
        self.b = self._host(1, "10.0.0.2/24", seed + 1, rcvbuf, sndbuf)
        self.hosts = self.a, self.b

    def _host(self, i, address, seed, rcvbuf, sndbuf):
        stack = Stack(clock=self.clock, random=Random(seed), wait=self.wait)
        stack.tcp.rcvbuf = rcvbuf
        stack.tcp.sndbuf = sndbuf
        stack.add(self.ends[i], address)
        return stack

    def _fly(self, frame, to_b):
        self.sent += 1
        for out in [frame] if self.treat is None else self.treat(frame, to_b):
            extra = 0
            if isinstance(out, tuple):
                out, extra = out
            self.flying.append((self.elapsed + self.delay + extra, self.sent, self.ends[to_b], out))

    def step(self, limit=RUN_MS):
        """Deliver what is due and poll both hosts; if nothing was, let time pass to what is."""
        now = self.elapsed
        flying = self.flying
        self.flying = []
        due = [f for f in flying if f[0] <= now]
        self.flying += [f for f in flying if f[0] > now]
        due.sort(key=lambda f: f[:2])
        for _, _, end, frame in due:
            end.waiting.append(frame)
        wait = limit
        for host in self.hosts:
            wait = min(wait, host.poll())
        for f in self.flying:
            wait = min(wait, f[0] - self.elapsed)
        if wait > 0 and not due:
            self.elapsed += wait
            self.clock.advance(wait)

    def wait(self, ms):
        """What blocking calls do to pass the time."""
        self.step(ms)

    def run(self, ms):
        """Let `ms` pass."""
        end = self.elapsed + ms
        while self.elapsed < end:
            self.step(end - self.elapsed)

    def until(self, condition, ms=600000):
        """Run until `condition()` holds; AssertionError after `ms` without it."""
        end = self.elapsed + ms
        while not condition():
            assert self.elapsed < end, "still not so after %d ms" % ms
            self.step()

    def pair(self, port=80):
        """Two connected, non-blocking sockets: the client on a, the server's on b."""
        server = self.b.socket()
        server.bind(("", port))
        server.listen(1)
        client = self.a.socket()
        client.connect(("10.0.0.2", port))
        accepted, _ = server.accept()
        server.close()
        client.setblocking(False)
        accepted.setblocking(False)
        return client, accepted


FLAGS = "FSRPAUEC"


class Segment:
    """A TCP segment that the stack sent, numbers relative to both initial sequence numbers."""

    def __init__(self, flags, seq, ack, window, data, options):
        self.flags = flags
        self.seq = seq
        self.ack = ack
        self.window = window
        self.data = data
        self.options = options

    def __repr__(self):
        return "%s seq %d ack %d win %d len %d" % (
            self.flags, self.seq, self.ack, self.window, len(self.data))


def checksum(data):
    """The complemented Internet checksum of `data`, by the book."""
    if len(data) & 1:
        data += b"\0"
    total = 0
    for i in range(0, len(data), 2):
        total += data[i] << 8 | data[i + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Peer:
    """A stack (10.0.0.1, `stack`) facing a peer (10.0.0.2) that does only what a test tells it to.

    `isn` is the peer's initial sequence number; `out` the segments that the
    stack has sent and `take` has not returned.  The peer answers ARP.
    """

    MAC = b"\x02\0\0\0\0\x02"

    def __init__(self, isn=0xFFFFFFF0, rcvbuf=4096, sndbuf=4096, mtu=1500, random=None):
        self.kept = []
        self.clock = Clock()
        self.end = End(b"\x02\0\0\0\0\x01")
        self.end.mtu = mtu
        self.end.send_to = self._sent
        self.stack = Stack(clock=self.clock, random=random or Random(7), wait=self.wait)
        self.stack.tcp.rcvbuf = rcvbuf
        self.stack.tcp.sndbuf = sndbuf
        self.ip = self.stack.add(self.end, "10.0.0.1/24")
        self.isn = isn
        self.iss = None         # the stack's, once it has sent a SYN
        self.out = []
        self.lport = 80         # the stack's port
        self.rport = 5555       # the peer's

    def wait(self, ms):
        self.clock.advance(ms)

    def run(self, ms):
        """Let `ms` pass, polling whenever the stack asks for it."""
        while True:
            wait = self.stack.poll()
            if not ms:
                return
            if self.end.waiting or wait == 0:
                continue
            wait = min(wait, ms)
            self.clock.advance(wait)
            ms -= wait

    def _sent(self, frame):
        kind = frame[12] << 8 | frame[13]
        if kind == 0x0806:
            if frame[20:22] == b"\0\1" and frame[38:42] == b"\x0a\0\0\2":
                reply = (frame[6:12] + self.MAC + frame[12:20] + b"\0\2" + self.MAC
                         + b"\x0a\0\0\2" + frame[22:32])
                self.end.waiting.append(reply)
            return
        if frame[23] != 6:
            return
        n = frame[16] << 8 | frame[17]
        s = frame[34:14 + n]
        assert checksum(frame[14:34]) == 0, "IPv4 header checksum"
        assert checksum(frame[26:34] + b"\0\6" + bytes((len(s) >> 8, len(s) & 255)) + s) == 0, \
            "TCP checksum of " + "".join("%02x" % b for b in s)
        flags = "".join(FLAGS[i] for i in range(6) if s[13] >> i & 1)
        seq = s[4] << 24 | s[5] << 16 | s[6] << 8 | s[7]
        ack = s[8] << 24 | s[9] << 16 | s[10] << 8 | s[11]
        if "S" in flags:
            self.iss = seq
            self.lport = s[0] << 8 | s[1]
        off = s[12] >> 4 << 2
        assert 20 <= off <= len(s), "data offset"
        if "R" in flags and "A" not in flags or self.iss is None:
            self.out.append(Segment(flags, seq, ack, 0, s[off:], s[20:off]))
            return
        self.out.append(Segment(flags, seq - self.iss & 0xFFFFFFFF, ack - self.isn & 0xFFFFFFFF,
                                s[14] << 8 | s[15], s[off:], s[20:off]))

    def send(self, flags, seq=0, ack=0, data=b"", window=65535, options=b"", absolute_ack=None):
        """The peer sends a segment; `seq` and `ack` are relative.  The stack is polled."""
        seq = (self.isn + seq) & 0xFFFFFFFF
        ack = ((self.iss or 0) + ack) & 0xFFFFFFFF if "A" in flags else 0
        if absolute_ack is not None:
            ack = absolute_ack
        options += b"\0" * (-len(options) % 4)
        bits = 0
        for f in flags:
            bits |= 1 << FLAGS.index(f)
        s = bytes((self.rport >> 8, self.rport & 255, self.lport >> 8, self.lport & 255,
                   seq >> 24, seq >> 16 & 255, seq >> 8 & 255, seq & 255,
                   ack >> 24, ack >> 16 & 255, ack >> 8 & 255, ack & 255,
                   (20 + len(options)) << 2, bits, window >> 8, window & 255, 0, 0, 0, 0))
        self.raw(6, s + options + data, 16)
        self.run(0)

    def raw(self, proto, s, at=None):
        """Queue a datagram from the peer; its checksum is put at `s[at]`."""
        if at is not None:
            pseudo = b"\x0a\0\0\2\x0a\0\0\1\0" + bytes((proto, len(s) >> 8, len(s) & 255))
            k = checksum(pseudo + s)
            s = s[:at] + bytes((k >> 8, k & 255)) + s[at + 2:]
        n = 20 + len(s)
        h = bytes((0x45, 0, n >> 8, n & 255, 0, 0, 0x40, 0, 64, proto, 0, 0))
        h += b"\x0a\0\0\2\x0a\0\0\1"
        k = checksum(h)
        h = h[:10] + bytes((k >> 8, k & 255)) + h[12:]
        self.end.waiting.append(self.end.mac + self.MAC + b"\x08\0" + h + s)

    def take(self):
        """What the stack has sent since the last `take`."""
        out = self.out
        self.out = []
        return out

    def one(self, flags, seq=None, ack=None, length=None):
        """The stack has sent exactly one segment, and it is this one; returns it."""
        out = self.take()
        assert len(out) == 1, "expected one segment %s, got %r" % (flags, out)
        s = out[0]
        assert s.flags == flags, "expected %s, got %r" % (flags, s)
        assert seq is None or s.seq == seq, "expected seq %d, got %r" % (seq, s)
        assert ack is None or s.ack == ack, "expected ack %d, got %r" % (ack, s)
        assert length is None or len(s.data) == length, "expected %d bytes, got %r" % (length, s)
        return s

    def none(self):
        """The stack has sent nothing."""
        out = self.take()
        assert not out, "expected silence, got %r" % (out,)

    def keep(self, sock):
        """`sock`, which stays open though the test drops it."""
        self.kept.append(sock)
        return sock

    def accept(self, mss=1460, window=65535, backlog=5):
        """A connection the peer has opened to the stack: the accepted, non-blocking socket."""
        server = self.stack.socket()
        server.bind(("", 80))
        server.listen(backlog)
        self.lport = 80
        self.send("S", options=bytes((2, 4, mss >> 8, mss & 255)), window=window)
        self.one("SA", 0, 1)
        self.send("A", 1, 1, window=window)
        s, _ = server.accept()
        s.setblocking(False)
        server.close()
        self.none()
        return self.keep(s)

    def connect(self, mss=1460, window=65535):
        """A connection the stack has opened to the peer's port 5555: the non-blocking socket."""
        s = self.stack.socket()
        s.setblocking(False)
        try:
            s.connect(("10.0.0.2", 5555))
        except OSError:
            pass
        self.run(0)
        self.one("S", 0)
        self.send("SA", 0, 1, options=bytes((2, 4, mss >> 8, mss & 255)), window=window)
        self.one("A", 1, 1)
        return s
