"""Out-of-order ranges against a set of bytes."""
from kit import Random, heap_locked

from spinet.tcp import ranges


def as_set(r):
    s = set()
    for i in range(0, len(r), 2):
        s.update(range(r[i], r[i + 1]))
    return s


def check(r):
    last = -1
    for i in range(0, len(r), 2):
        if not r[i + 1]:
            assert not any(r[i:]), r
            return
        assert last < r[i] < r[i + 1], r
        last = r[i + 1]


def test_ranges_agree_with_a_set_of_bytes():
    rand = Random(11)
    for _ in range(60):
        r = ranges.new()
        model = set()
        for _ in range(40):
            if rand.below(5):
                a = 1 + rand.below(60)
                b = a + 1 + rand.below(12)
                before = list(r)
                if ranges.insert(r, a, b):
                    model.update(range(a, b))
                else:
                    assert r == before, "a refused range changes nothing"
                    assert before[-1], "refused only when full"
            else:
                n = 1 + rand.below(20)
                found = ranges.advance(r, n)
                model = set(x - n for x in model)
                k = 0
                while k in model:
                    k += 1
                assert found == n + k, (found, n, k)
                model = set(x - k for x in model if x > k)
            check(r)
            assert as_set(r) == model, (r, model)


def test_touching_ranges_become_one():
    r = ranges.new()
    assert ranges.insert(r, 10, 20) and ranges.insert(r, 30, 40) and ranges.insert(r, 20, 30)
    assert r[:4] == [10, 40, 0, 0]


def test_no_heap():
    r = ranges.new()

    def work():
        for i in range(4):
            ranges.insert(r, 10 + 20 * i, 20 + 20 * i)
        ranges.insert(r, 15, 55)
        ranges.advance(r, 70)
        ranges.advance(r, 100)

    work()
    heap_locked(work)
