"""DHCP messages and leases: what options mean, and that nothing malformed or hostile does harm."""
from dhcpnet import SERVER, Alone, answer, datagram, u32
from kit import Random
from lone import OUR_MAC

from spinet import dhcp, lease
from spinet import dhcpmsg as m
from spinet.addr import parse
from spinet.dhcp import Dhcp
from spinet.lease import Lease

XID = b"\1\2\3\4"


def parsed(tail, file=b"", sname=b"", head=b"\x35\1\5"):
    """The options of a message with these bytes in its places for options."""
    d = m.begin(m.REPLY_OP, m.ACK, XID, OUR_MAC)[:240] + head + tail
    d[m.FILE:m.FILE + len(file)] = file
    d[m.SNAME:m.SNAME + len(sname)] = sname
    return m.parse(d, 0, len(d))


def leased(**options):
    """A Lease with these options, by the names they have in dhcpmsg."""
    whole = {m.SERVER_ID: parse(SERVER), m.LEASE_TIME: u32(600)}
    for name in options:
        whole[getattr(m, name)] = options[name]
    return Lease(parse("10.0.0.77"), whole)


def test_options_pads_and_ends():
    assert parsed(b"\0\0\x0f\3abc\0\xff\x0f\3xyz") == {53: b"\5", 15: b"abc"}
    assert parsed(b"") == {53: b"\5"}, "an end that is missing is no harm"
    assert parsed(b"\x0f\0\xff") == {53: b"\5", 15: b""}


def test_options_that_do_not_end():
    for tail in (b"\x0f", b"\x0f\5abcd", b"\x0f\xff", b"\x0f\3abc\x33"):
        assert parsed(tail) is None, tail
    assert parsed(b"", head=b"") is None, "a type must be there"
    assert parsed(b"", head=b"\x35\2\5\5") is None
    d = m.begin(m.REPLY_OP, m.ACK, XID, OUR_MAC)
    for n in range(240):
        assert m.parse(d, 0, n) is None
    d[m.COOKIE] ^= 1
    assert m.parse(d, 0, len(d)) is None
    d[m.COOKIE] ^= 1
    d.extend(bytes(1500))
    assert m.parse(d, 0, len(d)) is None, "too long"


def test_pieces_of_an_option_are_one():
    long = bytes(range(256)) * 2
    d = m.begin(m.REPLY_OP, m.ACK, XID, OUR_MAC)
    m.put(d, m.VENDOR, long)
    assert len(d) == 243 + 6 + 512
    assert m.parse(d, 0, len(d))[m.VENDOR] == long
    assert parsed(b"\x0f\2ab\x06\1x\x0f\2cd") == {53: b"\5", 15: b"abcd", 6: b"x"}


def test_overload():
    file = b"\x0f\3exa\xff\x2a\4zzzz"
    sname = b"\x0f\4mple\x0c\1h\xff"
    assert parsed(b"\x34\1\1\xff", file, sname) == {53: b"\5", 52: b"\1", 15: b"exa"}
    assert parsed(b"\x34\1\2\xff", file, sname) == {53: b"\5", 52: b"\2", 15: b"mple", 12: b"h"}
    assert parsed(b"\x34\1\3\xff", file, sname) == {
        53: b"\5", 52: b"\3", 15: b"example", 12: b"h"}, "in this order: RFC 3396, 5"
    for wrong in (b"\x34\1\0", b"\x34\1\4", b"\x34\0", b"\x34\2\1\1"):
        assert parsed(wrong, file, sname) is None
    assert parsed(b"\x34\1\1", b"\x0f\xc0" + bytes(126)) is None, "within its field"
    assert parsed(b"\x34\1\1", b"\x34\1\3\xff", b"\x0c\xff")[52] == b"\1\3", "and not again"


