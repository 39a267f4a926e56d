"""Recovery from loss: with SACK by RFC 6675 and PRR (RFC 6937), without by NewReno (RFC 6582).

With SACK the loss of the last segments, after which nothing comes that could be
acknowledged, is found by a tail loss probe (RFC 8985, 7), and the loss of a
retransmission by the report of data that was first sent after it.

A connection is in fast recovery while `dupacks` is 3 or more and `recover` not
0; after a timeout `recover` alone is set, so that echoes of what was sent twice
do not begin a fast recovery.  Which window results from a loss is for the
congestion control to say (`reno.py`).
"""
from spinet.errors import ETIMEDOUT
from spinet.tcp import output, ranges, reno, rto
from spinet.tcp.states import PERSIST, PROBE, SYN_RECEIVED, SYN_SENT

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

    def __init__(self):
        self.sacked = ranges.new()
        self.high_rxt = 0
        self.mark = 0
        self.probe = 0
        self.again = False      # the probe was a retransmission
        self.lost = False       # every hole counts as lost
        self.dsack = False      # the last acknowledgement reported a duplicate
        self.flight = 0         # RecoverFS
        self.delivered = 0      # prr_delivered
        self.out = 0            # prr_out


def acked(c, ack, sacked):
    """SND.UNA has moved by `ack`; `sacked` bytes above it were newly reported."""
    board = c.board
    if board and board.probe:
        _probed(c, board, ack)
    left = c.recover
    if not left:
        c.dupacks = 0
        reno.acked(c, ack)
        return
    left -= ack
    c.recover = left if left > 0 else 0
    if c.dupacks < 3:
        reno.acked(c, ack)      # after a timeout: slow start
    elif left <= 0:
        c.dupacks = 0
        if board:
            c.cwnd = c.ssthresh
            board.lost = False
        else:
            _deflate(c)
    elif board:
        _proportional(c, ack + sacked)
    else:
        _partial(c, ack)


def duplicate(c, sacked):
    """An acknowledgement that moves nothing, but says that a segment has arrived.

    `sacked` bytes were newly reported by SACK.
    """
    dupacks = c.dupacks
    if dupacks >= 3:
        if c.board:
            _proportional(c, sacked)
        else:
            c.cwnd += c.mss
            output.push(c)
        return
    if c.recover:
        return          # RFC 6582, 3.2 step 1
    c.dupacks = dupacks = dupacks + 1
    board = c.board
    if board and board.probe:
        # What was sent long before the probe and is not here is not late but lost.
        board.probe = 0
        board.lost = True
        _enter(c, sacked)
    elif dupacks >= 3 or board and ranges.total(board.sacked) > 2 * c.mss:
        _enter(c, sacked)
    else:
        # Limited transmit (RFC 3042): each of the first two lets one new segment go.
        cwnd = c.cwnd
        c.cwnd = cwnd + dupacks * c.mss
        output.push(c)
        c.cwnd = cwnd


def _enter(c, sacked):
    c.tcp.count["fast_retransmit"] += 1
    c.dupacks = 3
    reno.halve(c)
    c.recover = c.snd_max
    board = c.board
    if board:
        board.flight = c.snd_max
        board.delivered = sacked
        board.out = board.high_rxt = 0
        board.mark = c.snd_max
        # The first retransmission does not wait for room (RFC 6675, 5, step 4.3).
        _send_hole(c, board, True)
        _proportional(c, 0)
    else:
        c.cwnd = c.ssthresh + 3 * c.mss
        output.retransmit(c)
        output.push(c)
    c.t_rexmt = c.arm(c.rto)


