"""Data in sequence and out of it, windows, acknowledgements, Nagle: against a scripted peer."""
from net import Net, Peer

from spinet.socket import IPPROTO_TCP, TCP_NODELAY


def test_sequence_numbers_wrap_in_mid_stream():
    for isn in (0xFFFFFFF0, 0x7FFFFFF0, 0, 0x3FFFFFFA):
        p = Peer(isn=isn)
        s = p.accept()
        p.send("PA", 1, 1, b"0123456789" * 3)
        p.send("PA", 31, 1, b"abcdefghij" * 3)
        assert p.one("A").ack == 61
        assert s.recv(100) == b"0123456789" * 3 + b"abcdefghij" * 3


def test_every_second_segment_is_acknowledged_at_once_and_a_lone_one_after_40_ms():
    p = Peer()
    p.accept()
    p.send("A", 1, 1, b"x" * 100)
    p.run(39)
    p.none()
    p.run(2)
    p.one("A", 1, 101)
    p.send("A", 101, 1, b"x" * 100)
    p.none()
    p.send("A", 201, 1, b"x" * 100)
    p.one("A", 1, 301)


def test_out_of_order_data_is_kept_and_asked_for_again():
    p = Peer()
    s = p.accept()
    p.send("A", 11, 1, b"B" * 10)
    p.one("A", 1, 1)
    p.send("A", 31, 1, b"D" * 10)
    p.one("A", 1, 1)
    p.send("A", 21, 1, b"C" * 10)
    p.one("A", 1, 1)
    p.send("A", 1, 1, b"A" * 10)
    p.one("A", 1, 41)
    assert s.recv(100) == b"A" * 10 + b"B" * 10 + b"C" * 10 + b"D" * 10


def test_out_of_order_set_is_bounded_and_the_stream_survives():
    p = Peer()
    s = p.accept()
    for i in range(12, 0, -2):
        p.send("A", 1 + 10 * i, 1, bytes([65 + i]) * 10)
    assert p.stack.tcp.count["ooo_full"] == 2
    p.take()
    for i in range(13):
        p.send("A", 1 + 10 * i, 1, bytes([65 + i]) * 10)
    want = b"".join(bytes([65 + i]) * 10 for i in range(13))
    got = s.recv(1000)
    assert got == want, got


def test_overlapping_and_repeated_segments():
    p = Peer()
    s = p.accept()
    p.send("A", 1, 1, b"abcdef")
    p.send("A", 1, 1, b"abcdef")
    assert p.take()[-1].ack == 7
    p.send("A", 4, 1, b"defghi")
    p.send("A", 12, 1, b"lmn")
    p.send("A", 9, 1, b"ijklmnop")
    assert s.recv(100) == b"abcdefghijklmnop"


def test_data_beyond_the_window_is_cut():
    p = Peer(rcvbuf=100)
    s = p.accept()
    p.send("A", 1, 1, b"y" * 60)
    p.send("A", 61, 1, b"z" * 60)
    last = p.take()[-1]
    assert last.ack == 101 and last.window == 0
    assert s.recv(200) == b"y" * 60 + b"z" * 40
    update = p.take()
    assert update and update[-1].window == 100, "reading opens the window and says so"


def test_zero_window_probe_is_answered_but_its_byte_refused():
    p = Peer(rcvbuf=100)
    p.accept()
    p.send("A", 1, 1, b"y" * 100)
    p.run(50)
    p.take()
    p.send("A", 101, 1, b"p")
    probe = p.one("A")
    assert probe.ack == 101 and probe.window == 0


def test_window_never_shrinks_and_opens_in_useful_steps():
    p = Peer(rcvbuf=4096)
    s = p.accept()
    edge = 0
    at = 1
    for n in (1000, 1000, 1000, 1000):
        p.send("A", at, 1, b"w" * n)
        at += n
        for seg in p.take():
            assert seg.ack + seg.window >= edge
            edge = seg.ack + seg.window
    s.recv(10)
    p.run(100)
    for seg in p.take():
        assert seg.ack + seg.window == edge, "ten bytes are not worth a window"
    s.recv(3000)
    assert p.take()[-1].window >= 3000


def test_peers_window_is_never_exceeded():
    p = Peer()
    s = p.accept(window=1000)
    s.send(b"q" * 3000)
    assert sum(len(x.data) for x in p.take()) == 1000
    p.send("A", 1, 1001, window=500)
    assert sum(len(x.data) for x in p.take()) == 500


