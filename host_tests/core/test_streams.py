"""What asyncio's streams do, a row for each documented behaviour: over spinet, and over the
sockets that the runtime brings.

On MicroPython the streams are the firmware's own, over whatever `socket` is; on CPython those over
spinet are `spinet.aio`'s.  Time passes for real.  MicroPython for WebAssembly has no streams.
"""
import sys

from kit import skip

from spinet import Stack
from spinet.errors import ECONNREFUSED, ECONNRESET
from spinet.ports import wire

try:
    import asyncio
except ImportError:
    asyncio = None

MICROPYTHON = sys.implementation.name == "micropython"
HOST = "10.0.0.2"


class Spinet:
    """Two stacks on a wire; `server` and `connect` as asyncio's functions."""

    ours = True
    host = HOST

    def __init__(self):
        near, far = wire.pair()
        self.a, self.b = Stack(), Stack()
        self.a.add(near, "10.0.0.1/24")
        self.b.add(far, HOST + "/24")
        # Nothing is to wait for a descriptor: each stack's frames come from the other one.
        for one, other in ((self.a, self.b), (self.b, self.a)):
            one.wait = lambda ms, other=other: other.poll()

    def server(self, call, port):
        if MICROPYTHON:
            return self._within(self.b, asyncio.start_server, call, self.host, port)
        from spinet import aio

        return aio.start_server(call, self.host, port, stack=self.b)

    def connect(self, port):
        if MICROPYTHON:
            return self._within(self.a, asyncio.open_connection, self.host, port)
        from spinet import aio

        return aio.open_connection(self.host, port, stack=self.a)

    async def _within(self, stack, call, *args):
        # The streams look `socket` up when they are called.
        import spinet

        spinet.install(stack)
        try:
            return await call(*args)
        finally:
            spinet.uninstall()

    async def pump(self):
        # Polling a socket polls its own stack alone; a program has one stack only.
        while True:
            self.a.poll()
            self.b.poll()
            await asyncio.sleep(0.001)

    def close(self):
        self.a.close()
        self.b.close()


class BuiltIn:
    """The loopback interface."""

    ours = False
    host = "127.0.0.1"

    def __init__(self):
        import socket  # noqa: F401 - is there one?

    def server(self, call, port):
        return asyncio.start_server(call, self.host, port)

    def connect(self, port):
        return asyncio.open_connection(self.host, port)

    async def pump(self):
        while True:
            await asyncio.sleep(1)

    def close(self):
        pass


async def closed(writer):
    """Close, and wait until that is done."""
    writer.close()
    await writer.wait_closed()


_ports = [21000 if MICROPYTHON else 23000]     # two runtimes are tested at the same time


def row(play):
    """A test of one row, in each world there is; `play(w, port)` is a coroutine function."""
    def test():
        if asyncio is None:
            skip("MicroPython for WebAssembly has no streams of asyncio")
        for kind in (Spinet, BuiltIn):
            try:
                w = kind()
            except ImportError:
                continue
            try:
                asyncio.run(_played(w, play))
            finally:
                w.close()
                if MICROPYTHON:
                    asyncio.new_event_loop()

    return test


async def _played(w, play):
    pump = asyncio.create_task(w.pump())
    _ports[0] += 1
    try:
        await asyncio.wait_for(play(w, _ports[0]), 20)
    finally:
        pump.cancel()


class Served:
    """A server that does `do(reader, writer)` with who comes, then closes; `async with`."""

    def __init__(self, w, port, do):
        self.w, self.port, self.do = w, port, do
        self.ended = asyncio.Event()
        self.error = None

    async def _serve(self, reader, writer):
        try:
            await self.do(reader, writer)
        except Exception as e:
            self.error = e
        try:
            await closed(writer)
        except OSError:
            pass
        self.ended.set()

    async def __aenter__(self):
        self.server = await self.w.server(self._serve, self.port)
        return self

    async def __aexit__(self, *args):
        self.server.close()
        await self.server.wait_closed()


async def nothing(reader, writer):
    await reader.read(1)


