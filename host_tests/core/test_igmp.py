"""IGMP: what routers are told, when, and what sockets get of groups."""
from answering import Answering
from kit import Random, heap_locked, raises
from lone import ether, ipv4
from net import checksum

from spinet import igmpside as igmp
from spinet import socket
from spinet.addr import fmt, parse
from spinet.errors import EADDRINUSE, EADDRNOTAVAIL, EINVAL
from spinet.igmp import igmp as start

GROUP = "239.1.2.3"
IP = socket.IPPROTO_IP


def group_mac(group):
    g = parse(group)
    return b"\x01\0\x5e" + bytes((g[1] & 127, g[2], g[3]))


def message(frame):
    """(destination, payload) of an IGMP packet, which must be as RFC 9776, 4 wants it."""
    assert frame[14] == 0x46 and frame[22] == 1 and frame[23] == 2 and frame[15] == 0xC0
    assert frame[34:38] == b"\x94\4\0\0" and checksum(frame[14:38]) == 0
    n = frame[16] << 8 | frame[17]
    body = frame[38:14 + n]
    assert checksum(body) == 0
    dst = fmt(frame, 30)
    assert frame[:6] == group_mac(dst)
    return dst, body


def reports(n):
    """What was sent: "TO_EX 239.1.2.3 source source", "v2 239.1.2.3", "leave 239.1.2.3"."""
    kinds = {1: "IS_IN", 2: "IS_EX", 3: "TO_IN", 4: "TO_EX", 5: "ALLOW", 6: "BLOCK"}
    out = []
    for frame in n.other:
        if frame[23] != 2:
            continue
        dst, body = message(frame)
        if body[0] == igmp.REPORT_V3:
            assert dst == "224.0.0.22" and body[1] == 0 and body[4:6] == b"\0\0"
            i = 8
            for _ in range(body[6] << 8 | body[7]):
                words = [kinds[body[i]], fmt(body, i + 4)]
                sources = body[i + 2] << 8 | body[i + 3]
                assert body[i + 1] == 0
                i += 8
                for _ in range(sources):
                    words.append(fmt(body, i))
                    i += 4
                out.append(" ".join(words))
            assert i == len(body)
        else:
            group = fmt(body, 4)
            assert len(body) == 8
            if body[0] == igmp.LEAVE:
                assert dst == "224.0.0.2"
            else:
                assert dst == group
            out.append({0x12: "v1 ", 0x16: "v2 ", 0x17: "leave "}[body[0]] + group)
    n.other = []
    return out


def query(n, group="0.0.0.0", code=100, sources=(), version=3, qrv=2, qqic=125, ttl=1, bad=False):
    body = bytes((0x11, code, 0, 0)) + parse(group)
    if version == 3:
        body += bytes((qrv, qqic, 0, len(sources))) + b"".join([parse(s) for s in sources])
    k = checksum(body) ^ bad
    body = body[:2] + bytes((k >> 8, k & 255)) + body[4:]
    dst = "224.0.0.1" if group == "0.0.0.0" else group
    n.end.waiting.append(ether(ipv4(dst, 2, body, src="10.0.0.254", ttl=ttl,
                                    options=b"\x94\4\0\0"), dst=group_mac(dst)))
    n.poll()


def joined(*groups):
    """A stack with one socket that is in `groups`, reports all sent."""
    n = Answering()
    start(n.stack)
    s = n.stack.socket(socket.SOCK_DGRAM)
    s.setblocking(False)
    s.bind(("", 5000))
    for group in groups:
        member(s, group)
    n.run(2000)
    n.other = []
    return n, s


def member(s, group=GROUP, option=socket.IP_ADD_MEMBERSHIP, source=None):
    s.setsockopt(IP, option, parse(group) + b"\0\0\0\0" + (parse(source) if source else b""))


def test_joining_and_leaving_is_told_twice():
    n = Answering()
    s = n.stack.socket(socket.SOCK_DGRAM)
    member(s)
    assert reports(n) == ["TO_EX " + GROUP]
    n.run(1000)
    assert reports(n) == ["TO_EX " + GROUP]
    n.run(5000)
    assert reports(n) == []
    assert raises(OSError, member, s).errno == EADDRINUSE
    t = n.stack.socket(socket.SOCK_DGRAM)
    member(t)
    s.close()
    n.run(5000)
    assert reports(n) == [], "others do not matter to the router"
    member(t, GROUP, socket.IP_DROP_MEMBERSHIP)
    n.run(2000)
    assert reports(n) == ["TO_IN " + GROUP] * 2
    assert raises(OSError, member, t, GROUP, socket.IP_DROP_MEMBERSHIP).errno == EADDRNOTAVAIL
    side = n.stack.services["igmp"].side(n.ip)
    assert side.groups == [] and n.ip.groups == [b"\xe0\0\0\1"] == n.stack.lo.groups
    assert n.ip.id.groups == [b"\x01\0\x5e\0\0\1"]


