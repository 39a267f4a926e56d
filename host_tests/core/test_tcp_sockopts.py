"""What the options of a TCP socket do."""
from kit import MICROPYTHON, heap_locked, raises
from net import Net, Peer
from test_tcp_alloc import Slots

from spinet.errors import EAGAIN, EBADF, EINVAL, ENOPROTOOPT, ETIMEDOUT
from spinet.socket import (
    IPPROTO_IP, IPPROTO_TCP, IP_TOS, IP_TTL, SO_KEEPALIVE, SO_LINGER, SO_OOBINLINE, SO_RCVBUF,
    SO_SNDBUF, SOL_SOCKET, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_MAXSEG,
    TCP_NODELAY, TCP_QUICKACK, TCP_USER_TIMEOUT,
)
from spinet.tcp.states import NAMES


def state(s):
    return NAMES[s.conn.state]


def linger(seconds):
    return bytes((1, 0, 0, 0, seconds, 0, 0, 0))


def listening(stack, *options):
    server = stack.socket()
    for option in options:
        server.setsockopt(*option)
    server.bind(("", 80))
    server.listen(5)
    return server


# -- values -----------------------------------------------------------------


def test_defaults():
    s = Net().a.socket()
    for level, option, value in (
            (SOL_SOCKET, SO_KEEPALIVE, 0), (SOL_SOCKET, SO_RCVBUF, 4096),
            (SOL_SOCKET, SO_SNDBUF, 4096), (SOL_SOCKET, SO_OOBINLINE, 1),
            (IPPROTO_TCP, TCP_NODELAY, 0),
            (IPPROTO_TCP, TCP_KEEPIDLE, 7200), (IPPROTO_TCP, TCP_KEEPINTVL, 75),
            (IPPROTO_TCP, TCP_KEEPCNT, 9), (IPPROTO_TCP, TCP_USER_TIMEOUT, 0),
            (IPPROTO_TCP, TCP_MAXSEG, 536), (IPPROTO_IP, IP_TTL, 64)):
        assert s.getsockopt(level, option) == value, option
    assert s.getsockopt(SOL_SOCKET, SO_LINGER, 8) == bytes(8)
    s.setsockopt(SOL_SOCKET, SO_LINGER, linger(7))
    assert s.getsockopt(SOL_SOCKET, SO_LINGER, 8) == linger(7)
    s.setsockopt(SOL_SOCKET, SO_LINGER, bytes(8))
    assert s.getsockopt(SOL_SOCKET, SO_LINGER, 8) == bytes(8)


def test_values_may_be_bytes_and_are_checked():
    s = Net().a.socket()
    s.setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, b"\x2c\1\0\0")
    assert s.getsockopt(IPPROTO_TCP, TCP_KEEPIDLE) == 300
    assert s.getsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 4) == b"\x2c\1\0\0"
    s.setsockopt(IPPROTO_TCP, TCP_NODELAY, True)
    for option, bad in ((TCP_KEEPIDLE, 0), (TCP_KEEPIDLE, 32768), (TCP_KEEPINTVL, 0),
                        (TCP_KEEPCNT, 128), (TCP_MAXSEG, 87), (TCP_MAXSEG, 32768),
                        (TCP_USER_TIMEOUT, -1)):
        assert raises(OSError, s.setsockopt, IPPROTO_TCP, option, bad).errno == EINVAL
    assert raises(OSError, s.setsockopt, SOL_SOCKET, SO_LINGER, 1).errno == EINVAL
    assert raises(OSError, s.setsockopt, IPPROTO_TCP, 99, 1).errno == ENOPROTOOPT
    s.setsockopt(SOL_SOCKET, SO_RCVBUF, 1)
    assert s.getsockopt(SOL_SOCKET, SO_RCVBUF) == 256
    s.close()
    assert raises(OSError, s.setsockopt, IPPROTO_TCP, TCP_NODELAY, 1).errno == EBADF


def test_accepted_sockets_inherit():
    net = Net()
    server = listening(net.b, (IPPROTO_TCP, TCP_NODELAY, 1), (SOL_SOCKET, SO_KEEPALIVE, 1),
                       (IPPROTO_TCP, TCP_KEEPIDLE, 10), (SOL_SOCKET, SO_LINGER, linger(3)),
                       (IPPROTO_TCP, TCP_USER_TIMEOUT, 5000), (SOL_SOCKET, SO_SNDBUF, 1000))
    client = net.a.socket()
    client.connect(("10.0.0.2", 80))
    s, _ = server.accept()
    assert s.getsockopt(IPPROTO_TCP, TCP_NODELAY) == 1
    assert s.conn.keep.idle == 10000 and s.conn.user_timeout == 5000
    assert s.getsockopt(SOL_SOCKET, SO_LINGER, 8) == linger(3)
    assert len(s.conn.sbuf) == 1000


