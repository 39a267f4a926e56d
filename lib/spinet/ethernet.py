"""Links: what carries IPv4 packets out of and into a port.

A link has one receive buffer and one transmit buffer, `tx`, in which its own
header stands ready: an IPv4 packet is built at `tx[header_len:]` and leaves
with `output(hop, n)`.  Ethernet II (IEEE 802.3, RFC 894) is one kind, bare IP
(a TUN device, a tunnel) the other; `loopback.py` has the third.
"""
from spinet.arp import BROADCAST, Arp, Neighbour
from spinet.prim import copy, eq6, frame_buffer, keep, put16, urandom
from spinet.timers import Timers

_LEAST = 60     # of a frame without its checksum
_VLAN = 0x8100
_NO_BOUND = 0x3FFFFFFF


class Link:
    """What links have in common.  `ip` is the IPv4 above, once one is connected.

    `window` bounds the TCP data in bytes that a peer may send at once: a port whose memory for
    frames that have come is smaller than some window says how much of them it can take.
    """

    arp = None

    def __init__(self, port, timers, mtu, header_len):
        self.port = port
        self.loopback = False
        self.timers = timers or Timers()
        self.mtu = mtu
        self.window = getattr(port, "window", _NO_BOUND)
        self.header_len = header_len
        self.tx = b"" if port is None else frame_buffer(header_len + mtu)     # loopback.py
        self.ip = None
        self.rx_group = False   # whether the frame in hand was sent to a group or to all
        self.expected = None    # the connection that a frame is most likely for ...
        self.foreseen = None    # ... and the short way there, if there is one
        self.broadcast = Neighbour(None, b"\xff\xff\xff\xff", BROADCAST)

    def receive(self, limit):
        """Take at most `limit` frames from the port, each to its end; how many there were."""
        port = self.port
        rx = self.rx
        n = 0
        while n < limit:
            k = port.recv(rx)
            if not k:
                break
            n += 1
            self.input(rx, 0, k)
        return n

    def announce(self, addr):
        """Tell the neighbours of a new address (4 bytes) of ours."""


