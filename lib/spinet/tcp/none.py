"""No congestion control, for a link that nobody shares: `tcp.congestion = "none"` (see reno.py).

The peer's window alone limits what is in flight.  Where there are others on
the way this takes their share, and may bring down the network (RFC 2914).
"""

_UNLIMITED = 0x1FFFFFFF


def start(c):
    """The connection is established, or from now on under this control."""
    c.cwnd = _UNLIMITED


def acked(c, n):
    """`n` new bytes were acknowledged, and no loss is being recovered from."""
    if c.cwnd < _UNLIMITED:
        c.cwnd = _UNLIMITED


def lost(c):
    """Data was lost, or marked on its way."""
    c.loss.ssthresh = _UNLIMITED


def timeout(c):
    """The retransmission timer has expired: but for one segment, wait for an answer."""
    c.cwnd = c.mss


def undo(c):
    """There was no loss."""


def idle(c):
    """Nothing was sent for longer than the retransmission timeout."""
