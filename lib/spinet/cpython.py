"""What CPython's programs expect of sockets beyond what a board's need: file objects, a module."""
import io
import socket as system
import types
import warnings

from spinet.errors import EAGAIN


class RawFile(io.RawIOBase):
    """The unbuffered file of a connected socket, as `socket.SocketIO` is the system's.

    Closing it leaves the socket alone, but for a socket that was closed before: that one ends now.
    """

    def __init__(self, sock, mode):
        self._sock = sock
        self._mode = mode
        sock.files += 1

    def readable(self):
        return "r" in self._mode

    def writable(self):
        return "w" in self._mode

    @property
    def name(self):
        return -1

    @property
    def mode(self):
        return self._mode

    def readinto(self, buf):
        """As many bytes as there are, 0 at the end; None when the socket may not wait."""
        try:
            return self._sock.recv_into(buf)
        except OSError as e:
            if e.errno == EAGAIN:
                return None
            raise

    def write(self, data):
        """The bytes taken; None when the socket may not wait."""
        try:
            return self._sock.send(data)
        except OSError as e:
            if e.errno == EAGAIN:
                return None
            raise

    def close(self):
        if not self.closed:
            super().close()
            self._sock.files -= 1
            if self._sock.close_later and not self._sock.files:
                self._sock.really_close()


def makefile(sock, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
    """A file object of `sock`, with the arguments and the meaning of CPython's `makefile`."""
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError("invalid mode %r (only r, w, b allowed)" % mode)
    writing = "w" in mode
    reading = "r" in mode or not writing
    raw = RawFile(sock, ("r" if reading else "") + ("w" if writing else ""))
    size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
    if size == 0:
        if "b" not in mode:
            raise ValueError("unbuffered streams must be binary")
        return raw
    if reading and writing:
        buffer = io.BufferedRWPair(raw, raw, size)
    elif reading:
        buffer = io.BufferedReader(raw, size)
    else:
        buffer = io.BufferedWriter(raw, size)
    if "b" in mode:
        return buffer
    text = io.TextIOWrapper(buffer, encoding, errors, newline)
    text.mode = mode
    return text


def fileno(sock):
    """The number of a descriptor that stands for `sock`, -1 if there can be none."""
    from spinet import descriptor

    return descriptor.fileno(sock)


def unclosed(sock, warn=warnings.warn):
    """Say that a socket was dropped that nobody had closed, as the system's do."""
    warn("unclosed %r" % sock, ResourceWarning, source=sock)


def module():
    """A copy of the system's `socket` module in which IPv4 sockets are spinet's."""
    import ssl  # noqa: F401 - its sockets are the system's, whoever imports it first

    from spinet import socket as ours
    from spinet.sockbase import Socket

    # Of the system's sockets too it is nobody's business, but paramiko looks at it.
    Socket._closed = property(lambda sock: sock.stack is None or sock.close_later)
    made = types.ModuleType("socket", system.__doc__)
    made.__dict__.update((name, value) for name, value in vars(system).items()
                         if not name.startswith("__"))

    class socket(system.socket):
        # Called, it makes one of ours; derived classes, and other families, are the system's.
        def __new__(cls, family=-1, type=-1, proto=-1, fileno=None):
            if cls is not socket or fileno is not None or family not in (-1, system.AF_INET):
                return system.socket.__new__(cls, family, type, proto, fileno)
            return ours.socket(ours.AF_INET, type if type > 0 else ours.SOCK_STREAM, max(proto, 0))

    def create_connection(address, timeout=system._GLOBAL_DEFAULT_TIMEOUT, source_address=None,
                          **options):
        if timeout is system._GLOBAL_DEFAULT_TIMEOUT:
            timeout = system.getdefaulttimeout()
        s = ours.socket()
        s.settimeout(timeout)
        try:
            if source_address:
                s.bind(source_address)
            s.connect(address)
        except OSError:
            s.close()
            raise
        return s

    def create_server(address, *, family=system.AF_INET, backlog=None, reuse_port=False,
                      dualstack_ipv6=False):
        if family != system.AF_INET:
            return system.create_server(address, family=family, backlog=backlog,
                                        reuse_port=reuse_port, dualstack_ipv6=dualstack_ipv6)
        s = ours.socket()
        try:
            s.bind(address)
            s.listen(5 if backlog is None else backlog)
        except OSError:
            s.close()
            raise
        return s

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        if family not in (0, system.AF_INET):
            raise system.gaierror(system.EAI_NONAME, "spinet has IPv4 only")
        if isinstance(host, bytes):
            host = host.decode()
        if not host:
            host = "0.0.0.0" if flags & system.AI_PASSIVE else "127.0.0.1"
        if isinstance(port, str):
            port = int(port) if port.isdigit() else system.getservbyname(port)
        try:
            return ours.getaddrinfo(host, port, family, type, proto, flags)
        except OSError as e:
            raise system.gaierror(system.EAI_NONAME, "%s: %s" % (host, e))

    def gethostbyname(host):
        return getaddrinfo(host, 0)[0][4][0]

    for one in (socket, create_connection, create_server, getaddrinfo, gethostbyname):
        made.__dict__[one.__name__] = one
    made.has_ipv6 = False
    return made
