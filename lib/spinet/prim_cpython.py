"""The primitives on CPython: few calls, and the loops in C.

`docs/primitives.md` has the measurements behind each choice.
"""
from struct import Struct

_get32 = Struct("!I").unpack_from
_put32 = Struct("!I").pack_into

_LONG = 256             # bytes from which a view is cheaper to make than a copy
_BITS = 736 * 8         # about half a full packet: adding the halves costs less than dividing them
_MASK = (1 << _BITS) - 1
_BITS2 = _BITS // 2
_MASK2 = (1 << _BITS2) - 1


def cksum(buf, start, end, acc=0, from_bytes=int.from_bytes):
    if end - start < _LONG:
        x = from_bytes(buf[start:end], "big")
    else:
        x = from_bytes(memoryview(buf)[start:end], "big")
    if (end - start) & 1:
        x <<= 8
    if x > _MASK2:
        x = (x & _MASK) + (x >> _BITS)
        x = (x & _MASK2) + (x >> _BITS2)
    # 2**16 = 1 modulo 65535, so the remainder is the sum of the words, carries added back in.
    s = x % 65535
    if not s and x:
        s = 65535
    if acc:
        s += acc
        while s > 65535:
            s = (s & 65535) + (s >> 16)
    return s


def get16(buf, i):
    return (buf[i] << 8) | buf[i + 1]


def put16(buf, i, v):
    buf[i] = v >> 8
    buf[i + 1] = v & 255


def get32(buf, i):
    return _get32(buf, i)[0]


def put32(buf, i, v):
    _put32(buf, i, v & 0xFFFFFFFF)


def add32(dst, i, src, j, n):
    _put32(dst, i, (_get32(src, j)[0] + n) & 0xFFFFFFFF)


def diff32(a, i, b, j):
    d = ((_get32(a, i)[0] - _get32(b, j)[0] + 0x80000000) & 0xFFFFFFFF) - 0x80000000
    if -0x40000000 < d < 0x40000000:
        return d
    return 0x3FFFFFFF if d > 0 else -0x3FFFFFFF


def eq4(a, i, b, j):
    return _get32(a, i) == _get32(b, j)


def eq6(a, i, b, j):
    return a[i : i + 6] == b[j : j + 6]


def eq8(a, i, b, j):
    return a[i : i + 8] == b[j : j + 8]


def copy(dst, i, src, j, n):
    dst[i : i + n] = src[j : j + n]


def ip_end(buf, h, end):
    if end - h < 20 or buf[h] != 0x45 or buf[h + 6] & 0x3F or buf[h + 7]:
        return 0
    total = buf[h + 2] << 8 | buf[h + 3]
    if total > end - h or total < 20 or cksum(buf, h, h + 20) != 0xFFFF:
        return 0
    return h + total


def ip_head(dst, i, head, acc, n, ident, offset):
    dst[i:i + 20] = head
    dst[i + 2] = n >> 8
    dst[i + 3] = n & 0xFF
    if ident or offset:
        dst[i + 4] = ident >> 8
        dst[i + 5] = ident & 0xFF
        dst[i + 6] = offset >> 8
        dst[i + 7] = offset & 0xFF
        n += ident + offset
    acc += n
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc + (acc >> 16) & 0xFFFF) ^ 0xFFFF
    dst[i + 10] = acc >> 8
    dst[i + 11] = acc & 0xFF