def timeout(c):
    """The retransmission timer has expired (RFC 6298, 5.4 to 5.7), or the persist timer."""
    if c.flags & PROBE:
        _probe(c)
        return
    state = c.state
    if c.retries == 2 and state != SYN_RECEIVED:
        c.path.ip.advise(c.path)    # R1 (RFC 9293, 3.8.3): perhaps another gateway
    if state == SYN_SENT or state == SYN_RECEIVED:
        if c.retries >= (SYN_RETRIES if state == SYN_SENT else SYN_ACK_RETRIES):
            c.end(c.soft_error or ETIMEDOUT)
            return
        c.tcp.count["retransmit"] += 1
        c.rtt_end = 0
        output.send_syn(c)
    elif c.retries >= RETRIES:
        c.tcp.count["timed_out"] += 1
        c.abort(c.soft_error or ETIMEDOUT)
        return
    elif c.flags & PERSIST:
        output.probe(c)
    elif c.snd_max:
        c.tcp.count["timeout"] += 1
        reno.timeout(c)
        c.recover = c.snd_max
        c.dupacks = 0
        if c.board:
            # What the peer reported it may have dropped since (RFC 2018, 8).
            ranges.clear(c.board.sacked)
            c.board.high_rxt = c.board.probe = 0
            c.board.lost = False
        c.snd_nxt = output.retransmit(c)
    else:
        return
    c.retries += 1
    rto.back_off(c)
    c.t_rexmt = c.arm(c.rto)


def _probe(c):
    """Nothing was heard for two round trips: send what must be answered (RFC 8985, 7.3)."""
    c.tcp.count["tail_probe"] += 1
    board = c.board
    board.again = not output.push_one(c)
    if board.again:
        n = min(c.snd_max, c.mss)
        output.again(c, c.snd_max - n, n)
    c.flags &= ~PROBE       # the next time it is the retransmission timeout
    board.probe = c.snd_max
    c.t_rexmt = c.arm(c.rto)


def _probed(c, board, ack):
    """SND.UNA moved while a probe was out (RFC 8985, 7.4)."""
    board.probe -= ack
    if board.probe <= 0:
        board.probe = 0
        if board.again and not board.dsack and not c.recover:
            # The probe repaired a loss, which is a reason to slow down.
            reno.halve(c)
            c.cwnd = c.ssthresh


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

def _proportional(c, delivered):
    """Proportional rate reduction with its slow start bound (RFC 6937, 3)."""
    board = c.board
    mss = c.mss
    if ranges.last(board.sacked) > board.mark + 2 * mss:
        # Data first sent after the retransmissions has arrived, and they have not.
        board.high_rxt = 0
        board.mark = c.snd_max
    pipe = _pipe(c, board)
    board.delivered += delivered
    if pipe > c.ssthresh:
        # In segments, lest the product outgrow a small integer.
        budget = -(-board.delivered // mss * c.ssthresh // (board.flight // mss or 1)) - board.out
    else:
        budget = board.delivered - board.out
        if budget < delivered:
            budget = delivered
        budget += mss
        if budget > c.ssthresh - pipe:
            budget = c.ssthresh - pipe
    c.cwnd = pipe + (budget if budget > 0 else 0)
    while budget >= mss:
        n = _send_hole(c, board, True) or output.push_one(c) or _send_hole(c, board, False)
        if not n:
            break
        budget -= n
        board.out += n


def _pipe(c, board):
    """The bytes that are believed to be in the network (RFC 6675, 4, SetPipe)."""
    sacked = board.sacked
    high = board.high_rxt
    above = ranges.total(sacked)
    limit = 2 * c.mss
    pipe = at = i = 0
    size = len(sacked)
    while i < size and sacked[i + 1]:
        start = sacked[i]
        if start > at:
            if above <= limit and not board.lost:
                pipe += start - at
            if high > at:
                pipe += (high if high < start else start) - at
        at = sacked[i + 1]
        above -= at - start
        i += 2
    pipe += c.snd_max - at
    return pipe


def _send_hole(c, board, lost):
    """Retransmit from the first hole below what the peer has; the bytes sent, 0 if there is none.

    `lost`: only one that is lost (RFC 6675, 4, NextSeg, rules 1 and 3).
    """
    sacked = board.sacked
    at = board.high_rxt
    above = ranges.total(sacked)
    mss = c.mss
    i = 0
    size = len(sacked)
    while i < size and sacked[i + 1]:
        if at < sacked[i]:
            if lost and above <= 2 * mss and at and not board.lost:
                return 0
            n = sacked[i] - at
            if n > mss:
                n = mss
            if not output.again(c, at, n):
                return 0
            board.high_rxt = at + n
            return n
        above -= sacked[i + 1] - sacked[i]
        if at < sacked[i + 1]:
            at = sacked[i + 1]
        i += 2
    return 0
