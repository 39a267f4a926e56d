"""asyncio's interfaces over stacks of this process: what is documented of transports."""
import asyncio
import contextlib
import gc
import socket
import ssl
import time

import pytest

from spinet import Stack, aio
from spinet import socket as spinet_socket

A, B = "10.0.0.1", "10.0.0.2"


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


class Recorder(asyncio.Protocol):
    """Writes down what happens to it."""

    def __init__(self):
        self.events = []
        self.data = bytearray()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.data += data

    def eof_received(self):
        self.events.append("eof")

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, error):
        self.events.append("lost")
        self.lost.set_result(error)


async def pair(a, b, client=Recorder, server=Recorder):
    """A connected pair of protocols, and the server they met at."""
    made = asyncio.get_running_loop().create_future()

    def factory():
        protocol = server()
        asyncio.get_running_loop().call_soon(made.set_result, protocol)
        return protocol

    listening = await aio.create_server(factory, B, 80, stack=b)
    _, near = await aio.create_connection(client, B, 80, stack=a)
    return near, await made, listening


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_streams_echo_a_megabyte_and_close(hosts):
    a, b = hosts
    data = bytes(range(256)) * 4096

    async def serve(reader, writer):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
        writer.close()

    async def main():
        server = await aio.start_server(serve, "", 80, stack=b)
        reader, writer = await aio.open_connection(B, 80, stack=a)
        assert writer.get_extra_info("peername") == (B, 80)
        assert writer.get_extra_info("sockname")[0] == A

        async def send():
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        assert await reader.read() == data
        await sending
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main())


def test_events_of_a_connection_in_their_order(hosts):
    async def main():
        near, far, server = await pair(*hosts)
        near.transport.write(b"hello")
        near.transport.writelines([b" ", b"there"])
        near.transport.write_eof()
        assert await near.lost is None and await far.lost is None
        assert far.data == b"hello there"
        assert far.events == near.events == ["made", "eof", "lost"]
        assert near.transport.is_closing() and near.transport.can_write_eof()
        server.close()

    run(main())


def test_written_before_close_arrives(hosts):
    async def main():
        near, far, server = await pair(*hosts)
        near.transport.write(bytes(1000000))
        near.transport.close()
        near.transport.write(b"not this")
        await far.lost
        await near.lost
        assert len(far.data) == 1000000
        server.close()

    run(main())


def test_writing_is_paused_and_resumed(hosts):
    async def main():
        near, far, server = await pair(*hosts)
        far.transport.pause_reading()
        assert not far.transport.is_reading()
        near.transport.set_write_buffer_limits(high=10000)
        assert near.transport.get_write_buffer_limits() == (2500, 10000)
        for _ in range(50):
            near.transport.write(bytes(10000))
        assert near.events == ["made", "pause"]
        assert near.transport.get_write_buffer_size() > 10000
        await asyncio.sleep(0.05)
        assert not far.data
        far.transport.resume_reading()
        await until(lambda: len(far.data) == 500000)
        assert near.events == ["made", "pause", "resume"]
        assert near.transport.get_write_buffer_size() == 0
        near.transport.abort()
        await far.lost
        server.close()

    run(main())


def test_abort_resets_the_peer(hosts):
    async def main():
        near, far, server = await pair(*hosts)
        near.transport.abort()
        assert await near.lost is None
        assert isinstance(await far.lost, ConnectionResetError)
        server.close()

    run(main())


def test_an_exception_in_a_protocol_ends_its_connection_only(hosts):
    a, b = hosts

    class Bad(Recorder):
        def data_received(self, data):
            raise RuntimeError("a bug")

    async def main():
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        near, far, server = await pair(a, b, server=Bad)
        near.transport.write(b"x")
        assert isinstance(await far.lost, RuntimeError)
        assert isinstance(await near.lost, ConnectionResetError)
        assert "a bug" in str(told[0]["exception"])
        server.close()

    run(main())