def test_info():
    net = Net()
    client, server = net.pair()
    client.send(b"x" * 10)
    info = client.getsockopt(IPPROTO_TCP, TCP_INFO)
    assert info["state"] == "ESTABLISHED" and info["unacked"] == 10 and info["pmtu"] == 1500
    assert client.getsockopt(IPPROTO_TCP, TCP_INFO, 104) == info
    s = net.a.socket()
    assert raises(OSError, s.getsockopt, IPPROTO_TCP, TCP_INFO).errno == ENOPROTOOPT


# -- time -------------------------------------------------------------------


def test_keepalive_begins_though_the_handshake_took_longer_than_its_idle_time():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    for option, value in ((TCP_KEEPIDLE, 1), (TCP_KEEPINTVL, 1), (TCP_KEEPCNT, 3)):
        s.setsockopt(IPPROTO_TCP, option, value)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(5000)
    p.take()
    p.send("SA", 0, 1)
    p.take()
    p.run(4900)
    probes = p.take()
    assert [x.seq for x in probes] == [0, 0, 0, 1] and probes[3].flags == "RA"
    assert raises(OSError, s.recv, 1).errno == ETIMEDOUT


def test_user_timeout_ends_a_connection_whose_data_nobody_acknowledges():
    for ms in (1000, 3000, 7777):
        p = Peer()
        s = p.accept()
        s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, ms)
        p.run(60000)
        s.send(b"data")
        p.run(ms - 20)
        assert state(s) == "ESTABLISHED"
        p.run(40)
        assert state(s) == "CLOSED"
        assert raises(OSError, s.recv, 1).errno == ETIMEDOUT
        assert p.take()[-1].flags == "RA"


def test_user_timeout_begins_anew_with_each_acknowledgement_that_moves():
    p = Peer()
    s = p.accept()
    s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 2000)
    s.send(b"d" * 4000)
    for ack in (1, 1461, 2921):
        p.send("A", 1, ack)
        p.run(1700)
        assert state(s) == "ESTABLISHED"
    p.run(s.conn.rto)
    assert state(s) == "CLOSED", "noticed when the retransmission timer runs"


def test_user_timeout_longer_than_the_usual_goes_on():
    p = Peer()
    s = p.accept()
    s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 3600000)
    s.send(b"data")
    p.run(3590000)
    assert state(s) == "ESTABLISHED"
    p.run(20000)
    assert state(s) == "CLOSED"


def test_user_timeout_ends_a_peer_that_keeps_its_window_shut():
    p = Peer()
    s = p.accept(window=0)
    s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 5000)
    s.send(b"data")
    for _ in range(45):
        p.run(100)
        if p.take():
            p.send("A", 1, 1, window=0)
    assert state(s) == "ESTABLISHED"
    for _ in range(10):
        p.run(100)
        if p.take():
            p.send("A", 1, 1, window=0)
    assert state(s) == "CLOSED"


def test_user_timeout_of_connect_and_of_keepalive():
    net = Net(lambda frame, to_b: [frame] if frame[12:14] == b"\x08\x06" else [])
    s = net.a.socket()
    s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 4000)
    began = net.elapsed
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == ETIMEDOUT
    assert 4000 <= net.elapsed - began <= 4050
    p = Peer()
    s = p.accept()
    s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    for option, value in ((TCP_KEEPIDLE, 10), (TCP_KEEPINTVL, 1), (TCP_USER_TIMEOUT, 12000)):
        s.setsockopt(IPPROTO_TCP, option, value)
    p.run(11900)
    assert state(s) == "ESTABLISHED"
    p.run(1100)
    assert state(s) == "CLOSED", "not nine probes"


def test_close_lingers_until_all_is_acknowledged():
    net = Net(delay_ms=50)
    client, server = net.pair()
    client.setsockopt(SOL_SOCKET, SO_LINGER, linger(10))
    client.setblocking(True)
    client.send(b"x" * 4000)
    conn = client.conn
    began = net.elapsed
    client.close()
    assert 90 <= net.elapsed - began < 400 and NAMES[conn.state] == "FIN_WAIT_2"
    assert raises(OSError, client.send, b"x").errno == EBADF


