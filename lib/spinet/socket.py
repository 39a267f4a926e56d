"""Sockets: a drop-in for MicroPython's `socket` module, with CPython's semantics where both agree.

`socket()` makes a socket on the default stack (the first `Stack` made, or the
one given to `use`); `Stack.socket` makes one on a given stack.  A call that
has to wait pumps the stack while it does, so a program needs no thread and no
`poll` loop of its own; time-outs are in seconds, None waits for ever, 0 never.
On MicroPython a socket is a stream: `select.poll`, `asyncio` and `ssl` take it.

Every error is an OSError with the usual number: EAGAIN when a call would have
to wait and may not, ETIMEDOUT when it waited too long, EINPROGRESS while a
non-blocking `connect` is under way.
"""
from spinet.addr import fmt, parse
from spinet.errors import (
    EAFNOSUPPORT, EAGAIN, EALREADY, EBADF, EINPROGRESS, EINVAL, EISCONN, ENOPROTOOPT, ENOTCONN,
    EOPNOTSUPP, EPROTONOSUPPORT, ETIMEDOUT, os_error,
)
from spinet.prim import IOBase, ticks_diff
from spinet.tcp.states import CLOSED, ESTABLISHED, NODELAY

AF_INET = 2
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
IPPROTO_IP = 0
IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17
INADDR_ANY = 0
SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_TYPE = 3
SO_ERROR = 4
SO_BROADCAST = 6
SO_SNDBUF = 7
SO_RCVBUF = 8
SO_KEEPALIVE = 9
SO_LINGER = 13
IP_TOS = 1
IP_TTL = 2
IP_MTU_DISCOVER = 10
TCP_NODELAY = 1
TCP_MAXSEG = 2
TCP_KEEPIDLE = 4
TCP_KEEPINTVL = 5
TCP_KEEPCNT = 6
SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2
MSG_PEEK = 2
MSG_DONTWAIT = 0x40
SOMAXCONN = 128

_RD = 1         # flags of MP_STREAM_POLL
_WR = 4
_ERR = 8
_HUP = 16
_NVAL = 32
_ANY = b"\0\0\0\0"

timeout = OSError
error = OSError

_stack = None


def use(stack):
    """Make `stack` the one that `socket()` uses; None: the next one that is made."""
    global _stack
    _stack = stack


def default():
    """The stack that `socket()` uses."""
    if _stack is None:
        raise os_error(EAFNOSUPPORT)
    return _stack


def socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None):
    """A new socket on the default stack."""
    if family != AF_INET:
        raise os_error(EAFNOSUPPORT)
    return default().socket(type, proto)


def make(stack, type=SOCK_STREAM, proto=0):
    """A new socket of `type` on `stack`."""
    if type == SOCK_STREAM and proto in (0, IPPROTO_TCP):
        return StreamSocket(stack)
    if type == SOCK_DGRAM and proto in (0, IPPROTO_UDP):
        return DatagramSocket(stack, stack.udp.endpoint(), type)
    if type == SOCK_RAW and proto == IPPROTO_ICMP:
        return DatagramSocket(stack, stack.raw.endpoint(proto), type)
    raise os_error(EPROTONOSUPPORT)


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """One entry `(AF_INET, type, proto, '', (address, port))` for an address in text.

    Raises OSError(-2) for a name: names need a resolver, which this module has not.
    """
    if host is None or host == "":
        host = "0.0.0.0" if flags & 1 or host == "" else "127.0.0.1"
    elif host == "localhost":
        host = "127.0.0.1"
    try:
        address = fmt(parse(host))
    except ValueError:
        raise OSError(-2)
    return [(AF_INET, type or SOCK_STREAM, proto, "", (address, int(port or 0)))]


def create_connection(address, timeout=None):
    """A stream socket connected to `address`, (host, port)."""
    s = socket()
    s.settimeout(timeout)
    try:
        s.connect(address)
    except OSError:
        s.close()
        raise
    return s


def inet_aton(text):
    """The 4 bytes of an address in text."""
    return parse(text)


def inet_ntoa(packed):
    """The text of an address in 4 bytes."""
    return fmt(packed)


def _resolve(address):
    """(4 bytes, port) of a user's address, (host, port)."""
    host, port = address[0], address[1]
    if not 0 <= port <= 65535:
        raise ValueError("port %r is not within 0 to 65535" % (port,))
    if isinstance(host, str):
        if host == "" or host == "0.0.0.0":
            return _ANY, port
        if host == "<broadcast>":
            return b"\xff\xff\xff\xff", port
        host = getaddrinfo(host, port)[0][4][0]
    return parse(host), port


