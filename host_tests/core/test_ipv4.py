"""IPv4: what is taken in, what is refused and counted, and how packets are addressed."""
from kit import raises
from lone import ALL_MAC, OUR_MAC, PEER_MAC, Lone, arp, ether, ipv4
from net import checksum


class Seen:
    """A protocol handler that keeps what it is given."""

    def __init__(self, n, proto=99):
        self.got = []
        n.stack.protocols[proto] = self

    def input(self, ip, buf, h, start, end):
        self.got.append((bytes(buf[h + 12:h + 16]), bytes(buf[start:end]), ip.rx_group))


def taken(n, *packets, dst=OUR_MAC):
    seen = Seen(n)
    n.give(*[ether(p, dst=dst) for p in packets])
    return [payload for _, payload, _ in seen.got]


def test_padding_of_the_link_is_cut_off():
    n = Lone()
    assert taken(n, ipv4("10.0.0.1", 99, b"ab") + b"\0" * 24) == [b"ab"]


def test_each_check_has_its_counter():
    n = Lone()
    good = ipv4("10.0.0.1", 99, b"data")
    cases = (
        (good[:19], "runt"), (b"\x65" + good[1:], "bad_version"),
        (b"\x44" + good[1:], "bad_length"),
        (good[:-1], "bad_length"), (ipv4("10.0.0.1", 99, b"data", total=19), "bad_length"),
        (good[:8] + b"\x41" + good[9:], "bad_checksum"),
        (ipv4("10.0.0.9", 99, b"x"), "not_for_us"), (ipv4("127.0.0.1", 99, b"x"), "not_for_us"),
        (ipv4("224.0.0.9", 99, b"x"), "not_for_us"), (ipv4("10.0.1.255", 99, b"x"), "not_for_us"),
        (ipv4("10.0.0.1", 99, b"x", src="127.0.0.1"), "bad_source"),
        (ipv4("10.0.0.1", 99, b"x", src="10.0.0.1"), "bad_source"),
        (ipv4("10.0.0.1", 99, b"x", src="10.0.0.255"), "bad_source"),
        (ipv4("10.0.0.1", 99, b"x", src="255.255.255.255"), "bad_source"),
        (ipv4("10.0.0.1", 99, b"x", src="239.1.2.3"), "bad_source"),
        (ipv4("10.0.0.1", 99, b"x", src="0.0.0.0"), "bad_source"),
        (ipv4("10.0.0.1", 98, b"x"), "no_protocol"),
        (ipv4("10.0.0.1", 99, b"x", options=b"\x83\7\4\x0a\0\0\x09\0"), "source_route"),
        (ipv4("10.0.0.1", 99, b"x", options=b"\x89\7\4\x0a\0\0\x09\0"), "source_route"),
        (ipv4("10.0.0.1", 99, b"x", options=b"\x07\xff\4\0"), "bad_options"),
        (ipv4("10.0.0.1", 99, b"x", options=b"\x07\1\4\0"), "bad_options"),
        (ipv4("10.0.0.1", 99, b"x", options=b"\1\1\1\x07"), "bad_options"),
    )
    for packet, counter in cases:
        before = n.ip.count[counter]
        assert taken(n, packet) == [], counter
        assert n.ip.count[counter] == before + 1, (counter, packet)


def test_options_are_skipped_by_their_length():
    n = Lone()
    options = b"\x07\7\4\0\0\0\0\1"
    assert taken(n, ipv4("10.0.0.1", 99, b"behind", options=options)) == [b"behind"]


def test_ttl_of_one_or_zero_is_no_reason_to_drop():
    n = Lone()
    assert len(taken(n, ipv4("10.0.0.1", 99, b"a", ttl=1), ipv4("10.0.0.1", 99, b"b", ttl=0))) == 2


def test_broadcasts_are_marked():
    n = Lone()
    seen = Seen(n)
    for dst in ("255.255.255.255", "10.0.0.255", "224.0.0.1"):
        n.give(ether(ipv4(dst, 99, b"b"), dst=ALL_MAC))
    n.give(ether(ipv4("10.0.0.1", 99, b"u")))
    assert [g for _, _, g in seen.got] == [True, True, True, False]


def test_one_hosts_address_in_a_link_broadcast_is_dropped():
    n = Lone()
    assert taken(n, ipv4("10.0.0.1", 99, b"x"), dst=ALL_MAC) == []
    assert n.ip.count["link_broadcast"] == 1


def test_several_addresses():
    n = Lone()
    n.ip.add_address("192.168.5.1/16")
    assert len(taken(n, ipv4("192.168.5.1", 99, b"a"), ipv4("10.0.0.1", 99, b"b"),
                     ipv4("192.168.255.255", 99, b"c"))) == 3
    assert n.ip.source(b"\xc0\xa8\7\7") == b"\xc0\xa8\5\1"
    assert n.ip.source(b"\x0a\0\0\7") == b"\x0a\0\0\1"
    assert n.stack.path(b"\xc0\xa8\7\7", 17).src == b"\xc0\xa8\5\1"
    n.ip.remove_address("192.168.5.1")
    assert taken(n, ipv4("192.168.5.1", 99, b"a")) == []
    raises(ValueError, n.ip.remove_address, "192.168.5.1")
    assert n.stack.path(b"\xc0\xa8\7\7", 17) is None


