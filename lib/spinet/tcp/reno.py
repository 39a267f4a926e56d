"""Congestion control: NewReno (RFC 5681, RFC 6582), which every other one is measured against.

A congestion control is a module with the functions below, over a connection's
`cwnd` and `loss.ssthresh`, in bytes; without `loss` there was none, and no threshold.
It says how fast to send; what was lost, and what to send again, is for `recovery.py`
to say.  `c.cc` is the module of the connection `c`; what more it has to know of it is
in `c.cc_state`.  None of its functions but `start` may take memory.
"""


def start(c):
    """The connection is established, or from now on under this control."""
    c.cwnd = initial(c)


def acked(c, n):
    """`n` new bytes were acknowledged, and no loss is being recovered from."""
    cwnd = c.cwnd
    if cwnd > c.snd_max + n << 1:
        return      # it is not the window that holds the user back (RFC 7661, 4.1)
    mss = c.mss
    loss = c.loss
    if loss is None or cwnd < loss.ssthresh:
        # Slow start, counting bytes with L = 2 (RFC 3465).
        c.cwnd = cwnd + (n if n < 2 * mss else 2 * mss)
        return
    n += loss.cc_acked
    if n >= cwnd:
        # A window's worth: one segment more (RFC 5681, 3.1).
        n -= cwnd
        if cwnd < 0x1FFFFFFF:
            c.cwnd = cwnd + mss
    loss.cc_acked = n


def lost(c):
    """Data was lost, or marked on its way, first in this window: sets `loss.ssthresh`."""
    # Limited transmit goes beyond `cwnd`, and is not counted (RFC 5681, 3.2, step 2).
    flight = c.snd_max
    if flight > c.cwnd:
        flight = c.cwnd
    _halve(c, flight)


def timeout(c):
    """The retransmission timer has expired."""
    if not c.retries:
        _halve(c, c.snd_max)
    c.cwnd = c.mss


def undo(c):
    """There was no loss: `cwnd` and `ssthresh` are again what they were before `lost`."""


def idle(c):
    """Nothing was sent for longer than the retransmission timeout (RFC 5681, 4.1)."""
    cwnd = c.cwnd
    least = initial(c)
    if cwnd > least:
        # What it was worth is remembered (RFC 2861, 3.2).
        cwnd -= cwnd >> 2
        if c.loss and cwnd > c.loss.ssthresh:
            c.loss.ssthresh = cwnd
        c.cwnd = least


def initial(c):
    """The initial window (RFC 6928, 2)."""
    mss = c.mss
    return min(10 * mss, max(2 * mss, 14600))


def _halve(c, flight):
    """RFC 5681, equation 4."""
    loss = c.loss
    if loss:
        loss.ssthresh = max(flight >> 1, 2 * c.mss)
        loss.cc_acked = 0
