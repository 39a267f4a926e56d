"""Loss: retransmission, fast retransmit, timers; and whole transfers on a bad cable."""
from kit import Random
from net import Net, Peer

from spinet.tcp.resume import resume
from spinet.tcp.states import NAMES


def test_retransmission_doubles_its_timeout_and_gives_up():
    p = Peer()
    s = p.accept()
    s.send(b"lost")
    p.one("PA", 1, 1, 4)
    times = []
    before = p.clock.now
    for _ in range(2000):
        p.run(500)
        for x in p.take():
            if "R" in x.flags:
                break
            assert x.seq == 1 and x.data == b"lost"
            times.append((p.clock.now - before) & 0x3FFFFFFF)
        if NAMES[s.conn.state] == "CLOSED":
            break
    assert NAMES[s.conn.state] == "CLOSED"
    assert len(times) == 12
    assert times[-1] > 100000, "RFC 9293 wants at least 100 seconds"
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(b + 500 >= a for a, b in zip(gaps, gaps[1:])), gaps


def test_karn_no_sample_from_what_was_sent_twice():
    p = Peer()
    s = p.accept()
    s.send(b"lost")
    p.run(5000)
    p.take()
    srtt = s.conn.srtt
    p.send("A", 1, 5)
    assert s.conn.srtt == srtt
    s.send(b"more")
    p.run(30)
    p.send("A", 1, 9)
    assert s.conn.srtt != srtt


def test_rto_follows_the_round_trip_time():
    p = Peer()
    s = p.accept()
    seq = 1
    for _ in range(30):
        s.send(b"x")
        p.run(400)
        p.take()
        seq += 1
        p.send("A", 1, seq)
    info = s.conn.info()
    assert 390 <= info["srtt"] <= 410, info
    assert 400 <= info["rto"] <= 600, info


def lose_one(p, s, mss, segments):
    s.send(b"L" * mss * segments)
    return p.take()


def test_third_duplicate_ack_retransmits_at_once():
    p = Peer(sndbuf=8192)
    s = p.accept(mss=500)
    lose_one(p, s, 500, 8)
    p.send("A", 1, 1)
    p.send("A", 1, 1)
    p.none()
    p.send("A", 1, 1)
    first = p.take()
    assert first[0].seq == 1 and len(first[0].data) == 500
    assert p.stack.tcp.count["fast_retransmit"] == 1


def test_partial_ack_retransmits_the_next_hole_and_a_full_one_ends_recovery():
    p = Peer(sndbuf=8192)
    s = p.accept(mss=500)
    lose_one(p, s, 500, 8)
    for _ in range(4):
        p.send("A", 1, 1)
    p.take()
    p.send("A", 1, 1001)
    out = p.take()
    assert out[0].seq == 1001 and len(out[0].data) == 500
    p.send("A", 1, 4001)
    assert s.conn.loss.recover == 0
    assert s.conn.cwnd <= 4000
    assert p.stack.tcp.count["timeout"] == 0


def test_two_duplicates_let_new_data_go():
    p = Peer(sndbuf=16384)
    s = p.accept(mss=500)
    s.send(b"L" * 8000)
    assert len(p.take()) == 10
    p.send("A", 1, 1)
    p.one("A", 5001, 1, 500)
    p.send("A", 1, 1)
    p.one("A", 5501, 1, 500)


def test_timeout_collapses_the_window_and_slow_start_follows():
    p = Peer(sndbuf=8192)
    s = p.accept(mss=500)
    s.send(b"L" * 5000)
    assert len(p.take()) == 10
    p.run(1000)
    out = p.take()
    assert out[0].seq == 1 and s.conn.cwnd == 500
    assert s.conn.loss.ssthresh == 2500
    p.send("A", 1, 501)
    out = p.take()
    assert [x.seq for x in out] == [501, 1001]
    p.send("A", 1, 5001)
    assert s.conn.snd_max == 0 and s.conn.t_rexmt is None


