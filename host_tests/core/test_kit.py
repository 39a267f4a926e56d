"""The kit itself: what other tests lean on must hold on every runtime."""
import sys

from kit import MICROPYTHON, TICKS_PERIOD, Clock, Random, Skip, heap_locked, hexbytes, raises, skip


def test_this_is_the_runtime_it_says():
    assert MICROPYTHON == (sys.implementation.name == "micropython")


def test_asserts_are_compiled():
    e = raises(AssertionError, refuted)
    assert str(e).startswith("one is not two")


def refuted():
    assert 1 == 2, "one is not two"


def test_raises_gives_the_exception():
    assert raises(OSError, fail, 11).args[0] == 11


def fail(number):
    raise OSError(number)


def test_raises_lets_other_exceptions_through():
    try:
        raises(ValueError, fail, 11)
    except OSError:
        return
    assert False, "OSError was swallowed"


def test_raises_complains_if_nothing_is_raised():
    e = raises(AssertionError, raises, ValueError, len, b"12345")
    assert "ValueError" in str(e) and "5" in str(e)


def test_heap_locked_returns_what_the_function_returns():
    assert heap_locked(constant) == 42


def constant():
    return 42


if MICROPYTHON:

    def test_heap_locked_finds_an_allocation():
        assert "allocated" in str(raises(AssertionError, heap_locked, allocate))
        assert len(bytearray(1000)) == 1000, "the heap is open again"

    def test_heap_locked_finds_an_integer_that_is_not_small():
        if sys.maxsize >> 32:
            assert heap_locked(double) == TICKS_PERIOD
        else:
            raises(AssertionError, heap_locked, double)


def double(half=TICKS_PERIOD // 2):
    return half + half


def allocate():
    return bytearray(1000)


def test_heap_locked_unlocks_after_any_exception():
    raises(OSError, heap_locked, fail_with_nothing_new)
    assert len(bytearray(1000)) == 1000


ERROR = OSError(5)


def fail_with_nothing_new():
    raise ERROR


def test_skip_is_not_a_failure():
    assert str(raises(Skip, skip, "because")) == "because"


def test_clock_passes_the_wrap():
    clock = Clock()
    assert clock() == clock.now == TICKS_PERIOD - 5000
    assert clock.advance(4999) == TICKS_PERIOD - 1
    assert clock.advance(1) == 0
    clock.advance(7)
    assert clock() == 7


def test_random_is_the_same_everywhere():
    assert Random(1)(8) == hexbytes("af c8 f2 33 a6 61 79 86")
    rand = Random(1)
    assert rand(3) + rand(5) == Random(1)(8)
    assert Random(2)(8) != Random(1)(8)
    assert rand(0) == b""


def test_random_spreads():
    seen = [0] * 256
    for byte in Random(7)(8192):
        seen[byte] += 1
    assert 8 < min(seen) and max(seen) < 64, seen


def test_random_below():
    rand = Random(3)
    got = [rand.below(10) for _ in range(200)]
    assert set(got) == set(range(10)), got
    assert rand.below(1) == 0


def test_hexbytes():
    assert hexbytes("") == b""
    assert hexbytes("0001 fF") == b"\x00\x01\xff"
    dump = """
        45 00 00 1c     # version, length
        00 01           # identification
    """
    assert hexbytes(dump) == b"\x45\x00\x00\x1c\x00\x01"
