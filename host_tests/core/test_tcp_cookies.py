"""SYN cookies: what a full half-open set answers, and what the answers are good for."""
from net import Peer, checksum

from spinet.tcp import cookies
from spinet.tcp.states import ECN, NAMES, SACK

PERIOD = 65536


def stamp(val, ecr=0):
    return b"\1\1\x08\x0a" + word(val) + word(ecr)


def word(n):
    return bytes((n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255))


def full(half_open=2, backlog=5, **kwargs):
    """A peer of a listener whose half-open set is full, and that listener's socket."""
    p = Peer(**kwargs)
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(backlog)
    server.setblocking(False)
    p.stack.tcp.half_open_max = half_open
    for i in range(max(half_open, backlog)):
        p.rport = 1000 + i
        p.send("S")
    p.take()
    p.rport = 5555
    return p, server


def stateless(p):
    """Nothing is remembered of the peer's port."""
    return p.stack.tcp.find(b"\x0a\0\0\2", p.rport, b"\x0a\0\0\1", 80) is None


def test_a_syn_beyond_the_set_is_answered_and_its_return_opens_the_connection():
    p, server = full()
    p.send("S", options=b"\2\4\5\xb4")
    p.one("SA", 0, 1)
    assert stateless(p) and p.stack.tcp.count["cookie_sent"] == 1
    p.send("PA", 1, 1, b"hello", window=1000)
    s, peer = server.accept()
    s.setblocking(False)
    assert peer == ("10.0.0.2", 5555) and s.recv(10) == b"hello"
    assert s.conn.mss == 1460 and s.conn.snd_wnd == 1000
    assert p.stack.tcp.count["cookie"] == 1 and len(server.listener.half_open) == 5
    p.run(100)
    p.one("A", 1, 6)
    s.send(b"answer")
    assert p.one("PA", 1, 6).data == b"answer"


def test_the_mss_comes_back_rounded_down():
    for mss, want in ((1460, 1460), (1459, 1440), (900, 536), (536, 536), (70, 64), (None, 536)):
        p, server = full()
        p.send("S", options=b"" if mss is None else bytes((2, 4, mss >> 8, mss & 255)))
        p.send("A", 1, 1)
        assert server.accept()[0].conn.mss == want, mss


def test_the_other_options_come_back_in_the_timestamp():
    p, server = full(isn=0x7FFFFFFF)
    p.stack.tcp.rcvbuf = 200000
    p.send("S", options=b"\2\4\5\xb4" + stamp(7) + b"\1\3\3\6\4\2")
    syn = p.one("SA", 0, 1)
    assert syn.options[-4:] == b"\1\3\3\2" and b"\4\2\x08\x0a" in syn.options
    i = syn.options.index(b"\x08\x0a")
    sent = syn.options[i + 2:i + 6]
    p.run(300)
    options = stamp(8)[:8] + sent
    p.send("A", 1, 1, window=100, options=options)
    c = server.accept()[0].conn
    assert c.flags & SACK and c.info()["scaling"] == (6, 2)
    assert c.snd_wnd == 6400 and c.mss == 1448
    c.send(b"x", 0, 1)
    seg = p.one("PA", 1, 1)
    now = int.from_bytes(seg.options[4:8], "big") - int.from_bytes(sent, "big") & 0xFFFFFFFF
    assert 300 <= now < 364, "our clock goes on from what the cookie said"
    assert seg.options[8:12] == word(8)


def test_ecn_comes_back_too():
    for ecn in (True, False):
        p, server = full()
        p.stack.tcp.ecn = ecn
        p.send("SEC", options=stamp(7))
        syn = p.one("SA", 0, 1)
        i = syn.options.index(b"\x08\x0a")
        p.send("A", 1, 1, options=stamp(8)[:8] + syn.options[i + 2:i + 6])
        c = p.keep(server.accept()[0]).conn
        assert bool(c.ecn) == bool(c.flags & ECN) == ecn
        p.rport = 5556
        p.send("SEC")
        p.one("SA", 0, 1)
        p.send("AE", 1, 1)
        assert server.accept()[0].conn.ecn is None, "no timestamps, nowhere to put it"


def test_without_timestamps_there_are_no_options():
    p, server = full()
    p.send("S", options=b"\2\4\5\xb4\1\3\3\6\4\2")
    assert len(p.one("SA", 0, 1).options) == 4
    p.send("A", 1, 1, window=100)
    c = server.accept()[0].conn
    assert not c.flags & SACK and c.info()["scaling"] == (0, 0) and c.snd_wnd == 100


def test_only_the_right_cookie_opens_a_connection():
    p, server = full()
    p.send("S")
    p.one("SA", 0, 1)
    for wrong in (0, 2, 1 + (1 << 24), 1 + (1 << 27), 1 << 31):
        p.send("A", 1, wrong)
        p.one("R")
    p.send("A", 2, 1)
    p.one("R")
    p.rport = 5556
    p.send("A", 1, 1)
    p.one("R")
    assert not server.listener.queue and p.stack.tcp.count["cookie"] == 0
    p.rport = 5555
    p.send("A", 1, 1)
    assert len(server.listener.queue) == 1


