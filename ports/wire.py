"""Cables, hubs and switches in memory, between stacks of one process.

    a, b = pair()                       # a cable; each end is a port
    switch = Switch()
    a, b, c = [switch.port() for _ in range(3)]

A port holds up to `slots` frames that wait for its owner; more are dropped and counted at the
receiving end ("rx_full"), as a network chip does: the sender is not told.  Frames are copied into
slots made at the start, so carrying one allocates nothing.
"""
from spinet.addr import mac as parse_mac
from spinet.prim import copy, eq6

_HEADER = 18        # Ethernet, with room for an 802.1Q tag
_ENTRY = 7          # of a switch's table: MAC, number of the port + 1


def pair(mtu=1500, slots=16, mac_a=None, mac_b=None, medium="ethernet"):
    """Two ports joined by a cable; `medium` "ip" for one that carries bare IPv4 packets."""
    cable = Hub(mtu, slots, medium)
    return cable.port(mac_a), cable.port(mac_b)


class Hub:
    """Repeats each frame to all other ports.  `port()` makes one."""

    def __init__(self, mtu=1500, slots=16, medium="ethernet"):
        self.mtu = mtu
        self.slots = slots
        self.medium = medium
        self.ports = []
        self.count = {"frames": 0}

    def port(self, mac=None):
        """A new port.  Without `mac` (text or 6 bytes), 02:00:00:00:00:n by its number, from 1."""
        number = len(self.ports)
        if self.medium == "ip":
            mac = None
        elif mac is None:
            mac = bytes((2, 0, 0, 0, (number + 1) >> 8, (number + 1) & 255))
        else:
            mac = parse_mac(mac)
        port = WirePort(self, number, mac)
        self.ports.append(port)
        return port

    def carry(self, number, buf, n):
        """Carry the frame buf[0:n] that port `number` sends."""
        self.count["frames"] += 1
        for port in self.ports:
            if port.number != number:
                port.put(buf, n)

    def forget(self, number):
        """The port of this number is closed."""


class Switch(Hub):
    """Learns which station is at which port, and sends to that port only.

    The table has `entries` places (a power of two), each for the MAC addresses with one hash: two
    stations that share a place and talk in turn are still reached, by flooding.
    """

    def __init__(self, mtu=1500, slots=16, entries=256):
        Hub.__init__(self, mtu, slots)
        if entries & (entries - 1) or not entries:
            raise ValueError("entries: %r is not a power of two" % (entries,))
        self.count.update({"flooded": 0, "filtered": 0, "learnt": 0, "runt": 0})
        self._mask = entries - 1
        self._table = bytearray(entries * _ENTRY)

    def carry(self, number, buf, n):
        count = self.count
        if n < 14:
            count["runt"] += 1
            return
        count["frames"] += 1
        table = self._table
        if not buf[6] & 1:
            at = self._place(buf, 6)
            if table[at + 6] != number + 1 or not eq6(table, at, buf, 6):
                copy(table, at, buf, 6, 6)
                table[at + 6] = number + 1
                count["learnt"] += 1
        if not buf[0] & 1:
            at = self._place(buf, 0)
            there = table[at + 6]
            if there and eq6(table, at, buf, 0):
                if there == number + 1:
                    count["filtered"] += 1
                else:
                    self.ports[there - 1].put(buf, n)
                return
        count["flooded"] += 1
        for port in self.ports:
            if port.number != number:
                port.put(buf, n)

    def _place(self, buf, i):
        return ((buf[i + 5] ^ buf[i + 4] * 7 ^ buf[i + 3] * 31) & self._mask) * _ENTRY

    def port(self, mac=None):
        if len(self.ports) == 254:
            raise ValueError("a switch has at most 254 ports")
        return Hub.port(self, mac)

    def forget(self, number):
        table = self._table
        for at in range(6, len(table), _ENTRY):
            if table[at] == number + 1:
                table[at] = 0


class WirePort:
    """One end of a cable, or one port of a hub or switch.  Set `plugged` False to pull it out."""

    pads = False
    pollable = None
    on_frame = None     # called when a frame has come, if set

    def __init__(self, hub, number, mac):
        self.hub = hub
        self.number = number
        self.medium = hub.medium
        self.mac = mac
        self.mtu = hub.mtu
        self.plugged = True
        self.count = {"rx": 0, "tx": 0, "rx_full": 0, "rx_too_long": 0, "tx_too_long": 0,
                      "tx_no_link": 0}
        self._largest = hub.mtu + (_HEADER if hub.medium == "ethernet" else 0)
        self._frames = [bytearray(self._largest) for _ in range(hub.slots)]
        self._lengths = [0] * hub.slots
        self._first = 0
        self._waiting = 0

    def recv(self, buf):
        """Take the next frame into `buf`; its length, 0 if none waits."""
        lengths = self._lengths
        while self._waiting:
            first = self._first
            n = lengths[first]
            self._first = first + 1 if first + 1 < len(lengths) else 0
            self._waiting -= 1
            if n <= len(buf):
                copy(buf, 0, self._frames[first], 0, n)
                self.count["rx"] += 1
                return n
            self.count["rx_too_long"] += 1
        return 0

    def send(self, buf, n):
        """Send the frame buf[0:n]; always taken, as a cable does."""
        if not self.plugged:
            self.count["tx_no_link"] += 1
        elif n > self._largest:
            self.count["tx_too_long"] += 1
        else:
            self.count["tx"] += 1
            self.hub.carry(self.number, buf, n)
        return True

    def put(self, buf, n):
        """A frame arrives at this port."""
        if not self.plugged:
            return
        waiting = self._waiting
        slots = len(self._lengths)
        if waiting == slots:
            self.count["rx_full"] += 1
            return
        i = self._first + waiting
        if i >= slots:
            i -= slots
        copy(self._frames[i], 0, buf, 0, n)
        self._lengths[i] = n
        self._waiting = waiting + 1
        if self.on_frame:
            self.on_frame()

    def link(self):
        """Whether this port and another one of its cable, hub or switch are plugged in."""
        if self.plugged:
            for port in self.hub.ports:
                if port.plugged and port is not self:
                    return True
        return False

    def fileno(self):
        """-1: there is no descriptor behind it."""
        return -1

    def close(self):
        """Unplug for ever and let go of what waits."""
        self.plugged = False
        self._waiting = 0
        self.hub.forget(self.number)