class Ethernet(Link):
    """Ethernet II over `port`, with ARP.

    With `vlan` only frames with that 802.1Q tag are taken, and every frame
    sent has it.  Without, a tag is refused, unless it is a mere priority tag
    (VLAN 0), which says that the frame belongs to no VLAN.
    """

    def __init__(self, port, timers=None, random=urandom, vlan=None):
        mac = bytes(port.mac)
        if len(mac) != 6 or mac[0] & 1 or mac == b"\0\0\0\0\0\0":
            raise ValueError("a MAC address is 6 bytes, not a group's and not zero")
        if vlan is not None and not 0 < vlan < 4095:
            raise ValueError("a VLAN is 1 to 4094")
        Link.__init__(self, port, timers, port.mtu, 14 if vlan is None else 18)
        self.random = random
        self.mac = mac
        self.vlan = vlan
        self.rx = frame_buffer(port.mtu + 22)
        self.groups = [b"\x01\0\x5e\0\0\x01"]
        self.fill_header(self.tx, 0x0800)
        self.arp = Arp(self)
        self.count = {
            "rx": 0, "tx": 0, "runt": 0, "not_for_us": 0, "bad_source": 0, "bad_vlan": 0,
            "bad_type": 0, "port_busy": 0,
        }
        keep(self, "receive", "input", "output", "send")

    def fill_header(self, buf, kind):
        """Write our address, the tag and the EtherType `kind` into a frame buffer."""
        buf[6:12] = self.mac
        if self.vlan is not None:
            buf[12:16] = bytes((0x81, 0, self.vlan >> 8, self.vlan & 255))
        put16(buf, self.header_len - 2, kind)

    def input(self, buf, start, end):
        """A frame `buf[start:end]`, without its checksum, has come."""
        if self.foreseen is not None and self.foreseen(self, buf, start, end):
            return
        count = self.count
        if end - start < 14:
            count["runt"] += 1
            return
        if buf[start] & 1:
            if not eq6(buf, start, BROADCAST, 0) and not self._joined(buf, start):
                count["not_for_us"] += 1
                return
            self.rx_group = True
        else:
            if not eq6(buf, start, self.mac, 0):
                count["not_for_us"] += 1
                return
            self.rx_group = False
        if buf[start + 6] & 1:
            count["bad_source"] += 1
            return
        kind = buf[start + 12] << 8 | buf[start + 13]
        start += 14
        if kind == _VLAN or self.vlan is not None:
            if kind != _VLAN or end - start < 4 or (
                    (buf[start] & 15) << 8 | buf[start + 1]) != (self.vlan or 0):
                count["bad_vlan"] += 1
                return
            kind = buf[start + 2] << 8 | buf[start + 3]
            start += 4
        if kind == 0x0800 and self.ip is not None:
            count["rx"] += 1
            self.ip.receive(buf, start, end)
        elif kind == 0x0806:
            count["rx"] += 1
            self.arp.input(buf, start, end)
        else:
            count["bad_type"] += 1

    def _joined(self, buf, start):
        for group in self.groups:
            if eq6(buf, start, group, 0):
                return True
        return False

    def join(self, mac):
        """Take frames to the group `mac` (6 bytes) too; join it once more and leave it as often."""
        self.groups.append(bytes(mac))
        self._filter()

    def leave(self, mac):
        """Undo one `join`."""
        self.groups.remove(bytes(mac))
        self._filter()

    def _filter(self):
        """Tell a port that can leave out what is for other groups, which are ours."""
        tell = getattr(self.port, "filter", None)
        if tell is not None:
            tell(self.groups)

    def hop(self, addr):
        """The neighbour that has the address `addr` (4 bytes), resolved when it is used."""
        return self.arp.hop(addr)

    def group(self, addr):
        """The pseudo-neighbour of a multicast group (RFC 1112, 6.4)."""
        return Neighbour(None, addr, bytes((1, 0, 0x5E, addr[1] & 0x7F, addr[2], addr[3])))

    def output(self, hop, n):
        """Send the `n` bytes at `tx[header_len:]` to a neighbour; False if the port is busy.

        To a neighbour that is not resolved yet the frame goes later, in a copy.
        """
        if not hop.ok:
            return self.arp.hold(hop, n)
        hop.used = True
        tx = self.tx
        copy(tx, 0, hop.mac, 0, 6)
        return self.send(tx, n + self.header_len)

    def send(self, frame, n):
        """Send a whole frame of `n` bytes, padded if the port does not; False if it is busy."""
        port = self.port
        if n < _LEAST and not port.pads:
            while n < _LEAST:
                frame[n] = 0    # not whatever stood there before
                n += 1
        if port.send(frame, n):
            self.count["tx"] += 1
            return True
        self.count["port_busy"] += 1
        return False

    def announce(self, addr):
        """Gratuitous ARP: tell the neighbours that `addr` (4 bytes) is here now."""
        self.arp.announce(addr)


class BareIP(Link):
    """A port that carries IPv4 packets without a link header."""

    mac = None

    def __init__(self, port, timers=None):
        Link.__init__(self, port, timers, port.mtu, 0)
        self.rx = bytearray(port.mtu)
        self.count = {"rx": 0, "tx": 0, "port_busy": 0}

    def input(self, buf, start, end):
        """A packet `buf[start:end]` has come."""
        self.count["rx"] += 1
        if self.ip is not None:
            self.ip.receive(buf, start, end)

    def hop(self, addr):
        """Whoever is at the other end: the same for every address."""
        return self.broadcast

    group = hop

    def output(self, hop, n):
        """Send the `n` bytes at `tx[0:]`; False if the port is busy."""
        return self.send(self.tx, n)

    def send(self, packet, n):
        """Send a whole packet of `n` bytes; False if the port is busy."""
        if self.port.send(packet, n):
            self.count["tx"] += 1
            return True
        self.count["port_busy"] += 1
        return False

    def join(self, mac):
        """Nothing to filter."""

    leave = join
