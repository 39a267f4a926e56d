"""The same port again: while the kernel is in TIME-WAIT, and after a reboot of ours."""
import time

import netns
import pytest

from spinet import Stack
from spinet.ports.rawsocket import RawSocket

KERNEL, OURS = "10.67.0.1", "10.67.0.2"


class Link:
    """The kernel's end of a cable, and a stack of ours, which `boot` makes anew."""

    def __init__(self, kernel, ours):
        netns.veth(kernel, "k0", ours, "p0", b_mac="02:00:00:00:67:02")
        kernel.ip("address", "add", KERNEL + "/24", "dev", "k0")
        self.ours = ours
        self.stack = None
        self.boot()

    def boot(self):
        """Come up; what was there before is forgotten without a word."""
        if self.stack:
            for ip in self.stack.interfaces[1:]:
                ip.id.port.close()
        with self.ours.entered():
            port = RawSocket("p0")
        self.stack = Stack()
        self.stack.add(port, OURS + "/24")

    def connect(self, port):
        """A socket from our port 50000, and the seconds that it took."""
        sock = self.stack.socket()
        sock.bind(("", 50000))
        sock.settimeout(10)
        began = time.monotonic()
        sock.connect((KERNEL, port))
        return sock, time.monotonic() - began


@pytest.fixture
def link(namespaces):
    kernel, ours = namespaces("kernel", "ours")
    made = Link(kernel, ours)
    made.kernel = kernel
    yield made
    made.stack.close()


@pytest.mark.parametrize("timestamps", [True, False])
def test_while_the_kernel_is_in_time_wait(link, timestamps):
    link.stack.tcp.timestamps = timestamps
    listener = link.kernel.listen()
    port = listener.getsockname()[1]
    for _ in range(4):
        sock, took = link.connect(port)
        assert took < 0.5, "a SYN was lost on a connection that had ended"
        far, _ = listener.accept()
        sock.sendall(b"ping")
        assert far.recv(10) == b"ping"
        far.close()         # the kernel closes first, and is the one that waits
        assert sock.recv(10) == b""
        sock.close()
        for _ in range(20):
            link.stack.idle(10)
    listener.close()


@pytest.mark.parametrize("timestamps", [True, False])
def test_after_a_reboot(link, timestamps):
    link.stack.tcp.timestamps = timestamps
    listener = link.kernel.listen()
    port = listener.getsockname()[1]
    link.connect(port)
    old, _ = listener.accept()
    link.boot()
    link.stack.tcp.timestamps = timestamps
    sock, took = link.connect(port)
    assert took < 1.5, "one SYN more"
    with pytest.raises(ConnectionResetError):
        old.recv(1)
    new, _ = listener.accept()
    sock.sendall(b"back")
    assert new.recv(10) == b"back"
    for each in (old, new, listener):
        each.close()