def test_buffered_protocol(hosts):
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self):
            self.buffer = bytearray(100)
            self.data = bytearray()

        def get_buffer(self, hint):
            return self.buffer

        def buffer_updated(self, n):
            self.data += self.buffer[:n]

    async def main():
        near, far, server = await pair(*hosts, server=Buffered)
        near.transport.write(bytes(range(256)) * 10)
        await until(lambda: len(far.data) == 2560)
        assert far.data == bytes(range(256)) * 10
        near.transport.abort()
        server.close()

    run(main())


def test_refused_unreachable_and_no_such_name(hosts):
    a, b = hosts

    async def main():
        aio.pump_of(b)
        with pytest.raises(ConnectionRefusedError):
            await aio.open_connection(B, 81, stack=a)
        with pytest.raises(OSError, match="unreachable|No route"):
            await aio.open_connection("192.168.9.9", 80, stack=a)
        with pytest.raises(socket.gaierror):
            await aio.open_connection("no.such.name.invalid", 80, stack=a)

    run(main())


def test_names_are_resolved_by_the_stack(hosts):
    from spinet import dns

    a, b = hosts
    dns.resolver(a).hosts["board.test"] = B

    async def main():
        server = await aio.start_server(lambda r, w: w.write(b"hi") or w.close(), "", 80, stack=b)
        reader, writer = await aio.open_connection("board.test", 80, stack=a)
        assert await reader.read() == b"hi"
        writer.close()
        server.close()

    run(main())


def test_a_cancelled_connect_leaves_nothing(hosts):
    a, _ = hosts

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aio.open_connection("10.0.0.77", 80, stack=a), 0.2)
        assert a.tcp.connections == 0

    run(main())


def test_server_closes_and_waits_for_its_connections(hosts):
    a, b = hosts

    async def main():
        near, far, server = await pair(a, b)
        assert server.is_serving() and server.sockets[0].getsockname() == (B, 80)
        server.close()
        assert not server.sockets
        waiting = asyncio.ensure_future(server.wait_closed())
        with pytest.raises(ConnectionRefusedError):
            await aio.open_connection(B, 80, stack=a)
        assert not waiting.done()
        server.close_clients()
        await waiting
        await near.lost

    run(main())


def test_port_in_use(hosts):
    async def main():
        server = await aio.create_server(Recorder, "", 80, stack=hosts[1])
        with pytest.raises(OSError):
            await aio.create_server(Recorder, "", 80, stack=hosts[1])
        async with server:
            pass
        assert not server.is_serving()

    run(main())


def test_serve_forever_ends_when_cancelled(hosts):
    async def main():
        server = await aio.create_server(Recorder, "", 80, stack=hosts[1], start_serving=False)
        task = asyncio.ensure_future(server.serve_forever())
        near, _ = await aio.open_connection(B, 80, stack=hosts[0])
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert server.sockets == ()

    run(main())


def test_tls_both_ways_in_streams(hosts, certificate):
    a, b = hosts
    file, trust = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    async def serve(reader, writer):
        writer.write(await reader.readexactly(100000))
        await writer.drain()
        writer.close()

    async def main():
        server = await aio.start_server(serve, "", 443, ssl=context, stack=b)
        reader, writer = await aio.open_connection(
            B, 443, ssl=trust, server_hostname="board.test", stack=a)
        assert writer.get_extra_info("cipher") and writer.get_extra_info("peername") == (B, 443)
        writer.write(bytes(100000))
        assert await reader.readexactly(100000) == bytes(100000)
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await aio.open_connection(B, 443, ssl=trust, server_hostname="other.test", stack=a)
        server.close()

    run(main())


