"""Recovery from loss: with SACK by RFC 6675 and PRR (RFC 9937), without by NewReno (RFC 6582).

With SACK the loss of the last segments, after which nothing comes that could be
acknowledged, is found by a tail loss probe (RFC 8985, 7), and the loss of a
retransmission by the report of data that was first sent after it.

A connection is in fast recovery while `dupacks` is 3 or more and `recover` not
0; after a timeout `recover` alone is set, so that echoes of what was sent twice
do not begin a fast recovery.  Which window results from a loss is for the
congestion control to say (`reno.py`), which data is lost for the scoreboard:
`Board` here goes by what was reported above it, the one in `rack.py` by time.
"""
from spinet.errors import ETIMEDOUT
from spinet.prim import ticks_add, ticks_diff
from spinet.tcp import options, output, ranges, rto
from spinet.tcp.states import (
    DOUBT, ECN, PERSIST, PROBE, RACK, SYN_RECEIVED, SYN_SENT, TRIED,
)

RETRIES = 12        # of data: about five minutes (RFC 9293, 3.8.3, R2)
SYN_RETRIES = 7     # of our SYN: three minutes (RFC 9293, 3.8.3)
SYN_ACK_RETRIES = 5


class Board:
    """The scoreboard of a connection whose peer sends SACK.

    `sacked` are the ranges above SND.UNA that the peer has; `high_rxt` ends
    what was retransmitted in this recovery, and `mark` what had been sent when
    that began; `probe` ends the tail loss probe that waits for its answer, 0:
    none.  All offsets are from SND.UNA.
    """

    def __init__(self, size):
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
        self.dsack = 0
        if ack:
            if c.recover:
                self.high_rxt = max(self.high_rxt - ack, 0)
                self.mark = max(self.mark - ack, 0)
                self.edge = max(self.edge - ack, 0)
            if sacked[1]:
                n = ranges.total(sacked)
                ranges.shift(sacked, ack)
                n = ranges.total(sacked) - n
        if p - s > len(c.head):
            n += options.take_sack(c, buf, s, p)
            if self.dsack and self.prior_cwnd:
                # If all that was sent again has come twice, none was lost (RFC 3708).
                self.undo -= self.dsack
                if self.undo <= 0:
                    _undo(c)
        return n

    def begin(self, c):
        """Recovery begins."""
        self.high_rxt = self.edge = 0
        self.mark = c.snd_max

    def forget(self):
        """What the peer reported it may have dropped since (RFC 2018, 8)."""
        ranges.clear(self.sacked)
        self.high_rxt = self.probe = 0
        self.lost = False

    def finish(self):
        """Recovery is over."""
        self.lost = False

    def shows_loss(self, c):
        """Whether there is a hole that is lost (RFC 6675, 5)."""
        return c.dupacks >= 3 or self._lost_below(c)

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


def acked(c, ack, sacked):
    """SND.UNA has moved by `ack`; `sacked` bytes above it were newly reported."""
    board = c.board
    if board and board.probe:
        _probed(c, board, ack)
    left = c.recover
    if not left:
        if c.dupacks:
            c.dupacks = 0
        c.cc.acked(c, ack)
    else:
        left -= ack
        if left > 0:
            c.recover = left
            if c.dupacks < 3:
                if not (c.flags & (DOUBT | TRIED) and _frto(c)):
                    c.cc.acked(c, ack)      # after a timeout: slow start
            elif board:
                _proportional(c, ack + sacked, True)
            else:
                _partial(c, ack)
            return
        c.recover = 0
        if c.dupacks < 3:
            c.cc.acked(c, ack)
        elif board:
            c.cwnd = c.ssthresh
            board.finish()
        else:
            _deflate(c)
        c.dupacks = 0
    if board and board.sacked[1] and board.shows_loss(c):
        _enter(c, sacked, ack)


