"""A TCP connection: its variables, its timers, and what its user may call.

Sequence numbers do not fit MicroPython's small integers, so only two are kept,
in wire form, in the header that every segment of the connection starts from:
SND.UNA stands where the sequence number goes and RCV.NXT where the
acknowledgement number goes (and timestamps behind them, `options.py`).  Every
other sequence variable of RFC 9293, 3.3.1 is an offset from one of the two,
which is small, and moves when it moves:

    snd_nxt   the next byte to send                           from SND.UNA
    snd_max   the highest byte sent, plus one                 from SND.UNA
    snd_wnd   the window that the peer granted                from SND.UNA
    rtt_end   the end of the segment being timed, 0: none     from SND.UNA
    rcv_adv   the right edge of the window that we granted    from RCV.NXT
    fin_at    where the peer's FIN stands, once FIN_SEEN      from RCV.NXT

What only loss calls for is in two objects, which are made at its first sign: `ooo`
for data that comes out of order (`ranges.Late`), `loss` for our own (`recovery.Loss`).

The send ring begins with the byte SND.UNA; the byte after its last is our FIN,
once the user has closed.  The receive ring begins with the first byte that the
user has not read, and RCV.NXT is `r_len` bytes further.
"""
from spinet.errors import (
    ECONNABORTED, ECONNRESET, EINPROGRESS, EPIPE, ETIMEDOUT, os_error,
)
from spinet.prim import copy, ticks_diff
from spinet.tcp import output, ranges, recovery, rto
from spinet.tcp.states import (
    AFTER_CLOSE, BLOCKED, CLOSE_LATER, CLOSED, ESTABLISHED, FIN_WAIT_2, KEPT, NAMES, ORPHAN, RACK,
    RECEIVES, SACK, SENDS, SYN_RECEIVED, SYN_SENT, TIME_WAIT,
)
from spinet.timers import Timer

TIME_WAIT_MS = 60000    # 2 MSL, as most systems have it
FIN_WAIT_2_MS = 60000   # how long an orphan waits for the peer's FIN
ORPHAN_MS = 600000      # and how long for its data to be taken, however slowly the peer does it

_LATE = 1               # a kind of `Tcp.spares` beside the two of losses, 0 and SACK


