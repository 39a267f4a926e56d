"""The DHCP server: against our client on a cable, and against messages of every kind."""
from dhcpnet import Alone, Message, datagram
from kit import Clock, Random, raises, skip
from net import End

from spinet import Stack
from spinet import dhcpmsg as m
from spinet.addr import parse
from spinet.dhcp import BOUND, Dhcp
from spinet.dhcpd import Dhcpd
from spinet.leasefile import File

CLIENT = b"\2\0\0\0\0\x0c"


class Served(Alone):
    """A server at 10.0.0.1 with a pool of four, and clients that a test speaks for."""

    def __init__(self, address="10.0.0.1/24", **about):
        Alone.__init__(self)
        self.ip.add_address(address)
        self.saved = None
        self.neighbours = {}
        self.server = Dhcpd(self.ip, "10.0.0.10", "10.0.0.13", save=self.save, **about)
        self.replies = []

    def save(self, leases):
        self.saved = leases

    def _sent(self, frame):
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[34:36] == b"\0\x43":
            self.replies.append(Message(self.now, frame))
            self.replies[-1].frame = frame
            return
        Alone._sent(self, frame)

    def say(self, kind, mac=CLIENT, ciaddr="0.0.0.0", options=(), flags=0, giaddr="0.0.0.0",
            src="0.0.0.0"):
        d = m.begin(m.REQUEST_OP, kind, b"\1\2\3\4", mac)
        d[m.CIADDR:m.CIADDR + 4] = parse(ciaddr)
        d[m.GIADDR:m.GIADDR + 4] = parse(giaddr)
        d[m.FLAGS] = flags
        for code in dict(options):
            m.put(d, code, dict(options)[code])
        self.give(datagram(bytes(m.finish(d)), src, ports=(68, 67)))
        self.run(600)
        out = self.replies
        self.replies = []
        return out

    def lease(self, mac=CLIENT, wanted=None, options=()):
        """DISCOVER and REQUEST of one client; the address it got, None if there was none."""
        asked = dict(options)
        if wanted:
            asked[m.WANTED_ADDRESS] = parse(wanted)
        out = self.say(m.DISCOVER, mac, options=asked)
        if not out:
            return None
        offer, = out
        assert offer.kind == m.OFFER
        asked[m.WANTED_ADDRESS] = parse(offer.yiaddr)
        asked[m.SERVER_ID] = parse("10.0.0.1")
        ack, = self.say(m.REQUEST, mac, options=asked)
        assert ack.kind == m.ACK and ack.yiaddr == offer.yiaddr
        return ack.yiaddr


def mac(n):
    return bytes((2, 0, 0, 0, 1, n))


def test_offer_and_ack():
    s = Served(router="10.0.0.1", dns=["10.0.0.1", "8.8.8.8"], ntp=["10.0.0.5"],
               domain="home.arpa", mtu=1400, lease_s=7200)
    offer, = s.say(m.DISCOVER, options={m.CLIENT_ID: b"\xffclient", m.AGENT: b"\1\2ab"})
    assert (offer.op, offer.kind, offer.xid, offer.chaddr) == (2, m.OFFER, b"\1\2\3\4", CLIENT)
    assert offer.yiaddr == offer.dst == "10.0.0.10" and offer.frame[:6] == CLIENT
    assert offer.ports == (67, 68) and offer.src == "10.0.0.1"
    o = offer.options
    assert o[m.SERVER_ID] == parse("10.0.0.1") and o[m.MASK] == b"\xff\xff\xff\0"
    assert m.u32(o[m.LEASE_TIME]) == 7200 and m.u32(o[m.T1]) == 3600 and m.u32(o[m.T2]) == 6300
    assert o[m.ROUTERS] == parse("10.0.0.1") and o[m.DNS] == parse("10.0.0.1") + parse("8.8.8.8")
    assert o[m.DOMAIN] == b"home.arpa" and o[m.MTU] == b"\5\x78" and o[m.NTP] == parse("10.0.0.5")
    assert o[m.BROADCAST] == parse("10.0.0.255")
    assert o[m.CLIENT_ID] == b"\xffclient" and o[m.AGENT] == b"\1\2ab", "RFC 6842, RFC 3046"
    assert s.saved is None
    ack, = s.say(m.REQUEST, options={m.CLIENT_ID: b"\xffclient", m.WANTED_ADDRESS: parse(
        "10.0.0.10"), m.SERVER_ID: parse("10.0.0.1"), m.HOSTNAME: b"board"})
    assert ack.kind == m.ACK and s.saved == [(b"\xffclient", CLIENT, "10.0.0.10", "board")]
    (address, its, name, left), = s.server.leases()
    assert (address, its, name) == ("10.0.0.10", "02:00:00:00:00:0c", "board")
    assert 7190 <= left <= 7200


