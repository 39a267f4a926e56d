"""iperf3: how fast is it?  Client and server, TCP and UDP, for the real tool at the other end.

    iperf.client(stack, "10.0.0.1")                         waits: a `Result`
    iperf.client(stack, "10.0.0.1", reverse=True)           the other way round
    iperf.client(stack, "10.0.0.1", udp=True, bandwidth=5000000)
    s = iperf.Server(stack)                                 serves while the stack is kept going

One test at a time; `--bidir` is refused.
"""
import json

from spinet.addr import fmt
from spinet.errors import EACCES, ECONNRESET, EINVAL, EIO, os_error
from spinet.iperfdata import make, results, stream_id
from spinet.prim import ticks_diff
from spinet.service import tell
from spinet.sockbase import SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET, resolve
from spinet.task import NONSENSE, Task, connect, read, write
from spinet.wait import until

PORT = 5201
LIMIT_MS = 10000        # for each step of the protocol
STREAMS = 8             # in one test
JSON_MAX = 16384

# States, as they go over the control connection.
TEST_START = 1
TEST_RUNNING = 2
TEST_END = 4
PARAM_EXCHANGE = 9
CREATE_STREAMS = 10
SERVER_TERMINATE = 11
CLIENT_TERMINATE = 12
EXCHANGE_RESULTS = 13
DISPLAY_RESULTS = 14
IPERF_DONE = 16
ACCESS_DENIED = 255
SERVER_ERROR = 254

_HELLO = b"9876"        # what a UDP stream begins with, and the answer
_HELLO_BACK = b"6789"


class Result:
    """What was measured, by the receiver: `bytes` in `ms`; UDP also `packets`, `lost`, and
    `jitter_ms`.  `sent` are the bytes that the sender sent."""

    def __init__(self, sent, received, ms, packets=0, lost=0, jitter_ms=0):
        self.sent = sent
        self.bytes = received
        self.ms = ms
        self.packets = packets
        self.lost = lost
        self.jitter_ms = jitter_ms

    @property
    def bits_per_second(self):
        """The rate at which it was received."""
        return self.bytes * 8000 // self.ms if self.ms else 0

    def __repr__(self):
        return "<%d bytes in %d ms: %d kbit/s%s>" % (
            self.bytes, self.ms, self.bits_per_second // 1000,
            ", %d of %d lost" % (self.lost, self.packets) if self.packets else "")


def _send_json(sock, value):
    data = json.dumps(value).encode()
    n = len(data)
    yield from write(sock, bytes((n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255)) + data, LIMIT_MS)


def _read_json(sock):
    head = yield from read(sock, 4, LIMIT_MS)
    if head[0] or head[1] or (head[2] << 8 | head[3]) > JSON_MAX:
        raise os_error(EINVAL)
    data = yield from read(sock, head[2] << 8 | head[3], LIMIT_MS)
    value = json.loads(data.decode())
    if not isinstance(value, dict):
        raise os_error(EINVAL)
    return value


def _total(theirs, key):
    return sum([int(stream.get(key, 0)) for stream in theirs["streams"]])


def _result(ends, theirs, ms):
    """The result that both ends' numbers make."""
    mine = sum([end.bytes for end in ends])
    their = _total(theirs, "bytes")
    if ends[0].sends:
        streams = theirs["streams"]
        jitter = sum([s.get("jitter", 0) for s in streams]) * 1000 / max(len(streams), 1)
        return Result(mine, their, ms, sum([end.packets for end in ends]),
                      _total(theirs, "errors"), jitter)
    return Result(their, mine, ms, sum([end.packets for end in ends]),
                  sum([end.errors for end in ends]),
                  sum([end.jitter_us for end in ends]) / 1000 / len(ends))


