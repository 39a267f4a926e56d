"""What is due every few days: clocks of silent connections, and timestamps that have grown old."""
from spinet.tcp import options
from spinet.tcp.states import STALE

OUTDATED = 8    # looks in a row without a change: 24.8 days (RFC 7323, 5.5)


def look(tcp, before, now):
    """See to all connections with timestamps; `before` is what the last look returned, {} at first.

    Returns {connection: (TS.Recent, looks that it has not changed in)}.
    """
    seen = {}
    for c in tcp.all():
        head = c.head
        if len(head) > 20:
            options.tick(c, now)
            recent = bytes(head[28:32])
            was, n = before.get(c, (recent, -1))
            n = n + 1 if was == recent else 0
            seen[c] = recent, n
            if n >= OUTDATED:
                c.flags |= STALE
    return seen