def test_broadcast_flag_and_relay():
    s = Served()
    offer, = s.say(m.DISCOVER, flags=0x80)
    assert offer.to_all and offer.dst == "255.255.255.255" and offer.flags == 0x8000
    s.neighbours["10.0.0.200"] = mac(200)
    offer, = s.say(m.DISCOVER, mac(1), giaddr="10.0.0.200", src="10.0.0.200")
    assert offer.dst == "10.0.0.200" and offer.ports == (67, 67) and offer.giaddr == "10.0.0.200"
    assert not s.say(m.DISCOVER, mac(2), giaddr="10.9.9.9")
    assert s.server.count["other_net"] == 1


def test_pool_and_its_end():
    s = Served()
    got = [s.lease(mac(i)) for i in range(4)]
    assert got == ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13"]
    assert s.lease(mac(5)) is None and s.server.count["exhausted"] == 1
    assert s.lease(mac(2)) == "10.0.0.12", "what it has already"
    s.say(m.RELEASE, mac(1), "10.0.0.11", src="10.0.0.11")
    assert s.server.count["release"] == 1 and len(s.saved) == 3
    assert s.lease(mac(5)) == "10.0.0.11"
    assert s.lease(mac(1)) is None
    s.run(3700000)
    assert s.lease(mac(1)) == "10.0.0.10", "the one that ended first"
    assert Served().lease(mac(1), wanted="10.0.0.14") == "10.0.0.10"


def test_a_client_gets_back_what_it_had_and_what_it_wants():
    s = Served()
    assert s.lease(mac(1), wanted="10.0.0.13") == "10.0.0.13"
    assert s.lease(mac(2)) == "10.0.0.10"
    s.run(3700000)
    assert not s.server.leases()
    assert s.lease(mac(1)) == "10.0.0.13" and s.lease(mac(3)) == "10.0.0.11"
    assert s.lease(mac(4), wanted="10.0.0.13") == "10.0.0.12", "another has it"


def test_reservations():
    s = Served(reservations={"02:00:00:00:01:07": "10.0.0.11", b"\xffid": "10.0.0.99",
                             "printer": "10.0.0.50"})
    assert s.lease(mac(1)) == "10.0.0.10"
    assert s.lease(mac(2)) == "10.0.0.12", "not one that is reserved"
    assert s.lease(mac(7)) == "10.0.0.11"
    assert s.lease(mac(8), options={m.CLIENT_ID: b"\xffid"}) == "10.0.0.99"
    assert s.lease(mac(9), options={m.HOSTNAME: b"printer"}) == "10.0.0.50"
    out, = s.say(m.REQUEST, mac(7), options={m.WANTED_ADDRESS: parse("10.0.0.13")})
    assert out.kind == m.NAK


def test_address_that_answers_is_not_offered():
    s = Served()
    s.neighbours["10.0.0.10"] = mac(99)
    assert not s.say(m.DISCOVER, mac(1)), "the second one is still being asked"
    s.run(600)
    offer, = s.replies
    assert offer.yiaddr == "10.0.0.11" and s.server.count["in_use"] == 1
    s.replies = []
    pings = [f for _, f in s.frames if f[12:14] == b"\x08\0" and f[23] == 1]
    assert len(pings) == 1 and pings[0][34] == 8
    # One whose ARP entry was there before must answer the ping.
    s = Served()
    assert s.lease(mac(1)) == "10.0.0.10"
    s.neighbours["10.0.0.10"] = mac(1)
    s.run(3000)
    assert s.link.arp.table
    s.say(m.RELEASE, mac(1), "10.0.0.10", src="10.0.0.10")
    assert s.lease(mac(2), wanted="10.0.0.10") == "10.0.0.10"


def test_many_discoveries_at_once_are_bounded():
    s = Served()
    s.server.last = s.server.first + 200
    for i in range(20):
        d = m.begin(m.REQUEST_OP, m.DISCOVER, b"\1\2\3\4", mac(i))
        s.give(datagram(bytes(m.finish(d)), "0.0.0.0", ports=(68, 67)))
    s.run(600)
    assert len({x.yiaddr for x in s.replies}) == len(s.replies) == 8
    assert s.server.count["busy"] == 12 and not s.server.pending


