"""What TCP does with a segment that belongs to a connection (RFC 9293, 3.10.7.3 and 3.10.7.4).

`arrives` follows the standard's order: sequence number, RST, SYN, ACK, data,
FIN.  The segment that bulk transfer is made of, the next one expected, with
nothing but ACK set, skips the checks that it cannot fail.
"""
from spinet.errors import ECONNREFUSED, ECONNRESET, ENOBUFS
from spinet.prim import add32, copy, diff32, ticks_diff
from spinet.tcp import options, output, ranges, recovery, rto
from spinet.tcp.output import ACK, FIN, RST, SYN
from spinet.tcp.states import (
    AFTER_FIN, AFTER_FIN_ACKED, CLOSE_LATER, CLOSED, ESTABLISHED, FIN_SEEN, KEPT, ORPHAN, PERSIST,
    RECEIVES, SACK, SND_SHIFT, STALE, SYN_RECEIVED, SYN_SENT, TIME_WAIT,
)
from spinet.tcp.conn import TIME_WAIT_MS

_PLAIN = FIN | SYN | RST | ACK

# So many segments are acknowledged at once after one out of order: the window of a peer who is
# losing data is small, and would wait for what we hold back.
QUICK = 16


def arrives(c, buf, s, p, end):
    """A segment with a right checksum: header at `buf[s]`, data in `buf[p:end]`."""
    state = c.state
    if state == SYN_SENT:
        _answer_to_syn(c, buf, s, p, end)
        return
    seq = diff32(buf, s + 4, c.head, 8)
    ts = 0
    if len(c.head) > 20:
        ts = options.stamps(buf, s, p)
        if not _fresh(c, buf, s, ts, end - p):
            return
    if seq or buf[s + 13] & _PLAIN != ACK or end - p > c.rcv_adv or state != ESTABLISHED:
        if not _acceptable(c, buf, s, seq, end - p):
            return
        if state == SYN_RECEIVED:
            cookies = c.tcp.cookies
            if cookies and cookies.instead(c, buf, s, p, end) or not _established(c, buf, s):
                return
    take(c, buf, s, p, end, seq, ts)


def take(c, buf, s, p, end, seq, ts):
    """From the acknowledgement on: a segment that is acceptable, its data at RCV.NXT + `seq`."""
    if ts and seq <= 0 and not c.ack_owed:
        # RFC 7323, 4.3: with nothing owed the last ACK sent was for RCV.NXT.
        copy(c.head, 28, buf, ts, 4)
    if not _acknowledged(c, buf, s, p, seq, end - p, ts):
        return
    if c.flags & KEPT:
        c.keep.heard = c.tcp.timers.now
        c.keep.probes = 0
    if buf[s + 13] & FIN:
        _see_fin(c, seq + end - p)
    if end > p:
        _data(c, buf, p, end, seq)
    if c.flags & FIN_SEEN and not c.fin_at:
        _fin(c)
    if c.ack_owed:
        if c.ack_owed > 1:
            output.ack(c)
        elif c.t_ack is None:
            output.delay_ack(c)


def _fresh(c, buf, s, ts, n):
    """Protection against wrapped sequence numbers (RFC 7323, 5.3); False: it is an old segment."""
    if buf[s + 13] & RST:
        return True
    if not ts:
        if buf[s + 13] & SYN:
            return True     # of a peer that has begun anew, to be challenged
        c.tcp.count["no_timestamp"] += 1    # RFC 7323, 3.2
        return False
    if diff32(buf, ts, c.head, 28) >= 0:
        return True
    if c.flags & STALE and -1 <= diff32(buf, s + 4, c.head, 8) <= 0:
        c.flags &= ~STALE
        copy(c.head, 28, buf, ts, 4)
        return True
    c.tcp.count["paws"] += 1
    if n:
        output.ack(c)
    else:
        c.tcp.challenge(c)
    return False


