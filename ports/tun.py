"""A TUN interface of Linux: bare IPv4 packets to and from its kernel, without Ethernet and ARP.

    port = Tun("tun0")          # then: ip address add 10.0.0.1/24 dev tun0; ip link set tun0 up

Permissions and runtimes as with `tap.py`.
"""
from spinet.ports.tap import TunTap


class Tun(TunTap):
    """A port that carries IPv4 packets.  What else the kernel sends (IPv6) is dropped."""

    medium = "ip"

    def __init__(self, name=""):
        TunTap.__init__(self, name)
        self.count["rx_not_ipv4"] = 0

    def recv(self, buf):
        """Take the next IPv4 packet into `buf`; its length, 0 if none waits."""
        while True:
            n = TunTap.recv(self, buf)
            if n == 0 or buf[0] >> 4 == 4:
                return n
            self.count["rx_not_ipv4"] += 1
