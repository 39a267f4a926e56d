"""Window scaling, timestamps and SACK, on the wire."""
from kit import Random, heap_locked, raises
from net import Net, Peer
from test_tcp_alloc import Slots, locked
from test_tcp_loss import transfer

from spinet.tcp.states import NAMES

TS = b"\1\1\x08\x0a"


def word(n):
    return bytes((n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255))


def stamp(val, ecr=0):
    return TS + word(val) + word(ecr)


def blocks(p, *edges):
    """A SACK option of the peer's, edges relative to the stack's initial sequence number."""
    out = bytes((1, 1, 5, 2 + 4 * len(edges)))
    for e in edges:
        out += word(p.iss + e & 0xFFFFFFFF)
    return out


def sack_of(seg):
    """The SACK blocks of a segment of the stack's, as absolute sequence numbers."""
    i = 0
    o = seg.options
    while i < len(o) and o[i]:
        if o[i] == 1:
            i += 1
        elif o[i] == 5:
            return [o[k] << 24 | o[k + 1] << 16 | o[k + 2] << 8 | o[k + 3]
                    for k in range(i + 2, i + o[i + 1], 4)]
        else:
            i += o[i + 1]
    return []


def relative(p, seg):
    return [e - p.isn & 0xFFFFFFFF for e in sack_of(seg)]


def opened(options, window=65535, config=None, **more):
    """The stack's side of a connection whose SYN carried `options`; `config(tcp)` comes first."""
    p = Peer(**more)
    if config:
        config(p.stack.tcp)
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    p.send("S", options=options, window=window)
    p.syn_ack = p.one("SA", 0, 1)
    return p, server


def established(options, ack_options=b"", window=65535, **more):
    p, server = opened(options, window, **more)
    p.send("A", 1, 1, options=ack_options, window=window)
    s, _ = server.accept()
    s.setblocking(False)
    server.close()
    p.take()
    return p, s


MSS = b"\2\4\5\xb4"


def test_syn_offers_everything_and_syn_ack_what_the_peer_offered():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    o = p.one("S").options
    assert o[:8] == MSS + b"\4\2\x08\x0a" and o[12:16] == b"\0\0\0\0" and o[16:] == b"\1\3\3\0"
    for offer, answer in (
            (MSS, MSS), (MSS + b"\4\2", MSS + b"\1\1\4\2"), (MSS + b"\3\3\7", MSS + b"\1\3\3\0")):
        p, _ = opened(offer)
        assert p.syn_ack.options == answer, (offer, p.syn_ack.options)
    p, _ = opened(MSS + stamp(77))
    assert p.syn_ack.options[4:8] == TS and p.syn_ack.options[12:16] == word(77)


def test_switched_off_nothing_is_offered_or_taken():
    p = Peer()
    tcp = p.stack.tcp
    tcp.timestamps = tcp.sack = tcp.window_scaling = False
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    p.send("S", options=MSS + b"\4\2" + stamp(77) + b"\3\3\7")
    assert p.one("SA").options == MSS


def test_peers_window_is_scaled_but_not_in_its_syn():
    p, s = established(MSS + b"\3\3\4", window=1000, sndbuf=60000)
    s.send(b"w" * 60000)
    assert sum(len(x.data) for x in p.take()) == 14600, "16,000 bytes, within the initial window"
    p.send("A", 1, 14601, window=100)
    assert [len(x.data) for x in p.take()] == [1460], "of 1,600"
    p, s = established(MSS + b"\3\3\x20")
    assert s.conn.info()["scaling"][0] == 14, "more than 14 counts as 14"


