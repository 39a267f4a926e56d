"""Sockets as their users see them: two hosts on a cable."""
from kit import raises
from net import Net

from spinet import socket
from spinet.errors import (
    EAGAIN, EBADF, ECONNREFUSED, EINPROGRESS, EINVAL, EISCONN, EALREADY, ENOTCONN, EPIPE, ETIMEDOUT,
)

RD, WR, ERR, HUP, NVAL = 1, 4, 8, 16, 32


def flags(s):
    return s.ioctl(3, RD | WR | ERR | HUP)


def test_connect_blocks_until_it_is_open():
    net = Net()
    server = net.b.socket()
    server.bind(("10.0.0.2", 80))
    server.listen(1)
    s = net.a.socket()
    s.connect(("10.0.0.2", 80))
    accepted, peer = server.accept()
    assert peer == s.getsockname()
    assert accepted.getsockname() == ("10.0.0.2", 80) == s.getpeername()


def test_non_blocking_connect():
    net = Net()
    server = net.b.socket()
    server.bind(("", 80))
    server.listen(1)
    s = net.a.socket()
    s.setblocking(False)
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == EINPROGRESS
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == EALREADY
    assert not flags(s) & WR
    net.run(10)
    assert flags(s) & WR
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == EISCONN


def test_connect_times_out_and_leaves_nothing():
    net = Net(lambda frame, to_b: [])
    s = net.a.socket()
    s.settimeout(0.5)
    assert raises(OSError, s.connect, ("10.0.0.2", 80)).errno == ETIMEDOUT
    assert not net.a.tcp.table


def test_connect_refused():
    net = Net()
    s = net.a.socket()
    assert s.connect_ex(("10.0.0.2", 80)) == ECONNREFUSED


def test_echo_with_every_way_to_read_and_write():
    net = Net()
    client, server = net.pair()
    client.settimeout(1)
    server.settimeout(1)
    client.sendall(b"first line\nsecond line\nrest")
    assert server.readline() == b"first line\n"
    assert server.recv(7) == b"second "
    buf = bytearray(5)
    assert server.readinto(buf) == 5 and buf == b"line\n"
    assert server.recv(2, socket.MSG_PEEK) == b"re"
    assert server.recv_into(buf, 2) == 2 and buf[:2] == b"re"
    client.close()
    assert server.read() == b"st"
    assert server.read() == b"" and server.recv(1) == b"" and server.readline() == b""


def test_read_n_waits_for_all_of_it():
    net = Net()
    client, server = net.pair()
    server.settimeout(5)
    client.send(b"abc")
    net.run(10)
    client.send(b"defg")
    assert server.read(5) == b"abcde"


def test_would_block():
    net = Net()
    client, server = net.pair()
    assert raises(OSError, server.recv, 10).errno == EAGAIN
    assert server.read(10) is None
    assert server.readinto(bytearray(4)) is None
    assert server.readline() is None
    server.settimeout(None)
    assert raises(OSError, server.recv, 10, socket.MSG_DONTWAIT).errno == EAGAIN
    listener = net.b.socket()
    listener.bind(("", 81))
    listener.listen(1)
    listener.setblocking(False)
    assert raises(OSError, listener.accept).errno == EAGAIN


def test_time_out_of_recv_and_accept_loses_nothing():
    net = Net()
    client, server = net.pair()
    server.settimeout(0.1)
    began = net.elapsed
    assert raises(OSError, server.recv, 10).errno == ETIMEDOUT
    assert 100 <= net.elapsed - began <= 110
    server.settimeout(0.0001)
    assert raises(OSError, server.recv, 10).errno == ETIMEDOUT, "not as if it did not wait"
    server.settimeout(0.1)
    client.send(b"later")
    assert server.recv(10) == b"later"


def test_sendall_blocks_until_the_peer_reads():
    net = Net(rcvbuf=1000, sndbuf=1000)
    client, server = net.pair()
    client.settimeout(0.5)
    assert raises(OSError, client.sendall, b"x" * 5000).errno == ETIMEDOUT
    got = 0
    while True:
        part = server.read(4096)
        if not part:
            break
        got += len(part)
        net.run(500)
    assert got == 2000


