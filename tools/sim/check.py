"""What must hold of every connection, after every event of its host.

`Checker` is a simulation's `watch`.  What it finds is raised as `Broken`; it
reads connections from the inside and changes nothing.  All offsets are as
`spinet/tcp/conn.py` describes them.
"""
from spinet.prim import diff32, ticks_diff
from spinet.tcp import ranges
from spinet.tcp.recovery import Loss
from spinet.tcp.states import (
    BLOCKED, CARRIES, CLOSED, ESTABLISHED, KEPT, LISTEN, NAMES, ORPHAN, OWES_FIN,
    SACK, SYN_RECEIVED, TIME_WAIT,
)

MANY = 8    # connections of one host that are looked at after one event


class Broken(AssertionError):
    """An invariant does not hold."""


class Memo:
    """What was true of a connection when it was last looked at."""

    def __init__(self, c):
        self.una = bytearray(c.head[4:8])
        self.rcv = bytearray(c.head[8:12])
        self.snd_max = c.snd_max
        self.rcv_adv = 0
        self.cwnd = c.cwnd
        self.state = c.state
        self.probes = c.tcp.count["tail_probe"]


class Checker:
    """Looks at the connections of a host: at all of up to `MANY`, else at `MANY` in turn.

    `looked` counts what was looked at.
    """

    def __init__(self):
        self.looked = 0
        self._turn = 0

    def __call__(self, host):
        tcp = host.stack.tcp
        table = tcp.table
        if not table:
            return
        connections = table.values() if len(table) <= MANY else self._some(tcp)
        now = tcp.timers.now
        for c in connections:
            while c is not None:
                self.look(c, now)
                c = c.next

    def _some(self, tcp):
        known = list(tcp.table.values())
        self._turn = first = (self._turn + MANY) % len(known)
        return known[first:first + MANY]

    def look(self, c, now):
        """Check one connection."""
        self.looked += 1
        why = self.sequence(c) or self.timers(c, now) or self.memory(c) or self.progress(c)
        if why:
            raise Broken("%s: %s" % (why, describe(c, now)))

    def sequence(self, c):
        """The sequence variables are in order; what does not hold, or None."""
        if not 0 <= c.snd_nxt <= c.snd_max <= c.s_len + 1:
            return "0 <= snd_nxt <= snd_max <= s_len + 1"
        if c.s_len > len(c.sbuf) or c.s_len < 0:
            return "0 <= s_len <= len(sbuf)"
        if c.r_len < 0 or c.r_len > len(c.rbuf):
            return "0 <= r_len <= len(rbuf)"
        state = c.state
        if c.snd_max > c.s_len and state > SYN_RECEIVED and not OWES_FIN >> state & 1:
            return "a FIN was sent that the user did not ask for"
        slack = (1 << c.rcv_shift) - 1      # the window is rounded
        if c.rcv_adv < 0 or (c.rbuf and state != TIME_WAIT
                             and c.r_len + c.rcv_adv > len(c.rbuf) + slack):
            return "the window that we grant has room in the ring"
        if not 0 <= c.rtt_end <= c.snd_max:
            return "0 <= rtt_end <= snd_max"
        loss = c.loss
        if loss and not 0 <= loss.recover <= c.snd_max:
            return "0 <= recover <= snd_max"
        if c.ooo and not _ordered(c.ooo.ranges, 1, c.rcv_adv):
            return "out-of-order data lies in the window, sorted"
        if loss and not _ordered(loss.sacked, 0, c.snd_max):
            return "the scoreboard lies in what was sent, sorted"
        return None

    def timers(self, c, now):
        """A deadline stands when, and only when, something is owed."""
        state = c.state
        flags = c.flags
        unsent = c.s_len > c.snd_max or (OWES_FIN >> state & 1 and c.snd_max <= c.s_len)
        if c.snd_max and state != TIME_WAIT:
            if c.t_rexmt is None:
                return "data is in flight and no timer runs for it"
        elif CARRIES >> state & 1 and unsent:
            if c.t_rexmt is None and not flags & BLOCKED:
                return "data waits and no timer runs for it"
        elif c.t_rexmt is not None:
            return "a retransmission timer runs for nothing"
        if c.ack_owed and c.t_ack is None:
            return "an acknowledgement is owed and no timer runs for it"
        if flags & BLOCKED and c.t_ack is None:
            return "the port was busy and no timer runs to try again"
        if c.t_ack is not None and not c.ack_owed and not flags & BLOCKED:
            return "an acknowledgement's timer runs for nothing"
        waits = state == TIME_WAIT or flags & ORPHAN    # an orphan does not live for ever
        if waits and c.t_idle is None:
            return "it would stay for ever"
        if c.t_idle is not None and not waits and not c.flags & KEPT:
            return "an idle timer runs for nothing"
        for due in (c.t_rexmt, c.t_ack, c.t_idle):
            if due is not None and (c.due is None or c._pos < 0 or ticks_diff(c.due, due) > 0):
                return "a deadline stands that the stack's timers do not know"
            if due is not None and ticks_diff(due, now) < 0:
                return "a deadline has passed unnoticed"
        return None

    def memory(self, c):
        """Rings are there while they are needed, and no longer."""
        state = c.state
        if state <= LISTEN:
            return "a closed connection in the table"
        if ESTABLISHED <= state < TIME_WAIT:
            if not c.rbuf or not c.sbuf:
                return "an open connection without rings"
        elif c.sbuf or c.ooo or c.loss:
            return "memory is held that no data will pass through"
        return None

    def progress(self, c):
        """Sequence numbers only grow, windows do not shrink, new data keeps to the window."""
        memo = getattr(c, "memo", None)
        if memo is None or memo.state <= SYN_RECEIVED:
            if c.state > SYN_RECEIVED or memo is None:
                c.memo = Memo(c)
            return None
        head = c.head
        acked = diff32(head, 4, memo.una, 0)
        got = diff32(head, 8, memo.rcv, 0)
        if acked < 0 or got < 0:
            return "SND.UNA or RCV.NXT went back"
        if c.snd_max + acked < memo.snd_max:
            return "SND.MAX went back"
        if c.rcv_adv + got < memo.rcv_adv and c.state < TIME_WAIT:
            return "the right edge of the window shrank"
        if c.snd_max + acked > memo.snd_max and not (c.loss and c.loss.recover) and c.flags & SACK:
            # Limited transmit may exceed the congestion window by two segments, a probe always.
            flight = c.snd_max - (ranges.total(c.loss.sacked) if c.loss else 0)
            if flight > max(c.cwnd, memo.cwnd) + 2 * c.mss + 1 and (
                    memo.probes == c.tcp.count["tail_probe"]):
                return "new data beyond the congestion window"
        memo.una[:] = head[4:8]
        memo.rcv[:] = head[8:12]
        memo.snd_max = c.snd_max
        memo.rcv_adv = c.rcv_adv
        memo.cwnd = c.cwnd
        memo.probes = c.tcp.count["tail_probe"]
        return None


