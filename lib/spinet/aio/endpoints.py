"""The functions of asyncio that make transports, on a stack."""
import asyncio

from spinet.aio.datagram import DatagramTransport
from spinet.aio.pump import pump_of
from spinet.aio.server import Server, secure
from spinet.aio.stream import StreamTransport, connected
from spinet.sockbase import ANY
from spinet.socket import default


def _current():
    """The stack of the running loop, if it has one; else the default stack."""
    return getattr(asyncio.get_running_loop(), "stack", None) or default()


async def create_connection(protocol_factory, host=None, port=None, *, stack=None, ssl=None,
                            local_addr=None, server_hostname=None, ssl_handshake_timeout=None,
                            **ignored):
    """Connect to `host`, `port`: `(transport, protocol)`.  OSError when it cannot be."""
    if server_hostname is not None and not ssl:
        raise ValueError("server_hostname is of use with ssl only")
    pump = pump_of(stack or _current())
    addr = await pump.resolve(host or "127.0.0.1")
    local, lport = None, 0
    if local_addr is not None:
        local, lport = await pump.resolve(local_addr[0] or "0.0.0.0"), local_addr[1]
        local = None if local == ANY else local
    conn = pump.connect(addr, port, local, lport)
    await connected(pump, conn)
    return await attach(pump, conn, protocol_factory, ssl, server_hostname or host or "",
                        ssl_handshake_timeout)


async def attach(pump, conn, protocol_factory, ssl, server_hostname, handshake_timeout=None):
    """An open connection as `(transport, protocol)`, TLS begun if `ssl` says so."""
    protocol = protocol_factory()
    if not ssl:
        waiter = pump.loop.create_future()
        transport = StreamTransport(pump, conn, protocol)
        pump.loop.call_soon(waiter.set_result, None)
        await waiter
        return transport, protocol
    if ssl is True:
        import ssl as tls

        ssl = tls.create_default_context()
    waiter = pump.loop.create_future()
    below = secure(pump.loop, protocol, ssl, waiter, server_hostname,
                   handshake_timeout=handshake_timeout)
    transport = StreamTransport(pump, conn, below)
    try:
        await waiter
    except BaseException:
        transport.abort()
        raise
    return below._app_transport, protocol


async def create_server(protocol_factory, host=None, port=None, *, stack=None, backlog=100,
                        ssl=None, ssl_handshake_timeout=None, start_serving=True, **ignored):
    """Listen to `port` (0: any) at `host` (None or "": every address): a `Server`."""
    pump = pump_of(stack or _current())
    if isinstance(host, (list, tuple)):
        host = host[0]
    addr = await pump.resolve(host) if host else ANY
    server = Server(pump, protocol_factory, None if addr == ANY else addr, port or 0, backlog,
                    ssl, ssl_handshake_timeout)
    if start_serving:
        await server.start_serving()
        await asyncio.sleep(0)
    return server


async def create_datagram_endpoint(protocol_factory, local_addr=None, remote_addr=None, *,
                                   stack=None, allow_broadcast=None, reuse_port=None, rcvbuf=0,
                                   **ignored):
    """A UDP endpoint: `(transport, protocol)`."""
    pump = pump_of(stack or _current())
    remote = await pump.resolve(remote_addr[0]) if remote_addr else None
    local = await pump.resolve(local_addr[0] or "0.0.0.0") if local_addr else ANY
    endpoint = pump.stack.udp.endpoint(rcvbuf)
    endpoint.broadcast = bool(allow_broadcast)
    endpoint.reuse = bool(reuse_port)
    pump.now()
    try:
        if local_addr or remote is None:
            endpoint.bind(None if local == ANY else local, local_addr[1] if local_addr else 0)
        if remote is not None:
            endpoint.connect(remote, remote_addr[1])
    except BaseException:
        endpoint.close()
        raise
    protocol = protocol_factory()
    transport = DatagramTransport(pump, endpoint, protocol)
    await asyncio.sleep(0)
    return transport, protocol


async def open_connection(host=None, port=None, *, limit=65536, **options):
    """Connect: `(reader, writer)`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await create_connection(lambda: protocol, host, port, **options)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def start_server(client_connected_cb, host=None, port=None, *, limit=65536, **options):
    """Listen, and call `client_connected_cb(reader, writer)` for each connection: a `Server`."""
    loop = asyncio.get_running_loop()

    def factory():
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

    return await create_server(factory, host, port, **options)