def test_close_lingers_no_longer_than_it_may_and_the_rest_is_delivered_later():
    net = Net(rcvbuf=1000)
    client, server = net.pair()
    client.setsockopt(SOL_SOCKET, SO_LINGER, linger(2))
    client.setblocking(True)
    client.send(b"x" * 3000)
    began = net.elapsed
    client.close()
    assert 2000 <= net.elapsed - began < 2050
    server.setblocking(True)
    assert len(server.read()) == 3000


def test_a_socket_that_may_not_wait_does_not_linger():
    net = Net(rcvbuf=1000)
    client, server = net.pair()
    client.setsockopt(SOL_SOCKET, SO_LINGER, linger(2))
    client.send(b"x" * 3000)
    began = net.elapsed
    client.close()
    assert net.elapsed == began


def test_linger_of_zero_resets():
    p = Peer()
    s = p.accept()
    s.setsockopt(SOL_SOCKET, SO_LINGER, linger(0))
    s.send(b"gone")
    p.take()
    s.close()
    p.one("RA")
    assert not p.stack.tcp.table


# -- segments ---------------------------------------------------------------


def test_quickack_delays_nothing():
    p = Peer()
    s = p.accept()
    p.send("PA", 1, 1, b"a")
    p.none()
    p.run(50)
    p.one("A", 1, 2)
    s.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
    p.send("PA", 2, 1, b"b")
    p.one("A", 1, 3)
    s.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 0)
    p.send("PA", 3, 1, b"c")
    p.none()


def test_maxseg_bounds_what_is_sent_and_what_is_asked_for():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    s.setsockopt(IPPROTO_TCP, TCP_MAXSEG, 700)
    assert s.getsockopt(IPPROTO_TCP, TCP_MAXSEG) == 700
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    assert p.one("S", 0).options[:4] == b"\2\4\2\xbc"
    p.send("SA", 0, 1, options=b"\2\4\5\xb4")
    p.take()
    s.send(b"x" * 2000)
    assert [len(x.data) for x in p.take()][:2] == [700, 700]


def test_maxseg_of_a_listener_and_of_an_open_connection():
    p = Peer()
    server = listening(p.stack, (IPPROTO_TCP, TCP_MAXSEG, 800))
    p.send("S", options=b"\2\4\5\xb4")
    assert p.one("SA").options[:4] == b"\2\4\3\x20"
    p.send("A", 1, 1)
    s, _ = server.accept()
    assert s.getsockopt(IPPROTO_TCP, TCP_MAXSEG) == 800
    s.setsockopt(IPPROTO_TCP, TCP_MAXSEG, 500)
    s.send(b"x" * 1000)
    assert [len(x.data) for x in p.take()] == [500, 500]
    s.setsockopt(IPPROTO_TCP, TCP_MAXSEG, 1400)
    assert s.getsockopt(IPPROTO_TCP, TCP_MAXSEG) == 500, "no more than was agreed"


def test_ttl_and_tos_may_change_at_any_time_and_concern_nobody_else():
    p = Peer()
    one = p.accept()
    p.rport = 5556
    two = p.accept()
    frames = []
    p.end.send_to = frames.append
    for ttl, tos in ((64, 0), (9, 0xB8), (255, 0)):
        one.setsockopt(IPPROTO_IP, IP_TTL, ttl)
        one.setsockopt(IPPROTO_IP, IP_TOS, tos)
        one.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        one.send(b"x")
        assert (frames[-1][22], frames[-1][15]) == (ttl, tos)
    two.send(b"y")
    assert (frames[-1][22], frames[-1][15]) == (64, 0)


# -- rings ------------------------------------------------------------------


def test_sizes_of_rings_before_connect():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    s.setsockopt(SOL_SOCKET, SO_RCVBUF, 1000)
    s.setsockopt(SOL_SOCKET, SO_SNDBUF, 9000)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    assert p.one("S").window == 1000
    p.send("SA", 0, 1)
    assert p.one("A").window == 1000
    assert len(s.conn.rbuf) == 1000 and len(s.conn.sbuf) == 9000
    assert s.getsockopt(SOL_SOCKET, SO_SNDBUF) == 9000
    assert s.send(b"x" * 10000) == 9000
    assert p.stack.tcp.rcvbuf == 4096, "others are as usual"


