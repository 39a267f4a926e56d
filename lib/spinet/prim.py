"""Primitives: the one place that knows which runtime it is on.

Everything takes whole buffers (`bytearray`, `memoryview` of bytes, `bytes` to read from) and
integer offsets into them; multi-byte values are big-endian, in wire form.  The caller sees to it
that they lie inside the buffer.  None of it allocates on MicroPython, but for the integers of
`get32` that are 2**30 or more: compute with differences instead.

    cksum(buf, start, end, acc=0)  Internet checksum (RFC 1071) of buf[start:end], begun with `acc`
                        (any small sum): the folded ones'-complement sum of 16-bit words, 0 to
                        0xFFFF, *not* complemented; 0 only if everything was 0.  An odd last byte
                        is padded with zero.  At most 65,535 bytes a call.
    get16(buf, i)       0 to 0xFFFF
    put16(buf, i, v)    v is 0 to 0xFFFF
    get32(buf, i)       0 to 2**32 - 1; allocates from 2**30 on where integers are 31 bits
    put32(buf, i, v)    v modulo 2**32
    add32(dst, i, src, j, n)  dst[i:i+4] = src[j:j+4] + n modulo 2**32; n is a small integer
    diff32(a, i, b, j)  serial difference a[i:i+4] - b[j:j+4] (RFC 1982), clamped to +-(2**30 - 1)
    eq4(a, i, b, j), eq6, eq8  4, 6 or 8 bytes equal?
    ip_end(buf, h, end)  where the IPv4 packet in buf[h:end] ends, if there is nothing special about
                        its header: no options, no fragment, lengths and checksum right; else 0
    ip_head(dst, i, head, acc, n, ident, offset)  dst[i:i+20] = the IPv4 header `head` with total
                        length, identification, fragment field (unless both are 0) and checksum;
                        `acc` is the sum of `head`, in which these are 0
    copy(dst, i, src, j, n)  dst[i:i+n] = src[j:j+n]; in one buffer only towards the front (i <= j)
    foresee(buf, start, end, mac, ip, tcp)  None, or: bytes of data in the frame buf[start:end], -1
                        unless it is untagged, to `mac`, and has the segment that TCP expects next,
                        from where the IPv4 header `ip` and to where the TCP header `tcp` would
                        lead, with no flags but ACK and PSH; all is checked but TCP's checksum
    frame_buffer(n)     a buffer for a frame of `n` bytes, at most; behind an Ethernet header begins
                        a machine word, where that makes `copy` faster

    ticks_ms()          milliseconds from an arbitrary start, modulo 2**30
    ticks_add(t, d), ticks_diff(a, b)  ticks arithmetic; |d| and the true difference below 2**29
    urandom(n)          n random bytes; a fresh `bytes`
    IOBase              what a socket subclasses to be a stream
    makefile(sock, ...) the file of a socket
    fileno(sock)        its descriptor, -1 where it has none
    finalize(obj, f, *args)  calls `f(*args)` once `obj` is garbage; None where there is `__del__`,
                        or neither
    unclosed(sock)      a warning that a socket was dropped; None where programs expect none
    keep(obj, *names)   has the object keep these methods of its class as attributes: MicroPython
                        calls them 10 to 30 us sooner (RP2040), for 24 bytes of RAM each.  Not for
                        what `Background` guards: that is wrapped in the class
    IMPLEMENTATION      "viper", "cpython" or "portable"
    BUFFER, MANY        default bytes of a socket's ring, default bound of the number of things

`docs/primitives.md` says what was measured and why each runtime has what it has.
"""
# ruff: noqa: F401, I001 - the names are for others to import
import io
import os
import sys
import time

try:
    urandom = os.urandom
except AttributeError:
    # WebAssembly has none.  `random` there is good enough for tests, not against an attacker.
    from random import getrandbits

    def urandom(n):
        return bytes(getrandbits(8) for _ in range(n))


if sys.implementation.name == "micropython":
    BUFFER = 4096
    MANY = 64
    IOBase = io.IOBase
    unclosed = None

    try:
        from weakref import finalize    # since 1.28, where firmware has it
    except ImportError:
        finalize = None

    def keep(obj, *names):
        # What an object has itself is found at once.  That it has no such attribute shows only
        # when its whole table, often full, has been searched; then come its classes.
        for name in names:
            setattr(obj, name, getattr(obj, name))

    def makefile(sock, *args, **kwargs):
        return sock

    def fileno(sock):
        return -1

    try:
        from spinet.prim_viper import (
            add32, cksum, copy, diff32, eq4, eq6, eq8, foresee, get16, get32, ip_end, ip_head,
            put16, put32,
        )

        IMPLEMENTATION = "viper"

        def frame_buffer(n):
            return memoryview(bytearray(n + 2))[2:]
    except (ImportError, SyntaxError, ValueError):
        # No emitter, or an .mpy file for another machine (ValueError).
        from spinet.prim_portable import (
            add32, cksum, copy, diff32, eq4, eq6, eq8, get16, get32, ip_end, ip_head, put16,
            put32,
        )

        IMPLEMENTATION = "portable"
        frame_buffer = bytearray
        foresee = None
else:
    from spinet.prim_cpython import (
        add32, cksum, copy, diff32, eq4, eq6, eq8, get16, get32, ip_end, ip_head, put16,
            put32,
    )

    from spinet.cpython import fileno, makefile, unclosed

    def keep(obj, *names):
        pass            # a method of the class costs no more

    finalize = None     # `__del__` costs nothing there
    frame_buffer = bytearray
    foresee = None
    IOBase = object
    IMPLEMENTATION = "cpython"
    BUFFER = 65535
    MANY = 16384

_HALF = 1 << 29
_MASK = _HALF - 1 + _HALF

if hasattr(time, "ticks_add") and time.ticks_add(_MASK, 1) == 0 and time.ticks_add(
    _HALF - 1, 1
) == _HALF:
    # A MicroPython with 31-bit integers: its own ticks have this period.
    from time import ticks_add, ticks_diff, ticks_ms
else:
    # Integers of 64 bits or without bound: no intermediate is too large.
    def ticks_add(t, d):
        return (t + d) & _MASK

    def ticks_diff(a, b):
        return ((a - b + _HALF) & _MASK) - _HALF

    if hasattr(time, "ticks_ms"):

        def ticks_ms(_ms=time.ticks_ms):
            return _ms() & _MASK

    else:

        def ticks_ms(_ns=time.monotonic_ns):
            return _ns() // 1000000 & _MASK
