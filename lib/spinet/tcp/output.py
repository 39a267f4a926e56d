"""What TCP sends: data within the windows, acknowledgements, probes, resets.

`push` decides what may go (RFC 9293, 3.8.6.2.1; RFC 9293, 3.7.4, Nagle),
`transmit` puts one segment together in the interface's transmit buffer, and
everything else here is one of the two with a reason.
"""
from spinet.prim import add32, cksum, copy, ticks_diff
from spinet.tcp import options, ranges, rto
from spinet.tcp.states import (
    BLOCKED, CARRIES, ECN, NODELAY, OWES_FIN, PERSIST, QUICKACK, RACK, SACK, SYN_RECEIVED, WIDE,
)

FIN = 1
SYN = 2
RST = 4
PSH = 8
ACK = 16

DELAYED_ACK_MS = 40


def push(c):
    """Send all that the peer's window, the congestion window and Nagle allow."""
    state = c.state
    if not CARRIES >> state & 1:
        return
    mss = c.mss
    s_len = c.s_len
    fin = OWES_FIN >> state & 1
    while True:
        off = c.snd_nxt
        room = c.cwnd
        if off < c.snd_max and c.loss:
            # After a timeout: what the peer has reported since is not sent again.
            c.snd_nxt = off = ranges.skip(c.loss.sacked, off)
            mss = min(c.mss, ranges.gap(c.loss.sacked, off))
            room += ranges.total(c.loss.sacked, off)
        n = s_len - off
        if n < 0 or not (n or fin):
            return
        if room > c.snd_wnd:
            room = c.snd_wnd
        room -= off
        flags = ACK
        if n > mss:
            n = mss
        else:
            flags |= PSH | fin
        if n <= room or not n:
            # Nagle holds the last, short segment while anything is unacknowledged.
            # Unless the ring is full: nothing could be added to it.
            if (n < mss and off and off >= c.snd_max and not fin and not c.flags & NODELAY
                    and (n << 1 < mss or s_len < len(c.sbuf))):
                return
        elif room > 0 and room << 1 >= c.max_wnd:
            n = room
            flags = ACK
        else:
            break
        if not transmit(c, off, n, flags):
            return
        _sent(c, off + n + (flags & FIN))
    if not c.snd_max and c.t_rexmt is None:
        # Held back with nothing in flight: nothing but a probe will get an answer.
        persist(c)


def persist(c):
    """Start the timer of zero-window probes."""
    c.flags |= PERSIST
    c.t_rexmt = rto.arm(c, c.rto)
    if c.user_timeout:
        c.stuck = c.tcp.timers.now


def push_one(c):
    """Send a segment of new data, whatever the congestion window; its bytes, 0 if there is none."""
    off = c.snd_nxt
    n = c.s_len - off
    if n > c.mss:
        n = c.mss
    if n <= 0 or n > c.snd_wnd - off or not CARRIES >> c.state & 1:
        return 0
    fin = OWES_FIN >> c.state & 1 if off + n == c.s_len else 0
    if n < c.mss and not fin and not c.flags & NODELAY:
        return 0
    if not transmit(c, off, n, ACK | fin):
        return 0
    _sent(c, off + n + fin)
    return n


def _sent(c, end):
    """Everything up to `end` has been sent: the timer must run (RFC 6298, 5.1)."""
    flags = c.flags
    if flags & RACK:
        c.loss.sent(c, c.snd_nxt, end)
    c.snd_nxt = end
    before = c.snd_max
    if end > before:
        if not c.rtt_end:
            now = c.tcp.timers.now
            if not before and not 0 <= ticks_diff(now, c.rtt_t0) <= c.rto:
                c.cc.idle(c)
            c.rtt_end = end
            c.rtt_t0 = now
        c.snd_max = end
    if c.t_rexmt is None or flags & PERSIST or before <= c.mss < end and flags & SACK:
        if flags & PERSIST:
            c.flags &= ~PERSIST
        rto.start(c)


