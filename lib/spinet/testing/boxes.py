"""What stands between hosts: a switch, and an IPv4 router."""
from spinet.prim import cksum


class Plug:
    """One socket of a box, for `cable`: as a port, with `out` and `arrive`."""

    medium = "ethernet"

    def __init__(self, box, number, mtu=1500):
        self.host = box     # whose name the pipe bears
        self.number = number
        self.mtu = mtu
        self.out = None

    def arrive(self, frame):
        self.host.input(self, frame)


class Switch:
    """A learning switch; each of its cables has a queue of its own.  `port()` makes a socket."""

    def __init__(self, name="switch"):
        self.name = name
        self.plugs = []
        self.table = {}     # MAC -> plug

    def port(self):
        plug = Plug(self, len(self.plugs))
        self.plugs.append(plug)
        return plug

    def input(self, plug, frame):
        self.table[bytes(frame[6:12])] = plug
        there = None if frame[0] & 1 else self.table.get(bytes(frame[:6]))
        if there is None:
            for other in self.plugs:
                if other is not plug:
                    other.out.carry(frame)
        elif there is not plug:
            there.out.carry(frame)


class Router:
    """Forwards IPv4 between its legs.

    What does not fit is fragmented, or if it may not be, reported to its sender (RFC 1191),
    unless the router is `mute`.

    `leg(address, length, mtu)` makes a socket, `know(address, mac)` tells of a host beyond it.
    """

    def __init__(self, name="router", mute=False):
        self.name = name
        self.mute = mute
        self.legs = []
        self.dropped = {"ttl": 0, "too_big": 0, "no_host": 0, "damaged": 0}

    def leg(self, address, length=24, mtu=1500):
        """A leg with the address `address` (4 bytes)."""
        plug = Plug(self, len(self.legs), mtu)
        plug.mac = bytes((2, 0, 0, 1, 0, plug.number))
        plug.address = bytes(address)
        plug.length = length >> 3      # of the prefix, in whole bytes
        plug.hosts = {}
        self.legs.append(plug)
        return plug

    def know(self, leg, address, mac):
        """There is a host at `leg` with this address (4 bytes) and MAC."""
        leg.hosts[bytes(address)] = bytes(mac)

    def input(self, leg, frame):
        kind = frame[12] << 8 | frame[13]
        if kind == 0x0806:
            self._arp(leg, frame)
        elif kind == 0x0800 and bytes(frame[:6]) == leg.mac:
            self._forward(leg, frame)

    def _arp(self, leg, frame):
        if bytes(frame[20:22]) == b"\0\1" and bytes(frame[38:42]) == leg.address:
            leg.out.carry(bytes(frame[6:12]) + leg.mac + bytes(frame[12:20]) + b"\0\2" + leg.mac
                          + leg.address + bytes(frame[22:32]))

    def _forward(self, leg, frame):
        n = frame[16] << 8 | frame[17]
        if frame[14] != 0x45 or n + 14 > len(frame) or cksum(frame, 14, 34) != 0xFFFF:
            self.dropped["damaged"] += 1
            return
        if frame[22] < 2:
            self.dropped["ttl"] += 1
            return
        there = bytes(frame[30:34])
        for other in self.legs:
            if there[:other.length] == other.address[:other.length]:
                break
        else:
            self.dropped["no_host"] += 1
            return
        mac = other.hosts.get(there)
        if mac is None:
            self.dropped["no_host"] += 1
        elif n > other.mtu and frame[20] & 0x40:
            self.dropped["too_big"] += 1
            if not self.mute:
                self._too_big(leg, frame, other.mtu)
        else:
            frame = bytearray(frame[:14 + n])
            frame[:6] = mac
            frame[6:12] = other.mac
            frame[22] -= 1
            self._send(other, frame, n)

    def _send(self, leg, frame, n):
        """Send a datagram of `n` bytes that lacks the checksum only, in fragments if need be."""
        most = leg.mtu - 20 & ~7 if n > leg.mtu else n
        at = 0
        flags = frame[20] << 8 | frame[21]
        while n - 20 - at > most:
            self._send_one(leg, frame[:34] + frame[34 + at:34 + at + most], flags | 0x2000, at)
            at += most
        self._send_one(leg, frame[:34] + frame[34 + at:] if at else frame, flags, at)

    def _send_one(self, leg, frame, flags, at):
        n = len(frame) - 14
        flags += at >> 3
        frame[16] = n >> 8
        frame[17] = n & 255
        frame[20] = flags >> 8
        frame[21] = flags & 255
        _sum(frame, 14, 34, 24)
        leg.out.carry(frame)

    def _too_big(self, leg, frame, mtu):
        """Destination unreachable, fragmentation needed, with the next hop's MTU."""
        message = bytearray(b"\3\4\0\0\0\0") + bytes((mtu >> 8, mtu & 255)) + frame[14:42]
        _sum(message, 0, len(message), 2)
        n = 20 + len(message)
        out = bytearray(bytes(frame[6:12]) + leg.mac + b"\x08\0\x45\0" + bytes((n >> 8, n & 255))
                        + b"\0\0\0\0\x40\1\0\0" + leg.address + bytes(frame[26:30])) + message
        _sum(out, 14, 34, 24)
        leg.out.carry(out)


def _sum(buf, start, end, at):
    """Put the Internet checksum of `buf[start:end]` at `buf[at:]`."""
    buf[at] = buf[at + 1] = 0
    k = cksum(buf, start, end) ^ 0xFFFF
    buf[at] = k >> 8
    buf[at + 1] = k & 255
