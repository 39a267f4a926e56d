"""The transfers of test_tcp.py over a bad cable (tools/impair.py): slower, never wrong."""
import socket
import time

import pytest
from lab import KERNEL_CLIENT, OURS, Lab, Server, pattern, read_all, sha

MB = 1 << 20
CABLES = {
    "loss-1": ["--loss", 1],
    "loss-5": ["--loss", 5],
    "duplicates": ["--duplicate", 5],
    "reordered": ["--reorder", 5, "--reorder-by", 2],
    "corrupted": ["--corrupt", 2],
    "delay-20": ["--delay", 20, "--jitter", 5],
    "narrow": ["--rate", 20000, "--queue", 20],
    "all-of-it": ["--loss", 1, "--duplicate", 1, "--reorder", 2, "--corrupt", 1, "--delay", 2],
}
# How much is carried each way: what takes a second or two.
SIZE = {"loss-5": MB // 2, "loss-1": 2 * MB, "delay-20": 2 * MB, "corrupted": MB, "all-of-it": MB}
# What the cable must have done.
DOES = {"loss-1": ["lost"], "loss-5": ["lost"], "duplicates": ["duplicated"],
        "reordered": ["reordered"], "corrupted": ["corrupted"], "delay-20": [], "narrow": [],
        "all-of-it": ["lost", "duplicated", "reordered", "corrupted"]}
RUNTIMES = ("cpython", "micropython")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[(c, r) for c in CABLES for r in RUNTIMES], ids="-".join)
def lab(request):
    cable, runtime = request.param
    made = Lab("veth", runtime, CABLES[cable], buffer=32768 if runtime == "micropython" else 0)
    made.size = SIZE.get(cable, 4 * MB)
    # ARP first: it has no retransmission that would be quick.
    sock = made.kernel.connect((OURS, 7), timeout=20)
    sock.close()
    yield made
    found = made.end_of_cable(0)
    made.close()
    for count in found.values():
        for name in DOES[cable]:
            assert count["frames"] < 500 or count[name] > 0, (name, found)


def test_curl_down_and_up(lab, need, tmp_path):
    need("curl")
    data = pattern(lab.size)
    began = time.monotonic()
    lab.kernel.run("curl", "-sS", "--fail", "--max-time", "60", "-o", tmp_path / "got",
                   "http://%s/%d" % (OURS, lab.size))
    assert sha((tmp_path / "got").read_bytes()) == sha(data)
    middle = time.monotonic()
    (tmp_path / "file").write_bytes(data)
    out = lab.kernel.run("curl", "-sS", "--fail", "--max-time", "60", "-T", tmp_path / "file",
                         "http://%s/" % OURS)
    assert out == sha(data)
    print("%s: sends %.2f, receives %.2f MB/s" % (
        lab.impairments, lab.size / MB / (middle - began),
        lab.size / MB / (time.monotonic() - middle)))


def test_our_client_up(lab):
    def sink(sock):
        got = read_all(sock)
        sock.sendall(sha(got).encode())

    data = pattern(lab.size // 2)
    with Server(lab, sink) as server:
        answer = sha(data).encode()
        assert lab.client("put", KERNEL_CLIENT, server.port, len(data)) == "64 " + sha(answer)


def test_connections(lab):
    for i in range(10):
        sock = lab.kernel.connect((OURS, 20), timeout=30)
        data = pattern(i * 300)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).decode() == sha(data)
        sock.close()


def test_udp_is_never_wrong(lab):
    """Datagrams may be lost; what comes is what was sent."""
    sock = lab.kernel.socket(socket.SOCK_DGRAM, timeout=0.5)
    sock.connect((OURS, 7))
    came = 0
    for i in range(40):
        data = pattern(i * 100)
        sock.send(data)
        try:
            got = sock.recv(65536)
            while got != data and len(got) <= len(data):
                # A late or doubled one of before.
                assert got == pattern(len(got))
                got = sock.recv(65536)
            assert got == data
            came += 1
        except TimeoutError:
            pass
    sock.close()
    assert came > 20
