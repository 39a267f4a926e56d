"""Who has to go when there is no room for another connection, or no memory for its rings.

A peer can hold connections, and the memory of their send rings, for ever: with
a window that stays shut, or opens by a byte at a time ("sockstress", "slow
read").  Nobody is bothered while there is room.  When there is none, there go

0. half-open connections whose peer has let a second go by;
1. connections that their user has closed and whose data has all been
   acknowledged, so that only the peer's FIN is missing;
2. connections whose peer has taken less than `LEAST` bytes of the data that
   waits for it in the last `PATIENCE_MS`.

The last two get a reset, the user of the last ECONNABORTED.  An idle connection with
nothing to send is not touched: keepalive and the program's own time-outs are
for that.
"""
from spinet.prim import diff32, ticks_diff
from spinet.tcp.states import ESTABLISHED, FIN_WAIT_2, ORPHAN, SYN_RECEIVED, TIME_WAIT

PATIENCE_MS = 30000
LEAST = 1024


class Pressure:
    """What is known of those that wait, once there has been pressure."""

    def __init__(self, tcp):
        self.tcp = tcp
        self._at = None     # when everybody was last looked at
        self._seen = {}     # connection: (when it was first seen waiting, SND.UNA then)

    def relieve(self):
        """End who has to go; whether there was anybody.  Looks at most once in a second."""
        tcp = self.tcp
        now = tcp.timers.now
        if self._at is not None and 0 <= ticks_diff(now, self._at) < 1000:
            return False
        self._at = now
        before = self._seen
        seen = {}
        gone = 0
        for c in tcp.all():
            if c.state == SYN_RECEIVED and c.listener and c.retries:
                c.end(0)
                gone += 1
            if not ESTABLISHED <= c.state < TIME_WAIT:
                continue
            if c.state == FIN_WAIT_2 and c.flags & ORPHAN:
                c.abort()
                gone += 1
            elif c.s_len or c.snd_max:
                since, una = before.get(c, (now, None))
                if una is None or diff32(c.head, 4, una, 0) >= LEAST:
                    since = now
                    una = bytes(c.head[4:8])
                if not 0 <= ticks_diff(now, since) < PATIENCE_MS:
                    c.abort()
                    gone += 1
                else:
                    seen[c] = since, una
        self._seen = seen
        tcp.count["evicted"] += gone
        return gone > 0
