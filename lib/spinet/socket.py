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
from spinet.errors import EAFNOSUPPORT, EAI_NONAME, EPROTONOSUPPORT, os_error
from spinet.sockbase import (
    AF_INET, INADDR_ANY, IPPROTO_ICMP, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IP_ADD_MEMBERSHIP,
    IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP,
    IP_MTU_DISCOVER, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TOS, IP_TTL,
    IP_UNBLOCK_SOURCE, MSG_DONTWAIT, MSG_PEEK, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_DGRAM, SOCK_RAW,
    SOCK_STREAM, SOL_SOCKET, SOMAXCONN, SO_BROADCAST, SO_ERROR, SO_KEEPALIVE, SO_LINGER,
    SO_OOBINLINE, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SO_TYPE, TCP_CONGESTION, TCP_INFO,
    TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_MAXSEG, TCP_NODELAY, TCP_QUICKACK,
    TCP_USER_TIMEOUT, lookup,
)
from spinet.sockstream import StreamSocket

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
        endpoint = stack.udp.endpoint()
    elif type == SOCK_RAW and proto == IPPROTO_ICMP:
        endpoint = stack.raw.endpoint(proto)
    else:
        raise os_error(EPROTONOSUPPORT)
    from spinet.sockdgram import DatagramSocket

    return DatagramSocket(stack, endpoint, type)


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """An entry `(AF_INET, type, proto, '', (address, port))` for each address of a host.

    A name is looked up on the default stack, which is waited for; OSError(-2) if it has no address.
    `flags` 1 (passive) makes None stand for every address, 4 (numeric) takes no names.
    """
    if host is None or host == "":
        host = "0.0.0.0" if flags & 1 or host == "" else "127.0.0.1"
    elif host == "localhost":
        host = "127.0.0.1"
    try:
        addresses = [fmt(parse(host))]
    except ValueError:
        if flags & 4:
            raise os_error(EAI_NONAME)
        addresses = lookup(default(), host)
    return [(AF_INET, type or SOCK_STREAM, proto, "", (address, int(port or 0)))
            for address in addresses]


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
