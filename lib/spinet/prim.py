"""Primitives: the one place that knows which runtime it is on."""
import io
import os
import sys
import time

_PERIOD = 1 << 30
_HALF = 1 << 29


def cksum(buf, start, end, acc=0):
    last = end - 1
    i = start
    while i < last:
        acc += (buf[i] << 8) | buf[i + 1]
        i += 2
    if i == last:
        acc += buf[i] << 8
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
    hi = (((a[i] << 8) | a[i + 1]) - ((b[j] << 8) | b[j + 1]) + (lo >> 16)) & 0xFFFF
    if hi & 0x8000:
        hi -= 0x10000
    if hi >= 0x3FFF:
        return 0x3FFFFFFF
    if hi < -0x3FFF:
        return -0x3FFFFFFF
    return (hi << 16) | (lo & 0xFFFF)


def eq4(a, i, b, j):
    return a[i] == b[j] and a[i + 1] == b[j + 1] and a[i + 2] == b[j + 2] and a[i + 3] == b[j + 3]


def eq6(a, i, b, j):
    return eq4(a, i, b, j) and a[i + 4] == b[j + 4] and a[i + 5] == b[j + 5]


def copy(dst, i, src, j, n):
    for k in range(n):
        dst[i + k] = src[j + k]


def ticks_add(t, d):
    return (t + d) & (_PERIOD - 1)


def ticks_diff(a, b):
    return ((a - b + _HALF) & (_PERIOD - 1)) - _HALF


if sys.implementation.name == "micropython":
    IOBase = io.IOBase
    _ms = time.ticks_ms

    def ticks_ms():
        return _ms() & (_PERIOD - 1)
else:
    IOBase = object
    _ns = time.monotonic_ns

    def ticks_ms():
        return _ns() // 1000000 & (_PERIOD - 1)

urandom = os.urandom
