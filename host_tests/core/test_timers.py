"""Timers: the lazy heap against a sorted list, across the wrap of the ticks, without allocating."""
from kit import TICKS_PERIOD, Clock, Random, heap_locked, raises
from spinet.prim import ticks_add, ticks_diff
from spinet.timers import Timer, Timers

LATE = 1 << 29      # one more than the longest delay


class Alarm(Timer):
    """Notes in `log` when it went off."""

    def __init__(self, log, name):
        super().__init__()
        self.log = log
        self.name = name

    def expire(self, now):
        self.log.append((self.name, now))


class Count(Timer):
    """Counts, and allocates nothing."""

    def __init__(self):
        super().__init__()
        self.expired = 0

    def expire(self, now):
        self.expired += 1


def alarms(timers, *delays):
    """A log, and an armed Alarm for each of `delays`, named by it."""
    log = []
    for delay in delays:
        timers.arm(Alarm(log, delay), delay)
    return log


def filed(timers):
    """The timers that have a place in the heap, in its order."""
    return [timer for timer in timers.heap if timer is not None]


def check_heap(timers):
    """The heap's order and every timer's place in it."""
    heap = filed(timers)
    for i in range(len(heap)):
        timer = heap[i]
        assert timer._pos == i, "timer at %d believes it is at %d" % (i, timer._pos)
        if i:
            parent = heap[(i - 1) >> 1]
            assert ticks_diff(parent._at, timer._at) <= 0, "heap order broken at %d" % i
        if timer.due is not None:
            assert ticks_diff(timer._at, timer.due) <= 0, "filed later than its deadline"


def test_no_timers():
    timers = Timers(5)
    assert timers.run(6) is None
    assert timers.now == 6


def test_run_says_how_long_until_the_next():
    timers = Timers(0)
    log = alarms(timers, 30, 10, 20)
    assert timers.run(0) == 10
    assert timers.run(9) == 1
    assert log == []
    assert timers.run(10) == 10
    assert log == [(10, 10)]
    assert timers.run(25) == 5
    assert timers.run(30) is None
    assert log == [(10, 10), (20, 25), (30, 30)]


def test_a_late_run_expires_all_in_order_of_deadline():
    timers = Timers(0)
    log = alarms(timers, 5, 3, 9, 1, 7)
    assert timers.run(100) is None
    assert [name for name, _ in log] == [1, 3, 5, 7, 9]
    assert filed(timers) == []


def test_due_now_is_expired_by_the_same_run():
    timers = Timers(0)
    log = alarms(timers, 0)
    assert timers.run(0) is None
    assert log == [(0, 0)]


def test_expired_timer_is_disarmed():
    timers = Timers(0)
    timer = Count()
    timers.arm(timer, 1)
    timers.run(1)
    assert timer.due is None
    timers.run(1000)
    assert timer.expired == 1


def test_due_is_the_deadline():
    timers = Timers(TICKS_PERIOD - 10)
    timer = Count()
    assert timer.due is None
    timers.arm(timer, 30)
    assert timer.due == 20
    timers.cancel(timer)
    assert timer.due is None


def test_rearming_later_postpones():
    timers = Timers(0)
    timer = Count()
    timers.arm(timer, 10)
    timers.arm(timer, 20)
    assert timers.run(10) == 10
    assert timer.expired == 0
    assert timers.run(20) is None
    assert timer.expired == 1


def test_rearming_earlier_brings_forward():
    timers = Timers(0)
    log = alarms(timers, 15)
    timer = Alarm(log, "moved")
    timers.arm(timer, 20)
    timers.arm(timer, 10)
    assert timers.run(9) == 1
    timers.run(15)
    assert log == [("moved", 15), (15, 15)]
    assert timers.run(20) is None
    assert len(log) == 2, "the old place counts no more"


def test_later_and_then_earlier_than_the_place_in_the_heap():
    timers = Timers(0)
    timer = Count()
    timers.arm(timer, 10)
    timers.arm(timer, 50)
    timers.arm(timer, 5)
    check_heap(timers)
    assert timers.run(5) is None
    assert timer.expired == 1


