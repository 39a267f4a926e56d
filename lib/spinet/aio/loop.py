"""An event loop whose connections go through a stack: for code that knows only asyncio."""
import asyncio
import contextlib
import contextvars
import socket

from spinet.addr import fmt
from spinet.aio import endpoints
from spinet.aio.pump import pump_of
from spinet.aio.stream import Waiter
from spinet.errors import EAGAIN, EINPROGRESS
from spinet.sockbase import Socket
from spinet.sockstream import StreamSocket
from spinet.socket import default


_using = contextvars.ContextVar("spinet stack", default=None)


@contextlib.contextmanager
def using(stack):
    """Within, and in the tasks begun within, an `EventLoop` uses `stack` instead of its own."""
    token = _using.set(stack)
    try:
        yield
    finally:
        _using.reset(token)


class EventLoop(asyncio.SelectorEventLoop):
    """A selector loop in which `create_connection`, `create_server`, `create_datagram_endpoint`,
    `getaddrinfo` and the `sock_` methods, for sockets of spinet's, use `stack`.

    What is given a socket of the system's still uses that.
    """

    def __init__(self, stack, selector=None):
        super().__init__(selector)
        self._stack = stack
        self.pumps = []

    @property
    def stack(self):
        """The stack that connections of the running task go through."""
        return _using.get() or self._stack

    def run_forever(self):
        pump_of(self._stack, self)      # from now on its sockets have descriptors, for example
        super().run_forever()

    def close(self):
        """Close the loop; its stacks stay, without being polled."""
        for pump in self.pumps:
            pump.stop()
        super().close()

    async def create_connection(self, protocol_factory, host=None, port=None, *, ssl=None,
                                sock=None, server_hostname=None, **options):
        if sock is None:
            return await endpoints.create_connection(
                protocol_factory, host, port, stack=self.stack, ssl=ssl,
                server_hostname=server_hostname, **options)
        if not isinstance(sock, StreamSocket):
            return await super().create_connection(
                protocol_factory, ssl=ssl, sock=sock, server_hostname=server_hostname, **options)
        sock.shared = True      # the connection is the transport's
        return await endpoints.attach(
            pump_of(sock.stack, self), sock.conn, protocol_factory, ssl, server_hostname or "",
            options.get("ssl_handshake_timeout"))

    async def create_server(self, protocol_factory, host=None, port=None, *, sock=None, **options):
        if sock is not None and not isinstance(sock, Socket):
            return await super().create_server(protocol_factory, sock=sock, **options)
        if sock is not None:
            host, port = sock.getsockname()
            sock.close()
        return await endpoints.create_server(
            protocol_factory, host, port, stack=self.stack, **options)

    async def create_datagram_endpoint(self, protocol_factory, local_addr=None, remote_addr=None,
                                       *, sock=None, **options):
        if sock is not None:
            return await super().create_datagram_endpoint(protocol_factory, sock=sock, **options)
        return await endpoints.create_datagram_endpoint(
            protocol_factory, local_addr, remote_addr, stack=self.stack, **options)

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        """Of names too, as the stack resolves them; IPv4 only."""
        if isinstance(host, bytes):
            host = host.decode()
        if family not in (0, socket.AF_INET):
            raise socket.gaierror(socket.EAI_NONAME, "spinet has IPv4 only")
        addr = await pump_of(self.stack, self).resolve(
            host or ("0.0.0.0" if flags & socket.AI_PASSIVE else "127.0.0.1"))
        if isinstance(port, (str, bytes)):
            port = int(port) if port.isdigit() else socket.getservbyname(port)
        kinds = ((socket.SOCK_STREAM, 6), (socket.SOCK_DGRAM, 17))
        return [(socket.AF_INET, socket.SocketKind(kind), number, "", (fmt(addr), port or 0))
                for kind, number in kinds
                if type in (0, kind) and proto in (0, number)]

    async def _until(self, sock, thing, attempt):
        """Call `attempt` whenever something happens to `thing`, until it need not wait."""
        waiter = Waiter(pump_of(sock.stack, self))
        before, thing.waiter = thing.waiter, waiter
        try:
            while True:
                try:
                    return attempt()
                except OSError as e:
                    if e.errno not in (EAGAIN, EINPROGRESS):
                        raise
                await waiter.wait()
        finally:
            thing.waiter = before
            if before is not None:
                before()

    async def sock_connect(self, sock, address):
        if not isinstance(sock, Socket):
            return await super().sock_connect(sock, address)
        pump = pump_of(sock.stack, self)
        address = fmt(await pump.resolve(address[0])), address[1]
        if not isinstance(sock, StreamSocket):
            return sock.connect(address)
        sock.setblocking(False)
        error = sock.connect_ex(address)
        if error == EINPROGRESS:
            def attempt():
                error = sock.conn.connect_error()
                if error:
                    raise OSError(error, "connect")

            await self._until(sock, sock.conn, attempt)
        elif error:
            raise OSError(error, "connect")

    async def sock_accept(self, sock):
        if not isinstance(sock, Socket):
            return await super().sock_accept(sock)
        conn, address = await self._until(sock, sock.listener, sock.accept)
        conn.setblocking(False)
        return conn, address

    async def sock_recv(self, sock, n):
        if not isinstance(sock, Socket):
            return await super().sock_recv(sock, n)
        return await self._until(sock, _thing(sock), lambda: sock.recv(n))

    async def sock_recv_into(self, sock, buf):
        if not isinstance(sock, Socket):
            return await super().sock_recv_into(sock, buf)
        return await self._until(sock, _thing(sock), lambda: sock.recv_into(buf))

    async def sock_recvfrom(self, sock, bufsize):
        if not isinstance(sock, Socket):
            return await super().sock_recvfrom(sock, bufsize)
        return await self._until(sock, _thing(sock), lambda: sock.recvfrom(bufsize))

    async def sock_sendall(self, sock, data):
        if not isinstance(sock, Socket):
            return await super().sock_sendall(sock, data)
        view = memoryview(data).cast("B")
        while len(view):
            n = await self._until(sock, _thing(sock), lambda: sock.send(view))   # noqa: B023
            view = view[n:]

    async def sock_sendto(self, sock, data, address):
        if not isinstance(sock, Socket):
            return await super().sock_sendto(sock, data, address)
        return await self._until(sock, _thing(sock), lambda: sock.sendto(data, address))


def _thing(sock):
    """What has the `waiter` of a socket."""
    return sock.conn if isinstance(sock, StreamSocket) else sock.endpoint


def run(main, stack=None):
    """As `asyncio.run(main)`, with every connection of the loop's through `stack`."""
    loop = EventLoop(stack or default())
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
