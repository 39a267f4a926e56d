"""When a link comes back: what waits to be sent again does not wait any longer.

After a minute without a cable the next retransmission may be a minute away.  What
the link says is no echo of congestion, so the back-off begins anew, and what was
tried while nothing could get through is not held against the peer.
"""
from spinet.tcp import rto


def resume(tcp, ip):
    """The link of the interface `ip` is up again."""
    for c in tcp.all():
        if c.path.ip is ip and c.retries and c.t_rexmt is not None:
            c.retries = 1
            if c.srtt:
                rto.restore(c)
            else:
                c.rto = rto.INITIAL
            c.t_rexmt = rto.arm(c, 0)
