"""Pings through the gateway, and the errors of the host as a board gets them."""
import errno
import socket
import struct
import sys
import time

import pytest

from gateway import core, errors, ping
from gateway import door as door_module
from spinet import addr
from spinet import socket as ss
from spinet.prim import cksum
from test_gateway import BOARD, HOST, Net

ELSEWHERE = "198.51.100.7"      # for documentation; here it stands for 127.0.0.7


@pytest.fixture
def net(monkeypatch):
    before = core.Gateway.outside

    def outside(self, address, port=0, protocol="icmp"):
        where, port = before(self, address, port, protocol)
        return "127.0.0.7" if where == ELSEWHERE else where, port

    monkeypatch.setattr(core.Gateway, "outside", outside)
    net = Net()
    net.ping(HOST)
    yield net
    net.close()


def need_icmp():
    sock, _ = ping.icmp_socket()
    if sock is None:
        pytest.skip("needs an ICMP socket: ping_group_range, or root")
    sock.close()


def request(data=b"data", ident=0x1234, number=1):
    message = bytearray(struct.pack("!BBHHH", 8, 0, 0, ident, number) + data)
    struct.pack_into("!H", message, 2, 0xFFFF - cksum(message, 0, len(message)))
    return message


def icmp(net, message, ttl=64, host=ELSEWHERE, kinds=(0, 3, 11)):
    """Send an ICMP message; the first one of these kinds that comes back: (sender, message)."""
    sock = net.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP, timeout=5)
    sock.setsockopt(ss.IPPROTO_IP, ss.IP_TTL, ttl)
    sock.sendto(message, (host, 0))
    while True:
        packet = sock.recv(70000)
        assert cksum(packet, 20, len(packet)) == 0xFFFF
        if packet[20] in kinds:
            sock.close()
            return addr.fmt(packet, 12), packet[20:]


@pytest.mark.parametrize("size", [0, 1, 56, 1472, 1473, 9000])
def test_a_ping_goes_out_and_comes_back(net, size):
    need_icmp()
    message = request(bytes(i & 255 for i in range(size)))
    sender, reply = icmp(net, message)
    assert sender == ELSEWHERE and reply[0] == 0 and reply[4:] == message[4:]
    assert net.gateway.count["ping_out"] == net.gateway.count["ping_in"] == 1


def test_pings_of_several_programs_are_kept_apart(net):
    need_icmp()
    for ident in range(1, 9):
        for number in (1, 2):
            message = request(b"%d" % ident, ident, number)
            assert icmp(net, message)[1][4:] == message[4:]
    assert len(net.gateway.pings.flows) == 8


def test_pings_are_bounded_and_expire(net, monkeypatch):
    need_icmp()
    monkeypatch.setattr(ping, "FLOWS", 3)
    for ident in range(6):
        icmp(net, request(ident=ident))
    assert len(net.gateway.pings.flows) == 3
    monkeypatch.setattr(ping, "IDLE_S", 0)
    net.pump_until(lambda: not net.gateway.pings.flows)


def test_without_a_socket_the_board_is_told(net, monkeypatch):
    monkeypatch.setattr(ping, "icmp_socket", lambda: (None, False))
    sender, reply = icmp(net, request())
    assert sender == HOST and tuple(reply[:2]) == (3, 13), "administratively prohibited"
    assert reply[8 + 16:8 + 20] == addr.parse(ELSEWHERE)
    assert net.gateway.count["ping_refused"] == 1


def test_root_without_ping_group_uses_a_raw_socket(net, monkeypatch):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except OSError:
        pytest.skip("needs raw sockets (root)")
    real = socket.socket

    def sock(family=-1, type=-1, proto=-1, **more):
        if (type, proto) == (socket.SOCK_DGRAM, socket.IPPROTO_ICMP):
            raise PermissionError(errno.EACCES, "no")
        return real(family, type, proto, **more)

    monkeypatch.setattr(socket, "socket", sock)
    _, reply = icmp(net, request())
    assert reply[0] == 0 and reply[4:6] == b"\x12\x34"
    assert next(iter(net.gateway.pings.flows.values())).raw