def test_addresses_and_times():
    x = leased(MASK=b"\xff\xff\xfe\0", ROUTERS=parse("10.0.0.1") + bytes(4) + parse("10.0.0.2"),
               DNS=parse("224.0.0.1") + parse("127.0.0.1") + parse("8.8.8.8") * 9,
               NTP=b"\x0a\0\0", HOSTNAME=b"board\0", VENDOR=b"\1\2")
    assert x.length == 23 and x.routers == [parse("10.0.0.1"), parse("10.0.0.2")]
    assert x.dns == [parse("8.8.8.8")] * 4 and x.ntp == [] and x.hostname == "board"
    assert x.vendor == b"\1\2" and (x.time, x.t1, x.t2) == (600, 300, 525)
    assert x.routes == [(bytes(4), 0, parse("10.0.0.1")), (bytes(4), 0, parse("10.0.0.2"))]
    for mask in (b"\xff\0\xff\0", b"\xff", b""):
        assert leased(MASK=mask).length == 8, "by class"
    assert Lease(parse("172.16.0.9"), {}).length == 16
    assert Lease(parse("192.168.0.9"), {}).length == 24
    assert leased(LEASE_TIME=m.INFINITE).time == lease.FOREVER
    assert leased(LEASE_TIME=b"\xff\xff\xff\xfe").time == (1 << 30) - 1
    assert leased(LEASE_TIME=b"\0\0\0").usable() is False


def test_mtu_and_broadcast():
    for option, mtu in ((b"\5\xdc", 1500), (b"\2\x40", 576), (b"\2\x3f", 0), (b"\0\x44", 0),
                        (b"\xff\xff", 65535), (b"\5", 0), (b"", 0)):
        assert leased(MTU=option).mtu == mtu
    h = Alone()
    x = leased(MASK=b"\xff\xff\xff\0", MTU=b"\xff\xff", BROADCAST=parse("10.0.0.0"))
    x.apply(h.ip)
    assert h.link.mtu == 1500, "never more than the link's own"
    assert h.ip.addresses[0].broadcast == parse("10.0.0.0")
    x.withdraw(h.ip)
    leased(MASK=b"\xff\xff\xff\0", BROADCAST=parse("8.8.8.8")).apply(h.ip)
    assert h.ip.addresses[0].broadcast == parse("10.0.0.255")


def test_classless_routes_take_the_place_of_routers():
    data = (b"\x18\xc0\xa8\7" + parse("10.0.0.2") + b"\0" + parse("10.0.0.3")
            + b"\x09\x0b\x80" + bytes(4) + b"\x20\7\7\7\7" + parse("10.0.0.4"))
    x = leased(ROUTES=data, ROUTERS=parse("10.0.0.1"),
               STATIC_ROUTES=parse("9.9.9.9") + parse("10.0.0.9"))
    assert x.routes == [
        (parse("192.168.7.0"), 24, parse("10.0.0.2")), (bytes(4), 0, parse("10.0.0.3")),
        (parse("11.128.0.0"), 9, None), (parse("7.7.7.7"), 32, parse("10.0.0.4"))]
    h = Alone()
    x.apply(h.ip)
    assert h.ip.get_ipv4_gateways() == ["10.0.0.3"]
    assert h.ip.routes.lookup(parse("192.168.7.1")).gateway == parse("10.0.0.2")
    x.withdraw(h.ip)
    assert not h.ip.routes.entries
    # What is cut off, or longer than 32 bits, is as if it were not there.
    for wrong in (data[:-1], b"\x21\1\2\3\4\5" + parse("10.0.0.1"), b"\x18\1"):
        assert leased(ROUTES=wrong, ROUTERS=parse("10.0.0.1")).routes == [
            (bytes(4), 0, parse("10.0.0.1"))]
    many = leased(ROUTES=(b"\x20\7\7\7\7" + parse("10.0.0.4")) * 40)
    assert len(many.routes) == 16
    assert leased(ROUTES=b"\x08\xe0" + parse("10.0.0.4") + b"\x08\x7f" + parse("10.0.0.4")
                  + b"\x08\x09" + parse("255.255.255.255")).routes == []


def test_static_routes_by_class():
    x = leased(STATIC_ROUTES=b"".join(parse(a) for a in (
        "192.168.9.0", "10.0.0.2", "172.20.0.0", "10.0.0.3", "172.20.0.7", "10.0.0.4",
        "0.0.0.0", "10.0.0.5", "9.0.0.0", "0.0.0.0")))
    assert [(r[1], r[2][3]) for r in x.routes] == [(24, 2), (16, 3), (32, 4)]
    assert leased(STATIC_ROUTES=bytes(7)).routes == []


