"""RACK (RFC 8985): loss found by time, and the bounded record of when what was sent."""
from kit import Random, heap_locked
from net import Net
from test_tcp_alloc import Slots, locked
from test_tcp_loss import transfer
from test_tcp_options import MSS, blocks, established, stamp

from spinet.tcp import rack


def use_rack(tcp):
    tcp.rack = True


def racking(options=MSS + b"\4\2", sndbuf=60000, rtt=40, **more):
    """A connection with RACK and a measured round-trip time; what is sent next begins at 1461."""
    p, s = established(options, config=use_rack, sndbuf=sndbuf, **more)
    s.send(b"w" * 1460)
    p.run(rtt)
    p.take()
    p.send("A", 1, 1461)
    assert s.conn.loss.rtt == s.conn.loss.min_rtt == rtt
    s.conn.srtt = rtt << 3      # the handshake took no time
    return p, s


def test_three_segments_behind_it_show_a_loss_at_once():
    p, s = racking()
    s.send(b"l" * 14600)
    p.run(40)
    p.take()
    for k in (1, 2, 3):
        p.none()
        p.send("A", 1, 1461, options=blocks(p, 2921, 2921 + 1460 * k))
        if k < 3:
            assert all([x.seq > 14600 for x in p.take()]), "limited transmit"
    assert p.take()[0].seq == 1461 and p.stack.tcp.count["fast_retransmit"] == 1


def test_one_segment_behind_it_shows_a_loss_after_a_quarter_of_a_round_trip():
    p, s = racking()
    s.send(b"l" * 2920)
    p.run(40)
    p.take()
    p.send("A", 1, 1461, options=blocks(p, 2921, 4381))
    p.none()
    p.run(9)
    p.none()
    p.run(2)
    p.one("A", 1461)
    assert p.stack.tcp.count["timeout"] == p.stack.tcp.count["tail_probe"] == 0
    p.send("A", 1, 4381)
    assert s.conn.snd_max == 0 and s.conn.loss.recover == 0


def test_what_was_only_late_is_not_sent_again():
    p, s = racking()
    s.send(b"l" * 2920)
    p.run(40)
    p.take()
    p.send("A", 1, 1461, options=blocks(p, 2921, 4381))
    p.run(8)
    p.send("A", 1, 4381)
    p.run(1000)
    p.none()
    assert s.conn.loss.reordered, "and it is remembered that this happens"
    s.send(b"l" * 14600)
    p.run(40)
    p.take()
    p.send("A", 1, 4381, options=blocks(p, 5841, 5841 + 6 * 1460))
    assert all([x.seq >= 18981 for x in p.take()]), "not even with six segments behind it"
    p.run(11)
    assert 4381 in [x.seq for x in p.take()]


def test_a_lost_retransmission_is_found_by_time():
    p, s = racking()
    s.send(b"l" * 43800)
    p.run(40)
    p.take()
    p.send("A", 1, 1461, options=blocks(p, 2921, 2921 + 3 * 1460))
    assert 1461 in [x.seq for x in p.take()]
    p.run(5)
    p.send("A", 1, 1461, options=blocks(p, 2921, 2921 + 9 * 1460))
    p.send("A", 1, 1461, options=blocks(p, 2921, 2921 + 12 * 1460))
    new = p.take()[-1].seq
    assert new > 17521
    p.run(40)
    p.send("A", 1, 1461, options=blocks(p, 2921, new + 1460))
    assert 1461 in [x.seq for x in p.take()], "what was sent after the retransmission has arrived"
    assert p.stack.tcp.count["timeout"] == 0 and p.stack.tcp.count["fast_retransmit"] == 1


def test_a_duplicate_report_widens_the_window():
    p, s = racking()
    board = s.conn.loss
    s.send(b"l" * 14600)
    p.run(40)
    p.take()
    assert board.mult == 1
    p.send("A", 1, 2921, options=blocks(p, 1, 1461))
    assert board.mult == 2
    p.send("A", 1, 4381, options=blocks(p, 1, 1461))
    assert board.mult == 2, "once in a round trip"
    p.send("A", 1, 16061)
    s.send(b"l" * 2920)
    p.run(40)
    p.take()
    p.send("A", 1, 16061, options=blocks(p, 17521, 18981))
    p.run(19)
    p.none()
    p.run(3)
    p.one("A", 16061)


class Clocked:
    """As much of a connection as the record of what was sent needs."""

    def __init__(self):
        self.tcp = self.timers = self
        self.now = 1000
        self.snd_max = 0
        self.head = bytes(20)


def times(board, size):
    """What the board knows of each byte, in tens: (time, state)."""
    out = []
    at = 0
    for i in range(0, board.n, 3):
        while at < board.runs[i]:
            out.append((board.runs[i + 1], board.runs[i + 2]))
            at += 10
    return out