def test_waits_for_an_address():
    n = Answering()
    n.ip.remove_address("10.0.0.1")
    s = n.stack.socket(socket.SOCK_DGRAM)
    member(s)
    n.run(5000)
    assert reports(n) == []
    n.ip.add_address("10.0.0.1/24")
    n.run(3000)
    assert reports(n) == ["TO_EX " + GROUP] * 2


def test_the_port_is_told_which_groups_to_take():
    n = Answering()
    told = []
    n.end.filter = lambda groups: told.append(list(groups)[1:])
    s = n.stack.socket(socket.SOCK_DGRAM)
    member(s, "239.129.2.3")
    member(s, "224.0.0.251")
    s.close()
    assert told == [[b"\1\0\x5e\1\2\3"], [b"\1\0\x5e\1\2\3", b"\1\0\x5e\0\0\xfb"],
                    [b"\1\0\x5e\0\0\xfb"], []]


def test_general_query_is_answered_within_its_time():
    n, s = joined(GROUP, "239.9.9.9")
    query(n, code=50)
    assert reports(n) == []
    n.run(5000)
    assert reports(n) == ["IS_EX 239.1.2.3", "IS_EX 239.9.9.9"]
    # The floating point: 0x8A is (16 + 10) << 3 tenths of a second.
    query(n, code=0x8A)
    side = n.stack.services["igmp"].side(n.ip)
    delays = set()
    for _ in range(50):
        n.stack.timers.cancel(side)
        query(n, code=0x8A)
        delays.add((side.due - n.clock.now & 0x3FFFFFFF) // 1000)
    assert max(delays) > 15 and min(delays) < 5 and max(delays) < 21


def test_group_and_source_queries():
    n, s = joined(GROUP)
    query(n, GROUP)
    n.run(10000)
    assert reports(n) == ["IS_EX " + GROUP]
    waits = []
    for _ in range(10):
        query(n, GROUP)
        answer = n.stack.services["igmp"].side(n.ip).groups[0].answer
        waits.append(answer.due - n.clock.now & 0x3FFFFFFF)
        n.run(10000)
    assert max(waits) > 4000 and min(waits) < 6000 and len(reports(n)) == 10
    member(s, GROUP, socket.IP_BLOCK_SOURCE, "10.0.0.66")
    n.run(2000)
    reports(n)
    query(n, GROUP, sources=("10.0.0.66", "10.0.0.67"))
    query(n, GROUP, sources=("10.0.0.68", "10.0.0.67"))
    n.run(10000)
    assert reports(n) == ["IS_IN " + GROUP + " 10.0.0.67 10.0.0.68"]
    query(n, GROUP, sources=("10.0.0.66",))
    n.run(10000)
    assert reports(n) == [], "there is nothing to say"
    query(n, GROUP, sources=("10.0.0.67",))
    query(n, GROUP)
    n.run(10000)
    assert reports(n) == ["IS_EX " + GROUP + " 10.0.0.66"], "the more general one counts"
    query(n, "239.7.7.7")
    n.run(10000)
    assert reports(n) == []
    query(n, code=10)
    query(n, GROUP, code=100)
    n.run(10000)
    assert reports(n) == ["IS_EX " + GROUP + " 10.0.0.66"], "one answer for both"


def test_source_filters():
    n, s = joined()
    add, drop = socket.IP_ADD_SOURCE_MEMBERSHIP, socket.IP_DROP_SOURCE_MEMBERSHIP
    member(s, GROUP, add, "10.0.0.5")
    assert reports(n) == ["ALLOW " + GROUP + " 10.0.0.5"]
    member(s, GROUP, add, "10.0.0.6")
    n.run(3000)
    assert sorted(set(reports(n))) == ["ALLOW " + GROUP + " 10.0.0.5 10.0.0.6",
                                       "ALLOW " + GROUP + " 10.0.0.6"]
    assert raises(OSError, member, s, GROUP, add, "10.0.0.6").errno == EADDRNOTAVAIL
    assert raises(OSError, member, s, GROUP, socket.IP_BLOCK_SOURCE, "10.0.0.9").errno == EINVAL
    for source in ("10.0.0.5", "10.0.0.7"):
        n.group(source.encode(), source, 5000, GROUP)
    n.poll()
    assert s.recv(20) == b"10.0.0.5" and s.read() is None
    t = n.stack.socket(socket.SOCK_DGRAM)
    t.setblocking(False)
    t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    member(t)
    assert reports(n) == ["TO_EX " + GROUP]
    member(t, GROUP, socket.IP_BLOCK_SOURCE, "10.0.0.5")
    member(t, GROUP, socket.IP_BLOCK_SOURCE, "10.0.0.8")
    n.run(3000)
    assert reports(n)[-1] == "BLOCK " + GROUP + " 10.0.0.8", "s still wants 10.0.0.5"
    member(s, GROUP, drop, "10.0.0.5")
    assert reports(n)[-1] == "BLOCK " + GROUP + " 10.0.0.5"
    t.close()
    assert reports(n)[-1] == "TO_IN " + GROUP + " 10.0.0.6"
    member(s, GROUP, drop, "10.0.0.6")
    n.run(3000)
    assert reports(n)[-1] == "BLOCK " + GROUP + " 10.0.0.6"
    assert not n.stack.services["igmp"].side(n.ip).groups and not s.endpoint.groups


def test_version_2():
    n, s = joined()
    query(n, version=2, code=100)
    member(s)
    assert reports(n) == ["v2 " + GROUP]
    n.run(11000)
    assert reports(n) == ["v2 " + GROUP]
    query(n, version=2, code=20)
    n.run(2000)
    assert reports(n) == ["v2 " + GROUP]
    member(s, GROUP, socket.IP_DROP_MEMBERSHIP)
    assert reports(n) == ["leave " + GROUP]
    member(s)
    n.run(12000)
    reports(n)
    # Another host reports first: no answer, and no leave later.
    query(n, version=2, code=100)
    body = bytes((0x16, 0, 0, 0)) + parse(GROUP)
    k = checksum(body)
    n.end.waiting.append(ether(ipv4(GROUP, 2, body[:2] + bytes((k >> 8, k & 255)) + body[4:],
                                    src="10.0.0.9", ttl=1), dst=group_mac(GROUP)))
    n.run(11000)
    assert reports(n) == []
    member(s, GROUP, socket.IP_DROP_MEMBERSHIP)
    assert reports(n) == []
    # Nothing is heard of it for 2 * 125 + 10 s: version 3 again.
    n.run(261000)
    member(s)
    assert reports(n) == ["TO_EX " + GROUP]


def test_version_1():
    n, s = joined(GROUP)
    query(n, version=2, code=0)
    n.run(10000)
    assert reports(n) == ["v1 " + GROUP]
    member(s, GROUP, socket.IP_DROP_MEMBERSHIP)
    assert reports(n) == []


def test_bad_queries_are_counted():
    n, s = joined(GROUP)
    count = n.stack.services["igmp"].count
    query(n, bad=True)
    query(n, ttl=2)
    body = bytes((0x11, 100, 0, 0)) + parse(GROUP) + b"\2\x7d\0\2\x0a\0\0\1"
    for b in (body, body[:10], body[:7], b"\x99" + body[1:8]):
        k = checksum(b)
        b = b[:2] + bytes((k >> 8, k & 255)) + b[4:]
        n.end.waiting.append(ether(ipv4(GROUP, 2, b, src="10.0.0.9", ttl=1), dst=group_mac(GROUP)))
    n.run(20000)
    assert reports(n) == []
    assert (count["bad_checksum"], count["bad_ttl"], count["malformed"], count["runt"],
            count["ignored"], count["rx"]) == (1, 1, 2, 1, 1, 0)


def test_each_socket_gets_the_groups_it_is_in():
    n, s = joined(GROUP)
    t = n.stack.socket(socket.SOCK_DGRAM)
    t.setblocking(False)
    for x in (s, t):
        x.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    t.bind(("", 5000))
    member(t)
    member(t, "239.9.9.9")
    n.group(b"both", "10.0.0.2", 5000, GROUP)
    n.group(b"one", "10.0.0.2", 5000, "239.9.9.9")
    n.group(b"none", "10.0.0.2", 5000, "239.8.8.8")
    n.give(b"unicast", "10.0.0.2", 1, 5000)
    n.poll()
    assert s.recv(10) == b"both" and t.recv(10) == b"both" and t.recv(10) == b"one"
    assert t.read() == b"unicast" or s.read() == b"unicast"
    u = n.stack.socket(socket.SOCK_DGRAM)
    u.setblocking(False)
    u.bind((GROUP, 6000))
    member(u)
    n.group(b"bound to it", "10.0.0.2", 6000, GROUP)
    n.give(b"not to us", "10.0.0.2", 1, 6000)
    n.poll()
    assert u.recv(20) == b"bound to it" and u.read() is None


def test_sending_to_groups():
    n, s = joined(GROUP)
    s.sendto(b"hello", (GROUP, 5000))
    n.poll()
    sent = n.take()[-1]
    assert sent.ttl == 1 and sent.frame[:6] == group_mac(GROUP) and sent.src == "10.0.0.1"
    assert s.recv(10) == b"hello", "our own members hear it"
    big = b"b" * 3000
    s.sendto(big, (GROUP, 5000))
    n.poll()
    assert s.recv(4000) == big
    s.setsockopt(IP, socket.IP_MULTICAST_LOOP, 0)
    s.setsockopt(IP, socket.IP_MULTICAST_TTL, 7)
    s.setsockopt(IP, socket.IP_MULTICAST_IF, parse("10.0.0.1"))
    s.sendto(b"hello", (GROUP, 5000))
    n.poll()
    assert n.take()[-1].ttl == 7 and s.read() is None
    assert s.getsockopt(IP, socket.IP_MULTICAST_TTL) == 7
    assert s.getsockopt(IP, socket.IP_MULTICAST_LOOP) == 0
    assert s.getsockopt(IP, socket.IP_MULTICAST_IF) == parse("10.0.0.1")
    raises(OSError, s.setsockopt, IP, socket.IP_MULTICAST_IF, parse("10.9.9.9"))
    raises(OSError, s.setsockopt, IP, socket.IP_MULTICAST_TTL, 300)
    raises(OSError, s.setsockopt, IP, socket.IP_ADD_MEMBERSHIP, parse("10.0.0.2") + bytes(4))
    raises(OSError, s.setsockopt, IP, socket.IP_ADD_MEMBERSHIP, b"short")
    s.sendto(b"to one", ("10.0.0.2", 9))
    n.poll()
    assert n.take()[-1].ttl == 64


def test_receiving_and_being_queried_allocates_nothing():
    n, s = joined(GROUP)
    buf = bytearray(100)
    n.end.waiting = None
    group = ether(ipv4(GROUP, 17, b"\x13\x88\x13\x88\0\x0c\0\0data", src="10.0.0.2"),
                  dst=group_mac(GROUP))
    body = bytes((0x11, 1, 0, 0)) + bytes(4) + b"\2\x7d\0\0"
    k = checksum(body)
    ask = ether(ipv4("224.0.0.1", 2, body[:2] + bytes((k >> 8, k & 255)) + body[4:],
                     src="10.0.0.254", ttl=1), dst=group_mac("224.0.0.1"))
    rx = n.ip.id.rx
    frames = group, ask
    n.end.send = lambda buf, n: True

    def turn():
        for frame in frames:
            for i in range(len(frame)):
                rx[i] = frame[i]
            n.ip.id.input(rx, 0, len(frame))
        s.endpoint.recv_into(buf, 0, 100)
        n.stack.timers.run(n.clock.now)
        n.clock.now = n.clock.now + 200 & 0x3FFFFFFF
        n.stack.timers.run(n.clock.now)

    turn()
    tx = n.stack.services["igmp"].count["tx"]
    heap_locked(turn)
    assert buf[:4] == b"data" and n.stack.services["igmp"].count["tx"] == tx + 1


def test_fuzz():
    rand = Random(7)
    n, s = joined(GROUP, "239.9.9.9")
    for i in range(400):
        body = bytearray(bytes((0x11, rand.below(256), 0, 0)) + parse(
            (GROUP, "0.0.0.0", "239.9.9.9")[rand.below(3)]) + bytes((
                rand.below(256), rand.below(256), rand.below(9) == 0, rand.below(40))))
        body += rand(rand.below(100))
        body[0] = (0x11, 0x11, 0x11, 0x12, 0x16, 0x17, 0x22)[rand.below(7)]
        body = bytes(body[:rand.below(len(body)) if rand.below(3) == 0 else len(body)])
        if len(body) >= 4:
            k = checksum(body)
            body = body[:2] + bytes((k >> 8, k & 255)) + body[4:]
        n.end.waiting.append(ether(ipv4("224.0.0.1", 2, body, src="10.0.0.9", ttl=1),
                                   dst=group_mac("224.0.0.1")))
        n.run(rand.below(500))
        if i % 7 == 0:
            member(s, "239.5.5.%d" % (i % 5))
            n.run(rand.below(500))
            member(s, "239.5.5.%d" % (i % 5), socket.IP_DROP_MEMBERSHIP)
        reports(n)
    count = n.stack.services["igmp"].count
    assert sum([count[k] for k in count if k not in ("tx", "port_busy")]) == 400
    n.stack.close()
