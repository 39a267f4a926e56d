"""For tests: a host without an address, and a DHCP server that does only what a test tells it."""
from kit import Clock, Random
from lone import ALL_MAC, OUR_MAC, PEER_MAC, arp, ether, ipv4, udp
from net import End, checksum

from spinet import Stack
from spinet import dhcpmsg as m
from spinet.addr import fmt, parse

SERVER = "10.0.0.254"


class Message:
    """A DHCP message that the host has sent, `at` this many ms after the beginning."""

    def __init__(self, at, frame):
        d = frame[42:]
        self.at = at
        self.src = fmt(frame, 26)
        self.dst = fmt(frame, 30)
        self.to_all = frame[:6] == ALL_MAC
        self.ports = frame[34] << 8 | frame[35], frame[36] << 8 | frame[37]
        self.op = d[0]
        self.xid = d[4:8]
        self.secs = d[8] << 8 | d[9]
        self.flags = d[10] << 8 | d[11]
        self.ciaddr = fmt(d, 12)
        self.yiaddr = fmt(d, 16)
        self.giaddr = fmt(d, 24)
        self.chaddr = d[28:34]
        self.size = len(d)
        self.options = m.parse(d, 0, len(d))
        self.kind = self.options[m.TYPE][0]

    def address(self, code):
        """The address in an option, as text."""
        return fmt(self.options[code]) if code in self.options else None


def u32(n):
    return bytes((n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255))


def answer(kind, xid, mac, yiaddr="0.0.0.0", server=SERVER, options=(), lease=3600):
    """A server's message, as bytes; an option of None is left out."""
    message = m.begin(m.REPLY_OP, kind, xid, mac)
    message[m.YIADDR:m.YIADDR + 4] = parse(yiaddr)
    whole = {m.SERVER_ID: parse(server)}
    if kind in (m.OFFER, m.ACK):
        whole.update({m.LEASE_TIME: u32(lease), m.MASK: b"\xff\xff\xff\0",
                      m.ROUTERS: parse(SERVER), m.DNS: parse(SERVER)})
    whole.update(options)
    for code in whole:
        if whole[code] is not None:
            m.put(message, code, whole[code])
    return bytes(m.finish(message))


def datagram(payload, src=SERVER, dst="255.255.255.255", dst_mac=ALL_MAC, ports=(67, 68)):
    """A frame with a UDP datagram, its checksum included."""
    d = udp(ports[0], ports[1], payload)
    n = len(d)
    k = checksum(parse(src) + parse(dst) + bytes((0, 17, n >> 8, n & 255)) + d) or 0xFFFF
    return ether(ipv4(dst, 17, d[:6] + bytes((k >> 8, k & 255)) + d[8:], src=src), dst=dst_mac)


class Alone:
    """A stack with an interface but no address.

    `messages` has what it sent by DHCP, `frames` (ms, frame) of everything else. The host
    answers ARP for `neighbours`, a dictionary of MAC addresses by text.
    """

    def __init__(self, seed=5):
        self.clock = Clock()
        self.now = 0
        self.end = End(OUR_MAC)
        self.end.send_to = self._sent
        self.stack = Stack(clock=self.clock, random=Random(seed), wait=self.advance)
        self.messages = []
        self.frames = []
        self.neighbours = {SERVER: PEER_MAC}
        self.ip = self.make()
        self.link = self.ip.id

    def make(self):
        return self.stack.add(self.end)

    def _sent(self, frame):
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[36:38] == b"\0\x43":
            self.messages.append(Message(self.now, frame))
            return
        self.frames.append((self.now, frame))
        if frame[12:14] == b"\x08\6" and frame[21] == 1:
            target = fmt(frame, 38)
            mac = self.neighbours.get(target)
            if mac:
                self.end.waiting.append(ether(
                    arp(2, mac, target, frame[6:12], fmt(frame, 28)), dst=frame[6:12], src=mac,
                    kind=0x0806))

    def advance(self, ms):
        self.clock.advance(ms)
        self.now += ms

    def run(self, ms):
        """Let `ms` pass, polling when something is due (more rarely than the stack asks for)."""
        end = self.now + ms
        while True:
            n = len(self.end.waiting)
            if self.stack.poll() == 0 or self.end.waiting and len(self.end.waiting) != n:
                continue    # unless the interface is off and takes nothing
            left = end - self.now
            if left <= 0:
                return
            wait = self.stack.timers.run(self.clock.now)
            self.advance(left if wait is None or wait > left else wait)

    def give(self, *frames):
        self.end.waiting += frames
        self.run(0)

    def take(self):
        """What was sent by DHCP since the last `take`."""
        out = self.messages
        self.messages = []
        return out

    def one(self, kind):
        """The host has sent exactly one message, of this kind; returns it."""
        out = self.take()
        assert [x.kind for x in out] == [kind], [x.kind for x in out]
        return out[0]

    def reply(self, kind, yiaddr="10.0.0.77", xid=None, to_all=True, **about):
        """The server answers the last exchange."""
        message = answer(kind, xid or self.xid, OUR_MAC, yiaddr, **about)
        src = about.get("server", SERVER)
        if to_all:
            self.give(datagram(message, src))
        else:
            self.give(datagram(message, src, yiaddr, OUR_MAC))
