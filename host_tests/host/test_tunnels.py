"""Stacks joined by what is not a network: a pseudo-terminal, an asyncio stream."""
import asyncio
import io
import os
import socket
import tty

from spinet import Stack, aio
from spinet.ports.slip import Slip
from spinet.ports.tunnel import Tunnel

A, B = "192.168.7.1", "192.168.7.2"
DATA = bytes(range(256)) * 1000


async def echo(reader, writer):
    while part := await reader.read(4096):
        writer.write(part)
        await writer.drain()
    writer.close()


async def exchange(a, b):
    """A quarter of a megabyte from `a` to `b` and back."""
    server = await aio.start_server(echo, "", 7, stack=b)
    reader, writer = await aio.open_connection(B, 7, stack=a)

    async def send():
        writer.write(DATA)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.ensure_future(send())
    assert await reader.read() == DATA
    await sending
    writer.close()
    server.close()


def test_slip_over_a_pseudo_terminal():
    ends = os.openpty()
    ports = []
    for fd in ends:
        tty.setraw(fd)
        os.set_blocking(fd, False)
        ports.append(Slip(io.FileIO(fd, "r+"), mtu=1006))
    a, b = Stack(), Stack()
    a.add(ports[0], A + "/24")
    b.add(ports[1], B + "/24")
    asyncio.run(asyncio.wait_for(exchange(a, b), 60))
    assert ports[0].count["tx"] == ports[1].count["rx"]
    assert ports[0].count["rx_bad_escape"] == 0
    for stack in (a, b):
        stack.close()


def test_a_tunnel_inside_an_asyncio_stream():
    """Packets in a stream, each behind its length, as a VPN or a USB device has them."""

    async def pump(reader, tunnel):
        while True:
            n = int.from_bytes(await reader.readexactly(2), "big")
            tunnel.put(await reader.readexactly(n))

    async def end(sock, address):
        reader, writer = await asyncio.open_connection(sock=sock)

        def send(packet):
            if writer.transport.get_write_buffer_size() > 100000:
                return False
            writer.write(len(packet).to_bytes(2, "big") + bytes(packet))
            return True

        stack = Stack()
        tunnel = Tunnel(send, slots=64)
        stack.add(tunnel, address + "/24")
        return stack, asyncio.ensure_future(pump(reader, tunnel)), writer

    async def main():
        left, right = socket.socketpair()
        a, task_a, writer_a = await end(left, A)
        b, task_b, writer_b = await end(right, B)
        await exchange(a, b)
        task_a.cancel()
        task_b.cancel()
        writer_a.close()
        writer_b.close()
        a.close()
        b.close()

    asyncio.run(asyncio.wait_for(main(), 60))