def test_the_record_agrees_with_one_that_keeps_every_byte():
    for seed in range(20):
        below = Random(seed + 1).below
        c = Clocked()
        board = rack.Board(0)
        model = []
        for _ in range(200):
            c.now += below(4)
            what = below(6)
            size = len(model) * 10
            if what < 2:
                n = 10 * (1 + below(5))
                board.sent(c, size, size + n)
                model += [(c.now, 0)] * (n // 10)
                c.snd_max = size + n
            elif what == 2 and size:
                a = below(len(model))
                b = min(a + 1 + below(3), len(model))
                board.resent(c, 10 * a, 10 * b)
                model[a:b] = [(c.now, rack.AGAIN)] * (b - a)
            elif what == 3 and size:
                a = below(len(model))
                b = min(a + 1 + below(3), len(model))
                board._cover(c, 10 * a, 10 * b)
                model[a:b] = [(t, state | rack.HERE) for t, state in model[a:b]]
            elif what == 4 and size:
                n = 1 + below(min(len(model), 6))
                board._pass(c, 10 * n, -1)
                model = model[n:]
                c.snd_max -= 10 * n
            known = times(board, size)
            assert board.n <= 3 * rack.RUNS and len(known) == len(model)
            for (t, state), (t0, state0) in zip(known, model):
                assert t >= t0, "never earlier than it was sent: %r %r" % (known, model)
                if state0 & rack.HERE == 0:
                    assert state & rack.HERE == 0, "never here when it is not"


def test_with_little_in_flight_the_record_is_exact():
    c = Clocked()
    board = rack.Board(0)
    for i in range(8):
        c.now += 1
        board.sent(c, 100 * i, 100 * i + 100)
    c.now += 50
    board.resent(c, 150, 250)
    board._cover(c, 300, 400)
    board._pass(c, 120, -1)
    assert board.runs[:board.n] == [
        30, 1002, 0, 80, 1058, 1, 130, 1058, 1, 180, 1003, 0, 280, 1004, 4, 380, 1005, 0,
        480, 1006, 0, 580, 1007, 0, 680, 1008, 0]
    assert board.xmit == 1004 and board.fack == 280


def test_no_heap_in_steady_state_and_recovery():
    options = MSS + b"\4\2" + stamp(1)
    p, s = established(options, stamp(2), config=use_rack, isn=0x7FFFFFF0, sndbuf=60000)
    s.send(b"r" * 14480)
    p.run(20)
    p.take()
    locked(p, lambda: [p.send("A", 1, 1 + 1448 * k, options=stamp(3)) for k in (2, 4)])
    first = 1 + 1448 * 5
    sent = locked(p, lambda: [
        p.send("A", 1, first - 1448, options=stamp(4) + blocks(p, first, first + 1448 * k))
        for k in range(1, 5)])
    assert sent >= 1 and s.conn.loss.recover
    locked(p, lambda: p.send("A", 1, first, options=stamp(5) + blocks(p, first, first + 1448)))
    slots = Slots(p.end.mac)
    p.ip.id.port = slots
    stack = p.stack

    def work():
        for _ in range(400):
            p.clock.advance(5)
            stack.poll()

    heap_locked(work)
    assert slots.sent >= 2 and stack.tcp.count["timeout"]
    board = s.conn.loss

    def fill():
        c = s.conn
        for i in range(100):
            stack.timers.now = p.clock.advance(1)
            board.sent(c, 1448 * i, 1448 * i + 1448)
            board.resent(c, 1448 * i, 1448 * i + 700)
            board._cover(c, 1448 * i + 100, 1448 * i + 200)

    heap_locked(fill)


def test_whole_transfers_over_a_cable_that_loses_and_reorders():
    for seed in range(4):
        rand = Random(seed + 1)

        def treat(frame, to_b):
            k = rand.below(100)
            if k < 4:
                return []
            return [(frame, rand.below(15))] if k < 20 and seed & 1 else [frame]

        net = Net(treat, delay_ms=10, rcvbuf=32768, sndbuf=32768)
        net.a.tcp.rack = True
        net.a.tcp.timestamps = bool(seed & 2)
        transfer(net, 150000)


def test_reordering_alone_costs_little():
    again = [0, 0]
    for seed in range(3, 7):
        for on in (False, True):
            rand = Random(seed)
            net = Net(lambda frame, to_b: [(frame, 3)] if rand.below(10) == 0 else [frame],
                      delay_ms=10, rcvbuf=32768, sndbuf=32768)
            net.a.tcp.rack = on
            transfer(net, 300000)
            again[on] += net.a.tcp.count["retransmit"]
    assert again[1] * 4 <= again[0], again
