"""Packet sockets, TAP and TUN as ports, frame by frame, without a stack on them."""
import errno
import select
import socket
import sys
import time

import netns
import pytest

import mp_runner
from spinet.ports.rawsocket import RawSocket
from spinet.ports.tap import Tap
from spinet.ports.tun import Tun

BUF = bytearray(1518)


def frame(dst, src, n, kind=0x88B5):
    return dst + src + kind.to_bytes(2, "big") + bytes(i & 255 for i in range(n - 14))


def receive(port, timeout_s=2):
    select.select([port], [], [], timeout_s)
    n = port.recv(BUF)
    return bytes(BUF[:n])


def send(port, data):
    return port.send(bytearray(data), len(data))


@pytest.fixture
def ends(namespaces):
    """Two packet sockets at the ends of a veth pair."""
    a, b = namespaces("a", "b")
    netns.veth(a, "veth-a", b, "veth-b", "02:00:00:00:00:0a", "02:00:00:00:00:0b")
    ports = []
    for namespace, name in ((a, "veth-a"), (b, "veth-b")):
        with namespace.entered():
            ports.append(RawSocket(name))
    yield a, b, *ports
    for port in ports:
        port.close()


def test_raw_frames_both_ways(ends):
    _, _, a, b = ends
    assert a.mac == bytes.fromhex("02000000000a") and b.mtu == 1500 and a.medium == "ethernet"
    for n in (14, 15, 60, 61, 1513, 1514):
        data = frame(b.mac, a.mac, n)
        assert send(a, data) is True
        assert receive(b) == data
    assert send(b, frame(a.mac, b.mac, 60)) and len(receive(a)) == 60
    assert a.recv(BUF) == 0, "it does not hear itself"
    assert a.count["tx"] == 6 and b.count["rx"] == 6


def test_raw_does_not_hear_what_others_send_by_its_interface(ends):
    a_ns, _, a, b = ends
    with a_ns.entered():
        other = RawSocket("veth-a")
    send(other, frame(b.mac, a.mac, 60))
    assert len(receive(b)) == 60 and a.recv(BUF) == 0
    other.close()


def test_raw_promiscuous_or_not(ends):
    a_ns, _, a, b = ends
    with a_ns.entered():
        modest = RawSocket("veth-a", promiscuous=False, mac="02:00:00:00:00:0a")
    assert modest.mac == a.mac
    a.close()
    with a_ns.entered():
        assert "promiscuity 0" in netns.run("ip", "-d", "link", "show", "veth-a")
        own = RawSocket("veth-a", mac="02:00:00:00:00:77")
        assert "promiscuity 1" in netns.run("ip", "-d", "link", "show", "veth-a")
    assert own.mac == bytes.fromhex("020000000077")
    send(b, frame(own.mac, b.mac, 60))
    assert receive(own)[:6] == own.mac
    own.close()
    modest.close()


def test_raw_frame_too_long(ends):
    _, _, a, b = ends
    assert send(a, frame(b.mac, a.mac, 1600)) is True, "lost, not to be sent again"
    assert a.count["tx_too_long"] == 1
    send(a, frame(b.mac, a.mac, 1000))
    send(a, frame(b.mac, a.mac, 100))
    select.select([b], [], [], 2)
    assert b.recv(bytearray(500)) == 100 and b.count["rx_too_long"] == 1


def test_raw_interface_goes_down_and_away(ends):
    a_ns, _, a, b = ends
    assert a.link()
    a_ns.ip("link", "set", "veth-a", "down")
    assert not a.link() and not b.link()
    for _ in range(3):
        assert a.send(BUF, 60) is True
        assert a.recv(BUF) == 0
    assert a.count["down"] >= 3 and a.count["errors"] == 0
    a_ns.ip("link", "set", "veth-a", "up")
    deadline = time.monotonic() + 2
    while not a.link() and time.monotonic() < deadline:
        time.sleep(0.01)
    send(b, frame(a.mac, b.mac, 60))
    assert len(receive(a)) == 60, "and comes back"
    a_ns.ip("link", "delete", "veth-a")
    assert a.send(BUF, 60) is True and a.recv(BUF) == 0 and not a.link()
    assert a.count["errors"] == 0


def test_raw_close(ends):
    _, _, a, _ = ends
    assert a.fileno() >= 0
    a.close()
    a.close()
    assert a.fileno() == -1 and a.recv(BUF) == 0 and not a.link()
    a.send(BUF, 60)


def test_raw_takes_no_tagged_frames(ends):
    """They would look as if they had come untagged."""
    _, _, a, b = ends
    tagged = frame(b.mac, a.mac, 60)
    send(a, tagged[:12] + bytes.fromhex("81000005") + tagged[12:])
    send(a, frame(b.mac, a.mac, 61))
    assert len(receive(b)) == 61 and b.recv(BUF) == 0


def test_raw_burst_is_not_lost(ends):
    _, _, a, b = ends
    data = frame(b.mac, a.mac, 1514)
    for _ in range(1000):
        assert send(a, data)
    got = 0
    while receive(b, 0.05):
        got += 1
    assert got == 1000


def test_raw_no_such_interface():
    with pytest.raises(OSError, match="nosuch0") as e:
        RawSocket("nosuch0")
    assert e.value.errno == errno.ENODEV
    with pytest.raises(OSError):
        RawSocket("a-name-that-is-too-long")


