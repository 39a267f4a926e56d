"""Our side of the tests against the kernel: a host on one port, for CPython and MicroPython unix.

    peer.py PORT ADDRESS/LEN serve
    peer.py PORT ADDRESS/LEN ACTION ARGUMENT...         a client: prints one line, the result

PORT is raw:IF, tap:NAME, tun:NAME, or w5500:IF, enc28j60:IF: a driver on the model of that chip,
whose cable is the interface.  The servers: echo 7 (TCP and UDP), held open 8, discard 9,
source 19, sink that answers with the SHA-256 of what it read 20, reset at the first byte 21, early
half-close 22, HTTP 80 (GET /N is N bytes of the pattern; PUT answers with its SHA-256).
Everything goes through the sockets, none of which blocks.
"""
import binascii
import errno
import hashlib
import struct
import sys

from spinet import Stack, socket
from spinet.prim import ticks_diff, ticks_ms

MICROPYTHON = sys.implementation.name == "micropython"
CHUNK = 16384
PERIOD = 10007      # no power of two or multiple of a segment: a block in the wrong place shows


def make_pattern():
    out = bytearray(PERIOD + CHUNK)
    for i in range(PERIOD):
        out[i] = (i * 31 + (i >> 8) * 7 + (i >> 3)) & 255
    out[PERIOD:] = (bytes(out[:PERIOD]) * 2)[:CHUNK]
    return out


PATTERN = memoryview(make_pattern())


def pattern(offset, n):
    """The n <= CHUNK bytes of the endless pattern that begin at `offset`."""
    start = offset % PERIOD
    return PATTERN[start : start + n]


def hexdigest(digest):
    return binascii.hexlify(digest.digest())


def say(*words):
    print(*words)
    if not MICROPYTHON:
        sys.stdout.flush()


def open_port(text):
    kind, name = text.split(":")
    if kind == "raw":
        from spinet.ports.rawsocket import RawSocket
        return RawSocket(name)
    if kind in ("w5500", "enc28j60"):
        from chips.rig import Rig
        from spinet.ports.rawsocket import RawSocket

        wire = RawSocket(name)
        return Rig(kind, wire).driver(mac=wire.mac)
    if kind == "tap":
        from spinet.ports.tap import Tap
        return Tap(name)
    from spinet.ports.tun import Tun
    return Tun(name)


class Session:
    """One accepted connection.  `step` does what can be done now; False when it is over."""

    def __init__(self, sock):
        self.sock = sock
        self.out = b""          # what is still to be sent
        self.ended = False      # the peer has sent its last
        sock.setblocking(False)

    def send(self):
        """Send what is due; True when all of it is gone."""
        while self.out:
            try:
                n = self.sock.send(self.out)
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    raise
                return False
            self.out = memoryview(self.out)[n:]
        return True

    def read(self, buf):
        """Bytes read into `buf`; 0 at the end, -1 when there are none now."""
        try:
            return self.sock.recv_into(buf)
        except OSError as e:
            if e.errno != errno.EAGAIN:
                raise
            return -1


class Echo(Session):
    def step(self, buf):
        while self.send():
            n = self.read(buf)
            if n <= 0:
                return n < 0
            self.out = bytes(memoryview(buf)[:n])
        return True


class Hold(Session):
    def step(self, buf):
        return self.read(buf) != 0


class Discard(Session):
    def step(self, buf):
        n = 1
        while n > 0:
            n = self.read(buf)
        return n < 0


class Source(Session):
    sent = 0

    def step(self, buf):
        while self.send():
            if self.read(buf) == 0:
                return False
            self.out = pattern(self.sent, CHUNK)
            self.sent += CHUNK
        return True


class Sink(Session):
    def __init__(self, sock):
        Session.__init__(self, sock)
        self.digest = hashlib.sha256()

    def step(self, buf):
        while not self.ended:
            n = self.read(buf)
            if n < 0:
                return True
            if n == 0:
                self.ended = True
                self.out = hexdigest(self.digest)
            else:
                self.digest.update(memoryview(buf)[:n])
        return not self.send()


class Reset(Session):
    def step(self, buf):
        if self.read(buf) < 0:
            return True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


class HalfClose(Sink):
    """Says hello, ends its own direction at once, and says on standard output what came then."""

    said = False

    def step(self, buf):
        if not self.said:
            self.said = True
            self.sock.send(b"hello")
            self.sock.shutdown(socket.SHUT_WR)
        n = 1
        while n > 0:
            n = self.read(buf)
            if n > 0:
                self.digest.update(memoryview(buf)[:n])
        if n < 0:
            return True
        say("half-close", hexdigest(self.digest).decode())
        return False