def test_the_window_scale_follows_the_ring_of_each_socket():
    net = Net()
    server = listening(net.b, (SOL_SOCKET, SO_RCVBUF, 300000))
    client = net.a.socket()
    client.setsockopt(SOL_SOCKET, SO_RCVBUF, 100000)
    client.connect(("10.0.0.2", 80))
    s, _ = server.accept()
    assert s.conn.info()["scaling"] == (1, 3)
    assert client.conn.info()["scaling"] == (3, 1)
    s.setblocking(False)
    client.setblocking(False)
    data = bytes(range(256)) * 400
    sent = got = 0
    while got < len(data):
        if sent < len(data):
            sent += client.conn.send(data, sent, len(data))
        net.run(5)
        try:
            part = s.recv(50000)
        except OSError:
            continue
        assert part == data[got:got + len(part)]
        got += len(part)
    assert client.conn.snd_wnd > 65535


def test_a_listeners_ring_sizes_hold_from_the_first_answer():
    p = Peer()
    server = listening(p.stack, (SOL_SOCKET, SO_RCVBUF, 2000), (SOL_SOCKET, SO_SNDBUF, 500))
    p.send("S")
    assert p.one("SA").window == 2000
    p.send("A", 1, 1)
    s, _ = server.accept()
    assert len(s.conn.rbuf) == 2000 and len(s.conn.sbuf) == 500
    server.setsockopt(SOL_SOCKET, SO_RCVBUF, 3000)
    p.rport = 5556
    p.send("S")
    assert p.one("SA").window == 3000


def test_a_ring_in_use_grows_with_all_that_is_in_it():
    p = Peer()
    s = p.accept()
    # Half full, wrapped, and with data out of order.
    p.send("A", 1, 1, b"." * 1400)
    p.send("A", 1401, 1, b"." * 1400)
    assert len(s.recv(2800)) == 2800
    p.send("A", 2801, 1, b"abcd" * 300)
    p.send("A", 4501, 1, b"wxyz" * 200)
    p.take()
    s.setsockopt(SOL_SOCKET, SO_RCVBUF, 20000)
    assert s.getsockopt(SOL_SOCKET, SO_RCVBUF) == 20000
    assert p.take()[-1].window > 15000, "told at once"
    p.send("A", 4001, 1, b"-" * 500)
    assert s.recv(5000) == b"abcd" * 300 + b"-" * 500 + b"wxyz" * 200
    s.setsockopt(SOL_SOCKET, SO_SNDBUF, 300)
    assert s.send(b"x" * 1000) == 300
    s.setsockopt(SOL_SOCKET, SO_SNDBUF, 5000)
    assert s.send(b"y" * 5000) == 4700
    p.take()


