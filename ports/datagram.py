"""Frames in UDP datagrams between two processes of one host: a cable that needs no root.

    port = Datagram(local=("127.0.0.1", 5501), remote=("127.0.0.1", 5500))

Works on CPython and on MicroPython's unix port.  On CPython both addresses may also be paths: then
the frames go through Unix datagram sockets.  The other end need not be there yet, may go and come
back; frames sent meanwhile are lost and counted.
"""
import errno
import os
import socket
import sys

from spinet.addr import mac as parse_mac
from spinet.prim import urandom

_MICROPYTHON = sys.implementation.name == "micropython"
_BUSY = (errno.EAGAIN, getattr(errno, "EWOULDBLOCK", errno.EAGAIN), errno.ENOBUFS)
_BUFFER = 1 << 20
# With it Linux tells the true length of what did not fit.
_TRUNC = 0x20 if sys.platform == "linux" and not _MICROPYTHON else 0


class Datagram:
    """A port.  `local` and `remote` are (address, port) or, on CPython, paths.

    Port 0 in `local` takes a free one, see `local`.  Without `mac` a random one is made up.
    Raises OSError when `local` cannot be had.
    """

    pads = False

    def __init__(self, local, remote, mac=None, mtu=1500, medium="ethernet"):
        self.medium = medium
        self.mac = None
        if medium == "ethernet":
            self.mac = parse_mac(mac) if mac else b"\2\0" + urandom(4)
        self.mtu = mtu
        self.local = local
        self.count = {"rx": 0, "tx": 0, "rx_too_long": 0, "refused": 0, "errors": 0, "busy": 0}
        self._path = None
        if isinstance(local, str):
            self._sock = _unix(local)
            self._path = local
            self._remote = remote
            # Each frame finds the other end anew: it may have been started again.
            self._send = self._send_to
        else:
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self._sock.bind(_address(local))
                self._sock.connect(_address(remote))
            except OSError:
                self._sock.close()
                raise
            if not _MICROPYTHON:
                self.local = self._sock.getsockname()
            self._send = self._sock.send
        for option in (7, 8) if sys.platform == "linux" else ():     # SO_SNDBUF, SO_RCVBUF
            try:
                self._sock.setsockopt(1, option, _BUFFER)
            except OSError:
                pass
        self._sock.setblocking(False)
        self.pollable = self._sock
        self._view = None       # of the buffer sent last
        self._viewed = None
        if _MICROPYTHON:
            self.recv = self._recv_bytes
        else:
            self._recv_into = self._sock.recv_into

    def recv(self, buf):
        """Take the next frame into `buf`; its length, 0 if none waits."""
        while True:
            try:
                n = self._recv_into(buf, 0, _TRUNC)
            except OSError as e:
                if not self._survive(e):
                    return 0
                continue
            if n > len(buf):
                self.count["rx_too_long"] += 1
            elif n:
                self.count["rx"] += 1
                return n

    def _recv_bytes(self, buf):
        # MicroPython's readinto would glue datagrams together.
        room = len(buf)
        while True:
            try:
                data = self._sock.recv(room + 1)
            except OSError as e:
                if not self._survive(e):
                    return 0
                continue
            n = len(data)
            if n > room:
                self.count["rx_too_long"] += 1
            elif n:
                buf[:n] = data
                self.count["rx"] += 1
                return n

    def send(self, buf, n):
        """Send the frame buf[0:n]; False when the system has no room for it now."""
        if buf is not self._viewed:
            self._view = memoryview(buf)
            self._viewed = buf
        for _ in range(2):
            try:
                self._send(self._view[:n])
            except OSError as e:
                if e.errno in _BUSY:
                    self.count["busy"] += 1
                    return False
                # The refusal of an earlier datagram; this one was not sent.
                if self._survive(e):
                    continue
                return True
            self.count["tx"] += 1
            return True
        return True

    def _send_to(self, data):
        self._sock.sendto(data, self._remote)

    def _survive(self, e):
        # Count an error; whether it makes sense to go on at once.
        number = e.errno
        if number in _BUSY:
            return False
        if number in (errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOENT):
            self.count["refused"] += 1
            return self._path is None and self.pollable is not None
        if self.pollable is not None:
            self.count["errors"] += 1
        return False

    def link(self):
        """True until `close`."""
        return self.pollable is not None

    def fileno(self):
        """The socket's descriptor; -1 after `close`."""
        return self._sock.fileno() if self.pollable is not None else -1

    def close(self):
        """Close the socket; a path is removed."""
        if self.pollable is None:
            return
        self.pollable = None
        self._sock.close()
        if self._path:
            try:
                os.unlink(self._path)
            except OSError:
                pass


def _address(address):
    # MicroPython's unix port takes packed addresses only.
    return socket.getaddrinfo(address[0], address[1])[0][-1] if _MICROPYTHON else address


def _unix(path):
    """A Unix datagram socket bound to `path`; one left over by a process that died is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        try:
            sock.bind(path)
        except OSError as e:
            if e.errno != errno.EADDRINUSE or _in_use(path):
                raise
            os.unlink(path)
            sock.bind(path)
    except OSError:
        sock.close()
        raise
    return sock


def _in_use(path):
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        probe.connect(path)
    except OSError as e:
        return e.errno != errno.ECONNREFUSED
    finally:
        probe.close()
    return True
