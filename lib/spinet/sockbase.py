"""What all sockets have in common: constants, addresses, waiting, being a stream."""
from spinet.addr import parse
from spinet.errors import EAGAIN, EAI_NONAME, EBADF, ETIMEDOUT, os_error
from spinet.prim import IOBase, fileno, finalize, makefile, ticks_diff, unclosed

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
SO_OOBINLINE = 10
SO_LINGER = 13
IP_TOS = 1
IP_TTL = 2
IP_MTU_DISCOVER = 10
IP_MULTICAST_IF = 32
IP_MULTICAST_TTL = 33
IP_MULTICAST_LOOP = 34
IP_ADD_MEMBERSHIP = 35
IP_DROP_MEMBERSHIP = 36
IP_UNBLOCK_SOURCE = 37
IP_BLOCK_SOURCE = 38
IP_ADD_SOURCE_MEMBERSHIP = 39
IP_DROP_SOURCE_MEMBERSHIP = 40
TCP_NODELAY = 1
TCP_MAXSEG = 2
TCP_CONGESTION = 13
TCP_KEEPIDLE = 4
TCP_KEEPINTVL = 5
TCP_KEEPCNT = 6
TCP_INFO = 11
TCP_QUICKACK = 12
TCP_USER_TIMEOUT = 18
SHUT_RD = 0
SHUT_WR = 1
SHUT_RDWR = 2
MSG_PEEK = 2
MSG_DONTWAIT = 0x40
SOMAXCONN = 128

RD = 1         # flags of MP_STREAM_POLL
WR = 4
ERR = 8
HUP = 16
NVAL = 32
ANY = b"\0\0\0\0"


def lookup(stack, host, timeout_ms=-1):
    """The addresses of a name in text; waits for the resolver (dns.py), which it imports."""
    try:
        from spinet.dns import resolver
    except ImportError:
        raise os_error(EAI_NONAME)
    return resolver(stack).resolve(host, timeout_ms)


def resolve(address, sock):
    """(4 bytes, port) of a user's address, (host, port); a name is waited for."""
    host, port = address[0], address[1]
    if not 0 <= port <= 65535:
        raise ValueError("port %r is not within 0 to 65535" % (port,))
    if isinstance(host, str):
        if host == "" or host == "0.0.0.0":
            return ANY, port
        if host == "<broadcast>":
            return b"\xff\xff\xff\xff", port
        if host == "localhost":
            host = "127.0.0.1"
        try:
            return parse(host), port
        except ValueError:
            host = lookup(sock.stack, host, sock.timeout_ms or -1)[0]
    return parse(host), port


def octets(data):
    return data.encode() if isinstance(data, str) else data


def drop(stack, thing):
    """The socket of `thing`, of the stack's, is garbage: `poll` will close it.

    Garbage is found anywhere, in the midst of `poll` and in any thread, so this notes it only.
    """
    if stack.dropped is None:
        stack.dropped = []
    stack.dropped.append(thing)


def pump(sock, began, error=ETIMEDOUT):
    """Work and wait a little; raises when the call that began at `began` has waited enough."""
    stack = sock.stack
    limit = sock.timeout_ms
    if limit == 0:
        raise os_error(EAGAIN)
    wait = stack.poll()
    if limit > 0:
        left = limit - ticks_diff(stack.timers.now, began)
        if left <= 0:
            raise os_error(error)
        if left < wait:
            wait = left
    timers = stack.timers
    if timers.worked:
        timers.worked = False   # perhaps just what we wait for has come
    elif wait:
        stack.wait(wait)
    if sock.stack is None:
        raise os_error(EBADF)    # somebody closed the socket while we waited


class Socket(IOBase):
    """What stream and datagram sockets have in common: waiting, and the stream protocol."""

    family = AF_INET
    stack = None        # the one it is of, while it is open
    shared = False      # what it leads to has another owner, and outlives it
    files = 0           # files that were made of it and are open: `close` waits for the last
    close_later = False

    def __init__(self, stack):
        self.stack = stack
        self.timeout_ms = -1    # for ever

    def settimeout(self, seconds):
        """Wait at most `seconds` in each call; None for ever, 0 never."""
        if seconds is None:
            self.timeout_ms = -1
        elif seconds < 0:
            raise ValueError("a time-out is not negative")
        else:
            self.timeout_ms = int(seconds * 1000) or int(seconds > 0)

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

    def ioctl(self, request, arg):
        """The stream protocol of MicroPython; polling a socket pumps the stack."""
        if request == 3:
            if self.stack is None:
                return NVAL
            self.stack.poll()
            return self.ready() & (arg | ERR | HUP)
        if request == 4:
            self.close()
            return 0
        if request == 10:
            return -1
        return -22

    def fileno(self):
        """-1: there is no file descriptor behind it.  But see descriptor.py, on CPython."""
        return fileno(self)

    def write(self, data, start=None, length=None):
        """Write all of `data`; the number of bytes taken, None if none could be without waiting.

        `write(data, n)` and `write(data, offset, n)` write a part, as MicroPython's streams do.
        """
        data = octets(data)
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

    def close(self):
        """Done with the socket; where files of it are open, once the last of them is closed."""
        if self.files:
            self.close_later = True
        elif self.stack is not None:
            self.really_close()

    def _owns(self, thing):
        """`thing`, of the stack's, is of use through this socket only."""
        if finalize:
            finalize(self, drop, self.stack, thing)

    if unclosed:

        def __del__(self):
            if self.stack is not None and not self.shared:
                for thing in self._owned():
                    drop(self.stack, thing)
                unclosed(self)

    def makefile(self, *args, **kwargs):
        """A file of the socket: on MicroPython itself, which is a stream; see CPython's."""
        return makefile(self, *args, **kwargs)

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