class Http(Session):
    """One request."""

    def __init__(self, sock):
        Session.__init__(self, sock)
        self.head = b""
        self.digest = None
        self.left = 0           # of the body that comes in
        self.at = 0
        self.size = 0           # of the body that goes out

    def step(self, buf):
        while self.digest is None:
            n = self.read(buf)
            if n <= 0:
                return n < 0
            self.head += bytes(memoryview(buf)[:n])
            self.request()
        while self.left:
            self.send()         # 100 Continue
            n = self.read(buf)
            if n <= 0:
                return n < 0
            self.body(memoryview(buf)[:n])
        while self.send():
            if self.at == self.size:
                return False
            n = min(CHUNK, self.size - self.at)
            self.out = pattern(self.at, n)
            self.at += n
        return True

    def body(self, data):
        self.digest.update(data)
        self.left -= len(data)
        if self.left == 0:
            self.reply(hexdigest(self.digest))

    def reply(self, content, n=None):
        self.out = bytes(self.out) + (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % (len(content) if n is None else n)) + content

    def request(self):
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self.head[:end].decode().split("\r\n")
        rest = self.head[end + 4 :]
        verb, path, _ = lines[0].split(" ")
        self.digest = hashlib.sha256()
        if verb == "GET":
            self.size = int(path[1:])
            self.reply(b"", self.size)
            return
        for line in lines[1:]:
            name, value = line.split(":", 1)
            if name.lower() == "content-length":
                self.left = int(value)
            elif name.lower() == "expect":
                self.out = b"HTTP/1.1 100 Continue\r\n\r\n"
        if rest or not self.left:
            self.body(rest)


SERVERS = ((7, Echo), (8, Hold), (9, Discard), (19, Source), (20, Sink), (21, Reset),
           (22, HalfClose), (80, Http))


def listener(stack, port):
    sock = stack.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("", port))
    sock.listen(64)
    sock.setblocking(False)
    return sock


def serve(stack):
    """Serve until killed."""
    listeners = [(listener(stack, port), make) for port, make in SERVERS]
    echo = stack.udp.endpoint(200000)
    echo.bind(None, 7)
    sessions = []
    buf = bytearray(65536)
    say("ready")
    while True:
        stack.idle()
        while echo.readable:
            n = echo.recv_into(buf, 0, len(buf))
            try:
                echo.sendto(buf, 0, n, echo.peer, echo.peer_port)
            except OSError as e:
                say("udp", e.errno)
        for sock, make in listeners:
            while sock.listener.queue:
                sessions.append(make(sock.accept()[0]))
        i = 0
        while i < len(sessions):
            session = sessions[i]
            try:
                going = session.step(buf)
            except OSError as e:
                say("session", type(session).__name__, e.errno)
                going = False
            if going:
                i += 1
            else:
                session.sock.close()
                sessions[i] = sessions[-1]
                sessions.pop()


# -- clients ----------------------------------------------------------------

def client(stack, host, port, timeout=30):
    sock = stack.socket()
    sock.settimeout(timeout)
    sock.connect((host, int(port)))
    return sock


def connect(stack, host, port, timeout="30"):
    """The error of a connection attempt, and how long it took in ms."""
    began = ticks_ms()
    try:
        client(stack, host, port, float(timeout)).close()
        error = 0
    except OSError as e:
        error = e.errno
    return "%d %d" % (error, ticks_diff(ticks_ms(), began))


def read_all(sock):
    """(bytes, digest) until the end of the stream."""
    digest = hashlib.sha256()
    buf = bytearray(CHUNK)
    view = memoryview(buf)
    total = 0
    while True:
        n = sock.recv_into(buf)
        if not n:
            return "%d %s" % (total, hexdigest(digest).decode())
        digest.update(view[:n])
        total += n


def get(stack, host, port):
    """Read a stream to its end."""
    sock = client(stack, host, port)
    return read_all(sock)


def put(stack, host, port, n):
    """Send n bytes of the pattern, end our direction, read the answer."""
    sock = client(stack, host, port)
    n = int(n)
    at = 0
    while at < n:
        take = min(CHUNK, n - at)
        sock.sendall(pattern(at, take))
        at += take
    sock.shutdown(socket.SHUT_WR)
    answer = read_all(sock)
    sock.close()
    return answer