def _acceptable(c, buf, s, seq, n):
    """The first three checks, for a segment out of the ordinary; False: it has been dealt with."""
    flags = buf[s + 13]
    wnd = c.rcv_adv
    count = c.tcp.count
    if flags & RST:
        # RFC 5961, 3.2: only the exact next sequence number resets.
        if seq == 0:
            count["reset_received"] += 1
            c.end(0 if c.state == TIME_WAIT else
                  ECONNREFUSED if c.state == SYN_RECEIVED and not c.listener else ECONNRESET)
        elif 0 < seq < wnd:
            c.tcp.challenge(c)
        else:
            count["out_of_window"] += 1
        return False
    n += (flags & FIN) + (flags >> 1 & 1)
    if n == 0:
        good = 0 <= seq < wnd or seq == 0
    elif wnd == 0:
        good = seq == 0     # its data will be cut, its ACK counts
    else:
        good = seq < wnd and seq + n > 0
    if not good:
        count["out_of_window"] += 1
        if c.state == TIME_WAIT:
            c.arm_idle(TIME_WAIT_MS)
        if c.state == SYN_RECEIVED and flags & SYN and seq == -1:
            if not flags & ACK:
                output.send_syn(c)  # it was our SYN,ACK that was lost
            elif _established(c, buf, s):
                output.ack(c)       # simultaneous open (RFC 9293, 3.5, figure 7)
        elif n and not flags & SYN:
            if c.flags & SACK and c.sbuf and -0x10000000 < seq < 0 and c.late():
                c.ooo.twice(seq, n)
            output.ack(c)   # the peer may have missed our acknowledgement of this very data
        else:
            c.tcp.challenge(c)   # a dead or confused peer: answer, but do not make a storm of it
        return False
    if flags & SYN:
        c.tcp.challenge(c)       # RFC 5961, 4.2
        return False
    if not flags & ACK:
        count["no_ack"] += 1
        return False
    return True


def _answer_to_syn(c, buf, s, p, end):
    """SYN-SENT (RFC 9293, 3.10.7.3)."""
    flags = buf[s + 13]
    tcp = c.tcp
    if flags & ACK:
        if diff32(buf, s + 8, c.head, 4) != 1:
            tcp.count["bad_ack"] += 1
            if not flags & RST:
                tcp.refuse(c, buf, s, p)
            return
        if flags & RST:
            tcp.count["reset_received"] += 1
            c.end(ECONNREFUSED)
            return
    elif flags & RST:
        tcp.count["bad_ack"] += 1
        return
    if not flags & SYN:
        tcp.count["no_syn"] += 1
        return
    add32(c.head, 8, buf, s + 4, 1)
    options.take_syn(c, buf, s, p)
    c.snd_wnd = c.max_wnd = buf[s + 14] << 8 | buf[s + 15]
    if flags & ACK:
        if not _synchronized(c):
            return
        if flags & FIN:
            _see_fin(c, end - p)
        if end > p:
            _data(c, buf, p, end, 0)
        if c.flags & FIN_SEEN and not c.fin_at:
            _fin(c)
        output.push(c)
        if c.state != CLOSED:
            output.ack(c)
    else:
        # Simultaneous open: both ends send SYN,ACK.
        c.set_state(SYN_RECEIVED)
        c.retries = 0
        output.send_syn(c)


def _established(c, buf, s):
    """SYN-RECEIVED, fifth check: is it our SYN that is acknowledged?"""
    if diff32(buf, s + 8, c.head, 4) != 1:
        c.tcp.count["bad_ack"] += 1
        c.tcp.refuse(c, buf, s, s + 20)
        return False
    wnd = buf[s + 14] << 8 | buf[s + 15]
    if not buf[s + 13] & SYN:
        wnd <<= c.flags >> SND_SHIFT    # RFC 7323, 2.2
    c.snd_wnd = c.max_wnd = wnd
    if not _synchronized(c):
        return False
    if c.listener and not c.listener.established(c):
        c.abort()
        return False
    if c.flags & ORPHAN:
        c.close()
    elif c.flags & CLOSE_LATER:
        c.shutdown()
    return True


