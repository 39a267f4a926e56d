"""A stack at 10.0.0.1/24 whose neighbours are one function of the test."""
from kit import Clock, Random
from lone import OUR_MAC, PEER_MAC, ether, ipv4, udp
from net import End

from spinet import Stack
from spinet.addr import fmt, parse


class Sent:
    """A UDP datagram that the stack sent: addresses as text."""

    def __init__(self, frame):
        n = 14 + (frame[16] << 8 | frame[17])
        self.frame = frame
        self.src = fmt(frame, 26)
        self.dst = fmt(frame, 30)
        self.ttl = frame[22]
        self.sport = frame[34] << 8 | frame[35]
        self.dport = frame[36] << 8 | frame[37]
        self.data = frame[42:n]


class Answering:
    """`serve(sent)` is called with each `Sent`; it returns payloads that go back at once, if any.

    Every address of the network but our own answers ARP.  `sent` has all datagrams, `other` every
    other packet of IPv4; `silent` addresses (text) do not answer ARP.
    """

    def __init__(self, serve=None, seed=3, gateway=None):
        self.clock = Clock()
        self.end = End(OUR_MAC)
        self.end.send_to = self._sent
        self.serve = serve
        self.sent = []
        self.other = []
        self.silent = []
        self.stack = Stack(clock=self.clock, random=Random(seed), wait=self.wait)
        self.ip = self.stack.add(self.end, "10.0.0.1/24", gateway)

    def wait(self, ms):
        self.clock.advance(ms)

    def _sent(self, frame):
        if frame[12:14] == b"\x08\6":
            if frame[21] == 1 and frame[38:42] != b"\x0a\0\0\1" and (
                    fmt(frame, 38) not in self.silent):
                self.end.waiting.append(ether(
                    b"\0\1\x08\0\6\4\0\2" + PEER_MAC + frame[38:42] + frame[6:12] + frame[28:32],
                    kind=0x0806))
            return
        if frame[23] != 17:
            self.other.append(frame)
            return
        sent = Sent(frame)
        self.sent.append(sent)
        for reply in (self.serve(sent) if self.serve else None) or ():
            self.give(reply, sent.dst, sent.dport, sent.sport)

    def give(self, data, src="10.0.0.2", sport=53, dport=53, dst="10.0.0.1", mac=OUR_MAC, ttl=64):
        """A datagram comes, as soon as the stack is polled."""
        self.end.waiting.append(ether(ipv4(dst, 17, udp(sport, dport, data), src=src, ttl=ttl),
                                      dst=mac))

    def group(self, data, src="10.0.0.2", port=5353, group="224.0.0.251", sport=None):
        """A datagram comes to a group."""
        g = parse(group)
        self.give(data, src, sport or port, port, group,
                  b"\x01\0\x5e" + bytes((g[1] & 127, g[2], g[3])), 255)

    def icmp(self, kind, code, sent, src="10.0.0.2", info=b"\0\0\0\0"):
        """An ICMP error about a frame of ours comes."""
        from net import checksum

        body = bytes((kind, code, 0, 0)) + info + sent[14:14 + 28]
        k = checksum(body)
        body = body[:2] + bytes((k >> 8, k & 255)) + body[4:]
        self.end.waiting.append(ether(ipv4("10.0.0.1", 1, body, src=src)))

    def poll(self):
        """Poll until nothing comes any more."""
        self.stack.poll()
        while self.end.waiting or self.stack.lo.id.waiting:
            self.stack.poll()

    def run(self, ms):
        """Let `ms` pass, polling when the stack asks for it."""
        self.poll()
        while ms > 0:
            wait = min(self.stack.poll(), ms)
            if wait:
                self.clock.advance(wait)
                ms -= wait
        self.poll()

    def take(self):
        """The datagrams sent since the last `take`."""
        sent = self.sent
        self.sent = []
        return sent