def duplicate(c, sacked):
    """An acknowledgement that moves nothing, but says that a segment has arrived.

    `sacked` bytes were newly reported by SACK.
    """
    board = c.board
    dupacks = c.dupacks
    if dupacks >= 3:
        if board:
            _proportional(c, sacked, False)
        else:
            c.cwnd += c.mss
            output.push(c)
        return
    if c.recover:
        # No new recovery (RFC 6582, 3.2 step 1).
        if c.flags & TRIED:
            # The timeout was right (RFC 5682, 2.1, step 3a).
            c.flags &= ~TRIED
            c.snd_nxt = 0
            c.cwnd = 3 * c.mss
            output.push(c)
        return
    c.dupacks = dupacks = dupacks + 1
    if board and board.probe:
        # What was sent long before the probe and is not here is not late but lost.
        board.probe = 0
        board.lost = True
    if board.shows_loss(c) if board else dupacks >= 3:
        _enter(c, sacked, 0)
        return
    # Limited transmit (RFC 3042): what has arrived lets as much new data go.
    cwnd = c.cwnd
    c.cwnd = cwnd + (ranges.total(board.sacked) if board else dupacks * c.mss)
    output.push(c)
    c.cwnd = cwnd
    if dupacks >= 3:
        c.dupacks = 2


def _enter(c, sacked, ack):
    """Begin a fast recovery."""
    c.tcp.count["fast_retransmit"] += 1
    c.dupacks = 3
    board = c.board
    if board:
        _reduce(c, board)
    if c.flags & ECN:
        c.ecn.reduced(c)
    c.cc.lost(c)
    c.recover = c.snd_max
    if board:
        # RecoverFS leaves out what was reported earlier (RFC 9937, 6.2).
        board.flight = c.snd_max - ranges.total(board.sacked) + sacked + ack
        board.delivered = board.out = 0
        board.begin(c)
        _proportional(c, sacked + ack, False)
    else:
        c.cwnd = c.ssthresh + 3 * c.mss
        output.retransmit(c)
        output.push(c)
    rto.start(c)


def timeout(c):
    """The retransmission timer has expired (RFC 6298, 5.4 to 5.7), or the persist timer."""
    if c.flags & PROBE:
        _probe(c)
        return
    state = c.state
    if c.retries == 2 and state != SYN_RECEIVED:
        c.path.ip.advise(c.path)    # R1 (RFC 9293, 3.8.3): perhaps another gateway
    if state == SYN_SENT or state == SYN_RECEIVED:
        if _is_enough(c, SYN_RETRIES if state == SYN_SENT else SYN_ACK_RETRIES):
            c.end(c.soft_error or ETIMEDOUT)
            return
        c.tcp.count["retransmit"] += 1
        c.rtt_end = 0
        output.send_syn(c)
    elif _is_enough(c, RETRIES):
        c.tcp.count["timed_out"] += 1
        c.abort(c.soft_error or ETIMEDOUT)
        return
    elif c.flags & PERSIST:
        output.probe(c)
    elif c.snd_max:
        c.tcp.count["timeout"] += 1
        board = c.board
        if board:
            c.flags &= ~(DOUBT | TRIED)
            if not c.recover:
                _reduce(c, board)
                board.undo = 0x1FFFFFFF
                if len(c.head) == 20:
                    c.flags |= DOUBT
            elif c.dupacks >= 3:
                board.rxt_at = None     # a retransmission was lost: nothing is to be undone
                board.prior_cwnd = 0
            board.forget()
        if c.flags & ECN:
            c.ecn.reduced(c)
        c.cc.timeout(c)
        c.recover = c.snd_max
        c.dupacks = 0
        if c.retries > 1 or c.pmtu:
            c.tcp.shrink(c)
        c.snd_nxt = output.retransmit(c)
    else:
        return
    c.retries += 1
    rto.back_off(c)
    delay = c.rto
    if c.user_timeout:
        delay = min(delay, c.user_timeout - ticks_diff(c.tcp.timers.now, c.stuck))
    c.t_rexmt = c.arm(delay)


def _is_enough(c, retries):
    """Whether it is time to give up: after so many retries, or the user's own time-out."""
    if not c.user_timeout:
        return c.retries >= retries
    now = c.tcp.timers.now
    if not c.retries and not c.flags & PERSIST:
        c.stuck = ticks_add(now, -c.rto)
    return ticks_diff(now, c.stuck) >= c.user_timeout


def _probe(c):
    """Nothing was heard for two round trips: send what must be answered (RFC 8985, 7.3)."""
    c.flags &= ~PROBE
    board = c.board
    if c.flags & RACK and board.wait:
        # What was waited for has not come (RFC 8985, 6.3).
        board.wait = 0
        if c.dupacks >= 3:
            _proportional(c, 0, False)
        elif not c.recover and board.shows_loss(c):
            _enter(c, 0, 0)
        if not board.wait:
            c.t_rexmt = c.arm(c.rto)
        return
    c.tcp.count["tail_probe"] += 1
    board.again = not output.push_one(c)
    if board.again:
        n = min(c.snd_max, c.mss)
        output.again(c, c.snd_max - n, n)
    c.flags &= ~PROBE       # the next time it is the retransmission timeout
    board.probe = c.snd_max
    c.flags &= ~PROBE       # new data may have begun it again: the timeout is next
    c.t_rexmt = c.arm(c.rto)


