"""Path MTU through a kernel that routes: one that says so, and one that drops in silence."""
import threading

import netns
import pytest
from lab import pattern

from spinet import Stack
from spinet.ports.rawsocket import RawSocket

SIZE = 300000


@pytest.fixture
def route(namespaces):
    """Our stack behind a router whose other link takes 1,300 bytes: (stack, far end, router)."""
    far, router, ours = namespaces("far", "router", "ours")
    netns.veth(far, "f0", router, "m0")
    netns.veth(router, "m1", ours, "o0")
    far.ip("address", "add", "10.66.1.1/24", "dev", "f0")
    router.ip("address", "add", "10.66.1.254/24", "dev", "m0")
    router.ip("address", "add", "10.66.2.254/24", "dev", "m1")
    router.ip("link", "set", "m0", "mtu", "1300")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    far.ip("route", "add", "default", "via", "10.66.1.254")
    with ours.entered():
        port = RawSocket("o0")
    stack = Stack()
    stack.add(port, "10.66.2.1/24", "10.66.2.254")
    yield stack, far, router
    stack.close()


def send_to(stack, far):
    """Send SIZE bytes to the far end, which checks them; the connection's `info`."""
    listener = far.listen()
    got = []

    def serve():
        sock, _ = listener.accept()
        data = b""
        while len(data) < SIZE:
            part = sock.recv(65536)
            if not part:
                break
            data += part
        got.append(data)
        sock.sendall(b"!")
        sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    sock = stack.socket()
    sock.settimeout(20)
    sock.connect(("10.66.1.1", listener.getsockname()[1]))
    sock.sendall(pattern(SIZE))
    assert sock.recv(1) == b"!"
    info = sock.conn.info()
    sock.close()
    thread.join()
    listener.close()
    assert got[0] == pattern(SIZE)
    return info


def test_a_router_says_what_fits(route):
    stack, far, _ = route
    info = send_to(stack, far)
    assert info["pmtu"] == 1300 and info["mss"] == 1300 - 52
    assert stack.tcp.count["timeout"] == 0, "sent again at once"


def test_a_router_that_is_silent_is_a_black_hole_and_is_found(route, need):
    need("nft")
    stack, far, router = route
    router.run("nft", "add table ip mute; add chain ip mute out "
                      "{ type filter hook output priority 0; }; "
                      "add rule ip mute out icmp type destination-unreachable drop")
    info = send_to(stack, far)
    assert info["pmtu"] == 1280 and stack.tcp.count["smaller"] == 1
    assert 3 <= stack.tcp.count["timeout"] <= 5