def test_cancel():
    timers = Timers(0)
    log = alarms(timers, 10, 30)
    timer = Count()
    timers.cancel(timer)    # not armed: nothing happens
    timers.arm(timer, 20)
    timers.cancel(timer)
    timers.cancel(timer)
    timers.run(40)
    assert timer.expired == 0
    assert len(log) == 2
    assert filed(timers) == []


def test_cancelled_first_timer_does_not_shorten_the_wait():
    timers = Timers(0)
    timer = Count()
    timers.arm(timer, 5)
    alarms(timers, 30)
    timers.cancel(timer)
    assert timers.run(0) == 30


def test_cancel_and_arm_again():
    timers = Timers(0)
    timer = Count()
    timers.arm(timer, 20)
    timers.cancel(timer)
    timers.arm(timer, 10)
    assert len(filed(timers)) == 1, "filed once"
    assert timers.run(10) is None
    assert timer.expired == 1


def test_remove_drops_the_reference_at_once():
    timers = Timers(0)
    alarms(timers, 1, 2, 3, 4, 5, 6)
    for i in (5, 2, 0, 1, 1, 0):
        timer = timers.heap[i]
        timers.remove(timer)
        assert timer not in filed(timers)
        assert timer.due is None
        check_heap(timers)
        timers.remove(timer)    # once more: nothing happens
    assert filed(timers) == []


def test_removed_timer_can_be_armed_again():
    timers = Timers(0)
    timer = Count()
    timers.arm(timer, 5)
    timers.remove(timer)
    timers.arm(timer, 7)
    assert timers.run(6) == 1
    timers.run(7)
    assert timer.expired == 1


def test_the_base_class_has_nothing_to_do():
    timers = Timers(0)
    timers.arm(Timer(), 1)
    raises(NotImplementedError, timers.run, 1)


class Periodic(Timer):
    def __init__(self, timers, period, times):
        super().__init__()
        self.timers = timers
        self.period = period
        self.left = times
        timers.arm(self, period)

    def expire(self, now):
        self.left -= 1
        if self.left:
            self.timers.arm(self, self.period)


def test_a_timer_may_arm_itself_when_it_expires():
    timers = Timers(0)
    timer = Periodic(timers, 10, 3)
    assert timers.run(10) == 10
    assert timers.run(20) == 10
    assert timers.run(30) is None
    assert timer.left == 0


def test_arming_itself_with_no_delay_is_done_in_the_same_run():
    timers = Timers(0)
    timer = Periodic(timers, 0, 5)
    assert timers.run(0) is None
    assert timer.left == 0


class Canceller(Timer):
    def __init__(self, timers, other):
        super().__init__()
        self.timers = timers
        self.other = other

    def expire(self, now):
        self.timers.remove(self.other)


def test_a_timer_may_remove_another_that_is_due_as_well():
    timers = Timers(0)
    other = Count()
    timers.arm(other, 2)
    timers.arm(Canceller(timers, other), 1)
    assert timers.run(5) is None
    assert other.expired == 0


class Failing(Timer):
    def expire(self, now):
        raise OSError(5)


def test_an_exception_leaves_the_heap_whole():
    timers = Timers(0)
    log = alarms(timers, 1, 3)
    timers.arm(Failing(), 2)
    raises(OSError, timers.run, 5)
    check_heap(timers)
    timers.run(5)
    assert [name for name, _ in log] == [1, 3]


def test_deadlines_on_both_sides_of_the_wrap():
    clock = Clock()
    timers = Timers(clock.now)
    log = alarms(timers, 5001, 4999, 5000, 1, 10000)
    assert timers.run(clock.now) == 1
    while True:
        wait = timers.run(clock.now)
        if wait is None:
            break
        clock.advance(wait)
    assert log == [(1, TICKS_PERIOD - 4999), (4999, TICKS_PERIOD - 1), (5000, 0), (5001, 1),
                   (10000, 5000)]