def test_a_broken_ping_goes_nowhere(net):
    message = request()
    message[2] ^= 1
    sock = net.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP, timeout=0.3)
    sock.sendto(message, (ELSEWHERE, 0))
    sock.sendto(b"\x08\0\0", (ELSEWHERE, 0))
    with pytest.raises(OSError):
        sock.recv(100)
    assert net.gateway.count["ping_out"] == 0


def test_the_gateway_is_the_first_hop(net):
    sender, reply = icmp(net, request(), ttl=1)
    assert sender == HOST and tuple(reply[:2]) == (11, 0)
    ear = net.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP, timeout=5)
    sock = net.socket(ss.SOCK_DGRAM)
    sock.setsockopt(ss.IPPROTO_IP, ss.IP_TTL, 1)
    sock.sendto(b"x", (ELSEWHERE, 33434))
    packet = ear.recv(200)
    assert addr.fmt(packet, 12) == HOST and packet[20] == 11
    assert packet[48:52] == struct.pack("!HH", sock.getsockname()[1], 33434)
    assert net.gateway.count["udp_flows"] == 0


def test_udp_to_a_closed_port_is_refused(net):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.7", 0))
        port = probe.getsockname()[1]
    ear = net.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP, timeout=5)
    sock = net.socket(ss.SOCK_DGRAM)
    sock.connect((ELSEWHERE, port))
    sock.send(b"x")
    with pytest.raises(OSError) as caught:
        sock.recv(10)
    assert caught.value.errno == errno.ECONNREFUSED
    packet = ear.recv(200)
    assert addr.fmt(packet, 12) == ELSEWHERE and tuple(packet[20:22]) == (3, 3)


@pytest.mark.parametrize("code, wanted", [
    (errno.ENETUNREACH, 0), (errno.EHOSTUNREACH, 1), (errno.ETIMEDOUT, 1), (errno.EACCES, 13)])
def test_what_the_host_says_of_tcp(net, monkeypatch, code, wanted):
    ear = net.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP, timeout=5)
    monkeypatch.setattr(net.gateway, "host_socket", lambda kind: Failing(code))
    sock = net.socket(timeout=0)
    with pytest.raises(OSError):
        sock.connect((ELSEWHERE, 99))
    net.pump_until(lambda: ear.ready() & 1)
    packet = ear.recv(200)
    assert tuple(packet[20:22]) == (3, wanted)


class Failing:
    """A socket that cannot connect."""

    def __init__(self, code):
        self.code = code

    def connect_ex(self, _):
        return self.code

    def close(self):
        """Nothing is open."""


def test_too_many_files_end_nothing(net, monkeypatch):
    def none(kind):
        raise OSError(errno.EMFILE, "too many files")

    with monkeypatch.context() as patch:
        patch.setattr(net.gateway, "host_socket", none)
        patch.setattr(ping, "icmp_socket", lambda: none(0))
        net.socket(ss.SOCK_DGRAM).sendto(b"x", (ELSEWHERE, 9))
        with pytest.raises(OSError):
            net.socket(timeout=0).connect((ELSEWHERE, 9))
        net.socket(ss.SOCK_RAW, ss.IPPROTO_ICMP).sendto(request(), (ELSEWHERE, 0))
        net.pump_until(lambda: net.gateway.count["udp_dropped"] and net.gateway.count["refused"]
                       and net.gateway.count["ping_dropped"])
    net.ping(HOST)
    assert not net.gateway.door.knocking and door_module.MOST


def test_a_board_that_was_switched_off_leaves_no_connection(net, monkeypatch):
    from gateway import relay

    monkeypatch.setattr(relay, "KEEPALIVE", (100, 100, 2))
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = net.connect(server.getsockname()[1])
        outer, _ = server.accept()
        assert sock
        end = time.monotonic() + 10
        while net.gateway.relays:       # the board's stack is polled no more
            assert time.monotonic() < end
            time.sleep(0.05)
        outer.settimeout(5)
        with outer, pytest.raises(ConnectionResetError):
            outer.recv(1)


def test_what_is_quoted_is_a_sound_packet():
    packet = errors.quote(17, addr.parse(BOARD), 5000, addr.parse(ELSEWHERE), 53)
    assert cksum(packet, 0, 20) == 0xFFFF and len(packet) == packet[3]
    assert sys.platform != "linux" or errors._RECVERR