def _octets(data):
    return data.encode() if isinstance(data, str) else data


class Socket(IOBase):
    """What stream and datagram sockets have in common: waiting, and the stream protocol."""

    family = AF_INET
    timeout_ms = -1     # -1: wait for ever

    def __init__(self, stack):
        self.stack = stack

    def settimeout(self, seconds):
        """Wait at most `seconds` in each call; None for ever, 0 never."""
        if seconds is None:
            self.timeout_ms = -1
        elif seconds < 0:
            raise ValueError("a time-out is not negative")
        else:
            self.timeout_ms = int(seconds * 1000)

    def gettimeout(self):
        """The time-out in seconds, or None."""
        return None if self.timeout_ms < 0 else self.timeout_ms / 1000

    def setblocking(self, flag):
        """True: wait for ever, False: never wait."""
        self.timeout_ms = -1 if flag else 0

    def getblocking(self):
        """Whether calls may wait."""
        return self.timeout_ms != 0

    def _begin(self):
        """Tell the stack what time it is; the time at which a call that may wait began."""
        stack = self.stack
        if stack is None:
            raise os_error(EBADF)
        now = stack.timers.now = stack.clock()
        return now

    def _pump(self, began, error=ETIMEDOUT):
        """Work and wait a little; raises when the call that began at `began` has waited enough."""
        stack = self.stack
        limit = self.timeout_ms
        if limit == 0:
            raise os_error(EAGAIN)
        wait = stack.poll()
        if limit > 0:
            left = limit - ticks_diff(stack.timers.now, began)
            if left <= 0:
                raise os_error(error)
            if left < wait:
                wait = left
        if wait:
            stack.wait(wait)
        if self.stack is None:
            raise os_error(EBADF)    # somebody closed the socket while we waited

    def ioctl(self, request, arg):
        """The stream protocol of MicroPython; polling a socket pumps the stack."""
        if request == 3:
            if self.stack is None:
                return _NVAL
            self.stack.poll()
            return self._flags() & (arg | _ERR | _HUP)
        if request == 4:
            self.close()
            return 0
        if request == 10:
            return -1
        return -22

    def fileno(self):
        """-1: there is no file descriptor of the system's behind this socket."""
        return -1

    def write(self, data, start=None, length=None):
        """Write all of `data`; the number of bytes taken, None if none could be without waiting.

        `write(data, n)` and `write(data, offset, n)` write a part, as MicroPython's streams do.
        """
        data = _octets(data)
        if start is None:
            start = 0
            end = len(data)
        elif length is None:
            end = min(start, len(data))
            start = 0
        else:
            end = min(start + length, len(data))
        return self._write(data, start, end)

    def readinto(self, buf, n=0):
        """As `recv_into`, but None when it would have to wait."""
        try:
            return self.recv_into(buf, n)
        except OSError as e:
            if e.errno == EAGAIN:
                return None
            raise

    def detach(self):
        """Close without a descriptor to give back: -1."""
        self.close()
        return -1

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def __repr__(self):
        return "<spinet.%s %s>" % (type(self).__name__, "closed" if self.stack is None else "open")


