"""ICMP echo and UDP, both ways, in all sizes, against the kernel."""
import errno
import socket
import struct
import threading

import pytest
from lab import KERNEL_CLIENT, OURS, pattern

# Around: empty, the Ethernet minimum, a full frame, each number of fragments that changes with the
# size, the largest datagram.
SIZES = (0, 1, 2, 17, 18, 19, 56, 255, 256, 1000, 1471, 1472, 1473, 1474, 1479, 1480, 1481, 2951,
         2952, 2953, 4000, 4431, 4432, 4433, 8192, 16384, 32767, 32768, 65506, 65507)


def checksum(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo_request(size, ident=99):
    data = pattern(size)
    head = struct.pack("!BBHHH", 8, 0, 0, ident, size & 0xFFFF)
    return head[:2] + struct.pack("!H", checksum(head + data)) + head[4:] + data


def test_kernel_pings_us(lab):
    sock = lab.kernel.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP, timeout=3)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for size in SIZES:
        request = echo_request(size)
        sock.sendto(request, (OURS, 0))
        while True:
            packet = sock.recv(65536)
            if packet[20] == 0 and packet[24:28] == request[4:8]:
                break
        assert packet[28:] == request[8:] and checksum(packet[20:]) == 0, size
        assert packet[8] == 64
    sock.close()


def test_kernel_floods_us_with_pings(lab):
    sock = lab.kernel.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP, timeout=3)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for _ in range(20):
        for seq in range(16):
            sock.sendto(echo_request(seq * 4, ident=500 + seq), (OURS, 0))
        got = 0
        while got < 16:
            packet = sock.recv(2000)
            got += packet[20] == 0 and struct.unpack_from("!H", packet, 24)[0] >= 500
    sock.close()


def test_we_ping_the_kernel(lab):
    assert lab.client("ping", KERNEL_CLIENT, *SIZES) == "ok"


def test_udp_to_us(lab):
    sock = lab.kernel.socket(socket.SOCK_DGRAM, timeout=3)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.connect((OURS, 7))
    for size in SIZES:
        sock.send(pattern(size))
        assert sock.recv(65536) == pattern(size), size
    for first in range(0, 200, 20):
        for k in range(first, first + 20):
            sock.send(b"%d" % k)
        assert [sock.recv(100) for _ in range(20)] == [b"%d" % k for k in range(first, first + 20)]
    sock.close()


def test_udp_from_us(lab):
    sock = lab.kernel.socket(socket.SOCK_DGRAM)
    sock.bind((KERNEL_CLIENT, 0))

    def echo():
        try:
            while True:
                data, peer = sock.recvfrom(65536)
                sock.sendto(data, peer)
        except OSError:
            pass

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    try:
        assert lab.client("udp", KERNEL_CLIENT, sock.getsockname()[1], *SIZES) == "ok"
    finally:
        sock.close()


def test_udp_port_nobody_has(lab):
    sock = lab.kernel.socket(socket.SOCK_DGRAM, timeout=3)
    sock.connect((OURS, 4999))
    sock.send(b"anyone?")
    with pytest.raises(ConnectionRefusedError):
        sock.recv(100)
    sock.close()
    assert lab.client("udp_refused", KERNEL_CLIENT, 4999) == str(errno.ECONNREFUSED)


def test_udp_without_checksum(lab):
    sock = lab.kernel.socket(socket.SOCK_DGRAM, timeout=3)
    sock.setsockopt(socket.SOL_SOCKET, 11, 1)       # SO_NO_CHECK
    sock.connect((OURS, 7))
    sock.send(b"no checksum")
    assert sock.recv(100) == b"no checksum"
    sock.close()
