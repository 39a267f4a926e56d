"""Address conflict detection: when probes and announcements leave, what is a conflict, defence."""
from kit import heap_locked
from lone import ALL_MAC, OUR_MAC, PEER_MAC, Lone, arp, ether

from spinet import acd
from spinet.acd import Claim

ZERO = b"\0" * 6
WANTED = b"\x0a\0\0\x32"


class Owner:
    """A host with the address 10.0.0.1 that claims 10.0.0.50."""

    def __init__(self):
        self.n = Lone()
        self.said = []
        self.claim = Claim(self.n.ip, lambda: self.said.append("free"), self.said.append)

    def run(self, ms):
        """What was sent in that time: (ms since it began, frame)."""
        sent = []
        for t in range(0, ms, 10):
            self.n.run(10)
            sent += [(t, f) for f in self.n.take()]
        return sent

    def hold(self):
        self.n.ip.add_address("10.0.0.50/24")
        self.claim.hold(WANTED)
        self.n.run(5000)
        self.n.take()


def probe(address="10.0.0.50", mac=PEER_MAC):
    return ether(arp(1, mac, "0.0.0.0", ZERO, address), dst=ALL_MAC, src=mac, kind=0x0806)


def announcement(address="10.0.0.50", mac=PEER_MAC, op=1):
    return ether(arp(op, mac, address, ZERO, address), dst=ALL_MAC, src=mac, kind=0x0806)


def is_probe(frame):
    return frame[:6] == ALL_MAC and frame[12:42] == ether(
        arp(1, OUR_MAC, "0.0.0.0", ZERO, "10.0.0.50"), kind=0x0806)[12:42]


def is_announcement(frame):
    return frame[:6] == ALL_MAC and frame[12:42] == ether(
        arp(1, OUR_MAC, "10.0.0.50", ZERO, "10.0.0.50"), kind=0x0806)[12:42]


def test_three_probes_one_to_two_seconds_apart_then_free_two_seconds_later():
    o = Owner()
    o.claim.probe(WANTED)
    sent = o.run(10000)
    assert len(sent) == 3 and all(is_probe(f) for _, f in sent)
    at = [t for t, _ in sent]
    assert at[0] <= 1000 and all(1000 <= b - a <= 2010 for a, b in zip(at, at[1:])), at
    assert o.said == ["free"] and not o.n.link.arp.claims

    o.claim.probe(WANTED)
    sent = []
    while len(sent) < 3:
        sent += o.run(10)
    o.run(1950)
    assert o.said == ["free"]
    o.run(100)
    assert o.said == ["free", "free"]


def test_what_contests_a_probed_address():
    answer = ether(arp(2, PEER_MAC, "10.0.0.50", OUR_MAC, "0.0.0.0"), kind=0x0806)
    for frame in (answer, announcement(), announcement(op=2), probe()):
        o = Owner()
        o.claim.probe(WANTED)
        o.run(3000)
        o.n.give(frame)
        assert o.said == [PEER_MAC] and o.n.link.arp.count["conflict"] == 1
        assert not o.run(5000) and o.said == [PEER_MAC], "no more probes"


def test_what_does_not_contest_it():
    o = Owner()
    o.claim.probe(WANTED)
    o.run(1500)
    o.n.give(probe(mac=OUR_MAC))                    # our own, come back
    o.n.give(probe("10.0.0.51"))
    o.n.give(ether(arp(1, PEER_MAC, "10.0.0.2", ZERO, "10.0.0.50"), dst=ALL_MAC, kind=0x0806))
    o.n.give(ether(arp(2, PEER_MAC, "0.0.0.0", ZERO, "10.0.0.50"), dst=ALL_MAC, kind=0x0806))
    o.run(6000)
    assert o.said == ["free"]


def test_after_ten_conflicts_an_address_is_tried_once_a_minute():
    o = Owner()
    for _ in range(acd.MAX_CONFLICTS):
        o.claim.probe(WANTED)
        o.run(1010)
        o.n.give(announcement())
    assert len(o.said) == 10
    o.n.take()
    o.claim.probe(WANTED)
    assert not o.run(60000)
    assert len(o.run(10000)) == 3 and o.said[-1] == "free"
    o.claim.probe(WANTED)
    assert o.run(1010), "and a free one ends that"


def test_a_held_address_is_announced_twice():
    o = Owner()
    o.n.ip.add_address("10.0.0.50/24")
    o.claim.hold(WANTED)
    sent = o.run(20000)
    assert [t // 1000 for t, _ in sent] == [0, 2] or [t for t, _ in sent] == [0, 1990], sent
    assert all(is_announcement(f) for _, f in sent)


def test_a_held_address_is_defended_but_not_twice_in_ten_seconds():
    o = Owner()
    o.hold()
    o.n.give(announcement())
    assert o.said == [PEER_MAC] and o.claim.defended
    assert [is_announcement(f) for f in o.n.take()] == [True]
    o.n.run(9900)
    o.n.give(announcement())
    assert len(o.said) == 2 and not o.claim.defended and not o.n.take()
    o.n.run(200)
    o.n.give(announcement())
    assert o.claim.defended and len(o.n.take()) == 1, "kept all the same: defended again"


def test_a_probe_for_a_held_address_is_answered_and_is_no_conflict():
    o = Owner()
    o.hold()
    o.n.give(probe())
    out, = o.n.take()
    assert out[21] == 2 and out[28:32] == WANTED and not o.said


def test_a_dropped_claim_is_silent():
    o = Owner()
    o.claim.probe(WANTED)
    o.claim.drop()
    o.claim.drop()
    assert not o.run(9000) and not o.said
    o.n.give(announcement())
    assert not o.said and not o.n.link.arp.claims


def test_answers_for_a_link_local_address_go_to_all():
    n = Lone("169.254.7.7/16")
    n.give(ether(arp(1, PEER_MAC, "169.254.9.9", ZERO, "169.254.7.7"), dst=ALL_MAC, kind=0x0806))
    out, = n.take()
    assert out[:6] == ALL_MAC and out[21] == 2 and out[38:42] == b"\xa9\xfe\x09\x09"
    n.run(61000)
    n.stack.socket(2).sendto(b"x", ("169.254.9.9", 9))
    n.run(61000)
    asked = [f for f in n.take() if f[12:14] == b"\x08\6"]
    assert asked and all(f[:6] == ALL_MAC for f in asked)


def test_arp_with_a_claim_takes_nothing_from_the_heap():
    o = Owner()
    o.hold()
    frame = bytearray(ether(arp(1, PEER_MAC, "10.0.0.2", ZERO, "10.0.0.50"), dst=ALL_MAC,
                            kind=0x0806))
    link = o.n.link

    class Sink:
        pads = True

        def send(self, buf, n):
            return True

    link.port = Sink()
    link.input(frame, 0, len(frame))
    heap_locked(lambda: link.input(frame, 0, 60))
    assert link.arp.count["tx_reply"] == 2