def test_lost_syn_ack_and_lost_fin():
    p = Peer()
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    p.send("S")
    p.one("SA", 0, 1)
    p.run(1100)
    p.one("SA", 0, 1)
    p.send("S")
    p.one("SA", 0, 1)
    p.send("A", 1, 1)
    s, _ = server.accept()
    c = s.conn
    s.close()
    p.one("FPA", 1, 1)
    p.run(5000)
    again = p.take()
    assert again and all(x.flags == "FPA" and x.seq == 1 for x in again)
    p.send("FA", 1, 2)
    assert NAMES[c.state] == "TIME_WAIT"


def transfer(net, n, client=None, server=None):
    if client is None:
        client, server = net.pair()
    data = Random(5)(997) * (n // 997 + 1)
    data = data[:n]
    sent = 0
    got = bytearray()
    closed = False

    def turn():
        nonlocal sent, closed
        while sent < n:
            k = client.write(data, sent, min(2048, n - sent))
            if not k:
                break
            sent += k
        if sent == n and not closed:
            client.shutdown(1)
            closed = True
        while True:
            part = server.read(2000)
            if not part:
                return part == b""
            got.extend(part)

    net.until(turn)
    net.took = net.elapsed
    assert got == data, "the stream arrived as it was sent"
    server.close()
    client.close()
    net.until(lambda: not net.b.tcp.table and len(net.a.tcp.table) == len(net.a.tcp.time_wait))
    return net


def test_clean_cable():
    net = transfer(Net(), 100000)
    assert net.a.tcp.count["retransmit"] == 0


def test_every_hundredth_and_twentieth_frame_lost():
    for percent in (1, 5, 20):
        rand = Random(percent)
        net = Net(lambda frame, to_b: [] if rand.below(100) < percent else [frame], delay_ms=5)
        transfer(net, 200000)
        assert net.a.tcp.count["retransmit"] > 0


def test_reordered_duplicated_delayed_frames():
    rand = Random(3)

    def treat(frame, to_b):
        k = rand.below(10)
        if k == 0:
            return [(frame, rand.below(50))]
        if k == 1:
            return [frame, (frame, rand.below(50))]
        return [frame]

    transfer(Net(treat, delay_ms=5), 60000)


def test_corrupted_frames_are_dropped_and_counted():
    rand = Random(4)

    def treat(frame, to_b):
        if rand.below(20) == 0 and len(frame) > 60:
            i = 34 + rand.below(len(frame) - 34)
            frame = frame[:i] + bytes([frame[i] ^ (1 + rand.below(255))]) + frame[i + 1:]
        return [frame]

    net = transfer(Net(treat, delay_ms=2), 60000)
    assert net.b.tcp.count["bad_checksum"] > 0


def test_cable_cut_for_ten_seconds():
    state = [False]
    net = Net(lambda frame, to_b: [] if state[0] else [frame], delay_ms=2)
    client, server = net.pair()
    client.send(b"before")
    net.run(100)
    state[0] = True
    client.send(b" during")
    net.run(10000)
    state[0] = False
    net.run(20000)
    assert server.recv(100) == b"before during"
    transfer(net, 20000, client, server)


def test_both_ends_close_at_once_and_nothing_is_left():
    net = Net()
    for _ in range(5):
        client, server = net.pair()
        client.close()
        server.close()
        net.run(70000)
        assert not net.a.tcp.table and not net.b.tcp.table
        assert net.a.tcp.connections == 0 and net.b.tcp.connections == 0


def test_when_the_link_is_back_nothing_waits_any_longer():
    cut = [False]
    net = Net(lambda frame, to_b: [] if cut[0] else [frame])
    client, server = net.pair()
    cut[0] = True
    client.send(b"x" * 1000)
    net.run(120000)
    conn = client.conn
    assert conn.retries > 5 and conn.rto > 20000
    cut[0] = False
    resume(net.a.tcp, net.a.interfaces[1])
    net.run(3000)       # ARP may have to ask again
    assert server.recv(2000) == b"x" * 1000 and not conn.retries and conn.rto < 2000
