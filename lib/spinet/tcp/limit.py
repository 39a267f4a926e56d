"""How many resets and challenge ACKs may be sent (RFC 5961, 7 and 10).

A limit that all connections share is a side channel: who can use it up learns
from what is no longer answered whether a blind guess has hit a connection of
somebody else's (CVE-2016-5696).  So challenges are limited for each connection
by itself, resets for no connection have a budget of their own, and how large a
budget is in the second at hand is drawn by lot.
"""
from spinet.prim import ticks_add, ticks_diff

CHALLENGES = 8      # of one connection, in 1,024 ms; fewer than 16


class Budget:
    """Something of which there may be so much in a second, and not more."""

    def __init__(self, timers, random):
        self._timers = timers
        self._random = random
        self._second = ticks_add(timers.now, -1000)
        self._left = 0

    def take(self, most):
        """Whether one more may be; in a second there are `most`, or down to half of it."""
        now = self._timers.now
        if not 0 <= ticks_diff(now, self._second) < 1000:
            self._second = now
            self._left = most - (self._random(1)[0] * most >> 9)
        if self._left <= 0:
            return False
        self._left -= 1
        return True


def may_challenge(c):
    """Whether the connection `c` has not sent too many challenges; counts this one."""
    at = c.tcp.timers.now >> 10 << 4
    n = c.challenges
    if n >> 4 << 4 != at:
        n = at
    if n & 15 >= CHALLENGES:
        return False
    c.challenges = n + 1
    return True