def test_a_promised_window_is_kept_when_the_ring_is_made_smaller():
    p = Peer()
    s = p.accept()
    p.send("A", 1, 1, b"a" * 1000)
    s.setsockopt(SOL_SOCKET, SO_RCVBUF, 500)
    assert s.getsockopt(SOL_SOCKET, SO_RCVBUF) == 4096, "1000 bytes and 3096 promised"
    p.send("A", 1001, 1, b"b" * 1400)
    p.send("A", 2401, 1, b"c" * 1400)
    p.send("A", 3801, 1, b"d" * 296)
    assert s.recv(5000) == b"a" * 1000 + b"b" * 1400 + b"c" * 1400 + b"d" * 296
    p.take()
    s.send(b"q" * 3000)
    s.setsockopt(SOL_SOCKET, SO_SNDBUF, 500)
    assert s.getsockopt(SOL_SOCKET, SO_SNDBUF) == 3000
    s2 = p.stack.socket()
    s2.setsockopt(SOL_SOCKET, SO_RCVBUF, 600)
    s2.setblocking(False)
    raises(OSError, s2.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.take()
    s2.setsockopt(SOL_SOCKET, SO_RCVBUF, 300)
    p.send("SA", 0, 1)
    assert len(s2.conn.rbuf) == 600, "the SYN said so"


def behind_a_port_that_takes(window):
    p = Peer()
    p.stack.remove(p.ip)
    p.end.window = window
    p.ip = p.stack.add(p.end, "10.0.0.1/24")
    return p


def test_a_port_that_takes_less_than_the_ring_bounds_the_window():
    for takes, want in ((3000, 3000), (100000, 4096)):
        p = behind_a_port_that_takes(takes)
        s = p.stack.socket()
        s.setblocking(False)
        raises(OSError, s.connect, ("10.0.0.2", 5555))
        p.run(0)
        assert p.one("S").window == want
        p.send("SA", 0, 1)
        p.take()
        assert len(s.conn.rbuf) == want, "no memory for what can never be there"
    p = behind_a_port_that_takes(3000)
    server = listening(p.stack, (SOL_SOCKET, SO_RCVBUF, 5000))
    p.send("S")
    assert p.one("SA").window == 5000, "whoever sets it knows better"
    server.close()


def test_a_cookie_promises_no_more_than_its_port_takes():
    p = behind_a_port_that_takes(3000)
    server = listening(p.stack)
    p.stack.tcp.half_open_max = 1
    for p.rport in range(1000, 1006):
        p.send("S")
    p.take()
    p.rport = 5555
    p.send("S")
    assert p.one("SA").window == 3000 and p.stack.tcp.count["cookie_sent"] == 2
    p.send("A", 1, 1)
    assert p.stack.tcp.count["cookie"] == 1 and len(server.accept()[0].conn.rbuf) == 3000


def test_a_ring_that_grows_by_itself_grows_no_further_than_its_port_takes():
    net = Net(delay_ms=20, sndbuf=65535)
    net.b.interfaces[1].id.window = 9000
    net.b.tcp.autosize = 100000
    client, server = net.pair()
    assert client.send(bytes(60000)) == 60000
    got = 0
    while got < 60000:
        net.step()
        try:
            got += len(server.recv(60000))
        except OSError as e:
            assert e.errno == EAGAIN
    assert len(server.conn.rbuf) == 9000, "as far as that"


def test_autosize_grows_both_rings_for_a_fast_path_and_not_for_an_idle_one():
    net = Net(delay_ms=20, rcvbuf=8000, sndbuf=8000)
    net.a.tcp.autosize = net.b.tcp.autosize = 100000
    client, server = net.pair()
    assert client.conn.rcv_shift == 1, "of what the ring may become"
    total = 600000 if not MICROPYTHON else 300000
    data = bytes(range(250)) * 100
    sent = got = 0
    edge = [0]
    while got < total:
        try:
            sent += client.send(data[sent % 250:])
        except OSError as e:
            assert e.errno == EAGAIN
        net.step()
        try:
            part = server.recv(100000)
        except OSError:
            continue
        assert part == (data * 5)[got % 250:got % 250 + len(part)]
        got += len(part)
        c = server.conn
        right = c.rcv_adv + (int.from_bytes(bytes(c.head[8:12]), "big") & 0xFFFFFFFF)
        assert right >= edge[0] or edge[0] - right > 1 << 31
        edge[0] = right
    assert 16000 < len(client.conn.sbuf) <= 100000, len(client.conn.sbuf)
    assert 16000 < len(server.conn.rbuf) <= 100000, len(server.conn.rbuf)
    assert len(client.conn.rbuf) == 8000 and len(server.conn.sbuf) == 8000
    small, other = net.pair(81)
    small.setsockopt(SOL_SOCKET, SO_SNDBUF, 1000)
    for _ in range(50):
        try:
            small.send(b"x" * 5000)
        except OSError:
            pass
        net.run(20)
        try:
            other.recv(5000)
        except OSError:
            pass
    assert len(small.conn.sbuf) == 1000, "what the user has set stays"


def test_no_heap_with_quick_acknowledgements_user_timeout_and_small_rings():
    p = Peer()
    s = p.accept()
    s.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
    s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 60000)
    s.setsockopt(SOL_SOCKET, SO_RCVBUF, 6000)
    s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    s.send(b"warm")
    s.conn.stuck = 0
    p.take()
    end = p.end
    p.run, run = (lambda ms: None), p.run
    for i in range(3):
        p.send("A", 1 + 100 * i, 1, b"x" * 100)
    p.send("A", 301, 5)
    p.run = run
    slots = Slots(end.mac)
    slots.frames = end.waiting
    end.waiting = []
    p.ip.id.port = slots
    buf = bytearray(500)

    def work():
        p.stack.poll()
        assert s.recv_into(buf) == 300
        s.send(buf)
        for _ in range(20):
            p.clock.advance(200)
            p.stack.poll()

    heap_locked(work)
    assert slots.sent >= 6


def test_no_heap_for_keepalive():
    p = Peer()
    s = p.accept()
    s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    for option, value in ((TCP_KEEPIDLE, 1), (TCP_KEEPINTVL, 1), (TCP_KEEPCNT, 100)):
        s.setsockopt(IPPROTO_TCP, option, value)
    slots = Slots(p.end.mac)
    p.ip.id.port = slots

    def work():
        for _ in range(20):
            p.clock.advance(500)
            p.stack.poll()

    heap_locked(work)
    assert slots.sent == 10