async def echo(reader, writer):
    while True:
        data = await reader.read(1000)
        if not data:
            break
        writer.write(data)
        await writer.drain()


# -- opening ------------------------------------------------------------------


@row
async def test_a_connection_and_its_answer(w, port):
    async with Served(w, port, echo):
        reader, writer = await w.connect(port)
        writer.write(b"question")
        await writer.drain()
        assert await reader.readexactly(8) == b"question"
        await closed(writer)


@row
async def test_nobody_listens(w, port):
    try:
        reader, writer = await w.connect(port)
        # MicroPython's streams do not ask how the connecting went: the first use says it.
        await reader.read(1)
    except OSError as e:
        assert e.errno == ECONNREFUSED
    else:
        raise AssertionError("connected to nobody")


@row
async def test_several_at_once(w, port):
    async def one(i):
        reader, writer = await w.connect(port)
        for _ in range(3):
            writer.write(b"%d\n" % i)
            await writer.drain()
            assert await reader.readline() == b"%d\n" % i
        await closed(writer)

    async with Served(w, port, echo):
        await asyncio.gather(*[one(i) for i in range(5)])


@row
async def test_peername(w, port):
    seen = []

    async def look(reader, writer):
        seen.append(writer.get_extra_info("peername"))

    async with Served(w, port, look) as served:
        reader, writer = await w.connect(port)
        assert await reader.read(1) == b""
        await served.ended.wait()
        if not MICROPYTHON or w.ours:       # the unix port gives its own form of an address
            assert seen[0][0] == ("10.0.0.1" if w.ours else "127.0.0.1") and seen[0][1] > 0
        await closed(writer)


# -- reading ------------------------------------------------------------------


@row
async def test_read_takes_what_there_is(w, port):
    async with Served(w, port, echo):
        reader, writer = await w.connect(port)
        writer.write(b"abc")
        await writer.drain()
        got = await reader.read(100)
        assert got and b"abc".startswith(got)
        await closed(writer)


@row
async def test_read_to_the_end(w, port):
    async def tell(reader, writer):
        for _ in range(20):
            writer.write(b"x" * 500)
            await writer.drain()

    async with Served(w, port, tell):
        reader, writer = await w.connect(port)
        assert await reader.read(-1) == b"x" * 10000
        assert await reader.read(10) == b"" and await reader.readline() == b""
        await closed(writer)


