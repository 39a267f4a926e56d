"""Frames of a Linux network interface by a packet socket (AF_PACKET); needs CAP_NET_RAW.

    port = RawSocket("eth0")

Works on CPython and on MicroPython's unix port.  Give the interface no address of the kernel's, or
another one: what comes in goes to both.  Switch its offloads off (`ethtool -K eth0 rx off tx off
sg off tso off gso off gro off`): with them the kernel hands over, from programs of its own host,
segments longer than the MTU and checksums not yet computed.

On MicroPython each received frame is allocated, which takes the longer the larger the heap is:
4 MB are better than 64.

802.1Q: the kernel takes tags off before a packet socket sees a frame, so tagged frames are not
received: they would look untagged.  For a VLAN use its own interface (`ip link add link eth0 name
eth0.5 type vlan id 5`), or a TAP.
"""
import errno
import socket
import struct
import sys

from spinet.addr import mac as parse_mac

try:
    from fcntl import ioctl
except ImportError:
    ioctl = None

_MICROPYTHON = sys.implementation.name == "micropython"
_AF_PACKET = 17
_ALL = 3                    # ETH_P_ALL
_TRUNC = 0x20               # MSG_TRUNC: the true length of what did not fit
_RCVBUF = 8 << 20
_GONE = (errno.ENODEV, 6, 100)      # ENXIO, ENETDOWN
_ENOPROTOOPT = 92
_ENOBUFS = getattr(errno, "ENOBUFS", 105)
_EMSGSIZE = 90


class RawSocket:
    """A port: what the interface `ifname` receives, and what we send by it.

    `mac` is our address, the interface's own by default; another one needs `promiscuous`, which
    also lets frames to others through.  Without it all multicasts are received still.
    Raises OSError: no such interface (ENODEV), no permission (EPERM).
    """

    medium = "ethernet"
    pads = True             # the driver does, where the medium wants it

    def __init__(self, ifname, mac=None, promiscuous=True):
        self.ifname = ifname
        try:
            self._sock = socket.socket(_AF_PACKET, socket.SOCK_RAW, _ALL << 8)
        except OSError as e:
            if e.errno in (errno.EPERM, errno.EACCES):
                raise OSError(e.errno, "a packet socket needs root or CAP_NET_RAW")
            raise
        self.pollable = self._sock
        try:
            self._open(ifname, mac, promiscuous)
        except OSError:
            self.close()
            raise
        self.count = {"rx": 0, "tx": 0, "rx_too_long": 0, "tx_too_long": 0, "busy": 0, "down": 0,
                      "errors": 0}
        self._view = None       # of the buffer sent last
        self._viewed = None
        self._send = self._sock.send
        if _MICROPYTHON:
            self._recv = self._sock.recv
            self.recv = self._recv_bytes
        else:
            self._recv_into = self._sock.recv_into

    def _open(self, ifname, mac, promiscuous):
        sock = self._sock
        try:
            index, own, self.mtu = _about(sock, ifname)
        except OSError as e:
            if e.errno not in (errno.ENODEV, errno.ENOENT):
                raise
            raise OSError(errno.ENODEV, "no network interface %r" % ifname)
        self.mac = parse_mac(mac) if mac else own
        try:
            sock.setsockopt(263, 23, 1)         # SOL_PACKET, PACKET_IGNORE_OUTGOING
        except OSError as e:
            if e.errno == _ENOPROTOOPT:
                raise OSError(e.errno, "spinet needs Linux 4.20 or later for packet sockets")
            raise
        _refuse_tagged(sock)
        mode = 1 if promiscuous else 2          # PACKET_MR_PROMISC, _ALLMULTI
        sock.setsockopt(263, 1, struct.pack("iHH8s", index, mode, 0, b""))
        for option in (33, 8):                  # SO_RCVBUFFORCE, SO_RCVBUF
            try:
                sock.setsockopt(1, option, _RCVBUF)
                break
            except OSError:
                pass
        sock.setblocking(False)
        sock.bind(_address(ifname, index))
        # What came before the bind came from all interfaces.
        try:
            while True:
                sock.recv(1)
        except OSError:
            pass

    def recv(self, buf):
        """Take the next frame into `buf`; its length, 0 if none waits."""
        while True:
            try:
                n = self._recv_into(buf, 0, _TRUNC)
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    self._failed(e)
                return 0
            if 0 < n <= len(buf):
                self.count["rx"] += 1
                return n
            self.count["rx_too_long"] += 1

    def _recv_bytes(self, buf):
        # MicroPython's readinto would glue frames together.
        room = len(buf)
        while True:
            try:
                data = self._recv(room + 1)
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    self._failed(e)
                return 0
            n = len(data)
            if 0 < n <= room:
                buf[:n] = data
                self.count["rx"] += 1
                return n
            self.count["rx_too_long"] += 1

    def send(self, buf, n):
        """Send the frame buf[0:n]; False when the interface's queue is full."""
        if buf is not self._viewed:
            self._view = memoryview(buf)
            self._viewed = buf
        try:
            self._send(self._view[:n])
        except OSError as e:
            if e.errno == errno.EAGAIN or e.errno == _ENOBUFS:
                self.count["busy"] += 1
                return False
            self._failed(e)
            return True
        self.count["tx"] += 1
        return True

    def _failed(self, e):
        if self.pollable is None:
            return
        number = e.errno
        if number in _GONE:
            self.count["down"] += 1
        elif number == _EMSGSIZE:
            self.count["tx_too_long"] += 1
        else:
            self.count["errors"] += 1

    def link(self):
        """Whether the interface is up and has a carrier."""
        if self.pollable is None:
            return False
        try:
            if ioctl:
                # IFF_UP and IFF_RUNNING
                return _ifreq(self._sock, 0x8913, self.ifname, "H")[0] & 0x41 == 0x41
            with open("/sys/class/net/" + self.ifname + "/carrier") as f:
                return f.read(1) == "1"
        except OSError:
            return False

    def fileno(self):
        """The socket's descriptor; -1 after `close`."""
        return self._sock.fileno() if self.pollable is not None else -1

    def close(self):
        """Close the socket."""
        if self.pollable is not None:
            self.pollable = None
            self._sock.close()


