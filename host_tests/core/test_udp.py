"""UDP: datagrams, queues, ports, permissions, errors."""
from kit import heap_locked, raises
from lone import ALL_MAC, PEER_MAC, Lone, arp, ether, ipv4, udp
from net import Net, checksum

from spinet import socket
from spinet.errors import (
    EACCES, EADDRINUSE, EAGAIN, ECONNREFUSED, EDESTADDRREQ, EHOSTUNREACH, EINVAL,
    EMSGSIZE, ENETUNREACH, ETIMEDOUT,
)


def known(**more):
    """A stack that knows the MAC address of 10.0.0.2."""
    n = Lone(**more)
    n.give(ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, kind=0x0806))
    n.take()
    return n


def bound(n, port=7, **more):
    s = n.stack.socket(socket.SOCK_DGRAM)
    s.bind(("", port))
    s.setblocking(False)
    return s


def summed(d, src=b"\x0a\0\0\2", dst=b"\x0a\0\0\1"):
    """The datagram `d` with its checksum."""
    k = checksum(src + dst + b"\0\x11" + d[4:6] + d) or 0xFFFF
    return d[:6] + bytes((k >> 8, k & 255)) + d[8:]


def test_datagrams_keep_their_boundaries_and_peers():
    n = known()
    s = bound(n)
    for i in range(5):
        n.give(ether(ipv4("10.0.0.1", 17, udp(1000 + i, 7, b"d" * i), src="10.0.0.%d" % (20 + i))))
    for i in range(5):
        assert s.recvfrom(100) == (b"d" * i, ("10.0.0.%d" % (20 + i), 1000 + i))
    assert raises(OSError, s.recv, 10).errno == EAGAIN


def test_what_does_not_fit_is_cut_off_and_gone():
    n = known()
    s = bound(n)
    n.give(ether(ipv4("10.0.0.1", 17, udp(1, 7, b"long datagram"))))
    n.give(ether(ipv4("10.0.0.1", 17, udp(1, 7, b"next"))))
    assert s.recv(4, socket.MSG_PEEK) == b"long"
    assert s.recv(4) == b"long"
    assert s.recv(100) == b"next"


def test_checksum_is_verified_zero_means_none():
    n = known()
    s = bound(n)
    good = summed(udp(1, 7, b"odd"))
    n.give(ether(ipv4("10.0.0.1", 17, good)))
    assert s.recv(10) == b"odd"
    n.give(ether(ipv4("10.0.0.1", 17, good[:-1] + b"X")))
    assert n.stack.udp.count["bad_checksum"] == 1
    n.give(ether(ipv4("10.0.0.1", 17, udp(1, 7, b"none"))))
    assert s.recv(10) == b"none"
    n.give(ether(ipv4("10.0.0.1", 17, good, options=b"\1\1\1\0")))
    assert s.recv(10) == b"odd", "with IP options before it"


def test_sent_checksum_is_right_and_never_zero():
    n = known()
    s = bound(n)
    for i in range(300):
        s.sendto(bytes((i >> 8, i & 255)), ("10.0.0.2", 9))
    seen = set()
    for f in n.take():
        d = f[34:34 + (f[38] << 8 | f[39])]
        assert checksum(f[26:34] + b"\0\x11" + d[4:6] + d) == 0
        seen.add(d[6:8])
    assert b"\0\0" not in seen
    # The payload whose sum is all ones: its checksum would be zero.
    s.sendto(b"\0\0", ("10.0.0.2", 9))
    k = n.take()[0][40:42]
    s.sendto(bytes(k), ("10.0.0.2", 9))
    assert n.take()[0][40:42] == b"\xff\xff"


def test_lengths_that_lie():
    n = known()
    s = bound(n)
    d = udp(1, 7, b"data")
    n.give(ether(ipv4("10.0.0.1", 17, d[:4] + b"\0\x0a" + d[6:])))
    assert s.recv(10) == b"da", "what is behind the datagram is no part of it"
    n.give(ether(ipv4("10.0.0.1", 17, d[:4] + b"\0\x20" + d[6:])))
    n.give(ether(ipv4("10.0.0.1", 17, d[:4] + b"\0\7" + d[6:])))
    n.give(ether(ipv4("10.0.0.1", 17, d[:7])))
    assert n.stack.udp.count["bad_length"] == 2 and n.stack.udp.count["runt"] == 1
    assert raises(OSError, s.recv, 10).errno == EAGAIN


