"""Congestion control: NewReno (RFC 5681, RFC 6582, initial window RFC 6928).

Every congestion control is a module with these functions over a connection's
`cwnd`, `ssthresh` and `recover`, all in bytes; `recover` is an offset from
SND.UNA, 0 when no loss is being recovered from.
"""


def start(c):
    """The connection is established."""
    mss = c.mss
    c.cwnd = min(10 * mss, max(2 * mss, 14600))
    c.ssthresh = 0x3FFFFFFF


def acked(c, n):
    """`n` new bytes were acknowledged, and no loss is being recovered from."""
    cwnd = c.cwnd
    mss = c.mss
    if cwnd < c.ssthresh:
        # Slow start, counting bytes with L = 2 (RFC 3465).
        c.cwnd = cwnd + (n if n < 2 * mss else 2 * mss)
    elif cwnd < 0x1FFFFFFF:
        c.cwnd = cwnd + (mss * mss // cwnd or 1)


def halve(c):
    """Loss was noticed: the new slow start threshold (RFC 5681, equation 4)."""
    half = c.snd_max >> 1
    least = 2 * c.mss
    c.ssthresh = half if half > least else least


def enter_recovery(c):
    """The third duplicate acknowledgement has come."""
    halve(c)
    c.recover = c.snd_max
    c.cwnd = c.ssthresh + 3 * c.mss


def duplicate(c):
    """One more duplicate acknowledgement: another segment has left the network."""
    c.cwnd += c.mss


def partial(c, n):
    """An acknowledgement of `n` bytes that does not reach `recover` (RFC 6582, 3.2 step 5)."""
    cwnd = c.cwnd - n
    if n >= c.mss:
        cwnd += c.mss
    c.cwnd = cwnd if cwnd > c.mss else c.mss


def leave_recovery(c):
    """`recover` has been acknowledged (RFC 6582, 3.2 step 3, option 1)."""
    flight = c.snd_max
    mss = c.mss
    if flight < mss:
        flight = mss
    c.cwnd = min(c.ssthresh, flight + mss)


def timeout(c):
    """The retransmission timer has expired."""
    if c.retries == 0:
        halve(c)
    c.recover = c.snd_max
    c.cwnd = c.mss

