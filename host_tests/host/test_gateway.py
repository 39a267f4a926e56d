"""The gateway: what a board behind it sees of the world, and the world of the board.

The board is a second stack in this process, at the other end of a datagram link.
"""
import socket
import struct
import threading
import time

import pytest

from board.launch import free_ports
from boards import HostServer, echo, exchange, pattern
from gateway import Forward, Gateway, Outward, parse_forward
from gateway import door as door_module
from gateway import flows as flows_module
from gateway import relay as relay_module
from spinet import Stack, addr
from spinet import socket as ss
from spinet.ports.datagram import Datagram
from spinet.prim import cksum

BOARD = "10.0.2.15"
HOST = "10.0.2.2"       # the gateway's own address stands for the host
RESET = struct.pack("ii", 1, 0)


class Net:
    """A gateway in a thread and a stack of the test's own behind it."""

    def __init__(self, forwards=(), **more):
        ports = free_ports(2)
        self.gateway = Gateway(
            Datagram(local=("127.0.0.1", ports[0]), remote=("127.0.0.1", ports[1])),
            forwards=forwards, **more)
        self.stack = Stack()
        self.stack.add(Datagram(local=("127.0.0.1", ports[1]), remote=("127.0.0.1", ports[0])),
                       address=BOARD + "/24", gateway=HOST)
        self.thread = threading.Thread(target=self.gateway.run, daemon=True)
        self.thread.start()

    def close(self):
        self.gateway.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        self.gateway.close()
        self.stack.close()

    def socket(self, type=ss.SOCK_STREAM, proto=0, timeout=10):
        sock = self.stack.socket(type, proto)
        sock.settimeout(timeout)
        return sock

    def connect(self, port, host=HOST):
        sock = self.socket()
        sock.connect((host, port))
        return sock

    def ping(self, host, timeout=5):
        """One echo request and its answer; the first also fills both ARP tables."""
        sock = self.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP, timeout=timeout)
        request = bytearray(b"\x08\0\0\0\x12\x34\0\x01an even number of bytes")
        struct.pack_into("!H", request, 2, 0xFFFF - cksum(request, 0, len(request)))
        sock.sendto(request, (host, 0))
        packet = sock.recv(200)
        assert packet[20] == 0 and packet[24:] == request[4:]
        assert packet[12:16] == addr.parse(host)
        sock.close()

    def pump_until(self, done, seconds=10):
        """Run the board's stack until `done()`."""
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "it did not happen"
            self.stack.wait(min(self.stack.poll(), 20))


@pytest.fixture
def net():
    net = Net([Forward("tcp", 0, BOARD, 7), Forward("udp", 0, BOARD, 7)])
    net.ping(HOST)
    yield net
    net.close()


def read_all(sock):
    got = bytearray()
    while part := sock.recv(65536):
        got += part
    return bytes(got)


def test_outgoing_tcp_carries_every_byte_both_ways(net):
    data = pattern(300000)
    with HostServer(echo) as server:
        sock = net.connect(server.port)
        got = bytearray()
        at = 0
        sock.setblocking(False)
        while len(got) < len(data):
            wanted = 5 if at < len(data) else 1
            net.pump_until(lambda wanted=wanted: sock.ready() & wanted)
            if at < len(data):
                at += sock.write(data[at:at + 20000]) or 0
            if sock.ready() & 1:
                got += sock.recv(65536)
        assert got == data
        sock.close()


@pytest.fixture
def silence(net, monkeypatch):
    """Where the board's connections lead outside: to a server of this machine that is so full that
    it does not answer; what addresses they were for comes into the list."""
    asked = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(
            server.getsockname()):
        monkeypatch.setattr(net.gateway, "outside", lambda addr, port, protocol: (
            asked.append((bytes(addr), port)), server.getsockname())[1])
        yield asked


def test_accepted_for_any_address(net, silence):
    sock = net.socket(timeout=0)
    with pytest.raises(OSError):
        sock.connect(("192.0.2.1", 9))
    net.pump_until(lambda: net.gateway.count["tcp_out"] == 1)
    assert silence == [(b"\xc0\0\2\1", 9)]