def test_closed_window_is_probed_with_back_off_and_never_given_up_while_answered():
    p = Peer()
    s = p.accept(window=0)
    s.send(b"hello")
    p.none()
    times = []
    for _ in range(200000):
        p.run(1)
        out = p.take()
        if out:
            assert len(out[0].data) == 1 and out[0].seq == 1
            times.append(p.clock.now)
            p.send("A", 1, 1, window=0)
        if len(times) == 8:
            break
    gaps = [(b - a) & 0x3FFFFFFF for a, b in zip(times, times[1:])]
    assert len(gaps) == 7 and all(b >= a for a, b in zip(gaps, gaps[1:])), gaps
    assert gaps[-1] >= 16 * gaps[0], gaps
    p.send("A", 1, 1, window=1000)
    assert b"".join(x.data for x in p.take()) == b"hello"


def test_probe_byte_that_was_taken_counts():
    p = Peer()
    s = p.accept(window=0)
    s.send(b"hello")
    p.run(250)
    p.one("PA", 1, 1, 1)
    p.send("A", 1, 2, window=1000)
    p.one("PA", 2, 1, 4)


def test_peer_that_answers_no_probe_is_given_up():
    p = Peer()
    s = p.accept(window=0)
    s.send(b"hello")
    p.run(900000)
    assert not p.stack.tcp.table
    try:
        s.recv(1)
        raise AssertionError("no error")
    except OSError as e:
        assert e.errno == 110


def test_a_peer_that_keeps_its_window_shut_does_not_hold_an_orphan_for_ever():
    p = Peer()
    s = p.accept(window=0)
    s.send(b"never taken")
    s.close()
    for _ in range(4000):
        p.run(500)
        if p.take():
            p.send("A", 1, 1, window=0)
    assert not p.stack.tcp.table


def test_nagle_holds_a_small_segment_while_one_is_unacknowledged():
    p = Peer()
    s = p.accept()
    s.send(b"a")
    p.one("PA", 1, 1, 1)
    s.send(b"b")
    s.send(b"c")
    p.none()
    p.send("A", 1, 2)
    p.one("PA", 2, 1, 2)


def test_nodelay_sends_at_once():
    p = Peer()
    s = p.accept()
    s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    s.send(b"a")
    s.send(b"b")
    assert [x.data for x in p.take()] == [b"a", b"b"]


def test_full_segments_are_not_held_by_nagle():
    p = Peer()
    s = p.accept(mss=100)
    s.send(b"n" * 350)
    assert [len(x.data) for x in p.take()] == [100, 100, 100]
    p.send("A", 1, 301)
    p.one("PA", 301, 1, 50)


def test_many_segments_leave_in_one_call():
    p = Peer(sndbuf=8192)
    s = p.accept(mss=500)
    s.send(b"m" * 5000)
    assert len(p.take()) == 10, "initial window is ten segments"


def test_data_sent_before_close_is_delivered_before_the_fin():
    p = Peer()
    s = p.accept(mss=1000, window=1500)
    s.send(b"t" * 4000)
    s.close()
    got = bytearray(4000)
    fin = None
    seen = 0
    for _ in range(20):
        for x in p.take():
            got[x.seq - 1:x.seq - 1 + len(x.data)] = x.data
            seen = max(seen, x.seq + len(x.data))
            if "F" in x.flags:
                fin = x.seq + len(x.data)
        if fin:
            break
        p.send("A", 1, seen, window=1500)
        p.run(300)
    assert fin == 4001 and got == b"t" * 4000


def test_send_ring_that_is_full_takes_a_part():
    p = Peer(sndbuf=1000)
    s = p.accept(window=0)
    assert s.send(b"f" * 1500) == 1000
    try:
        s.send(b"f")
        raise AssertionError("no error")
    except OSError as e:
        assert e.errno == 11
    assert s.write(b"f") is None


def test_rings_wrap():
    p = Peer(rcvbuf=1000, sndbuf=1000)
    s = p.accept(mss=300)
    seq = ack = 1
    for i in range(20):
        data = bytes([i]) * 270
        p.send("A", seq, ack, data)
        seq += 270
        assert s.recv(1000) == data
        assert s.send(data) == 270
        out = [x for x in p.take() if x.data]
        assert b"".join(x.data for x in out) == data and out[0].seq == ack
        ack += 270
        p.send("A", seq, ack)


def test_urgent_data_stays_in_the_stream():
    p = Peer()
    s = p.accept()
    p.send("PAU", 1, 1, b"urgent")
    assert s.recv(10) == b"urgent"


def test_a_window_of_less_than_a_segment_lets_no_longer_one_go():
    """What a small congestion window held back goes when the persist timer says so, in segments."""
    net = Net()
    client, server = net.pair()
    net.run(1000)
    client.conn.cwnd = client.conn.mss - 8
    longest = []
    send = net.ends[0].send_to

    def watch(frame):
        longest.append(len(frame))
        send(frame)

    net.ends[0].send_to = watch
    client.send(bytes(3000))
    net.run(5000)
    assert server.recv(4000) == bytes(3000) and max(longest) <= 1514