MIRROR = """
import select
from spinet.ports.rawsocket import RawSocket
port = RawSocket("veth-b")
assert port.mac == b"\\x02\\0\\0\\0\\0\\x0b", port.mac
assert port.mtu == 1500 and port.link()
try:
    RawSocket("nosuch0")
    assert False
except OSError as e:
    assert e.errno == 19, e
print("ready")
buf = bytearray(1518)
poller = select.poll()
poller.register(port.pollable, 1)
n = 0
while n != 33:
    assert poller.poll(5000), port.count
    n = port.recv(buf)
    while n and n != 33:
        a = bytes(buf[:6])
        buf[:6] = buf[6:12]
        buf[6:12] = a
        assert port.send(buf, n)
        n = port.recv(buf)
assert port.send(bytearray(1600), 1600)
assert port.count["tx_too_long"] == 1, port.count
port.close()
port.close()
assert port.recv(buf) == 0 and not port.link()
print("done")
"""


def test_raw_on_micropython(ends):
    runtime = mp_runner.RUNTIMES[0]
    if runtime.why:
        pytest.skip("%s is not here: %s" % (runtime.name, runtime.why))
    _, b_ns, a, b = ends
    mac = b.mac
    b.close()
    process = b_ns.popen(
        *runtime._command(MIRROR, mp_runner.HEAP, mp_runner.PATHS), cwd=mp_runner.ROOT, text=True,
        stdout=-1, stderr=-2, env={"MICROPYPATH": "lib:.frozen"})
    first = process.stdout.readline()
    assert first == "ready\n", first + process.communicate()[0]
    sizes = (14, 60, 61, 1513, 1514)
    for n in sizes:
        send(a, frame(mac, a.mac, n))
    send(a, mac + a.mac + bytes.fromhex("81000005") + bytes(60))    # tagged
    for n in sizes:
        assert receive(a) == frame(a.mac, mac, n), "not glued to the next"
    assert receive(a, 0.1) == b""
    send(a, frame(mac, a.mac, 33))
    out = process.communicate(timeout=10)[0]
    assert out == "done\n" and process.returncode == 0, out


@pytest.fixture
def namespace(namespaces):
    return namespaces("tap")[0]


@pytest.mark.parametrize("kind", [Tap, Tun])
def test_tap_and_tun_carry_packets_of_the_kernel(namespace, kind):
    with namespace.entered():
        port = kind("spinet%d")
    assert port.name == "spinet0" and port.mtu == 1500
    assert port.medium == ("ethernet" if kind is Tap else "ip")
    assert not port.link()
    assert port.send(bytearray(b"E" * 60), 60) is True and port.recv(BUF) == 0
    assert port.count["down"] == 1
    namespace.ip("address", "add", "10.77.0.1/24", "dev", port.name)
    namespace.ip("link", "set", port.name, "up")
    assert port.link()
    if kind is Tap:
        namespace.ip("neighbour", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:02", "dev",
                     port.name)
    udp = namespace.socket(socket.SOCK_DGRAM)
    udp.bind(("10.77.0.1", 5000))
    udp.sendto(b"a" * 1472, ("10.77.0.2", 5001))
    data = receive(port)
    at = 14 if kind is Tap else 0
    assert len(data) == at + 1500 and data[at] == 0x45 and data[at + 28:] == b"a" * 1472
    back = bytearray(data)
    back[at + 12:at + 16], back[at + 16:at + 20] = data[at + 16:at + 20], data[at + 12:at + 16]
    back[at + 20:at + 22], back[at + 22:at + 24] = data[at + 22:at + 24], data[at + 20:at + 22]
    if kind is Tap:
        back[0:6], back[6:12] = data[6:12], data[0:6]
    assert port.send(back, len(back)) is True
    assert udp.recv(2000) == b"a" * 1472
    udp.sendto(b"b" * 1000, ("10.77.0.2", 5001))
    udp.sendto(b"c", ("10.77.0.2", 5001))
    select.select([port], [], [], 2)
    assert port.recv(bytearray(500)) == at + 29 and port.count["rx_too_long"] == 1
    assert port.send(bytearray(1600), 1600) is True and port.count["tx_too_long"] == 1
    assert port.recv(BUF) == 0
    udp.close()
    with pytest.raises(OSError, match=port.name) as e, namespace.entered():
        (Tun if kind is Tap else Tap)(port.name)
    assert e.value.errno in (errno.EINVAL, errno.EBUSY)
    port.close()
    port.close()
    assert port.recv(BUF) == 0 and not port.link() and port.fileno() == -1
    port.send(BUF, 60)
    assert "spinet0" not in namespace.ip("link")


def test_tap_deleted_under_the_port(namespace):
    with namespace.entered():
        port = Tap("spinet0")
    namespace.ip("link", "set", "spinet0", "up")
    namespace.ip("link", "delete", "spinet0")
    assert port.send(BUF, 60) is True and port.recv(BUF) == 0 and not port.link()
    assert port.count["down"] == 2 and port.count["errors"] == 0
    port.close()


def test_tap_without_permission(namespace):
    code = (
        "import os\n"
        "from spinet.ports.tap import Tap\n"
        "from spinet.ports.rawsocket import RawSocket\n"
        "os.setuid(65534)\n"
        "for make in (lambda: Tap('spinet0'), lambda: RawSocket('lo')):\n"
        "    try: make()\n"
        "    except OSError as e: print(e.errno, e)\n")
    out = namespace.run(sys.executable, "-c", code, env={"PYTHONPATH": str(mp_runner.ROOT / "lib")})
    tap, raw = out.splitlines()
    # Who may open the device is the system's choice, who may make an interface is not.
    assert tap.startswith("1 ") and "CAP_NET_ADMIN" in tap or (
        tap.startswith("13 ") and "needs root" in tap)
    assert raw.startswith("1 ") and "CAP_NET_RAW" in raw
