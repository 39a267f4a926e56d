"""The signature of MirageOS's V1.IPV4."""
from kit import raises
from lone import ALL_MAC, OUR_MAC, PEER_MAC, Lone, arp, ether, ipv4, udp
from net import End, checksum

from spinet import Error, Ethernet, IPv4, Unimplemented, Unknown


def bare():
    end = End(OUR_MAC)
    sent = []
    end.send_to = sent.append
    eth = Ethernet(end)
    return IPv4.connect(eth), eth, sent


def test_errors_are_oserrors_of_one_family():
    assert issubclass(Unknown, Error) and issubclass(Unimplemented, Error)
    assert issubclass(Error, OSError)


def test_connect_gives_the_interface_back_as_id_and_disconnect_never_fails():
    ip, eth, _ = bare()
    assert ip.id is eth
    raises(Unknown, IPv4.connect, eth)
    ip.disconnect()
    ip.disconnect()
    IPv4.connect(eth)


def test_defaults_and_setters():
    ip, _, _ = bare()
    assert ip.get_ipv4() == "0.0.0.0"
    assert ip.get_ipv4_netmask() == "0.0.0.0"
    assert ip.get_ipv4_gateways() == []
    ip.set_ipv4("10.1.2.3")
    ip.set_ipv4_netmask("255.255.0.0")
    ip.set_ipv4_gateways(["10.1.0.1", b"\x0a\1\0\2"])
    assert ip.get_ipv4() == "10.1.2.3"
    assert ip.get_ipv4_netmask() == "255.255.0.0"
    assert ip.get_ipv4_gateways() == ["10.1.0.1", "10.1.0.2"]
    ip.set_ipv4("10.1.9.9")
    assert ip.get_ipv4() == "10.1.9.9" and ip.get_ipv4_netmask() == "255.255.0.0"
    ip.set_ipv4_gateways([])
    assert ip.get_ipv4_gateways() == []
    ip.set_ipv4("0.0.0.0")
    assert ip.get_ipv4() == "0.0.0.0"
    for bad in ("10.0.0", "10.0.0.256", "224.0.0.1", "127.0.0.1", b"abc"):
        raises(ValueError, ip.set_ipv4, bad)
    raises(ValueError, ip.set_ipv4_netmask, "255.0.255.0")


def test_netmask_may_come_before_the_address():
    ip, _, _ = bare()
    ip.set_ipv4_netmask("255.255.255.0")
    ip.set_ipv4("10.1.2.3")
    assert ip.get_ipv4_netmask() == "255.255.255.0"


def test_input_hands_each_protocol_to_its_callback():
    ip, _, _ = bare()
    ip.set_ipv4("10.0.0.1")
    ip.set_ipv4_netmask("255.255.255.0")
    seen = []

    def tcp(src, dst, buf):
        seen.append(("tcp", src, dst, bytes(buf)))

    def other(src, dst, buf):
        seen.append(("udp", src, dst, bytes(buf)))

    def default(proto):
        return lambda src, dst, buf: seen.append((proto, src, dst, bytes(buf)))

    for proto in (6, 17, 1, 99):
        ip.input(ipv4("10.0.0.1", proto, b"payload%d" % proto) + b"padding", tcp=tcp, udp=other,
                 default=default)
    assert seen == [
        ("tcp", "10.0.0.2", "10.0.0.1", b"payload6"), ("udp", "10.0.0.2", "10.0.0.1", b"payload17"),
        (1, "10.0.0.2", "10.0.0.1", b"payload1"), (99, "10.0.0.2", "10.0.0.1", b"payload99"),
    ]
    ip.input(ipv4("10.0.0.9", 6, b"x"), tcp=tcp, udp=other, default=default)
    ip.input(ipv4("10.0.0.1", 6, b"x")[:-1], tcp=tcp, udp=other, default=default)
    assert len(seen) == 4 and ip.count["not_for_us"] == 1 and ip.count["bad_length"] == 1


def test_allocate_write_makes_one_right_frame():
    ip, eth, sent = bare()
    ip.set_ipv4("10.0.0.1")
    ip.set_ipv4_netmask("255.255.255.0")
    eth.input(ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, kind=0x0806),
              0, 42)
    del sent[:]
    for proto, number in (("ICMP", 1), ("TCP", 6), ("UDP", 17), (17, 17)):
        frame, n = ip.allocate_frame(proto, "10.0.0.2")
        assert n == 34 and len(frame) == 34
        assert frame[:14] == PEER_MAC + OUR_MAC + b"\x08\0"
        ip.write(frame, b"payload")
        out = sent.pop()
        assert not sent and len(out) == 41
        assert out[14] == 0x45 and out[16:18] == b"\0\x1b" and out[23] == number
        assert checksum(out[14:34]) == 0
        assert out[26:34] == b"\x0a\0\0\1\x0a\0\0\2" and out[34:] == b"payload"


def test_header_of_the_transport_may_be_appended_or_given_as_a_piece():
    n = Lone(answers=True)
    frame, k = n.ip.allocate_frame("UDP", "10.0.0.2")
    frame += udp(1, 2, b"data")[:8]
    n.ip.write(frame, b"data")
    frame, k = n.ip.allocate_frame("UDP", "10.0.0.2")
    n.ip.writev(frame, [udp(1, 2, b"data")[:8], b"da", b"ta"])
    n.give()
    n.run(5)
    one, two = n.take()
    assert one[34:46] == two[34:46] == udp(1, 2, b"data")
    assert one[18:20] != two[18:20], "each has an identification of its own"


def test_writev_hands_the_pieces_to_a_port_that_takes_them():
    n = Lone()
    n.give(ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, kind=0x0806))
    n.take()
    got = []

    def sendv(pieces):
        got.append([bytes(p) for p in pieces])
        return True

    n.end.sendv = sendv
    frame, _ = n.ip.allocate_frame("TCP", "10.0.0.2")
    n.ip.writev(frame, [b"h" * 20, b"p" * 100])
    assert len(got) == 1 and [len(p) for p in got[0]] == [34, 20, 100]
    assert checksum(got[0][0][14:]) == 0 and got[0][0][:6] == PEER_MAC


def test_too_long_for_the_mtu_leaves_as_fragments():
    n = Lone(answers=True)
    frame, _ = n.ip.allocate_frame("UDP", "10.0.0.2")
    n.give()
    n.ip.write(frame, b"f" * 3000)
    n.run(5)
    assert [len(f) for f in n.take()] == [1514, 1514, 74]


def test_misuse_is_an_error():
    n = Lone()
    raises(ValueError, n.ip.allocate_frame, "SCTP", "10.0.0.2")
    raises(ValueError, n.ip.allocate_frame, "TCP", "10.0.0")
    raises(Unknown, n.ip.allocate_frame, "TCP", "192.168.1.1")
    raises(Unknown, n.ip.write, bytearray(10), b"x")
