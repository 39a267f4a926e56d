"""TCP sockets."""
from spinet.addr import fmt
from spinet.errors import (
    EAGAIN, EALREADY, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, ETIMEDOUT, os_error,
)
from spinet.sockbase import (
    ANY, ERR, HUP, IP_TOS, IP_TTL, IPPROTO_IP, IPPROTO_TCP, MSG_DONTWAIT, MSG_PEEK, RD, SHUT_RD,
    SHUT_RDWR, SHUT_WR, SO_LINGER, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET,
    TCP_MAXSEG, WR, Socket, octets, pump, resolve,
)
from spinet.tcp.states import CARRIES, CLOSED, CLOSING, ESTABLISHED


class StreamSocket(Socket):
    """A TCP socket."""

    type = SOCK_STREAM
    proto = IPPROTO_TCP

    listener = None
    _local = (None, 0)
    _options = None     # what setsockopt said
    _deaf = False       # shut down for reading: what has come is read, then the stream ends

    def __init__(self, stack, conn=None):
        Socket.__init__(self, stack)
        self.conn = conn

    def _owned(self):
        return [thing for thing in (self.listener, self.conn) if thing is not None]

    # -- opening ------------------------------------------------------------

    def bind(self, address):
        """Choose the local address, (host, port); "" is every address, 0 any free port."""
        self._begin()
        if self.conn is not None or self.listener is not None:
            raise os_error(EINVAL)
        addr, port = resolve(address, self)
        if addr == ANY:
            addr = None
        else:
            self.stack.check_own(addr)
        self._local = (addr, port)
        self.stack.tcp.check_free(addr, port)

    def listen(self, backlog=5):
        """Wait for connections; at most `backlog` that nobody has accepted."""
        self._begin()
        if self.conn is not None:
            raise os_error(EINVAL)
        if self.listener is not None:
            self.listener.backlog = max(backlog, 1)
        else:
            self.listener = self.stack.tcp.listen(self._local[0], self._local[1], backlog)
            self._inherit()
            self._owns(self.listener)

    def accept(self):
        """`(socket, (host, port))` of the next connection."""
        began = self._begin()
        if self.listener is None:
            raise os_error(EINVAL)
        conn = self.listener.accept()
        while conn is None:
            if self.timeout_ms == 0:
                self.stack.poll()
            else:
                pump(self, began)
            conn = self.listener.accept()
            if conn is None and self.timeout_ms == 0:
                raise os_error(EAGAIN)
        s = StreamSocket(self.stack, conn)
        s._owns(conn)
        if self._options:
            s._options = list(self._options)
            s._apply(s._options)
        return s, s.getpeername()

    def connect(self, address):
        """Open a connection to `address`, (host, port).

        Without waiting: EINPROGRESS, then EALREADY until it is open, then EISCONN.
        """
        began = self._begin()
        if self.listener is not None:
            raise os_error(EINVAL)
        conn = self.conn
        if conn is not None:
            error = conn.connect_error()
            raise os_error(EALREADY if error == EINPROGRESS else error or EISCONN)
        addr, port = resolve(address, self)
        if addr == ANY:
            addr = b"\x7f\0\0\1"
        self.conn = conn = self.stack.tcp.connect(
            addr, port, self._local[0], self._local[1], self._option(IPPROTO_IP, IP_TTL, 64),
            self._option(IPPROTO_IP, IP_TOS, 0), self._option(SOL_SOCKET, SO_RCVBUF, 0),
            self._option(SOL_SOCKET, SO_SNDBUF, 0), self._option(IPPROTO_TCP, TCP_MAXSEG, 0))
        self._owns(conn)
        self._apply(self._options)
        if self.timeout_ms == 0:
            raise os_error(EINPROGRESS)
        error = EINPROGRESS
        try:
            while error == EINPROGRESS:
                pump(self, began)
                error = conn.connect_error()
        except BaseException:
            conn.abort()
            self.conn = None
            raise
        if error:
            self.conn = None
            raise os_error(error)

    def connect_ex(self, address):
        """As `connect`, but the error is returned."""
        try:
            self.connect(address)
        except OSError as e:
            return e.errno
        return 0

    # -- data ---------------------------------------------------------------

    def _connected(self):
        began = self._begin()
        if self.conn is None:
            raise os_error(ENOTCONN)
        return began

    def recv_into(self, buf, n=0, flags=0):
        """Read at least one byte, at most `n` (0: all that fits), into `buf`; 0 at the end."""
        began = self._connected()
        conn = self.conn
        size = len(buf)
        if n == 0 or n > size:
            n = size
        if n == 0:
            return 0
        while True:
            if flags & MSG_PEEK:
                got = conn.peek_into(buf, 0, n)
            else:
                got = conn.recv_into(buf, 0, n)
            if got >= 0:
                return got
            if self._deaf:
                return 0
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                self.stack.poll()
                if conn.readable() < 0:
                    raise os_error(EAGAIN)
            else:
                pump(self, began)

    def recv(self, n, flags=0):
        """Read at least one byte, at most `n`; b"" at the end of the stream."""
        began = self._connected()
        conn = self.conn
        while conn.readable() < 0 and n and not self._deaf:
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                self.stack.poll()
                if conn.readable() < 0:
                    raise os_error(EAGAIN)
            else:
                pump(self, began)
        have = max(conn.readable(), 0)
        buf = bytearray(n if n < have else have)
        if flags & MSG_PEEK:
            conn.peek_into(buf, 0, len(buf))
        else:
            conn.recv_into(buf, 0, len(buf))
        return bytes(buf)

    def recvfrom(self, n, flags=0):
        """`(data, None)`: a stream has one peer."""
        return self.recv(n, flags), None

    def read(self, n=-1):
        """Read `n` bytes, or up to the end; fewer only at the end, None if there is nothing yet."""
        parts = []
        while n:
            try:
                part = self.recv(n if 0 < n < 4096 else 4096)
            except OSError as e:
                if e.errno != EAGAIN:
                    raise
                if not parts:
                    return None
                break
            if not part:
                break
            parts.append(part)
            if n > 0:
                n -= len(part)
        return b"".join(parts)

    def readline(self, limit=-1):
        """Read up to and with the next newline, at most `limit` bytes; None if nothing yet."""
        line = b""
        while limit < 0 or len(line) < limit:
            try:
                part = self.recv(256 if limit < 0 else min(256, limit - len(line)), MSG_PEEK)
            except OSError as e:
                if e.errno != EAGAIN:
                    raise
                return line or None
            i = part.find(b"\n") + 1
            if i:
                part = part[:i]
            line += part
            if part:
                self.conn.consume(len(part))
            if i or not part:
                break
        return line

    def _write(self, data, start, end, flags=0):
        began = self._connected()
        conn = self.conn
        at = start
        while True:
            at += conn.send(data, at, end)
            if at >= end:
                return at - start
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                if at == start:
                    self.stack.poll()
                    at += conn.send(data, at, end)
                return at - start or None
            pump(self, began)

    def send(self, data, flags=0):
        """Send `data`; how many bytes were taken, at least one (EAGAIN or ETIMEDOUT otherwise).

        A call that may wait takes all, as the kernel's do: programs rely on it.  A time-out cuts
        that short.
        """
        began = self._connected()
        data = octets(data)
        end = len(data)
        conn = self.conn
        n = 0
        while True:
            n += conn.send(data, n, end)
            if n >= end:
                return n
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                if n:
                    return n
                self.stack.poll()
                if not conn.writable():
                    raise os_error(EAGAIN)
            else:
                try:
                    pump(self, began)
                except OSError as e:
                    if n and e.errno == ETIMEDOUT:
                        return n
                    raise

    def sendall(self, data, flags=0):
        """Send all of `data`."""
        data = octets(data)
        n = self._write(data, 0, len(data), flags)
        if n is None or n < len(data):
            raise os_error(EAGAIN)

    def sendto(self, data, *args):
        """As `send`: a stream has one peer."""
        return self.send(data)

    # -- the rest -----------------------------------------------------------

    def shutdown(self, how):
        """Send no more (SHUT_WR), read no more (SHUT_RD), or both."""
        self._connected()
        if not SHUT_RD <= how <= SHUT_RDWR:
            raise os_error(EINVAL)
        if how != SHUT_WR:
            self._deaf = True
        if how != SHUT_RD:
            self.conn.shutdown()

    def really_close(self):
        """What was sent is still delivered while the stack is polled.

        With SO_LINGER of some seconds a socket that may wait does so, until all that was sent is
        acknowledged or the time is up.
        """
        began = self._begin()
        if self.listener is not None:
            self.listener.close()
        conn = self.conn
        if conn is not None:
            linger = self._option(SOL_SOCKET, SO_LINGER, None)
            if linger == 0:
                conn.abort()
            else:
                conn.close()
                if linger and self.timeout_ms:
                    self._linger(conn, began, 1000 * linger)
        self.stack = None

    def _linger(self, conn, began, ms):
        self.timeout_ms = ms
        try:
            while CARRIES >> conn.state & 1:
                pump(self, began)
        except OSError:
            pass    # the time is up: the rest is delivered as usual

    def getsockname(self):
        """The local `(host, port)`."""
        if self.conn is not None:
            return fmt(self.conn.path.src), self.conn.lport()
        if self.listener is not None:
            return fmt(self.listener.addr or ANY), self.listener.port
        return fmt(self._local[0] or ANY), self._local[1]

    def getpeername(self):
        """The peer's `(host, port)`."""
        if self.conn is None:
            raise os_error(ENOTCONN)
        return fmt(self.conn.path.dst), self.conn.rport()

    def _option(self, level, option, otherwise):
        for known in self._options or ():
            if known[0] == level and known[1] == option:
                return known[2]
        return otherwise

    def setsockopt(self, level, option, value):
        """Set an option; what a listening socket has, its accepted ones inherit.

        SO_KEEPALIVE, SO_LINGER, SO_RCVBUF, SO_SNDBUF (the exact sizes of the rings), TCP_NODELAY,
        TCP_QUICKACK, TCP_MAXSEG, TCP_USER_TIMEOUT (ms), TCP_KEEPIDLE, TCP_KEEPINTVL (s),
        TCP_KEEPCNT, TCP_CONGESTION ("reno", "cubic", "none"), IP_TTL, IP_TOS.  A SO_LINGER of zero
        seconds (`struct.pack("ii", 1, 0)`) makes `close` reset.  20: a callback, see sockcall.py.
        """
        self._begin()
        if level == SOL_SOCKET and option == SO_REUSEADDR and value == 1 and not self._options:
            return      # all that most servers set, and so it is: no reason to load the rest
        from spinet.streamopt import set_option

        set_option(self, level, option, value)

    def getsockopt(self, level, option, buflen=0):
        """The value of an option, as `buflen` bytes if that is not 0.

        SO_ERROR reports an error once.  TCP_INFO is the dict that `Conn.info` returns.
        """
        from spinet.streamopt import get_option

        return get_option(self, level, option, buflen)

    def _apply(self, options):
        """Make the connection do what options say that were set before there was one."""
        if options:
            from spinet.streamopt import apply

            for option in options:
                apply(self, *option)

    def _inherit(self):
        """Tell the listener what a connection must know before it is open."""
        listener = self.listener
        listener.rcvbuf = self._option(SOL_SOCKET, SO_RCVBUF, 0)
        listener.sndbuf = self._option(SOL_SOCKET, SO_SNDBUF, 0)
        listener.maxseg = self._option(IPPROTO_TCP, TCP_MAXSEG, 0)

    def ready(self):
        """What `ioctl` would answer to a poll (RD, WR, ERR, HUP), without pumping the stack."""
        listener = self.listener
        if listener is not None:
            return RD if listener.queue else 0
        conn = self.conn
        if conn is None:
            return WR | HUP
        flags = 0
        state = conn.state
        if state < ESTABLISHED and state != CLOSED:
            return 0
        if conn.readable() >= 0 or self._deaf:
            flags = RD
        if conn.writable():
            flags |= WR
        if state == CLOSED or state >= CLOSING:
            flags |= HUP | WR
            if conn.error:
                flags |= ERR
        return flags
