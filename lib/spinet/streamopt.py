"""The options of stream sockets: imported when a program sets or reads one.

What was set is kept in `StreamSocket._options` as (level, option, value), because it may come
before there is a connection, and a listener's sockets inherit it.
"""
from spinet.errors import EINPROGRESS, EINVAL, ENOBUFS, ENOPROTOOPT, os_error
from spinet.sockbase import (
    IP_TOS, IP_TTL, IPPROTO_IP, IPPROTO_TCP, SO_BROADCAST, SO_ERROR, SO_KEEPALIVE, SO_LINGER,
    SO_OOBINLINE, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SO_TYPE, SOCK_STREAM, SOL_SOCKET,
    TCP_CONGESTION, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_MAXSEG, TCP_NODELAY,
    TCP_QUICKACK, TCP_USER_TIMEOUT,
)
from spinet.tcp.states import CLOSED, ESTABLISHED, NODELAY, QUICKACK


def set_option(sock, level, option, value):
    """See `StreamSocket.setsockopt`."""
    sock._begin()
    packed = isinstance(value, (bytes, bytearray, memoryview))
    if level == SOL_SOCKET and option == SO_LINGER:
        if not packed or len(value) < 8:
            raise os_error(EINVAL)
        value = value[4] | value[5] << 8 if value[0] else None
    elif (level, option) == (SOL_SOCKET, 20) and not packed:
        from spinet.sockcall import register

        return register(sock, value)
    elif (level, option) == (SOL_SOCKET, 0x20):
        return      # SO_BROADCAST as MicroPython's lwIP numbers it
    elif (level, option) not in _OPTIONS:
        raise os_error(ENOPROTOOPT)
    elif level == IPPROTO_TCP and option == TCP_CONGESTION:
        from spinet.tcp import congestion

        value = congestion.named(value)
    else:
        if packed:
            value = value[0] | value[1] << 8 | value[2] << 16 | value[3] << 24
        least, most = _RANGES.get((level, option), (value, value))
        if level == SOL_SOCKET:
            value = min(max(value, least), most)
        elif not least <= value <= most:
            raise os_error(EINVAL)
    if sock._options is None:
        sock._options = []
    sock._options = [o for o in sock._options if o[0] != level or o[1] != option]
    sock._options.append((level, option, value))
    if sock.conn is not None:
        apply(sock, level, option, value)
    elif sock.listener is not None:
        sock._inherit()


def get_option(sock, level, option, buflen=0):
    """See `StreamSocket.getsockopt`."""
    value = _value(sock, level, option)
    if not buflen or level == IPPROTO_TCP and (option == TCP_INFO or option == TCP_CONGESTION):
        return value
    value = bytes((value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24 & 255))
    if level == SOL_SOCKET and option == SO_LINGER:
        on = sock._option(level, option, None) is not None
        value = bytes((on, 0, 0, 0)) + value
    return value[:buflen]


def _value(sock, level, option):
    conn = sock.conn
    tcp = sock.stack.tcp if sock.stack else None
    if level == SOL_SOCKET:
        if option == SO_ERROR:
            if conn is None:
                return 0
            error = conn.connect_error()
            return 0 if error == EINPROGRESS else error
        if option == SO_TYPE:
            return SOCK_STREAM
        if option == SO_RCVBUF:
            return (conn and len(conn.rbuf)) or sock._option(level, option, 0) or tcp.rcvbuf
        if option == SO_SNDBUF:
            return (conn and len(conn.sbuf)) or sock._option(level, option, 0) or tcp.sndbuf
    elif level == IPPROTO_TCP and option == TCP_CONGESTION:
        from spinet.tcp import congestion

        return congestion.name(conn.cc if conn else sock._option(level, option, tcp.congestion))
    elif level == IPPROTO_TCP and conn:
        if option == TCP_MAXSEG:
            return conn.mss
        if option == TCP_INFO:
            return conn.info()
    if (level, option) not in _OPTIONS:
        raise os_error(ENOPROTOOPT)
    return sock._option(level, option, _OPTIONS[level, option]) or 0


