"""802.1Q: our stack in one VLAN of a TAP, the kernel with interfaces in two where it can."""
import select
import socket
import threading
import time

import pytest

from spinet import Stack
from spinet.ports.tap import Tap


@pytest.fixture
def tagged(namespaces):
    """(kernel's namespace, our stack in VLAN 5), with the stack polled by a thread."""
    kernel, = namespaces("kernel")
    with kernel.entered():
        port = Tap("tap0")
    kernel.ip("link", "set", "tap0", "up")
    stack = Stack()
    stack.add(port, "10.55.0.2/24", vlan=5)
    stopped = threading.Event()
    server = stack.socket()
    server.bind(("", 7))
    server.listen(1)
    server.setblocking(False)
    accepted = []
    buf = bytearray(65536)

    def run():
        while not stopped.is_set():
            stack.idle(10)
            if server.listener.queue:
                accepted.append(server.accept()[0])
                accepted[-1].setblocking(False)
            for sock in accepted:
                n = sock.readinto(buf)
                if n:
                    sock.write(bytes(buf[:n]))

    thread = threading.Thread(target=run)
    thread.start()
    yield kernel, stack
    stopped.set()
    thread.join()
    stack.close()


def test_ping_and_tcp_in_a_vlan(tagged):
    kernel, _ = tagged
    try:
        for vlan in (5, 6):
            name = "tap0.%d" % vlan
            kernel.ip("link", "add", "link", "tap0", "name", name, "type", "vlan", "id", vlan)
            kernel.ip("link", "set", name, "up")
            kernel.ip("address", "add", "10.5%d.0.1/24" % vlan, "dev", name)
    except RuntimeError as e:
        pytest.skip("this kernel has no VLAN interfaces: %s" % e)
    kernel.run("ping", "-c", 2, "-i", 0.05, "-W", 2, "-s", 3000, "10.55.0.2")
    sock = kernel.connect(("10.55.0.2", 7))
    data = bytes(range(256)) * 20
    for _ in range(20):
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            got += sock.recv(65536)
        assert got == data
    sock.close()


def test_other_vlans_and_untagged_frames_are_not_ours(tagged):
    kernel, stack = tagged
    sent = socket.htons(0x0806)
    with kernel.entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, sent)
        raw.bind(("tap0", 0x0806))
    ask = (b"\xff" * 6 + b"\2\0\0\0\0\1" + b"%s\x08\6\0\1\x08\0\6\4\0\1\2\0\0\0\0\1"
           b"\x0a\x37\0\1\0\0\0\0\0\0\x0a\x37\0\2")
    raw.setblocking(False)
    for tag, answered in ((b"", False), (b"\x81\0\0\6", False), (b"\x81\0\0\0", False),
                          (b"\x81\0\x60\5", True)):
        raw.send(ask % tag)
        deadline = time.monotonic() + (2 if answered else 0.15)
        answers = 0
        while time.monotonic() < deadline and not answers:
            if select.select([raw], [], [], 0.05)[0]:
                frame, about = raw.recvfrom(2000)
                answers += about[2] != socket.PACKET_OUTGOING and frame[20:22] == b"\0\2"
        assert bool(answers) is answered, tag
    raw.close()