@row
async def test_readexactly_waits_for_all(w, port):
    async def tell(reader, writer):
        for part in (b"ab", b"cd", b"ef"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with Served(w, port, tell):
        reader, writer = await w.connect(port)
        assert await reader.readexactly(5) == b"abcde"
        try:
            await reader.readexactly(5)
        except EOFError:
            pass
        else:
            raise AssertionError("more than there was")
        await closed(writer)


@row
async def test_readline(w, port):
    async def tell(reader, writer):
        for part in (b"one\r", b"\ntwo\n\nth", b"ree"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with Served(w, port, tell):
        reader, writer = await w.connect(port)
        for line in (b"one\r\n", b"two\n", b"\n", b"three", b""):
            got = await reader.readline()
            assert got == line, got
        await closed(writer)


@row
async def test_readinto(w, port):
    if not MICROPYTHON:
        return      # asyncio's StreamReader has none
    async with Served(w, port, echo):
        reader, writer = await w.connect(port)
        writer.write(b"abcd")
        await writer.drain()
        buf = bytearray(4)
        n = 0
        while n < 4:
            n += await reader.readinto(memoryview(buf)[n:])
        assert buf == b"abcd"
        await closed(writer)


@row
async def test_a_reset_is_an_error(w, port):
    async def slam(reader, writer):
        await reader.readexactly(1)     # and leaves the rest unread: that is answered by a reset
        await asyncio.sleep(0.05)

    async with Served(w, port, slam) as served:
        reader, writer = await w.connect(port)
        writer.write(b"x" * 3000)
        await writer.drain()
        if not MICROPYTHON:
            # Its transports read ahead, so nothing is left unread: they are told to reset.
            served.do = None
            await closed(writer)
            return
        try:
            while await reader.read(10):
                pass
            raise AssertionError("a clean end")
        except OSError as e:
            assert e.errno == ECONNRESET
        await served.ended.wait()
        await closed(writer)


@row
async def test_a_transport_s_abort_is_a_reset(w, port):
    if MICROPYTHON:
        return      # no transports

    async def slam(reader, writer):
        writer.transport.abort()

    async with Served(w, port, slam):
        reader, writer = await w.connect(port)
        try:
            assert await reader.read(10) == b"" and not w.ours
        except ConnectionResetError:
            pass
        writer.close()


# -- writing ------------------------------------------------------------------


@row
async def test_drain_waits_for_a_slow_reader(w, port):
    go = asyncio.Event()
    total = 2000000
    sizes = []

    async def slow(reader, writer):
        await go.wait()
        n = 0
        while n < total:
            data = await reader.read(65536)
            assert data
            n += len(data)
        sizes.append(n)

    async def pour(writer):
        for _ in range(total // 20000):
            writer.write(b"x" * 20000)
            await writer.drain()

    async with Served(w, port, slow) as served:
        reader, writer = await w.connect(port)
        if w.ours:
            # Nobody reads: more than both rings hold is not taken.  (The kernel's may take all.)
            pouring = asyncio.create_task(pour(writer))
            await asyncio.sleep(0.3)
            assert not pouring.done()
            go.set()
            await pouring
        else:
            go.set()
            await pour(writer)
        await served.ended.wait()
        assert sizes == [total] and served.error is None
        await closed(writer)


@row
async def test_what_was_written_before_close_arrives(w, port):
    async def tell(reader, writer):
        writer.write(b"y" * 3000)
        await writer.drain()

    async with Served(w, port, tell):
        reader, writer = await w.connect(port)
        await asyncio.sleep(0.05)
        assert await reader.readexactly(3000) == b"y" * 3000
        assert await reader.read(1) == b""
        await closed(writer)


@row
async def test_the_server_sees_the_end(w, port):
    seen = []

    async def look(reader, writer):
        seen.append(await reader.read(10))

    async with Served(w, port, look) as served:
        reader, writer = await w.connect(port)
        await closed(writer)
        await served.ended.wait()
        assert seen == [b""]


# -- waiting ------------------------------------------------------------------


@row
async def test_wait_for_cuts_a_read_short_and_the_stream_goes_on(w, port):
    async with Served(w, port, echo):
        reader, writer = await w.connect(port)
        try:
            await asyncio.wait_for(reader.read(10), 0.05)
            raise AssertionError("read something")
        except asyncio.TimeoutError:
            pass
        writer.write(b"later")
        await writer.drain()
        assert await reader.readexactly(5) == b"later"
        await closed(writer)


@row
async def test_a_read_is_cancelled(w, port):
    async with Served(w, port, echo):
        reader, writer = await w.connect(port)
        reading = asyncio.create_task(reader.read(10))
        await asyncio.sleep(0.02)
        reading.cancel()
        try:
            await reading
            raise AssertionError("not cancelled")
        except asyncio.CancelledError:
            pass
        writer.write(b"still there")
        await writer.drain()
        assert await reader.readexactly(11) == b"still there"
        await closed(writer)


@row
async def test_others_run_while_one_waits(w, port):
    count = [0]

    async def others():
        while True:
            count[0] += 1
            await asyncio.sleep(0.005)

    async with Served(w, port, nothing):
        reader, writer = await w.connect(port)
        running = asyncio.create_task(others())
        try:
            await asyncio.wait_for(reader.read(1), 0.2)
        except asyncio.TimeoutError:
            pass
        running.cancel()
        assert count[0] >= 5
        await closed(writer)


@row
async def test_a_closed_server_accepts_nobody(w, port):
    async with Served(w, port, echo):
        reader, writer = await w.connect(port)
        await closed(writer)
    await asyncio.sleep(0.05)
    try:
        reader, writer = await w.connect(port)
        await reader.read(1)
    except OSError as e:
        assert e.errno == ECONNREFUSED
    else:
        raise AssertionError("somebody was there")