def test_a_cookie_is_good_for_two_periods_and_only_while_cookies_are_sent():
    p, server = full()
    p.send("S")
    p.one("SA", 0, 1)
    old = p.iss
    p.run(PERIOD)
    p.take()
    p.iss = old
    p.send("A", 1, 1)
    assert len(server.listener.queue) == 1
    for still_sent in (True, False):
        p, server = full()
        p.send("S")
        p.one("SA", 0, 1)
        old = p.iss
        p.run(2 * PERIOD)
        p.take()
        if still_sent:
            for p.rport in range(3000, 3006):
                p.send("S")
            assert p.stack.tcp.count["cookie_sent"] == 2
            p.take()
        p.rport = 5555
        p.iss = old
        p.send("A", 1, 1)
        p.one("R")
        assert not server.listener.queue


def test_never_believed_where_none_was_sent():
    p = Peer()
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(5)
    p.iss = 0
    tcp = p.stack.tcp
    tcp.cookies = made = cookies.Cookies(tcp)
    path = p.stack.path(b"\x0a\0\0\2", 6, b"\x0a\0\0\1", df=True)
    tick = made._tick()
    made._last = tick - 2 & 0xFFFF
    cookie = made._make(path, 80, 5555, word(p.isn), tick, 3)
    p.iss = int.from_bytes(cookie, "big")
    p.send("A", 1, 1)
    p.one("R")
    assert not tcp.table
    made._last = tick
    p.send("A", 1, 1)
    p.none()
    assert len(tcp.table) == 1, "the same one would have been right"


def test_a_full_queue_takes_no_cookie_and_the_next_segment_does():
    p, server = full(backlog=1)
    p.send("S")
    p.send("A", 1, 1)
    p.rport = 5556
    p.send("S")
    p.take()
    p.none()
    assert p.stack.tcp.count["backlog_full"] == 1, "not even answered"
    p.keep(server.accept())
    p.send("S")
    p.one("SA")
    again = p.iss
    p.rport = 5557
    p.send("S")
    p.send("A", 1, 1)
    p.take()
    p.rport, p.iss = 5556, again
    p.send("A", 1, 1)
    p.none()
    assert p.stack.tcp.count["backlog_full"] == 2
    p.keep(server.accept())
    p.send("PA", 1, 1, b"still here")
    s, peer = server.accept()
    assert peer[1] == 5556 and s.recv(20) == b"still here"


def test_a_cookie_is_good_for_one_connection():
    p, server = full()
    p.send("S")
    p.one("SA", 0, 1)
    p.send("A", 1, 1)
    s, _ = server.accept()
    s.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
    s.close()
    p.one("RA")
    p.send("A", 1, 1)
    p.one("R")
    assert not server.listener.queue


def test_cookies_are_limited():
    p, server = full()
    p.stack.tcp.cookies_max = 20
    for p.rport in range(2000, 2100):
        p.send("S")
    assert 10 <= len(p.take()) <= 20
    assert p.stack.tcp.count["rate_limited"] >= 80
    p.run(1000)
    p.take()
    p.rport = 5555
    p.send("S")
    p.one("SA")


def test_no_cookies_for_more_connections_than_there_may_be():
    p, server = full()
    p.send("S")
    p.one("SA")
    p.stack.tcp.connections_max = 1
    p.send("A", 1, 1)
    p.none()
    assert p.stack.tcp.count["too_many"] == 1 and not server.listener.queue


def test_half_open_connections_do_not_take_all_the_room_there_is():
    p = Peer()
    tcp = p.stack.tcp
    tcp.connections_max = 8
    servers = []
    for port in (80, 81):
        servers.append(p.stack.socket())
        servers[-1].bind(("", port))
        servers[-1].listen(20)
        servers[-1].setblocking(False)
    for p.rport in range(2000, 2030):
        p.send("S")
    assert tcp.connections == 8 and tcp.count["cookie_sent"] == 22
    p.take()
    for p.rport in range(3000, 3003):
        p.send("S")
        p.one("SA", 0, 1)
        p.send("A", 1, 1)
        s, peer = p.keep(servers[0].accept())
        assert peer[1] == p.rport and tcp.connections == 8
    p.lport = 81
    p.send("S")
    p.none()
    p.run(1100)
    p.take()
    p.lport = 81
    p.send("S")
    p.one("SA", 0, 1)
    assert tcp.count["evicted"] == 5, "another listener's, silent for a second"


def test_a_board_without_the_module_falls_back():
    p = Peer()
    p.stack.tcp.cookies = False     # what a failing import leaves behind
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    p.stack.tcp.half_open_max = 1
    p.send("S")
    p.one("SA")
    p.rport = 5556
    p.send("S")
    p.none()
    assert p.stack.tcp.count["half_open_full"] == 1


