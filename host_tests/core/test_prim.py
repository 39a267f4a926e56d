"""The primitives: every implementation this runtime has, against a naive one written here."""
import sys

from kit import Random, heap_locked
from spinet import prim, prim_portable

MICROPYTHON = sys.implementation.name == "micropython"

IMPLEMENTATIONS = [prim_portable]
if prim.IMPLEMENTATION == "viper":
    from spinet import prim_viper

    IMPLEMENTATIONS.append(prim_viper)
elif prim.IMPLEMENTATION == "cpython":
    from spinet import prim_cpython

    IMPLEMENTATIONS.append(prim_cpython)

MAX = 0x3FFFFFFF


def naive_cksum(data, acc=0):
    """The words of RFC 1071, added one by one."""
    data = bytes(data)
    if len(data) & 1:
        data += b"\x00"
    for k in range(0, len(data), 2):
        acc += data[k] * 256 + data[k + 1]
        while acc > 0xFFFF:
            acc = acc % 0x10000 + acc // 0x10000
    while acc > 0xFFFF:
        acc = acc % 0x10000 + acc // 0x10000
    return acc


def naive_diff(a, b):
    d = (int.from_bytes(a, "big") - int.from_bytes(b, "big")) % (1 << 32)
    if d >= 1 << 31:
        d -= 1 << 32
    return max(-MAX, min(MAX, d))


def below(rand, n):
    return int.from_bytes(rand(3), "big") % n


def name(impl):
    return impl.__name__


def test_every_runtime_has_its_implementation():
    emitter = MICROPYTHON and sys.implementation._mpy >> 10
    want = "viper" if emitter else "portable" if MICROPYTHON else "cpython"
    assert prim.IMPLEMENTATION == want, prim.IMPLEMENTATION


