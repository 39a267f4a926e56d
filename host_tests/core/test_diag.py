"""ping, traceroute, arping: with hosts and routers that a test plays."""
from answering import Answering
from kit import Random, raises
from lone import ether, ipv4
from net import Net, checksum

from spinet import diag


def summed(message):
    k = checksum(message[:2] + b"\0\0" + message[4:])
    return message[:2] + bytes((k >> 8, k & 255)) + message[4:]


def test_ping():
    net = Net(delay_ms=7)
    p = diag.ping(net.a, "10.0.0.2", 5, 1400, 100)
    assert p.received == 5 and p.results[1:] == [14] * 4 and not p.errors
    assert net.elapsed < 700, "the last answer is the end"
    assert not net.a.raw.endpoints
    assert diag.ping(net.a, "127.0.0.1", 1).received == 1
    big = diag.ping(net.a, "10.0.0.2", 1, 3000)
    assert big.received == 1
    p = diag.Ping(net.a, "10.0.0.2", 1000)
    net.run(2500)
    p.close()
    assert p.done and p.received == 3 and not net.a.raw.endpoints
    p = diag.ping(net.a, "10.0.0.77", 2, 0, 500)
    assert p.results == [None, None]
    assert raises(OSError, diag.ping, net.a, "nobody.example").errno == -2


def test_pings_do_not_take_each_others_answers():
    net = Net()
    pings = [diag.Ping(net.a, "10.0.0.2", 3, 10 + i) for i in range(4)]
    net.run(5000)
    assert [p.received for p in pings] == [3] * 4


def test_ping_hears_of_errors_and_no_lies():
    n = Answering(gateway="10.0.0.254")
    p = diag.Ping(n.stack, "192.0.2.9", 2)
    n.run(100)
    frame = n.other.pop()
    echo = frame[34:14 + (frame[16] << 8 | frame[17])]
    reply = b"\0" + echo[1:]
    for bad in (reply[:-1], reply[:20] + b"x" + reply[21:], reply[:4] + b"\0\0" + reply[6:],
                reply[:6] + b"\0\7" + reply[8:]):
        n.end.waiting.append(ether(ipv4("10.0.0.1", 1, summed(bad), src="192.0.2.9")))
    n.end.waiting.append(ether(ipv4("10.0.0.1", 1, summed(reply), src="192.0.2.8")))
    n.icmp(11, 0, frame, "198.51.100.1")
    n.icmp(3, 1, frame[:30] + b"\x08\x08\x08\x08" + frame[34:], "198.51.100.2")
    n.run(100)
    assert p.received == 0 and p.errors == [(0, 11, 0, "198.51.100.1")]
    n.end.waiting.append(ether(ipv4("10.0.0.1", 1, summed(reply), src="192.0.2.9")))
    n.end.waiting.append(ether(ipv4("10.0.0.1", 1, summed(reply), src="192.0.2.9")))
    n.run(100)
    assert p.received == 1


def test_traceroute():
    n = Answering(gateway="10.0.0.254")

    def serve(sent):
        if sent.ttl == 2:
            return None     # this one is silent
        if sent.ttl < 4:
            n.icmp(11, 0, sent.frame, "198.51.100.%d" % sent.ttl)
        else:
            n.icmp(3, 3, sent.frame, "192.0.2.9")

    n.serve = serve
    t = diag.traceroute(n.stack, "192.0.2.9")
    assert t.reached and len(t.hops) == 4
    assert [hop[0][0] for hop in t.hops] == ["198.51.100.1", None, "198.51.100.3", "192.0.2.9"]
    assert [len(hop) for hop in t.hops] == [3] * 4
    ports = [s.dport for s in n.take()]
    assert ports == list(range(33434, 33434 + 12))
    assert not n.stack.raw.endpoints and not n.stack.udp.ports
    n.serve = lambda sent: n.icmp(3, 13, sent.frame, "198.51.100.1")
    t = diag.traceroute(n.stack, "192.0.2.9")
    assert not t.reached and len(t.hops) == 1
    n.serve = lambda sent: n.icmp(11, 0, sent.frame, "198.51.100.1")
    assert len(diag.traceroute(n.stack, "192.0.2.9", 5).hops) == 5
    n.serve = None
    assert diag.traceroute(n.stack, "192.0.2.9", 2, 100).hops == [[(None, None)] * 3] * 2


def test_arping():
    net = Net(delay_ms=3)
    net.run(100)
    a = diag.arping(net.a, "10.0.0.2")
    assert a.mac == b"\x02\0\0\0\0\x02" and a.ms == 6
    assert diag.arping(net.a, "10.0.0.2").ms == 6, "it asks, whatever is known"
    began = net.elapsed
    assert diag.arping(net.a, "10.0.0.9").mac is None and net.elapsed - began >= 3000
    raises(OSError, diag.arping, net.a, "192.0.2.1")
    raises(OSError, diag.arping, net.a, "10.0.0.1")


def test_fuzz():
    rand = Random(77)
    n = Answering(gateway="10.0.0.254")
    diag.Ping(n.stack, "192.0.2.9", 10000, 20, 10)
    n.serve = lambda sent: None
    t = diag.Trace(n.stack, "192.0.2.9", 30, 50)
    for _ in range(500):
        n.run(10)
        if n.other and rand.below(2):
            frame = n.other[-1]
        else:
            frame = n.sent[-1].frame
        del n.other[:-1], n.sent[:-1]
        inner = bytearray(frame[14:14 + 28])
        for _ in range(rand.below(4)):
            inner[rand.below(28)] = rand.below(256)
        body = bytes(((0, 3, 11, 8)[rand.below(4)], rand.below(4), 0, 0, rand.below(256), 0, 0,
                      rand.below(9))) + bytes(inner[:rand.below(29)])
        n.end.waiting.append(ether(ipv4("10.0.0.1", 1, summed(body), src="192.0.2.9")))
    n.run(10000)
    assert t.done
    n.stack.close()
