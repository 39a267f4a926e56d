"""Addresses: what is taken, what is refused, and with which words."""
from kit import raises
from spinet import addr


def refusal(fn, x):
    try:
        got = fn(x)
    except ValueError as e:
        return str(e)
    raise AssertionError("%r was taken as %r" % (x, got))


def test_parse_text_and_bytes():
    assert addr.parse("10.0.0.1") == b"\x0a\x00\x00\x01"
    assert addr.parse("255.255.255.255") == b"\xff\xff\xff\xff"
    assert addr.parse("0.0.0.0") == bytes(4)
    for wire in (b"\x0a\x00\x02\x0f", bytearray(b"\x0a\x00\x02\x0f")):
        got = addr.parse(wire)
        assert got == b"\x0a\x00\x02\x0f" and isinstance(got, bytes)
    got = addr.parse(memoryview(bytearray(b"..\x0a\x00\x02\x0f"))[2:])
    assert got == b"\x0a\x00\x02\x0f" and isinstance(got, bytes)


def test_parse_is_a_copy():
    wire = bytearray(b"\x0a\x00\x00\x01")
    got = addr.parse(wire)
    wire[3] = 9
    assert got == b"\x0a\x00\x00\x01"


def test_parse_refuses_and_says_why():
    four = "an IPv4 address is four numbers with dots between"
    assert refusal(addr.parse, "10.0.0.300") == "10.0.0.300: octet 300 is over 255"
    assert refusal(addr.parse, "10.0.0.256") == "10.0.0.256: octet 256 is over 255"
    assert refusal(addr.parse, "10.0.0.1000") == "10.0.0.1000: octet 1000 is over 255"
    assert refusal(addr.parse, "10.0.0") == "10.0.0: " + four
    assert refusal(addr.parse, "10.0.0.1.") == "10.0.0.1.: " + four
    assert refusal(addr.parse, ".10.0.0.1") == ".10.0.0.1: " + four
    assert refusal(addr.parse, "10.0..1") == "10.0..1: a number is missing"
    assert refusal(addr.parse, "10.0.0.") == "10.0.0.: a number is missing"
    assert refusal(addr.parse, "") == "'': " + four
    assert refusal(addr.parse, "10") == "10: " + four
    assert refusal(addr.parse, "10.0.0.-1") == "10.0.0.-1: -1 is not a decimal number"
    assert refusal(addr.parse, "10.0.0.+1") == "10.0.0.+1: +1 is not a decimal number"
    assert refusal(addr.parse, "10.0.0.0x1") == "10.0.0.0x1: 0x1 is not a decimal number"
    assert refusal(addr.parse, "10.0.0.1_0") == "10.0.0.1_0: 1_0 is not a decimal number"
    assert refusal(addr.parse, "10.0.0.01") == "10.0.0.01: octet 01 begins with 0"
    assert refusal(addr.parse, "example.com.a.b") == (
        "example.com.a.b: example is not a decimal number"
    )


def test_parse_refuses_white_space_and_other_digits():
    for x in (" 10.0.0.1", "10.0.0.1 ", "10.0.0.1\n", "10. 0.0.1", "10.0.0.\u0661"):
        assert "is not a decimal number" in refusal(addr.parse, x), repr(x)


def test_a_refusal_does_not_echo_a_long_text():
    assert len(refusal(addr.parse, "1" * 5000)) < 150
    assert len(refusal(addr.parse, "1" * 5000 + ".0.0.1")) < 150


def test_parse_refuses_other_types_and_lengths():
    assert refusal(addr.parse, b"\x0a\x00\x00") == "an IPv4 address is 4 bytes, not 3"
    assert refusal(addr.parse, b"10.0.0.1") == "an IPv4 address is 4 bytes, not 8"
    assert refusal(addr.parse, 167772161) == "an IPv4 address is text or 4 bytes, not int"
    assert refusal(addr.parse, None) == "an IPv4 address is text or 4 bytes, not NoneType"