def transmit(c, off, n, flags):
    """Send `n` bytes of the send ring, from offset `off`; False if the port is busy."""
    path = c.path
    ip = path.ip
    if path.gen != ip.gen:
        path = c.tcp.repath(c)
        if path is None:
            return True     # as good as lost on the way: timers will see to it
        ip = path.ip
    tx = ip.tx
    t = ip.hdr
    head = c.head
    end = len(head)
    if end > 20:
        options.tick(c, c.tcp.timers.now)
    copy(tx, t, head, 0, end)
    end += t
    if off:
        add32(tx, t + 4, head, 4, off)
    tx[t + 13] = flags
    i = _window(c)
    tx[t + 14] = i >> 8
    tx[t + 15] = i & 255
    if (c.ooo and c.flags & SACK and (c.ooo.dsack or c.ooo.ranges[1])
            and n + 12 <= c.mss):
        end += options.put_sack(c, tx, end, min(c.mss - n, t + 60 - end))
        tx[t + 12] = (end - t) << 2
    if n:
        sbuf = c.sbuf
        i = c.s_head + off
        k = len(sbuf) - i
        if k <= 0:
            copy(tx, end, sbuf, -k, n)
        elif n <= k:
            copy(tx, end, sbuf, i, n)
        else:
            copy(tx, end, sbuf, i, k)
            copy(tx, end + k, sbuf, 0, n - k)
        end += n
    if c.flags & ECN:
        c.ecn.mark(c, tx, t, off, n)
    n = end - t
    i = cksum(tx, t, end, path.pseudo + n) ^ 0xFFFF
    tx[t + 16] = i >> 8
    tx[t + 17] = i & 255
    if path.send(n):
        if c.ack_owed:
            c.ack_owed = 0
            if not c.flags & BLOCKED:
                c.t_ack = None
        return True
    c.flags |= BLOCKED
    c.t_ack = rto.arm(c, 1)
    return False


def _window(c):
    """The window field: what the ring has room for, opened in useful steps (3.8.6.2.2)."""
    size = len(c.rbuf)
    space = size - c.r_len
    edge = c.rcv_adv
    shift = c.rcv_shift if c.flags & WIDE else 0
    if space != edge and (space - edge >= c.mss or space - edge >= size >> 1):
        edge = min(space >> shift, 65535) << shift
        if edge > c.rcv_adv:
            c.rcv_adv = edge
        edge = c.rcv_adv
    if not shift:
        return edge
    # Rounded up the edge does not shrink (RFC 7323, 2.4), where there is room for it.
    up = edge + (1 << shift) - 1 >> shift
    return up if up << shift <= space else edge >> shift


def ack(c):
    """Send an acknowledgement with no data."""
    if not transmit(c, _end(c), 0, ACK):
        c.ack_owed = 2


def delay_ack(c):
    """An acknowledgement is owed, but may wait for data or a second segment (RFC 9293, 3.8.6.3)."""
    if c.flags & QUICKACK:
        ack(c)
    else:
        c.t_ack = rto.arm(c, DELAYED_ACK_MS)


def again(c, off, n):
    """Retransmit `n` bytes of sequence space from `off`; False if the port is busy."""
    flags = ACK
    if off + n > c.s_len:
        n = c.s_len - off
        flags |= FIN
    c.rtt_end = 0
    c.tcp.count["retransmit"] += 1
    if not transmit(c, off, n, flags):
        return False
    if c.flags & RACK:
        c.loss.resent(c, off, off + n + (flags & FIN))
    return True


