"""UDP sockets, and raw ones for ICMP."""
from spinet.addr import fmt
from spinet.errors import EAGAIN, EINVAL, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, os_error
from spinet.sockbase import (
    ANY, ERR, IPPROTO_ICMP, IPPROTO_IP, IPPROTO_UDP, IP_DROP_SOURCE_MEMBERSHIP, IP_MTU_DISCOVER,
    IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_TOS, IP_TTL, MSG_DONTWAIT, MSG_PEEK, RD, SOCK_DGRAM,
    SOL_SOCKET, SO_BROADCAST, SO_ERROR, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SO_TYPE, Socket, WR,
    octets, pump, resolve,
)


class DatagramSocket(Socket):
    """A UDP socket, or a raw one for ICMP (which reads whole IP packets)."""

    def __init__(self, stack, endpoint, type):
        Socket.__init__(self, stack)
        self.endpoint = endpoint
        self.type = type
        self.proto = IPPROTO_UDP if type == SOCK_DGRAM else IPPROTO_ICMP
        self._owns(endpoint)

    def _owned(self):
        return (self.endpoint,)

    def bind(self, address):
        """Choose the local address, (host, port); "" is every address, 0 any free port."""
        self._begin()
        addr, port = resolve(address, self)
        self.endpoint.bind(None if addr == ANY else addr, port)

    def connect(self, address):
        """Send to, and take from, `address` only; (host, port)."""
        self._begin()
        addr, port = resolve(address, self)
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
                pump(self, began)

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
        data = octets(data)
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
            pump(self, began)

    def sendto(self, data, *args):
        """Send one datagram, by `(data, address)` or `(data, flags, address)`; its length."""
        data = octets(data)
        flags = args[0] if len(args) > 1 else 0
        began = self._begin()
        addr, port = resolve(args[-1], self)
        while True:
            try:
                return self.endpoint.sendto(data, 0, len(data), addr, port)
            except OSError as e:
                if e.errno != EAGAIN or self.timeout_ms == 0 or flags & MSG_DONTWAIT:
                    raise
            pump(self, began)

    def really_close(self):
        """Take no datagram any more."""
        self.stack = None
        self.endpoint.close()

    def getsockname(self):
        """The local `(host, port)`."""
        return fmt(self.endpoint.addr or ANY), self.endpoint.port

    def getpeername(self):
        """The connected peer's `(host, port)`."""
        if not self.endpoint.remote:
            raise os_error(ENOTCONN)
        return fmt(self.endpoint.remote), self.endpoint.remote_port

    def setsockopt(self, level, option, value):
        """Set an option: REUSEADDR, BROADCAST, TTL, TOS, MTU_DISCOVER; groups: see mcastopt.py."""
        endpoint = self.endpoint
        if level == SOL_SOCKET and option in (SO_REUSEADDR, 4):
            endpoint.reuse = bool(value)
        elif level == SOL_SOCKET and option in (SO_BROADCAST, 0x20):
            endpoint.broadcast = bool(value)
        elif level == SOL_SOCKET and option in (SO_RCVBUF, SO_SNDBUF):
            pass
        elif level == SOL_SOCKET and option == 20 and (value is None or callable(value)):
            from spinet.sockcall import register

            register(self, value)
        elif level == IPPROTO_IP and option in (IP_TTL, IP_TOS, IP_MTU_DISCOVER):
            if option == IP_MTU_DISCOVER:
                endpoint.df = value == 2
            elif not 0 <= value <= 255 or option == IP_TTL and not value:
                raise os_error(EINVAL)
            elif option == IP_TTL:
                endpoint.ttl = value
            else:
                endpoint.tos = value
            endpoint.repath()
        elif option in (0x400, 0x401) or level == IPPROTO_IP and (
                IP_MULTICAST_IF <= option <= IP_DROP_SOURCE_MEMBERSHIP):
            self._multicast().set_option(self.stack, endpoint, option, value)
        else:
            raise os_error(ENOPROTOOPT)

    def _multicast(self):
        """The module for the options of groups, which only datagram sockets have."""
        if self.type != SOCK_DGRAM:
            raise os_error(ENOPROTOOPT)
        from spinet import mcastopt

        return mcastopt

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
            if IP_MULTICAST_IF <= option <= IP_MULTICAST_LOOP:
                return self._multicast().get_option(endpoint, option)
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

    def ready(self):
        """What `ioctl` would answer to a poll (RD, WR, ERR, HUP), without pumping the stack."""
        flags = WR
        if self.endpoint.readable:
            flags |= RD
        if self.endpoint.error:
            flags |= ERR
        return flags