def test_start_tls_on_an_open_connection(hosts, certificate):
    a, b = hosts
    file, trust = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    loop_of = asyncio.get_running_loop

    async def serve(reader, writer):
        await reader.readline()
        writer.write(b"go\n")
        transport = writer.transport
        protocol = transport.get_protocol()
        secure = await loop_of().start_tls(transport, protocol, context, server_side=True)
        asyncio.StreamWriter(secure, protocol, reader, loop_of()).write(b"secret\n")

    async def main():
        server = await aio.start_server(serve, "", 25, stack=b)
        near, protocol = await aio.create_connection(Recorder, B, 25, stack=a)
        near.write(b"starttls\n")
        await until(lambda: protocol.data == b"go\n")
        await loop_of().start_tls(near, protocol, trust, server_hostname="board.test")
        await until(lambda: protocol.data == b"go\nsecret\n")
        near.abort()
        server.close()

    run(main())


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, echo=False):
        self.echo = echo
        self.got = []
        self.errors = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.got.append((data, address))
        if self.echo:
            self.transport.sendto(data[::-1], address)

    def error_received(self, error):
        self.errors.append(error)

    def connection_lost(self, error):
        self.errors.append("lost")


def test_datagrams(hosts):
    a, b = hosts

    async def main():
        far, _ = await aio.create_datagram_endpoint(
            lambda: Datagrams(True), local_addr=("", 53), stack=b)
        near, protocol = await aio.create_datagram_endpoint(
            Datagrams, remote_addr=(B, 53), stack=a)
        assert near.get_extra_info("peername") == (B, 53)
        near.sendto(b"abc")
        near.sendto(b"def", (B, 53))
        await until(lambda: len(protocol.got) == 2)
        assert protocol.got == [(b"cba", (B, 53)), (b"fed", (B, 53))]
        with pytest.raises(ValueError):
            near.sendto(b"x", (B, 54))
        far.close()
        await asyncio.sleep(0)
        near.sendto(b"nobody there")
        await until(lambda: protocol.errors)
        assert isinstance(protocol.errors[0], ConnectionRefusedError)
        near.close()
        await asyncio.sleep(0)
        assert protocol.errors[-1] == "lost"

    run(main())


def test_an_idle_loop_sleeps(hosts):
    async def main():
        near, far, server = await pair(*hosts)
        await asyncio.sleep(0.1)
        began = time.process_time()
        await asyncio.sleep(1)
        assert time.process_time() - began < 0.05
        near.transport.abort()
        server.close()

    gc.collect()
    run(main())


def test_event_loop_for_code_that_knows_only_asyncio(hosts):
    a, b = hosts

    async def main():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, aio.EventLoop)
        found = await loop.getaddrinfo(B, 80, type=socket.SOCK_STREAM)
        assert found == [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (B, 80))]
        server = await asyncio.start_server(lambda r, w: w.write(b"hi") or w.close(), A, 80)
        reader, writer = await asyncio.open_connection(A, 80)
        assert await reader.read() == b"hi"
        writer.close()
        server.close()
        # Sockets of spinet's, without waiting.
        far = await aio.start_server(lambda r, w: w.write(b"yo") or w.close(), "", 81, stack=b)
        s = a.socket()
        s.setblocking(False)
        await loop.sock_connect(s, (B, 81))
        assert await loop.sock_recv(s, 10) == b"yo"
        assert await loop.sock_recv(s, 10) == b""
        s.close()
        far.close()

    aio.run(asyncio.wait_for(main(), 20), a)


def test_without_a_stack_it_is_the_loops(hosts):
    """Not the one that was made first in this process."""
    first, second = Stack(), hosts[0]
    spinet_socket.use(first)

    async def main():
        server = await aio.start_server(lambda reader, writer: writer.close(), "10.0.0.2", 80,
                                        stack=hosts[1])
        reader, writer = await aio.open_connection("10.0.0.2", 80)
        assert await reader.read() == b""
        writer.close()
        server.close()

    try:
        aio.run(asyncio.wait_for(main(), 20), second)
    finally:
        spinet_socket.use(None)
