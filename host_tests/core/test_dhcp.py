"""The DHCP client, state by state, in virtual time; the clock begins just before it wraps."""
from dhcpnet import SERVER, Alone, u32
from kit import heap_locked, raises
from lone import OUR_MAC, PEER_MAC, arp, ether

from spinet import dhcp as d
from spinet import dhcpmsg as m
from spinet.addr import parse
from spinet.dhcp import Dhcp

ADDRESS = "10.0.0.77"
CHECKED_MS = 7100
DAY_MS = 86400000


class Host(Alone):
    """A host with a DHCP client that was started."""

    def __init__(self, start=True, **about):
        Alone.__init__(self)
        self.said = []
        self.client = Dhcp(self.ip, **about)
        self.client.on_change = lambda: self.said.append(self.ip.get_ipv4())
        self.client.on_silence = lambda: self.said.append("silence")
        self.client.on_conflict = lambda mac: self.said.append(mac)
        if start:
            self.client.start()
            self.run(0)

    @property
    def xid(self):
        return self.client.xid

    def state(self):
        return self.client.state

    def bind(self, **about):
        """From INIT to BOUND."""
        self.reply(m.OFFER, **about)
        self.reply(m.ACK, **about)
        self.run(CHECKED_MS)
        assert self.state() == d.BOUND
        self.take()
        self.frames = []
        del self.said[:]
        return self

    def bound(self):
        """Whether the address is in use."""
        return self.ip.get_ipv4() == ADDRESS

    def conflict(self, op=2):
        self.give(ether(arp(op, PEER_MAC, ADDRESS, OUR_MAC, ADDRESS), kind=0x0806))


def gaps(messages):
    at = [x.at for x in messages]
    return [b - a for a, b in zip(at, at[1:])]


def backed_off(waits):
    """Whether the waits are 4, 8, 16, 32, 64, 64 ... seconds, give or take one."""
    for i in range(len(waits)):
        want = min(4000 << min(i, 4), 64000)
        assert want - 1000 <= waits[i] <= want + 1100, (i, waits)
    return True


# -- getting a lease


def test_discover_says_what_it_should():
    h = Host(hostname="board7")
    x = h.one(m.DISCOVER)
    assert (x.op, x.src, x.dst, x.to_all, x.ports) == (1, "0.0.0.0", "255.255.255.255", True,
                                                       (68, 67))
    assert x.chaddr == OUR_MAC and x.ciaddr == x.yiaddr == x.giaddr == "0.0.0.0"
    assert x.secs == 0 and x.flags == 0 and x.size >= 300
    o = x.options
    assert o[m.CLIENT_ID] == b"\x01" + OUR_MAC and o[m.HOSTNAME] == b"board7"
    assert o[m.MOST] == b"\x05\xdc" and o[m.VENDOR_CLASS] == b"spinet"
    asked = list(o[m.WANTED_OPTIONS])
    assert asked.index(m.ROUTES) < asked.index(m.ROUTERS), "RFC 3442"
    for code in (1, 3, 6, 12, 15, 26, 28, 33, 42, 43, 51, 54, 58, 59, 119, 121):
        assert code in asked, code
    assert m.WANTED_ADDRESS not in o and m.SERVER_ID not in o


def test_fully_qualified_name():
    h = Host(hostname="board7.example.org", client_id=d.rfc4361(OUR_MAC))
    o = h.one(m.DISCOVER).options
    assert o[m.FQDN] == b"\x05\0\0\6board7\7example\3org\0" and m.HOSTNAME not in o
    assert o[m.CLIENT_ID] == b"\xff\0\0\0\x01\0\3\0\1" + OUR_MAC, "RFC 4361"
    raises(ValueError, h.client.set_hostname, "a..b")


