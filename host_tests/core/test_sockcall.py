"""Callbacks of sockets: option 20."""
from kit import raises
from net import Net

from spinet import socket
from spinet.errors import EINVAL

CALL = 20


def test_a_listener_calls_for_each_connection():
    net = Net()
    got = []
    server = net.b.socket()
    assert raises(OSError, server.setsockopt, socket.SOL_SOCKET, CALL, got.append).errno == EINVAL
    server.bind(("", 80))
    server.listen(3)
    server.setsockopt(socket.SOL_SOCKET, CALL, lambda s: got.append(s.accept()[1]))
    clients = [net.a.socket() for _ in range(3)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(("10.0.0.2", 80))
    net.run(100)
    assert sorted(got) == sorted([client.getsockname() for client in clients])
    server.setsockopt(socket.SOL_SOCKET, CALL, None)
    late = net.a.socket()
    late.connect(("10.0.0.2", 80))
    net.run(100)
    assert len(got) == 3


def test_a_connection_calls_until_all_is_read_and_at_the_end():
    net = Net()
    client, server = net.pair()
    got = []
    client.send(b"before")
    net.run(100)
    server.setsockopt(socket.SOL_SOCKET, CALL, lambda s: got.append(s.recv(4)))
    net.run(1)
    assert got == [b"befo", b"re"]
    client.send(b"abcdefghij")
    net.run(100)
    assert got[2:] == [b"abcd", b"efgh", b"ij"]
    client.close()
    net.run(100)
    assert got[5] == b""
    server.close()
    net.run(100000)


def test_a_callback_may_wait():
    net = Net()
    client, server = net.pair()
    other, peer = net.pair(81)
    server.settimeout(5)
    got = []

    def call(s):
        got.append(s.read(6))       # the rest has not come yet
        peer.send(b"answer")

    server.setsockopt(socket.SOL_SOCKET, CALL, call)
    client.send(b"abc")
    sent = []
    before = net.b.wait

    def wait(ms):
        if not sent:
            sent.append(client.send(b"def"))
        before(ms)

    net.b.wait = wait
    net.run(300)
    assert got == [b"abcdef"] and sent == [3]
    net.run(100)
    assert other.read(6) == b"answer"


def test_a_callback_that_reads_nothing_or_raises_does_no_harm():
    net = Net()
    client, server = net.pair()
    calls = []

    def call(s):
        calls.append(1)
        raise ValueError("on purpose")

    server.setsockopt(socket.SOL_SOCKET, CALL, call)
    client.send(b"abc")
    net.run(50)
    assert len(calls) == 1
    client.send(b"d")
    net.run(1000)
    assert 2 <= len(calls) <= 3 and server.recv(10) == b"abcd"


def test_datagrams():
    net = Net()
    s = net.b.socket(socket.SOCK_DGRAM)
    s.bind(("", 9))
    got = []
    s.setsockopt(socket.SOL_SOCKET, CALL, lambda s: got.append(s.recvfrom(10)[0]))
    c = net.a.socket(socket.SOCK_DGRAM)
    c.sendto(b"one", ("10.0.0.2", 9))
    c.sendto(b"two", ("10.0.0.2", 9))
    net.run(100)
    assert got == [b"one", b"two"]
    s.close()
    c.sendto(b"three", ("10.0.0.2", 9))
    net.run(100)
    assert len(got) == 2