def _refuse_tagged(sock):
    # Classic BPF: load "VLAN tag present"; if it is 0 take the frame, else drop it.
    program = bytearray(struct.pack(
        "HBBIHBBIHBBIHBBI", 0x30, 0, 0, 0xFFFFF030, 0x15, 0, 1, 0, 6, 0, 0, 0x40000, 6, 0, 0, 0))
    if _MICROPYTHON:
        from uctypes import addressof
        at = addressof(program)
    else:
        from ctypes import addressof, c_char
        at = addressof(c_char.from_buffer(program))
    # SO_ATTACH_FILTER takes a struct sock_fprog, with a pointer.
    sock.setsockopt(1, 26, struct.pack("HQ" if sys.maxsize >> 32 else "HI", 4, at))


def _ifreq(sock, request, ifname, format):
    packed = ioctl(sock.fileno(), request, struct.pack("16s24x", ifname.encode()))
    return struct.unpack_from(format, packed, 16)


def _about(sock, ifname):
    """(index, MAC, MTU) of an interface; the kernel's answer, or what /sys says."""
    if len(ifname) > 15:
        raise OSError(errno.ENODEV)
    if ioctl:
        return (_ifreq(sock, 0x8933, ifname, "i")[0], _ifreq(sock, 0x8927, ifname, "2x6s")[0],
                _ifreq(sock, 0x8921, ifname, "i")[0])
    found = []
    for name in ("ifindex", "address", "mtu"):
        with open("/sys/class/net/" + ifname + "/" + name) as f:
            found.append(f.read().strip())
    return int(found[0]), parse_mac(found[1]), int(found[2])


def _address(ifname, index):
    if not _MICROPYTHON:
        return ifname, _ALL
    # struct sockaddr_ll
    return struct.pack("<H", _AF_PACKET) + struct.pack(">H", _ALL) + struct.pack(
        "<iHBB8s", index, 0, 0, 0, b"")
