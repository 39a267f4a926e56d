"""A TAP interface of Linux (or a TUN one, see `tun.py`): its kernel is the other end of the cable.

    port = Tap("tap0")          # then: ip address add 10.0.0.1/24 dev tap0; ip link set tap0 up

Needs CAP_NET_ADMIN, or an interface made before by `ip tuntap add tap0 mode tap user NAME`.
CPython only: MicroPython's unix port has no ioctl.
"""
import errno
import fcntl
import os
import socket
import struct

from spinet.addr import mac as parse_mac
from spinet.prim import urandom

_TUNSETIFF = 0x400454CA
_TUN, _TAP, _NO_PI = 1, 2, 0x1000
_BUSY = (errno.EAGAIN, errno.ENOBUFS)


class TunTap:
    """What `Tap` and `Tun` share.

    `name` is the interface's name, "" or one with %d for the kernel to choose; the attribute
    `name` is what it became.  The interface is removed with `close`, unless it was there before.
    """

    pads = True
    mac = None
    _mode = _TUN
    _room = 0           # bytes before the IP packet

    def __init__(self, name=""):
        try:
            self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as e:
            why = ("needs root, or permission to open it" if e.errno == errno.EACCES
                   else "%s (is the module tun loaded?)" % e.strerror)
            raise OSError(e.errno, "/dev/net/tun: " + why)
        self.pollable = self
        try:
            wanted = struct.pack("16sH22x", name.encode()[:15], self._mode | _NO_PI)
            got = fcntl.ioctl(self._fd, _TUNSETIFF, wanted)
        except OSError as e:
            self.close()
            why = {errno.EPERM: "needs CAP_NET_ADMIN, or an interface made for this user",
                   errno.EBUSY: "another program has it open",
                   errno.EINVAL: "it exists and is of another kind"}.get(e.errno, e.strerror)
            raise OSError(e.errno, "%s: %s" % (name or "/dev/net/tun", why))
        self.name = got[:16].rstrip(b"\0").decode()
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.mtu = struct.unpack_from("i", self._ifreq(0x8921), 16)[0]
        self.count = {"rx": 0, "tx": 0, "rx_too_long": 0, "tx_too_long": 0, "busy": 0, "down": 0,
                      "errors": 0}
        # One byte more than fits tells a frame that is too long.
        self._spare = bytearray(1)
        self._into = [self._spare, self._spare]
        self._view = None       # of the buffer sent last
        self._viewed = None

    def _ifreq(self, request):
        return fcntl.ioctl(self._control, request, struct.pack("16s24x", self.name.encode()))

    def recv(self, buf):
        """Take the next frame into `buf`; its length, 0 if none waits."""
        into = self._into
        if into[0] is not buf:
            into[0] = buf
        while True:
            try:
                n = os.readv(self._fd, into)
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    self._failed(e)
                return 0
            if 0 < n <= len(buf):
                self.count["rx"] += 1
                return n
            self.count["rx_too_long"] += 1

    def send(self, buf, n):
        """Send the frame buf[0:n]; False when the kernel has no room for it now."""
        if buf is not self._viewed:
            self._view = memoryview(buf)
            self._viewed = buf
        if n > self.mtu + self._room:
            self.count["tx_too_long"] += 1
            return True
        try:
            os.write(self._fd, self._view[:n])
        except OSError as e:
            if e.errno in _BUSY:
                self.count["busy"] += 1
                return False
            self._failed(e)
            return True
        self.count["tx"] += 1
        return True

    def _failed(self, e):
        if self.pollable is None:
            return
        # EIO: the interface is not up.  EBADFD: it was deleted.
        down = e.errno in (errno.EIO, errno.EBADFD, errno.ENETDOWN)
        self.count["down" if down else "errors"] += 1

    def link(self):
        """Whether the interface is up."""
        if self.pollable is None:
            return False
        try:
            return bool(struct.unpack_from("H", self._ifreq(0x8913), 16)[0] & 1)
        except OSError:
            return False

    def fileno(self):
        """The descriptor; -1 after `close`."""
        return self._fd

    def close(self):
        """Give the interface back."""
        if self.pollable is None:
            return
        self.pollable = None
        os.close(self._fd)
        self._fd = -1
        if hasattr(self, "_control"):
            self._control.close()


class Tap(TunTap):
    """A port that carries Ethernet frames.  `mac` is our address, random if not given."""

    medium = "ethernet"
    _mode = _TAP
    _room = 18          # Ethernet header and an 802.1Q tag

    def __init__(self, name="", mac=None):
        TunTap.__init__(self, name)
        self.mac = parse_mac(mac) if mac else b"\2\0" + urandom(4)
