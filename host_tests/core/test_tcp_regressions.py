"""What other stacks of this size got wrong, where no other test shows that this one does not.

`docs/rfc-tcp.md` lists the whole of it, and which test has what.
"""
from kit import raises
from net import Net, Peer, checksum
from test_tcp_options import established as with_options, stamp

from spinet import Stack
from spinet.errors import (
    EADDRINUSE, ECONNABORTED, ECONNREFUSED, ECONNRESET, EINVAL, ENETUNREACH, ETIMEDOUT,
)
from spinet.socket import IPPROTO_TCP, TCP_NODELAY
from spinet.tcp import states


def listening(stack, port=80, backlog=5):
    server = stack.socket()
    server.bind(("", port))
    server.listen(backlog)
    server.setblocking(False)
    return server


def test_1_khz_timer_spin():
    net = Net()
    held = [net.pair(100 + i) for i in range(10)]
    for i in range(10):
        client, server = net.pair(200 + i)
        client.close()
        server.close()
    net.run(2000)
    assert len(net.a.tcp.time_wait) == 10
    polls = [0]
    poll = net.a.poll

    def counted():
        polls[0] += 1
        return poll()

    net.a.poll = counted
    net.run(50000)
    assert polls[0] <= 55, "idle and waiting connections cost a poll in a second: %d" % polls[0]
    assert held


def test_timers_of_what_has_ended_are_gone():
    net = Net()
    for i in range(60):
        client, server = net.pair(100 + i)
        client.send(b"x")
        net.run(20)
        server.recv(1)
        client.close()
        server.close()
        net.run(20)
    net.run(65000)
    for host in net.hosts:
        assert not host.tcp.table and not host.tcp.time_wait
        left = [t for t in host.timers.heap if hasattr(t, "tcp")]
        assert not left, left
        assert len(host.timers.heap) < 80


def test_blocked_calls_are_woken_when_the_session_dies():
    for call in ("recv", "sendall", "readline", "read"):
        net = Net(rcvbuf=1000, sndbuf=1000)
        client, server = net.pair()
        server.setblocking(True)
        steps = [0]
        real = net.step

        def step(limit, client=client, steps=steps, real=real):
            steps[0] += 1
            if steps[0] == 5:
                client.conn.abort()
            real(limit)

        net.step = step
        if call == "sendall":
            e = raises(OSError, server.sendall, b"x" * 50000)
        elif call == "readline":
            e = raises(OSError, server.readline)
        else:
            e = raises(OSError, getattr(server, call), 10)
        assert e.errno == ECONNRESET, call


def test_a_blocked_connect_is_woken_by_a_reset_and_by_its_time_out():
    net = Net()
    s = net.a.socket()
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == ECONNREFUSED
    assert net.elapsed < 100
    dead = Net(lambda frame, to_b: [])
    s = dead.a.socket()
    s.settimeout(0.3)
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == ETIMEDOUT
    assert not dead.a.tcp.table


def test_a_connect_leak():
    net = Net()
    before = len(net.a.timers.heap)
    for i in range(100):
        s = net.a.socket()
        if i % 2:
            s.settimeout(0.0005 * (i % 5))
        try:
            s.connect(("10.0.0.2", 1000 + i))
        except OSError:
            pass
        s.close()
    net.run(1000)
    assert not net.a.tcp.table and net.a.tcp.connections == 0
    assert len(net.a.timers.heap) <= before + 4


def test_a_persist_timer_left_armed():
    p = Peer()
    s = p.accept(window=0)
    s.send(b"hello")
    p.run(300)
    p.one("PA", 1, 1, 1)
    assert s.conn.flags & states.PERSIST and s.conn.t_rexmt is not None
    p.send("A", 1, 2, window=1000)
    p.one("PA", 2, 1, 4)
    assert not s.conn.flags & states.PERSIST
    p.send("A", 1, 6, window=1000)
    assert s.conn.t_rexmt is None
    p.run(100000)
    p.none()
    assert p.stack.tcp.count["probe"] == 1


def test_nagle_lets_a_full_segment_go_although_timestamps_make_it_shorter():
    p, s = with_options(b"\2\4\5\xb4" + stamp(1), stamp(2))
    s.send(b"n" * (1448 * 2 + 100))
    assert [len(x.data) for x in p.take()] == [1448, 1448]
    p.send("A", 1, 1449, options=stamp(3))
    p.none()
    s.send(b"n" * 1348)
    assert [len(x.data) for x in p.take()] == [1448], "full again"


def test_a_listener_never_has_a_gap():
    p = Peer()
    server = listening(p.stack)
    for i in range(20):
        p.rport = 6000 + i
        p.send("S")
        p.one("SA", 0, 1)
        p.send("A", 1, 1)
        s, _ = p.keep(server.accept())
        p.rport += 500
        p.send("S")
        p.one("SA", 0, 1)   # between accept and accept, and while others are open
        p.send("R", 1)
        if i % 2:
            s.close()
            p.take()
    assert p.stack.tcp.count["no_listener"] == 0


def test_a_port_can_be_listened_to_again_at_once():
    net = Net()
    for _ in range(5):
        server = listening(net.b)
        client = net.a.socket()
        client.connect(("10.0.0.2", 80))
        net.run(2)
        s, _ = server.accept()
        server.close()
        assert raises(OSError, server.accept).errno is not None
        s.close()       # TIME-WAIT on this side, or still open: neither is in the way
        again = listening(net.b)
        other = net.b.socket()
        assert raises(OSError, other.bind, ("", 80)).errno == EADDRINUSE
        again.close()
        client.close()
        net.run(10)
    client = net.a.socket()
    assert raises(OSError, client.connect, ("10.0.0.2", 80)).errno == ECONNREFUSED