def echoes(stack, host, port, count):
    """So many connections, one after the other, each with an echo."""
    for i in range(int(count)):
        sock = client(stack, host, port)
        data = b"connection %d" % i
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            got += sock.recv(100)
        assert got == data
        sock.close()
    return "ok"


def at_once(stack, host, port, count):
    """So many connections open at the same time, each with an echo."""
    socks = []
    for _ in range(int(count)):
        sock = stack.socket()
        sock.setblocking(False)
        assert sock.connect_ex((host, int(port))) == errno.EINPROGRESS
        socks.append(sock)
    for i, sock in enumerate(socks):
        sock.setblocking(True)
        sock.settimeout(20)
        sock.sendall(b"connection %3d" % i)
    for i, sock in enumerate(socks):
        assert sock.recv(100) == b"connection %3d" % i
        sock.close()
    return "ok"


def udp(stack, host, port, *sizes):
    """Send datagrams of these sizes to an echo server, one at a time."""
    sock = stack.socket(socket.SOCK_DGRAM)
    sock.endpoint.close()
    sock.endpoint = stack.udp.endpoint(70000)
    sock.settimeout(5)
    sock.connect((host, int(port)))
    data = (bytes(PATTERN) * 3)[:65507]
    for size in sizes:
        sock.send(data[: int(size)])
        if sock.recv(65536) != data[: int(size)]:
            return "wrong at " + size
    return "ok"


def udp_refused(stack, host, port):
    """The error that a connected UDP socket hears of."""
    sock = stack.socket(socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((host, int(port)))
    sock.send(b"anyone?")
    try:
        sock.recv(100)
    except OSError as e:
        return str(e.errno)
    return "none"


def ping(stack, host, *sizes):
    """Ping with data of these sizes by a raw socket."""
    from spinet.prim import cksum, put16

    sock = stack.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.endpoint.close()
    sock.endpoint = stack.raw.endpoint(socket.IPPROTO_ICMP, 70000)
    sock.settimeout(5)
    for size in sizes:
        size = int(size)
        message = bytearray(8 + size)
        message[0] = 8
        put16(message, 4, 4711)
        put16(message, 6, size & 0xFFFF)
        message[8:] = (bytes(PATTERN) * 3)[:size]
        put16(message, 2, 0xFFFF ^ cksum(message, 0, len(message)))
        sock.sendto(message, (host, 0))
        message[0] = 0
        while True:
            packet = sock.recv(65536)
            answer = packet[(packet[0] & 15) * 4 :]
            if answer[0] == 0 and answer[4:8] == bytes(message[4:8]):
                break
        if answer[8:] != bytes(message[8:]) or cksum(answer, 0, len(answer)) != 0xFFFF:
            return "wrong at %d" % size
    return "ok"


def see_reset(stack, host, port):
    """The error that a connection reset by the other end gives, and then."""
    sock = client(stack, host, port)
    sock.sendall(b"x")
    try:
        sock.recv(100)
        return "none"
    except OSError as e:
        return "%d %r" % (e.errno, sock.recv(100))


def abort(stack, host, port):
    """Reset a connection from our side."""
    sock = client(stack, host, port)
    sock.sendall(b"x")
    assert sock.recv(1) == b"y"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    linger(stack, 50)
    return "ok"


def linger(stack, ms):
    began = ticks_ms()
    while ticks_diff(ticks_ms(), began) < ms:
        stack.idle(5)


def main(args):
    spec, address, action = args[:3]
    buffer = 0
    if action == "--buffer":
        buffer = int(args[3])
        action = args[4]
        del args[2:4]
    gateway = address.split("/")[0].rsplit(".", 1)[0] + ".1"
    stack = Stack()
    if buffer:
        stack.tcp.rcvbuf = stack.tcp.sndbuf = buffer
    ip = stack.add(open_port(spec), address, gateway)
    ip.fragments().bytes_max = 200000    # the largest datagrams, on MicroPython as well
    if action == "serve":
        serve(stack)
    else:
        result = {"connect": connect, "get": get, "put": put, "echoes": echoes, "udp": udp,
                  "at_once": at_once, "udp_refused": udp_refused, "ping": ping,
                  "see_reset": see_reset, "abort": abort}[action](stack, *args[3:])
        # The last ACK is still to be sent, or a FIN to be answered.
        linger(stack, 100)
        say(result)


if __name__ == "__main__":
    main(sys.argv[1:])
