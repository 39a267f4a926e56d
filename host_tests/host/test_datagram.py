"""Frames in datagrams: between CPython and CPython, and CPython and MicroPython's unix port."""
import select
import socket
import time

import pytest

import mp_runner
from spinet.ports.datagram import Datagram


def free_ports(n=2):
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


@pytest.fixture(params=["udp", "unix"])
def cable(request, tmp_path):
    """A function that opens end 0 or 1 of one cable."""
    if request.param == "udp":
        ends = [("127.0.0.1", p) for p in free_ports()]
    else:
        ends = [str(tmp_path / "a"), str(tmp_path / "b")]
    opened = []

    def open_end(i):
        opened.append(Datagram(ends[i], ends[1 - i]))
        return opened[-1]

    yield open_end
    for port in opened:
        port.close()


def receive(port, timeout_s=2):
    buf = bytearray(1518)
    select.select([port], [], [], timeout_s)
    n = port.recv(buf)
    return bytes(buf[:n])


def test_frames_arrive_whole_and_in_order(cable):
    a, b = cable(0), cable(1)
    buf = bytearray(i & 255 for i in range(1518))
    for n in (1, 14, 60, 1514, 1518):
        buf[0] = n & 255
        assert a.send(buf, n) is True
    for n in (1, 14, 60, 1514, 1518):
        buf[0] = n & 255
        assert receive(b) == bytes(buf[:n])
    assert b.recv(buf) == 0
    assert b.send(buf, 60) and receive(a) == bytes(buf[:60])
    assert a.count["tx"] == 5 and b.count["rx"] == 5


def test_what_a_port_says_of_itself(cable):
    a = cable(0)
    assert a.medium == "ethernet" and a.mtu == 1500 and a.pads is False
    assert len(a.mac) == 6 and a.mac[0] & 3 == 2
    assert a.link() and a.fileno() >= 0 and a.pollable is not None


def test_other_end_comes_and_goes(cable):
    a = cable(0)
    buf = bytearray(60)
    for _ in range(5):
        assert a.send(buf, 60) is True
        assert a.recv(bytearray(1518)) == 0
    assert a.count["refused"] > 0 and a.count["errors"] == 0
    for _ in range(2):
        b = cable(1)
        assert a.send(buf, 60) is True
        assert receive(b) == bytes(60)
        b.close()
        assert a.send(buf, 60) and a.send(buf, 60)


def test_frame_too_long_for_the_buffer(cable):
    a, b = cable(0), cable(1)
    a.send(bytearray(200), 200)
    a.send(bytearray(100), 100)
    select.select([b], [], [], 2)
    assert b.recv(bytearray(100)) == 100
    assert b.count["rx_too_long"] == 1


def test_full_queue_never_raises(cable):
    a, b = cable(0), cable(1)
    buf = bytearray(1514)
    taken = sum(a.send(buf, 1514) for _ in range(5000))
    got = 0
    while b.recv(buf):
        got += 1
    assert 0 < got <= taken
    assert taken + a.count["busy"] == 5000
    assert a.send(buf, 60) and receive(b) == bytes(60)


def test_after_close(cable):
    a = cable(0)
    a.close()
    a.close()
    assert a.recv(bytearray(1518)) == 0 and not a.link() and a.fileno() == -1
    a.send(bytearray(60), 60)
    cable(0)


def test_free_port_and_address_in_use():
    a = Datagram(("127.0.0.1", 0), ("127.0.0.1", 9))
    assert a.local[1] > 0
    with pytest.raises(OSError):
        Datagram(a.local, ("127.0.0.1", 9))
    a.close()


def test_path_left_over_and_path_in_use(tmp_path):
    path = str(tmp_path / "a")
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(path)
    left.close()
    a = Datagram(path, str(tmp_path / "b"))
    with pytest.raises(OSError):
        Datagram(path, str(tmp_path / "b"))
    a.close()
    assert not (tmp_path / "a").exists()


MIRROR = """
import select, time
from spinet.ports.datagram import Datagram
port = Datagram(("127.0.0.1", %d), ("127.0.0.1", %d))
buf = bytearray(1518)
poller = select.poll()
poller.register(port.pollable, 1)
assert port.send(buf, 0) in (True, False)
until = time.ticks_add(time.ticks_ms(), 20000)
n = 0
while n != 13 and time.ticks_diff(until, time.ticks_ms()) > 0:
    poller.poll(100)
    n = port.recv(buf)
    while n and n != 13:
        port.send(buf, n)
        n = port.recv(buf)
short = bytearray(5)
assert port.recv(short) == 0
port.close()
port.close()
assert port.recv(buf) == 0
print(port.count)
"""


def test_micropython_end():
    runtime = mp_runner.RUNTIMES[0]
    if runtime.why:
        pytest.skip("%s is not here: %s" % (runtime.name, runtime.why))
    ours, theirs = free_ports()
    a = Datagram(("127.0.0.1", ours), ("127.0.0.1", theirs))
    process = runtime.popen(MIRROR % (theirs, ours))
    try:
        buf = bytearray(i & 255 for i in range(1518))
        until = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < until:
            a.send(buf, 60)
            if receive(a, 0.05):
                break
        time.sleep(0.1)
        while a.recv(bytearray(1518)):
            pass
        for n in (14, 60, 61, 1514, 1518):      # in one go: none may be glued to the next
            assert a.send(buf, n)
        for n in (14, 60, 61, 1514, 1518):
            assert receive(a) == bytes(buf[:n]), process.poll()
        a.send(buf, 13)
        out = process.communicate(timeout=10)[0].decode()
        assert process.returncode == 0, out
        assert "'errors': 0" in out
    finally:
        process.kill()
        process.wait()
        a.close()
