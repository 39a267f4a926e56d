"""The retransmission timeout (RFC 6298), in whole milliseconds.

`srtt` is kept times 8 and `rttvar` times 4, as in the appendix of Jacobson's
paper, so that the gains 1/8 and 1/4 are shifts.  One segment is timed at a
time, and never one that was sent twice (Karn's algorithm).

Where we differ: the lower bound is 200 ms, not the 1 s of (2.4), as in the
systems that most peers run; it still covers their delayed acknowledgements.
"""

from spinet.prim import ticks_add, ticks_diff
from spinet.tcp.states import PROBE, RACK, SACK

INITIAL = 1000
INITIAL_AFTER_SYN_LOSS = 3000  # (5.7)
LEAST = 200
MOST = 60000

PROBE_MS = 5        # added to two round trips before a tail loss probe
ACK_DELAY_MS = 200  # and this, when the peer may be waiting for a second segment


def arm(c, delay_ms):
    """See to it that `c.expire` runs within `delay_ms`; the time when that is."""
    timers = c.tcp.timers
    due = ticks_add(timers.now, delay_ms)
    if c.due is None or ticks_diff(due, c.due) < 0:
        timers.arm(c, delay_ms)
    return due


def sample(c, rtt):
    """Take in a round-trip time of `rtt` ms (2.2, 2.3) and set `c.rto`."""
    if rtt < 1:
        rtt = 1
    srtt = c.srtt
    if srtt:
        delta = rtt - (srtt >> 3)
        srtt += delta
        if delta < 0:
            delta = -delta
        c.rttvar += delta - (c.rttvar >> 2)
    else:
        srtt = rtt << 3
        c.rttvar = rtt << 1
    c.srtt = srtt
    restore(c)


def restore(c):
    """Set `c.rto` from what was measured (2.3), as if it had never been backed off."""
    rto = (c.srtt >> 3) + (c.rttvar or 1)
    c.rto = LEAST if rto < LEAST else MOST if rto > MOST else rto


def start(c):
    """Start the retransmission timer anew (5.1 to 5.3).

    With SACK, and nothing known to be lost, it first runs for a tail loss
    probe (RFC 8985, 7.2), which is much sooner.
    """
    delay = c.rto
    flags = c.flags & ~PROBE
    loss = c.loss
    if flags & RACK and loss.wait:
        delay = loss.wait
        flags |= PROBE
    elif flags & SACK and c.srtt and not (loss and (loss.recover or loss.probe)):
        probe = (c.srtt >> 2) + PROBE_MS
        if c.snd_max <= c.mss:
            probe += ACK_DELAY_MS
        if probe < delay:
            delay = probe
            flags |= PROBE
    if flags != c.flags:
        c.flags = flags
    c.t_rexmt = arm(c, delay)


def back_off(c):
    """The timer has expired: double the timeout (5.5)."""
    rto = c.rto << 1
    c.rto = MOST if rto > MOST else rto
