"""The simulator itself, and the campaign of random networks that is played in it.

What a failing seed prints is told in docs/simulator.md.
"""
import io

from kit import MICROPYTHON, raises
from sim import Sim, cable, loss
from sim.campaign import explain, play
from sim.check import Broken, Checker, left_behind
from spinet.testing.record import Capture, Digest, Taps, Trace, summary
from sim.scenario import run
from sim.users import Conversation, Plan, Server, Sink, Source
from sim.wire import Wire
from spinet.tcp import output

SEEDS = 8 if MICROPYTHON else 100       # in each part of the campaign
SLOW = ("test_campaign", "test_campaign_2", "test_campaign_3", "test_campaign_4")


def net(seed=1, rcvbuf=4096, sndbuf=4096, **qualities):
    """Hosts a (10.0.0.1) and b on a cable, with all checks on: (sim, a, b, pipe, pipe back)."""
    sim = Sim(seed)
    sim.watch = Checker()
    sim.tap = Wire()
    hosts = [sim.host(name, rcvbuf=rcvbuf, sndbuf=sndbuf) for name in "ab"]
    ports = [host.port() for host in hosts]
    pipes = cable(sim, ports[0], ports[1], **qualities)
    for i in range(2):
        hosts[i].up(ports[i], "10.0.0.%d/24" % (i + 1))
    return sim, hosts[0], hosts[1], pipes[0], pipes[1]


def converse(sim, a, b, to_b=0, to_a=0):
    """A conversation of so many bytes each way, played until both users are done."""
    server = Server(b, 80)
    c = Conversation(a, b, "10.0.0.2", 80, Plan(to_b), Plan(to_a), sim.now, server)
    sim.until(c.over)
    server.close()
    assert c.verdict(600000000) is None, c.verdict(600000000)
    return c


def test_campaign():
    play(0, SEEDS)


def test_campaign_2():
    play(1000, 1000 + SEEDS)


def test_campaign_3():
    play(2000, 2000 + SEEDS)


def test_campaign_4():
    play(3000, 3000 + SEEDS)


def test_a_run_repeats_to_the_byte():
    for seed in (3, 5):
        digests = [Digest(), Digest(), Digest()]
        events = [run(seed, digests[0]).sim.events, run(seed, digests[1]).sim.events]
        run(seed + 1, digests[2])
        one, two, other = [d.hex() for d in digests]
        assert one == two and events[0] == events[1]
        assert other != one


