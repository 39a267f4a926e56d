"""The Linux kernel as a board behind the gateway, with its own ping, dig, and a way of two hops.

board -- host (the gateway on a packet socket) -- router -- far; dig asks for names.
"""
import re
import socket
import threading

import netns
import pytest

from gateway import Gateway
from spinet import Stack, diag
from spinet.ports.rawsocket import RawSocket

FAR = "10.66.1.1"
ROUTER = "10.66.2.254"


class Way:
    """The four namespaces, with a gateway running in "host"."""

    def __init__(self, namespaces):
        self.far, self.router, self.host, self.board = namespaces("far", "router", "host", "board")
        netns.veth(self.far, "f0", self.router, "m0")
        netns.veth(self.router, "m1", self.host, "h1")
        netns.veth(self.host, "h0", self.board, "b0")
        self.far.ip("address", "add", FAR + "/24", "dev", "f0")
        self.router.ip("address", "add", "10.66.1.254/24", "dev", "m0")
        self.router.ip("address", "add", ROUTER + "/24", "dev", "m1")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.far.ip("route", "add", "default", "via", "10.66.1.254")
        self.host.ip("address", "add", "10.66.2.1/24", "dev", "h1")
        self.host.ip("route", "add", "default", "via", ROUTER)
        # What comes for the boards' network by this link is the gateway's, not the kernel's.
        self.host.run("sysctl", "-qw", "net.ipv4.conf.h0.arp_ignore=8")
        started = threading.Event()
        self.thread = threading.Thread(target=self.serve, args=(started,), daemon=True)
        self.thread.start()
        assert started.wait(10)

    def serve(self, started):
        with self.host.entered():
            self.gateway = Gateway(RawSocket("h0"), servers=[])
            started.set()
            self.gateway.run()

    def address(self):
        """Give the kernel's board its address."""
        self.board.ip("address", "add", "10.0.2.15/24", "dev", "b0")
        self.board.ip("route", "add", "default", "via", "10.0.2.2")

    def close(self):
        self.gateway.stop()
        self.thread.join(5)
        self.gateway.close()


@pytest.fixture
def way(namespaces):
    way = Way(namespaces)
    yield way
    way.close()


@pytest.fixture
def stack(way):
    """Our own stack as the board."""
    with way.board.entered():
        port = RawSocket("b0")
    stack = Stack()
    stack.add(port, "10.0.2.15/24", "10.0.2.2")
    yield stack
    stack.close()


def test_the_kernels_ping(way, need):
    need("ping")
    way.address()
    for size in (56, 3000):
        text = way.board.run("ping", "-c", "3", "-i", "0.05", "-s", size, FAR)
        assert "3 received" in text and "64 bytes" in text or size != 56, text
    assert way.gateway.count["ping_in"] == 6
    text = way.board.run("sh", "-c", "ping -c 1 -t 2 -W 2 %s || true" % FAR)
    assert re.search("From %s.*Time to live exceeded" % ROUTER, text), text
    # Several: a kernel that routes sends such errors no more often than once a second.
    text = way.board.run("sh", "-c", "ping -c 3 -i 0.7 -W 2 203.0.113.1 || true")
    assert re.search("From %s.*Net Unreachable" % ROUTER, text), text


def test_our_traceroute(way, stack):
    trace = diag.traceroute(stack, FAR, timeout_ms=2000)
    assert trace.reached
    assert [{address for address, _ in hop} for hop in trace.hops] == [
        {"10.0.2.2"}, {ROUTER}, {FAR}]


def test_our_ping_and_what_a_router_says_of_it(way, stack):
    found = diag.ping(stack, FAR, count=3, interval_ms=50)
    assert found.received == 3
    found = diag.ping(stack, FAR, count=2, interval_ms=50, ttl=2)
    assert found.received == 0 and {error[1:] for error in found.errors} == {(11, 0, ROUTER)}


def test_the_kernels_tcp_through_routers(way):
    way.address()
    listener = way.far.listen(80)
    sock = way.board.connect((FAR, 80))
    peer, address = listener.accept()
    assert address[0] == "10.66.2.1"
    sock.sendall(b"hello")
    assert peer.recv(10) == b"hello"
    closed = way.board.socket()
    with pytest.raises(ConnectionRefusedError):
        closed.connect((FAR, 81))
    nowhere = way.board.socket()
    with pytest.raises(OSError) as caught:
        nowhere.connect(("203.0.113.1", 80))
    assert "unreachable" in str(caught.value).lower()
    for one in (sock, peer, closed, nowhere, listener):
        one.close()


def test_the_kernels_udp_is_refused(way):
    way.address()
    with way.board.socket(socket.SOCK_DGRAM) as sock:
        sock.connect((FAR, 4444))
        sock.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(10)


def test_dig(way, need):
    need("dig")
    way.address()
    for how in ("+notcp", "+tcp"):
        def dig(*words, how=how):
            return way.board.run("dig", "@10.0.2.2", "+tries=1", "+time=5", how, *words)

        text = dig("gateway.lan")
        assert "status: NOERROR" in text and " aa " in text.replace(";", " ") and "10.0.2.2" in text
        assert "status: NXDOMAIN" in dig("nobody.lan")
        assert dig("+short", "-x", "10.0.2.2").strip() == "gateway.lan."
        assert "ANSWER: 0" in dig("gateway.lan", "AAAA")
        assert dig("+short", "localhost").strip() == "10.0.2.2", "the host's, by its resolver"


def test_ping_without_root(way, need):
    """By the kernel's ICMP sockets for everybody, where it has them on."""
    need("ping")
    way.address()
    way.host.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
    text = way.board.run("ping", "-c", "3", "-i", "0.05", FAR)
    assert "3 received" in text
    flow, = way.gateway.pings.flows.values()
    assert not flow.raw
    text = way.board.run("sh", "-c", "ping -c 1 -t 2 -W 2 %s || true" % FAR)
    assert re.search("From %s.*Time to live exceeded" % ROUTER, text), text