def _probed(c, board, ack):
    """SND.UNA moved while a probe was out (RFC 8985, 7.4)."""
    board.probe -= ack
    if board.probe <= 0:
        board.probe = 0
        if board.again and not board.dsack and not c.recover:
            # The probe repaired a loss, which is a reason to slow down.
            c.cc.lost(c)
            c.cwnd = c.ssthresh


# -- what was no loss, as far as a peer with SACK can tell -------------------

def _reduce(c, board):
    """The windows are about to be reduced: remember what they were."""
    board.prior_cwnd = c.cwnd
    board.prior_ssthresh = c.ssthresh
    board.rxt_at = c.tcp.timers.now
    board.undo = 0


def echoed(c, age):
    """The first acknowledgement after a retransmission echoes a timestamp `age` ms old.

    If that is older than the retransmission, it was the original that arrived (RFC 3522).
    """
    board = c.board
    at = board.rxt_at
    if at is not None:
        board.rxt_at = None
        if age > ticks_diff(c.tcp.timers.now, at):
            _undo(c)


def _frto(c):
    """An acknowledgement after a timeout, without timestamps: was it right (RFC 5682, 2.1)?

    True if it was not, or that is still open.
    """
    if c.flags & TRIED:
        _undo(c)
        return True
    c.flags &= ~DOUBT
    if c.s_len <= c.snd_max or c.snd_wnd - c.snd_max < c.mss:
        return False
    # Two new segments, rather than those that may be lost, show it.
    c.flags |= TRIED
    c.snd_nxt = c.snd_max
    c.cwnd = c.snd_max + 2 * c.mss
    return True


def _undo(c):
    """Nothing was lost: go on as if nothing had happened (RFC 4015)."""
    board = c.board
    c.tcp.count["spurious"] += 1
    board.finish()
    c.recover = c.dupacks = 0
    c.flags &= ~(DOUBT | TRIED)
    if c.snd_nxt < c.snd_max:
        c.snd_nxt = c.snd_max
    # Not in a burst beyond an initial window.
    cwnd = min(board.prior_cwnd, c.snd_max + 10 * c.mss)
    if cwnd > c.cwnd:
        c.cwnd = cwnd
    if board.prior_ssthresh > c.ssthresh:
        c.ssthresh = board.prior_ssthresh
    board.prior_cwnd = 0
    board.rxt_at = None
    c.cc.undo(c)


# -- without SACK -----------------------------------------------------------

def _partial(c, ack):
    """RFC 6582, 3.2 step 3: the next hole is at SND.UNA."""
    cwnd = c.cwnd - ack
    if ack >= c.mss:
        cwnd += c.mss
    c.cwnd = cwnd if cwnd > c.mss else c.mss
    output.retransmit(c)


def _deflate(c):
    """RFC 6582, 3.2 step 3, option 1."""
    flight = c.snd_max
    mss = c.mss
    c.cwnd = min(c.ssthresh, (flight if flight > mss else mss) + mss)


# -- with SACK --------------------------------------------------------------

def _proportional(c, delivered, advanced):
    """Proportional rate reduction (RFC 9937, 6.2): `delivered` bytes let how much go?"""
    board = c.board
    ssthresh = c.ssthresh
    mss = c.mss
    pipe = board.pipe(c)
    board.delivered += delivered
    if pipe > ssthresh:
        # In segments, lest the product outgrow a small integer.
        budget = -(-board.delivered // mss * ssthresh // (board.flight // mss or 1)) - board.out
    else:
        budget = board.delivered - board.out
        if budget < delivered:
            budget = delivered
        if advanced and not board.more:
            budget += mss       # SafeACK
        if budget > ssthresh - pipe:
            budget = ssthresh - pipe
    if budget < mss and not (board.out and delivered):
        budget = mss            # the first retransmission does not wait for room
    c.cwnd = pipe + (budget if budget > 0 else 0)
    while budget >= mss:
        n = board.send_hole(c, True) or output.push_one(c) or board.send_hole(c, False)
        if not n:
            break
        budget -= n
        board.out += n