def test_the_longest_delay():
    for start in (0, 1, LATE, TICKS_PERIOD - 1):
        timers = Timers(start)
        timer = Count()
        timers.arm(timer, LATE - 1)
        assert timers.run(start) == LATE - 1
        assert timers.run(ticks_add(start, LATE - 2)) == 1
        assert timers.run(ticks_add(start, LATE - 1)) is None
        assert timer.expired == 1


class Sorted:
    """What Timers does, in the plainest way: a list of (deadline without wrap, timer)."""

    def __init__(self):
        self.now = 0
        self.armed = {}

    def arm(self, name, delay):
        self.armed[name] = self.now + delay

    def cancel(self, name):
        self.armed.pop(name, None)

    def run(self, now):
        self.now = now
        due = sorted((at, name) for name, at in self.armed.items() if at <= now)
        for _, name in due:
            del self.armed[name]
        return due, min(self.armed.values()) - now if self.armed else None


def check_at_random(seed, steps, many, longest):
    rand = Random(seed)
    start = TICKS_PERIOD - rand.below(2 * longest)
    timers = Timers(start)
    model = Sorted()
    log = []
    alarm = [Alarm(log, name) for name in range(many)]
    for step in range(steps):
        where = "seed %d, step %d" % (seed, step)
        name = rand.below(many)
        choice = rand.below(8)
        if choice < 4:
            delay = rand.below(longest)
            timers.arm(alarm[name], delay)
            model.arm(name, delay)
        elif choice == 4:
            timers.cancel(alarm[name])
            model.cancel(name)
        elif choice == 5:
            timers.remove(alarm[name])
            model.cancel(name)
        else:
            passed = rand.below(longest // 2 + 1)
            due, wait = model.run(model.now + passed)
            now = ticks_add(timers.now, passed)
            got = timers.run(now)
            assert (got is None) == (wait is None), where
            # A deadline that was pushed back may still wake the caller at its old time.
            assert got is None or 0 < got <= wait, "%s: %s, not %s" % (where, got, wait)
            assert sorted(log) == sorted([(name, now) for _, name in due]), where
            log.clear()
        check_heap(timers)
        for i in range(many):
            assert (alarm[i].due is not None) == (i in model.armed), where
    assert len(filed(timers)) <= many


def test_at_random_few_timers_often():
    for seed in range(6):
        check_at_random(seed, 250, 4, 50)


def test_at_random_many_timers():
    for seed in range(3):
        check_at_random(100 + seed, 300, 40, 1000)


def test_at_random_with_long_delays():
    # Deadlines in the heap lie up to longest * 1.5 apart: within half the period of the ticks.
    for seed in range(3):
        check_at_random(200 + seed, 200, 10, 1 << 23)


def test_pushing_a_deadline_back_does_not_move_the_timer():
    timers = Timers(0)
    timer = Count()
    alarms(timers, 1, 2, 3)
    timers.arm(timer, 4)
    for i in range(100):
        timers.arm(timer, 5 + i)
        assert timer._pos == 3 and timer._at == 4
    assert len(filed(timers)) == 4


def test_arm_cancel_and_run_do_not_allocate():
    timers = Timers(TICKS_PERIOD - 50)
    some = [Count() for _ in range(9)]

    def work():
        i = 0
        while i < 40:
            timers.arm(some[i % 9], (i * 7) % 23)
            if i % 5 == 0:
                timers.cancel(some[(i + 3) % 9])
            if i % 7 == 0:
                timers.remove(some[(i + 1) % 9])
            timers.run(ticks_add(timers.now, 3))
            i += 1

    work()      # the list of the heap has its room
    assert timers.now == 70
    before = sum([timer.expired for timer in some])
    timers.now = TICKS_PERIOD - 50      # the wrap again, under the lock
    for timer in some:
        timers.remove(timer)
    heap_locked(work)
    assert timers.now == 70
    assert sum([timer.expired for timer in some]) > before