def test_poll_flags():
    net = Net()
    s = net.a.socket()
    assert flags(s) == WR | HUP
    listener = net.b.socket()
    listener.bind(("", 80))
    listener.listen(1)
    assert flags(listener) == 0
    s.connect(("10.0.0.2", 80))
    net.run(5)
    assert flags(listener) == RD
    accepted, _ = listener.accept()
    assert flags(accepted) == WR
    assert accepted.ioctl(3, RD) == 0, "only what was asked for"
    s.send(b"x")
    net.run(5)
    assert flags(accepted) == RD | WR
    s.close()
    net.run(5)
    accepted.recv(1)
    assert flags(accepted) == RD | WR
    accepted.close()
    assert accepted.ioctl(3, RD) == NVAL
    assert accepted.ioctl(10, 0) == -1 and accepted.ioctl(99, 0) == -22


def test_poll_flags_after_a_reset():
    net = Net()
    client, server = net.pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    net.run(5)
    assert flags(server) == RD | WR | HUP | ERR


def test_closed_socket_says_so():
    net = Net()
    client, server = net.pair()
    client.close()
    client.close()
    assert raises(OSError, client.send, b"x").errno == EBADF
    assert raises(OSError, client.recv, 1).errno == EBADF


def test_unconnected_socket_says_so():
    net = Net()
    s = net.a.socket()
    assert raises(OSError, s.recv, 1).errno == ENOTCONN
    assert raises(OSError, s.getpeername).errno == ENOTCONN
    assert raises(OSError, s.accept).errno == EINVAL


def test_write_after_shutdown_is_a_broken_pipe():
    net = Net()
    client, server = net.pair()
    client.shutdown(socket.SHUT_WR)
    assert raises(OSError, client.send, b"x").errno == EPIPE
    net.run(5)
    assert server.recv(1) == b""
    server.send(b"still here")
    net.run(5)
    assert client.recv(20) == b"still here"


def test_partial_writes():
    net = Net(sndbuf=100)
    client, server = net.pair()
    assert client.write(b"0123456789", 4) == 4
    assert client.write(b"0123456789", 6, 3) == 3
    net.run(50)
    assert server.recv(100) == b"0123678"


def test_options():
    net = Net()
    client, server = net.pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 9)
    assert client.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 9
    assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) == 1448
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 4096
    raises(OSError, client.setsockopt, 77, 77, 1)


def test_keepalive_finds_a_dead_peer():
    cut = [False]
    net = Net(lambda frame, to_b: [] if cut[0] else [frame])
    client, server = net.pair()
    for option, value in ((4, 10), (5, 1), (6, 3)):
        client.setsockopt(socket.IPPROTO_TCP, option, value)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    net.run(60000)
    assert flags(client) == WR, "a living peer answers"
    assert net.a.tcp.count["keepalive"] >= 5
    cut[0] = True
    net.run(20000)
    assert raises(OSError, client.recv, 1).errno == ETIMEDOUT


def test_addresses():
    net = Net()
    s = net.a.socket()
    raises(ValueError, s.connect, ("10.0.0.2", 70000))
    assert raises(OSError, s.connect, ("no.such.name", 80)).args[0] == -2
    assert socket.getaddrinfo("10.1.2.3", 80)[0][-1] == ("10.1.2.3", 80)
    assert raises(OSError, s.bind, ("10.9.9.9", 80)).errno in (99, 49)


def test_two_stacks_in_one_process_are_strangers():
    net = Net()
    one, two = net.a.socket(), net.b.socket()
    one.bind(("", 80))
    two.bind(("", 80))
    one.listen(1)
    two.listen(1)
    assert list(net.a.tcp.listeners) == list(net.b.tcp.listeners) == [80]


def test_text_is_sent_as_utf_8():
    net = Net()
    client, server = net.pair()
    client.write("text")
    net.run(5)
    assert server.recv(10) == b"text"


def test_a_socket_closed_while_a_call_waits_ends_the_call():
    net = Net()
    client, server = net.pair()
    server.settimeout(None)
    steps = []
    real = net.step

    def step(limit):
        steps.append(1)
        if len(steps) == 3:
            server.close()
        real(limit)

    net.step = step
    assert raises(OSError, server.recv, 1).errno == EBADF
