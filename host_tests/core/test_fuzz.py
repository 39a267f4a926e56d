"""Whatever comes: nothing raises out of poll(), and every frame is accounted for."""
from kit import Random
from lone import ALL_MAC, OUR_MAC, PEER_MAC, Lone, arp, ether, ipv4, udp
from net import checksum
from test_icmp import icmp, quote
from test_udp import summed

from spinet import socket


def tcp(flags, options=b"", data=b""):
    s = bytes((0x12, 0x34, 0, 80)) + b"\0\0\1\0\0\0\2\0" + bytes(
        ((20 + len(options)) << 2, flags, 0x10, 0)) + b"\0\0\0\0" + options + data
    n = len(s)
    k = checksum(b"\x0a\0\0\2\x0a\0\0\1\0\6" + bytes((n >> 8, n & 255)) + s)
    return s[:16] + bytes((k >> 8, k & 255)) + s[18:]


SEEDS = (
    ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, kind=0x0806),
    ether(arp(2, PEER_MAC, "10.0.0.2", OUR_MAC, "10.0.0.1"), kind=0x0806),
    ether(ipv4("10.0.0.1", 1, icmp(8, 0, b"\1\2\3\4", b"ping" * 8))),
    ether(ipv4("10.0.0.1", 1, icmp(3, 3, data=quote(7, 5)))),
    ether(ipv4("10.0.0.1", 1, icmp(5, 1, b"\x0a\0\0\x09", quote(7, 5)))),
    ether(ipv4("10.0.0.1", 17, summed(udp(5, 7, b"datagram")))),
    ether(ipv4("10.0.0.255", 17, udp(5, 7, b"to all")), dst=ALL_MAC),
    ether(ipv4("10.0.0.1", 17, udp(5, 7, b"f" * 56), frag=0x2000)),
    ether(ipv4("10.0.0.1", 17, b"l" * 40, frag=8)),
    ether(ipv4("10.0.0.1", 17, udp(5, 7, b"o"), options=b"\x07\7\4\0\0\0\0\1")),
    ether(ipv4("10.0.0.1", 6, tcp(2, b"\2\4\5\xb4\1\3\3\7\4\2\1\1"))),
    ether(ipv4("10.0.0.1", 6, tcp(16, data=b"segment"))),
    ether(ipv4("10.0.0.1", 6, tcp(4))),
    ether(ipv4("10.0.0.1", 6, tcp(17))),
)

# Counters that are not about one frame received each.
_OTHER = ("tx", "port_busy", "fragmented", "reassembled", "reassembly_timeout")


def resum(frame):
    """The frame with a right IPv4 header checksum, so that deeper layers see it."""
    if frame[12:14] != b"\x08\0" or len(frame) < 34:
        return frame
    hl = (frame[14] & 15) << 2
    if hl < 20 or len(frame) < 14 + hl:
        return frame
    h = bytes(frame[14:24]) + b"\0\0" + bytes(frame[26:14 + hl])
    k = checksum(h)
    return frame[:24] + bytes((k >> 8, k & 255)) + frame[26:]


def mutate(rand, frame):
    frame = bytearray(frame)
    for _ in range(1 + rand.below(4)):
        kind = rand.below(4)
        i = 12 + rand.below(max(len(frame) - 12, 1))
        if kind == 0 and i < len(frame):
            frame[i] ^= 1 << rand.below(8)
        elif kind == 1 and i < len(frame):
            frame[i] = (0, 255, 127, 128)[rand.below(4)]
        elif kind == 2:
            frame = frame[:i]
        else:
            frame += rand(rand.below(30))
    frame = bytes(frame)
    return resum(frame) if rand.below(4) else frame


def test_mutated_and_random_frames():
    rand = Random(2024)
    n = Lone(gateway="10.0.0.2")
    n.stack.icmp.redirects = True
    server = n.stack.socket()
    server.bind(("", 80))
    server.listen(5)
    s = n.stack.socket(socket.SOCK_DGRAM)
    s.bind(("", 7))
    s.connect(("10.0.0.2", 5))
    given = 0
    for i in range(3000):
        if rand.below(10) == 0:
            frame = OUR_MAC + rand(rand.below(100))
        else:
            frame = mutate(rand, SEEDS[rand.below(len(SEEDS))])
        n.give(frame)
        given += 1
        if i % 100 == 0:
            n.run(rand.below(2000))
            n.take()
    count = n.link.count
    assert given == sum([count[k] for k in count if k not in _OTHER]), count
    ip = n.ip.count
    arps = n.link.arp.count
    assert count["rx"] == (arps["rx_request"] + arps["rx_reply"] + arps["malformed"]
                           + sum([ip[k] for k in ip if k not in _OTHER])) - _twice(ip), (ip, arps)
    server.close()
    n.run(1200000)
    assert not n.stack.tcp.table and not n.ip.fragments().datagrams


def _twice(ip):
    """Frames that count as fragments and as something else later."""
    return (ip["overlap"] + ip["bad_fragment"] + ip["duplicate_fragment"] + ip["reassembly_full"]
            + ip["reassembled"])