def test_our_window_is_scaled_and_never_lies():
    p, s = established(MSS + b"\3\3\0", rcvbuf=200001)
    assert p.syn_ack.window == 65535 and p.syn_ack.options[-4:] == b"\1\3\3\2"
    edge = 65535 + 1
    at = 1
    rand = Random(8)
    for _ in range(200):
        n = 1 + rand.below(1400)
        if at + n > edge:
            got = s.recv(100000)
            assert got
        else:
            p.send("A", at, 1, b"d" * n, window=65535)
            at += n
        for seg in p.take():
            right = seg.ack + (seg.window << 2)
            assert right >= edge - 3, "shrinks by rounding at most"
            assert right - at <= 200001 - s.conn.r_len
            edge = max(edge, right)


def test_timestamps_are_echoed_and_ours_advance_with_the_clock_through_its_wrap():
    p, s = established(MSS + stamp(1000), stamp(1001))
    seen = []
    at = 1
    for i in range(8):
        p.run(1000)
        p.send("PA", at, 1, b"x", options=stamp(2000 + i))
        at += 1
        p.run(50)
        o = p.one("A").options
        assert o[:4] == TS and o[8:12] == word(2000 + i)
        seen.append(o[4] << 24 | o[5] << 16 | o[6] << 8 | o[7])
    gaps = [b - a & 0xFFFFFFFF for a, b in zip(seen, seen[1:])]
    assert all(1040 <= g <= 1060 for g in gaps), gaps
    assert s.conn.mss == 1448


def test_each_connection_begins_its_clock_elsewhere():
    seen = set()
    p = Peer()
    for port in range(20):
        s = p.stack.socket()
        s.setblocking(False)
        s.connect_ex(("10.0.0.2", 1000 + port))
        p.run(0)
    for seg in p.take():
        seen.add(seg.options[8:12])
    assert len(seen) == 20


def test_the_earliest_unacknowledged_timestamp_is_echoed():
    p, s = established(MSS + stamp(1000), stamp(1001))
    p.send("A", 1, 1, b"a" * 10, options=stamp(2000))
    p.send("A", 11, 1, b"b" * 10, options=stamp(3000))
    assert p.one("A").options[8:12] == word(2000), "the last ACK sent was for the first byte"


def test_old_timestamps_are_refused_but_resets_are_not():
    p, s = established(MSS + stamp(0xFFFFFFF0), stamp(5))
    p.send("PA", 1, 1, b"new", options=stamp(10))
    p.run(50)
    p.take()
    p.send("PA", 4, 1, b"old duplicate", options=stamp(0xFFFFFFF5))
    p.one("A", 1, 4)
    assert p.stack.tcp.count["paws"] == 1 and s.recv(100) == b"new"
    p.send("PA", 4, 1, b"no timestamp at all")
    p.none()
    assert p.stack.tcp.count["no_timestamp"] == 1
    p.send("R", 4)
    assert NAMES[s.conn.state] == "CLOSED"


def test_round_trip_times_are_measured_on_every_ack():
    p, s = established(MSS + stamp(1000), stamp(1001))
    at = 1
    for i in range(40):
        s.send(b"y")
        p.run(100)
        out = p.take()
        val = out[0].options[4:8]
        at += 1
        p.send("A", 1, at, options=TS + word(2000 + i) + val)
    info = s.conn.info()
    assert 95 <= info["srtt"] <= 105 and info["timestamps"], info


def test_syn_with_a_newer_timestamp_reopens_time_wait():
    p, s = established(MSS + stamp(5000), stamp(5001), isn=1000)
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    s.close()
    p.send("FA", 1, 2, options=stamp(5002))
    p.take()
    p.send("S", -100000, options=MSS + stamp(4000))
    assert p.one("A").ack == 2
    p.send("S", -100000, options=MSS + stamp(6000))
    assert p.take()[0].flags == "SA", "RFC 6191, although the sequence number is older"


def sacking(**more):
    return established(MSS + b"\4\2", **more)


