"""The bad cable: what it does is what it was told to do, and the same each time."""
import json
import signal
import socket
import subprocess
import sys
import threading

import pytest

from impair import Impair, open_port
from mp_runner import ROOT
from spinet.ports.datagram import Datagram
from spinet.ports.wire import pair


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Bench:
    """Two hosts' ports with the cable between them, in virtual time."""

    def __init__(self, **options):
        self.clock = Clock()
        self.a, inner_a = pair(slots=4000)
        self.b, inner_b = pair(slots=4000)
        self.cable = Impair(inner_a, inner_b, clock=self.clock, **options)

    def frame(self, k, n=60, kind=0x0800):
        return bytearray(bytes(12) + kind.to_bytes(2, "big") + k.to_bytes(2, "big") + bytes(n - 16))

    def feed(self, count, n=60, kind=0x0800):
        for k in range(count):
            self.a.send(self.frame(k, n, kind), n)
        while self.cable.poll() == 0:
            pass

    def got(self):
        """Numbers of the frames that have come to `b`."""
        return [int.from_bytes(f[14:16], "big") for f in self.frames(self.b)]

    def frames(self, port):
        buf = bytearray(1518)
        found = []
        while n := port.recv(buf):
            found.append(bytes(buf[:n]))
        return found

    def wait(self, ms):
        self.clock.now += ms / 1000
        return self.cable.poll()


def test_a_good_cable():
    bench = Bench()
    bench.feed(500)
    assert bench.got() == list(range(500))
    bench.b.send(bench.frame(7), 60)
    assert bench.cable.poll() is None
    assert len(bench.frames(bench.a)) == 1 and bench.got() == []
    assert bench.cable.counts()["a to b"]["delivered"] == 500


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_loss(share):
    bench = Bench(loss=share)
    bench.feed(3000)
    got = bench.got()
    assert got == sorted(set(got))
    assert abs(3000 - len(got) - 3000 * share) < 5 * (3000 * share) ** 0.5
    assert bench.cable.counts()["a to b"]["lost"] == 3000 - len(got)


def test_seed_decides():
    def run(seed, **options):
        bench = Bench(loss=0.1, seed=seed, **options)
        bench.feed(300)
        bench.wait(10)
        return sorted(set(bench.got()))

    assert run(1) == run(1) != run(2)
    assert run(1) == run(1, duplicate=0.3, corrupt=0.0, reorder=0.3), "one share leaves others be"


def test_the_two_directions_differ():
    bench = Bench(loss=0.5)
    bench.feed(100)
    for k in range(100):
        bench.b.send(bench.frame(k), 60)
    bench.cable.poll()
    bench.cable.poll()
    assert bench.got() != [int.from_bytes(f[14:16], "big") for f in bench.frames(bench.a)]


def test_duplicates():
    bench = Bench(duplicate=0.1)
    bench.feed(1000)
    got = bench.got()
    assert set(got) == set(range(1000)) and got == sorted(got)
    assert 60 < len(got) - 1000 < 150


def test_reordering():
    bench = Bench(reorder=0.1, reorder_ms=3)
    bench.feed(1000)
    early = bench.got()
    assert early == sorted(early) and 850 < len(early) < 940
    assert bench.wait(2.9) is not None and bench.got() == []
    bench.wait(0.2)
    late = bench.got()
    assert sorted(early + late) == list(range(1000))


def test_corruption_is_one_bit_from_the_ip_header_on():
    bench = Bench(corrupt=0.2)
    clean = bytes(bench.frame(0, 100))
    for _ in range(1000):
        bench.a.send(bytearray(clean), 100)
    while bench.cable.poll() == 0:
        pass
    damaged = [f for f in bench.frames(bench.b) if f != clean]
    assert 140 < len(damaged) < 260
    places = set()
    for f in damaged:
        difference = int.from_bytes(f, "big") ^ int.from_bytes(clean, "big")
        assert difference & (difference - 1) == 0 and f[:14] == clean[:14]
        places.add(difference.bit_length())
    assert len(places) > 100
    bench.feed(500, kind=0x0806)
    assert bench.got() == list(range(500)), "ARP is left alone"


def test_delay_and_jitter():
    bench = Bench(delay_ms=10)
    bench.feed(3)
    assert bench.got() == []
    assert bench.wait(9.9) == pytest.approx(0.0001, abs=1e-6)
    assert bench.got() == []
    bench.wait(0.2)
    assert bench.got() == [0, 1, 2]
    bench = Bench(delay_ms=10, jitter_ms=20)
    bench.feed(100)
    bench.wait(15)
    first = bench.got()
    bench.wait(20)
    assert first + bench.got() == list(range(100)), "late but in order"


def test_rate_and_queue():
    bench = Bench(rate_kbps=1000, queue=10)     # 1,000 bytes take 8 ms
    bench.feed(15, n=1000)
    assert bench.got() == []
    bench.wait(8.01)
    assert bench.got() == [0]
    bench.wait(16)
    assert bench.got() == [1, 2]
    bench.wait(1000)
    assert bench.got() == list(range(3, 10))
    assert bench.cable.counts()["a to b"]["queue_full"] == 5


def test_a_busy_port_is_tried_again():
    bench = Bench()
    sink = bench.cable.directions[0].sink
    send, sink.send = sink.send, lambda buf, n: False
    bench.a.send(bench.frame(1), 60)
    bench.a.send(bench.frame(2), 60)
    assert bench.cable.poll() == 0
    sink.send = send
    assert bench.cable.poll() is None
    assert bench.got() == [1, 2]
    assert bench.cable.counts()["a to b"]["busy"] == 1


def free_ports(n):
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def end(local, remote):
    return Datagram(("127.0.0.1", local), ("127.0.0.1", remote))


def exchange(a, b, frame):
    """What of 100 frames sent by `a` comes to `b`."""
    import select
    buf = bytearray(1518)
    got = 0
    for _ in range(100):
        a.send(frame, len(frame))
    while select.select([b], [], [], 0.3)[0]:
        while b.recv(buf):
            got += 1
    return got


def test_run_and_stop():
    p = free_ports(4)
    cable = Impair(end(p[1], p[0]), end(p[2], p[3]), loss=0.2, delay_ms=1.5, duplicate=0.01)
    a, b = end(p[0], p[1]), end(p[3], p[2])
    thread = threading.Thread(target=cable.run)
    thread.start()
    got = exchange(a, b, bytearray(100))
    cable.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert got == cable.counts()["a to b"]["delivered"] and 60 < got < 95


def test_command_line():
    p = free_ports(4)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tools/impair.py"), "udp:%d:%d" % (p[1], p[0]),
         "udp:%d:%d" % (p[2], p[3]), "--loss", "20", "--delay", "1"],
        stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        got = exchange(end(p[0], p[1]), end(p[3], p[2]), bytearray(100))
        process.send_signal(signal.SIGTERM)
        said = json.loads(process.communicate(timeout=5)[0])
        assert said["a to b"]["delivered"] == got == 100 - said["a to b"]["lost"]
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_ports_that_are_none():
    for text in ("x", "udp:1", "ham:eth0"):
        with pytest.raises(ValueError, match=text):
            open_port(text)
    done = subprocess.run([sys.executable, str(ROOT / "tools/impair.py"), "raw:nosuch0", "udp:1"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("impair: ")
