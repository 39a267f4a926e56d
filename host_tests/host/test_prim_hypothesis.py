"""The primitives for CPython and the portable ones, against plain arithmetic, on found examples."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinet import prim_cpython, prim_portable

both = pytest.mark.parametrize("m", [prim_cpython, prim_portable], ids=["cpython", "portable"])
words = st.binary(min_size=4, max_size=4)
number = st.integers(-(1 << 30), (1 << 30) - 1)
quick = settings(deadline=None, max_examples=300)


def naive(data, acc=0):
    data = bytes(data) + b"\x00" * (len(data) & 1)
    total = acc + sum(int.from_bytes(data[k : k + 2], "big") for k in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@both
@quick
@given(data=st.binary(max_size=3000), start=st.integers(0, 9), acc=st.integers(0, 1 << 20))
def test_cksum_is_the_sum_of_the_words(m, data, start, acc):
    start = min(start, len(data))
    assert m.cksum(bytearray(data), start, len(data), acc) == naive(data[start:], acc)


@both
@quick
@given(data=st.binary(max_size=200), times=st.integers(1, 300))
def test_cksum_of_long_data(m, data, times):
    data *= times
    assert m.cksum(bytearray(data), 0, len(data)) == naive(data)


@both
@quick
@given(data=st.binary(max_size=600), cuts=st.lists(st.integers(0, 300), max_size=4))
def test_cksum_of_even_pieces_carried_over(m, data, cuts):
    acc = at = 0
    for cut in sorted(2 * cut for cut in cuts):
        if cut <= len(data):
            acc = m.cksum(data, at, cut, acc)
            at = cut
    assert m.cksum(data, at, len(data), acc) == naive(data)


@both
@quick
@given(data=st.binary(min_size=20, max_size=60))
def test_a_datagram_with_its_checksum_sums_to_ffff(m, data):
    buf = bytearray(data)
    m.put16(buf, 10, 0)
    m.put16(buf, 10, ~m.cksum(buf, 0, len(buf)) & 0xFFFF)
    assert m.cksum(buf, 0, len(buf)) == 0xFFFF


@both
@quick
@given(a=words, b=words)
def test_diff32(m, a, b):
    d = (int.from_bytes(a, "big") - int.from_bytes(b, "big") + (1 << 31)) % (1 << 32) - (1 << 31)
    assert m.diff32(a, 0, b, 0) == max(-(1 << 30) + 1, min((1 << 30) - 1, d))


@both
@quick
@given(a=words, n=number)
def test_add32_then_diff32(m, a, n):
    out = bytearray(4)
    m.add32(out, 0, a, 0, n)
    assert out == ((int.from_bytes(a, "big") + n) % (1 << 32)).to_bytes(4, "big")
    assert m.diff32(out, 0, a, 0) == max(n, -(1 << 30) + 1)


@both
@quick
@given(v=st.integers(0, (1 << 32) - 1), i=st.integers(0, 3))
def test_put_then_get(m, v, i):
    buf = bytearray(8)
    m.put32(buf, i, v)
    assert buf == bytes(i) + v.to_bytes(4, "big") + bytes(4 - i)
    assert m.get32(buf, i) == v
    assert m.get16(buf, i) == v >> 16


@both
@quick
@given(a=st.binary(min_size=6, max_size=6), b=st.binary(min_size=6, max_size=6))
def test_eq(m, a, b):
    assert m.eq4(a, 0, b, 0) is (a[:4] == b[:4])
    assert m.eq6(a, 0, b, 0) is (a == b)
    assert m.eq6(bytearray(a), 0, a, 0) is True


@both
@quick
@given(src=st.binary(max_size=100), i=st.integers(0, 20), j=st.integers(0, 20))
def test_copy(m, src, i, j):
    j = min(j, len(src))
    n = len(src) - j
    dst = bytearray(b"\xa5" * (i + n + 3))
    m.copy(dst, i, src, j, n)
    assert dst == b"\xa5" * i + src[j:] + b"\xa5" * 3