def test_what_a_soft_reset_leaves_behind_is_told_to_the_peers():
    net = Net()
    client, server = net.pair()
    listening(net.b, 81)
    net.b.tcp.close()
    net.run(10)
    assert raises(OSError, client.recv, 1).errno == ECONNRESET
    assert raises(OSError, server.recv, 1).errno == ECONNABORTED
    assert not net.b.tcp.table and not net.b.tcp.listeners
    listening(net.b, 81)


def test_a_connection_to_oneself():
    net = Net()
    s = net.a.socket()
    s.bind(("127.0.0.1", 7777))
    s.settimeout(5)
    s.connect(("127.0.0.1", 7777))      # a simultaneous open of one
    s.sendall(b"me")
    assert s.recv(10) == b"me"
    s.close()
    net.run(70000)
    assert not net.a.tcp.table and net.a.tcp.connections == 0


def test_both_ends_open_at_once():
    for delay in (1, 30):
        net = Net(delay_ms=delay)
        a, b = net.a.socket(), net.b.socket()
        a.bind(("", 5000))
        b.bind(("", 6000))
        for s in (a, b):
            s.setblocking(False)
        a.connect_ex(("10.0.0.2", 6000))
        b.connect_ex(("10.0.0.1", 5000))
        net.run(500)
        sent = net.sent
        assert states.NAMES[a.conn.state] == states.NAMES[b.conn.state] == "ESTABLISHED"
        a.send(b"one")
        b.send(b"two")
        net.run(500)
        assert a.recv(10) == b"two" and b.recv(10) == b"one"
        assert sent < 20, sent
        a.close()
        b.close()
        net.run(70000)
        assert not net.a.tcp.table and not net.b.tcp.table


def test_resets_and_closes_in_every_order_leave_nothing():
    for first in range(5):
        for second in range(5):
            net = Net()
            client, server = net.pair()
            client.send(b"some")
            server.send(b"more")
            for what, s in ((first, client), (second, server)):
                if what == 0:
                    s.close()
                elif what == 1:
                    s.conn.abort()
                elif what == 2:
                    s.shutdown(1)
                    net.run(3)
                elif what == 3:
                    s.recv(1) if s.conn.r_len else None
                    s.close()
                else:
                    net.run(10)
                    s.close()
            client.close()
            server.close()
            net.run(130000)
            for host in net.hosts:
                assert not host.tcp.table, (first, second, host.tcp.all()[0].info())
                assert host.tcp.connections == 0 and not host.tcp.time_wait


def test_closed_right_after_sending_loses_nothing():
    net = Net(delay_ms=5)
    client, server = net.pair()
    client.setblocking(True)
    server.setblocking(True)
    data = bytes(range(256)) * 8
    client.sendall(data)
    client.close()
    assert server.read() == data


def test_sending_without_end_meets_back_pressure():
    net = Net(rcvbuf=2000, sndbuf=3000)
    client, server = net.pair()
    taken = 0
    for _ in range(1000):
        try:
            taken += client.send(b"x" * 1000)
        except OSError:
            break
        net.run(5)
    assert taken == 5000, "both rings"


def test_short_frames_and_headers_that_promise_too_much_kill_nobody():
    p = Peer()
    s = p.accept()
    p.raw(6, b"\x15\xb3\0\x50\0")      # IPv4 length 25: 5 bytes of TCP
    for n in range(25):
        p.raw(6, b"\xff" * n)
    p.run(0)
    p.send("PA", 1, 1, b"alive")
    assert s.recv(10) == b"alive"
    assert p.stack.tcp.count["runt"] == 26


def test_many_connections_one_after_another_cost_no_more_than_one():
    net = Net(rcvbuf=512, sndbuf=512)
    server = listening(net.b)
    net.b.tcp.time_wait_max = net.a.tcp.time_wait_max = 4
    for i in range(150):
        client = net.a.socket()
        client.connect(("10.0.0.2", 80))
        net.run(2)
        s, _ = server.accept()
        client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        client.send(b"ping")
        net.run(3)
        assert s.recv(10) == b"ping"
        (s if i % 2 else client).close()
        net.run(3)
        (client if i % 2 else s).close()
        net.run(3)
        for host in net.hosts:
            assert len(host.tcp.table) <= 6, i
    for host in net.hosts:
        assert len(host.timers.heap) < 24, len(host.timers.heap)


def test_a_syn_to_everybody_is_ignored():
    p = Peer()
    listening(p.stack)
    s = b"\x15\xb3\0\x50\0\0\0\1\0\0\0\0\x50\2\xff\xff\0\0\0\0"
    for dst in (b"\x0a\0\0\xff", b"\xff\xff\xff\xff"):
        k = checksum(b"\x0a\0\0\2" + dst + b"\0\6\0\x14" + s)
        h = b"\x45\0\0\x28\0\0\x40\0\x40\6\0\0\x0a\0\0\2" + dst
        i = checksum(h)
        p.end.waiting.append(b"\xff\xff\xff\xff\xff\xff" + p.MAC + b"\x08\0" + h[:10]
                             + bytes((i >> 8, i & 255)) + h[12:] + s[:16]
                             + bytes((k >> 8, k & 255)) + s[18:])
        p.run(0)
    p.none()
    assert p.stack.tcp.count["group"] == 2 and not p.stack.tcp.table


def test_many_peers_are_not_one_peer():
    net = Net()
    s = net.a.socket()
    for group in ("255.255.255.255", "10.0.0.255", "224.0.0.1"):
        assert raises(OSError, s.connect, (group, 80)).errno == ENETUNREACH
        assert s.conn is None
    assert not net.a.tcp.table
    assert raises(OSError, s.accept).errno == EINVAL
    assert isinstance(net.a, Stack)