def test_queue_is_bounded_by_bytes_and_the_newest_is_dropped():
    n = known()
    n.stack.udp.rcvbuf = 1000
    s = bound(n)
    for i in range(20):
        n.give(ether(ipv4("10.0.0.1", 17, udp(i + 1, 7, bytes((i,)) * 100))))
    assert n.stack.udp.count["queue_full"] == 12
    for i in range(8):
        assert s.recv(200) == bytes((i,)) * 100
    for i in range(30):
        n.give(ether(ipv4("10.0.0.1", 17, udp(1, 7, bytes((i,)) * (i * 7)))))
        assert s.recv(300) == bytes((i,)) * (i * 7), "the ring wraps anywhere"


def test_connected_socket_takes_from_its_peer_only():
    n = known()
    s = bound(n)
    s.connect(("10.0.0.2", 5))
    n.give(ether(ipv4("10.0.0.1", 17, udp(6, 7, b"other port"))))
    n.give(ether(ipv4("10.0.0.1", 17, udp(5, 7, b"other host"), src="10.0.0.3")))
    n.give(ether(ipv4("10.0.0.1", 17, udp(5, 7, b"peer"))))
    assert s.recv(20) == b"peer"
    assert raises(OSError, s.recv, 10).errno == EAGAIN
    assert s.getpeername() == ("10.0.0.2", 5)


def test_best_match_wins():
    n = known()
    a, b = bound(n), n.stack.socket(socket.SOCK_DGRAM)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    b.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    b.bind(("10.0.0.1", 7))
    n.give(ether(ipv4("10.0.0.1", 17, udp(5, 7, b"to the address"))))
    assert b.recv(20) == b"to the address"
    a.connect(("10.0.0.2", 5))
    n.give(ether(ipv4("10.0.0.1", 17, udp(5, 7, b"to the connected"))))
    assert a.recv(20) == b"to the connected"


def test_broadcast_reaches_all_who_share_the_port():
    n = known()
    socks = []
    for _ in range(3):
        s = n.stack.socket(socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", 7))
        socks.append(s)
    n.give(ether(ipv4("10.0.0.255", 17, udp(5, 7, b"all")), dst=ALL_MAC))
    assert [s.recv(5) for s in socks] == [b"all"] * 3


def test_port_in_use():
    n = known()
    bound(n)
    s = n.stack.socket(socket.SOCK_DGRAM)
    assert raises(OSError, s.bind, ("", 7)).errno == EADDRINUSE
    assert raises(OSError, s.bind, ("10.0.0.1", 7)).errno == EADDRINUSE
    raises(OSError, s.bind, ("10.9.9.9", 7))


def test_broadcast_needs_permission():
    n = known()
    s = n.stack.socket(socket.SOCK_DGRAM)
    assert raises(OSError, s.sendto, b"x", ("10.0.0.255", 9)).errno == EACCES
    assert raises(OSError, s.sendto, b"x", ("255.255.255.255", 9)).errno == EACCES
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(b"x", ("10.0.0.255", 9))
    s.sendto(b"x", ("255.255.255.255", 9))
    assert [f[:6] for f in n.take()] == [ALL_MAC] * 2


def test_closed_port_is_answered_with_port_unreachable():
    n = known()
    n.give(ether(ipv4("10.0.0.1", 17, udp(5, 99, b"anybody?"))))
    f, = n.take()
    assert f[23] == 1 and f[34:36] == b"\3\3" and f[42:70] == ipv4(
        "10.0.0.1", 17, udp(5, 99, b"anybody?"))[:28]
    n.give(ether(ipv4("10.0.0.255", 17, udp(5, 99, b"anybody?")), dst=ALL_MAC))
    assert not n.take(), "never about a broadcast"


def test_port_unreachable_reaches_the_connected_socket_only():
    net = Net()
    s = net.a.socket(socket.SOCK_DGRAM)
    s.sendto(b"x", ("10.0.0.2", 99))
    net.run(20)
    s.setblocking(False)
    assert raises(OSError, s.recv, 10).errno == EAGAIN
    s.connect(("10.0.0.2", 99))
    s.send(b"x")
    net.run(20)
    assert raises(OSError, s.recv, 10).errno == ECONNREFUSED
    assert raises(OSError, s.recv, 10).errno == EAGAIN, "reported once"


def test_errors_of_sending():
    n = known()
    s = n.stack.socket(socket.SOCK_DGRAM)
    assert raises(OSError, s.sendto, b"x", ("8.8.8.8", 9)).errno == ENETUNREACH
    assert raises(OSError, s.send, b"x").errno == EDESTADDRREQ
    assert raises(OSError, s.sendto, bytes(65508), ("10.0.0.2", 9)).errno == EMSGSIZE
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MTU_DISCOVER, 2)
    assert raises(OSError, s.sendto, bytes(1473), ("10.0.0.2", 9)).errno == EMSGSIZE
    s.sendto(bytes(1472), ("10.0.0.2", 9))
    assert EHOSTUNREACH


