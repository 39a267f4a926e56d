"""Cables, hubs and switches in memory."""
from kit import heap_locked, raises
from spinet.ports.wire import Hub, Switch, pair


def frame(dst, src, n=60):
    out = bytearray(n)
    out[0:6] = dst
    out[6:12] = src
    for i in range(14, n):
        out[i] = i & 255
    return out


def take(port):
    """All frames that wait at a port, as bytes."""
    buf = bytearray(1518)
    found = []
    while True:
        n = port.recv(buf)
        if not n:
            return found
        found.append(bytes(buf[:n]))


GROUP = b"\xff\xff\xff\xff\xff\xff"


def test_a_cable_carries_both_ways_in_order():
    a, b = pair()
    assert a.recv(bytearray(1514)) == 0
    frames = [frame(b.mac, a.mac, n) for n in (14, 60, 61, 1514, 1518)]
    for f in frames:
        assert a.send(f, len(f)) is True
    back = frame(a.mac, b.mac)
    b.send(back, 60)
    assert take(b) == [bytes(f) for f in frames]
    assert take(a) == [bytes(back)], "no sender hears itself"
    assert a.count["tx"] == 5 and b.count["rx"] == 5


def test_only_the_first_n_bytes_are_sent():
    a, b = pair()
    f = frame(b.mac, a.mac, 100)
    a.send(f, 20)
    f[3] ^= 255
    assert take(b) == [bytes(frame(b.mac, a.mac, 100)[:20])], "and they were copied"


def test_what_a_port_says_of_itself():
    a, b = pair(mtu=576, mac_a="02:00:00:00:00:aa", mac_b=b"\2\0\0\0\0\xbb")
    assert a.medium == "ethernet" and a.mtu == 576 and a.pads is False
    assert a.mac == b"\2\0\0\0\0\xaa" and b.mac == b"\2\0\0\0\0\xbb"
    assert a.pollable is None and a.fileno() == -1
    c, d = pair()
    assert c.mac != d.mac and not c.mac[0] & 1
    e, f = pair(medium="ip")
    assert e.medium == "ip" and e.mac is None
    packet = bytearray(1500)
    assert e.send(packet, 1500) and take(f) == [bytes(1500)]
    e.send(bytearray(1501), 1501)
    assert take(f) == [] and e.count["tx_too_long"] == 1


def test_a_full_queue_drops_the_newest_and_counts():
    a, b = pair(slots=4)
    for k in range(7):
        a.send(frame(b.mac, a.mac, 60 + k), 60 + k)
    assert [len(f) for f in take(b)] == [60, 61, 62, 63]
    assert b.count["rx_full"] == 3 and a.count["tx"] == 7
    for k in range(30):        # around the ring, never full
        a.send(frame(b.mac, a.mac, 60 + k), 60 + k)
        a.send(frame(b.mac, a.mac, 90 + k), 90 + k)
        assert [len(f) for f in take(b)] == [60 + k, 90 + k]
    assert b.count["rx_full"] == 3


def test_frames_too_long():
    a, b = pair(mtu=100)
    assert a.send(bytearray(119), 119) is True
    assert a.count["tx_too_long"] == 1 and take(b) == []
    a.send(bytearray(118), 118)
    a.send(bytearray(60), 60)
    small = bytearray(64)
    assert b.recv(small) == 60, "the one that does not fit is passed over"
    assert b.count["rx_too_long"] == 1


def test_pulling_the_cable():
    a, b = pair()
    assert a.link() and b.link()
    a.plugged = False
    assert not a.link() and not b.link()
    a.send(bytearray(60), 60)
    b.send(bytearray(60), 60)
    assert take(b) == [] and take(a) == []
    assert a.count["tx_no_link"] == 1
    a.plugged = True
    assert a.link() and b.link()
    b.send(bytearray(60), 60)
    assert len(take(a)) == 1


def test_close_is_idempotent():
    a, b = pair()
    b.send(bytearray(60), 60)
    a.close()
    a.close()
    assert a.recv(bytearray(1514)) == 0 and a.send(bytearray(60), 60) is True
    assert not b.link()
    b.send(bytearray(60), 60)
    assert take(a) == []


def test_hub_repeats_to_all_others():
    hub = Hub()
    a, b, c = [hub.port() for _ in range(3)]
    assert len({a.mac, b.mac, c.mac}) == 3
    f = frame(b.mac, a.mac)
    a.send(f, 60)
    assert take(a) == [] and take(b) == [bytes(f)] and take(c) == [bytes(f)]
    assert not Hub().port().link(), "alone"


def test_switch_learns():
    switch = Switch()
    a, b, c = [switch.port() for _ in range(3)]
    f = frame(b.mac, a.mac)
    a.send(f, 60)
    assert take(b) == [bytes(f)] and take(c) == [bytes(f)], "unknown: flooded"
    f = frame(a.mac, b.mac)
    b.send(f, 60)
    assert take(a) == [bytes(f)] and take(c) == []
    f = frame(b.mac, a.mac)
    a.send(f, 60)
    assert take(b) == [bytes(f)] and take(c) == []
    assert switch.count["learnt"] == 2 and switch.count["flooded"] == 1
    f = frame(GROUP, a.mac)
    a.send(f, 60)
    assert take(b) == [bytes(f)] and take(c) == [bytes(f)] and take(a) == []


def test_switch_station_that_moves():
    switch = Switch()
    a, b, c = [switch.port() for _ in range(3)]
    a.send(frame(GROUP, a.mac), 60)
    c.send(frame(GROUP, a.mac), 60)     # a's station is at c now
    for port in (a, b, c):
        take(port)
    b.send(frame(a.mac, b.mac), 60)
    assert take(a) == [] and len(take(c)) == 1


def test_switch_filters_and_forgets():
    switch = Switch()
    a, b, c = [switch.port() for _ in range(3)]
    a.send(frame(GROUP, a.mac), 60)
    take(b), take(c)
    other = b"\2\0\0\0\1\1"
    a.send(frame(a.mac, other), 60)     # both stations are behind a
    assert take(b) == take(c) == [] and switch.count["filtered"] == 1
    a.send(bytearray(13), 13)
    assert take(b) == [] and switch.count["runt"] == 1
    a.close()
    b.send(frame(a.mac, b.mac), 60)
    assert len(take(c)) == 1, "flooded again"


def test_switch_never_learns_a_group_and_survives_collisions():
    switch = Switch(entries=1)
    a, b, c = [switch.port() for _ in range(3)]
    a.send(frame(GROUP, GROUP), 60)
    assert switch.count["learnt"] == 0
    for _ in range(3):
        take(a), take(b), take(c)
        a.send(frame(b.mac, a.mac), 60)
        assert len(take(b)) == 1
        b.send(frame(a.mac, b.mac), 60)
        assert len(take(a)) == 1
    raises(ValueError, Switch, 1500, 16, 3)


def carry(a, b, f, buf):
    for _ in range(40):
        a.send(f, 1514)
        b.recv(buf)
        b.recv(buf)


def test_carrying_allocates_nothing():
    switch = Switch()
    for a, b in (pair(), (switch.port(), switch.port())):
        f = frame(b.mac, a.mac, 1514)
        buf = bytearray(1514)
        carry(a, b, f, buf)
        heap_locked(lambda a=a, b=b, f=f, buf=buf: carry(a, b, f, buf))