def test_fmt():
    assert addr.fmt(b"\x0a\x00\x02\x0f") == "10.0.2.15"
    assert addr.fmt(bytearray(b"\x00\x00\xff\x00\x00\x01"), 2) == "255.0.0.1"


def test_fmt_is_the_inverse_of_parse():
    for text in ("0.0.0.0", "1.2.3.4", "10.20.30.200", "127.0.0.1", "255.255.255.255"):
        assert addr.fmt(addr.parse(text)) == text


def test_parse_cidr():
    assert addr.parse_cidr("10.0.0.1/24") == (b"\x0a\x00\x00\x01", 24)
    assert addr.parse_cidr("10.0.0.1/0") == (b"\x0a\x00\x00\x01", 0)
    assert addr.parse_cidr("10.0.0.1/32") == (b"\x0a\x00\x00\x01", 32)
    assert addr.parse_cidr("10.0.0.1") == (b"\x0a\x00\x00\x01", 32)
    assert addr.parse_cidr(b"\x0a\x00\x00\x01") == (b"\x0a\x00\x00\x01", 32)


def test_parse_cidr_refuses_and_says_why():
    after = ": after the slash stands a prefix length, 0 to 32"
    assert refusal(addr.parse_cidr, "10.0.0.1/33") == "10.0.0.1/33: prefix length 33 is over 32"
    for x in ("10.0.0.1/", "10.0.0.1/-1", "10.0.0.1/24/", "10.0.0.1/a", "10.0.0.1/024"):
        assert refusal(addr.parse_cidr, x) == x + after
    assert refusal(addr.parse_cidr, "10.0.0.300/24") == "10.0.0.300: octet 300 is over 255"


def test_mask_and_prefixlen():
    assert addr.mask(0) == bytes(4)
    assert addr.mask(8) == b"\xff\x00\x00\x00"
    assert addr.mask(20) == b"\xff\xff\xf0\x00"
    assert addr.mask(31) == b"\xff\xff\xff\xfe"
    assert addr.mask(32) == b"\xff\xff\xff\xff"
    for n in range(33):
        assert addr.prefixlen(addr.mask(n)) == n
    assert addr.prefixlen("255.255.255.0") == 24


def test_mask_and_prefixlen_refuse():
    raises(ValueError, addr.mask, 33)
    raises(ValueError, addr.mask, -1)
    for x in ("255.0.255.0", "0.0.0.1", "255.255.255.253", "0.255.255.255", "127.0.0.0"):
        assert refusal(addr.prefixlen, x) == x + ": in a netmask no 1 follows a 0"


def test_mac():
    wire = b"\x02\x00\x5e\x10\xab\xff"
    assert addr.mac("02:00:5e:10:ab:ff") == wire
    assert addr.mac("02-00-5E-10-AB-FF") == wire
    assert addr.mac(bytearray(wire)) == wire
    assert addr.fmt_mac(wire) == "02:00:5e:10:ab:ff"
    assert addr.fmt_mac(b"\x00\x00" + wire, 2) == "02:00:5e:10:ab:ff"


def test_mac_refuses_and_says_why():
    six = ": a MAC address is six hexadecimal bytes"
    for x in ("02:00:5e:10:ab", "02:00:5e:10:ab:ff:", "02005e10abff", "0200.5e10.abff"):
        assert refusal(addr.mac, x) == x + six
    assert refusal(addr.mac, "") == "''" + six
    for x, part in (
        ("02:00:5e:10:ab:f", "f"), ("02:00:5e:10:ab:0ff", "0ff"), ("02:00:5e:10:ab:+f", "+f"),
        ("02:00:5e:10:ab:gg", "gg"), ("02:00:5e:10::ff", "''"), ("02-00-5e-10-ab:ff-1", "ab:ff"),
    ):
        assert refusal(addr.mac, x) == x + ": " + part + " is not two hexadecimal digits"
    assert refusal(addr.mac, b"12345") == "a MAC address is 6 bytes, not 5"
    assert refusal(addr.mac, 5) == "a MAC address is text or 6 bytes, not int"
