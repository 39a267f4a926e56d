"""The primitives in native code, for MicroPython where it has an emitter.

A file of its own because a build without one raises SyntaxError for a whole module, and because
`mpy-cross` takes it only with `-march`.  Little-endian machines only (all that emit, are).  A 16-
or 32-bit access happens at an even or word address alone: a Cortex-M0+ faults on any other.  Viper
integers are machine words; nothing here depends on whether that is 32 or 64 bits.
"""
# ruff: noqa: F821 - the names of viper's types are known to the compiler alone
import sys

import micropython

if sys.byteorder != "little":
    raise ImportError("big-endian")

try:
    from spinet.prim_thumb import copy_words, sum_words
except (ImportError, SyntaxError):      # no Cortex-M
    copy_words = sum_words = None


@micropython.viper
def _cksum(buf, start: int, end: int, acc: int) -> int:
    n = end - start
    a = int(ptr8(buf)) + start
    s = 0
    odd = a & 1
    if n > 0 and odd:
        # RFC 1071 2(B): words that begin at an odd place add up byte-swapped.
        s = ptr8(a)[0] << 8
        a += 1
        n -= 1
    # From 64 bytes on a call is worth it.
    if n >= 64 and a >> 30 == 0 and sum_words:
        if a & 2:
            s += ptr16(a)[0]
            a += 2
            n -= 2
        s += int(sum_words(a, n >> 4 << 2))
        a += n & ~15
        n &= 15
    p = ptr16(a)
    # 2**15 words of 16 bits cannot reach 2**31.
    while n >= 16:
        s += p[0] + p[1] + p[2] + p[3] + p[4] + p[5] + p[6] + p[7]
        p = ptr16(int(p) + 16)
        n -= 16
    while n >= 2:
        s += p[0]
        p = ptr16(int(p) + 2)
        n -= 2
    if n > 0:
        s += ptr8(int(p))[0]
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    if not odd:
        s = ((s & 0xFF) << 8) | (s >> 8)
    s += acc
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


@micropython.native
def cksum(buf, start, end, acc=0):      # viper has no default values
    return _cksum(buf, start, end, acc)


@micropython.viper
def get16(buf, i: int) -> int:
    p = ptr8(int(ptr8(buf)) + i)
    return (p[0] << 8) | p[1]


@micropython.viper
def put16(buf, i: int, v: int):
    p = ptr8(int(ptr8(buf)) + i)
    p[0] = v >> 8
    p[1] = v


@micropython.viper
def get32(buf, i: int) -> uint:
    p = ptr8(int(ptr8(buf)) + i)
    return uint((p[0] << 24) | (p[1] << 16) | (p[2] << 8) | p[3])


@micropython.viper
def put32(buf, i: int, v: uint):
    p = ptr8(int(ptr8(buf)) + i)
    p[0] = v >> 24
    p[1] = v >> 16
    p[2] = v >> 8
    p[3] = v


@micropython.viper
def add32(dst, i: int, src, j: int, n: int):
    p = ptr8(int(ptr8(src)) + j)
    n += (p[0] << 24) | (p[1] << 16) | (p[2] << 8) | p[3]
    p = ptr8(int(ptr8(dst)) + i)
    p[0] = n >> 24
    p[1] = n >> 16
    p[2] = n >> 8
    p[3] = n


@micropython.viper
def diff32(a, i: int, b, j: int) -> int:
    p = ptr8(int(ptr8(a)) + i)
    q = ptr8(int(ptr8(b)) + j)
    lo = ((p[2] << 8) | p[3]) - ((q[2] << 8) | q[3])
    hi = ((p[0] << 8) | p[1]) - ((q[0] << 8) | q[1]) + (lo >> 16)
    lo &= 0xFFFF
    if hi >= 0x8000:
        hi -= 0x10000
    elif hi < -0x8000:
        hi += 0x10000
    if hi >= 0x4000:
        return 0x3FFFFFFF
    if hi < -0x4000 or (hi == -0x4000 and lo == 0):
        return -0x3FFFFFFF
    return (hi << 16) | lo


@micropython.viper
def eq4(a, i: int, b, j: int) -> bool:
    p = ptr8(int(ptr8(a)) + i)
    q = ptr8(int(ptr8(b)) + j)
    return p[0] == q[0] and p[1] == q[1] and p[2] == q[2] and p[3] == q[3]


@micropython.viper
def eq6(a, i: int, b, j: int) -> bool:
    p = ptr8(int(ptr8(a)) + i)
    q = ptr8(int(ptr8(b)) + j)
    return (
        p[5] == q[5] and p[0] == q[0] and p[1] == q[1]
        and p[2] == q[2] and p[3] == q[3] and p[4] == q[4]
    )


@micropython.viper
def eq8(a, i: int, b, j: int) -> bool:
    p = ptr8(int(ptr8(a)) + i)
    q = ptr8(int(ptr8(b)) + j)
    return (
        p[3] == q[3] and p[7] == q[7] and p[0] == q[0] and p[1] == q[1] and p[2] == q[2]
        and p[4] == q[4] and p[5] == q[5] and p[6] == q[6]
    )


