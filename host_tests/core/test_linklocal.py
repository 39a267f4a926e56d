"""Link-local addresses: which, checked, defended once, given up."""
from dhcpnet import Alone
from lone import OUR_MAC, PEER_MAC, arp, ether

from spinet.addr import fmt
from spinet.linklocal import LinkLocal

CHECKED_MS = 7100


class Host(Alone):
    def __init__(self, mac=OUR_MAC):
        self.mac = mac
        Alone.__init__(self)
        self.said = []
        self.local = LinkLocal(self.ip)
        self.local.on_change = lambda: self.said.append(self.ip.get_ipv4())
        self.local.start()

    def make(self):
        self.end.mac = self.mac
        return self.stack.add(self.end)

    def conflict(self):
        a = fmt(self.local.claim.addr)
        self.give(ether(arp(1, PEER_MAC, a, bytes(6), a), dst=b"\xff" * 6, kind=0x0806))


def test_an_address_is_checked_taken_and_the_same_each_time():
    h = Host()
    assert not h.ip.addresses
    h.run(CHECKED_MS)
    a = h.ip.get_ipv4()
    assert a.startswith("169.254.") and h.said == [a]
    assert h.ip.get_ipv4_netmask() == "255.255.0.0" and not h.ip.get_ipv4_gateways()
    other = Host()
    other.run(CHECKED_MS)
    assert other.ip.get_ipv4() == a


def test_addresses_are_spread_and_none_is_reserved():
    seen = set()
    for i in range(300):
        h = Host(bytes((2, 0, i & 255, 7, i >> 3, i * 7 & 255)))
        local = h.local
        for _ in range(10):
            a = local.claim.addr
            assert a[0] == 169 and a[1] == 254 and 1 <= a[2] <= 254
            seen.add(a)
            local._at += local._step
            local._probe()
    assert len(seen) > 2000, len(seen)


def test_an_address_in_use_leads_to_another():
    h = Host()
    tried = set()
    for _ in range(5):
        h.run(1500)
        tried.add(h.local.claim.addr)
        h.conflict()
    assert len(tried) == 5 and not h.said
    h.run(CHECKED_MS)
    assert h.ip.addresses[0].addr not in tried


def test_defended_once_then_another():
    h = Host()
    h.run(CHECKED_MS + 3000)
    a = h.ip.get_ipv4()
    h.conflict()
    assert h.ip.get_ipv4() == a
    h.run(5000)
    h.conflict()
    assert not h.ip.addresses
    h.run(CHECKED_MS)
    assert h.ip.get_ipv4() not in (a, "0.0.0.0")


def test_stop_and_the_link():
    h = Host()
    h.local.link_down()
    h.run(60000)
    assert not h.ip.addresses
    h.local.link_up()
    h.run(CHECKED_MS)
    a = h.ip.get_ipv4()
    h.local.link_down()
    h.frames = []
    h.local.link_up()
    h.run(0)
    assert len(h.frames) == 2 and h.ip.get_ipv4() == a, "a probe and an announcement"
    h.local.stop()
    h.local.stop()
    assert not h.ip.addresses and h.said == [a, "0.0.0.0"] and not h.link.arp.claims
    h.local.link_up()
    h.run(60000)
    assert not h.ip.addresses
