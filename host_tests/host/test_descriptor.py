"""Descriptors that stand for sockets: readable and writable exactly when those are."""
import asyncio
import gc
import os
import select
import warnings

import pytest

from spinet import aio
from spinet.threaded import Threaded

A, B = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def pair(hosts):
    threads = [Threaded(host) for host in hosts]
    server = hosts[1].socket()
    server.bind(("", 80))
    server.listen(1)
    client = hosts[0].socket()
    client.connect((B, 80))
    accepted = server.accept()[0]
    for sock in (client, accepted):
        sock.setblocking(False)
    yield client, accepted
    for sock in (client, accepted, server):
        sock.close()
    for thread in threads:
        thread.stop()


def readable(fd, seconds=0):
    return bool(select.select([fd], [], [], seconds)[0])


def writable(fd, seconds=0):
    return bool(select.select([], [fd], [], seconds)[1])


def test_without_anybody_who_pumps_there_is_none(hosts):
    sock = hosts[0].socket()
    assert sock.fileno() == -1
    thread = Threaded(hosts[0])
    assert sock.fileno() > -1
    thread.stop()
    sock.close()
    assert sock.fileno() == -1


def test_it_follows_the_socket(pair):
    client, server = pair
    fd = client.fileno()
    assert fd == client.fileno() and type(client).__name__ == "StreamSocket"
    assert not readable(fd) and writable(fd)
    server.send(b"12")
    assert readable(fd, 5)
    assert client.recv(1) == b"1" and readable(fd)
    assert client.recv(1) == b"2" and not readable(fd)
    # Fill what the connection takes; the number of rounds shows that it can be repeated.
    for _ in range(3):
        sent = 0
        while writable(fd, 0.3):    # until the peer takes no more either
            sent += client.send(bytes(65536))
        assert sent > 10000 and not readable(fd)
        with pytest.raises(BlockingIOError):
            client.send(b"x")
        while sent:
            assert readable(server.fileno(), 5)
            sent -= len(server.recv(1000000))
        assert writable(fd, 5)
    server.close()
    assert readable(fd, 5) and client.recv(1) == b""


def test_of_a_listener_and_of_datagrams(pair, hosts):
    a, b = hosts
    listening = b.socket()
    listening.bind(("", 81))
    fd = listening.fileno()
    listening.listen(1)
    assert not readable(fd)
    client = a.socket()
    client.connect((B, 81))
    assert readable(fd, 5)
    listening.accept()[0].close()
    assert not readable(fd)
    listening.close()
    near, far = a.socket(2), b.socket(2)
    far.bind((B, 500))
    fd = far.fileno()
    assert not readable(fd) and writable(fd)
    near.sendto(b"x", (B, 500))
    assert readable(fd, 5)
    assert far.recv(10) == b"x" and not readable(fd)


def test_closing_gives_it_back(pair):
    client, _ = pair
    fd = client.fileno()
    os.fstat(fd)
    client.close()
    assert client.fileno() == -1
    with pytest.raises(OSError):
        os.fstat(fd)


def test_it_keeps_nothing_alive(hosts):
    thread = Threaded(hosts[0])
    sock = hosts[0].socket()
    fd = sock.fileno()
    thread.stop()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)    # which would hold it
        del sock
        gc.collect()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_loop_of_the_systems_with_its_own_transports(pair):
    """asyncio as it is, given sockets of ours: they look to it like any."""
    client, server = pair
    data = bytes(range(256)) * 2000

    async def main():
        async def echo():
            reader, writer = await asyncio.open_connection(sock=server)
            writer.write(await reader.readexactly(len(data)))
            await writer.drain()
            writer.close()

        task = asyncio.ensure_future(echo())
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(data)
        assert await reader.read() == data
        writer.close()
        await task

    asyncio.run(asyncio.wait_for(main(), 20))


def test_add_reader_and_add_writer_of_a_loop_over_the_stack(hosts):
    """No thread: the loop itself keeps the stack going."""
    a, b = hosts

    async def main():
        loop = asyncio.get_running_loop()
        with aio.using(b):
            await aio.start_server(lambda reader, writer: writer.write(b"hello"), B, 80, stack=b)
        sock = a.socket()
        sock.setblocking(False)
        sock.connect_ex((B, 80))
        done = loop.create_future()
        loop.add_writer(sock.fileno(), lambda: done.done() or done.set_result(None))
        await done
        assert loop.remove_writer(sock.fileno())
        got = loop.create_future()
        loop.add_reader(sock, lambda: got.done() or got.set_result(sock.recv(100)))
        assert await got == b"hello"
        assert loop.remove_reader(sock)
        sock.close()

    aio.run(asyncio.wait_for(main(), 20), a)


def test_a_transports_socket_stays_the_transports(hosts):
    a, b = hosts

    async def main():
        await aio.start_server(lambda reader, writer: writer.write(b"hello"), B, 80, stack=b)
        reader, writer = await aio.open_connection(B, 80)
        assert writer.get_extra_info("socket").fileno() == -1
        assert await reader.readexactly(5) == b"hello"
        writer.close()

    aio.run(asyncio.wait_for(main(), 20), a)


def test_a_loop_over_the_stack_beside_a_thread(hosts):
    """Both keep the stack going, and others wait in threads of their own."""
    threads = [Threaded(host) for host in hosts]
    data = bytes(range(256)) * 4000

    def fetch():
        with hosts[0].socket() as sock:
            sock.settimeout(10)
            sock.connect((B, 80))
            sock.sendall(data)
            got = b""
            while len(got) < len(data):
                got += sock.recv(100000)
            return got

    async def echo(reader, writer):
        writer.write(await reader.readexactly(len(data)))
        await writer.drain()
        writer.close()

    async def main():
        await aio.start_server(echo, B, 80, stack=hosts[1])
        loop = asyncio.get_running_loop()
        loop.set_debug(True)        # then what another thread may not do raises

        async def here():
            reader, writer = await aio.open_connection(B, 80)
            writer.write(data)
            got = await reader.read()
            writer.close()
            return got

        got = await asyncio.gather(*[loop.run_in_executor(None, fetch) for _ in range(3)],
                                   *[here() for _ in range(3)])
        assert got == [data] * 6

    aio.run(asyncio.wait_for(main(), 30), hosts[0])
    for thread in threads:
        thread.stop()