@micropython.viper
def foresee(buf, start: int, end: int, mac, ip, tcp) -> int:
    n = end - start
    p = ptr8(int(ptr8(buf)) + start)
    if n < 54 or int(p) & 1:
        return -1
    h = ptr8(tcp)
    if (p[36] ^ h[0]) | (p[37] ^ h[1]) | (p[34] ^ h[2]) | (p[35] ^ h[3]) | (p[46] ^ h[12]) | (
            (p[47] | 8) ^ 0x18) | (p[38] ^ h[8]) | (p[39] ^ h[9]) | (p[40] ^ h[10]) | (
            p[41] ^ h[11]):
        return -1
    hlen = h[12] >> 2
    n -= 34 + hlen
    if hlen > 20:
        if n < 0 or (p[54] ^ h[20]) | (p[55] ^ h[21]) | (p[56] ^ h[22]) | (p[57] ^ h[23]):
            return -1
        d = ((p[58] << 24) | (p[59] << 16) | (p[60] << 8) | p[61]) - (
            (h[28] << 24) | (h[29] << 16) | (h[30] << 8) | h[31])
        if (d >> 31) & 1:
            return -1
    h = ptr8(ip)
    if (p[30] ^ h[12]) | (p[31] ^ h[13]) | (p[32] ^ h[14]) | (p[33] ^ h[15]) | (p[26] ^ h[16]) | (
            p[27] ^ h[17]) | (p[28] ^ h[18]) | (p[29] ^ h[19]) | (p[14] ^ 0x45) | (p[23] ^ 6) | (
            p[12] ^ 8) | p[13] | (p[20] & 0x3F) | p[21] | (p[6] & 1):
        return -1
    h = ptr8(mac)
    if (p[0] ^ h[0]) | (p[1] ^ h[1]) | (p[2] ^ h[2]) | (p[3] ^ h[3]) | (p[4] ^ h[4]) | (
            p[5] ^ h[5]) or p[15] & 3 == 3:
        return -1
    hlen = ((p[16] << 8) | p[17]) - 20 - hlen
    if hlen < 0 or hlen > n:
        return -1
    q = ptr16(int(p) + 14)
    n = q[0] + q[1] + q[2] + q[3] + q[4] + q[5] + q[6] + q[7] + q[8] + q[9]
    n = (n & 0xFFFF) + (n >> 16)
    if (n & 0xFFFF) + (n >> 16) != 0xFFFF:
        return -1
    return hlen


@micropython.viper
def copy(dst, i: int, src, j: int, n: int):
    d = int(ptr8(dst)) + i
    s = int(ptr8(src)) + j
    if n >= 16 and not (d ^ s) & 1:
        while d & 3:
            ptr8(d)[0] = ptr8(s)[0]
            d += 1
            s += 1
            n -= 1
        if not s & 3:
            if n >= 64 and (d | s) >> 30 == 0 and copy_words:
                copy_words(d, s, n >> 4 << 2)
                d += n & ~15
                s += n & ~15
                n &= 15
            p4 = ptr32(d)
            q4 = ptr32(s)
            while n >= 16:
                p4[0] = q4[0]
                p4[1] = q4[1]
                p4[2] = q4[2]
                p4[3] = q4[3]
                p4 = ptr32(int(p4) + 16)
                q4 = ptr32(int(q4) + 16)
                n -= 16
            d = int(p4)
            s = int(q4)
        p2 = ptr16(d)
        q2 = ptr16(s)
        while n >= 8:
            p2[0] = q2[0]
            p2[1] = q2[1]
            p2[2] = q2[2]
            p2[3] = q2[3]
            p2 = ptr16(int(p2) + 8)
            q2 = ptr16(int(q2) + 8)
            n -= 8
        d = int(p2)
        s = int(q2)
    p1 = ptr8(d)
    q1 = ptr8(s)
    while n >= 4:
        p1[0] = q1[0]
        p1[1] = q1[1]
        p1[2] = q1[2]
        p1[3] = q1[3]
        p1 = ptr8(int(p1) + 4)
        q1 = ptr8(int(q1) + 4)
        n -= 4
    while n > 0:
        p1[0] = q1[0]
        p1 = ptr8(int(p1) + 1)
        q1 = ptr8(int(q1) + 1)
        n -= 1


@micropython.viper
def ip_end(buf, h: int, end: int) -> int:
    p = ptr8(int(ptr8(buf)) + h)
    n = end - h
    if n < 20 or p[0] != 0x45 or (p[6] & 0x3F) | p[7]:
        return 0
    total = (p[2] << 8) | p[3]
    if total > n or total < 20:
        return 0
    s = 0
    i = 0
    while i < 20:
        s += (p[i] << 8) | p[i + 1]
        i += 2
    s = (s & 0xFFFF) + (s >> 16)
    if s + (s >> 16) & 0xFFFF != 0xFFFF:
        return 0
    return h + total


@micropython.viper
def ip_head(dst, i: int, head, acc: int, n: int, ident: int, offset: int):
    p = ptr8(int(ptr8(dst)) + i)
    q = ptr8(head)
    i = 0
    while i < 20:
        p[i] = q[i]
        i += 1
    p[2] = n >> 8
    p[3] = n
    if ident | offset:
        p[4] = ident >> 8
        p[5] = ident
        p[6] = offset >> 8
        p[7] = offset
    acc += n + ident + offset
    acc = (acc & 0xFFFF) + (acc >> 16)
    acc = (acc + (acc >> 16)) ^ 0xFFFF
    p[10] = acc >> 8
    p[11] = acc
