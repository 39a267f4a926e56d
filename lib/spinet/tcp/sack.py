"""Selective acknowledgements used: RFC 6675, PRR (RFC 9937), and what was no loss undone.

The loss of the last segments, after which nothing comes that could be
acknowledged, is found by a tail loss probe (RFC 8985, 7), and the loss of a
retransmission by the report of data that was first sent after it.  Imported
for the first connection whose peer offers SACK.
"""
from spinet.prim import diff32, ticks_diff
from spinet.tcp import options, output, ranges, rto
from spinet.tcp.recovery import Loss
from spinet.tcp.states import DOUBT, PROBE, TRIED


class Board(Loss):
    """The scoreboard of a connection whose peer sends SACK.

    `sacked` are the ranges above SND.UNA that the peer has; `high_rxt` ends
    what was retransmitted in this recovery, and `mark` what had been sent when
    that began; `probe` ends the tail loss probe that waits for its answer, 0:
    none.  All offsets are from SND.UNA.
    """

    def __init__(self, size):
        Loss.__init__(self)
        self.sacked = ranges.new(size)
        self.high_rxt = 0
        self.mark = 0
        self.edge = 0           # every hole below is lost
        self.probe = 0
        self.again = False      # the probe was a retransmission
        self.lost = False       # every hole counts as lost
        self.more = False       # the last acknowledgement showed more to be lost
        self.dsack = 0          # bytes that the last acknowledgement reported to have come twice
        self.flight = 0         # RecoverFS
        self.delivered = 0      # prr_delivered
        self.out = 0            # prr_out
        self.prior_cwnd = 0     # what the windows were before the last reduction, 0: it stands
        self.prior_ssthresh = 0
        self.rxt_at = None      # when it was, None: it cannot be told any more
        self.undo = 0           # bytes sent again since, less those that came twice

    def report(self, c, ack, buf, s, p):
        """SND.UNA has moved by `ack`, and the header `buf[s:p]` may report more.

        Returns by how many bytes the reported ones have become more.
        """
        sacked = self.sacked
        n = 0
        if self.dsack:
            self.dsack = 0
        if ack:
            if self.recover:
                self.high_rxt = max(self.high_rxt - ack, 0)
                self.mark = max(self.mark - ack, 0)
                self.edge = max(self.edge - ack, 0)
            if sacked[1]:
                n = ranges.total(sacked)
                ranges.shift(sacked, ack)
                n = ranges.total(sacked) - n
        if p - s > len(c.head):
            n += self._take(c, buf, s, p)
            if self.dsack and self.prior_cwnd:
                # If all that was sent again has come twice, none was lost (RFC 3708).
                self.undo -= self.dsack
                if self.undo <= 0:
                    self.take_back(c)
        return n

    def _take(self, c, buf, s, p):
        """The SACK blocks in the header `buf[s:p]` enter the scoreboard; newly reported bytes.

        Blocks below SND.UNA report duplicates (RFC 2883); what lies beyond what
        was sent is not believed.
        """
        i = options.find(buf, s + 20, p, options.SACK_BLOCKS)
        if not i:
            return 0
        end = i + buf[i + 1] - 7
        i += 2
        sacked = self.sacked
        before = ranges.total(sacked)
        head = c.head
        while i < end:
            left = diff32(buf, i, head, 4)
            right = diff32(buf, i + 4, head, 4)
            if left < right <= 0:
                self.dsack += right - left
            elif right <= left or right > c.snd_max or left < 0:
                c.tcp.count["sack_ignored"] += 1
            else:
                ranges.insert(sacked, left, right)
            i += 8
        return ranges.total(sacked) - before

    def arrived(self, c):
        """The bytes that are reported."""
        return ranges.total(self.sacked)

    def begin(self, c, delivered):
        """Recovery begins with an acknowledgement of so many bytes (RFC 9937, 6.1)."""
        # RecoverFS leaves out what was reported earlier.
        self.flight = c.snd_max - ranges.total(self.sacked) + delivered
        self.delivered = self.out = 0
        self.high_rxt = self.edge = 0
        self.mark = c.snd_max
        self.proceed(c, delivered, False)

    def forget(self):
        """What the peer reported it may have dropped since (RFC 2018, 8)."""
        ranges.clear(self.sacked)
        self.high_rxt = self.probe = 0
        self.lost = False

    def finish(self, c):
        """Recovery is over; the window from now on."""
        self.lost = False
        return self.ssthresh

    def shows_loss(self, c):
        """Whether there is a hole that is lost (RFC 6675, 5)."""
        return self.dupacks >= 3 or self._lost_below(c)

    def _lost_below(self, c):
        """Where the lost holes end: so much is here from behind them (RFC 6675, IsLost)."""
        if self.lost:
            return c.snd_max
        sacked = self.sacked
        limit = 2 * c.mss
        n = blocks = 0
        i = len(sacked) - 2
        while i >= 0:
            if sacked[i + 1]:
                n += sacked[i + 1] - sacked[i]
                blocks += 1
                if n > limit or blocks == 3:
                    return sacked[i]
            i -= 2
        return 0

    def pipe(self, c):
        """The bytes that are believed to be in the network (RFC 6675, 4, SetPipe)."""
        sacked = self.sacked
        if ranges.last(sacked) > self.mark + 2 * c.mss:
            # Data first sent after the retransmissions has arrived, and they have not.
            self.high_rxt = self.edge = 0
            self.mark = c.snd_max
        edge = self._lost_below(c)
        self.more = edge > self.edge
        self.edge = edge
        high = self.high_rxt
        pipe = c.snd_max
        at = i = 0
        while i < len(sacked) and sacked[i + 1]:
            start = sacked[i]
            if start > at:
                if start <= edge:
                    pipe -= start - at
                if high > at:
                    pipe += (high if high < start else start) - at
            at = sacked[i + 1]
            pipe -= at - start
            i += 2
        return pipe

    def send_hole(self, c, lost):
        """Retransmit from the first hole below what the peer has; the bytes sent, 0: there is none.

        `lost`: only one that is lost (RFC 6675, 4, NextSeg, rules 1 and 3).
        """
        sacked = self.sacked
        at = self.high_rxt
        i = 0
        while i < len(sacked) and sacked[i + 1]:
            if at < sacked[i]:
                if lost and at and sacked[i] > self.edge:
                    return 0
                n = min(sacked[i] - at, c.mss)
                if not output.again(c, at, n):
                    return 0
                self.high_rxt = at + n
                self.undo += n
                return n
            if at < sacked[i + 1]:
                at = sacked[i + 1]
            i += 2
        return 0

    def proceed(self, c, delivered, advanced):
        """Proportional rate reduction (RFC 9937, 6.2): `delivered` bytes let how much go?"""
        ssthresh = self.ssthresh
        mss = c.mss
        pipe = self.pipe(c)
        self.delivered += delivered
        if pipe > ssthresh:
            # In segments, lest the product outgrow a small integer.
            budget = -(-self.delivered // mss * ssthresh // (self.flight // mss or 1)) - self.out
        else:
            budget = self.delivered - self.out
            if budget < delivered:
                budget = delivered
            if advanced and not self.more:
                budget += mss       # SafeACK
            if budget > ssthresh - pipe:
                budget = ssthresh - pipe
        if budget < mss and not (self.out and delivered):
            budget = mss            # the first retransmission does not wait for room
        c.cwnd = pipe + (budget if budget > 0 else 0)
        while budget >= mss:
            n = self.send_hole(c, True) or output.push_one(c) or self.send_hole(c, False)
            if not n:
                break
            budget -= n
            self.out += n

    # -- the tail loss probe -------------------------------------------------

    def expired(self, c):
        """Nothing was heard for two round trips: send what must be answered (RFC 8985, 7.3)."""
        c.tcp.count["tail_probe"] += 1
        self.again = not output.push_one(c)
        if self.again:
            n = min(c.snd_max, c.mss)
            output.again(c, c.snd_max - n, n)
            self.undo += n      # that it was not needed says nothing of earlier ones
        self.probe = c.snd_max
        c.flags &= ~PROBE       # new data may have begun it again: the timeout is next
        c.t_rexmt = rto.arm(c, c.rto)

    def probed(self, c, ack):
        """SND.UNA moved while a probe was out (RFC 8985, 7.4)."""
        self.probe -= ack
        if self.probe <= 0:
            self.probe = 0
            if self.again and not self.dsack and not self.recover:
                # The probe repaired a loss, which is a reason to slow down.
                c.cc.lost(c)
                c.cwnd = self.ssthresh

    # -- what was no loss ----------------------------------------------------

    def timeout(self, c):
        """The retransmission timer has expired."""
        c.flags &= ~(DOUBT | TRIED)
        if not self.recover:
            self.remember(c)
            self.undo = 0x1FFFFFFF
            if len(c.head) == 20:
                c.flags |= DOUBT
        elif self.dupacks >= 3:
            self.rxt_at = None      # a retransmission was lost: nothing is to be undone
            self.prior_cwnd = 0
        self.forget()

    def remember(self, c):
        """The windows are about to be reduced: remember what they were."""
        self.prior_cwnd = c.cwnd
        self.prior_ssthresh = self.ssthresh
        self.rxt_at = c.tcp.timers.now
        self.undo = 0

    def echoed(self, c, age):
        """The first acknowledgement after a retransmission echoes a timestamp `age` ms old.

        If that is older than the retransmission, it was the original that arrived (RFC 3522).
        """
        at = self.rxt_at
        if at is not None:
            self.rxt_at = None
            if age > ticks_diff(c.tcp.timers.now, at):
                self.take_back(c)

    def frto(self, c):
        """An acknowledgement after a timeout, without timestamps: was it right (RFC 5682, 2.1)?

        True if it was not, or that is still open.
        """
        if c.flags & TRIED:
            self.take_back(c)
            return True
        c.flags &= ~DOUBT
        if c.s_len <= c.snd_max or c.snd_wnd - c.snd_max < c.mss:
            return False
        # Two new segments, rather than those that may be lost, show it.
        c.flags |= TRIED
        c.snd_nxt = c.snd_max
        c.cwnd = c.snd_max + 2 * c.mss
        return True

    def take_back(self, c):
        """Nothing was lost: go on as if nothing had happened (RFC 4015)."""
        c.tcp.count["spurious"] += 1
        self.finish(c)
        self.recover = self.dupacks = 0
        c.flags &= ~(DOUBT | TRIED)
        if c.snd_nxt < c.snd_max:
            c.snd_nxt = c.snd_max
        # Not in a burst beyond an initial window.
        cwnd = min(self.prior_cwnd, c.snd_max + 10 * c.mss)
        if cwnd > c.cwnd:
            c.cwnd = cwnd
        if self.prior_ssthresh > self.ssthresh:
            self.ssthresh = self.prior_ssthresh
        self.prior_cwnd = 0
        self.rxt_at = None
        c.cc.undo(c)
