"""TCP against the kernel's, both ways: bulk, many connections, ends of all kinds, refusals."""
import errno
import select
import socket
import struct
import threading
import time

import pytest
from lab import KERNEL_CLIENT, OURS, Server, pattern, read_all, sha

MB = 1 << 20
RESET = struct.pack("ii", 1, 0)


def curl(lab, *args):
    return lab.kernel.run("curl", "-sS", "--fail", "--max-time", "60", *args)


def test_curl_downloads_10_mb(lab, need, tmp_path):
    need("curl")
    curl(lab, "-o", tmp_path / "got", "http://%s/%d" % (OURS, 10 * MB))
    assert sha((tmp_path / "got").read_bytes()) == sha(pattern(10 * MB))


def test_curl_uploads_10_mb(lab, need, tmp_path):
    need("curl")
    (tmp_path / "file").write_bytes(pattern(10 * MB))
    out = curl(lab, "-T", tmp_path / "file", "http://%s/" % OURS)
    assert out == sha(pattern(10 * MB))


@pytest.mark.parametrize("size", [0, 1, 1459, 1460, 1461, 65536, 300001])
def test_curl_small_files(lab, need, tmp_path, size):
    need("curl")
    curl(lab, "-o", tmp_path / "got", "http://%s/%d" % (OURS, size))
    data = (tmp_path / "got").read_bytes() if size else b""
    assert data == pattern(size)
    (tmp_path / "file").write_bytes(pattern(size))
    assert curl(lab, "-T", tmp_path / "file", "http://%s/" % OURS) == sha(pattern(size))


def test_our_client_downloads_and_uploads(lab):
    data = pattern(3 * MB)

    def serve(sock):
        sock.sendall(data)

    with Server(lab, serve) as server:
        assert lab.client("get", KERNEL_CLIENT, server.port) == "%d %s" % (len(data), sha(data))

    def sink(sock):
        got = read_all(sock)
        sock.sendall(sha(got).encode())

    with Server(lab, sink) as server:
        answer = sha(data).encode()
        assert lab.client("put", KERNEL_CLIENT, server.port, len(data)) == "64 " + sha(answer)


def test_echo_in_pieces_of_all_sizes(lab):
    sock = lab.kernel.connect((OURS, 7))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for size in (1, 2, 3, 100, 535, 536, 537, 1459, 1460, 1461, 2920, 2921, 5000):
        sock.sendall(pattern(size))
        got = b""
        while len(got) < size:
            got += sock.recv(size - len(got))
        assert got == pattern(size)
    sock.close()


def test_echo_of_a_megabyte_at_once(lab):
    sock = lab.kernel.connect((OURS, 7))
    data = pattern(MB)
    thread = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    thread.start()
    assert read_all(sock) == data
    thread.join()
    sock.close()


def test_200_connections_one_after_the_other(lab):
    for i in range(200):
        sock = lab.kernel.connect((OURS, 7))
        data = b"connection %d" % i
        sock.sendall(data)
        assert sock.recv(100) == data
        sock.close()


def test_50_connections_at_once(lab):
    socks = [lab.kernel.connect((OURS, 7)) for _ in range(50)]
    for round in range(3):
        for i, sock in enumerate(socks):
            sock.sendall(b"%d of %d" % (round, i))
        for i, sock in enumerate(socks):
            assert sock.recv(100) == b"%d of %d" % (round, i)
    for sock in socks:
        sock.close()


def test_50_connections_opened_in_one_go(lab):
    socks = []
    for _ in range(50):
        sock = lab.kernel.socket()
        sock.setblocking(False)
        assert sock.connect_ex((OURS, 7)) == errno.EINPROGRESS
        socks.append(sock)
    for i, sock in enumerate(socks):
        sock.settimeout(10)
        assert connected(sock)
        sock.sendall(b"%d" % i)
    for i, sock in enumerate(socks):
        assert sock.recv(100) == b"%d" % i
        sock.close()


def connected(sock):
    return select.select([], [sock], [], 10)[1] and not sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ERROR)


def test_our_client_connects_often_and_many_times_at_once(lab):
    def echo(sock):
        while data := sock.recv(1000):
            sock.sendall(data)

    with Server(lab, echo) as server:
        assert lab.client("echoes", KERNEL_CLIENT, server.port, 200) == "ok"
        assert lab.client("at_once", KERNEL_CLIENT, server.port, 50) == "ok"
        assert not server.errors


def test_half_close_by_the_kernel(lab):
    sock = lab.kernel.connect((OURS, 20))
    sock.sendall(pattern(200000))
    time.sleep(0.05)
    sock.sendall(pattern(1000))
    sock.shutdown(socket.SHUT_WR)
    assert read_all(sock).decode() == sha(pattern(200000) + pattern(1000))
    sock.close()


