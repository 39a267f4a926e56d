"""Recovery from loss: the retransmission timer, fast retransmit, and NewReno (RFC 6582).

With a peer that reports what it has, its board says what is lost and how much
may be sent in recovery: `Board` in `sack.py`, or the one in `rack.py`.

A connection is in fast recovery while `dupacks` is 3 or more and `recover` not
0; after a timeout `recover` alone is set, so that echoes of what was sent twice
do not begin a fast recovery.  Which window results from a loss is for the
congestion control to say (`reno.py`).
"""
from spinet.errors import ETIMEDOUT
from spinet.prim import ticks_add, ticks_diff
from spinet.tcp import output, rto
from spinet.tcp.states import DOUBT, ECN, PERSIST, PROBE, SACK, SYN_RECEIVED, SYN_SENT, TRIED

RETRIES = 12        # of data: about five minutes (RFC 9293, 3.8.3, R2)
SYN_RETRIES = 7     # of our SYN: three minutes (RFC 9293, 3.8.3)
SYN_ACK_RETRIES = 5


def acked(c, ack, sacked):
    """SND.UNA has moved by `ack`; `sacked` bytes above it were newly reported."""
    board = c.board
    if board and board.probe:
        board.probed(c, ack)
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
                if not (c.flags & (DOUBT | TRIED) and board.frto(c)):
                    c.cc.acked(c, ack)      # after a timeout: slow start
            elif board:
                board.proportional(c, ack + sacked, True)
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
        enter(c, sacked, ack)


def duplicate(c, sacked):
    """An acknowledgement that moves nothing, but says that a segment has arrived.

    `sacked` bytes were newly reported by SACK.
    """
    board = c.board
    dupacks = c.dupacks
    if dupacks >= 3:
        if board:
            board.proportional(c, sacked, False)
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
        enter(c, sacked, 0)
        return
    # Limited transmit (RFC 3042): what has arrived lets as much new data go.
    cwnd = c.cwnd
    c.cwnd = cwnd + (board.total() if board else dupacks * c.mss)
    output.push(c)
    c.cwnd = cwnd
    if dupacks >= 3:
        c.dupacks = 2


def enter(c, sacked, ack):
    """Begin a fast recovery; the arguments are those of `acked`."""
    c.tcp.count["fast_retransmit"] += 1
    c.dupacks = 3
    board = c.board
    if board:
        board.remember(c)
    if not c.flags & ECN:
        c.cc.lost(c)
    elif not c.ecn.did(c.head, 4):
        c.cc.lost(c)
        c.ecn.reduced(c)
    c.recover = c.snd_max
    if board:
        board.begin(c, sacked + ack)
        board.proportional(c, sacked + ack, False)
    else:
        c.cwnd = c.ssthresh + 3 * c.mss
        output.retransmit(c)
        output.push(c)
    rto.start(c)


def timeout(c):
    """The retransmission timer has expired (RFC 6298, 5.4 to 5.7), or the persist timer."""
    if c.flags & PROBE:
        c.flags &= ~PROBE
        if c.scoreboard():
            c.board.expired(c)
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
        if c.flags & SACK and c.scoreboard():
            c.board.timeout(c)
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
