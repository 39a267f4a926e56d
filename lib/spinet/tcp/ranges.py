"""Out-of-order data: which bytes beyond the next expected one are already here.

The bytes themselves lie in the receive ring, where they will be read from, so
all that is kept is a short sorted list of ranges, flat in one list:
`[start, end, start, end, ...]`, offsets from RCV.NXT, 0 marking an unused
pair.  No two ranges touch.  The list has a fixed length: a range that would
not fit is refused, and its bytes are sent again by the peer.
"""

LEAST = 4       # ranges of a small ring
MOST = 32


def new(size=0):
    """Room for the ranges of a ring of `size` bytes."""
    pairs = size >> 13
    return [0] * (2 * (LEAST if pairs < LEAST else MOST if pairs > MOST else pairs))


class Late:
    """What a connection knows of data that came out of order, or twice; offsets from RCV.NXT."""

    def __init__(self, size):
        self.ranges = new(size)
        self.last = 0       # where the last such segment began
        self.dsack = 0      # bytes that were received twice, to be reported (RFC 2883)
        self.dsack_at = 0   # where they stood
        self.quick = 0      # so many segments in sequence are acknowledged at once

    def twice(self, at, n):
        """The `n` bytes at `at` were here before."""
        self.dsack_at = at
        self.dsack = n


def insert(ranges, start, end):
    """Note that bytes `start` to `end` are here; False if there is no room to note it."""
    i = 0
    size = len(ranges)
    while i < size and ranges[i + 1] and ranges[i + 1] < start:
        i += 2
    if i == size:
        return False
    if ranges[i + 1] and ranges[i] <= end:
        # It touches the range at i: widen that one and swallow those it now reaches.
        if start < ranges[i]:
            ranges[i] = start
        while i + 2 < size and ranges[i + 3] and ranges[i + 2] <= end:
            if ranges[i + 3] > ranges[i + 1]:
                ranges[i + 1] = ranges[i + 3]
            _close_up(ranges, i + 2)
        if end > ranges[i + 1]:
            ranges[i + 1] = end
        return True
    if ranges[size - 1]:
        return False
    k = size - 2
    while k > i:
        ranges[k] = ranges[k - 2]
        ranges[k + 1] = ranges[k - 1]
        k -= 2
    ranges[i] = start
    ranges[i + 1] = end
    return True


def advance(ranges, n):
    """`n` bytes have come in sequence: how far RCV.NXT moves with what follows them here.

    Ranges that it passes are dropped, the others shifted.
    """
    while ranges[1] and ranges[0] <= n:
        if ranges[1] > n:
            n = ranges[1]
        _close_up(ranges, 0)
    i = 0
    size = len(ranges)
    while i < size and ranges[i + 1]:
        ranges[i] -= n
        ranges[i + 1] -= n
        i += 2
    return n


def _close_up(ranges, i):
    last = len(ranges) - 2
    while i < last:
        ranges[i] = ranges[i + 2]
        ranges[i + 1] = ranges[i + 3]
        i += 2
    ranges[last] = ranges[last + 1] = 0


def shift(ranges, n):
    """The origin has moved by `n`: what lies before it is forgotten."""
    while ranges[1] and ranges[1] <= n:
        _close_up(ranges, 0)
    i = 0
    size = len(ranges)
    while i < size and ranges[i + 1]:
        start = ranges[i] - n
        ranges[i] = start if start > 0 else 0
        ranges[i + 1] -= n
        i += 2


def skip(ranges, at):
    """The end of the range that `at` lies in, or `at` itself."""
    i = 0
    size = len(ranges)
    while i < size and ranges[i + 1]:
        if ranges[i] <= at < ranges[i + 1]:
            return ranges[i + 1]
        i += 2
    return at


def gap(ranges, at):
    """How far it is from `at` to the next range, a lot if there is none."""
    i = 0
    size = len(ranges)
    while i < size and ranges[i + 1]:
        if ranges[i] > at:
            return ranges[i] - at
        i += 2
    return 0x3FFFFFFF


def total(ranges, end=0x3FFFFFFF):
    """The bytes in all ranges that begin before `end`."""
    n = 0
    i = 0
    size = len(ranges)
    while i < size and ranges[i + 1] and ranges[i] < end:
        n += ranges[i + 1] - ranges[i]
        i += 2
    return n


def last(ranges):
    """Where the last range ends, 0 if there is none."""
    i = len(ranges) - 1
    while i > 0 and not ranges[i]:
        i -= 2
    return ranges[i] if i > 0 else 0


def clear(ranges):
    """Forget everything."""
    for i in range(len(ranges)):
        ranges[i] = 0
