"""One stack on an Ethernet that a test plays: frames in, frames out, as bytes."""
from kit import Clock, Random
from net import End, checksum

from spinet import Stack

OUR_MAC = b"\x02\0\0\0\0\x01"
PEER_MAC = b"\x02\0\0\0\0\x02"
ALL_MAC = b"\xff\xff\xff\xff\xff\xff"


def ipv4(dst, proto=17, payload=b"", src="10.0.0.2", ttl=64, tos=0, ident=0, frag=0, options=b"",
         total=None):
    """An IPv4 packet; `frag` is the 16-bit flags and offset field."""
    from spinet.addr import parse

    hl = 20 + len(options)
    n = hl + len(payload) if total is None else total
    h = bytes((0x40 | hl >> 2, tos, n >> 8, n & 255, ident >> 8, ident & 255, frag >> 8, frag & 255,
               ttl, proto, 0, 0)) + parse(src) + parse(dst) + options
    k = checksum(h)
    return h[:10] + bytes((k >> 8, k & 255)) + h[12:] + payload


def udp(sport, dport, data):
    """A UDP datagram without a checksum."""
    n = 8 + len(data)
    return bytes((sport >> 8, sport & 255, dport >> 8, dport & 255, n >> 8, n & 255, 0, 0)) + data


def arp(op, sender_mac, sender, target_mac, target):
    """An ARP packet."""
    from spinet.addr import parse

    return (b"\0\1\x08\0\6\4\0" + bytes((op,)) + sender_mac + parse(sender) + target_mac
            + parse(target))


def ether(payload, dst=OUR_MAC, src=PEER_MAC, kind=0x0800, tag=None):
    """An Ethernet frame, with an 802.1Q tag if one is given."""
    t = b"" if tag is None else bytes((0x81, 0, tag >> 8, tag & 255))
    return dst + src + t + bytes((kind >> 8, kind & 255)) + payload


class Lone:
    """The stack (`stack`, `ip`, `link`) at 10.0.0.1/24; `out` has the frames it sent.

    With `answers` the host 10.0.0.2 answers ARP requests.
    """

    def __init__(self, address="10.0.0.1/24", gateway=None, vlan=None, pads=True, answers=False,
                 mtu=1500):
        self.clock = Clock()
        self.end = End(OUR_MAC)
        self.end.pads = pads
        self.end.mtu = mtu
        self.end.send_to = self._sent
        self.answers = answers
        self.stack = Stack(clock=self.clock, random=Random(3), wait=self.wait)
        self.out = []
        self.ip = self.stack.add(self.end, address, gateway, vlan)
        self.link = self.ip.id
        self.out = []

    def _sent(self, frame):
        if self.answers and frame[12:14] == b"\x08\6" and frame[21] == 1:
            if frame[38:42] == b"\x0a\0\0\2":
                self.end.waiting.append(ether(
                    arp(2, PEER_MAC, "10.0.0.2", OUR_MAC, "10.0.0.1"), kind=0x0806))
            return
        self.out.append(frame)

    def wait(self, ms):
        self.clock.advance(ms)

    def give(self, *frames):
        """The frames come, and the stack is polled until they are gone."""
        self.end.waiting += frames
        while self.end.waiting or self.stack.lo.id.waiting:
            self.stack.poll()

    def run(self, ms):
        """Let `ms` pass, polling when the stack asks for it."""
        while ms > 0:
            wait = min(self.stack.poll(), ms)
            if wait:
                self.clock.advance(wait)
                ms -= wait
        self.stack.poll()

    def take(self):
        """The frames sent since the last `take`."""
        out = self.out
        self.out = []
        return out
