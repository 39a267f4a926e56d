"""Path MTU: what routers say, what they do not say, and looking again."""
from kit import heap_locked
from net import Peer, checksum
from test_tcp_alloc import Slots
from test_tcp_icmp import quote

from spinet.tcp import pmtu
from spinet.tcp.states import NAMES

MINUTE = 60000


def too_big(p, seq, mtu, length=1500):
    quoted = bytearray(quote(p, seq))
    quoted[2] = length >> 8
    quoted[3] = length & 255
    body = bytes((3, 4, 0, 0, 0, 0, mtu >> 8, mtu & 255)) + bytes(quoted)
    k = checksum(body)
    p.raw(1, body[:2] + bytes((k >> 8, k & 255)) + body[4:])
    p.run(0)


def sending(mss=1460, **kwargs):
    """A connection with a full segment and more in flight."""
    p = Peer(sndbuf=32000, **kwargs)
    s = p.accept(mss)
    s.send(b"m" * 5000)
    assert len(p.take()[0].data) == mss
    return p, s


def acknowledge(p, s):
    """The peer takes all that is in flight."""
    while s.conn.s_len:
        p.send("A", 1, s_una(p) + s.conn.snd_max)


def test_a_routers_word_is_taken_and_what_was_lost_sent_again_at_once():
    p, s = sending()
    cwnd = s.conn.cwnd
    too_big(p, 1, 1400)
    out = p.take()
    assert out[0].seq == 1 and len(out[0].data) == 1360
    assert s.conn.mss == 1360 and s.conn.path.mtu == 1400 and s.conn.cwnd == cwnd
    assert p.stack.tcp.count["smaller"] == 1


def test_what_is_not_believed():
    p, s = sending()
    for seq, mtu in ((-1, 1400), (5002, 1400), (1, 1500), (1, 1600), (1, 67), (1, 20)):
        too_big(p, seq, mtu)
        assert s.conn.mss == 1460, (seq, mtu)
    p.none()
    assert p.stack.tcp.count["bad_icmp"] == 6


def test_old_routers_name_no_size():
    p, s = sending()
    too_big(p, 1, 0)
    assert s.conn.path.mtu == 1492
    too_big(p, 1, 0, 1492)
    assert s.conn.path.mtu == 1280
    too_big(p, 1, 0, 1100)
    assert s.conn.path.mtu == 1006
    p.take()


def test_nobody_gets_us_below_the_floor_but_then_routers_may_fragment():
    p, s = sending()
    frames = []
    ours = p.end.send_to
    p.end.send_to = lambda frame: (frames.append(frame), ours(frame))
    too_big(p, 1, 68)
    assert s.conn.mss == 552 - 40 and s.conn.path.mtu == 552
    assert frames and all(len(f) <= 566 and not f[20] & 0x40 for f in frames)
    assert all(frames[0][18:20] != f[18:20] for f in frames[1:]), "an identification each"
    frames.clear()
    too_big(p, 1, 68)
    assert s.conn.mss == 512


def test_ten_minutes_later_larger_segments_are_tried_again():
    p, s = sending()
    too_big(p, 1, 1400)
    acknowledge(p, s)
    p.take()
    p.run(10 * MINUTE - 1000)
    assert s.conn.mss == 1360
    p.run(2000)
    assert s.conn.mss == 1452 and p.stack.tcp.count["larger"] == 1
    p.run(10 * MINUTE)
    assert s.conn.mss == 1460
    s.close()
    p.take()


def test_a_window_of_one_segment_grows_with_the_segment():
    p, s = sending()
    acknowledge(p, s)
    search = pmtu.Search(s.conn)
    search.use(1000)
    s.conn.cwnd = s.conn.mss        # as after a timeout
    search.use(1500)
    p.take()
    s.send(b"n" * 5000)
    assert len(p.take()[0].data) == 1460



