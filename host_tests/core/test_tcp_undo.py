"""What was taken for loss and was none: seen by timestamps, D-SACK or F-RTO, and undone."""
from kit import MICROPYTHON
from net import Peer
from test_tcp_alloc import locked
from test_tcp_options import MSS, TS, blocks, established, sacking, stamp, word


def stamped(**more):
    """A connection with timestamps and SACK; `p.echo(n)` is an option that echoes the n-th sent."""
    p, s = established(MSS + b"\4\2" + stamp(1000), stamp(1001), **more)
    p.vals = []
    sent = p._sent

    def note(frame):
        sent(frame)
        if p.out:
            p.vals.append(p.out[-1].options[4:8])

    p.end.send_to = note
    p.echo = lambda n: TS + word(2000) + p.vals[n]
    return p, s


def test_timeout_that_came_too_early_is_undone():
    p, s = stamped(sndbuf=60000)
    s.send(b"t" * 7240)
    assert len(p.take()) == 5
    c = s.conn
    cwnd = c.cwnd
    p.run(900)
    assert c.cwnd == 1448 and p.stack.tcp.count["timeout"] >= 1
    p.take()
    p.send("A", 1, 1449, options=p.echo(0))
    assert p.stack.tcp.count["spurious"] == 1
    p.none()
    assert c.cwnd >= cwnd and c.loss.ssthresh > 100000 and c.loss.recover == 0
    assert c.snd_nxt == c.snd_max, "nothing is sent again"
    p.send("A", 1, 7241, options=p.echo(0))
    assert c.snd_max == 0


def test_timeout_that_was_right_is_not():
    p, s = stamped(sndbuf=60000)
    s.send(b"t" * 7240)
    p.take()
    p.run(300)
    p.take()
    p.send("A", 1, 1449, options=p.echo(-1))
    assert p.stack.tcp.count["spurious"] == 0 and s.conn.cwnd < 5000
    assert p.take()[0].seq == 1449


def test_fast_retransmit_of_what_was_only_late_is_undone():
    p, s = stamped(sndbuf=60000)
    s.send(b"f" * 14480)
    p.take()
    c = s.conn
    cwnd = c.cwnd
    p.run(5)
    for k in (1, 2, 3):
        p.send("A", 1, 1, options=p.echo(0) + blocks(p, 1449, 1449 + 1448 * k))
    assert c.loss.recover and c.loss.ssthresh < cwnd
    p.run(2)
    p.send("A", 1, 1 + 4 * 1448, options=p.echo(0))
    assert p.stack.tcp.count["spurious"] == 1 and c.loss.recover == 0 and c.cwnd >= cwnd


def test_what_came_twice_was_not_lost():
    p, s = sacking(sndbuf=60000)
    s.send(b"d" * 14600)
    p.take()
    c = s.conn
    cwnd = c.cwnd
    for k in (1, 2, 3):
        p.send("A", 1, 1, options=blocks(p, 1461, 1461 + 1460 * k))
    assert c.loss.recover and p.stack.tcp.count["retransmit"] == 1
    p.send("A", 1, 1 + 4 * 1460)
    p.send("A", 1, 1 + 10 * 1460)
    assert c.cwnd < cwnd and p.stack.tcp.count["spurious"] == 0
    s.send(b"d" * 1460)
    p.send("A", 1, 1 + 10 * 1460, options=blocks(p, 1, 1461))
    assert p.stack.tcp.count["spurious"] == 1 and c.cwnd >= cwnd


def test_one_of_two_that_came_twice_changes_nothing():
    p, s = sacking(sndbuf=60000)
    s.send(b"d" * 14600)
    p.take()
    for k in (1, 2, 3, 4):
        p.send("A", 1, 1, options=blocks(p, 2921, 2921 + 1460 * k))
    p.send("A", 1, 1461, options=blocks(p, 2921, 2921 + 1460 * 6))
    assert p.stack.tcp.count["retransmit"] == 2
    p.send("A", 1, 2921 + 1460 * 6, options=blocks(p, 1, 1461))
    assert p.stack.tcp.count["spurious"] == 0