def test_sack_names_what_is_here_the_newest_first():
    p, s = sacking()
    p.send("A", 101, 1, b"b" * 100)
    assert relative(p, p.one("A", 1, 1)) == [101, 201]
    p.send("A", 401, 1, b"e" * 100)
    assert relative(p, p.one("A", 1, 1)) == [401, 501, 101, 201]
    p.send("A", 601, 1, b"g" * 100)
    assert relative(p, p.one("A", 1, 1))[:2] == [601, 701]
    p.send("A", 201, 1, b"c" * 100)
    got = relative(p, p.one("A", 1, 1))
    assert got[:2] == [101, 301] and len(got) == 6
    p.send("A", 1, 1, b"a" * 100)
    assert relative(p, p.one("A", 1, 301))[:2] in ([401, 501], [601, 701])
    p.send("A", 301, 1, b"d" * 100)
    p.send("A", 501, 1, b"f" * 100)
    assert relative(p, p.take()[-1]) == []
    assert len(s.recv(1000)) == 700


def test_blocks_are_limited_to_three_beside_timestamps():
    p, s = established(MSS + b"\4\2" + stamp(1), stamp(2))
    for i in range(4):
        p.send("A", 101 + 200 * i, 1, b"x" * 100, options=stamp(3))
    seg = p.take()[-1]
    assert len(relative(p, seg)) == 6 and len(seg.options) == 40


def test_what_came_twice_is_reported():
    p, s = sacking()
    p.send("A", 1, 1, b"a" * 100)
    p.send("A", 1, 1, b"a" * 100)
    assert relative(p, p.take()[-1]) == [1, 101], "below the acknowledgement"
    p.send("A", 201, 1, b"c" * 100)
    p.take()
    p.send("A", 201, 1, b"c" * 100)
    assert relative(p, p.one("A")) == [201, 301, 201, 301]


def test_recovery_sends_just_the_holes():
    p, s = sacking(sndbuf=20000)
    s.send(b"h" * 14600)
    assert len(p.take()) == 10
    # Segments 1, 4 and 5 are lost.
    p.send("A", 1, 1, options=blocks(p, 1461, 2921))
    p.send("A", 1, 1, options=blocks(p, 1461, 4381))
    p.take()
    p.send("A", 1, 1, options=blocks(p, 7301, 8761, 1461, 4381))
    out = p.take()
    assert out[0].seq == 1 and len(out[0].data) == 1460
    for right in (10221, 11681, 13141, 14601):
        p.send("A", 1, 1, options=blocks(p, 7301, right, 1461, 4381))
    sent = [x.seq for x in p.take()]
    assert sent[:2] == [4381, 5841], sent
    p.send("A", 1, 14601)
    assert s.conn.loss.recover == 0 and p.stack.tcp.count["timeout"] == 0
    assert p.stack.tcp.count["retransmit"] == 3


def test_blocks_that_lie_are_ignored():
    p, s = sacking(sndbuf=20000)
    s.send(b"h" * 14600)
    p.take()
    for edges in ((14601, 20000), (5000, 4000), (-5000, 4000), (1461, 1461)):
        p.send("A", 1, 1, options=blocks(p, *edges))
    assert p.stack.tcp.count["sack_ignored"] == 4
    p.none()


def test_after_a_timeout_what_is_reported_again_is_not_sent_again():
    p, s = sacking(sndbuf=20000)
    s.send(b"t" * 7300)
    p.take()
    p.run(300)
    assert [x.seq for x in p.take()] == [5841, 1], "a probe, then the timeout"
    p.send("A", 1, 1461, options=blocks(p, 2921, 5841))
    assert [x.seq for x in p.take()] == [1461, 5841]


def test_whole_transfers_with_and_without_each_option():
    for i in range(8):
        rand = Random(i + 1)
        net = Net(lambda frame, to_b: [] if rand.below(20) == 0 else [frame], delay_ms=5)
        for host in net.hosts:
            host.tcp.timestamps = bool(i & 1)
            host.tcp.sack = bool(i & 2)
            host.tcp.window_scaling = bool(i & 4)
        transfer(net, 60000)


