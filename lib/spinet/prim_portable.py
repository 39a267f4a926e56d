"""The primitives in plain bytecode: for runtimes that cannot emit native code, and the reference.

Nothing here allocates where small integers have 31 bits: no intermediate reaches 2**30 (sums are
folded before they could), except in `get32` and `put32`, whose values may.
"""

_FOLD = 1 << 13     # bytes summed between two folds: 2**12 words of 16 bits, so below 2**28


def cksum(buf, start, end, acc=0):
    acc = (acc & 0xFFFF) + (acc >> 16)
    while True:
        # High and low bytes add up apart: that saves a shift and an `or` per word.
        stop = start + _FOLD
        if stop > end:
            stop = end
        stop -= 15
        lo = 0
        while start < stop:
            acc += (
                buf[start] + buf[start + 2] + buf[start + 4] + buf[start + 6]
                + buf[start + 8] + buf[start + 10] + buf[start + 12] + buf[start + 14]
            ) << 8
            lo += (
                buf[start + 1] + buf[start + 3] + buf[start + 5] + buf[start + 7]
                + buf[start + 9] + buf[start + 11] + buf[start + 13] + buf[start + 15]
            )
            start += 16
        acc += lo
        if end - start < 16:
            break
        acc = (acc & 0xFFFF) + (acc >> 16)
    stop = end - 1
    while start < stop:
        acc += (buf[start] << 8) | buf[start + 1]
        start += 2
    if start == stop:
        acc += buf[start] << 8
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc


def get16(buf, i):
    return (buf[i] << 8) | buf[i + 1]


def put16(buf, i, v):
    buf[i] = v >> 8
    buf[i + 1] = v & 0xFF


def get32(buf, i):
    return (buf[i] << 24) | (buf[i + 1] << 16) | (buf[i + 2] << 8) | buf[i + 3]


def put32(buf, i, v):
    buf[i] = v >> 24 & 0xFF
    buf[i + 1] = v >> 16 & 0xFF
    buf[i + 2] = v >> 8 & 0xFF
    buf[i + 3] = v & 0xFF


def add32(dst, i, src, j, n):
    lo = ((src[j + 2] << 8) | src[j + 3]) + (n & 0xFFFF)
    hi = ((src[j] << 8) | src[j + 1]) + (n >> 16) + (lo >> 16)
    dst[i] = hi >> 8 & 0xFF
    dst[i + 1] = hi & 0xFF
    dst[i + 2] = lo >> 8 & 0xFF
    dst[i + 3] = lo & 0xFF


def diff32(a, i, b, j):
    lo = ((a[i + 2] << 8) | a[i + 3]) - ((b[j + 2] << 8) | b[j + 3])
    hi = ((a[i] << 8) | a[i + 1]) - ((b[j] << 8) | b[j + 1]) + (lo >> 16)
    lo &= 0xFFFF
    if hi >= 0x8000:
        hi -= 0x10000
    elif hi < -0x8000:
        hi += 0x10000
    if hi >= 0x4000:
        return 0x3FFFFFFF
    if hi < -0x4000 or (hi == -0x4000 and not lo):
        return -0x3FFFFFFF
    return (hi << 16) | lo


def eq4(a, i, b, j):
    return (
        a[i] == b[j] and a[i + 1] == b[j + 1] and a[i + 2] == b[j + 2] and a[i + 3] == b[j + 3]
    )


def eq6(a, i, b, j):
    return (
        a[i + 5] == b[j + 5] and a[i] == b[j] and a[i + 1] == b[j + 1]
        and a[i + 2] == b[j + 2] and a[i + 3] == b[j + 3] and a[i + 4] == b[j + 4]
    )


def eq8(a, i, b, j):
    return eq4(a, i, b, j) and eq4(a, i + 4, b, j + 4)


def copy(dst, i, src, j, n):
    end = i + n
    j -= i
    stop = end - 7
    while i < stop:
        dst[i] = src[i + j]
        dst[i + 1] = src[i + j + 1]
        dst[i + 2] = src[i + j + 2]
        dst[i + 3] = src[i + j + 3]
        dst[i + 4] = src[i + j + 4]
        dst[i + 5] = src[i + j + 5]
        dst[i + 6] = src[i + j + 6]
        dst[i + 7] = src[i + j + 7]
        i += 8
    while i < end:
        dst[i] = src[i + j]
        i += 1


def ip_end(buf, h, end):
    if end - h < 20 or buf[h] != 0x45 or buf[h + 6] & 0x3F or buf[h + 7]:
        return 0
    total = buf[h + 2] << 8 | buf[h + 3]
    if total > end - h or total < 20 or cksum(buf, h, h + 20) != 0xFFFF:
        return 0
    return h + total


def ip_head(dst, i, head, acc, n, ident, offset):
    copy(dst, i, head, 0, 20)
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