def test_a_router_that_says_no_again_is_asked_again_ten_minutes_later():
    p, s = sending()
    too_big(p, 1, 576)
    acknowledge(p, s)
    p.run(10 * MINUTE)
    assert s.conn.path.mtu == 1006
    s.send(b"n" * 3000)
    too_big(p, s_una(p), 576)
    assert s.conn.path.mtu == 576 and s.conn.pmtu.wait == 10 * MINUTE
    acknowledge(p, s)


def black_hole(p, limit, ms):
    """Let `ms` pass on a path that swallows packets of more than `limit` bytes."""
    got = before = s_una(p)
    for _ in range(ms // 10):
        p.run(10)
        for seg in p.take():
            if len(seg.data) + 40 <= limit and seg.seq <= got:
                got = max(got, seg.seq + len(seg.data))
        if got != before:
            before = got
            p.send("A", 1, got)
    return got


def s_una(p):
    """The stack's SND.UNA, relative."""
    return int.from_bytes(bytes(p.stack.tcp.all()[0].head[4:8]), "big") - p.iss & 0xFFFFFFFF


def test_a_black_hole_is_found_without_any_icmp():
    for limit, mtu in ((1492, 1280), (1280, 1280), (600, 552)):
        p, s = sending()
        got = black_hole(p, limit, 12000)
        assert got == 5001, (limit, got)
        assert s.conn.path.mtu == mtu, (limit, s.conn.path.mtu)
        assert s.conn.s_len == 0


def test_after_a_guess_the_next_larger_size_is_tried_and_given_up_at_its_first_timeout():
    p, s = sending()
    black_hole(p, 600, 12000)
    assert s.conn.path.mtu == 552
    p.run(30000)
    assert s.conn.path.mtu == 1006
    p.take()
    timeouts = p.stack.tcp.count["timeout"]
    s.send(b"n" * 5000)
    got = black_hole(p, 600, 5000)
    assert got == 10001 and s.conn.path.mtu == 552
    assert p.stack.tcp.count["timeout"] == timeouts + 1
    assert s.conn.pmtu.wait == 2 * pmtu.GUESS_MS
    black_hole(p, 1500, 0)


def test_a_path_that_has_become_whole_again_is_used_in_full():
    p, s = sending()
    black_hole(p, 1300, 12000)
    for _ in range(12):
        p.run(MINUTE)
    assert s.conn.path.mtu == 1500 and s.conn.mss == 1460
    s.send(b"n" * 5000)
    p.run(1)        # the neighbour has to be found again
    assert len(p.take()[0].data) == 1460


def test_a_peer_that_is_away_is_no_black_hole_for_short_segments():
    p = Peer()
    s = p.accept()
    s.send(b"short")
    p.run(20000)
    assert s.conn.mss == 1460 and s.conn.pmtu is None


def test_nothing_is_left_of_a_search_when_its_connection_ends():
    p, s = sending()
    too_big(p, 1, 1400)
    p.take()
    search = s.conn.pmtu
    p.send("R", 1)
    assert NAMES[s.conn.state] == "CLOSED"
    assert search._pos < 0 and s.conn.pmtu is None


def test_small_interfaces_are_never_told_to_send_more():
    p = Peer(mtu=600, sndbuf=32000)
    s = p.accept()
    s.send(b"m" * 5000)
    assert len(p.take()[0].data) == 560
    black_hole(p, 560, 12000)
    assert s.conn.path.mtu == 552
    p.run(10 * MINUTE)
    assert s.conn.path.mtu == 600 and s.conn.mss == 560


def test_no_heap_where_routers_may_fragment():
    p, s = sending()
    too_big(p, 1, 68)
    acknowledge(p, s)
    p.take()
    slots = Slots(p.end.mac)
    p.ip.id.port = slots
    data = b"z" * 1024

    def work():
        assert s.send(data) == 1024
        for _ in range(10):
            p.clock.advance(200)
            p.stack.poll()

    heap_locked(work)
    assert slots.sent >= 3