def test_sack_recovers_faster_than_newreno():
    took = []
    for sack in (False, True):
        rand = Random(12)
        net = Net(lambda frame, to_b: [] if to_b and rand.below(100) < 5 else [frame], delay_ms=10,
                  rcvbuf=32768, sndbuf=32768)
        net.a.tcp.sack = sack
        transfer(net, 400000)
        took.append((net.took, net.a.tcp.count["timeout"]))
    assert took[1][0] < took[0][0], took


def test_no_heap_with_all_options_on_and_during_recovery():
    options = MSS + b"\4\2" + stamp(1)
    p, s = established(options, stamp(2), isn=0x7FFFFFF0, sndbuf=16000)
    s.send(b"r" * 14480)
    p.take()
    warm = Peer
    assert warm
    sent = locked(p, lambda: [p.send("A", 1, 1, options=stamp(3) + blocks(p, 1449, 1449 + 1448 * k))
                              for k in range(1, 6)])
    assert sent >= 1
    locked(p, lambda: (p.send("A", 1, 1449 + 1448 * 5, options=stamp(4)),
                       p.send("A", 101, 8689, b"o" * 100, options=stamp(5)),
                       p.send("A", 301, 8689, b"p" * 100, options=stamp(5)),
                       p.send("A", 1, 8689, b"n" * 100, options=stamp(5)),
                       p.send("A", 1, 8689, b"n" * 100, options=stamp(5))))
    slots = Slots(p.end.mac)
    p.ip.id.port = slots
    clock = p.clock
    stack = p.stack

    def work():
        for _ in range(30):
            clock.advance(200)
            stack.poll()

    heap_locked(work)
    assert slots.sent >= 3


def test_a_lost_tail_is_found_by_a_probe_long_before_the_timeout():
    p, s = sacking(sndbuf=20000)
    s.send(b"t" * 1460)
    p.run(20)
    p.take()
    p.send("A", 1, 1461)
    s.send(b"t" * 4380)
    assert len(p.take()) == 3
    # All three are lost.
    p.run(60)
    probe = p.one("A")
    assert probe.seq == 1461 + 2920 and p.stack.tcp.count["tail_probe"] == 1
    p.send("A", 1, 1461, options=blocks(p, 1461 + 2920, 1461 + 4380))
    out = p.take()
    p.send("A", 1, 2921, options=blocks(p, 1461 + 2920, 1461 + 4380))
    assert [x.seq for x in out + p.take()] == [1461, 2921]
    p.send("A", 1, 1461 + 4380)
    assert s.conn.snd_max == 0 and p.stack.tcp.count["timeout"] == 0


def test_a_probe_that_repaired_the_loss_slows_down_and_one_that_was_not_needed_does_not():
    for needed in (True, False):
        p, s = sacking(sndbuf=20000)
        s.send(b"t" * 7300)
        p.run(3)
        p.take()
        p.send("A", 1, 7301)
        s.send(b"t" * 7300)
        p.take()
        p.run(60)
        p.one("A", 13141, 1)
        cwnd = s.conn.cwnd
        p.send("A", 1, 14601, options=b"" if needed else blocks(p, 13141, 14601))
        assert (s.conn.cwnd < cwnd) == needed, (cwnd, s.conn.cwnd)


def test_a_lost_retransmission_is_found_without_a_timeout():
    p, s = sacking(sndbuf=60000)
    s.send(b"r" * 30000)
    p.take()
    p.send("A", 1, 1, options=blocks(p, 1461, 2921))
    p.send("A", 1, 1, options=blocks(p, 1461, 4381))
    p.send("A", 1, 1, options=blocks(p, 1461, 5841))
    assert p.take()[-1].seq == 1
    right = 5841
    again = 0
    for _ in range(40):
        right += 1460
        if right > 1 + s.conn.snd_max:
            break
        p.send("A", 1, 1, options=blocks(p, 1461, right))
        again += len([x for x in p.take() if x.seq == 1])
    assert again == 1 and p.stack.tcp.count["timeout"] == 0
