"""Loss found by time (RACK, RFC 8985), for `stack.tcp.rack = True`.

When a segment is known to have arrived, one that was sent earlier by more than
a reordering window is lost: whether it was an original or a retransmission,
and however few came after it.  For that, the board keeps when everything in
flight was last sent, as at most `RUNS` runs of bytes, next to each other from
SND.UNA on:

    where it ends, from SND.UNA    when it was sent, in ticks    state

Where there would be more, the two neighbours that differ least become one, of
the later time: that may find a loss later, never one that is none.  The tail
loss probes of RFC 8985, 7 are in `sack.py`.
"""
from spinet.prim import diff32, ticks_diff
from spinet.tcp import options, output, ranges, recovery, rto, sack
from spinet.tcp.states import PROBE

RUNS = 32

# What is known of a run.
AGAIN = 1       # it was sent again
LOST = 2        # it is lost, and was not sent since
HERE = 4        # the peer has reported it

_PERSIST = 16           # recoveries for which a wider window is kept
_MIN_RTT_MS = 300000    # how long a smallest round-trip time counts


class Board(sack.Board):
    """The scoreboard, with the times; names as in RFC 8985, 5.2."""

    def __init__(self, size):
        sack.Board.__init__(self, size)
        self.runs = [0] * (3 * RUNS)
        self.n = 0              # used of `runs`
        self.xmit = None        # RACK.xmit_ts, when the last sent of what has arrived was sent
        self.end = 0            # RACK.end_seq, its end, from SND.UNA
        self.rtt = 0            # RACK.rtt
        self.min_rtt = 0        # RACK.min_RTT
        self.min_at = 0         # when that was measured
        self.fack = 0           # RACK.fack, from SND.UNA
        self.reordered = False  # RACK.reordering_seen
        self.mult = 1           # RACK.reo_wnd_mult
        self.persist = 0        # RACK.reo_wnd_persist
        self.round = 0          # RACK.dsack_round, from SND.UNA
        self.wait = 0           # until more may have to be called lost, in ms

    # -- what was sent ------------------------------------------------------

    def sent(self, c, start, end):
        """Bytes `start` to `end` leave now, after all others."""
        runs = self.runs
        now = c.tcp.timers.now
        i = self.n - 3
        state = AGAIN if start < c.snd_max else 0
        if i >= 0 and runs[i + 1] == now and runs[i + 2] == state:
            if end > runs[i]:
                runs[i] = end
            return
        if i >= 0 and end <= runs[i]:
            return
        self._room(1)
        i = self.n
        runs[i] = end
        runs[i + 1] = now
        runs[i + 2] = state
        self.n = i + 3

    def resent(self, c, start, end):
        """Bytes `start` to `end` leave again."""
        self._room(2)
        self._split(start)
        self._split(end)
        runs = self.runs
        i = at = 0
        while i < self.n and at < end:
            if at >= start:
                runs[i + 1] = c.tcp.timers.now
                runs[i + 2] = AGAIN
            at = runs[i]
            i += 3

    def _room(self, n):
        """See to it that there is room for `n` more runs."""
        while self.n > 3 * (RUNS - n):
            self._merge()

    def _merge(self):
        """Make one of the two neighbours that differ least."""
        runs = self.runs
        least = 0x3FFFFFFF
        k = i = 0
        while i < self.n - 3:
            d = ticks_diff(runs[i + 4], runs[i + 1])
            if d < 0:
                d = -d
            if runs[i + 2] != runs[i + 5]:
                d += 0x10000000
            elif runs[i + 2] & HERE:
                d = 0
            if d < least:
                least = d
                k = i
            i += 3
        if ticks_diff(runs[k + 4], runs[k + 1]) < 0:
            runs[k + 4] = runs[k + 1]
        if runs[k + 5] != runs[k + 2]:
            runs[k + 5] = (runs[k + 5] | runs[k + 2]) & AGAIN
        self._drop(k)

    def _drop(self, k):
        runs = self.runs
        self.n = n = self.n - 3
        while k < n:
            runs[k] = runs[k + 3]
            k += 1

    def _split(self, at):
        """Let one run end at `at`, if that is inside of one."""
        runs = self.runs
        i = start = 0
        while i < self.n and runs[i] <= at:
            start = runs[i]
            i += 3
        if i == self.n or start >= at:
            return
        k = self.n - 1
        while k >= i:
            runs[k + 3] = runs[k]
            k -= 1
        runs[i] = at
        self.n += 3

    # -- what has arrived ---------------------------------------------------

    def report(self, c, ack, buf, s, p):
        """As in `sack.Board`; step 1 to 3 of RFC 8985, 6.2."""
        recover = self.recover
        n = sack.Board.report(self, c, ack, buf, s, p)
        if ack:
            i = recover and len(c.head) > 20 and options.stamps(buf, s, p)
            self._pass(c, ack, diff32(c.head, 24, buf, i + 4) if i else -1)
        if n and p - s > len(c.head):
            sacked = self.sacked
            i = 0
            while i < len(sacked) and sacked[i + 1]:
                self._cover(c, sacked[i], sacked[i + 1])
                i += 2
        if self.dsack and self.round <= 0:
            self.mult += 1
            self.persist = _PERSIST
            self.round = c.snd_max
        if n or ack:
            self.wait = 0
        return n

    def _pass(self, c, ack, age):
        """SND.UNA has moved by `ack`; the timestamp that came back is `age` ms old, -1: none."""
        runs = self.runs
        at = i = n = 0
        while i < self.n:
            end = runs[i]
            if at < ack and not runs[i + 2] & HERE:
                self._arrived(c, i, end if end < ack else ack, age)
            at = end
            if end > ack:
                runs[n] = end - ack
                runs[n + 1] = runs[i + 1]
                runs[n + 2] = runs[i + 2]
                n += 3
            i += 3
        self.n = n
        if not n:
            self.xmit = None    # it would be older than the clock can tell one day
        self.end -= ack
        self.fack = max(self.fack - ack, 0)
        self.round = max(self.round - ack, 0)

    def _cover(self, c, start, end):
        """The peer has `start` to `end`."""
        runs = self.runs
        i = at = 0
        while i < self.n and at < end:
            if runs[i] > start and not runs[i + 2] & HERE:
                break
            at = runs[i]
            i += 3
        else:
            return      # that was known
        self._room(2)
        self._split(start)
        self._split(end)
        i = at = 0
        while i < self.n and at < end:
            if at >= start and not runs[i + 2] & HERE:
                # A timestamp says nothing of what is out of order (RFC 7323, 4.3).
                self._arrived(c, i, runs[i], -1)
                runs[i + 2] |= HERE
            at = runs[i]
            i += 3

    def _arrived(self, c, i, end, age):
        """The run at `i` has arrived, up to `end`; `age` as in `_pass`."""
        t = self.runs[i + 1]
        now = c.tcp.timers.now
        rtt = ticks_diff(now, t)
        again = self.runs[i + 2] & AGAIN
        if again:
            # Was it the retransmission that arrived?
            if age > rtt or rtt < self.min_rtt:
                return
        elif end < self.fack:
            self.reordered = True
        if end > self.fack:
            self.fack = end
        if rtt <= self.min_rtt or not self.min_rtt or ticks_diff(now, self.min_at) > _MIN_RTT_MS:
            self.min_rtt = rtt
            self.min_at = now
        self.rtt = rtt
        again = 1 if self.xmit is None else ticks_diff(t, self.xmit)
        if again > 0 or again == 0 and end > self.end:
            self.xmit = t
            self.end = end

    # -- what is lost -------------------------------------------------------

    def expired(self, c):
        """As in `sack.Board`, or what was waited for has not come (RFC 8985, 6.3)."""
        if not self.wait:
            sack.Board.expired(self, c)
            return
        self.wait = 0
        if self.dupacks >= 3:
            self.proceed(c, 0, False)
        elif not self.recover and self.shows_loss(c):
            recovery.enter(c, 0, 0)
        if not self.wait:
            c.t_rexmt = rto.arm(c, c.rto)

    def finish(self, c):
        """Recovery is over; the window from now on."""
        self.persist -= 1
        if self.persist <= 0:
            self.mult = 1
        return self.ssthresh

    def forget(self):
        """A timeout: everything may be lost, and is sent again in order."""
        sack.Board.forget(self)
        self.n = self.wait = self.fack = 0
        self.xmit = None

    def shows_loss(self, c):
        """Whether something is newly known to be lost (step 5)."""
        runs = self.runs
        more = False
        wait = i = 0
        while i < self.n:
            if not runs[i + 2] & (LOST | HERE) and self.xmit is not None:
                at = ticks_diff(self.xmit, runs[i + 1])
                if at > 0 or at == 0 and self.end > runs[i]:
                    at = self._left(c, runs[i + 1])
                    if at <= 0:
                        runs[i + 2] |= LOST
                        more = True
                    elif at > wait:
                        wait = at
            i += 3
        self.wait = wait
        if wait:
            c.flags |= PROBE
            c.t_rexmt = rto.arm(c, wait)
        self.more = more
        return more

    def _left(self, c, t):
        """How much longer to wait for what was sent at `t`, in ms (step 4)."""
        window = 0
        if self.reordered or not self.recover and ranges.total(self.sacked) <= 2 * c.mss:
            window = min(self.mult * self.min_rtt >> 2, c.srtt >> 3)
        return ticks_diff(t, c.tcp.timers.now) + self.rtt + window

    def pipe(self, c):
        """The bytes that are believed to be in the network."""
        self.shows_loss(c)
        runs = self.runs
        pipe = i = at = 0
        while i < self.n:
            if not runs[i + 2] & (LOST | HERE):
                pipe += runs[i] - at
            at = runs[i]
            i += 3
        return pipe

    def send_hole(self, c, lost):
        """Retransmit the first that is lost; the bytes sent, 0: there is none."""
        runs = self.runs
        i = at = 0
        while i < self.n:
            if runs[i + 2] & LOST:
                n = min(runs[i] - at, c.mss)
                if not output.again(c, at, n):
                    return 0
                self.undo += n
                return n
            at = runs[i]
            i += 3
        return 0