def retransmit(c):
    """Send the first unacknowledged segment again; the bytes of sequence space it took."""
    n = c.s_len
    flags = ACK | PSH
    if n > c.mss:
        n = c.mss
    if n > c.snd_wnd:
        n = c.snd_wnd or 1
    if n == c.s_len and c.snd_max > n:
        flags |= OWES_FIN >> c.state & 1
    c.rtt_end = 0
    c.tcp.count["retransmit"] += 1
    transmit(c, 0, n, flags)
    n += flags & FIN
    if c.flags & RACK:
        c.loss.sent(c, 0, n)
    if n > c.snd_max:
        c.snd_max = c.snd_nxt = n   # bytes that were not sent before filled it up
    return n


def probe(c):
    """A zero-window probe: one byte beyond the window (RFC 9293, 3.8.6.1), or what silly
    window avoidance has held back until now."""
    off = c.snd_nxt
    n = c.s_len - off
    room = c.snd_wnd - off
    if room < 1:
        room = 1
    if n > room:
        n = room
    if n > c.mss:
        n = c.mss
    c.tcp.count["probe"] += 1
    transmit(c, off, n, ACK | PSH)
    if off + n > c.snd_max:
        c.snd_max = off + n


def keepalive(c):
    """A segment that the peer must answer: the byte before SND.UNA, which it has."""
    c.tcp.count["keepalive"] += 1
    transmit(c, -1, 0, ACK)


def reset(c):
    """Tell the peer that the connection is gone."""
    c.tcp.count["reset_sent"] += 1
    transmit(c, _end(c), 0, RST | ACK)


def _end(c):
    """Where a segment without data stands: after all that was sent, but not behind a probe that
    was sent beyond the window, where a peer whose window is shut would not accept it."""
    if c.snd_max <= c.snd_wnd or c.state == SYN_RECEIVED:
        return c.snd_max
    return c.snd_wnd


def send_syn(c):
    """Send our SYN, or SYN,ACK, with the options that only it may carry."""
    path = c.path
    if path.gen != path.ip.gen:
        path = c.tcp.repath(c)
        if path is None:
            return
    ip = path.ip
    tx = ip.tx
    t = ip.hdr
    if len(c.head) > 20:
        options.tick(c, c.tcp.timers.now)
    copy(tx, t, c.head, 0, 20)
    n = 20 + options.put_syn(c, tx, t + 20)
    tx[t + 12] = n << 2
    flags = SYN | ACK if c.state == SYN_RECEIVED else SYN
    if c.flags & ECN:
        flags |= 0x40       # ECE agrees
        if flags & ACK == 0:
            # With CWR it proposes; but once, some drop such a SYN (RFC 3168, 6.1.1.1).
            flags |= 0x80
            c.flags &= ~ECN
    tx[t + 13] = flags
    edge = c.tcp.ring(c)
    c.rcv_adv = edge = edge if edge < 65535 else 65535
    tx[t + 14] = edge >> 8
    tx[t + 15] = edge & 255
    i = cksum(tx, t, t + n, path.pseudo + n) ^ 0xFFFF
    tx[t + 16] = i >> 8
    tx[t + 17] = i & 255
    path.send(n)
    if not c.rtt_end and not c.retries:
        c.rtt_end = 1
        c.rtt_t0 = c.tcp.timers.now


def refuse(path, buf, s, p, end):
    """Answer a segment that is not wanted with a reset (RFC 9293, 3.10.7.1)."""
    ip = path.ip
    tx = ip.tx
    t = ip.hdr
    copy(tx, t, buf, s + 2, 2)
    copy(tx, t + 2, buf, s, 2)
    for i in range(t + 4, t + 20):
        tx[i] = 0
    tx[t + 12] = 0x50
    flags = buf[s + 13]
    if flags & ACK:
        copy(tx, t + 4, buf, s + 8, 4)
        tx[t + 13] = RST
    else:
        add32(tx, t + 8, buf, s + 4, end - p + (flags & FIN) + (flags >> 1 & 1))
        tx[t + 13] = RST | ACK
    i = cksum(tx, t, t + 20, path.pseudo + 20) ^ 0xFFFF
    tx[t + 16] = i >> 8
    tx[t + 17] = i & 255
    path.send(20)