def test_ephemeral_ports_are_spread_and_never_in_use():
    n = known()
    seen = set()
    for _ in range(60):
        s = n.stack.socket(socket.SOCK_DGRAM)
        s.sendto(b"x", ("10.0.0.2", 9))
        seen.add(s.getsockname()[1])
    assert len(seen) == 60 and all(49152 <= p <= 65535 for p in seen)


def test_large_datagrams_over_a_cable():
    net = Net()
    net.b.udp.rcvbuf = 70000
    s = net.a.socket(socket.SOCK_DGRAM)
    r = net.b.socket(socket.SOCK_DGRAM)
    r.bind(("", 7))
    s.sendto(b"", ("10.0.0.2", 7))      # resolves
    net.run(20)
    assert r.recv(1) == b""
    for ip in (net.a, net.b):
        ip.interfaces[1].fragments().bytes_max = 70000
    for size in (1472, 1473, 4000, 20000, 65507):
        data = bytes(range(256)) * (size // 256 + 1)
        data = data[:size]
        s.sendto(data, ("10.0.0.2", 7))
        net.run(200)
        got = r.recv(70000)
        assert got == data, (size, len(got))


def test_catch_all_endpoint_knows_what_was_asked_for():
    n = known()
    n.ip.transparent = True
    any = n.stack.udp.bind_any()
    bound(n)
    n.give(ether(ipv4("93.184.216.34", 17, udp(5, 53, b"query"))))
    buf = bytearray(100)
    assert any.recv_into(buf, 0, 100) == 5
    assert any.local == b"\x5d\xb8\xd8\x22" and any.local_port == 53
    assert any.peer == b"\x0a\0\0\2" and any.peer_port == 5
    any.send_as(any.local, 53, any.peer, 5, b"answer", 0, 6)
    f, = n.take()
    assert f[26:30] == b"\x5d\xb8\xd8\x22" and f[34:38] == b"\0\x35\0\5" and f[42:48] == b"answer"


def test_options_out_of_range():
    net = Net()
    s = net.a.socket(socket.SOCK_DGRAM)
    for option, bad in ((socket.IP_TTL, (0, 256, -1)), (socket.IP_TOS, (-1, 256))):
        for value in bad:
            error = raises(OSError, s.setsockopt, socket.IPPROTO_IP, option, value)
            assert error.errno == EINVAL, (option, value)
        s.setsockopt(socket.IPPROTO_IP, option, 255)
        assert s.getsockopt(socket.IPPROTO_IP, option) == 255
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0)


def test_a_call_that_must_not_wait_does_not():
    net = Net()
    s = net.a.socket(socket.SOCK_DGRAM)
    s.sendto(b"x", ("10.0.0.2", 9))
    net.run(10)
    net.ends[0].send = lambda buf, n: False
    began = net.elapsed
    error = raises(OSError, s.sendto, b"x", socket.MSG_DONTWAIT, ("10.0.0.2", 9))
    assert error.errno == EAGAIN and net.elapsed == began
    s.settimeout(0.1)
    assert raises(OSError, s.sendto, b"x", 0, ("10.0.0.2", 9)).errno == ETIMEDOUT


def test_closed_socket_leaves_its_port():
    n = known()
    s = bound(n)
    s.close()
    s.close()
    assert not n.stack.udp.ports
    bound(n)


class Sink:
    pads = True
    count = {}

    def __init__(self):
        self.sent = 0

    def send(self, buf, n):
        self.sent += 1
        return True


def test_receiving_and_sending_take_nothing_from_the_heap():
    n = known()
    s = bound(n)
    s.connect(("10.0.0.2", 5))
    frame = bytearray(ether(ipv4("10.0.0.1", 17, summed(udp(5, 7, b"h" * 500)))))
    end = len(frame)
    link = n.link
    sink = link.port = Sink()
    buf = bytearray(600)
    data = b"s" * 700

    # Calling a closure of more than five variables would allocate.
    def work(link=link, frame=frame, end=end, s=s, buf=buf, data=data):
        for _ in range(10):
            link.input(frame, 0, end)
            assert s.recv_into(buf) == 500
            assert s.send(data) == 700

    work()      # once to fill what is filled on first use
    heap_locked(work)
    assert sink.sent == 20
