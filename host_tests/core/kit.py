"""What core tests share: it runs on CPython and on MicroPython of 64 and 32 bits.

A core test is a plain function `test_*` with bare asserts; nothing here needs pytest.
"""
import gc
import sys

from spinet.prim import ticks_add

if sys.implementation.name == "micropython":

    class Skip(Exception):
        """The test in hand has nothing to say on this runtime."""

else:
    from unittest import SkipTest as Skip

try:
    import micropython

    if hasattr(micropython, "alloc_emergency_exception_buf"):
        # Room for a traceback while the heap is locked.
        micropython.alloc_emergency_exception_buf(1024)
except ImportError:
    micropython = None

MICROPYTHON = micropython is not None
TICKS_PERIOD = 1 << 30


def heap_locked(fn):
    """Run `fn()` with the heap locked; what it returns.  A plain call on CPython.

    An AssertionError "allocated ..." if `fn` takes anything from the heap.  What `fn` does for the
    first time (imports, caches that grow) it must have done before.
    """
    if not MICROPYTHON:
        return fn()
    gc.collect()
    trouble = None
    micropython.heap_lock()
    try:
        return fn()
    except MemoryError as e:
        trouble = e
    finally:
        micropython.heap_unlock()
    sys.print_exception(trouble)
    raise AssertionError("allocated under heap_lock (where: see the traceback above)")


def raises(exc, fn, *args):
    """Call `fn(*args)`, which must raise `exc`; the exception."""
    try:
        got = fn(*args)
    except exc as e:
        return e
    raise AssertionError("%s expected, got %r" % (exc.__name__, got))


def skip(why):
    """End the test in hand here: it does not apply to this runtime, and `why`."""
    raise Skip(why)


class Clock:
    """Virtual ticks: `clock()` and `clock.now` are ms modulo 2**30.  Starts 5 s before the wrap."""

    def __init__(self, now=TICKS_PERIOD - 5000):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, ms):
        """Let `ms` pass; the new time."""
        self.now = ticks_add(self.now, ms)
        return self.now


class Random:
    """Deterministic `urandom`: `rand(n)` is n bytes, the same for one seed on every runtime."""

    def __init__(self, seed=1):
        # Wichmann and Hill's three small generators: no product reaches 2**30.
        self.a = seed % 30268 + 1
        self.b = seed * 7 % 30306 + 1
        self.c = seed * 13 % 30322 + 1
        self(16)

    def __call__(self, n):
        out = bytearray(n)
        a, b, c = self.a, self.b, self.c
        for i in range(n):
            a = 171 * a % 30269
            b = 172 * b % 30307
            c = 170 * c % 30323
            out[i] = (a + b + c) & 0xFF
        self.a, self.b, self.c = a, b, c
        return bytes(out)

    def below(self, n):
        """An integer from 0 to n - 1; n is at most 2**24."""
        raw = self(3)
        return (raw[0] << 16 | raw[1] << 8 | raw[2]) % n


def hexbytes(text):
    """The bytes written as hexadecimal digits; white space and `# ...` to the end of a line go."""
    digits = "".join("".join(line.split("#")[0].split()) for line in text.split("\n"))
    return bytes(int(digits[i : i + 2], 16) for i in range(0, len(digits), 2))
