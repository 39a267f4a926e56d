"""Connections as asyncio transports."""
import asyncio

from spinet.errors import ECONNABORTED, EINPROGRESS, os_error
from spinet.service import public
from spinet.sockstream import StreamSocket
from spinet.tcp.states import CLOSED, NODELAY

_HIGH = 65536       # bytes written and not yet taken by TCP above which the protocol is paused
_MOST = 262144      # bytes given to a protocol before the others have a turn


class StreamTransport(asyncio.Transport):
    """The transport of one established connection.  `server` is where it was accepted.

    Data are handed to the protocol as TCP receives them; pausing the reading lets the receive ring
    fill, which closes the window of the peer.  What TCP's send ring has no room for waits here.
    """

    _start_tls_compatible = True

    def __init__(self, pump, conn, protocol, server=None):
        super().__init__()
        self._pump = pump
        self._loop = pump.loop
        self._conn = conn
        self._server = server
        self._queue = bytearray()
        self._low = _HIGH >> 2
        self._high = _HIGH
        self._paused = False            # the protocol was told to pause writing
        self._reading = True
        self._eof = False               # write_eof was called
        self._closing = False
        self._ended = False             # eof_received was called
        self._lost = False              # connection_lost was, or will be
        self._ready = False
        self._socket = None
        conn.flags |= NODELAY
        self.set_protocol(protocol)
        if server is not None:
            server._attach(self)
        self._loop.call_soon(self._begin)

    def _begin(self):
        self._protocol.connection_made(self)
        if not self._lost:
            self._conn.waiter = self
            self()

    # -- the protocol -------------------------------------------------------

    def set_protocol(self, protocol):
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self):
        return self._protocol

    def get_extra_info(self, name, default=None):
        """"peername", "sockname", "socket" (a spinet.socket) or "conn" (the connection itself)."""
        conn = self._conn
        if name == "conn":
            return conn
        if name not in ("peername", "sockname", "socket"):
            return default
        if self._socket is None:
            self._socket = StreamSocket(self._pump.stack, conn)
            self._socket.setblocking(False)
            self._socket.shared = True
        if name == "socket":
            return self._socket
        return self._socket.getpeername() if name == "peername" else self._socket.getsockname()

    # -- events -------------------------------------------------------------

    def __call__(self):
        """Something has happened to the connection: `serve` it after the poll."""
        if not self._ready:
            self._ready = True
            self._pump.ready.append(self)
            self._pump.soon()

    def serve(self):
        """Move what can be moved."""
        self._ready = False
        if self._lost:
            return
        try:
            if self._queue or self._closing or self._eof:
                self._flush()
            if self._reading and not self._closing:
                self._receive()
            if self._conn.state == CLOSED and not self._lost and not self._conn.r_len:
                self._gone()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as e:
            self._fatal(e, "Fatal error in a protocol")

    def _gone(self):
        """The connection has ended, by the peer, a time-out, or in peace."""
        error = self._conn.take_error()
        if error:
            self._end(os_error(error))
        elif self._ended or not self._reading or self._closing:
            self._end(None)

    def _receive(self):
        conn = self._conn
        most = _MOST
        while self._reading and not self._closing and most > 0:
            n = conn.readable()
            if n < 0:
                return
            if n == 0:
                if not conn.error:
                    self._receive_eof()
                return
            self._pump.now()
            if self._buffered:
                buf = self._protocol.get_buffer(n)
                n = conn.recv_into(buf, 0, min(n, len(buf)))
                self._protocol.buffer_updated(n)
            else:
                buf = bytearray(n)
                conn.recv_into(buf, 0, n)
                self._protocol.data_received(bytes(buf))
            most -= n
        if conn.readable() >= 0:
            self()

    def _receive_eof(self):
        if self._ended:
            return
        self._ended = True
        if not self._protocol.eof_received():
            self.close()

    # -- reading ------------------------------------------------------------

    def is_reading(self):
        return self._reading and not self._closing

    def pause_reading(self):
        self._reading = False

    def resume_reading(self):
        if not self._closing and not self._reading:
            self._reading = True
            self()

    # -- writing ------------------------------------------------------------

    def write(self, data):
        """Send `data`, now or as soon as there is room."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("data is bytes, bytearray or memoryview, not " + type(data).__name__)
        if self._eof:
            raise RuntimeError("write after write_eof")
        if self._lost or self._closing or not data:
            return
        if isinstance(data, memoryview):
            data = data.cast("B") if data.format != "B" or data.ndim != 1 else data
        n = len(data)
        at = 0
        if not self._queue:
            at = self._send(data, n)
            if at < 0:
                return
            self._pump.soon()
        if at < n:
            self._queue += memoryview(data)[at:]
            if len(self._queue) > self._high and not self._paused:
                self._paused = True
                self._protocol.pause_writing()

    def _send(self, data, n):
        """Give the connection what it takes of `data[:n]`: how much, -1 if it is no more."""
        conn = self._conn
        self._pump.now()
        at = 0
        try:
            while at < n:
                took = conn.send(data, at, n)
                if not took:
                    break
                at += took
        except OSError as e:
            self._fatal(e)
            return -1
        return at

    def _flush(self):
        queue = self._queue
        at = self._send(queue, len(queue))
        if at < 0:
            return
        if at:
            del queue[:at]
        if self._paused and len(queue) <= self._low:
            self._paused = False
            self._protocol.resume_writing()
        if not queue:
            if self._closing:
                self._end(None)
            elif self._eof:
                self._conn.shutdown()

    def can_write_eof(self):
        return True

    def write_eof(self):
        """Send no more, but go on reading."""
        if self._eof or self._closing:
            return
        self._eof = True
        if not self._queue:
            self._pump.now()
            self._conn.shutdown()
            self._pump.soon()

    def get_write_buffer_size(self):
        """Bytes that TCP has not taken yet; what is in its send ring is not counted."""
        return len(self._queue)

    def get_write_buffer_limits(self):
        return self._low, self._high

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = _HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError("high (%r) must be >= low (%r) must be >= 0" % (high, low))
        self._high = high
        self._low = low
        if not self._paused and len(self._queue) > high:
            self._paused = True
            self._protocol.pause_writing()

    # -- the end ------------------------------------------------------------

    def is_closing(self):
        return self._closing

    def close(self):
        """Read no more, send what was written, and close."""
        if self._closing:
            return
        self._closing = True
        if not self._queue:
            self._end(None)

    def abort(self):
        """Close at once: the peer is reset, what was written may be lost."""
        self._end(None, True)

    def _force_close(self, error):
        # What asyncio's TLS calls when it fails.
        self._end(error, True)

    def _fatal(self, error, message="Fatal error on transport"):
        if not isinstance(error, OSError):
            self._loop.call_exception_handler({
                "message": message, "exception": error, "transport": self,
                "protocol": self._protocol})
        self._end(error, True)

    def _end(self, error, abort=False):
        """The transport ends: `connection_lost(error)` in the loop's next turn."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._queue.clear()
        conn = self._conn
        conn.waiter = None
        self._pump.now()
        if abort:
            conn.abort()
        else:
            conn.close()
        self._pump.soon()
        self._loop.call_soon(self._finish, error)

    def _finish(self, error):
        try:
            self._protocol.connection_lost(error)
        finally:
            if self._server is not None:
                self._server._detach(self)
                self._server = None

    def __repr__(self):
        return "<StreamTransport %s%s>" % (
            "closing " if self._closing else "", self._conn.info()["state"])


async def connected(pump, conn):
    """Wait until `conn` is open; raises OSError if it cannot be."""
    waiter = conn.waiter = Waiter(pump)
    try:
        while True:
            error = conn.connect_error()
            if error != EINPROGRESS:
                if error or conn.state == CLOSED:
                    raise os_error(error or ECONNABORTED)
                return
            await waiter.wait()
    except BaseException:
        pump.abort(conn)
        raise


class Waiter:
    """A future for what happens to a connection, a listener or an endpoint."""

    def __init__(self, pump):
        self._pump = pump
        self._future = None
        self._told = False      # since the last `wait`, perhaps before there was a future

    def __call__(self):
        self._told = True
        future = self._future
        if future is not None and not future.done():
            if self._pump.elsewhere():
                self._pump.loop.call_soon_threadsafe(self)
            else:
                future.set_result(None)

    async def wait(self):
        """Until it is called, or at once if it was: look again then."""
        self._future = self._pump.loop.create_future()
        if not self._told:
            self._pump.soon()
            await self._future
        self._told = False


public(StreamTransport, "write", "write_eof", "close", "abort", "_force_close", "resume_reading")