def _ordered(pairs, least, most):
    """Whether a list of ranges is sorted, without touching ranges, within `least` to `most`."""
    at = least - 1
    i = 0
    while i < len(pairs) and pairs[i + 1]:
        if pairs[i] <= at or pairs[i + 1] <= pairs[i] or pairs[i + 1] > most:
            return False
        at = pairs[i + 1]
        i += 2
    while i < len(pairs):
        if pairs[i] or pairs[i + 1]:
            return False
        i += 2
    return True


def left_behind(host):
    """What a host still holds though all its connections should be gone, as text; "" if nothing."""
    tcp = host.stack.tcp
    found = []
    if tcp.table:
        found.append("connections " + ", ".join([NAMES[c.state] for c in tcp.all()]))
    if tcp.connections or tcp.time_wait:
        found.append("connections counted: %d, in TIME-WAIT %d" % (
            tcp.connections, len(tcp.time_wait)))
    if tcp.listeners:
        found.append("listeners")
    timers = tcp.timers
    for i in range(timers._n):
        name = type(timers.heap[i]).__name__
        if name in ("Conn", "Search"):
            found.append("a timer of a connection: %s" % name)
    return "; ".join(found)


def holds_memory(c):
    """Whether a CLOSED connection that its user still knows holds more than its unread data."""
    return c.state != CLOSED or c.sbuf or c.ooo or c.loss or c.t_rexmt or c.t_ack or c.t_idle or (
        c.rbuf and not c.r_len)


def describe(c, now):
    """A connection's variables in one line."""
    left = []
    for name in ("t_rexmt", "t_ack", "t_idle"):
        due = getattr(c, name)
        if due is not None:
            left.append("%s in %d" % (name, ticks_diff(due, now)))
    loss = c.loss or Loss()
    return (
        "%s %d>%d una %s nxt %d max %d wnd %d s_len %d; rcv.nxt %s adv %d r_len %d ooo %s; cwnd %d "
        "ssthresh %d recover %d dupacks %d sacked %s rto %d retries %d flags %d ack_owed %d fin_at "
        "%d %s" % (
            NAMES[c.state], c.lport(), c.rport(), _hex(c.head[4:8]), c.snd_nxt, c.snd_max,
            c.snd_wnd, c.s_len, _hex(c.head[8:12]), c.rcv_adv, c.r_len,
            _pairs(c.ooo and c.ooo.ranges), c.cwnd, loss.ssthresh, loss.recover, loss.dupacks,
            _pairs(loss.sacked), c.rto, c.retries, c.flags, c.ack_owed, c.fin_at, ", ".join(left)))


def _hex(data):
    return "".join(["%02x" % b for b in data])


def _pairs(pairs):
    return [(pairs[i], pairs[i + 1]) for i in range(0, len(pairs), 2) if pairs[i + 1]] if pairs \
        else "-"
