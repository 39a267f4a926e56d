"""Keepalive (RFC 9293, 3.8.4)."""
from spinet.errors import ETIMEDOUT
from spinet.prim import ticks_diff
from spinet.tcp import output
from spinet.tcp.states import ESTABLISHED


class Keepalive:
    """Keepalive of one connection; times in ms."""

    def __init__(self, idle_ms, interval_ms, count, now):
        self.idle = idle_ms
        self.interval = interval_ms
        self.count = count
        self.heard = now    # when the peer was last heard of
        self.probes = 0

    def expire(self, c, now):
        """It is time to see how `c` stands."""
        silent = ticks_diff(now, self.heard)
        if c.state < ESTABLISHED:
            c.arm_idle(self.idle)
        elif c.snd_max:
            c.arm_idle(self.interval)       # what is in flight is a probe in itself (MUST-26)
        elif silent < self.idle:
            self.probes = 0
            c.arm_idle(self.idle - silent)
        elif self.probes and silent >= c.user_timeout > 0 or self.probes >= self.count:
            c.tcp.count["keepalive_dead"] += 1
            c.abort(c.soft_error or ETIMEDOUT)
        else:
            self.probes += 1
            output.keepalive(c)
            c.arm_idle(self.interval)
