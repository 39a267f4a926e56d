"""Reassembly: every order, overlaps, bounds, time."""
from kit import Random
from lone import ether, ipv4
from test_ipv4 import Seen
from test_udp import known

DATA = bytes([i * 11 + (i >> 8) & 255 for i in range(4000)])


def piece(at, end, total=4000, ident=1, data=DATA, **more):
    """Bytes `at` to `end` of a datagram of `total` bytes as a fragment."""
    return ether(ipv4("10.0.0.1", 99, data[at:end], ident=ident,
                      frag=at >> 3 | (0x2000 if end < total else 0), **more))


def cuts(rand, total=4000):
    at = 0
    out = []
    while at < total:
        end = min(total, at + 8 * (1 + rand.below(60)))
        out.append((at, end))
        at = end
    return out


def test_any_order_with_repetitions():
    rand = Random(21)
    for ident in range(40):
        n = known()
        seen = Seen(n)
        parts = cuts(rand)
        for i in range(len(parts) - 1, 0, -1):
            k = rand.below(i + 1)
            parts[i], parts[k] = parts[k], parts[i]
        last = parts.pop()
        for at, end in parts:
            n.give(piece(at, end, ident=ident))
            if rand.below(3) == 0:
                n.give(piece(at, end, ident=ident))
        assert not seen.got
        n.give(piece(last[0], last[1], ident=ident))
        assert [p for _, p, _ in seen.got] == [DATA]
        assert n.ip.fragments().held == 0 and not n.ip.fragments().datagrams


def test_datagrams_are_told_apart():
    n = known()
    seen = Seen(n)
    other = bytes(4000)
    for at in range(0, 4000, 1000):
        n.give(piece(at, at + 1000, ident=1), piece(at, at + 1000, ident=2, data=other),
               piece(at, at + 1000, ident=1, src="10.0.0.3", data=b"\x09" * 4000))
    assert sorted(p for _, p, _ in seen.got) == sorted([DATA, other, b"\x09" * 4000])


def test_overlap_drops_the_datagram_and_what_still_comes_of_it():
    for a, b in (((0, 1600), (800, 2400)), ((800, 2400), (0, 1600)), ((0, 2400), (800, 1600)),
                 ((800, 1600), (0, 2400))):
        n = known(mtu=4096)
        seen = Seen(n)
        n.give(piece(*a), piece(*b))
        assert n.ip.count["overlap"] == 1
        for at in range(0, 4000, 800):
            n.give(piece(at, at + 800))
        assert not seen.got
        n.run(31000)
        for at in range(0, 4000, 800):
            n.give(piece(at, at + 800))
        assert [p for _, p, _ in seen.got] == [DATA], "a later datagram with the number is fine"


def test_two_ends_that_disagree():
    n = known()
    seen = Seen(n)
    n.give(piece(3200, 4000), piece(800, 1600, total=1600))
    assert n.ip.count["overlap"] == 1
    n.give(piece(0, 800))
    assert not seen.got


def test_fragments_that_cannot_be():
    n = known()
    n.give(ether(ipv4("10.0.0.1", 99, b"x" * 13, frag=0x2000)))
    n.give(ether(ipv4("10.0.0.1", 99, b"", frag=0x2000)))
    n.give(ether(ipv4("10.0.0.1", 99, b"x" * 64, frag=0x1FFF)))
    assert n.ip.count["bad_fragment"] == 3
    assert not n.ip.fragments().datagrams


def test_the_number_of_datagrams_is_bounded():
    n = known(mtu=4096)
    for ident in range(100):
        n.give(piece(0, 800, ident=ident))
    assert len(n.ip.fragments().datagrams) == 16
    assert n.ip.count["reassembly_full"] == 84
    seen = Seen(n)
    n.give(piece(800, 4000, ident=99))
    assert len(seen.got) == 1, "the newest are kept"


def test_the_bytes_are_bounded():
    n = known()
    n.ip.fragments().bytes_max = 5000
    for ident in range(10):
        n.give(piece(0, 1200, ident=ident))
        assert n.ip.fragments().held <= 5000
    n.ip.fragments().bytes_max = 1000
    n.give(piece(0, 1200, ident=50))
    assert n.ip.fragments().held <= 5000


def test_what_is_not_complete_after_thirty_seconds_is_forgotten():
    n = known()
    n.give(piece(0, 800))
    n.run(29000)
    assert len(n.ip.fragments().datagrams) == 1
    n.run(2000)
    assert not n.ip.fragments().datagrams and n.ip.fragments().held == 0


def test_header_of_the_first_fragment_is_the_one_that_counts():
    n = known(mtu=4096)
    seen = Seen(n)
    n.give(ether(ipv4("10.0.0.1", 99, DATA[1600:], ident=5, frag=200, ttl=3)))
    n.give(ether(ipv4("10.0.0.1", 99, DATA[:1600], ident=5, frag=0x2000, ttl=9,
                      options=b"\1\1\1\0")))
    assert [p for _, p, _ in seen.got] == [DATA]


def test_random_fragments_never_raise_and_stay_within_bounds():
    rand = Random(5)
    for _ in range(10):
        n = known()
        n.ip.fragments().bytes_max = 6000
        Seen(n)
        for _ in range(150):
            at = rand.below(500) * 8
            end = min(4000, at + rand.below(400))
            n.give(ether(ipv4("10.0.0.1", 99, DATA[at:end], ident=rand.below(5),
                              frag=at >> 3 | rand.below(2) << 13)))
            assert n.ip.fragments().held <= 6000
        n.run(32000)
        assert n.ip.fragments().held == 0 and not n.ip.fragments().datagrams