def test_a_network_of_two_has_no_broadcast():
    n = Lone(address="10.0.0.0/31")
    assert n.stack.path(b"\x0a\0\0\1", 17).hop.addr == b"\x0a\0\0\1"


def test_without_an_address_what_the_link_gives_us_is_taken_and_broadcast_can_be_sent():
    n = Lone(address=None)
    assert taken(n, ipv4("10.0.0.77", 99, b"offer")) == [b"offer"]
    path = n.stack.path(b"\xff\xff\xff\xff", 99)
    assert path.src == b"\0\0\0\0"
    assert path.send(0)
    out, = n.take()
    assert out[:6] == ALL_MAC and out[26:34] == b"\0\0\0\0\xff\xff\xff\xff"
    assert n.stack.path(b"\x0a\0\0\2", 99) is None


def test_source_zero_is_taken_in_a_broadcast():
    n = Lone()
    assert taken(n, ipv4("255.255.255.255", 99, b"discover", src="0.0.0.0"), dst=ALL_MAC) == [
        b"discover"]


def test_loopback_and_own_addresses_stay_inside():
    n = Lone()
    seen = Seen(n)
    assert not n.stack.lo.tx, "who does not talk to himself has no buffer for it"
    for dst in (b"\x7f\0\0\1", b"\x7f\1\2\3", b"\x0a\0\0\1"):
        path = n.stack.path(dst, 99)
        path.ip.tx[path.ip.hdr] = 0x55
        assert path.send(1)
    n.give()
    assert [p for _, p, _ in seen.got] == [b"\x55"] * 3
    assert not n.take()


def test_header_has_ttl_dscp_and_dont_fragment_as_asked():
    n = Lone()
    n.give(ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, kind=0x0806))
    n.take()
    path = n.stack.path(b"\x0a\0\0\2", 99, None, 7, 0xB8, True)
    path.send(4)
    path.send(4)
    a, b = n.take()
    assert a[15] == 0xB8 and a[20:22] == b"\x40\0" and a[22] == 7
    assert a[18:20] == b[18:20] == b"\0\0", "an atomic datagram needs no identification"
    assert checksum(a[14:34]) == 0
    path = n.stack.path(b"\x0a\0\0\2", 99)
    seen = set()
    for _ in range(50):
        path.send(4)
        out, = n.take()
        assert checksum(out[14:34]) == 0
        seen.add(out[18:20])
    assert len(seen) == 50


def test_fragments_on_send_cover_the_datagram_once():
    n = Lone()
    n.give(ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, kind=0x0806))
    n.take()
    path = n.stack.path(b"\x0a\0\0\2", 99)
    data = bytearray([i * 7 & 255 for i in range(5000)])
    assert path.send_large(data, 0, 5000)
    whole = bytearray(5000)
    idents = set()
    for f in n.take():
        assert checksum(f[14:34]) == 0
        field = f[20] << 8 | f[21]
        at = (field & 0x1FFF) * 8
        size = (f[16] << 8 | f[17]) - 20
        assert bool(field & 0x2000) == (at + size < 5000) and not size % 8 or at + size == 5000
        whole[at:at + size] = f[34:34 + size]
        idents.add(bytes(f[18:20]))
    assert whole == data and len(idents) == 1
    df = n.stack.path(b"\x0a\0\0\2", 99, None, 64, 0, True)
    assert raises(OSError, df.send_large, data, 0, 5000).errno in (90, 40)
    assert raises(OSError, path.send_large, bytearray(66000), 0, 66000).errno in (90, 40)


def test_transparent_takes_every_address():
    n = Lone()
    n.ip.transparent = True
    assert taken(n, ipv4("93.184.216.34", 99, b"to the world")) == [b"to the world"]


def test_two_interfaces_are_told_apart():
    n = Lone()
    from net import End
    other = End(b"\x02\0\0\0\0\x07")
    sent = []
    other.send_to = sent.append
    ip = n.stack.add(other, "172.16.0.1/12")
    assert n.stack.path(b"\xac\x10\0\2", 17).ip is ip
    assert n.stack.path(b"\x0a\0\0\2", 17).ip is n.ip
    assert taken(n, ipv4("172.16.0.1", 99, b"wrong side", src="10.0.0.2")) == [], "strong host"
    assert n.stack.stats()["eth1.ip"]["rx"] == 0
    n.stack.remove(ip)
    assert n.stack.path(b"\xac\x10\0\2", 17) is None


def test_an_interface_gets_a_name_that_is_free():
    from net import End
    n = Lone()
    n.stack.add(End(b"\x02\0\0\0\0\x07"))
    n.stack.remove(n.ip)
    n.stack.add(End(b"\x02\0\0\0\0\x08"))
    assert n.stack.names == ["lo", "eth1", "eth0"]