class StreamSocket(Socket):
    """A TCP socket."""

    type = SOCK_STREAM
    proto = IPPROTO_TCP

    def __init__(self, stack, conn=None):
        Socket.__init__(self, stack)
        self.conn = conn
        self.listener = None
        self._local = (None, 0)
        self._options = None        # what setsockopt said before there was a connection

    # -- opening ------------------------------------------------------------

    def bind(self, address):
        """Choose the local address, (host, port); "" is every address, 0 any free port."""
        self._begin()
        if self.conn is not None or self.listener is not None:
            raise os_error(EINVAL)
        addr, port = _resolve(address)
        if addr == _ANY:
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
                self._pump(began)
            conn = self.listener.accept()
            if conn is None and self.timeout_ms == 0:
                raise os_error(EAGAIN)
        s = StreamSocket(self.stack, conn)
        if self._options:
            for option in self._options:
                s.setsockopt(*option)
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
        addr, port = _resolve(address)
        if addr == _ANY:
            addr = b"\x7f\0\0\1"
        self.conn = conn = self.stack.tcp.connect(
            addr, port, self._local[0], self._local[1], self._option(IPPROTO_IP, IP_TTL, 64),
            self._option(IPPROTO_IP, IP_TOS, 0))
        for option in self._options or ():
            self._apply(*option)
        if self.timeout_ms == 0:
            raise os_error(EINPROGRESS)
        error = EINPROGRESS
        try:
            while error == EINPROGRESS:
                self._pump(began)
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
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                self.stack.poll()
                if conn.readable() < 0:
                    raise os_error(EAGAIN)
            else:
                self._pump(began)

    def recv(self, n, flags=0):
        """Read at least one byte, at most `n`; b"" at the end of the stream."""
        began = self._connected()
        conn = self.conn
        while conn.readable() < 0 and n:
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                self.stack.poll()
                if conn.readable() < 0:
                    raise os_error(EAGAIN)
            else:
                self._pump(began)
        have = conn.readable()
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
            self._pump(began)

    def send(self, data, flags=0):
        """Send bytes of `data`; how many were taken, at least one (EAGAIN otherwise)."""
        began = self._connected()
        data = _octets(data)
        end = len(data)
        conn = self.conn
        while True:
            n = conn.send(data, 0, end)
            if n or not end:
                return n
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                self.stack.poll()
                if not conn.writable():
                    raise os_error(EAGAIN)
            else:
                self._pump(began)

    def sendall(self, data, flags=0):
        """Send all of `data`."""
        data = _octets(data)
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
        if how != SHUT_RD:
            self.conn.shutdown()

    def close(self):
        """Done with the socket; what was sent is still delivered, as long as the stack is polled."""
        stack = self.stack
        if stack is None:
            return
        self._begin()
        self.stack = None
        if self.listener is not None:
            self.listener.close()
        conn = self.conn
        if conn is not None:
            if self._option(SOL_SOCKET, SO_LINGER, None) == 0:
                conn.abort()
            else:
                conn.close()

    def getsockname(self):
        """The local `(host, port)`."""
        if self.conn is not None:
            return fmt(self.conn.path.src), self.conn.lport
        if self.listener is not None:
            return fmt(self.listener.addr or _ANY), self.listener.port
        return fmt(self._local[0] or _ANY), self._local[1]

    def getpeername(self):
        """The peer's `(host, port)`."""
        if self.conn is None:
            raise os_error(ENOTCONN)
        return fmt(self.conn.path.dst), self.conn.rport

    def _option(self, level, option, otherwise):
        for known in self._options or ():
            if known[0] == level and known[1] == option:
                return known[2]
        return otherwise

    def setsockopt(self, level, option, value):
        """Set an option: NODELAY, KEEPALIVE and its times, TTL, TOS, LINGER, RCVBUF, SNDBUF.

        A SO_LINGER of zero seconds (`struct.pack("ii", 1, 0)`) makes `close` reset.
        """
        if level == SOL_SOCKET and option == SO_LINGER:
            if isinstance(value, int) or len(value) < 8:
                raise os_error(EINVAL)
            value = value[4] | value[5] << 8 if value[0] else None
        if (level, option) not in _OPTIONS:
            if (level, option) == (SOL_SOCKET, 0x20):
                return      # SO_BROADCAST as MicroPython's lwIP numbers it
            raise os_error(ENOPROTOOPT)
        if self._options is None:
            self._options = []
        self._options = [o for o in self._options if o[0] != level or o[1] != option]
        self._options.append((level, option, value))
        if self.conn is not None:
            self._apply(level, option, value)

    def getsockopt(self, level, option, buflen=0):
        """The value of an option; SO_ERROR reports an error once."""
        if level == SOL_SOCKET:
            if option == SO_ERROR:
                if self.conn is None:
                    return 0
                error = self.conn.connect_error()
                return 0 if error == EINPROGRESS else error
            if option == SO_TYPE:
                return SOCK_STREAM
            if option == SO_RCVBUF:
                return len(self.conn.rbuf) if self.conn else self.stack.tcp.rcvbuf
            if option == SO_SNDBUF:
                return len(self.conn.sbuf) if self.conn else self.stack.tcp.sndbuf
        if level == IPPROTO_TCP and option == TCP_MAXSEG and self.conn:
            return self.conn.mss
        if (level, option) not in _OPTIONS:
            raise os_error(ENOPROTOOPT)
        return self._option(level, option, _OPTIONS[level, option]) or 0

    def _apply(self, level, option, value):
        conn = self.conn
        if level == IPPROTO_TCP and option == TCP_NODELAY:
            conn.flags = conn.flags | NODELAY if value else conn.flags & ~NODELAY
        elif (level == SOL_SOCKET and option == SO_KEEPALIVE) or (
                level == IPPROTO_TCP and TCP_KEEPIDLE <= option <= TCP_KEEPCNT):
            get = self._option
            conn.keepalive(
                get(SOL_SOCKET, SO_KEEPALIVE, 0), 1000 * get(IPPROTO_TCP, TCP_KEEPIDLE, 7200),
                1000 * get(IPPROTO_TCP, TCP_KEEPINTVL, 75), get(IPPROTO_TCP, TCP_KEEPCNT, 9))
        elif level == IPPROTO_IP:
            conn.ttl = self._option(IPPROTO_IP, IP_TTL, 64)
            conn.tos = self._option(IPPROTO_IP, IP_TOS, 0)
            if conn.state != CLOSED:
                self.stack.tcp.repath(conn)

    def makefile(self, *args, **kwargs):
        """The socket itself: it is a stream."""
        return self

    def _flags(self):
        listener = self.listener
        if listener is not None:
            return _RD if listener.queue else 0
        conn = self.conn
        if conn is None:
            return _WR | _HUP
        flags = 0
        state = conn.state
        if state < ESTABLISHED and state != CLOSED:
            return 0
        if conn.readable() >= 0:
            flags = _RD
        if conn.writable():
            flags |= _WR
        if state == CLOSED:
            flags |= _HUP | _WR
            if conn.error:
                flags |= _ERR
        return flags


