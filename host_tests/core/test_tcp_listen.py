"""Listening: backlog, half-open connections, and peers that mean harm."""
from kit import raises
from net import Net, Peer

from spinet.errors import ECONNREFUSED, EADDRINUSE
from spinet.tcp.states import NAMES


def listening(p, backlog=3):
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(backlog)
    server.setblocking(False)
    return p.keep(server)


def test_backlog_full_ignores_the_syn_and_the_next_try_succeeds():
    p = Peer()
    server = listening(p, 2)
    for i in range(2):
        p.rport = 6000 + i
        p.send("S")
        p.one("SA")
        p.send("A", 1, 1)
    p.rport = 7000
    p.send("S")
    p.none()
    assert p.stack.tcp.count["backlog_full"] == 1
    p.keep(server.accept())
    p.send("S")
    p.one("SA")


def test_without_cookies_a_syn_flood_is_bounded_and_a_real_client_gets_in():
    p = Peer()
    p.stack.tcp.cookies_max = 0
    server = listening(p, 5)
    for i in range(500):
        p.rport = 10000 + i
        p.send("S")
    most = max(p.stack.tcp.half_open_max, 5)
    assert len(p.take()) == most == len(server.listener.half_open)
    assert len(p.stack.tcp.table) == most == p.stack.tcp.connections
    p.run(1100)
    p.take()
    p.rport = 9999
    p.send("S")
    p.one("SA")
    p.send("A", 1, 1)
    s, peer = server.accept()
    assert peer == ("10.0.0.2", 9999)


def test_without_cookies_a_burst_never_costs_a_client_that_was_answered():
    p = Peer()
    p.stack.tcp.cookies_max = 0
    server = listening(p, 2)
    p.stack.tcp.half_open_max = 8
    answered = []
    for i in range(20):
        p.rport = 10000 + i
        p.send("S")
        if p.take():
            answered.append((p.rport, p.iss))
    assert len(answered) == 8
    for p.rport, p.iss in answered:
        p.send("A", 1, 1)
    p.none()
    assert len(server.listener.queue) == 8


def test_half_open_connections_time_out():
    p = Peer()
    listening(p)
    p.send("S")
    p.run(200000)
    assert len(p.take()) == 6, "SYN,ACK and five retransmissions"
    assert not p.stack.tcp.table


def test_half_open_holds_no_rings():
    p = Peer()
    server = listening(p)
    p.send("S")
    assert len(server.listener.half_open[0].rbuf) == 0


def test_child_that_dies_before_accept_leaves_the_queue():
    p = Peer()
    server = listening(p)
    p.send("S")
    p.take()
    p.send("A", 1, 1)
    assert len(server.listener.queue) == 1
    p.send("R", 1)
    assert not server.listener.queue
    assert not p.stack.tcp.table


def test_closing_the_listener_resets_what_nobody_accepted():
    p = Peer()
    server = listening(p)
    p.send("S")
    p.take()
    p.send("A", 1, 1)
    server.close()
    p.one("RA")
    p.send("S", 100)
    p.one("RA")


def test_two_listeners_on_a_port():
    p = Peer()
    listening(p)
    other = p.stack.socket()
    e = raises(OSError, other.bind, ("10.0.0.1", 80))
    assert e.errno == EADDRINUSE


def test_reset_in_window_is_challenged_and_only_the_exact_one_believed():
    p = Peer()
    s = p.accept()
    p.send("R", 100)
    p.one("A", 1, 1)
    p.send("R", 60000)
    p.none()
    assert NAMES[s.conn.state] == "ESTABLISHED"
    p.send("R", 1)
    assert NAMES[s.conn.state] == "CLOSED"


def test_syn_in_a_connection_is_challenged():
    p = Peer()
    s = p.accept()
    p.send("S", 1)
    p.one("A", 1, 1)
    p.send("S", 30000)
    p.one("A", 1, 1)
    assert NAMES[s.conn.state] == "ESTABLISHED"


