"""What is due every few days, because ticks wrap and timestamps grow old.

The clock that timestamps and initial sequence numbers are made of has 32 bits
of milliseconds and lives here; ticks have 30, and differences of them 29, so it
and those of silent connections have to be looked at before six days are over.
"""
from spinet.prim import add32, ticks_diff
from spinet.tcp import options
from spinet.tcp.states import STALE
from spinet.timers import Timer

PERIOD_MS = 1 << 28     # three days
OUTDATED = 8            # 24.8 days (RFC 7323, 5.5)


class Days(Timer):
    """Runs while there are connections with timestamps."""

    def __init__(self, tcp):
        Timer.__init__(self)
        self._tcp = tcp
        self._clock = bytearray(4)
        self._read = tcp.timers.now
        self._seen = {}     # connection: (TS.Recent, periods that it has not changed in)

    def ms(self):
        """Milliseconds as 4 bytes in wire form; the same buffer each time."""
        now = self._tcp.timers.now
        add32(self._clock, 0, self._clock, 0, ticks_diff(now, self._read))
        self._read = now
        if self.due is None:
            self._tcp.timers.arm(self, PERIOD_MS)
        return self._clock

    def expire(self, now):
        """Three days have passed."""
        seen = {}
        for c in self._tcp.all():
            head = c.head
            if len(head) > 20:
                options.tick(c, now)
                recent = bytes(head[28:32])
                before, n = self._seen.get(c, (recent, -1))
                n = n + 1 if before == recent else 0
                seen[c] = recent, n
                if n >= OUTDATED:
                    c.flags |= STALE
        self._seen = seen
        if self._tcp.table:
            self.ms()
