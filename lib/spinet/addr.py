"""Addresses: text to wire form and back.

Inside the stack an IPv4 address is 4 bytes and a MAC 6, as on the wire.  Functions that take an
address from a user accept text or such bytes; what they refuse is a ValueError that says why.
"""


def parse(x):
    """IPv4 address of `x`, text "a.b.c.d" or bytes-like of 4, as 4 `bytes`.

    Only the dotted form of four decimal numbers is taken (RFC 6943 3.1.1: the others mean different
    things to different programs).
    """
    if isinstance(x, str):
        parts = x.split(".")
        if len(parts) != 4:
            raise ValueError("%s: an IPv4 address is four numbers with dots between" % quote(x))
        return bytes([_octet(part, x) for part in parts])
    if isinstance(x, (bytes, bytearray, memoryview)):
        if len(x) != 4:
            raise ValueError("an IPv4 address is 4 bytes, not %d" % len(x))
        return bytes(x)
    raise ValueError("an IPv4 address is text or 4 bytes, not %s" % type(x).__name__)


def fmt(b, i=0):
    """Text "a.b.c.d" of the 4 bytes at b[i]."""
    return "%d.%d.%d.%d" % (b[i], b[i + 1], b[i + 2], b[i + 3])


def parse_cidr(x):
    """(address as 4 bytes, prefix length) of text like "10.0.0.1/24"; no prefix means 32."""
    if not isinstance(x, str):
        return parse(x), 32
    address, slash, length = x.partition("/")
    if not slash:
        return parse(address), 32
    if not _digits(length, 2):
        raise ValueError("%s: after the slash stands a prefix length, 0 to 32" % quote(x))
    if int(length) > 32:
        raise ValueError("%s: prefix length %s is over 32" % (quote(x), length))
    return parse(address), int(length)


def mask(prefixlen):
    """Netmask of a prefix length (0 to 32), as 4 bytes."""
    if not 0 <= prefixlen <= 32:
        raise ValueError("prefix length %d is not within 0 to 32" % prefixlen)
    return bytes([_mask_octet(prefixlen - at) for at in (0, 8, 16, 24)])


def prefixlen(mask):
    """Prefix length of a netmask, text or 4 bytes; its ones must come first."""
    wire = parse(mask)
    n = 0
    for octet in wire:
        while octet & 0x80:
            octet = (octet << 1) & 0xFF
            n += 1
        if octet:
            break
    for k in range(4):
        if wire[k] != _mask_octet(n - 8 * k):
            raise ValueError("%s: in a netmask no 1 follows a 0" % fmt(wire))
    return n


def mac(x):
    """MAC address of `x`, text "aa:bb:cc:dd:ee:ff" (or "-") or bytes-like of 6, as 6 `bytes`."""
    if isinstance(x, str):
        parts = x.split("-" if "-" in x else ":")
        if len(parts) != 6:
            raise ValueError("%s: a MAC address is six hexadecimal bytes" % quote(x))
        return bytes([_hex_octet(part, x) for part in parts])
    if isinstance(x, (bytes, bytearray, memoryview)):
        if len(x) != 6:
            raise ValueError("a MAC address is 6 bytes, not %d" % len(x))
        return bytes(x)
    raise ValueError("a MAC address is text or 6 bytes, not %s" % type(x).__name__)


def fmt_mac(b, i=0):
    """Text "aa:bb:cc:dd:ee:ff" of the 6 bytes at b[i]."""
    return "%02x:%02x:%02x:%02x:%02x:%02x" % (
        b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5]
    )


def quote(x):
    """What a message shows of text from a user: as it is if that is harmless, and not too much."""
    if len(x) > 40:
        x = x[:40] + "..."
    for c in x:
        if not " " < c <= "~":
            return repr(x)
    return x or "''"


def _digits(text, most):
    """True if `text` is 1 to `most` ASCII digits (`str.isdigit` takes others as well)."""
    if not 0 < len(text) <= most:
        return False
    for c in text:
        if not "0" <= c <= "9":
            return False
    return True


def _octet(part, x):
    if not part:
        raise ValueError("%s: a number is missing" % quote(x))
    if not _digits(part, len(part)):
        raise ValueError("%s: %s is not a decimal number" % (quote(x), quote(part)))
    if len(part) > 1 and part[0] == "0":
        raise ValueError("%s: octet %s begins with 0" % (quote(x), quote(part)))
    if len(part) > 3 or int(part) > 255:
        raise ValueError("%s: octet %s is over 255" % (quote(x), quote(part)))
    return int(part)


def _hex_octet(part, x):
    if len(part) == 2:
        for c in part:
            if c not in "0123456789abcdefABCDEF":
                break
        else:
            return int(part, 16)
    raise ValueError("%s: %s is not two hexadecimal digits" % (quote(x), quote(part)))


def _mask_octet(ones):
    """The octet that begins with so many ones; any number is taken as within 0 to 8."""
    return 0xFF00 >> min(max(ones, 0), 8) & 0xFF