class Client(Task):
    """One test; `result` when `done` without `error`."""

    def __init__(self, stack, host, port=PORT, seconds=10, udp=False, reverse=False, parallel=1,
                 length=0, bandwidth=1000000):
        self.result = None
        self.options = {
            "udp" if udp else "tcp": True, "omit": 0, "time": seconds, "num": 0, "blockcount": 0,
            "parallel": parallel, "len": length or (1460 if udp else 131072),
            "pacing_timer": 1000, "client_version": "3.12",
        }
        if udp:
            self.options["bandwidth"] = bandwidth
        if reverse:
            self.options["reverse"] = True
        if not 0 < parallel <= STREAMS or udp and not 16 <= self.options["len"] <= 65507:
            raise ValueError("parallel is 1 to %d, len of UDP 16 to 65507" % STREAMS)
        control = stack.socket()
        address, _ = resolve((host, port), control)
        Task.__init__(self, stack, self._run(control, (fmt(address), port)))

    def _run(self, control, address):
        socks = [control]
        ends = []
        theirs = None
        ms = 0
        try:
            control.setblocking(False)
            yield from connect(control, address, LIMIT_MS)
            cookie = bytes([97 + b % 26 for b in self.stack.random(36)]) + b"\0"
            yield from write(control, cookie, LIMIT_MS)
            state = 0
            while state != DISPLAY_RESULTS:
                state = (yield from read(control, 1, LIMIT_MS))[0]
                if state == PARAM_EXCHANGE:
                    yield from _send_json(control, self.options)
                elif state == CREATE_STREAMS and not ends:
                    for i in range(self.options["parallel"]):
                        sock = yield from self._stream(address, cookie, socks)
                        ends.append(make(sock, self.options, stream_id(i),
                                         not self.options.get("reverse")))
                elif state == TEST_RUNNING and ends:
                    ms = yield from self._test(control, ends)
                    yield from write(control, bytes((TEST_END,)), LIMIT_MS)
                elif state == EXCHANGE_RESULTS and ms:
                    yield from _send_json(control, results(ends, ms))
                    theirs = yield from _read_json(control)
                elif state != TEST_START and (state != DISPLAY_RESULTS or theirs is None):
                    raise os_error(EACCES if state == ACCESS_DENIED else EIO)
            yield from write(control, bytes((IPERF_DONE,)), LIMIT_MS)
            self.result = _result(ends, theirs, ms)
        finally:
            for sock in socks:
                sock.close()

    def _stream(self, address, cookie, socks):
        if "udp" not in self.options:
            sock = self.stack.socket()
            socks.append(sock)
            sock.setblocking(False)
            yield from connect(sock, address, LIMIT_MS)
            yield from write(sock, cookie, LIMIT_MS)
            return sock
        sock = self.stack.socket(SOCK_DGRAM)
        socks.append(sock)
        sock.setblocking(False)
        sock.connect(address)
        for _ in range(10):
            sock.write(_HELLO)
            for _ in range(50):
                if sock.readinto(bytearray(16)) is not None:
                    return sock
                yield 20
        raise os_error(EIO)

    def _test(self, control, ends):
        """Send or receive for the time agreed on; how many ms it was."""
        timers = self.stack.timers
        began = timers.now
        limit = self.options["time"] * 1000
        while ticks_diff(timers.now, began) < limit:
            for end in ends:
                end.step(ticks_diff(timers.now, began))
            state = control.read(1)
            if state is not None:
                raise os_error(EIO if state else ECONNRESET)
            yield None
        return ticks_diff(timers.now, began)


