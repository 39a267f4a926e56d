"""A port that carries IPv4 packets over whatever a program has: a USB device, a VPN, a serial line.

    tunnel = Tunnel(send)               # send(packet) takes a memoryview, valid during the call
    stack.add(tunnel, "10.0.0.2/24")
    tunnel.put(packet)                  # for each packet that comes

`send` returns False when it can take no more now: TCP tries again a millisecond later, UDP says so.
Packets that were `put` wait in slots made at the start; more than `slots` are dropped and counted.
"""
from spinet.prim import copy


class Tunnel:
    """One end of a tunnel for packets of at most `mtu` bytes."""

    medium = "ip"
    mac = None
    pads = False
    pollable = None
    on_frame = None     # called when a packet was put, if set

    def __init__(self, send, mtu=1500, slots=16):
        self.mtu = mtu
        self.up = True      # set it False while there is nothing at the other end
        self.count = {"rx": 0, "tx": 0, "rx_full": 0, "rx_too_long": 0, "tx_too_long": 0,
                      "busy": 0}
        self._send = send
        self._slots = [bytearray(mtu) for _ in range(slots)]
        self._lengths = [0] * slots
        self._first = 0
        self._waiting = 0
        self._view = None       # of the buffer sent last
        self._viewed = None

    def put(self, packet):
        """A packet, bytes-like, has come through the tunnel; False if there was no room for it."""
        n = len(packet)
        slots = len(self._lengths)
        if n > self.mtu:
            self.count["rx_too_long"] += 1
            return False
        if self._waiting == slots:
            self.count["rx_full"] += 1
            return False
        i = self._first + self._waiting
        if i >= slots:
            i -= slots
        copy(self._slots[i], 0, packet, 0, n)
        self._lengths[i] = n
        self._waiting += 1
        if self.on_frame:
            self.on_frame()
        return True

    def recv(self, buf):
        """Take the next packet into `buf`; its length, 0 if none waits."""
        if not self._waiting:
            return 0
        i = self._first
        n = self._lengths[i]
        copy(buf, 0, self._slots[i], 0, n)
        self._first = i + 1 if i + 1 < len(self._lengths) else 0
        self._waiting -= 1
        self.count["rx"] += 1
        return n

    def send(self, buf, n):
        """Send the packet buf[0:n]; False when the channel is busy."""
        if buf is not self._viewed:
            self._view = memoryview(buf)
            self._viewed = buf
        if n > self.mtu:
            self.count["tx_too_long"] += 1
            return True
        if self._send(self._view[:n]) is False:
            self.count["busy"] += 1
            return False
        self.count["tx"] += 1
        return True

    def link(self):
        """Whether there is somebody at the other end, as far as `up` says."""
        return self.up

    def close(self):
        """Carry nothing any more."""
        self.up = False
        self._waiting = 0
        self._send = _nowhere


def _nowhere(packet):
    """There is no other end any more."""