def test_offer_request_ack_check_bound():
    for to_all in (True, False):
        h = Host()
        first = h.one(m.DISCOVER)
        h.run(1500)
        h.reply(m.OFFER, to_all=to_all)
        x = h.one(m.REQUEST)
        assert h.state() == d.REQUESTING and x.xid == first.xid and x.secs == 1
        assert x.src == x.ciaddr == "0.0.0.0" and x.dst == "255.255.255.255"
        assert x.address(m.WANTED_ADDRESS) == ADDRESS and x.address(m.SERVER_ID) == SERVER
        h.reply(m.ACK, to_all=to_all)
        assert h.state() == d.CHECKING and not h.bound() and not h.said
        h.run(CHECKED_MS)
        assert h.state() == d.BOUND and h.bound() and h.said == [ADDRESS]
        assert h.ip.get_ipv4_netmask() == "255.255.255.0"
        assert h.ip.get_ipv4_gateways() == [SERVER]
        assert h.stack.dns_servers == [parse(SERVER)] and not h.ip.asking
        probes = [f for _, f in h.frames if f[28:32] == b"\0\0\0\0"]
        assert len(probes) == 3
        assert not h.take()


def test_unicast_to_an_address_that_is_only_asked_for():
    # Also where there is another one: a static one, or a link-local one.
    h = Host(start=False)
    h.ip.add_address("169.254.3.4/16")
    h.client.start()
    h.run(0)
    assert h.one(m.DISCOVER).src == "0.0.0.0"
    h.reply(m.OFFER, to_all=False)
    h.reply(m.ACK, to_all=False)
    assert h.state() == d.CHECKING
    h.run(CHECKED_MS)
    assert h.ip.get_ipv4() == ADDRESS, "the first one, which counts"
    before = h.ip.count["not_for_us"]
    h.reply(m.ACK, "10.0.0.78", to_all=False)
    assert h.ip.count["not_for_us"] == before + 1, "taken only while it is asked for"