def test_random_segments_at_a_full_set_never_raise_and_never_leak():
    from kit import Random

    rand = Random(5)
    p, server = full(isn=0xFFFFFF00)
    for turn in range(600):
        p.rport = 3000 + rand.below(6)
        flags = "".join(f for f in "FSRPAU" if not rand.below(3))
        p.send(flags, rand.below(4) - 1, rand.below(4) - 1, rand(rand.below(3) * 10),
               options=(b"", stamp(rand.below(9)), b"\2\4\0\0", b"\3\3\xff\0")[rand.below(4)])
        if rand.below(9) == 0:
            try:
                server.accept()[0].close()
            except OSError:
                pass
        if rand.below(9) == 0:
            p.run(rand.below(2000))
        if turn % 2:
            p.take()
    server.close()
    p.run(900000)
    assert not p.stack.tcp.table and p.stack.tcp.count["cookie_sent"] > 20


class Flood:
    """SYNs from ports and addresses that do not exist, straight into the port's queue."""

    def __init__(self, p):
        self.p = p
        self.sent = 0
        h = (b"\x45\0\0\x28\0\0\x40\0\x40\6\0\0\x0a\0\0\2\x0a\0\0\1")
        k = checksum(h)
        h = h[:10] + bytes((k >> 8, k & 255)) + h[12:]
        s = b"\0\0\0\x50" + b"\0" * 8 + b"\x50\2\xff\xff\0\0\0\0"
        self.sum = checksum(b"\x0a\0\0\2\x0a\0\0\1\0\6\0\x14" + s) ^ 0xFFFF
        self.frame = bytearray(p.end.mac + p.MAC + b"\x08\0" + h + s)

    def syn(self):
        """Another one; the port is 10000 to 59999, the sequence number goes up."""
        n = self.sent = self.sent + 1
        port = 10000 + n % 50000
        k = self.sum + port + n
        while k >> 16:
            k = (k & 0xFFFF) + (k >> 16)
        k ^= 0xFFFF
        f = self.frame
        f[34] = port >> 8
        f[35] = port & 255
        f[40] = n >> 8
        f[41] = n & 255
        f[50] = k >> 8
        f[51] = k & 255
        self.p.end.waiting.append(bytes(f))


def test_five_thousand_syns_do_not_keep_real_clients_out():
    p = Peer()
    tcp = p.stack.tcp
    tcp.half_open_max = 8
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(5)
    server.setblocking(False)
    p.send("S")     # the neighbour is known
    p.take()
    ours = p.end.send_to

    def deaf(frame):
        pass

    flood = Flood(p)
    served = []
    for turn in range(20):
        p.end.send_to = deaf
        for _ in range(260):
            flood.syn()
        while p.end.waiting:
            p.stack.poll()
        p.end.send_to = ours
        p.rport = 2000 + turn
        p.send("S", options=b"\2\4\5\xb4")
        p.one("SA", 0, 1)
        p.end.send_to = deaf
        for _ in range(10):
            flood.syn()
        p.send("A", 1, 1)
        s, peer = server.accept()
        assert peer[1] == p.rport
        s.setblocking(False)
        p.end.send_to = ours
        p.send("PA", 1, 1, b"in")
        assert s.recv(10) == b"in"
        served.append(s)
        p.clock.advance(1000)
        p.take()
    assert flood.sent > 5000 and tcp.count["cookie"] == 20
    assert tcp.count["cookie_sent"] + tcp.count["rate_limited"] > 5000
    assert len(tcp.all()) <= 8 + len(served) and len(server.listener.half_open) <= 8
    for s in served:
        assert NAMES[s.conn.state] == "ESTABLISHED"
        s.close()


def test_a_second_copy_of_the_syn_does_no_harm():
    """One copy of a SYN got a cookie, another, when there was room again, a connection."""
    for first in (True, False):
        p, server = full()
        p.send("S", options=b"\2\4\5\xb4")
        p.one("SA", 0, 1)
        cookie = p.iss
        assert stateless(p)
        tcp = p.stack.tcp
        tcp.half_open_max = 20
        server.listen(20)
        p.send("S", options=b"\2\4\5\xb4")
        p.one("SA", 0, 1)
        assert not stateless(p) and p.iss != cookie
        half_open = len(server.listener.half_open)
        if first:
            # The peer believes the cookie, which it has got first.
            p.iss = cookie
        p.send("PA", 1, 1, b"hello")
        s, _ = server.accept()
        s.setblocking(False)
        assert s.recv(9) == b"hello"
        assert tcp.count["cookie"] == first and tcp.count["bad_ack"] == 0
        assert len(server.listener.half_open) == half_open - 1
        p.run(100)
        p.one("A", 1, 6)
