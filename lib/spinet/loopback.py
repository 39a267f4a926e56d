"""The loopback link: packets to this host itself (127/8 and its own addresses)."""
from spinet.ethernet import Link
from spinet.prim import keep

_SLOTS = 64


class Loopback(Link):
    """Delivers what it is given at the next `poll`; at most 64 packets wait, then it is busy."""

    mac = None

    def __init__(self, timers):
        Link.__init__(self, None, timers, 1500, 0)
        self.loopback = True
        self.waiting = []
        self.count = {"rx": 0, "tx": 0, "port_busy": 0}
        keep(self, "receive")

    def receive(self, limit):
        """Deliver at most `limit` of the packets that wait; how many it were."""
        n = 0
        while n < limit and self.waiting:
            packet = self.waiting.pop(0)
            n += 1
            self.count["rx"] += 1
            self.ip.receive(packet, 0, len(packet))
        return n

    def hop(self, addr):
        """There is only one; with the first path to it comes the transmit buffer."""
        if not self.tx:
            self.tx = self.ip.tx = bytearray(self.mtu)
        return self.broadcast

    group = hop

    def output(self, hop, n):
        """Keep a copy of the `n` bytes at `tx[0:]` for the next poll; False if too many wait."""
        if len(self.waiting) >= _SLOTS:
            self.count["port_busy"] += 1
            return False
        self.count["tx"] += 1
        self.waiting.append(bytearray(self.tx[:n]))
        return True