def _synchronized(c):
    """Our SYN is acknowledged: SND.UNA moves past it and the connection is open.

    False if there is no memory for its rings.
    """
    tcp = c.tcp
    try:
        c.open_rings()
    except MemoryError:
        tcp.count["no_memory"] += 1
        c.abort(ENOBUFS)
        tcp.relieve()
        return False
    add32(c.head, 4, c.head, 4, 1)
    c.snd_nxt = c.snd_max = 0
    c.t_rexmt = None
    if c.rtt_end and not c.retries:
        rto.sample(c, ticks_diff(tcp.timers.now, c.rtt_t0))
    elif c.retries:
        c.rto = rto.INITIAL_AFTER_SYN_LOSS
    c.rtt_end = c.retries = 0
    c.cc.start(c)
    c.set_state(ESTABLISHED)
    return True


def _acknowledged(c, buf, s, p, seq, n, ts):
    """The fifth check, in the synchronized states; False: the segment ends here."""
    ack = diff32(buf, s + 8, c.head, 4)
    wnd = (buf[s + 14] << 8 | buf[s + 15]) << (c.flags >> SND_SHIFT)
    if ack > 0:
        if ack > c.snd_max:
            c.tcp.challenge(c)   # it acknowledges what was never sent
            return False
        if ts:
            _measure(c, buf, ts)
        _advance(c, ack, buf, s, p)
        if c.state == CLOSED:
            return False
    elif ack < 0:
        if -ack > c.max_wnd:
            c.tcp.challenge(c)   # RFC 5961, 5.2
            return False
        return True
    elif c.snd_max and not c.flags & PERSIST:
        if c.flags & SACK:
            n = _reported(c, 0, buf, s, p)
            if n:
                recovery.duplicate(c, n)
        elif not n and not seq and wnd == c.snd_wnd and not buf[s + 13] & FIN:
            recovery.duplicate(c, 0)
    # The window (RFC 9293, 3.10.7.4): a segment that gets here is never older than
    # the last that set it, so SND.WL1 and SND.WL2 need not be kept.
    if wnd != c.snd_wnd and (ack > 0 or seq >= 0):
        c.snd_wnd = wnd
        if wnd > c.max_wnd:
            c.max_wnd = wnd
        if not wnd and c.snd_max and c.s_len and not c.flags & PERSIST:
            # It was shrunk to nothing: what is in flight is sent again by probes, and no
            # reason to give up while they are answered (RFC 9293, 3.8.6, SHLD-17).
            c.snd_nxt = 0
            output.persist(c)
    if c.flags & PERSIST:
        if not c.flags & ORPHAN:
            c.retries = 0   # an answer to a probe; but a user who has gone waits only so long
        if c.snd_wnd:
            c.flags &= ~PERSIST
            rto.restore(c)
            c.t_rexmt = None
            if c.snd_max:
                rto.start(c)
    if c.s_len > c.snd_nxt or ack:
        output.push(c)
    return True


def _measure(c, buf, ts):
    """A round-trip time from the timestamp that the peer echoes (RFC 7323, 4.1)."""
    now = c.tcp.timers.now
    options.tick(c, now)
    rtt = diff32(c.head, 24, buf, ts + 4)
    if 0 <= rtt < 120000:
        rto.sample(c, rtt)
        loss = c.loss
        if loss and loss.recover and c.flags & SACK:
            loss.echoed(c, rtt)


