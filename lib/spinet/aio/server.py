"""Listening for asyncio protocols."""
import asyncio
from asyncio import sslproto

from spinet.aio.stream import StreamTransport
from spinet.service import public
from spinet.sockstream import StreamSocket


def secure(loop, protocol, context, waiter, server_hostname=None, server_side=False,
           handshake_timeout=None):
    """The protocol that speaks TLS below `protocol`, as asyncio's own transports have it."""
    return sslproto.SSLProtocol(loop, protocol, context, waiter, server_side, server_hostname,
                                ssl_handshake_timeout=handshake_timeout)


class Server(asyncio.AbstractServer):
    """One listening address; the interface of `asyncio.Server`."""

    def __init__(self, pump, factory, addr, port, backlog, ssl=None, ssl_handshake_timeout=None):
        self._pump = pump
        self._factory = factory
        self._address = addr, port
        self._backlog = backlog
        self._ssl = ssl
        self._handshake_timeout = ssl_handshake_timeout
        self._listener = None
        self._transports = set()
        self._closed = False
        self._forever = None
        self._waiters = []
        self._ready = False
        self._open()

    def _open(self):
        self._listener = self._pump.listen(*self._address, self._backlog)
        self._address = self._address[0], self._listener.port

    @property
    def sockets(self):
        """A tuple with the listening socket."""
        if self._closed:
            return ()
        s = StreamSocket(self._pump.stack)
        s.listener = self._listener
        s.shared = True
        return (s,)

    def get_loop(self):
        return self._pump.loop

    def is_serving(self):
        return self._listener.waiter is not None

    async def start_serving(self):
        """Begin to accept; until then connections wait in the backlog."""
        if self._closed:
            raise RuntimeError("the server is closed")
        self._listener.waiter = self
        self()

    async def serve_forever(self):
        """Serve until cancelled, then close."""
        if self._forever is not None:
            raise RuntimeError("serve_forever is being called already")
        await self.start_serving()
        self._forever = self._pump.loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()

    def __call__(self):
        """Somebody can be accepted."""
        if not self._ready:
            self._ready = True
            self._pump.ready.append(self)
            self._pump.soon()

    def serve(self):
        """Accept all who wait."""
        self._ready = False
        while not self._closed:
            conn = self._listener.accept()
            if conn is None:
                return
            protocol = self._factory()
            if self._ssl is not None:
                protocol = secure(self._pump.loop, protocol, self._ssl, None, server_side=True,
                                  handshake_timeout=self._handshake_timeout)
            StreamTransport(self._pump, conn, protocol, self)

    def _attach(self, transport):
        self._transports.add(transport)

    def _detach(self, transport):
        self._transports.discard(transport)
        self._wake()

    def _wake(self):
        if self._closed and not self._transports:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    def close(self):
        """Accept no more; what was accepted goes on.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._pump.now()
        self._listener.waiter = None
        self._listener.close()
        self._pump.soon()
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    def close_clients(self):
        """Close what was accepted."""
        for transport in tuple(self._transports):
            transport.close()

    def abort_clients(self):
        """Reset what was accepted."""
        for transport in tuple(self._transports):
            transport.abort()

    async def wait_closed(self):
        """Until the server is closed and all that it accepted has ended."""
        if self._closed and not self._transports:
            return
        waiter = self._pump.loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        self.close()
        await self.wait_closed()


public(Server, "close", "close_clients", "abort_clients")
