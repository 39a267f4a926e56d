"""Recovery from loss: the retransmission timer, fast retransmit, and NewReno (RFC 6582).

`Loss` says what is lost and how much may be sent in recovery; with a peer that reports
what it has, that is the `Board` of `sack.py`, or the one of `rack.py`.

A connection is in fast recovery while `loss.dupacks` is 3 or more and `loss.recover`
not 0; after a timeout `recover` alone is set, so that echoes of what was sent twice
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


class Loss:
    """What a connection knows of its losses, once one has shown; this one, without SACK.

    Made by `Conn.losses`.  Offsets are from SND.UNA.
    """

    sacked = (0, 0)     # ranges that the peer has reported: none
    probe = 0           # no tail loss probe is out

    def __init__(self):
        self.recover = 0            # where recovery ends, 0: there is none
        self.dupacks = 0            # 3 or more: in fast recovery
        self.ssthresh = 0x3FFFFFFF
        self.cc_acked = 0           # what `reno.py` has counted towards the next segment

    def shows_loss(self, c):
        """Whether there is a loss to recover from."""
        return self.dupacks >= 3

    def arrived(self, c):
        """The bytes that have arrived out of order."""
        return self.dupacks * c.mss

    def begin(self, c, delivered):
        """Recovery begins with an acknowledgement of so many bytes (RFC 6582, 3.2 step 2)."""
        c.cwnd = self.ssthresh + 3 * c.mss
        output.retransmit(c)
        output.push(c)

    def proceed(self, c, delivered, advanced):
        """In recovery so many bytes more were acknowledged, and SND.UNA has `advanced`, or not."""
        if advanced:
            # RFC 6582, 3.2 step 3: the next hole is at SND.UNA.
            cwnd = c.cwnd - delivered
            if delivered >= c.mss:
                cwnd += c.mss
            c.cwnd = cwnd if cwnd > c.mss else c.mss
            output.retransmit(c)
        else:
            c.cwnd += c.mss
            output.push(c)

    def finish(self, c):
        """Recovery is over; the window from now on (RFC 6582, 3.2 step 3, option 1)."""
        return min(self.ssthresh, max(c.snd_max, c.mss) + c.mss)


def acked(c, ack, sacked):
    """SND.UNA has moved by `ack`; `sacked` bytes above it were newly reported."""
    loss = c.loss
    if loss is None:
        c.cc.acked(c, ack)
        return
    if loss.probe:
        loss.probed(c, ack)
    fast = loss.dupacks >= 3
    left = loss.recover - ack
    if left > 0:
        loss.recover = left
        if fast:
            loss.proceed(c, ack + sacked, True)
        elif not (c.flags & (DOUBT | TRIED) and loss.frto(c)):
            c.cc.acked(c, ack)      # after a timeout: slow start
        return
    loss.recover = loss.dupacks = 0
    if fast:
        c.cwnd = loss.finish(c)
    else:
        c.cc.acked(c, ack)
    if loss.sacked[1] and loss.shows_loss(c):
        enter(c, sacked, ack)


def duplicate(c, sacked):
    """An acknowledgement that moves nothing, but says that a segment has arrived.

    `sacked` bytes were newly reported by SACK.
    """
    loss = c.losses()
    if loss is None:
        return      # there is no memory: the timer is left
    if loss.dupacks >= 3:
        loss.proceed(c, sacked, False)
        return
    if loss.recover:
        # No new recovery (RFC 6582, 3.2 step 1).
        if c.flags & TRIED:
            # The timeout was right (RFC 5682, 2.1, step 3a).
            c.flags &= ~TRIED
            c.snd_nxt = 0
            c.cwnd = 3 * c.mss
            output.push(c)
        return
    loss.dupacks = dupacks = loss.dupacks + 1
    if loss.probe:
        # What was sent long before the probe and is not here is not late but lost.
        loss.probe = 0
        loss.lost = True
    if loss.shows_loss(c):
        enter(c, sacked, 0)
        return
    # Limited transmit (RFC 3042): what has arrived lets as much new data go.
    cwnd = c.cwnd
    c.cwnd = cwnd + loss.arrived(c)
    output.push(c)
    c.cwnd = cwnd
    if dupacks >= 3:
        loss.dupacks = 2


def enter(c, sacked, ack):
    """Begin a fast recovery; the arguments are those of `acked`."""
    c.tcp.count["fast_retransmit"] += 1
    loss = c.loss
    loss.dupacks = 3
    if c.flags & SACK:
        loss.remember(c)
    if not c.flags & ECN:
        c.cc.lost(c)
    elif not c.ecn.did(c.head, 4):
        c.cc.lost(c)
        c.ecn.reduced(c)
    loss.recover = c.snd_max
    loss.begin(c, sacked + ack)
    rto.start(c)


def timeout(c):
    """The retransmission timer has expired (RFC 6298, 5.4 to 5.7), or the persist timer."""
    if c.flags & PROBE:
        c.flags &= ~PROBE
        if c.losses():
            c.loss.expired(c)
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
        loss = c.losses()
        if loss and c.flags & SACK:
            loss.timeout(c)
        if c.flags & ECN:
            c.ecn.reduced(c)
        c.cc.timeout(c)
        if loss:
            loss.recover = c.snd_max
            loss.dupacks = 0
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
    c.t_rexmt = rto.arm(c, delay)


def _is_enough(c, retries):
    """Whether it is time to give up: after so many retries, or the user's own time-out."""
    if not c.user_timeout:
        return c.retries >= retries
    now = c.tcp.timers.now
    if not c.retries and not c.flags & PERSIST:
        c.stuck = ticks_add(now, -c.rto)
    return ticks_diff(now, c.stuck) >= c.user_timeout