def test_requests_about_addresses():
    def ask(s, addr, n=1, **about):
        return [x.kind for x in s.say(m.REQUEST, mac(n), options={m.WANTED_ADDRESS: parse(addr)},
                                      **about)]

    s = Served()
    assert s.lease(mac(1)) == "10.0.0.10"
    assert ask(s, "10.0.0.10") == [m.ACK], "after a reboot"
    assert ask(s, "10.0.0.10", 2) == [m.NAK] and s.replies == []
    assert ask(s, "10.0.0.12", 3) == [m.ACK], "we have forgotten it: it may keep what is free"
    assert ask(s, "192.168.1.5", 4) == [m.NAK], "another network's"
    assert ask(s, "10.0.0.77", 5) == [], "another server's, perhaps"
    out = s.say(m.REQUEST, mac(1), "10.0.0.10", src="10.0.0.10")
    assert not out, "the answer waits for ARP"
    s.neighbours["10.0.0.10"] = mac(1)
    s.run(2000)
    assert s.replies[0].dst == "10.0.0.10" and s.replies[0].ciaddr == "10.0.0.10"
    s.replies = []
    out, = s.say(m.REQUEST, mac(2), "10.0.0.10", src="10.0.0.10")
    assert out.kind == m.NAK and out.to_all and m.LEASE_TIME not in out.options
    assert not s.say(m.REQUEST, mac(6), "10.0.0.88", src="10.0.0.88")
    s = Served()
    s.say(m.DISCOVER, mac(1))
    assert not s.say(m.REQUEST, mac(1), options={
        m.SERVER_ID: parse("10.0.0.2"), m.WANTED_ADDRESS: parse("10.0.0.9")})
    assert s.server.count["other_server"] == 1 and s.lease(mac(2)), "the offer is free again"


def test_decline():
    s = Served()
    assert s.lease(mac(1)) == "10.0.0.10"
    s.say(m.DECLINE, mac(1), options={m.WANTED_ADDRESS: parse("10.0.0.10")})
    assert s.server.count["decline"] == 1 and s.lease(mac(1)) == "10.0.0.11"
    assert [s.lease(mac(i)) for i in (2, 3, 4)] == ["10.0.0.12", "10.0.0.13", None]
    s.run(3700000)
    assert s.lease(mac(4)), "after a while it is tried again"
    s.say(m.DECLINE, mac(9), options={m.WANTED_ADDRESS: parse("10.0.0.12")})
    s.say(m.RELEASE, mac(9), "10.0.0.12")
    assert s.server.count["unexpected"] == 2, "not his"


def test_inform():
    s = Served(domain="home.arpa")
    s.neighbours["10.0.0.200"] = mac(1)
    out, = s.say(m.INFORM, mac(1), "10.0.0.200", src="10.0.0.200")
    assert out.kind == m.ACK and out.yiaddr == "0.0.0.0" and out.dst == "10.0.0.200"
    assert out.options[m.DOMAIN] == b"home.arpa" and m.LEASE_TIME not in out.options


def test_shorter_leases_on_request_and_names_in_option_81():
    s = Served()
    s.lease(mac(1), options={m.LEASE_TIME: b"\0\0\0\x78",
                             m.FQDN: b"\4\0\0\5board\4home\4arpa\0"})
    assert s.server.leases()[0][2] == "board" and s.server.leases()[0][3] in (119, 120)
    s.lease(mac(2), options={m.LEASE_TIME: b"\xff\xff\xff\xff", m.FQDN: b"\0\0\0other.home.arpa"})
    assert s.server.leases()[1][2] == "other" and s.server.leases()[1][3] <= 3600


def test_memory():
    kept = [(b"\x01" + mac(1), mac(1), "10.0.0.12", "one"),
            (b"\x01" + mac(3), mac(3), "10.9.9.9", "of another pool")]
    s = Served(load=lambda: kept)
    assert [x[:3] for x in s.server.leases()] == [("10.0.0.12", "02:00:00:00:01:01", "one")]
    assert s.lease(mac(2)) == "10.0.0.10" and s.lease(mac(1)) == "10.0.0.12"


def test_file():
    import os

    if not hasattr(os, "rename"):
        skip("no files here")
    name = "dhcpd-leases.test"
    file = File(name)
    kept = [(b"\xff\0\1", mac(1), "10.0.0.12", "one"), (b"\1", mac(2), "10.0.0.13", "")]
    try:
        file.save(kept)
        assert file.load() == kept
        for wrong in ("[[1", "7", "[7]", '[["0", "00", "10.0.0.1", ""]]',
                      '[["00", "00", "10.0.0.300", ""]]', '[[1, 2, 3, 4]]'):
            with open(name, "w") as f:
                f.write(wrong)
            assert file.load() == [], wrong
    finally:
        try:
            os.remove(name)
        except OSError:
            pass
    assert File("no/such/place").load() == []
    File("no/such/place").save(kept)