def test_domains_and_search_list():
    assert leased(DOMAIN=b"example.org\0").domain == "example.org"
    for wrong in (b"a b", b"$(reboot)", b"x\n", b"\xc3\xa4", b"a" * 254):
        assert leased(DOMAIN=wrong).domain == "", wrong
    data = b"\3eng\7example\3com\0\4corp\xc0\4\xc0\0"
    assert m.domains(data) == ["eng.example.com", "corp.example.com", "eng.example.com"]
    assert m.domains(b"\1a\0" * 20) == ["a"] * 6
    for wrong in (b"\3abc\xc0\0", b"\xc0\0", b"\1a\xc0\1", b"\xc0", b"\3ab", b"\1a", b"\x40abc",
                  b"\1 \0", b"\1.\0", b"\3abc\xc0\4", b"\x3f" + b"a" * 10):
        assert m.domains(wrong) == [], wrong
    assert m.domains(b"\1a\0\3abc\xc0\3") == ["a"], "what came before counts"
    assert m.domains((b"\x3f" + b"a" * 63) * 4 + b"\0") == [], "too long a name"


def test_dns_form_of_names():
    assert m.name_in_dns_form("a.bc.") == b"\1a\2bc\0"


OPTIONS = (
    1, 3, 6, 12, 15, 26, 28, 33, 42, 43, 51, 52, 53, 54, 58, 59, 61, 81, 82, 119, 121, 0, 255)


def hostile(rand, mac, xid):
    """An answer that looks right at first sight, with options at random."""
    options = {}
    for _ in range(rand.below(8)):
        options[OPTIONS[rand.below(len(OPTIONS) - 2)]] = rand(rand.below(20))
    kind = (m.OFFER, m.ACK, m.ACK, m.NAK)[rand.below(4)]
    d = bytearray(answer(kind, xid, mac, "10.0.0.%d" % rand.below(256), options=options))
    for _ in range(rand.below(6)):
        what = rand.below(4)
        i = 236 + rand.below(max(len(d) - 236, 1)) if rand.below(3) else rand.below(len(d))
        if what == 0 and i < len(d):
            d[i] = OPTIONS[rand.below(len(OPTIONS))]
        elif what == 1 and i < len(d):
            d[i] = rand(1)[0]
        elif what == 2 and len(d) > 250:
            d = d[:max(i, 200)]
        else:
            d.extend(rand(rand.below(40)))
    return bytes(d)


def test_mutated_and_random_answers():
    rand = Random(77)
    h = Alone()
    client = Dhcp(h.ip, "board")
    client.start()
    count = client.count
    seen = set()
    for _ in range(1500):
        if rand.below(40) == 0:
            frame = datagram(rand(rand.below(600)))
        else:
            frame = datagram(hostile(rand, OUR_MAC, client.xid))
        others = ("tx", "tx_failed", "decline", "expired")
        before = sum([count[k] for k in count if k not in others])
        h.give(frame)
        after = sum([count[k] for k in count if k not in others])
        assert after == before + (client.state != dhcp.IDLE), "each answer counts once"
        seen.add(client.state)
        if rand.below(4) == 0:
            h.run(rand.below(9000))
        if rand.below(300) == 0:
            client.link_down()
            client.link_up()
        h.messages = []
        h.frames = []
        assert len(h.ip.addresses) <= 1 and len(h.ip.routes.entries) <= 18
        assert 576 <= h.link.mtu <= 1500
        if client.lease is not None and 0 < client.lease.time < 1 << 30 and rand.below(3) == 0:
            h.run(min(client.lease.t1, 4000) * 1000 + 100)
    assert {dhcp.SELECTING, dhcp.REQUESTING, dhcp.CHECKING, dhcp.BOUND} <= seen, seen
    client.stop()
    h.run(2000)
    assert not h.ip.addresses and not h.ip.routes.entries and not h.stack.udp.ports
