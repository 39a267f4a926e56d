"""The options of a segment (RFC 9293 3.2, RFC 7323, RFC 2018): read and written.

A connection that uses timestamps has them in its header, behind the 20 fixed
bytes: `head[24:28]` is our clock, begun at a secret offset, `head[28:32]` the
peer's last (TS.Recent), which we echo.
"""
from spinet.prim import add32, copy, ticks_diff
from spinet.tcp.states import ECN, SACK, SCALED, SND_SHIFT, SYN_SENT, WIDE

MSS = 2
WINDOW_SCALE = 3
SACK_PERMITTED = 4
SACK_BLOCKS = 5
TIMESTAMPS = 8

_LENGTHS = {MSS: 4, WINDOW_SCALE: 3, SACK_PERMITTED: 2, TIMESTAMPS: 10}
_PADDED = b"\1\1\x08\x0a"   # two no-operations before the timestamps align them


def find(buf, i, end, kind):
    """Where the option `kind` begins in `buf[i:end]`, 0 if it is not there or malformed."""
    while i < end and buf[i]:
        if buf[i] == 1:
            i += 1
            continue
        if i + 1 >= end or buf[i + 1] < 2 or i + buf[i + 1] > end:
            return 0
        if buf[i] == kind:
            return i if buf[i + 1] == _LENGTHS.get(kind, buf[i + 1]) else 0
        i += buf[i + 1]
    return 0


def take_syn(c, buf, s, p):
    """The options of the peer's SYN, header `buf[s:p]`: agree on what both ends want."""
    tcp = c.tcp
    i = find(buf, s + 20, p, MSS)
    mss = buf[i + 2] << 8 | buf[i + 3] if i else 536
    i = find(buf, s + 20, p, TIMESTAMPS)
    if i and tcp.timestamps:
        if len(c.head) == 20:
            tcp.draw_clock(c)
        copy(c.head, 28, buf, i + 2, 4)
    elif len(c.head) > 20:
        c.head = c.head[:20]
        c.head[12] = 0x50
    i = find(buf, s + 20, p, WINDOW_SCALE)
    if i and tcp.window_scaling:
        scale(c, min(buf[i + 2], 14))       # RFC 7323, 2.3
    c.flags &= ~ECN
    if tcp.ecn:
        from spinet.tcp import ecn

        if ecn.agreed(buf[s + 13], buf[s + 13] & 16):
            c.flags |= ECN
            c.ecn = ecn.Ecn()
    if tcp.sack and find(buf, s + 20, p, SACK_PERMITTED):
        c.flags |= SACK
    bound(c, mss)


def scale(c, shift):
    """Both ends of `c` scale their windows, the peer by `shift`."""
    c.flags |= SCALED | shift << SND_SHIFT
    shift = c.tcp.rcv_shift(c)
    if shift:
        c.rcv_shift = shift
        c.flags |= WIDE


def bound(c, mss):
    """The peer takes segments of `mss` bytes: what we shall send, options included (RFC 6691)."""
    # A peer that asks for less than 64 is up to no good.
    c.mss = max(min(mss, limit(c)), 64) - len(c.head) + 20


def limit(c):
    """The most that goes into a segment of `c`, options included, by our own will."""
    mss = c.path.mtu - 40
    return c.maxseg if 0 < c.maxseg < mss else mss


def put_syn(c, tx, t):
    """Write our SYN's options at `tx[t:]`; their length, a multiple of 4.

    The first SYN offers everything, a SYN,ACK what the peer has offered.
    """
    tcp = c.tcp
    first = c.state == SYN_SENT
    mss = limit(c)
    tx[t] = MSS
    tx[t + 1] = 4
    tx[t + 2] = mss >> 8
    tx[t + 3] = mss & 255
    i = t + 4
    sack = tcp.sack if first else c.flags & SACK
    if len(c.head) > 20:
        copy(tx, i, c.head, 20, 12)
        if first:
            for k in range(i + 8, i + 12):
                tx[k] = 0
        if sack:
            tx[i] = SACK_PERMITTED
            tx[i + 1] = 2
        i += 12
    elif sack:
        copy(tx, i, b"\1\1\4\2", 0, 4)
        i += 4
    if tcp.window_scaling if first else c.flags & SCALED:
        copy(tx, i, b"\1\3\3", 0, 3)
        tx[i + 3] = tcp.rcv_shift(c)
        i += 4
    return i - t


def begin_clock(c, base, i, now):
    """Give `c` timestamps, our clock beginning with the 4 bytes at `base[i]`."""
    head = bytearray(32)
    copy(head, 0, c.head, 0, 20)
    copy(head, 20, _PADDED, 0, 4)
    copy(head, 24, base, i, 4)
    head[12] = 0x80
    c.head = head
    c.ts_at = now


def tick(c, now):
    """Advance our clock, which ticks in milliseconds and does not wrap where `now` does."""
    if now != c.ts_at:
        head = c.head
        add32(head, 24, head, 24, ticks_diff(now, c.ts_at))
        c.ts_at = now


def stamps(buf, s, p):
    """Where TSval stands in the header `buf[s:p]`, TSecr behind it; 0 if there is none."""
    if p == s + 32 and buf[s + 20] == 1 and buf[s + 22] == TIMESTAMPS and buf[s + 23] == 10:
        return s + 24
    i = find(buf, s + 20, p, TIMESTAMPS)
    return i and i + 2


def put_sack(c, tx, t, room):
    """Write a SACK option for what is here out of order at `tx[t:]`, at most `room` bytes of it.

    The block with the data that came last is first (RFC 2018, 4), before it
    what was received twice (RFC 2883).  Returns its length, a multiple of 4.
    """
    i = t + 4
    end = t + room - 8
    head = c.head
    ooo = c.ooo
    dup = ooo.dsack
    if dup and i <= end:
        add32(tx, i, head, 8, ooo.dsack_at)
        add32(tx, i + 4, head, 8, ooo.dsack_at + dup)
        ooo.dsack = 0
        i += 8
    last = ooo.last
    ooo = ooo.ranges
    size = len(ooo)
    k = 0
    while k < size and ooo[k + 1] and i <= end:
        if ooo[k] <= last < ooo[k + 1]:
            break
        k += 2
    else:
        k = 0
    first = k
    while ooo[k + 1] and i <= end:
        add32(tx, i, head, 8, ooo[k])
        add32(tx, i + 4, head, 8, ooo[k + 1])
        i += 8
        k += 2
        if k == size or not ooo[k + 1]:
            k = 0
        if k == first:
            break
    if i == t + 4:
        return 0
    tx[t] = tx[t + 1] = 1
    tx[t + 2] = SACK_BLOCKS
    tx[t + 3] = i - t - 2
    return i - t
