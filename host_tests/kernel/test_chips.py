"""Each driver on its modelled chip, in the full stack, against the kernel: transfers both ways."""
import socket
import threading

import lab as lab_module
import pytest
from lab import KERNEL_CLIENT, OURS, Server, pattern, read_all, sha

MB = 1 << 20
SETUPS = [(chip, runtime) for chip in ("w5500", "enc28j60") for runtime in (
    "cpython", "micropython")]


@pytest.fixture(scope="module", params=SETUPS, ids="-".join)
def lab(request):
    made = lab_module.Lab(*request.param)
    yield made
    made.close()


def test_curl_downloads_and_uploads(lab, need, tmp_path):
    need("curl")
    curl = ("curl", "-sS", "--fail", "--max-time", "60")
    for size in (1, 1460, 2 * MB):
        lab.kernel.run(*curl, "-o", tmp_path / "got", "http://%s/%d" % (OURS, size))
        assert sha((tmp_path / "got").read_bytes()) == sha(pattern(size))
        (tmp_path / "file").write_bytes(pattern(size))
        out = lab.kernel.run(*curl, "-T", tmp_path / "file", "http://%s/" % OURS)
        assert out == sha(pattern(size))


def test_echo_both_ways_at_once(lab):
    sock = lab.kernel.connect((OURS, 7))
    data = pattern(MB)
    thread = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    thread.start()
    assert read_all(sock) == data
    thread.join()
    sock.close()


def test_our_client_downloads_and_uploads(lab):
    data = pattern(MB)

    def serve(sock):
        sock.sendall(data)

    with Server(lab, serve) as server:
        assert lab.client("get", KERNEL_CLIENT, server.port) == "%d %s" % (len(data), sha(data))

    def sink(sock):
        sock.sendall(sha(read_all(sock)).encode())

    with Server(lab, sink) as server:
        answer = sha(data).encode()
        assert lab.client("put", KERNEL_CLIENT, server.port, len(data)) == "64 " + sha(answer)


def test_20_connections_at_once(lab):
    socks = [lab.kernel.connect((OURS, 7)) for _ in range(20)]
    for i, sock in enumerate(socks):
        sock.sendall(b"connection %d" % i)
    for i, sock in enumerate(socks):
        assert sock.recv(100) == b"connection %d" % i
        sock.close()


def test_the_kernel_pings_and_sends_datagrams(lab, need):
    need("ping")
    out = lab.kernel.run("ping", "-c", "20", "-i", "0.02", "-s", "1400", OURS)
    assert " 0% packet loss" in out
    sock = lab.kernel.socket(socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((OURS, 7))
    for size in (0, 1, 1472, 4000):
        sock.send(pattern(size))
        assert sock.recv(10000) == pattern(size)
    sock.close()