def test_a_probe_that_was_not_needed_does_not_undo_an_earlier_loss():
    p, s = sacking(sndbuf=60000)
    s.send(b"p" * 14600)
    p.take()
    for k in (1, 2, 3):
        p.send("A", 1, 1, options=blocks(p, 1461, 1461 + 1460 * k))
    p.send("A", 1, 14601)
    assert s.conn.loss.recover == 0 and p.stack.tcp.count["retransmit"] == 1
    s.send(b"p" * 1460)
    s.send(b"p" * 1460)
    p.run(150)
    assert p.stack.tcp.count["tail_probe"] == 1
    p.send("A", 1, 17521, options=blocks(p, 16061, 17521))
    assert p.stack.tcp.count["spurious"] == 0 and s.conn.cwnd <= 10220


def timed_out():
    """No timestamps: five segments out, a probe, and a timeout that sent the first again."""
    p, s = sacking(sndbuf=60000)
    s.send(b"r" * 7300)
    p.take()
    p.run(300)
    assert p.take()[-1].seq == 1
    s.send(b"r" * 29200)
    p.none()
    return p, s


def test_without_timestamps_new_data_shows_that_a_timeout_was_wrong():
    p, s = timed_out()
    p.send("A", 1, 1461)
    assert [x.seq for x in p.take()] == [7301, 8761], "RFC 5682, 2.1, step 2b"
    p.send("A", 1, 2921)
    assert p.stack.tcp.count["spurious"] == 1 and s.conn.loss.recover == 0
    assert s.conn.cwnd >= 10000
    assert all([x.seq >= 10221 for x in p.take()]), "nothing is sent again"


def test_without_timestamps_a_duplicate_shows_that_a_timeout_was_right():
    p, s = timed_out()
    p.send("A", 1, 1461)
    p.take()
    p.send("A", 1, 1461, options=blocks(p, 7301, 8761))
    assert p.stack.tcp.count["spurious"] == 0
    assert [x.seq for x in p.take()] == [1461, 2921, 4381], "three segments, step 3a"


def test_nothing_new_to_send_and_so_no_doubt():
    p, s = sacking(sndbuf=60000)
    s.send(b"r" * 7300)
    p.take()
    p.run(300)
    p.take()
    p.send("A", 1, 1461)
    assert [x.seq for x in p.take()] == [1461, 2921]


def test_no_heap_when_it_is_undone():
    p, s = stamped(sndbuf=60000, isn=0x7FFFFFF0)
    s.send(b"t" * 7240)
    p.run(900)
    p.take()
    locked(p, lambda: p.send("A", 1, 1449, options=p.echo(0)))
    assert p.stack.tcp.count["spurious"] == 1
    p, s = timed_out()
    locked(p, lambda: (p.send("A", 1, 1461), p.send("A", 1, 2921)))
    assert p.stack.tcp.count["spurious"] == 1


def test_no_memory_for_a_scoreboard():
    p, s = stamped(sndbuf=60000)
    tcp = p.stack.tcp
    s.send(b"m" * 7240)
    p.take()
    tcp.spares.clear()

    def report():
        for k in (2, 3, 4):
            p.send("A", 1, 1, options=p.echo(0) + blocks(p, 1449, 1449 * k))

    locked(p, report)
    if MICROPYTHON:
        assert s.conn.loss is None and not tcp.count["fast_retransmit"]
    p.run(2000)
    assert 1 in [x.seq for x in p.take()], "the timer repairs it"
    p.send("A", 1, 7241, options=p.echo(-1))
    assert s.conn.snd_max == 0


def test_no_memory_for_what_is_out_of_order():
    p = Peer()
    s = p.accept()
    p.stack.tcp.spares.clear()
    locked(p, lambda: p.send("A", 101, 1, b"b" * 100))
    if MICROPYTHON:
        assert p.stack.tcp.count["ooo_full"] == 1
    locked(p, lambda: p.send("A", 1, 1, b"a" * 100))
    p.send("A", 101, 1, b"b" * 100)
    assert s.recv(1000) == b"a" * 100 + b"b" * 100


def test_connections_without_loss_hold_no_memory_for_it():
    p, s = stamped(sndbuf=60000)
    s.send(b"n" * 2896)
    p.take()
    p.send("A", 1, 2897, b"x" * 100, options=p.echo(0))
    assert s.conn.loss is None and s.conn.ooo is None
    p.send("A", 201, 2897, b"x", options=p.echo(0))
    assert s.conn.loss is None and s.conn.ooo