def test_half_close_by_us(lab):
    sock = lab.kernel.connect((OURS, 22))
    assert read_all(sock) == b"hello"
    for part in (1, 70000, 30000):
        sock.sendall(pattern(part))
        time.sleep(0.03)
    sock.close()
    assert lab.line() == "half-close " + sha(pattern(1) + pattern(70000) + pattern(30000))


def test_half_close_at_once(lab):
    """The FIN comes with the data, or even with the handshake's last ACK."""
    for size in (0, 1, 1460, 5000):
        sock = lab.kernel.connect((OURS, 20))
        if size:
            sock.send(pattern(size))
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).decode() == sha(pattern(size))
        sock.close()


def test_reset_by_the_kernel(lab):
    sock = lab.kernel.connect((OURS, 7))
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
    assert lab.line() == "session Echo %d" % errno.ECONNRESET

    def reset(sock):
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    with Server(lab, reset) as server:
        result = lab.client("see_reset", KERNEL_CLIENT, server.port)
        assert result == "%d b''" % errno.ECONNRESET


def test_reset_by_us(lab):
    sock = lab.kernel.connect((OURS, 21))
    sock.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        sock.recv(100)
    sock.close()
    seen = []

    def expect(sock):
        assert sock.recv(1) == b"x"
        sock.sendall(b"y")
        try:
            seen.append(sock.recv(1))
        except ConnectionResetError:
            seen.append("reset")

    with Server(lab, expect) as server:
        assert lab.client("abort", KERNEL_CLIENT, server.port) == "ok"
        assert seen == ["reset"]


def test_data_for_a_connection_that_is_gone(lab):
    """Our server closes with data unread: a reset, not silence."""
    sock = lab.kernel.connect((OURS, 19))
    got = sock.recv(100000)
    assert got == pattern(len(got))
    sock.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        while True:
            if not sock.recv(65536):
                sock.send(b"x")
                time.sleep(0.01)
    sock.close()


def test_source_stops_when_nobody_reads_and_goes_on(lab):
    sock = lab.kernel.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect((OURS, 19))
    time.sleep(0.6)     # the window is closed
    got = 0
    want = pattern(2 * MB)
    while got < MB:
        data = sock.recv(4096)
        assert data == want[got : got + len(data)]
        got += len(data)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
    assert lab.line().startswith("session Source")


def test_refused(lab):
    sock = lab.kernel.socket()
    with pytest.raises(ConnectionRefusedError):
        sock.connect((OURS, 4999))
    sock.close()
    error, ms = lab.client("connect", KERNEL_CLIENT, 4999).split()
    # The first ARP request, or the first SYN, may be lost on an interface that has just come up.
    assert int(error) == errno.ECONNREFUSED and int(ms) < 2500


def test_connect_to_nobody_on_the_link(lab):
    error, ms = lab.client("connect", "10.55.1.77", 80, "2" if lab.kind == "tun" else "20").split()
    if lab.kind == "tun":       # nobody to say so
        assert int(error) == errno.ETIMEDOUT and 1900 < int(ms) < 4000
    else:
        assert int(error) == errno.EHOSTUNREACH and 1500 < int(ms) < 8000


def test_connect_to_a_host_that_is_silent(lab):
    """The gateway drops it: our time-out ends it."""
    error, ms = lab.client("connect", "198.51.100.1", 80, "2").split()
    if int(error) != errno.ENETUNREACH and int(error) != errno.EHOSTUNREACH:
        assert int(error) == errno.ETIMEDOUT and 1900 < int(ms) < 4000


def test_throughput(lab, record_property):
    """Not a benchmark: it says so if something is off by an order of magnitude."""
    total = (8 if lab.runtime == "cpython" else 4) * MB
    sock = lab.kernel.connect((OURS, 9))
    began = time.monotonic()
    sock.sendall(bytes(total))
    sock.shutdown(socket.SHUT_WR)
    assert sock.recv(1) == b""
    down = total / MB / (time.monotonic() - began)
    sock.close()
    sock = lab.kernel.connect((OURS, 19))
    began = time.monotonic()
    got = 0
    while got < total:
        got += len(sock.recv(65536))
    up = got / MB / (time.monotonic() - began)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
    lab.line()
    print("%s %s: receives %.1f MB/s, sends %.1f MB/s" % (lab.kind, lab.runtime, down, up))
    record_property("receive_mb_s", down)
    record_property("send_mb_s", up)
    assert down > 1 and up > 1


def test_nothing_is_left(lab):
    """After all of this the server still serves, and no kernel socket waits for us."""
    time.sleep(0.2)
    out = lab.kernel.run("ss", "-Htn", "state", "established", "state", "close-wait",
                         "state", "fin-wait-1", "state", "last-ack", "dst", OURS)
    assert out == ""
    sock = lab.kernel.connect((OURS, 7))
    sock.sendall(b"still there?")
    assert sock.recv(100) == b"still there?"
    sock.close()