def test_cksum_rfc1071_vector():
    """The example of RFC 1071, section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2."""
    data = bytearray(b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7")
    for m in IMPLEMENTATIONS:
        assert m.cksum(data, 0, 8) == 0xDDF2, name(m)


def test_cksum_of_an_ipv4_header_verifies():
    """A header with its checksum in place sums to ffff; without, to the complement of it."""
    header = bytearray(
        b"\x45\x00\x00\x73\x00\x00\x40\x00\x40\x11\xb8\x61\xc0\xa8\x00\x01\xc0\xa8\x00\xc7"
    )
    for m in IMPLEMENTATIONS:
        assert m.cksum(header, 0, 20) == 0xFFFF, name(m)
        assert m.cksum(header, 12, 20, m.cksum(header, 0, 10)) == 0xFFFF - 0xB861, name(m)


def test_cksum_every_offset_and_length():
    rand = Random(1)
    data = bytearray(rand(96))
    for m in IMPLEMENTATIONS:
        for start in range(9):
            for n in range(80):
                want = naive_cksum(data[start : start + n])
                got = m.cksum(data, start, start + n)
                assert got == want, (name(m), start, n, got, want)


def test_cksum_carry_in():
    rand = Random(2)
    data = bytearray(rand(64))
    for m in IMPLEMENTATIONS:
        for acc in (0, 1, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFE, 0x54321, 0xFFFFF):
            for start, end in ((0, 0), (1, 1), (0, 1), (1, 2), (3, 40), (4, 61)):
                got = m.cksum(data, start, end, acc)
                assert got == naive_cksum(data[start:end], acc), (name(m), acc, start, end)


def test_cksum_of_pieces_is_that_of_the_whole():
    """Split at any point: what follows an odd piece counts byte-swapped (RFC 1071, 2(B))."""
    rand = Random(3)
    data = bytearray(rand(57))
    for m in IMPLEMENTATIONS:
        whole = m.cksum(data, 2, 57)
        for cut in range(2, 58):
            acc = m.cksum(data, 2, cut)
            if cut & 1:
                acc = (acc & 0xFF) << 8 | acc >> 8
            acc = m.cksum(data, cut, 57, acc)
            if cut & 1:
                acc = (acc & 0xFF) << 8 | acc >> 8
            assert acc == whole, (name(m), cut)


def test_cksum_is_zero_only_if_everything_is():
    zeros = bytearray(700)
    ones = bytearray(b"\xff" * 700)
    for m in IMPLEMENTATIONS:
        assert m.cksum(zeros, 0, 700) == 0, name(m)
        assert m.cksum(zeros, 1, 700) == 0, name(m)
        assert m.cksum(zeros, 0, 700, 0xFFFF) == 0xFFFF, name(m)
        assert m.cksum(ones, 0, 2) == 0xFFFF, name(m)
        assert m.cksum(ones, 0, 700) == 0xFFFF, name(m)
        assert m.cksum(ones, 1, 699, 0xFFFF) == 0xFFFF, name(m)


def test_cksum_of_large_datagrams():
    """The largest sums there can be: 65,535 bytes of ff, and of chance, at both alignments."""
    ones = bytearray(b"\xff" * 65536)
    rand = Random(4)
    chance = bytearray(rand(4096) * 16)
    for m in IMPLEMENTATIONS:
        for start, end in ((0, 65535), (1, 65536), (1, 65535), (0, 8191), (0, 8192), (1, 16403)):
            want = naive_cksum(ones[start:end], 0xFFFF)
            assert m.cksum(ones, start, end, 0xFFFF) == want, name(m)
            assert m.cksum(chance, start, end) == naive_cksum(chance[start:end]), name(m)


def test_cksum_reads_views_and_bytes():
    rand = Random(5)
    data = bytearray(rand(1600))
    for m in IMPLEMENTATIONS:
        for start, end in ((0, 20), (1, 1500), (2, 1501)):
            want = naive_cksum(data[start:end])
            assert m.cksum(memoryview(data), start, end) == want, name(m)
            assert m.cksum(memoryview(data)[1:], start - 1 if start else 0, end - 1) == (
                naive_cksum(data[start or 1 : end])
            ), name(m)
            assert m.cksum(bytes(data), start, end) == want, name(m)


def test_get_and_put():
    rand = Random(6)
    for m in IMPLEMENTATIONS:
        for i in range(4):
            data = bytearray(rand(12))
            assert m.get16(data, i) == int.from_bytes(data[i : i + 2], "big"), name(m)
            assert m.get32(data, i) == int.from_bytes(data[i : i + 4], "big"), name(m)
        for v in (0, 1, 0xFF, 0x100, 0x1234, 0x8000, 0xFFFF):
            data = bytearray(b"\xa5" * 6)
            m.put16(data, 1, v)
            assert data == b"\xa5" + bytes((v >> 8, v & 255)) + b"\xa5" * 3, (name(m), v)
        for v in (0, 1, 0x12345678, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            data = bytearray(b"\xa5" * 7)
            m.put32(data, 1, v)
            assert data == b"\xa5" + v.to_bytes(4, "big") + b"\xa5\xa5", (name(m), v)
            assert m.get32(data, 1) == v, (name(m), v)


INTERESTING = (
    0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x3FFFFFFE, 0x3FFFFFFF, 0x40000000, 0x40000001,
    0x7FFFFFFF, 0x80000000, 0x80000001, 0xBFFFFFFF, 0xC0000000, 0xC0000001, 0xFFFFFFFE, 0xFFFFFFFF,
)


def test_diff32_at_the_edges():
    """Exact within +-(2**30 - 1), across the wrap, and clamped beyond: outside any window."""
    a = bytearray(7)
    b = bytearray(5)
    for m in IMPLEMENTATIONS:
        for x in INTERESTING:
            a[3:7] = x.to_bytes(4, "big")
            for y in INTERESTING:
                b[1:5] = y.to_bytes(4, "big")
                got = m.diff32(a, 3, b, 1)
                assert got == naive_diff(a[3:7], b[1:5]), (name(m), hex(x), hex(y), got)


def test_diff32_at_random():
    rand = Random(7)
    for m in IMPLEMENTATIONS:
        for _ in range(200):
            a = bytearray(rand(9))
            i = below(rand, 6)
            j = below(rand, 6)
            assert m.diff32(a, i, a, j) == naive_diff(a[i : i + 4], a[j : j + 4]), (name(m), a)


def test_add32():
    for m in IMPLEMENTATIONS:
        for x in INTERESTING:
            src = bytearray(b"\x5a") + x.to_bytes(4, "big") + b"\x5a"
            for n in (0, 1, -1, 255, -255, 1460, -1460, 0xFFFF, -0xFFFF, 0x10000, -0x10000,
                      0x12345678, -0x12345678, MAX, -MAX, -MAX - 1):
                want = ((x + n) % (1 << 32)).to_bytes(4, "big")
                dst = bytearray(b"\xa5" * 7)
                m.add32(dst, 2, src, 1, n)
                assert dst == b"\xa5\xa5" + want + b"\xa5", (name(m), hex(x), n)
                same = bytearray(src)
                m.add32(same, 1, same, 1, n)
                assert same == b"\x5a" + want + b"\x5a", (name(m), hex(x), n)


def test_add32_and_diff32_are_inverse():
    rand = Random(8)
    for m in IMPLEMENTATIONS:
        for _ in range(100):
            a = bytearray(rand(4))
            b = bytearray(4)
            n = below(rand, 1 << 24) - (1 << 23)
            m.add32(b, 0, a, 0, n)
            assert m.diff32(b, 0, a, 0) == n, (name(m), a, n)


def test_eq():
    base = bytearray(b"\x11\x22\x33\x44\x55\x66")
    for m in IMPLEMENTATIONS:
        for width, eq in ((4, m.eq4), (6, m.eq6)):
            for i in range(3):
                a = bytearray(b"\xee" * i) + base + b"\xdd"
                assert eq(a, i, base, 0) is True, (name(m), width, i)
                assert eq(a, i, bytes(base), 0) is True, (name(m), width, i)
                for k in range(width):
                    a[i + k] ^= 0x80
                    assert eq(a, i, base, 0) is False, (name(m), width, i, k)
                    a[i + k] ^= 0x80
                if i:
                    a[i - 1] ^= 1
                a[i + width] ^= 1
                assert eq(a, i, base, 0) is True, (name(m), width, i, "bytes outside matter")


def test_copy_every_alignment_and_length():
    rand = Random(9)
    src = bytearray(rand(80))
    for m in IMPLEMENTATIONS:
        for i in range(5):
            for j in range(5):
                for n in (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 18, 19, 31, 32, 33, 47, 48, 50, 70):
                    dst = bytearray(b"\xa5" * 80)
                    m.copy(dst, i, src, j, n)
                    want = b"\xa5" * i + src[j : j + n] + b"\xa5" * (80 - i - n)
                    assert dst == want, (name(m), i, j, n)


def test_copy_between_views():
    rand = Random(10)
    src = rand(1500)
    for m in IMPLEMENTATIONS:
        dst = bytearray(1600)
        m.copy(memoryview(dst)[3:], 2, memoryview(src)[1:], 4, 1460)
        assert dst == bytes(5) + src[5:1465] + bytes(135), name(m)


def test_copy_towards_the_front_of_one_buffer():
    rand = Random(11)
    data = rand(64)
    for m in IMPLEMENTATIONS:
        for distance in range(12):
            for n in (1, 16, 33, 48):
                buf = bytearray(data)
                m.copy(buf, 2, buf, 2 + distance, n)
                want = data[:2] + data[2 + distance : 2 + distance + n] + data[2 + n :]
                assert buf == want, (name(m), distance, n)


def test_ticks():
    top = 0x3FFFFFFF
    half = 1 << 29
    assert 0 <= prim.ticks_ms() <= top
    assert prim.ticks_add(top, 1) == 0
    assert prim.ticks_add(0, -1) == top
    assert prim.ticks_add(top, half - 1) == half - 2
    assert prim.ticks_add(5, 1000) == 1005
    for start in (0, 5, half - 1, half, half + 1, top - 1, top):
        for delta in (0, 1, -1, 1000, -1000, half - 1, -half + 1):
            later = prim.ticks_add(start, delta)
            assert 0 <= later <= top
            assert prim.ticks_diff(later, start) == delta, (start, delta)


def test_ticks_advance():
    start = prim.ticks_ms()
    for _ in range(10000000):
        if prim.ticks_diff(prim.ticks_ms(), start) >= 3:
            return
    raise AssertionError("the clock stands still")


def test_urandom():
    assert len(prim.urandom(16)) == 16
    assert prim.urandom(16) != prim.urandom(16)


HIGH = 0x3FFFFFFF


def exercise(m, a, b):
    m.cksum(a, 0, 1600)
    m.cksum(a, 1, 1600, 0xFFFF)
    m.cksum(a, 3, 1502, 0xFFFFF)
    m.get16(a, 1)
    m.put16(b, 1, 0xFFFF)
    m.put32(b, 1, HIGH)
    m.get32(b, 1)
    m.add32(b, 3, a, 1, HIGH)
    m.add32(b, 3, a, 1, -HIGH)
    m.add32(b, 4, b, 4, 1460)
    m.diff32(a, 1, b, 8)
    m.diff32(b, 9, a, 2)
    m.diff32(a, 1, a, 9)
    m.eq4(a, 1, b, 2)
    m.eq6(a, 1, a, 2)
    m.copy(b, 0, a, 1, 1460)
    m.copy(b, 2, a, 54, 1460)


def segment(n, tos=0, frag=0x4000, proto=6, total=None, flags=0x18, stamp=5):
    """A frame with `n` bytes, and the MAC address, IPv4 header and TCP header that expect it."""
    mac = b"\x02\0\0\0\0\x0f"
    ip = bytearray(b"\x45\0\0\0\0\0\x40\0\x40\x06\0\0\x0a\0\0\x0f\x0a\0\0\x01")
    tcp = bytearray(b"\x13\x88\xc0\x01\0\0\0\x07\xff\xff\xff\xfe\x80\0\0\0\0\0\0\0"
                    b"\1\1\x08\x0a\0\0\0\0\xff\xff\xff\xfd")
    frame = bytearray(66 + n)
    frame[0:6] = mac
    frame[6:14] = b"\x02\0\0\0\0\x01\x08\0"
    total = 52 + n if total is None else total
    frame[14:34] = bytes((0x45, tos, total >> 8, total & 255, 1, 2, frag >> 8, frag & 255, 64,
                          proto, 0, 0)) + ip[16:20] + ip[12:16]
    k = naive_cksum(frame[14:34]) ^ 0xFFFF
    frame[24:26] = bytes((k >> 8, k & 255))
    frame[34:38] = tcp[2:4] + tcp[0:2]
    frame[38:42] = tcp[8:12]
    frame[46:48] = bytes((0x80, flags))
    frame[54:62] = tcp[20:24] + ((0xFFFFFFFD + stamp) % (1 << 32)).to_bytes(4, "big")
    return frame, mac, ip, tcp


def test_foresee_takes_what_is_expected_and_nothing_else():
    if prim.foresee is None:
        return
    for n in (0, 1, 1448):
        for tos in (0, 1, 2, 0xFC):
            frame, mac, ip, tcp = segment(n, tos)
            assert prim.foresee(frame, 0, len(frame), mac, ip, tcp) == n
            inside = bytearray(2) + frame + bytearray(4)        # with what the link padded
            assert prim.foresee(inside, 2, len(inside), mac, ip, tcp) == n
            assert prim.foresee(inside, 2, len(inside) - 5, mac, ip, tcp) == -1
    for wrong in (dict(tos=3), dict(frag=0x2000), dict(frag=1), dict(frag=0x1F00), dict(proto=17),
                  dict(total=51), dict(total=153), dict(flags=0x11), dict(flags=0x12),
                  dict(flags=0x14), dict(flags=0x30), dict(flags=0x50), dict(flags=0x90),
                  dict(flags=8), dict(stamp=-1), dict(stamp=1 << 31)):
        frame, mac, ip, tcp = segment(100, **wrong)
        assert prim.foresee(frame, 0, len(frame), mac, ip, tcp) == -1, wrong
    for stamp in (0, 1, 2, 3, (1 << 31) - 1):
        frame, mac, ip, tcp = segment(100, stamp=stamp)
        assert prim.foresee(frame, 0, len(frame), mac, ip, tcp) == 100, stamp


def test_foresee_looks_at_every_bit():
    if prim.foresee is None:
        return
    frame, mac, ip, tcp = segment(9)
    free = set()            # of bits: another station, its acknowledgement, window, PSH, checksum
    for first, end in ((6, 12), (42, 46), (48, 54), (62, 75)):
        free.update(range(8 * first, 8 * end))
    free.add(8 * 47 + 3)
    free.update(range(8 * 58, 8 * 62))          # the clock is held above
    free.remove(8 * 6)
    for bit in range(8 * len(frame)):
        frame[bit >> 3] ^= 1 << (bit & 7)
        if bit >> 3 not in range(58, 62):
            got = prim.foresee(frame, 0, len(frame), mac, ip, tcp)
            assert got == (9 if bit in free else -1), (bit >> 3, bit & 7)
        frame[bit >> 3] ^= 1 << (bit & 7)
    mac = bytearray(mac)
    for header, first, end in ((mac, 0, 6), (ip, 12, 20), (tcp, 0, 4), (tcp, 8, 12), (tcp, 20, 24)):
        for bit in range(8 * first, 8 * end):
            header[bit >> 3] ^= 1 << (bit & 7)
            assert prim.foresee(frame, 0, len(frame), mac, ip, tcp) == -1, (first, bit)
            header[bit >> 3] ^= 1 << (bit & 7)
    assert prim.foresee(frame, 0, len(frame), mac, ip, tcp) == 9


def exercise_ticks():
    prim.ticks_diff(prim.ticks_add(prim.ticks_ms(), 0x1FFFFFFF), 3)
    prim.ticks_diff(0, HIGH)
    prim.ticks_diff(HIGH, 0)
    prim.ticks_add(HIGH, 0x1FFFFFFF)


def test_nothing_allocates():
    """Every primitive, every implementation, with large numbers in wire form, under heap_lock."""
    a = bytearray(b"\xff" * 1600)
    b = bytearray(b"\xff\x00" * 800)
    for m in IMPLEMENTATIONS:
        exercise(m, a, b)
        heap_locked(lambda m=m: exercise(m, a, b))
    heap_locked(exercise_ticks)


def test_foresee_does_not_allocate():
    if prim.foresee is not None:
        frame, mac, ip, tcp = segment(1448)
        heap_locked(lambda: prim.foresee(frame, 0, 1514, mac, ip, tcp))


def test_large_sums_do_not_allocate():
    ones = bytearray(b"\xff" * 65535)
    for m in IMPLEMENTATIONS:
        heap_locked(lambda m=m: m.cksum(ones, 0, 65535, 0xFFFF))


def packet(rand, n):
    """An IPv4 packet of `n` bytes with a right checksum, in a buffer, and where it begins."""
    h = below(rand, 8)
    buf = bytearray(rand(h + n + 9))
    buf[h:h + 12] = bytes((0x45, 0, n >> 8, n & 255, buf[h], buf[h + 1], 0x40, 0, 64, 6, 0, 0))
    k = naive_cksum(buf[h:h + 20]) ^ 0xFFFF
    buf[h + 10:h + 12] = bytes((k >> 8, k & 255))
    return buf, h


def test_ip_end_of_a_plain_header():
    rand = Random(5)
    for _ in range(50):
        n = 20 + below(rand, 1481)
        buf, h = packet(rand, n)
        for m in IMPLEMENTATIONS:
            for more in (0, 1, 9):
                assert m.ip_end(buf, h, h + n + more) == h + n, name(m)
            assert m.ip_end(buf, h, h + n - 1) == 0, name(m)
            assert m.ip_end(buf, h, h + 19) == 0, name(m)


def test_ip_end_of_a_special_header():
    """Options, fragments, a length that is too small, any wrong bit: not for the short way."""
    rand = Random(6)
    for place, value in ((0, 0x46), (0, 0x65), (0, 0x44), (6, 0x20), (6, 1), (7, 1), (2, 0)):
        buf, h = packet(rand, 60)
        if place == 2:
            buf[h + 3] = 19
        buf[h + place] = value
        buf[h + 10] = buf[h + 11] = 0
        k = naive_cksum(buf[h:h + 20]) ^ 0xFFFF
        buf[h + 10:h + 12] = bytes((k >> 8, k & 255))
        for m in IMPLEMENTATIONS:
            assert m.ip_end(buf, h, h + 60) == 0, (name(m), place, value)
    buf, h = packet(rand, 60)
    for bit in range(160):
        buf[h + bit // 8] ^= 1 << bit % 8
        for m in IMPLEMENTATIONS:
            assert m.ip_end(buf, h, h + 60) == 0, (name(m), bit)
        buf[h + bit // 8] ^= 1 << bit % 8


def test_ip_head():
    rand = Random(7)
    for turn in range(60):
        head, h = packet(rand, 20)
        head = head[h:h + 20]
        for i in (2, 3, 4, 5, 10, 11) + ((6,) if turn & 1 else ()):
            head[i] = 0
        n = below(rand, 65536)
        ident = below(rand, 65536) if turn & 1 else 0
        offset = below(rand, 16384) if turn & 2 and ident else 0
        want = bytearray(head)
        want[2:4] = bytes((n >> 8, n & 255))
        if ident or offset:
            want[4:8] = bytes((ident >> 8, ident & 255, offset >> 8, offset & 255))
        k = naive_cksum(want) ^ 0xFFFF
        want[10:12] = bytes((k >> 8, k & 255))
        i = below(rand, 9)
        before = bytearray(rand(40))
        for m in IMPLEMENTATIONS:
            out = bytearray(before)
            m.ip_head(out, i, head, naive_cksum(head), n, ident, offset)
            assert out == before[:i] + want + before[i + 20:], (name(m), n, ident, offset)


def test_ip_primitives_allocate_nothing():
    buf, h = packet(Random(8), 100)
    out = bytearray(40)

    def exercise(m):
        m.ip_end(buf, h, h + 100)
        m.ip_head(out, 3, buf, 0xFFFF, 65535, 65535, 0x3FFF)

    for m in IMPLEMENTATIONS:
        heap_locked(lambda m=m: exercise(m))