_OPTIONS = {
    (SOL_SOCKET, SO_REUSEADDR): 1, (SOL_SOCKET, 4): 1, (SOL_SOCKET, SO_BROADCAST): 0,
    (SOL_SOCKET, SO_KEEPALIVE): 0, (SOL_SOCKET, SO_LINGER): 0, (SOL_SOCKET, SO_RCVBUF): 0,
    (SOL_SOCKET, SO_SNDBUF): 0, (IPPROTO_IP, IP_TTL): 64, (IPPROTO_IP, IP_TOS): 0,
    (IPPROTO_TCP, TCP_NODELAY): 0, (IPPROTO_TCP, TCP_KEEPIDLE): 7200,
    (IPPROTO_TCP, TCP_KEEPINTVL): 75, (IPPROTO_TCP, TCP_KEEPCNT): 9,
}


class DatagramSocket(Socket):
    """A UDP socket, or a raw one for ICMP (which reads whole IP packets)."""

    def __init__(self, stack, endpoint, type):
        Socket.__init__(self, stack)
        self.endpoint = endpoint
        self.type = type
        self.proto = IPPROTO_UDP if type == SOCK_DGRAM else IPPROTO_ICMP

    def bind(self, address):
        """Choose the local address, (host, port); "" is every address, 0 any free port."""
        self._begin()
        addr, port = _resolve(address)
        self.endpoint.bind(None if addr == _ANY else addr, port)

    def connect(self, address):
        """Send to, and take from, `address` only; (host, port)."""
        self._begin()
        addr, port = _resolve(address)
        self.endpoint.connect(addr, port)

    def _wait_readable(self, flags):
        began = self._begin()
        endpoint = self.endpoint
        while not endpoint.readable:
            if endpoint.error:
                error = endpoint.error
                endpoint.error = 0
                raise os_error(error)
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                self.stack.poll()
                if not endpoint.readable and not endpoint.error:
                    raise os_error(EAGAIN)
            else:
                self._pump(began)

    def recv_into(self, buf, n=0, flags=0):
        """Read one datagram into `buf`, cut off where it does not fit; its length as read."""
        self._wait_readable(flags)
        size = len(buf)
        if n == 0 or n > size:
            n = size
        if flags & MSG_PEEK:
            return self.endpoint.peek_into(buf, 0, n)
        return self.endpoint.recv_into(buf, 0, n)

    def recvfrom_into(self, buf, n=0, flags=0):
        """As `recv_into`, with where it came from: (length, (host, port))."""
        n = self.recv_into(buf, n, flags)
        return n, self._peer()

    def _peer(self):
        return fmt(self.endpoint.peer), self.endpoint.peer_port

    def recv(self, n, flags=0):
        """One datagram, at most `n` bytes of it."""
        self._wait_readable(flags)
        buf = bytearray(min(n, self.endpoint.next_length))
        if flags & MSG_PEEK:
            got = self.endpoint.peek_into(buf, 0, len(buf))
        else:
            got = self.endpoint.recv_into(buf, 0, len(buf))
        return bytes(buf if got == len(buf) else buf[:got])

    def recvfrom(self, n, flags=0):
        """One datagram and where it came from: (data, (host, port))."""
        data = self.recv(n, flags)
        return data, self._peer()

    def read(self, n=65536):
        """One datagram, None when there is none."""
        try:
            return self.recv(n)
        except OSError as e:
            if e.errno == EAGAIN:
                return None
            raise

    def send(self, data, flags=0):
        """Send one datagram to the connected peer; its length."""
        data = _octets(data)
        n = self._write(data, 0, len(data), flags)
        if n is None:
            raise os_error(EAGAIN)
        return n

    def sendall(self, data, flags=0):
        """As `send`."""
        self.send(data, flags)

    def _write(self, data, start, end, flags=0):
        began = self._begin()
        while True:
            try:
                return self.endpoint.send(data, start, end)
            except OSError as e:
                if e.errno != EAGAIN:
                    raise
            if self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                return None
            self._pump(began)

    def sendto(self, data, *args):
        """Send one datagram to `address`, the last argument; its length."""
        data = _octets(data)
        began = self._begin()
        addr, port = _resolve(args[-1])
        while True:
            try:
                return self.endpoint.sendto(data, 0, len(data), addr, port)
            except OSError as e:
                if e.errno != EAGAIN or self.timeout_ms == 0:
                    raise
            self._pump(began)

    def close(self):
        """Done with the socket."""
        if self.stack is not None:
            self.stack = None
            self.endpoint.close()

    def getsockname(self):
        """The local `(host, port)`."""
        return fmt(self.endpoint.addr or _ANY), self.endpoint.port

    def getpeername(self):
        """The connected peer's `(host, port)`."""
        if not self.endpoint.remote:
            raise os_error(ENOTCONN)
        return fmt(self.endpoint.remote), self.endpoint.remote_port

    def setsockopt(self, level, option, value):
        """Set an option: REUSEADDR, BROADCAST, TTL, TOS, MTU_DISCOVER."""
        endpoint = self.endpoint
        if level == SOL_SOCKET and option in (SO_REUSEADDR, 4):
            endpoint.reuse = bool(value)
        elif level == SOL_SOCKET and option in (SO_BROADCAST, 0x20):
            endpoint.broadcast = bool(value)
        elif level == SOL_SOCKET and option in (SO_RCVBUF, SO_SNDBUF):
            pass
        elif level == IPPROTO_IP and option == IP_TTL:
            endpoint.ttl = value
        elif level == IPPROTO_IP and option == IP_TOS:
            endpoint.tos = value
        elif level == IPPROTO_IP and option == IP_MTU_DISCOVER:
            endpoint.df = value == 2
        else:
            raise os_error(ENOPROTOOPT)

    def getsockopt(self, level, option, buflen=0):
        """The value of an option; SO_ERROR reports an error once."""
        endpoint = self.endpoint
        if level == SOL_SOCKET:
            if option == SO_ERROR:
                error = endpoint.error
                endpoint.error = 0
                return error
            if option == SO_TYPE:
                return self.type
            if option == SO_BROADCAST:
                return int(endpoint.broadcast)
            if option == SO_REUSEADDR:
                return int(endpoint.reuse)
        elif level == IPPROTO_IP:
            if option == IP_TTL:
                return endpoint.ttl
            if option == IP_TOS:
                return endpoint.tos
        raise os_error(ENOPROTOOPT)

    def shutdown(self, how):
        """A datagram socket has nothing to shut down."""
        raise os_error(EOPNOTSUPP)

    def listen(self, backlog=0):
        """A datagram socket accepts no connections."""
        raise os_error(EOPNOTSUPP)

    def accept(self):
        """A datagram socket accepts no connections."""
        raise os_error(EOPNOTSUPP)

    def makefile(self, *args, **kwargs):
        """The socket itself: it is a stream."""
        return self

    def _flags(self):
        flags = _WR
        if self.endpoint.readable:
            flags |= _RD
        if self.endpoint.error:
            flags |= _ERR
        return flags