class Server(Task):
    """Serves one test after the other; `on_result(result)` hears of each, `result` is the last."""

    def __init__(self, stack, port=PORT, on_result=None):
        self.port = port
        self.on_result = on_result
        self.result = None
        self.tests = self.failed = self.refused = 0
        self._listener = listener = stack.socket()
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(STREAMS)
        listener.setblocking(False)
        Task.__init__(self, stack, self._run())

    def _accept(self):
        """The next connection, None if there is none."""
        if not self._listener.ready() & 1:
            return None
        sock = self._listener.accept()[0]
        sock.setblocking(False)
        return sock

    def _run(self):
        try:
            while True:
                control = self._accept()
                if control is None:
                    yield 20
                    continue
                socks = [control]
                try:
                    yield from self._serve(control, socks)
                    self.tests += 1
                except NONSENSE + (OSError,):
                    self.failed += 1
                finally:
                    for sock in socks:
                        sock.close()
                if self.result is not None:
                    tell(self.on_result, self.result)
        finally:
            self._listener.close()

    def _say(self, control, state):
        return write(control, bytes((state,)), LIMIT_MS)

    def _serve(self, control, socks):
        self.result = None
        cookie = yield from read(control, 37, LIMIT_MS)
        yield from self._say(control, PARAM_EXCHANGE)
        options = yield from _read_json(control)
        parallel = int(options.get("parallel", 1))
        if not 0 < parallel <= STREAMS or options.get("bidirectional") or (
                not 0 < int(options.get("len", 1)) <= 1 << 20):
            # (Two error numbers follow: theirs for an option that cannot be, and none of errno.)
            yield from write(control, b"\xfe\0\0\0\x0d\0\0\0\0", LIMIT_MS)
            return
        udp = bool(options.get("udp"))
        ends = []
        hall = self._hall() if udp else None
        if udp:
            socks.append(hall)
        yield from self._say(control, CREATE_STREAMS)
        began = self.stack.timers.now
        while len(ends) < parallel:
            sock = self._meet(hall) if udp else (yield from self._greet(cookie))
            if sock is not None:
                socks.append(sock)
                ends.append(make(sock, options, stream_id(len(ends)), options.get("reverse")))
                if udp:
                    sock.write(_HELLO_BACK)
            elif ticks_diff(self.stack.timers.now, began) > LIMIT_MS:
                return
            else:
                yield 5
        yield from self._say(control, TEST_START)
        yield from self._say(control, TEST_RUNNING)
        ms = yield from self._test(control, ends)
        # The real client reads whole blocks: only the end of the stream lets it go on.
        for sock in socks[1:]:
            sock.close()
        yield from self._say(control, EXCHANGE_RESULTS)
        theirs = yield from _read_json(control)
        yield from _send_json(control, results(ends, ms))
        yield from self._say(control, DISPLAY_RESULTS)
        self.result = _result(ends, theirs, ms)
        yield from read(control, 1, LIMIT_MS)

    def _greet(self, cookie):
        """The next TCP stream of the test; other clients are sent away."""
        sock = self._accept()
        if sock is None:
            return None
        try:
            if (yield from read(sock, 37, 1000)) == cookie:
                return sock
        except OSError:
            pass
        self._refuse(sock)
        return None

    def _refuse(self, sock):
        self.refused += 1
        try:
            sock.write(bytes((ACCESS_DENIED,)))
        except OSError:
            pass
        sock.close()

    def _hall(self):
        """Where UDP streams say hello."""
        sock = self.stack.socket(SOCK_DGRAM)
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        sock.bind(("", self.port))
        sock.setblocking(False)
        return sock

    def _meet(self, hall):
        """A socket for the next UDP stream that has said hello, or None."""
        if hall.readinto(bytearray(16)) is None:
            return None
        peer = hall._peer()
        sock = self._hall()
        sock.connect(peer)
        return sock

    def _test(self, control, ends):
        """Send or receive until the client says that it is over; how many ms it was."""
        timers = self.stack.timers
        began = timers.now
        while True:
            for end in ends:
                end.step(ticks_diff(timers.now, began))
            state = control.read(1)
            if state is not None:
                if state != bytes((TEST_END,)):
                    raise os_error(ECONNRESET)
                for end in ends:
                    end.step(ticks_diff(timers.now, began), True)
                return max(ticks_diff(timers.now, began), 1)
            other = self._accept()
            if other is not None:
                self._refuse(other)
            yield None

    def close(self):
        """Serve no more."""
        Task.close(self)
        self._listener.close()


def client(stack, host, **options):
    """Run a test and wait for its `Result`; options as of `Client`.  OSError if it fails."""
    task = Client(stack, host, **options)
    until(stack, task)
    if task.error:
        raise os_error(task.error)
    return task.result
