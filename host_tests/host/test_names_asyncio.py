"""Names in asyncio on CPython: the event loop asks a stack's own resolver."""
import asyncio
import socket

import pytest

from spinet import aio, dns, mdns

A, B = "10.0.0.1", "10.0.0.2"


class Dns(asyncio.DatagramProtocol):
    """A server that knows one name."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        known = b"\4peer\4test\0" in data
        head = data[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + (
            b"\0\1" if known else b"\0\0") + b"\0\0\0\0"
        question = data[12:data.index(b"\0", 12) + 5]
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\2" if known else b""
        self.transport.sendto(head + question + answer, peer)


async def echo(reader, writer):
    writer.write(await reader.read(100))
    writer.close()


async def talk(host, stack):
    reader, writer = await aio.open_connection(host, 80, stack=stack)
    writer.write(b"hello")
    data = await reader.read(100)
    writer.close()
    return data


def test_connects_to_names(hosts):
    a, b = hosts
    a.dns_servers = [b"\x0a\0\0\2"]

    async def main():
        await aio.create_datagram_endpoint(Dns, (B, 53), stack=b)
        server = await aio.start_server(echo, B, 80, stack=b)
        dns.resolver(a).hosts["listed"] = B
        mdns.mdns(b).host("board")
        for host in ("peer.test", "listed", "board.local"):
            assert await talk(host, a) == b"hello", host
        for host in ("nobody.test", "nobody.invalid"):
            with pytest.raises(socket.gaierror):
                await talk(host, a)
        server.close()

    asyncio.run(asyncio.wait_for(main(), 30))