class Conn(Timer):
    """One connection.  `path` leads to the peer; `lport` and `rport` are the ports."""

    # What most connections never set stays on the class.  To find it there MicroPython goes through
    # most of what the connection has first, so a segment in sequence asks a flag, or for nothing.
    error = 0           # why it ended (an errno), 0: it has not, or in peace
    soft_error = 0      # the last ICMP error that was no reason to end it
    listener = None     # where it will be accepted
    next = None         # the next connection in the same bucket of the table
    keep = None         # Keepalive, when the user wants it
    t_idle = None       # deadline of TIME-WAIT, FIN-WAIT-2 or keepalive
    fin_at = 0
    rcv_shift = 0       # by how much we scale our window (RFC 7323, 2)
    ts_at = 0           # when our timestamp clock was last advanced
    cc_state = None     # what the congestion control keeps of its own
    ecn = None          # explicit congestion notification (ecn.Ecn)
    ttl = 64
    tos = 0
    rcvbuf = sndbuf = 0     # sizes of its rings, 0: the stack's
    maxseg = 0          # the most in a segment, 0: what fits
    tuner = None        # sizes.Tuner, where rings grow by themselves
    pmtu = None         # pmtu.Search, when the path takes less than the interface
    user_timeout = 0    # how long data may be unacknowledged in ms, 0: until R2
    stuck = 0           # since when the first byte in the send ring goes nowhere
    challenges = 0      # how many, and when (limit.py)

    def __init__(self, tcp, path, lport, rport):
        Timer.__init__(self)
        self.tcp = tcp
        self.path = path
        head = bytearray(20)
        head[0] = lport >> 8
        head[1] = lport & 255
        head[2] = rport >> 8
        head[3] = rport & 255
        head[12] = 0x50
        self.head = head
        self.state = CLOSED
        self.flags = 0
        self.mss = 536
        self.snd_nxt = self.snd_max = 0
        self.snd_wnd = self.max_wnd = 0
        self.cc = tcp._congestion
        self.cwnd = 0
        self.srtt = self.rttvar = 0
        self.rto = rto.INITIAL
        self.rtt_end = self.rtt_t0 = 0
        self.retries = 0
        self.sbuf = self.rbuf = b""
        self.s_head = self.s_len = 0
        self.r_head = self.r_len = 0
        self.rcv_adv = 0
        self.ack_owed = 0
        self.t_rexmt = self.t_ack = None
        self.waiter = None  # called when something has happened: may be read or written, has ended
        # In recovery from loss no attribute must be new, lest their table grow and take memory.
        self.ooo = self.loss = None

    # (No properties: with one MicroPython looks through the class at each change of an attribute.)

    def lport(self):
        """Our port."""
        return self.head[0] << 8 | self.head[1]

    def rport(self):
        """The peer's port."""
        return self.head[2] << 8 | self.head[3]

    def prefer(self, rcvbuf, sndbuf, maxseg):
        """Sizes of rings, and the most in a segment, other than the stack's; 0: the same."""
        if rcvbuf:
            self.rcvbuf = rcvbuf
        if sndbuf:
            self.sndbuf = sndbuf
        if maxseg:
            self.maxseg = maxseg

    def open_rings(self):
        """Take the memory for data."""
        if not self.rbuf:
            tcp = self.tcp
            self.sbuf = bytearray(self.sndbuf or tcp.sndbuf)
            # What the SYN has promised holds.
            self.rbuf = bytearray(max(tcp.ring(self), self.rcv_adv))
            if tcp.autosize:
                from spinet.tcp.sizes import Tuner

                self.tuner = Tuner(tcp.timers.now)
            for kind in (_LATE, self.flags & SACK):
                tcp.spares[kind] = tcp.spares.get(kind) or self._made(kind)
            if tcp.rack and self.flags & SACK:
                from spinet.tcp.rack import Board

                self.flags |= RACK
                self.loss = Board(len(self.sbuf))

    def late(self):
        """What it knows of data out of order, made for the first; None without memory for it."""
        if self.ooo is None:
            self.ooo = self._made(_LATE)
        return self.ooo

    def losses(self):
        """What it knows of its losses, made when one shows; None without memory for it."""
        if self.loss is None:
            self.loss = self._made(self.flags & SACK)
        return self.loss

    def _made(self, kind):
        try:
            if kind == _LATE:
                return ranges.Late(len(self.rbuf))
            if not kind:
                return recovery.Loss()
            from spinet.tcp.sack import Board

            return Board(len(self.sbuf))
        except MemoryError:
            return self.tcp.spares.pop(kind, None)

    # -- what the user calls ------------------------------------------------

    def writable(self):
        """Bytes that `send` would take now; 0 when it would have to wait, or -1: it would raise."""
        if SENDS >> self.state & 1:
            return len(self.sbuf) - self.s_len
        return 0 if SYN_SENT <= self.state <= SYN_RECEIVED else -1

    def readable(self):
        """Bytes that may be read now, 0 at the end of the stream or after an error, -1: wait."""
        if self.r_len:
            return self.r_len
        if RECEIVES >> self.state & 1 or SYN_SENT <= self.state <= SYN_RECEIVED:
            return -1
        return 0

    def send(self, buf, start, end):
        """Take bytes of `buf[start:end]` into the send ring and send what may be sent.

        Returns how many were taken, 0 when the ring is full or not yet open.
        Raises OSError: EPIPE after our close, or what ended the connection.
        """
        room = Conn.writable(self)
        if room <= 0:
            if room == 0:
                return 0
            raise os_error(self.take_error() or EPIPE)
        n = end - start
        if n > room:
            if self.tuner:
                room = self.tuner.sends(self, n)
            if n > room:
                n = room
        sbuf = self.sbuf
        size = len(sbuf)
        i = self.s_head + self.s_len
        if i >= size:
            i -= size
        k = size - i
        if n <= k:
            copy(sbuf, i, buf, start, n)
        else:
            copy(sbuf, i, buf, start, k)
            copy(sbuf, 0, buf, start + k, n - k)
        self.s_len += n
        output.push(self)
        return n

    def peek_into(self, buf, start, end):
        """Copy bytes that have arrived into `buf[start:end]`, leaving them to be read.

        Returns how many, 0 at the end of the stream, -1 when there are none yet.
        Raises OSError once with what ended the connection.
        """
        n = self.r_len
        if not n:
            if self.error:
                raise os_error(self.take_error())
            return self.readable()
        if n > end - start:
            n = end - start
        rbuf = self.rbuf
        i = self.r_head
        k = len(rbuf) - i
        if n <= k:
            copy(buf, start, rbuf, i, n)
        else:
            copy(buf, start, rbuf, i, k)
            copy(buf, start + k, rbuf, 0, n - k)
        return n

    def recv_into(self, buf, start, end):
        """As `peek_into`, and take the bytes out of the receive ring."""
        n = Conn.peek_into(self, buf, start, end)
        if n > 0:
            Conn.consume(self, n)
        return n

    def consume(self, n):
        """Drop `n` bytes that were peeked at, and tell the peer of the room if it matters."""
        i = self.r_head + n
        size = len(self.rbuf)
        self.r_head = i - size if i >= size else i
        self.r_len -= n
        if self.tcp.autosize and self.tuner:
            self.tuner.reads(self, n)
            size = len(self.rbuf)
        # Silly window avoidance (RFC 9293, 3.8.6.2.2).
        if RECEIVES >> self.state & 1:
            grown = size - self.r_len - self.rcv_adv
            if grown >= 2 * self.mss or grown >= size >> 1:
                output.ack(self)

    def shutdown(self):
        """Our last byte has been sent: a FIN will follow it."""
        state = self.state
        if state == SYN_RECEIVED:
            self.flags |= CLOSE_LATER
        elif state == SYN_SENT:
            self.end(0)
        elif AFTER_CLOSE[state] != state:
            self.set_state(AFTER_CLOSE[state])
            output.push(self)

    def close(self):
        """The user is done with the connection; what was sent is still delivered.

        Bytes that were not read are lost, and the peer is told so by a reset
        (RFC 2525, 2.17).
        """
        self.flags |= ORPHAN
        unread = self.r_len
        self.r_len = 0
        if self.state == TIME_WAIT or self.state == CLOSED:
            self.release()
        elif unread:
            self.abort()
        else:
            self.flags &= ~KEPT
            self.shutdown()
            if SYN_SENT < self.state < TIME_WAIT:
                self.arm_idle(FIN_WAIT_2_MS if self.state == FIN_WAIT_2 else ORPHAN_MS)

    def abort(self, error=ECONNABORTED):
        """End the connection at once; a synchronized peer gets a reset."""
        if SYN_RECEIVED <= self.state < TIME_WAIT:
            output.reset(self)
        self.end(error)

    def take_error(self):
        """The errno that ended the connection, reported once."""
        error = self.error
        if error:
            self.error = 0
        return error

    def connect_error(self):
        """How `connect` stands: 0 established, EINPROGRESS, or why it failed."""
        if self.state == SYN_SENT or self.state == SYN_RECEIVED:
            return EINPROGRESS
        return self.take_error()

    def keepalive(self, on, idle_ms=7200000, interval_ms=75000, count=9):
        """Probe a peer that has been silent for `idle_ms`, `count` times (RFC 9293, 3.8.4)."""
        if on:
            from spinet.tcp.keep import Keepalive

            self.keep = Keepalive(idle_ms, interval_ms, count, self.tcp.timers.now)
            self.flags |= KEPT
            if self.state != TIME_WAIT:
                self.arm_idle(idle_ms)
        else:
            self.flags &= ~KEPT

    def info(self):
        """What a console shows of the connection, as a dict; times in ms, sizes in bytes."""
        from spinet.tcp.info import info

        return info(self)

    # -- timers -------------------------------------------------------------

    def arm_idle(self, delay_ms):
        """Start the timer of TIME-WAIT, FIN-WAIT-2 or keepalive."""
        self.t_idle = rto.arm(self, delay_ms)

    def expire(self, now):
        """One of the deadlines may have passed."""
        due = self.t_ack
        if due is not None and ticks_diff(due, now) <= 0:
            self.t_ack = None
            if self.flags & BLOCKED:
                self.flags &= ~BLOCKED
                output.push(self)
            if self.ack_owed:
                output.ack(self)
        due = self.t_rexmt
        if due is not None and ticks_diff(due, now) <= 0:
            self.t_rexmt = None
            recovery.timeout(self)
        due = self.t_idle
        if due is not None and ticks_diff(due, now) <= 0:
            self.t_idle = None
            self._idle(now)
        if self.state != CLOSED:
            self._rearm(self.t_ack, now)
            self._rearm(self.t_rexmt, now)
            self._rearm(self.t_idle, now)

    def _rearm(self, due, now):
        if due is not None:
            wait = ticks_diff(due, now)
            rto.arm(self, wait if wait > 0 else 0)

    def _idle(self, now):
        if self.state == TIME_WAIT or (self.state == FIN_WAIT_2 and self.flags & ORPHAN):
            self.end(0)
            return
        if self.flags & ORPHAN:
            self.tcp.count["timed_out"] += 1
            self.abort(ETIMEDOUT)
            return
        if self.flags & KEPT:
            self.keep.expire(self, now)

    # -- how it ends --------------------------------------------------------

    def set_state(self, state):
        """Enter a state; the one place where it changes."""
        tcp = self.tcp
        if tcp.trace:
            tcp.trace("state", self, NAMES[self.state], NAMES[state])
        self.state = state
        if state == ESTABLISHED:
            tcp.count["established"] += 1
        elif state == FIN_WAIT_2:
            if self.flags & ORPHAN:
                self.arm_idle(FIN_WAIT_2_MS)
        elif state == TIME_WAIT:
            self.t_rexmt = None
            self.release()
            tcp.enter_time_wait(self)
            self.arm_idle(TIME_WAIT_MS)

    def end(self, error):
        """Enter CLOSED, give back everything, and remember why for the user."""
        state = self.state
        if state == CLOSED:
            return
        if error:
            self.error = error
        self.set_state(CLOSED)
        self.t_rexmt = self.t_ack = self.t_idle = None
        self.flags &= ~KEPT
        self.s_len = 0
        if error == ECONNRESET:
            self.r_len = 0
        self.release()
        self.tcp.forget(self, state)
        if self.waiter:
            self.waiter()

    def release(self):
        """Give back the memory that no more data will pass through."""
        self.sbuf = b""
        self.ooo = self.loss = None
        if not self.r_len:
            self.rbuf = b""
