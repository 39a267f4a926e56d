"""SLIP and tunnels: packets over byte streams and over what a program has."""
from kit import Clock, Random

from spinet import Stack
from spinet.ports.slip import Slip
from spinet.ports.tunnel import Tunnel


class Line:
    """One end of a serial line that takes `room` bytes at a time."""

    def __init__(self, room=1000):
        self.room = room
        self.other = None
        self.waiting = bytearray()

    def write(self, data):
        n = min(len(data), self.room - len(self.other.waiting))
        if n <= 0:
            return None
        self.other.waiting.extend(data[:n])
        return n

    def readinto(self, buf):
        n = min(len(buf), len(self.waiting))
        buf[:n] = self.waiting[:n]
        self.waiting = self.waiting[n:]
        return n or None


def line(room=1000):
    a, b = Line(room), Line(room)
    a.other, b.other = b, a
    return a, b


def received(raw, mtu=1006):
    """The packets that a receiver of these bytes takes, and its counters."""
    a, b = line(100000)
    port = Slip(b, mtu)
    a.write(raw)
    buf = bytearray(mtu)
    packets = []
    while True:
        n = port.recv(buf)
        if not n:
            return packets, port.count
        packets.append(bytes(buf[:n]))


def test_framing_is_that_of_rfc_1055():
    a, b = line()
    port = Slip(a)
    assert port.send(bytearray(b"\x45\xc0\xdb\x00"), 4)
    assert bytes(b.waiting) == b"\xc0\x45\xdb\xdc\xdb\xdd\x00\xc0"
    assert received(bytes(b.waiting))[0] == [b"\x45\xc0\xdb\x00"]


def test_noise_long_packets_and_bad_escapes_are_dropped_once_and_counted():
    packets, count = received(b"\xc0\xc0" + b"ab\xc0" + bytes(1007) + b"\xc0" + b"cd\xc0")
    assert packets == [b"ab", b"cd"] and count["rx_too_long"] == 1 and count["rx"] == 2
    packets, count = received(b"a\xdbxyz\xdb\xdc\xc0b\xdb\xc0cd\xc0")
    assert packets == [b"cd"] and count["rx_bad_escape"] == 2 and count["rx_too_long"] == 0
    packets, count = received(bytes(1006) + b"\xc0")
    assert packets == [bytes(1006)]


def test_too_long_to_send_is_counted():
    port = Slip(line()[0], 100)
    assert port.send(bytearray(101), 101) and port.count["tx_too_long"] == 1


def test_a_stream_that_takes_little_is_busy_until_all_is_out():
    a, b = line(room=5)
    port, far = Slip(a, 64), Slip(b, 64)
    assert port.send(bytearray(b"0123456789"), 10)
    assert not port.send(bytearray(b"x"), 1) and port.count["busy"] == 1
    buf = bytearray(64)
    for _ in range(10):
        n = far.recv(buf)
        port.recv(bytearray(64))
        if n:
            break
    assert bytes(buf[:n]) == b"0123456789"
    assert port.send(bytearray(b"x"), 1)


def stacks(near, far):
    """Two stacks whose time passes when one of them waits."""
    clock = Clock()
    a, b = Stack(clock, Random(1)), Stack(clock, Random(2))

    def wait(ms):
        a.poll()
        b.poll()
        clock.advance(1)

    a.wait = b.wait = wait
    a.add(near, "10.1.0.1/24")
    b.add(far, "10.1.0.2/24")
    return a, b


def transfer(a, b):
    server = b.socket()
    server.bind(("", 7))
    server.listen(1)
    client = a.socket()
    client.settimeout(60)
    client.connect(("10.1.0.2", 7))
    conn, peer = server.accept()
    assert peer[0] == "10.1.0.1"
    conn.setblocking(False)
    data = bytes([i & 255 for i in range(20000)])
    got = b""
    sent = 0
    client.setblocking(False)
    for _ in range(100000):
        if sent < len(data):
            sent += client.write(data[sent:sent + 1000]) or 0
        got += conn.read(4096) or b""
        if len(got) == len(data):
            break
        a.wait(1)
    assert got == data


def test_tcp_over_a_serial_line():
    near, far = line(room=300)
    transfer(*stacks(Slip(near), Slip(far)))


def test_tcp_through_a_tunnel():
    ends = []

    def carry(to):
        return lambda packet: ends[to].put(packet)

    ends.extend((Tunnel(carry(1), mtu=1400), Tunnel(carry(0), mtu=1400)))
    a, b = stacks(*ends)
    transfer(a, b)
    assert ends[0].count["tx"] == ends[1].count["rx"] > 10


def test_a_tunnel_bounds_what_waits():
    called = []
    tunnel = Tunnel(len, mtu=100, slots=2)
    tunnel.on_frame = lambda: called.append(1)
    assert tunnel.put(b"one") and tunnel.put(b"two") and not tunnel.put(b"three")
    assert not tunnel.put(bytes(101)) and len(called) == 2
    assert tunnel.count["rx_full"] == 1 and tunnel.count["rx_too_long"] == 1
    buf = bytearray(100)
    assert tunnel.recv(buf) == 3 and bytes(buf[:3]) == b"one" and tunnel.put(b"four")
    assert tunnel.recv(buf) == 3 and tunnel.recv(buf) == 4 and tunnel.recv(buf) == 0
    tunnel.close()
    assert tunnel.send(bytearray(10), 10) and not tunnel.link()


def test_a_busy_tunnel_loses_nothing():
    tunnel = Tunnel(lambda packet: False)
    assert not tunnel.send(bytearray(20), 20) and tunnel.count["busy"] == 1