def apply(sock, level, option, value):
    """Make the connection do what an option says."""
    conn = sock.conn
    get = sock._option
    if level == IPPROTO_TCP and option in _FLAGS:
        flag = _FLAGS[option]
        conn.flags = conn.flags | flag if value else conn.flags & ~flag
    elif level == IPPROTO_TCP and option == TCP_USER_TIMEOUT:
        conn.user_timeout = value
    elif level == IPPROTO_TCP and option == TCP_CONGESTION:
        from spinet.tcp import congestion

        congestion.use(conn, value)
    elif level == IPPROTO_TCP and option == TCP_MAXSEG:
        conn.maxseg = value
        if conn.state >= ESTABLISHED:
            conn.mss = min(conn.mss, value)
    elif (level == SOL_SOCKET and option == SO_KEEPALIVE) or (
            level == IPPROTO_TCP and TCP_KEEPIDLE <= option <= TCP_KEEPCNT):
        conn.keepalive(
            get(SOL_SOCKET, SO_KEEPALIVE, 0), 1000 * get(IPPROTO_TCP, TCP_KEEPIDLE, 7200),
            1000 * get(IPPROTO_TCP, TCP_KEEPINTVL, 75), get(IPPROTO_TCP, TCP_KEEPCNT, 9))
    elif level == SOL_SOCKET and (option == SO_RCVBUF or option == SO_SNDBUF):
        from spinet.tcp import sizes

        try:
            if option == SO_RCVBUF:
                conn.rcvbuf = value
                sizes.set_receive(conn, value)
            else:
                conn.sndbuf = value
                sizes.set_send(conn, value)
        except MemoryError:
            raise os_error(ENOBUFS)
    elif level == IPPROTO_IP:
        conn.ttl = get(IPPROTO_IP, IP_TTL, 64)
        conn.tos = get(IPPROTO_IP, IP_TOS, 0)
        if conn.state != CLOSED:
            sock.stack.tcp.repath(conn)


# What can be set, and what it is at first.
_OPTIONS = {
    (SOL_SOCKET, SO_REUSEADDR): 1, (SOL_SOCKET, 4): 1, (SOL_SOCKET, SO_BROADCAST): 0,
    (SOL_SOCKET, SO_KEEPALIVE): 0, (SOL_SOCKET, SO_LINGER): 0, (SOL_SOCKET, SO_RCVBUF): 0,
    (SOL_SOCKET, SO_SNDBUF): 0, (SOL_SOCKET, SO_OOBINLINE): 1, (IPPROTO_IP, IP_TTL): 64,
    (IPPROTO_IP, IP_TOS): 0, (IPPROTO_TCP, TCP_NODELAY): 0, (IPPROTO_TCP, TCP_QUICKACK): 0,
    (IPPROTO_TCP, TCP_MAXSEG): 536, (IPPROTO_TCP, TCP_USER_TIMEOUT): 0,
    (IPPROTO_TCP, TCP_KEEPIDLE): 7200, (IPPROTO_TCP, TCP_KEEPINTVL): 75,
    (IPPROTO_TCP, TCP_KEEPCNT): 9, (IPPROTO_TCP, TCP_CONGESTION): None,
}

# Least and most, as Linux has them; sizes of rings are moved to the nearer one, others refused.
_RANGES = {
    (SOL_SOCKET, SO_RCVBUF): (256, 1 << 28), (SOL_SOCKET, SO_SNDBUF): (256, 1 << 28),
    (IPPROTO_TCP, TCP_MAXSEG): (88, 32767), (IPPROTO_TCP, TCP_KEEPIDLE): (1, 32767),
    (IPPROTO_TCP, TCP_KEEPINTVL): (1, 32767), (IPPROTO_TCP, TCP_KEEPCNT): (1, 127),
    (IPPROTO_TCP, TCP_USER_TIMEOUT): (0, 1 << 28), (IPPROTO_IP, IP_TTL): (1, 255),
    (IPPROTO_IP, IP_TOS): (0, 255),
}

_FLAGS = {TCP_NODELAY: NODELAY, TCP_QUICKACK: QUICKACK}
