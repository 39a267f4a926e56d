"""SNTP: what is believed of a server, and when it is asked; our own small server."""
import sys
import time

from answering import Answering
from kit import Random, raises
from net import Net

from spinet import dns, sntp, sntpd
from spinet.errors import ETIMEDOUT

SERVER = b"\x0a\0\0\2"
JULY = 1783000000       # some day in 2026, seconds since 1970


def word(v):
    return bytes((v >> 24 & 255, v >> 16 & 255, v >> 8 & 255, v & 255))


def answer(query, unix=JULY, ms=0, stratum=2, first=0x24, kiss=b"GPS\0", served_ms=0, origin=None,
           delay=b"\0\0\1\0", dispersion=b"\0\0\1\0"):
    ntp = unix + 2208988800 & 0xFFFFFFFF
    half = word((ms << 16) // 1000 << 16)
    before = unix * 1000 + ms - served_ms
    arrived = word(before // 1000 + 2208988800 & 0xFFFFFFFF) + word(
        (before % 1000 << 16) // 1000 << 16)
    return (bytes((first, stratum, 6, 0xEC)) + delay + dispersion + kiss + word(ntp) + half
            + (query[40:48] if origin is None else origin) + arrived + word(ntp) + half)


def host(serve, *servers):
    n = Answering(serve)
    n.stack.ntp_servers = list(servers) or [SERVER]
    return n


def test_asks_and_believes():
    n = host(lambda sent: [answer(sent.data, JULY, 250)])
    t = sntp.get(n.stack)
    (sent,) = n.take()
    assert sent.dst == "10.0.0.2" and sent.dport == 123 and len(sent.data) == 48
    assert sent.data[0] == 0x23 and sent.data[1:40] == bytes(39), "nothing of our clock is told"
    assert sent.data[40:] != bytes(8)
    assert (t.unix, t.stratum, t.server) == (JULY, 2, "10.0.0.2") and abs(t.ms - 250) <= 1
    n.run(1500)
    seconds, ms = t.now()
    assert seconds == JULY + 1 and abs(ms - 750) <= 1
    here = int(time.time()) + sntp.epoch()
    assert abs(t.offset_ms() // 1000 - (seconds - here)) <= 1


def test_half_of_the_way_is_added():
    n = host(None)
    query = sntp.ask(n.stack)
    n.run(100)
    n.run(300)
    n.give(answer(n.sent[-1].data, JULY, 0, served_ms=100), "10.0.0.2", 123, n.sent[-1].sport)
    n.poll()
    t = query.time
    assert query.done and 270 <= t.delay_ms <= 310 and abs(t.ms - t.delay_ms // 2) <= 1


def test_too_long_on_the_way():
    n = host(None)
    query = sntp.ask(n.stack)
    n.run(1200)
    n.give(answer(n.sent[-1].data), "10.0.0.2", 123, n.sent[-1].sport)
    n.poll()
    assert query.done and query.time is None and query.count["refused"] == 1


def test_no_memory_for_a_question_is_a_try_lost():
    n = host(lambda sent: [answer(sent.data)], SERVER, b"\x0a\0\0\3")
    random = n.stack.random

    def once(size):
        n.stack.random = random
        raise MemoryError

    n.stack.random = once
    assert sntp.get(n.stack).server == "10.0.0.3"


def test_eras():
    assert sntp.unix_of(2208988800) == 0
    assert sntp.unix_of(0xFFFFFFFF) == 2085978495
    assert sntp.unix_of(0) == 2085978496, "7 February 2036, 06:28:16"
    assert sntp.unix_of(0x7FFFFFFF) == 2085978496 + (1 << 31) - 1
    for unix in (2085978495, 2085978496, 2085978497, 4000000000):
        n = host(lambda sent: [answer(sent.data, unix, 500)])
        t = sntp.get(n.stack)
        assert t.unix == unix, (unix, t)


def test_answers_that_are_not_believed():
    """Each is refused by the first server, and the second asked."""
    for change in ({"stratum": 16}, {"first": 0xE4}, {"unix": -2208988800, "ms": 0},
                   {"delay": b"\0\1\0\0"}, {"dispersion": b"\0\1\0\0"}, {"served_ms": 5000},
                   {"served_ms": -50}):
        n = host(lambda sent: [answer(sent.data, **change) if sent.dst == "10.0.0.3"
                               else answer(sent.data)], b"\x0a\0\0\3", SERVER)
        assert sntp.get(n.stack).server == "10.0.0.2", change
        assert n.stack.stats()["sntp"]["refused"] == 1, change


def test_answers_that_are_not_ours():
    n = host(lambda sent: [answer(sent.data, origin=bytes(8)), answer(sent.data)[:47],
                           answer(sent.data, first=0x23), answer(sent.data, first=0x0C), b"",
                           answer(sent.data)])
    assert sntp.get(n.stack).unix == JULY
    assert n.stack.stats()["sntp"]["mismatch"] == 5 and len(n.sent) == 1


def test_fails_over_and_gives_up():
    n = host(lambda sent: [answer(sent.data)] if sent.dst == "10.0.0.9" else None,
             b"\x0a\0\0\3", SERVER, b"\x0a\0\0\x09")
    began = n.clock.now
    assert sntp.get(n.stack).server == "10.0.0.9"
    assert 2900 < n.clock.now - began & 0x3FFFFFFF < 3200
    n.serve = None
    assert raises(OSError, sntp.get, n.stack).errno == ETIMEDOUT
    n.stack.ntp_servers = []
    assert raises(OSError, sntp.get, n.stack).errno == ETIMEDOUT
    assert not n.stack.udp.ports
    n.serve = lambda sent: [answer(sent.data)] if sent.dst == "10.0.0.2" else n.icmp(
        3, 3, sent.frame, sent.dst)
    n.stack.ntp_servers = [b"\x0a\0\0\3", SERVER]
    began = n.clock.now
    sntp.get(n.stack)
    assert n.clock.now - began & 0x3FFFFFFF < 100, "a closed port does not wait"


def test_servers_by_name():
    n = host(lambda sent: [answer(sent.data)] if sent.dport == 123 else None)
    n.stack.dns_servers = [b"\x0a\0\0\x35"]
    dns.resolver(n.stack).hosts["clock"] = "10.0.0.7"
    assert sntp.get(n.stack, "clock").server == "10.0.0.7"
    query = sntp.ask(n.stack, "nobody.example", "clock")    # which takes the resolver 7 s to know
    n.run(8000)
    assert query.time.server == "10.0.0.7"
    assert sntp.get(n.stack, "10.0.0.8").server == "10.0.0.8"


def test_kiss_of_death():
    kiss = [b"DENY"]
    n = host(lambda sent: [answer(sent.data, stratum=0, kiss=kiss[0]) if sent.dst == "10.0.0.3"
                           else answer(sent.data)], b"\x0a\0\0\3", SERVER)
    times = []
    client = sntp.Client(n.stack, (), times.append, 60)
    n.run(1000)
    assert [s.dst for s in n.take()] == ["10.0.0.3", "10.0.0.2"] and len(times) == 1
    n.run(60000)
    assert [s.dst for s in n.take()] == ["10.0.0.2"], "never again"
    client.close()
    kiss[0] = b"RATE"
    client = sntp.Client(n.stack, (), None, 60)
    n.run(1000)
    assert client.interval_s == 120
    client.close()
    kiss[0] = b"INIT"
    client = sntp.Client(n.stack, (), None, 60)
    n.run(1000)
    assert client.interval_s == 60 and client.time.server == "10.0.0.2"
    client.close()
    assert not n.stack.udp.ports


def test_asks_rarely():
    n = host(lambda sent: [answer(sent.data)])
    times = []
    client = sntp.Client(n.stack, (), times.append, 3600)
    n.run(3600 * 5000)
    assert len(times) == 5 and len(n.take()) == 5
    n.serve = None
    n.run(3600 * 3000)
    asked = len(n.take())
    assert 8 <= asked <= 12, "15 s after a failure, then 30 s, a minute ... an hour"
    n.serve = lambda sent: [answer(sent.data)]
    n.run(3600 * 1000)
    assert len(times) == 6
    client.close()
    n.take()
    n.run(7200000)
    assert n.take() == []
    raises(ValueError, sntp.Client, n.stack, (), None, 14)


def test_rtc_is_set_when_asked_to():
    got = []

    class RTC:
        def datetime(self, what):
            got.append(what)

    class machine:
        pass

    machine.RTC = RTC
    before = sys.modules.get("machine")
    sys.modules["machine"] = machine
    try:
        n = host(lambda sent: [answer(sent.data)])
        sntp.set_rtc(sntp.get(n.stack))
    finally:
        if before is None:
            del sys.modules["machine"]
        else:
            sys.modules["machine"] = before
    assert got == [(2026, 7, 2, 3, 13, 46, 40, 0)], got


def test_our_server_and_our_client():
    net = Net(delay_ms=20)
    server = sntpd.Server(net.b, lambda: (2085978495, 900), 3)
    sntp.get(net.a, "10.0.0.2")     # which has to wait for ARP, one way only
    t = sntp.get(net.a, "10.0.0.2")
    assert t.stratum == 3 and t.unix == 2085978495 and abs(t.ms - 920) <= 2
    server.now = lambda: (2085978496, 5)
    assert sntp.get(net.a, "10.0.0.2").unix == 2085978496
    assert server.count["rx"] == server.count["tx"] == 3


def test_server_ignores_what_is_no_question():
    n = Answering()
    server = sntpd.Server(n.stack)
    for data in (b"", bytes(48), b"\x24" + bytes(47), b"\x2b" + bytes(47), b"\x23" + bytes(46)):
        n.give(data, "10.0.0.2", 4000, 123)
    n.poll()
    assert n.sent == [] and server.count["ignored"] == 3 and server.count["malformed"] == 2
    n.give(b"\x1b" + bytes(39) + b"transmit", "10.0.0.2", 4000, 123)
    n.poll()
    (sent,) = n.sent
    assert sent.dport == 4000 and sent.data[0] == 0x1C and sent.data[24:32] == b"transmit"
    assert sent.data[12:16] == b"LOCL" and len(sent.data) == 48


def test_fuzz():
    rand = Random(5)

    def serve(sent):
        data = bytearray(answer(sent.data))
        for _ in range(rand.below(4)):
            data[rand.below(24) if rand.below(2) else 32 + rand.below(16)] = rand.below(256)
        return [bytes(data[:rand.below(60)])]

    n = host(serve)
    for _ in range(200):
        query = sntp.ask(n.stack)
        n.run(1600)
        assert query.done
        n.take()
    assert not n.stack.udp.ports
