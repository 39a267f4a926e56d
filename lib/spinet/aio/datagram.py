"""UDP endpoints as asyncio transports."""
import asyncio
from collections import deque

from spinet.addr import fmt
from spinet.errors import EAGAIN, os_error
from spinet.service import public
from spinet.sockbase import SOCK_DGRAM
from spinet.sockdgram import DatagramSocket

_HIGH = 65536


class DatagramTransport(asyncio.DatagramTransport):
    """The transport of one UDP endpoint; what a busy port does not take waits here, bounded."""

    def __init__(self, pump, endpoint, protocol):
        super().__init__()
        self._pump = pump
        self._endpoint = endpoint
        self._protocol = protocol
        self._queue = deque()
        self._size = 0
        self._paused = False
        self._closing = self._lost = False
        self._ready = False
        self._buf = bytearray(65535)
        pump.loop.call_soon(self._begin)

    def _begin(self):
        self._protocol.connection_made(self)
        self._endpoint.waiter = self
        self()

    def get_extra_info(self, name, default=None):
        """"sockname", "peername" or "socket"."""
        if name not in ("sockname", "peername", "socket"):
            return default
        s = DatagramSocket(self._pump.stack, self._endpoint, SOCK_DGRAM)
        s.shared = True
        if name == "socket":
            return s
        if name == "sockname":
            return s.getsockname()
        e = self._endpoint
        return (fmt(e.remote), e.remote_port) if e.remote else default

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_protocol(self):
        return self._protocol

    def __call__(self):
        """A datagram has come, or an error."""
        if not self._ready:
            self._ready = True
            self._pump.ready.append(self)
            self._pump.soon()

    def serve(self):
        """Hand on what has come, send what waits."""
        self._ready = False
        endpoint = self._endpoint
        buf = self._buf
        while not self._closing:
            if endpoint.error:
                error = endpoint.error
                endpoint.error = 0
                self._protocol.error_received(os_error(error))
            n = endpoint.recv_into(buf, 0, len(buf))
            if n < 0:
                break
            self._protocol.datagram_received(
                bytes(buf[:n]), (fmt(endpoint.peer), endpoint.peer_port))
        if self._queue:
            self._flush()

    def sendto(self, data, addr=None):
        """Send one datagram to `addr`, (address, port), or to the connected peer."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("data is bytes, bytearray or memoryview, not " + type(data).__name__)
        if self._lost:
            return
        if self._endpoint.remote is not None and addr is not None:
            peer = fmt(self._endpoint.remote), self._endpoint.remote_port
            if tuple(addr[:2]) != peer:
                raise ValueError("the peer is %s:%d" % peer)
            addr = None
        self._queue.append((bytes(data), addr))
        self._size += len(data)
        self._flush()
        if self._size > _HIGH and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _flush(self):
        pump = self._pump
        pump.now()
        while self._queue:
            data, addr = self._queue[0]
            try:
                if addr is None:
                    self._endpoint.send(data, 0, len(data))
                else:
                    self._endpoint.sendto(data, 0, len(data), pump.address(addr[0]), addr[1])
            except OSError as e:
                if e.errno == EAGAIN:
                    pump.loop.call_later(0.001, self)   # the port is busy
                    return
                self._protocol.error_received(e)
            self._queue.popleft()
            self._size -= len(data)
        pump.soon()
        if self._paused and self._size <= _HIGH >> 2:
            self._paused = False
            self._protocol.resume_writing()
        if self._closing:
            self._end()

    def get_write_buffer_size(self):
        return self._size

    def is_closing(self):
        return self._closing

    def close(self):
        """Send what waits, and close."""
        if not self._closing:
            self._closing = True
            if not self._queue:
                self._end()

    def abort(self):
        """Close at once."""
        self._closing = True
        self._end()

    def _end(self):
        if not self._lost:
            self._lost = True
            self._queue.clear()
            self._endpoint.waiter = None
            self._endpoint.close()
            self._pump.loop.call_soon(self._protocol.connection_lost, None)


public(DatagramTransport, "sendto", "close", "abort")
