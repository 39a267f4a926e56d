"""Congestion control: NewReno (RFC 5681, RFC 6582, initial window RFC 6928).

Every congestion control is a module with these functions over a connection's
`cwnd` and `ssthresh`, in bytes.
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


def timeout(c):
    """The retransmission timer has expired."""
    if c.retries == 0:
        halve(c)
    c.cwnd = c.mss