def test_ack_of_what_was_never_sent_is_challenged():
    p = Peer()
    s = p.accept()
    p.send("PA", 1, 5000, b"blind injection")
    p.one("A", 1, 1)
    p.send("PA", 1, -70000, b"blind injection")
    p.one("A", 1, 1)
    assert s.conn.r_len == 0


def test_two_ends_out_of_step_do_not_make_an_ack_storm():
    p = Peer()
    p.accept()
    for _ in range(300):
        p.send("A", 5000, 1)    # out of window, no data
    assert len(p.take()) <= p.stack.tcp.answers_max


def test_no_state_for_a_closed_port():
    p = Peer()
    p.lport = 81
    for i in range(50):
        p.rport = 2000 + i
        p.send("S")
    assert len(p.take()) == 50
    assert not p.stack.tcp.table


def test_malformed_headers_are_counted():
    p = Peer()
    p.accept()
    p.raw(6, b"\0" * 19)
    p.raw(6, b"\x15\xb3\0\x50" + b"\0" * 8 + b"\x40\x10" + b"\0" * 6, 16)
    p.raw(6, b"\x15\xb3\0\x50" + b"\0" * 8 + b"\xf0\x10" + b"\0" * 6, 16)
    p.run(0)
    assert p.stack.tcp.count["runt"] == 3
    p.raw(6, b"\x15\xb3\0\x50" + b"\0" * 8 + b"\x50\x10" + b"\0" * 6)
    p.run(0)
    assert p.stack.tcp.count["bad_checksum"] == 1
    p.none()


def test_options_that_lie_about_their_length():
    for options in (b"\2", b"\2\0\5\xb4", b"\2\4\0\0", b"\3\xff\1\1", b"\1\1\1\2",
                    b"\xfe\2\2\4\5\xb4\0\0"):
        p = Peer()
        server = listening(p)
        p.send("S", options=options)
        p.one("SA")
        p.send("A", 1, 1)
        s, _ = server.accept()
        assert s.conn.mss >= 64


def test_random_segments_never_raise_and_never_leak():
    from kit import Random

    rand = Random(99)
    for seed in range(25):
        p = Peer(isn=0xFFFFFF00)
        server = listening(p)
        s = None
        p.send("S")
        p.send("A", 1, 1)
        s, _ = server.accept()
        s.setblocking(False)
        for _ in range(60):
            flags = "".join(f for f in "FSRPAU" if not rand.below(3))
            p.send(flags, rand.below(60) - 10, rand.below(60) - 10, rand(rand.below(40)),
                   window=rand.below(3) * 1000)
            if rand.below(4) == 0:
                try:
                    s.send(rand(rand.below(100)))
                except OSError:
                    pass
            if rand.below(6) == 0:
                p.run(rand.below(3000))
        try:
            s.close()
        except OSError:
            pass
        server.close()
        p.run(1200000)
        assert not p.stack.tcp.table, (seed, p.stack.tcp.table)
        assert p.stack.tcp.connections == 0


def test_refused_over_a_cable():
    net = Net()
    s = net.a.socket()
    assert raises(OSError, s.connect, ("10.0.0.2", 1234)).errno == ECONNREFUSED
    assert not net.a.tcp.table


def test_fifty_clients_at_once():
    net = Net(rcvbuf=1024, sndbuf=1024)
    server = net.b.socket()
    server.bind(("", 7))
    server.listen(50)
    server.setblocking(False)
    clients = []
    for _ in range(50):
        s = net.a.socket()
        s.setblocking(False)
        s.connect_ex(("10.0.0.2", 7))
        clients.append(s)
    served = []

    def turn():
        try:
            while True:
                served.append(server.accept()[0])
        except OSError:
            return len(served) == 50

    net.until(turn)
    for i, s in enumerate(clients):
        s.send(b"%d" % i)
    net.run(200)
    got = sorted(int(s.recv(10)) for s in served)
    assert got == list(range(50))
    for s in clients + served:
        s.close()
    net.run(70000)
    assert not net.a.tcp.table and not net.b.tcp.table