def _advance(c, ack, buf, s, p):
    """`ack` bytes of sequence space are newly acknowledged: SND.UNA moves."""
    n = ack
    head = c.head
    fin = n > c.s_len
    if fin:
        n = c.s_len     # the last of them is our FIN
    i = c.s_head + n
    size = len(c.sbuf)
    c.s_head = i - size if i >= size else i
    c.s_len -= n
    add32(head, 4, head, 4, ack)
    i = c.snd_nxt - ack
    c.snd_nxt = i if i > 0 else 0
    c.snd_max -= ack
    i = c.snd_wnd - ack
    c.snd_wnd = i if i > 0 else 0
    i = c.rtt_end
    if i:
        if ack >= i:
            c.rtt_end = 0
            if len(head) == 20:
                rto.sample(c, ticks_diff(c.tcp.timers.now, c.rtt_t0))
        else:
            c.rtt_end = i - ack
    c.retries = 0
    recovery.acked(c, ack, _reported(c, ack, buf, s, p) if c.flags & SACK else 0)
    if c.snd_max:
        rto.start(c)
    else:
        c.t_rexmt = None
    if fin:
        state = AFTER_FIN_ACKED[c.state]
        if state == CLOSED:
            c.end(0)
        else:
            c.set_state(state)


def _reported(c, ack, buf, s, p):
    """Bytes above SND.UNA, which has moved by `ack`, that the header `buf[s:p]` newly reports."""
    if c.loss is None and (p - s == len(c.head) or c.losses() is None):
        return 0
    return c.loss.report(c, ack, buf, s, p)


def _see_fin(c, at):
    """The peer's FIN stands `at` bytes beyond RCV.NXT; data before it may still be missing."""
    if RECEIVES >> c.state & 1 and not c.flags & FIN_SEEN and at <= c.rcv_adv:
        c.flags |= FIN_SEEN
        c.fin_at = at
        c.ack_owed = 2


def _data(c, buf, p, end, seq):
    """The seventh check: take the bytes `buf[p:end]` that begin at RCV.NXT + `seq`."""
    if not RECEIVES >> c.state & 1:
        return      # after the peer's FIN: it has gone mad, and is ignored
    if seq < 0:
        if c.flags & SACK and c.late():
            c.ooo.twice(seq, min(-seq, end - p))
        p -= seq    # the front has been here before
        seq = 0
        c.ack_owed = 2
    n = end - p
    if seq + n > c.rcv_adv:
        n = c.rcv_adv - seq
        c.ack_owed = 2
    if n <= 0:
        c.ack_owed = 2
        return
    if c.flags & ORPHAN:
        c.abort()   # nobody will read it: say so (RFC 9293, 3.10.4)
        return
    rbuf = c.rbuf
    i = c.r_head + c.r_len + seq
    k = len(rbuf) - i
    if k <= 0:
        copy(rbuf, -k, buf, p, n)
    elif n <= k:
        copy(rbuf, i, buf, p, n)
    else:
        copy(rbuf, i, buf, p, k)
        copy(rbuf, 0, buf, p + k, n - k)
    ooo = c.ooo
    if seq:
        ooo = c.late()
        if ooo:
            ooo.last = seq
            ooo.quick = QUICK
            if c.flags & SACK and ranges.skip(ooo.ranges, seq) >= seq + n:
                ooo.twice(seq, n)
        if not (ooo and ranges.insert(ooo.ranges, seq, seq + n)):
            c.tcp.count["ooo_full"] += 1
        c.ack_owed = 2
        return
    c.ack_owed += 1
    if ooo:
        if ooo.quick:
            # Data is missing, or was until lately.
            if ooo.ranges[1]:
                n = ranges.advance(ooo.ranges, n)
                ooo.last -= n
            else:
                ooo.quick -= 1
            c.ack_owed = 2
        if ooo.dsack:
            ooo.dsack_at -= n
    c.r_len += n
    c.rcv_adv -= n
    add32(c.head, 8, c.head, 8, n)
    if c.flags & FIN_SEEN:
        c.fin_at -= n


def _fin(c):
    """The eighth check: the peer's FIN stands at RCV.NXT."""
    c.flags &= ~FIN_SEEN
    del c.fin_at
    c.ack_owed = 2
    add32(c.head, 8, c.head, 8, 1)
    if c.ooo and c.ooo.dsack:
        c.ooo.dsack_at -= 1
    if c.rcv_adv:
        c.rcv_adv -= 1
    c.set_state(AFTER_FIN[c.state])