def test_pools_that_cannot_be():
    a = Alone()
    a.ip.add_address("10.0.0.1/24")
    raises(ValueError, Dhcpd, a.ip, "10.0.0.9", "10.0.0.8")
    raises(ValueError, Dhcpd, a.ip, "10.0.0.9", "11.0.0.8")
    assert not a.stack.udp.ports


class Cable:
    """Our client and our server on a cable, in virtual time."""

    def __init__(self, clients=1, **about):
        self.clock = Clock()
        self.ends = [End(bytes((2, 0, 0, 0, 0, i + 1))) for i in range(clients + 1)]
        self.stacks = []
        for end in self.ends:
            end.send_to = lambda frame, end=end: self.carry(frame, end)
            self.stacks.append(Stack(clock=self.clock, random=Random(len(self.stacks)),
                                     wait=self.clock.advance))
        self.ip = self.stacks[0].add(self.ends[0], "10.0.0.1/24")
        self.server = Dhcpd(self.ip, "10.0.0.10", "10.0.0.13", router="10.0.0.1", **about)
        self.clients = [Dhcp(stack.add(end), "c%d" % i)
                        for i, (stack, end) in enumerate(zip(self.stacks[1:], self.ends[1:]))]

    def carry(self, frame, sender):
        for end in self.ends:
            if end is not sender and (frame[0] & 1 or frame[:6] == end.mac):
                end.waiting.append(frame)

    def run(self, seconds):
        for _ in range(seconds * 10):
            for stack in self.stacks:
                stack.poll()
            self.clock.advance(100)


def test_our_clients_and_our_server():
    c = Cable(3)
    for client in c.clients:
        client.start()
    c.run(20)
    assert [x.state for x in c.clients] == [BOUND] * 3
    got = [x.ip.get_ipv4() for x in c.clients]
    assert sorted(got) == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]
    assert sorted([x[2] for x in c.server.leases()]) == ["c0", "c1", "c2"]
    c.run(1820)
    assert c.server.count["ack"] == 6, "renewed"
    assert [x.state for x in c.clients] == [BOUND] * 3
    c.clients[0].stop()
    c.run(2)
    assert c.server.count["release"] == 1 and len(c.server.leases()) == 2
    c.clients[1].link_down()
    c.clients[1].link_up()
    c.run(2)
    assert c.clients[1].state == BOUND and c.server.count["ack"] == 7
    assert c.stacks[0].stats()["eth0.dhcpd"] is c.server.count
    c.server.close()
    c.server.close()
    assert "eth0.dhcpd" not in c.stacks[0].stats()
    assert not c.stacks[0].raw.endpoints


def test_mutated_and_random_requests():
    rand = Random(99)
    s = Served(reservations={"02:00:00:00:01:07": "10.0.0.11"})
    count = s.server.count
    for _ in range(800):
        d = m.begin(m.REQUEST_OP, rand.below(10), rand(4), mac(rand.below(9)))
        for code in (m.CLIENT_ID, m.WANTED_ADDRESS, m.SERVER_ID, m.FQDN, m.HOSTNAME, m.AGENT,
                     m.LEASE_TIME, m.OVERLOAD):
            if rand.below(5) == 0:
                m.put(d, code, (rand(rand.below(9)), parse("10.0.0.1"), parse("10.0.0.12"),
                                b"\4\0\0" + rand(rand.below(9)))[rand.below(4)])
        if rand.below(2):
            m.put(d, m.WANTED_ADDRESS, parse("10.0.0.%d" % (9 + rand.below(6))))
        m.finish(d)
        if rand.below(2):
            for _ in range(rand.below(6)):
                d[rand.below(len(d))] = rand(1)[0]
            d = d[:len(d) - rand.below(100)]
        s.give(datagram(bytes(d), "0.0.0.0", ports=(68, 67)))
        s.replies = []
        s.frames = []
        if rand.below(5) == 0:
            s.run(rand.below(3000))
        assert len(s.server.by_addr) <= 8 and len(s.server.pending) <= 8
        assert len(s.server.by_key) == len(s.server.by_addr)
    assert count["malformed"] > 50 and count["offer"] and count["ack"] and count["nak"], count
