"""The recording port: the bytes of the file, and that nothing else changes."""
import io
import struct

from spinet.ports.pcap import Pcap


class Port:
    """A port with one frame waiting and room for some."""

    def __init__(self, medium="ethernet"):
        self.medium = medium
        self.mac = b"\x02\x00\x00\x00\x00\x01" if medium == "ethernet" else None
        self.mtu = 1400
        self.pads = True
        self.pollable = None
        self.count = {"rx": 0}
        self.inbox = []
        self.sent = []
        self.room = 1
        self.closed = 0

    def recv(self, buf):
        if not self.inbox:
            return 0
        frame = self.inbox.pop(0)
        buf[: len(frame)] = frame
        return len(frame)

    def send(self, buf, n):
        if len(self.sent) == self.room:
            return False
        self.sent.append(bytes(buf[:n]))
        return True

    def link(self):
        return self.room > 0

    def fileno(self):
        return 42

    def multicast(self, mac):
        return mac

    def close(self):
        self.closed += 1


class Gather(Port):
    def sendv(self, pieces):
        if len(self.sent) == self.room:
            return False
        self.sent.append(b"".join([bytes(p) for p in pieces]))
        return True


class FullDisk:
    def __init__(self, room):
        self.room = room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28)
        return len(data)


def parse(data):
    """(link type, [(seconds, nanoseconds, frame)]) of a recording."""
    magic, major, minor, zone, sigfigs, snaplen, linktype = struct.unpack("<IHHiIII", data[:24])
    assert (magic, major, minor, zone, sigfigs, snaplen) == (0xA1B23C4D, 2, 4, 0, 0, 65535)
    at = 24
    records = []
    while at < len(data):
        second, ns, kept, length = struct.unpack("<IIII", data[at : at + 16])
        assert kept == length
        records.append((second, ns, data[at + 16 : at + 16 + kept]))
        at += 16 + kept
    assert at == len(data)
    return linktype, records


def test_both_directions_are_recorded_in_order():
    port = Port()
    file = io.BytesIO()
    now = [0x3FFFFFFF - 10]
    tap = Pcap(port, file, clock=lambda: now[0])
    buf = bytearray(2000)
    assert tap.recv(buf) == 0
    port.inbox.append(b"received")
    assert tap.recv(buf) == 8 and buf[:8] == b"received"
    now[0] = 1500 - 11
    buf[:4] = b"sent"
    assert tap.send(buf, 4) is True
    assert tap.send(buf, 4) is False, "a busy port stays one"
    assert port.sent == [b"sent"]
    assert parse(file.getvalue()) == (1, [(0, 0, b"received"), (1, 500000000, b"sent")])
    assert tap.recorded == 2


def test_bare_ip_has_its_own_link_type():
    file = io.BytesIO()
    Pcap(Port("ip"), file)
    assert parse(file.getvalue()) == (101, [])


def test_nanoseconds_and_epoch():
    port = Port()
    file = io.BytesIO()
    tap = Pcap(port, file, clock_ns=lambda: 5000000007, epoch_s=1700000000)
    tap.send(bytearray(b"abc"), 3)
    assert parse(file.getvalue()) == (1, [(1700000005, 7, b"abc")])


def test_time_of_day_without_a_clock():
    port = Port()
    file = io.BytesIO()
    Pcap(port, file).send(bytearray(b"abc"), 3)
    (second, ns, frame), = parse(file.getvalue())[1]
    assert frame == b"abc" and 0 <= ns < 1000000000
    assert second > 946684800, "later than the year 2000"


def test_gathering_port():
    port = Gather()
    file = io.BytesIO()
    tap = Pcap(port, file, clock=lambda: 0)
    assert tap.sendv((b"head", memoryview(bytearray(b"payload")))) is True
    assert tap.sendv((b"x",)) is False
    assert port.sent == [b"headpayload"]
    assert parse(file.getvalue())[1] == [(0, 0, b"headpayload")]


def test_everything_else_is_the_ports():
    port = Port()
    tap = Pcap(port, io.BytesIO())
    assert not hasattr(tap, "sendv"), "only where the port has it"
    assert not hasattr(tap, "nonsense")
    for name in ("medium", "mac", "mtu", "pads", "pollable"):
        assert getattr(tap, name) == getattr(port, name), name
    assert tap.count is port.count
    assert tap.fileno() == 42
    assert tap.multicast(b"m") == b"m"
    assert tap.link() is True
    port.room = 0
    assert tap.link() is False
    tap.close()
    tap.close()
    assert port.closed == 2


def test_a_full_disk_ends_the_recording_not_the_traffic():
    port = Port()
    port.room = 3
    tap = Pcap(port, FullDisk(24 + 16 + 5), clock=lambda: 0)
    for _ in range(3):
        assert tap.send(bytearray(b"12345"), 5) is True
    assert len(port.sent) == 3
    assert tap.error.args[0] == 28
    port.inbox.append(b"abc")
    assert tap.recv(bytearray(10)) == 3