def test_discoveries_back_off_and_silence_is_reported():
    h = Host()
    h.run(600000)
    out = h.take()
    assert {x.kind for x in out} == {m.DISCOVER} and len({bytes(x.xid) for x in out}) == 1
    assert backed_off(gaps(out)) and len(out) >= 11
    assert h.said == ["silence"]
    assert [x.secs for x in out] == [(x.at - out[0].at) // 1000 for x in out]
    assert [x.flags for x in out[:4]] == [0, 0, 0x8000, 0x8000]
    h.reply(m.OFFER)
    h.one(m.REQUEST)


def test_back_off_is_spread():
    waits = set()
    for seed in range(12):
        h = Alone(seed)
        client = Dhcp(h.ip)
        client.start()
        h.run(6000)
        waits.add(gaps(h.take())[0])
    assert len(waits) > 8 and max(waits) - min(waits) > 700, waits


def test_request_that_is_not_answered_is_repeated_and_then_given_up():
    h = Host()
    h.take()
    h.reply(m.OFFER)
    h.run(70000)
    out = h.take()
    assert [x.kind for x in out[:5]] == [m.REQUEST] * 4 + [m.DISCOVER], [x.kind for x in out]
    assert backed_off(gaps(out[:5])) and h.state() == d.SELECTING


def test_nak_to_a_request_begins_anew_ever_more_slowly():
    h = Host()
    waits = []
    for _ in range(9):
        h.take()
        h.reply(m.OFFER)
        h.reply(m.NAK)
        assert h.state() == d.INIT
        at = h.now
        while h.state() == d.INIT:
            h.run(100)
        waits.append((h.now - at) // 1000)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64], waits


def test_answers_that_are_not_for_us():
    h = Host()
    count = h.client.count
    h.reply(m.OFFER, xid=b"\1\2\3\4")
    h.reply(m.ACK)
    h.reply(m.OFFER, options={m.CLIENT_ID: b"\x01\2\0\0\0\0\x99"})
    h.reply(m.OFFER, "0.0.0.0")
    h.reply(m.OFFER, "127.0.0.1")
    h.reply(m.OFFER, "224.0.0.1")
    h.reply(m.OFFER, lease=0)
    h.reply(m.OFFER, options={m.LEASE_TIME: None})
    h.reply(m.OFFER, options={m.SERVER_ID: None})
    h.reply(m.OFFER, options={m.OVERLOAD: b"\4"})
    assert h.state() == d.SELECTING
    assert count["not_for_us"] == 1 and count["unexpected"] == 1 and count["other_client"] == 1
    assert count["unusable"] == 6 and count["malformed"] == 1, count
    h.reply(m.OFFER, options={m.CLIENT_ID: b"\x01" + OUR_MAC})
    assert h.state() == d.REQUESTING
    h.reply(m.ACK, server="10.0.0.253")
    h.reply(m.NAK, server="10.0.0.253")
    assert h.state() == d.REQUESTING and count["other_server"] == 2


def test_address_in_use_is_declined_and_ten_seconds_pass():
    h = Host()
    h.reply(m.OFFER)
    h.reply(m.ACK)
    h.take()
    h.run(1500)
    h.conflict()
    x = h.one(m.DECLINE)
    assert x.address(m.WANTED_ADDRESS) == ADDRESS and x.address(m.SERVER_ID) == SERVER
    assert x.ciaddr == x.src == "0.0.0.0" and x.to_all and not h.bound()
    assert m.WANTED_OPTIONS not in x.options and h.said == [PEER_MAC]
    at = h.now
    h.run(12000)
    x = h.one(m.DISCOVER)
    assert 10000 <= x.at - at <= 11000 and m.WANTED_ADDRESS not in x.options
    h.reply(m.OFFER, "10.0.0.78")
    h.reply(m.ACK, "10.0.0.78")
    h.run(CHECKED_MS)
    assert h.ip.get_ipv4() == "10.0.0.78"


def test_conflict_while_bound_is_defended_once_and_then_the_address_is_given_up():
    h = Host().bind()
    h.conflict()
    assert h.bound() and h.said == [PEER_MAC] and len(h.frames) == 1
    h.run(3000)
    h.conflict()
    h.one(m.DECLINE)
    assert h.ip.get_ipv4() == "0.0.0.0" and h.said == [PEER_MAC, "0.0.0.0", PEER_MAC]
    assert not h.ip.get_ipv4_gateways() and not h.stack.dns_servers


# -- keeping it


def test_renewal_at_t1_by_unicast():
    h = Host().bind()
    h.run(1793000)
    x = h.one(m.REQUEST)
    assert h.state() == d.RENEWING
    assert (x.src, x.dst, x.ciaddr, x.to_all) == (ADDRESS, SERVER, ADDRESS, False)
    assert m.WANTED_ADDRESS not in x.options and m.SERVER_ID not in x.options
    h.reply(m.ACK, to_all=False)
    assert h.state() == d.BOUND and not h.said, "nothing has changed"
    asked = x.at
    h.run(1801000)
    x = h.one(m.REQUEST)
    assert 1800000 <= x.at - asked <= 1801000, "T1 counts from the request"


def test_renewal_is_repeated_then_rebound_then_the_lease_ends():
    h = Host()
    h.reply(m.OFFER)
    began = h.now
    h.bind()
    h.run(3600000)
    out = h.take()
    renew = [x for x in out if x.kind == m.REQUEST and not x.to_all]
    rebind = [x for x in out if x.kind == m.REQUEST and x.to_all]
    t = [(x.at - began) // 1000 for x in renew]
    # Half of what is left to T2 (3150), at least a minute.
    assert t == [1800, 2475, 2812, 2981, 3065, 3125], t
    t = [(x.at - began) // 1000 for x in rebind]
    assert t == [3150, 3375, 3487, 3547], t
    assert all(x.src == x.ciaddr == ADDRESS for x in rebind)
    assert len({bytes(x.xid) for x in renew + rebind}) == len(renew + rebind)
    assert h.said[0] == "0.0.0.0" and h.client.count["expired"] == 1
    assert out[-1].kind == m.DISCOVER and out[-1].address(m.WANTED_ADDRESS) == ADDRESS
    assert 3600 <= (out[len(renew + rebind)].at - began) // 1000 <= 3601


def test_rebinding_to_another_server():
    h = Host().bind()
    h.run(3150000)
    assert h.state() == d.REBINDING
    h.reply(m.ACK, server="10.0.0.253", lease=7200)
    assert h.state() == d.BOUND and h.bound() and h.client.lease.time == 7200
    h.take()
    h.neighbours["10.0.0.253"] = PEER_MAC
    h.run(3601000)
    assert h.one(m.REQUEST).dst == "10.0.0.253"


def test_renewal_is_not_answered_by_anybody_else():
    h = Host().bind()
    h.run(1800000)
    assert h.state() == d.RENEWING
    h.reply(m.NAK, server="10.0.0.253")
    h.reply(m.ACK, server="10.0.0.253")
    h.reply(m.ACK, "10.0.0.99")
    assert h.state() == d.RENEWING and h.client.count["other_server"] == 2
    assert h.client.count["unusable"] == 1


def test_nak_to_a_renewal_gives_the_address_up_and_asks_for_another_at_once():
    h = Host().bind()
    h.run(1800000)
    h.take()
    h.reply(m.NAK)
    assert h.said == ["0.0.0.0"] and not h.ip.addresses and not h.ip.routes.entries
    h.run(10)
    x = h.one(m.DISCOVER)
    assert m.WANTED_ADDRESS not in x.options


def test_times_of_the_server_and_wrong_ones():
    h = Host().bind(options={m.T1: u32(100), m.T2: u32(200)})
    lease = h.client.lease
    assert (lease.t1, lease.t2, lease.time) == (100, 200, 3600)
    for t1, t2 in ((300, 200), (100, 9999), (4000, 5000)):
        h = Host().bind(options={m.T1: u32(t1), m.T2: u32(t2)})
        lease = h.client.lease
        assert 0 < lease.t1 <= lease.t2 <= lease.time == 3600, (t1, t2)
    h = Host()
    h.reply(m.OFFER)
    h.reply(m.ACK, options={m.T1: u32(0), m.T2: u32(0)}, lease=20)
    h.run(CHECKED_MS)
    assert h.state() == d.REBINDING
    h.take()
    h.run(13000)
    assert not h.bound() and len(h.take()) == 1, "never in a loop"


def test_infinite_lease_is_never_renewed():
    h = Host().bind(lease=0xFFFFFFFF)
    assert h.client.lease.time == d.FOREVER
    for _ in range(200):
        h.clock.advance(5 * DAY_MS)
        h.run(0)
    assert h.state() == d.BOUND and not h.take() and h.bound()
    h.client.link_down()
    h.client.link_up()
    h.run(70000)
    assert backed_off(gaps(h.take())) and h.state() == d.BOUND and h.bound()


def test_leases_of_months_across_many_wraps_of_the_clock():
    # Half a year: ticks wrap after twelve days.
    lease = 180 * 86400
    h = Host()
    h.reply(m.OFFER, lease=lease)
    asked = h.now
    h.bind(lease=lease)
    while not h.messages:
        h.run(DAY_MS)
    x = h.one(m.REQUEST)
    assert (x.at - asked) // 1000 == 90 * 86400
    asked = x.at
    h.reply(m.ACK, lease=lease)
    h.run(160 * DAY_MS)
    out = h.take()
    t = [(x.at - asked) // 1000 for x in out]
    assert t[0] == 90 * 86400 and h.state() == d.REBINDING and h.bound(), t
    assert [x for x in out if x.to_all][0].at - asked == 1000 * (lease - lease // 8), "T2"
    while h.bound():
        h.run(3600000)
    assert h.said[0] == "0.0.0.0"
    x = [x for x in h.take() if x.kind == m.DISCOVER][0]
    assert (x.at - asked) // 1000 == lease


def test_what_changes_with_a_renewal():
    h = Host().bind(options={m.DOMAIN: b"one.example"})
    s = h.stack.socket(2)
    s.connect((SERVER, 9))
    h.run(1800000)
    other = {m.DOMAIN: b"two.example", m.ROUTERS: parse("10.0.0.253"), m.DNS: parse("10.0.0.9"),
             m.MTU: b"\5\0"}
    h.reply(m.ACK, options=other)
    assert h.said == [ADDRESS] and h.stack.domain == "two.example" and h.link.mtu == 1280
    assert h.ip.get_ipv4_gateways() == ["10.0.0.253"] and h.stack.dns_servers == [b"\x0a\0\0\x09"]
    assert len(h.ip.addresses) == 1 and len(h.ip.routes.entries) == 2
    s.send(b"still connected")
    h.client.stop()
    h.run(200)
    assert h.link.mtu == 1500 and not h.stack.domain and not h.ip.routes.entries


# -- the link


def test_link_lost_while_bound_keeps_the_lease_and_verifies_it():
    h = Host().bind()
    h.client.link_down()
    h.run(600000)
    assert h.state() == d.INIT_REBOOT and not h.take() and h.bound()
    h.client.link_up()
    h.run(0)
    x = h.one(m.REQUEST)
    assert h.state() == d.REBOOTING and h.bound(), "in use meanwhile"
    assert x.src == x.ciaddr == "0.0.0.0" and x.to_all and m.SERVER_ID not in x.options
    assert x.address(m.WANTED_ADDRESS) == ADDRESS
    h.frames = []
    h.reply(m.ACK)
    assert h.state() == d.BOUND and not h.said
    kinds = [(f[21], f[28:32] == b"\0\0\0\0") for _, f in h.frames if f[12:14] == b"\x08\6"]
    assert kinds == [(1, True), (1, False)], "asked whether it is still free, and announced"
    h.run(1790000)
    assert not h.take()
    h.run(20000)
    h.one(m.REQUEST)


def test_link_to_another_network_nak():
    h = Host().bind()
    h.client.link_down()
    h.client.link_up()
    h.take()
    h.reply(m.NAK, server="192.168.7.1")
    assert h.said == ["0.0.0.0"]
    h.run(10)
    h.one(m.DISCOVER)


def test_server_gone_after_the_link_was_lost_the_lease_is_used_until_it_ends():
    h = Host().bind()
    h.client.link_down()
    h.client.link_up()
    h.run(120000)
    out = h.take()
    assert [x.kind for x in out] == [m.REQUEST] * 4 and backed_off(gaps(out))
    assert h.state() == d.BOUND and h.bound()
    h.run(3480000)
    assert not h.bound() and h.client.count["expired"] == 1
    assert [x.at for x in h.take() if x.kind == m.REQUEST and not x.to_all], "renewed as usual"


def test_lease_that_ends_while_the_link_is_down():
    h = Host().bind()
    h.client.link_down()
    h.run(3590000)
    assert h.bound()
    h.run(20000)
    assert not h.bound() and not h.take() and h.said == ["0.0.0.0"]
    h.run(1000000)
    assert not h.take()
    h.client.link_up()
    h.run(0)
    assert h.one(m.DISCOVER).address(m.WANTED_ADDRESS) == ADDRESS


def test_link_pulled_and_restored_in_every_state():
    def idle(h):
        h.client.stop()

    def selecting(h):
        h.run(7000)

    def requesting(h):
        h.reply(m.OFFER)

    def checking(h):
        requesting(h)
        h.reply(m.ACK)
        h.run(2000)

    def init_after_nak(h):
        requesting(h)
        h.reply(m.NAK)

    def init_after_decline(h):
        checking(h)
        h.conflict()

    def bound(h):
        h.bind()

    def renewing(h):
        h.bind()
        h.run(1800000)

    def rebinding(h):
        h.bind()
        h.run(3150000)

    def rebooting(h):
        h.bind()
        h.client.link_down()
        h.client.link_up()

    for reach, state, then in (
            (idle, d.IDLE, None), (selecting, d.SELECTING, m.DISCOVER),
            (requesting, d.REQUESTING, m.REQUEST), (checking, d.CHECKING, m.REQUEST),
            (init_after_nak, d.INIT, m.DISCOVER), (init_after_decline, d.INIT, m.DISCOVER),
            (bound, d.BOUND, m.REQUEST), (renewing, d.RENEWING, m.REQUEST),
            (rebinding, d.REBINDING, m.REQUEST), (rebooting, d.REBOOTING, m.REQUEST)):
        h = Host()
        reach(h)
        assert h.state() == state, (reach, h.client.state_name)
        had = h.bound()
        h.take()
        h.client.link_down()
        h.client.link_down()
        h.run(100000)
        assert not h.take() and h.bound() == had, reach
        h.client.link_up()
        h.client.link_up()
        h.run(0)
        if then is None:
            assert not h.take() and not h.stack.udp.ports
            continue
        x = h.one(then)
        assert x.src == "0.0.0.0" and m.SERVER_ID not in x.options, reach
        if then == m.DISCOVER:
            h.reply(m.OFFER)
        h.reply(m.ACK)
        h.run(CHECKED_MS)
        assert h.state() == d.BOUND and h.bound(), reach


# -- the end


def test_stop_gives_the_lease_back():
    h = Host().bind()
    h.client.stop()
    h.run(10)
    x = h.one(m.RELEASE)
    assert (x.src, x.dst, x.ciaddr, x.to_all) == (ADDRESS, SERVER, ADDRESS, False)
    assert x.address(m.SERVER_ID) == SERVER and m.WANTED_ADDRESS not in x.options
    assert x.options[m.CLIENT_ID] == b"\x01" + OUR_MAC and x.secs == 0
    h.run(100)
    assert h.state() == d.IDLE and not h.ip.addresses and not h.stack.udp.ports
    assert h.said == ["0.0.0.0"]
    h.client.stop()
    h.run(1000000)
    assert not h.take()
    h.client.start()
    h.run(0)
    assert h.one(m.DISCOVER).address(m.WANTED_ADDRESS) == ADDRESS


def test_stop_where_the_server_does_not_answer_arp_or_the_link_is_lost():
    h = Host().bind()
    h.neighbours.clear()
    h.client.stop()
    assert h.state() == d.RELEASING and h.bound()
    h.run(1200)
    assert h.state() == d.IDLE and not h.bound() and not h.take()
    for then in (Dhcp.link_down, Dhcp.start):
        h = Host().bind()
        h.client.stop()
        then(h.client)
        assert not h.bound() and h.state() in (d.IDLE, d.SELECTING, d.INIT)
    h = Host().bind()
    h.client.link_down()
    h.client.stop()
    assert h.state() == d.IDLE and not h.take()


def test_stopped_by_the_function_that_hears_of_it():
    def nak(h):
        h.run(1800000)
        h.reply(m.NAK)

    def expired(h):
        h.run(3600000)

    def conflict(h):
        h.conflict()
        h.run(1000)
        h.conflict()

    def moved(h):
        h.client.link_down()
        h.client.link_up()
        h.reply(m.ACK, "10.0.0.78")

    for lose in (nak, expired, conflict, moved):
        h = Host().bind()
        h.client.on_change = h.client.stop
        lose(h)
        h.take()
        h.run(200000)
        assert h.state() == d.IDLE and not h.take() and not h.ip.addresses, lose
        assert not h.stack.udp.ports and not h.link.arp.claims
        h.client.on_change = lambda: None
        h.client.start()
        h.run(0)
        assert h.one(m.DISCOVER)


def test_start_with_an_address_of_before_the_reboot():
    h = Host(start=False)
    h.client.start(parse(ADDRESS))
    h.run(0)
    x = h.one(m.REQUEST)
    assert h.state() == d.REBOOTING and x.address(m.WANTED_ADDRESS) == ADDRESS and not h.bound()
    h.reply(m.ACK)
    h.run(CHECKED_MS)
    assert h.state() == d.BOUND and h.bound()
    h = Host(start=False)
    h.client.start(parse(ADDRESS))
    h.run(70000)
    assert [x.kind for x in h.take()][:5] == [m.REQUEST] * 4 + [m.DISCOVER]


def test_inform_asks_for_the_rest():
    h = Host(start=False)
    raises(OSError, h.client.inform)
    h.ip.add_address("10.0.0.5/24")
    h.client.inform()
    h.run(0)
    x = h.one(m.INFORM)
    assert x.ciaddr == x.src == "10.0.0.5" and x.to_all and m.WANTED_ADDRESS not in x.options
    h.reply(m.ACK, "0.0.0.0", options={m.LEASE_TIME: None, m.NTP: b"\x0a\0\0\x07"})
    assert h.state() == d.IDLE and h.ip.get_ipv4() == "10.0.0.5"
    assert h.stack.dns_servers == [parse(SERVER)] and h.stack.ntp_servers == [b"\x0a\0\0\x07"]
    assert not h.ip.get_ipv4_gateways() and not h.stack.udp.ports
    h.client.inform()
    h.run(100000)
    assert [x.kind for x in h.take()] == [m.INFORM] * 4 and not h.stack.udp.ports


def test_inform_ends_with_the_link():
    h = Host(start=False)
    h.ip.add_address("10.0.0.5/24")
    h.client.inform()
    h.client.link_down()
    h.client.link_up()
    h.take()
    h.run(100000)
    assert not h.take() and h.state() == d.IDLE, "it never asks for an address"


def test_no_memory_for_a_message_is_a_message_later():
    h = Host(start=False)
    random = h.stack.random

    def none(n):
        raise MemoryError

    h.client.start()
    h.stack.random = none
    h.run(3000)
    assert not h.take() and h.client.count["no_memory"] == 4
    h.stack.random = random
    h.run(1000)
    h.one(m.DISCOVER)


def test_two_interfaces_of_one_host():
    h = Host()
    other = Alone()
    other.end.mac = b"\2\0\0\0\0\x55"
    ip = h.stack.add(other.end)
    second = Dhcp(ip)
    second.start()
    h.run(0)
    assert len(h.stack.udp.ports[68]) == 1
    h.bind()
    assert second.state == d.SELECTING and second.count["not_for_us"] == 2
    second.stop()
    h.client.stop()
    h.run(100)
    assert not h.stack.udp.ports


def test_bound_takes_nothing_from_the_heap():
    h = Host().bind(lease=40 * 86400)
    h.run(5000)
    stack = h.stack
    clock = h.clock

    def work(stack=stack, clock=clock):
        for _ in range(12):
            clock.advance(DAY_MS)
            stack.poll()
            clock.advance(1000)
            stack.poll()

    heap_locked(work)
    assert h.state() == d.BOUND and not h.take()
    assert h.client.clock.age > 12 * 86400


def test_broadcasts_for_others_take_nothing_from_the_heap():
    from dhcpnet import answer, datagram

    h = Host()
    frame = bytearray(datagram(answer(m.OFFER, b"\1\2\3\4", b"\2\0\0\0\0\x99", "10.0.0.3")))
    link = h.link
    n = len(frame)
    link.input(frame, 0, n)
    heap_locked(lambda: link.input(frame, 0, n))
    assert h.client.count["not_for_us"] == 2