def test_rate_and_delay():
    sim, a, b, there, _ = net(rate=1000000, delay_us=10000)
    arrived = []
    there.sink = lambda frame: arrived.append(sim.now)
    sim.run(5000)
    del arrived[:]
    start = sim.now
    for _ in range(3):
        there.carry(bytes(1250))    # 10 ms each
    sim.run(1000)
    assert [(t - start + 50) // 100 for t in arrived] == [200, 300, 400]


def test_a_full_queue_drops_the_tail():
    sim, a, b, there, _ = net(rate=1000000, queue=5000)
    sim.run(5000)
    before = there.dropped["queue"]
    arrived = []
    there.sink = arrived.append
    for i in range(10):
        there.carry(bytes((i,)) * 1250)
    sim.run(1000)
    # One is being sent, four wait, and the fifth is let in by the last byte that fits.
    assert [frame[0] for frame in arrived] == [0, 1, 2, 3, 4]
    assert there.dropped["queue"] - before == 5


def test_what_a_faulty_link_does_is_near_what_it_is_told_to():
    sim, a, b, there, _ = net(corrupt=100000, duplicate=50000, reorder=100000, jitter_us=100,
                              down=[(9000000, 9500000)])
    there.loss = loss.Random(sim.rand.fork(), 200000)
    sim.run(5000)
    arrived = []
    there.sink = arrived.append
    plain = b"\xff" * 12 + b"\x08\0" + bytes(46)
    for i in range(1000):
        there.carry(plain + bytes((i >> 8, i & 255)))
        sim.run(1)
    assert 150 < there.dropped["loss"] < 250, there.dropped
    assert len(arrived) > 1000 - there.dropped["loss"] + 15
    changed = 0
    for frame in arrived:
        if bytes(frame[:60]) != plain:
            changed += 1
            bits = 0
            for i in range(60):
                bits += bin(frame[i] ^ plain[i]).count("1")
            assert bits == 1 and bytes(frame[:14]) == plain[:14]
    assert 40 < changed < 130, changed
    numbers = [frame[60] << 8 | frame[61] for frame in arrived]
    assert numbers != sorted(numbers)
    sim.run(3050)
    there.carry(plain)
    assert there.dropped["down"] == 1


def test_bursts_are_longer_than_chance_would_have_them():
    sim = Sim(1)
    burst = loss.Gilbert(sim.rand, 10000, 200000)
    lost = [burst(b"") for _ in range(5000)]
    total = lost.count(True)
    runs = len([i for i in range(1, 5000) if lost[i] and not lost[i - 1]])
    assert 120 < total < 400 and 3.5 < total / runs < 7, (total, runs)


def test_later_fragments_match_nothing():
    first = bytearray(60)
    first[12:15] = b"\x08\0\x45"
    first[23] = 6
    first[46:48] = b"\x50\x02"
    assert loss.syn(first)
    later = bytearray(first)
    later[21] = 31
    assert not loss.syn(later) and not loss.syn(first[:38])


def test_one_frame_is_picked():
    for which, flags in ((loss.syn, "SYN"), (loss.fin, "FIN"), (loss.data, "data")):
        sim, a, b, there, _ = net()
        there.lose(loss.Nth((0,), which))
        converse(sim, a, b, 1000)
        assert there.dropped["loss"] == 1, flags
        assert a.stack.tcp.count["retransmit"] >= 1


def test_a_long_fat_transfer_and_nothing_is_left():
    sim, a, b, there, _ = net(rcvbuf=65536, sndbuf=65536, rate=10000000, delay_us=20000)
    n = 200000 if MICROPYTHON else 2000000
    converse(sim, a, b, n)
    assert sim.now < n + 3000000       # a byte takes 0.8 us
    sim.run(70000)
    assert not left_behind(a) and not left_behind(b)


def test_an_hour_of_silence_is_cheap():
    sim, a, b, _, _ = net()
    server = Server(b, 80)
    c = Conversation(a, b, "10.0.0.2", 80, Plan(10, ending="unread", patience_us=1 << 40),
                     Plan(10, ending="unread", patience_us=1 << 40), 0, server)
    sim.run(1000)
    before = sim.events
    sim.run(3600000)
    assert sim.events - before < 8000 and len(c.ends) == 2


def broken(spoil):
    """What the checks say when `spoil(c)` is done to an established connection."""
    sim, a, b, _, _ = net()
    server = Server(b, 80)
    plan = Plan(30000, ending="unread", patience_us=1 << 40)
    c = Conversation(a, b, "10.0.0.2", 80, plan, plan, 0, server)
    sim.run(2000)
    spoil(c.ends[0].conn)
    return str(raises(Broken, sim.watch, a))


def test_the_checks_see_what_is_wrong():
    def lost_timer(c):
        c.t_rexmt = None

    def lost_deadline(c):
        c.tcp.timers.remove(c)

    def out_of_order(c):
        c.snd_nxt = c.snd_max + 1

    def shrinks(c):
        c.r_len -= 100
        c.rcv_adv = 100
        Checker().look(c, c.tcp.timers.now)
        c.rcv_adv = 50

    assert "no timer runs" in broken(lost_timer)
    assert "do not know" in broken(lost_deadline)
    assert "snd_nxt <= snd_max" in broken(out_of_order)
    assert "shrank" in broken(shrinks)


def test_data_beyond_the_window_is_seen_on_the_wire():
    def beyond(c):
        c.sbuf = bytearray(20000)
        c.s_len = 20000
        output.transmit(c, c.snd_wnd, 100, 16)

    # It is sent from within the spoiling itself.
    assert "into a window" in str(raises(Broken, broken, beyond))


def test_wrong_data_is_seen_by_its_reader():
    sim, a, b, _, _ = net(delay_us=20000)
    server = Server(b, 80)
    c = Conversation(a, b, "10.0.0.2", 80, Plan(3000), Plan(0), 0, server)
    sim.until(lambda: c.ends)
    c.place += 1        # which is where the server's end expects the stream to begin
    assert "other bytes" in str(raises(Broken, sim.run, 5000))


def test_a_seed_is_explained():
    text = explain(3, lines=20)
    assert text.startswith("seed 3\n") and "SYN" not in text.split("\n")[1]
    assert "TIME_WAIT -> CLOSED" in text or "-> CLOSED" in text, text
    assert "DID NOT REPEAT" in explain(3, Broken("something else"))


def test_a_capture_and_a_trace():
    sim, a, b, there, _ = net(delay_us=1000)
    file = io.BytesIO()
    trace = Trace()
    sim.tap = Taps(sim.tap, Capture(file, pipes=(there,)), trace)
    trace.watch(a)
    converse(sim, a, b, 10)
    data = file.getvalue()
    assert data[:4] == b"\xd4\xc3\xb2\xa1" and data[20] == 1
    at, frames = 24, 0
    while at < len(data):
        at += 16 + (data[at + 8] | data[at + 9] << 8)
        frames += 1
    assert at == len(data) and frames == there.frames - 1   # the first before it began
    lines = trace.lines()
    assert [line for line in lines if "SYN_SENT -> ESTABLISHED" in line]
    assert [line for line in lines if "PA  1:11(10) ack 1" in line], lines
    assert summary(b"\xff" * 12 + b"\x08\x06" + bytes(7) + b"\1" + bytes(40)) == "ARP who has"


def test_a_board_makes_use_of_its_window():
    # Two full segments and a short one fit: Nagle's algorithm must not hold that back.
    sim, a, b, _, _ = net(rate=10000000, delay_us=10000)
    sink = Sink(b, 80)
    Source(a, "10.0.0.2", 80)
    a.poll()
    sim.run(2100)
    # A window in the time until the acknowledgement of its first segment.
    assert sink.got > 2000000 // 21300 * 4096 * 85 // 100, sink.got


def test_only_what_was_lost_is_sent_again():
    # In slow start, with a queue that grows: the round-trip time of each segment is a new record.
    for congestion in ("reno", "cubic"):
        for rack in (False, True):
            sim, a, b, there, _ = net(rcvbuf=131072, sndbuf=131072, rate=10000000, delay_us=10000)
            a.stack.tcp.congestion = congestion
            a.stack.tcp.rack = rack
            there.lose(loss.Nth((60, 61, 62), loss.data))
            sink = Sink(b, 80)
            Source(a, "10.0.0.2", 80)
            a.poll()
            sim.run(400)
            count = a.stack.tcp.count
            assert count["retransmit"] == 3 and count["timeout"] == 0, (congestion, rack, count)
            assert sink.got > 200000, sink.got
