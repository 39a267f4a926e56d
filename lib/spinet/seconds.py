"""Seconds, counted from ticks: for times beyond what ticks can tell apart, which is six days."""
from spinet.prim import ticks_add, ticks_diff
from spinet.timers import Timer

_DAY_S = 86400


class Seconds:
    """`age` is the seconds since `restart`; `count` must be called every six days at least."""

    def __init__(self, now):
        self.restart(now)

    def restart(self, now):
        """Begin again at `now` (ticks in ms)."""
        self.age = 0
        self._mark = now        # ticks at which `age` became what it is

    def count(self, now):
        """Bring `age` up to date and return it."""
        n = ticks_diff(now, self._mark)
        if n >= 1000:
            n //= 1000
            self.age += n
            self._mark = ticks_add(self._mark, n * 1000)
        return self.age

    def ms(self, now):
        """The ms that have passed beyond `age` seconds."""
        return ticks_diff(now, self._mark)


class Alarm(Timer):
    """A timer for times of any length, which wakes once a day.  Subclass it and give it `ring`.

    It rings when its `clock` has reached an age, and in any case at the age `limit`, -1 if there
    is no limit.
    """

    def __init__(self, timers):
        Timer.__init__(self)
        self.timers = timers
        self.clock = Seconds(timers.now)
        self.limit = -1
        self._until = 0         # rings at this age ...
        self._extra = 0         # ... and so many ms, up to 3000

    def ring(self):
        """It is time."""
        raise NotImplementedError

    def wait(self, seconds, ms=0):
        """Ring after so long, counted from now."""
        now = self.timers.now
        self.wait_until(self.clock.count(now) + seconds, ms + self.clock.ms(now))

    def wait_until(self, age, ms=0):
        """Ring at an age of the clock."""
        self._until = age
        self._extra = ms
        self._arm()

    def _arm(self):
        age = self.clock.age
        left = self._until - age
        ms = self._extra
        if 0 <= self.limit <= age + left:
            left = self.limit - age
            ms = 0
        if left > _DAY_S:
            left = _DAY_S
            ms = 0
        ms += left * 1000 - self.clock.ms(self.timers.now)
        self.timers.arm(self, ms if ms > 0 else 0)

    def expire(self, now):
        """Ring, or go on waiting."""
        age = self.clock.count(now)
        late = age - self._until
        if 0 <= self.limit <= age or late > 3 or (
                late >= 0 and late * 1000 + self.clock.ms(now) >= self._extra):
            self.ring()
        else:
            self._arm()