def test_half_close_from_the_board(net):
    with HostServer(lambda sock: sock.sendall(b"%d bytes" % len(read_all(sock)))) as server:
        sock = net.connect(server.port)
        sock.sendall(bytes(50000))
        sock.shutdown(ss.SHUT_WR)
        assert read_all(sock) == b"50000 bytes"


def test_half_close_from_the_host(net):
    heard = []

    def serve(sock):
        sock.sendall(b"all I have")
        sock.shutdown(socket.SHUT_WR)
        heard.append(read_all(sock))

    with HostServer(serve) as server:
        sock = net.connect(server.port)
        assert read_all(sock) == b"all I have"
        sock.sendall(b"and I more")
        sock.close()
        net.pump_until(lambda: heard)
    assert heard == [b"and I more"]


def test_reset_from_the_host_reaches_the_board(net):
    def serve(sock):
        sock.recv(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    with HostServer(serve) as server:
        sock = net.connect(server.port)
        sock.sendall(b"hello")
        with pytest.raises(OSError) as caught:
            sock.recv(1)
        assert caught.value.errno == 104
    assert net.gateway.count["reset"] == 1


def test_reset_from_the_board_reaches_the_host(net):
    outcome = []

    def serve(sock):
        sock.sendall(b"x")
        try:
            outcome.append(sock.recv(1))
        except ConnectionResetError as error:
            outcome.append(error)

    with HostServer(serve) as server:
        sock = net.connect(server.port)
        assert sock.recv(1) == b"x"
        sock.setsockopt(ss.SOL_SOCKET, ss.SO_LINGER, RESET)
        sock.close()
        net.pump_until(lambda: outcome)
    assert isinstance(outcome[0], ConnectionResetError)


def test_refused_by_the_host_is_an_error_for_the_board(net):
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    sock = net.socket()
    with pytest.raises(OSError) as caught:
        sock.connect((HOST, port))
    assert caught.value.errno == 111, "ECONNREFUSED, as if the real host had said so"
    assert net.gateway.count["refused"] == 1
    assert net.gateway.stack.tcp.count["established"] == 0


def test_many_connections_wait_for_the_outside(net, silence, monkeypatch):
    """Hosts that do not answer hold a bounded number of SYNs and sockets, and nobody else up."""
    monkeypatch.setattr(door_module, "MOST", 4)
    for port in range(1, 9):
        sock = net.socket(timeout=0)
        with pytest.raises(OSError):
            sock.connect(("192.0.2.1", port))
    net.pump_until(lambda: net.gateway.count["tcp_out"] >= 8)
    assert len(net.gateway.door.knocking) <= 4
    monkeypatch.undo()
    with HostServer(echo) as server:
        sock = net.connect(server.port)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    assert not net.gateway.door.connected


def test_a_reader_that_stops_stops_the_sender(net):
    """End to end: what is under way is bounded by buffers, whatever the sender would like."""
    go = threading.Event()
    total = []

    def serve(sock):
        go.wait(20)
        total.append(len(read_all(sock)))

    with HostServer(serve) as server:
        server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock = net.connect(server.port)
        sock.setblocking(False)
        sent = 0
        still = time.monotonic()
        while time.monotonic() - still < 1:
            n = sock.write(bytes(65536))
            if n:
                sent += n
                still = time.monotonic()
            net.stack.wait(min(net.stack.poll(), 20))
            assert sent < 12 << 20, "nobody reads, and still it takes more"
        relay, = net.gateway.relays
        assert relay.outward.end - relay.outward.start <= relay_module.BUFFER
        go.set()
        sock.setblocking(True)
        sock.close()
        net.pump_until(lambda: total, 20)
    assert total == [sent]


def test_forwarded_tcp_reaches_the_board(net):
    listener = net.socket()
    listener.bind(("0.0.0.0", 7))
    listener.listen(4)
    answer = []
    data = pattern(100000)

    def client():
        with socket.create_connection(("127.0.0.1", net.gateway.opened[0].host_port)) as sock:
            sock.settimeout(20)
            answer.append(exchange(sock, data))

    thread = threading.Thread(target=client)
    thread.start()
    sock, peer = listener.accept()
    assert peer[0] == HOST
    while part := sock.recv(20000):
        sock.sendall(part)
    sock.close()
    net.pump_until(lambda: answer)
    thread.join()
    assert answer == [data]


def test_forwarded_tcp_to_a_closed_port_is_reset(net):
    outcome = []

    def client():
        with socket.create_connection(("127.0.0.1", net.gateway.opened[0].host_port)) as sock:
            try:
                outcome.append(sock.recv(1))
            except ConnectionResetError:
                outcome.append("reset")

    thread = threading.Thread(target=client)
    thread.start()
    net.pump_until(lambda: outcome)
    thread.join()
    assert outcome == ["reset"]


def test_outgoing_udp_and_its_answers(net):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        sock = net.socket(ss.SOCK_DGRAM)
        for size in (0, 1, 1400, 5000):         # the last one in fragments
            data = pattern(size)
            sock.sendto(data, (HOST, server.getsockname()[1]))
            net.stack.poll()
            got, peer = server.recvfrom(9000)
            assert got == data
            server.sendto(data[::-1], peer)
            back, sender = sock.recvfrom(9000)
            assert back == data[::-1]
            assert sender == (HOST, server.getsockname()[1])
    assert net.gateway.count["udp_flows"] == 1


def test_forwarded_udp_keeps_its_senders_apart(net):
    board = net.socket(ss.SOCK_DGRAM)
    board.bind(("0.0.0.0", 7))
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for i, client in enumerate(clients):
        client.settimeout(10)
        client.sendto(b"%d" % i, ("127.0.0.1", net.gateway.opened[1].host_port))
    seen = {}
    for _ in clients:
        data, peer = board.recvfrom(100)
        seen[data] = peer
        board.sendto(data * 2, peer)
    net.stack.poll()
    assert len(set(seen.values())) == 3
    for i, client in enumerate(clients):
        with client:
            assert client.recv(100) == b"%d" % i * 2


def test_udp_flows_are_bounded_and_expire(net, monkeypatch):
    monkeypatch.setattr(flows_module, "FLOWS", 8)
    sock = net.socket(ss.SOCK_DGRAM)
    for port in range(20001, 20021):
        sock.sendto(b"x", (HOST, port))
    net.pump_until(lambda: net.gateway.count["udp_flows"] == 20)
    assert len(net.gateway.udp.flows) == 8
    assert net.gateway.count["udp_evicted"] == 12
    monkeypatch.setattr(flows_module, "IDLE_S", 0.1)
    net.pump_until(lambda: not net.gateway.udp.flows)
    assert net.gateway.count["udp_expired"] == 8


def test_connections_leave_nothing_behind(net):
    with HostServer(echo) as server:
        for _ in range(20):
            sock = net.connect(server.port)
            sock.sendall(b"ping")
            assert sock.recv(4) == b"ping"
            sock.close()
        net.pump_until(lambda: not net.gateway.relays)
    kept = {key.fileobj for key in net.gateway.selector.get_map().values()}
    assert len(kept) == 4, "the link, the waker and two forwards"


def test_a_taken_port_is_an_error_and_leaves_nothing_open():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = free_ports(2)
        link = Datagram(local=("127.0.0.1", ports[0]), remote=("127.0.0.1", ports[1]))
        with pytest.raises(OSError):
            Gateway(link, forwards=[Forward("tcp", taken.getsockname()[1], BOARD, 80)])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", ports[0]))


@pytest.mark.parametrize("text, wanted", [
    ("tcp:8080:80", Forward("tcp", 8080, BOARD, 80)),
    ("udp:1:10.0.2.9:2", Forward("udp", 1, "10.0.2.9", 2)),
    ("out:tcp:1883:127.0.0.1:80", Outward("tcp", 1883, "127.0.0.1", 80)),
    ("out:udp:0:127.0.0.1:80", None), ("tcp:1:65536", None), ("out:tcp:1:2", None),
    ("tcp:80", None), ("icmp:1:2", None), ("tcp:x:80", None), ("tcp:1:10.0.2:80", None)])
def test_forwards_in_text(text, wanted):
    if wanted:
        assert parse_forward(text) == wanted
    else:
        with pytest.raises(ValueError):
            parse_forward(text)
