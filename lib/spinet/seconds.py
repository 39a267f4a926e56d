"""Seconds, counted from ticks: for times beyond what ticks can tell apart, which is six days."""
from spinet.prim import ticks_add, ticks_diff


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
