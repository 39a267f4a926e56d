"""IGMP on one interface (RFC 9776, 5): queries, the answers that are due, reports of changes.

Where a router speaks only version 2 or 1 (RFC 2236, RFC 1112) so do we, for as long as one is
heard of.
"""
from spinet.errors import ENOBUFS, os_error
from spinet.prim import MANY, cksum, copy, eq4, ticks_diff
from spinet.timers import Timer

PROTO = 2
QUERY = 0x11
REPORT_V1 = 0x12
REPORT_V2 = 0x16
LEAVE = 0x17
REPORT_V3 = 0x22

# Record types (RFC 9776, 4.2.13).
IS_IN = 1
IS_EX = 2
TO_IN = 3
TO_EX = 4
ALLOW = 5
BLOCK = 6

SOURCES = 32            # of one membership, and of a query that are remembered
MERGED = 64             # of all memberships of a group together
INTERVAL_MS = 1000      # between reports of a change, at most; ten times that in version 2

ALL_ROUTERS = b"\xe0\0\0\2"
ALL_V3 = b"\xe0\0\0\x16"
ALL_HOSTS = b"\xe0\0\0\1"
ANY = b"\0\0\0\0"


class Group(Timer):
    """A group on one interface: what its members want together, and the reports still to come.

    `changed` has the reports that are left to tell of each source, `mode_left` of the mode.
    """

    def __init__(self, side, addr):
        Timer.__init__(self)
        self.side = side
        self.addr = addr
        self.hop = side.ip.id.group(addr)
        self.members = []
        self.exclude = False
        self.sources = []
        self.mode_left = 0
        self.changed = {}
        self.answer = Answer(self)
        self.reporter = False       # in versions 1 and 2: whether we were the last to report

    def merge(self):
        """What the members want together (RFC 9776, 3.2): (exclude, sources)."""
        exclude = False
        for m in self.members:
            exclude = exclude or m.exclude
        sources = None
        if exclude:
            for m in self.members:
                if m.exclude:
                    sources = list(m.sources) if sources is None else [
                        s for s in sources if s in m.sources]
            for m in self.members:
                if not m.exclude:
                    sources = [s for s in sources if s not in m.sources]
        else:
            sources = []
            for m in self.members:
                sources += [s for s in m.sources if s not in sources]
        return exclude, sources

    def update(self):
        """A member has changed: tell the routers, now and once or twice more (RFC 9776, 5.1)."""
        exclude, sources = self.merge()
        left = self.side.robustness
        if exclude != self.exclude:
            self.mode_left = left
            self.changed.clear()
        elif exclude or self.side.version == 3:
            for s in sources:
                if s not in self.sources:
                    self.changed[s] = left
            for s in self.sources:
                if s not in sources:
                    self.changed[s] = left
        joined = bool(self.sources) or self.exclude
        self.exclude = exclude
        self.sources = sources
        if self.side.version < 3:
            self.mode_left = 0
            self.changed.clear()
            if exclude or sources:
                if not joined:
                    self.mode_left = left
            elif joined:
                self.side.leave(self)
        if self.mode_left or self.changed:
            self.expire(0)
        elif not self.members:
            self.side.gone(self)

    def expire(self, now):
        """Report the change once more; not before we have an address to report from."""
        side = self.side
        if not side.ip.addresses:
            side.timers.arm(self, INTERVAL_MS)
            return
        if side.version < 3:
            self.mode_left -= 1
            side.report_old(self)
        else:
            side.report_change(self)
            if self.mode_left:
                self.mode_left -= 1
            else:
                for s in list(self.changed):
                    self.changed[s] -= 1
                    if not self.changed[s]:
                        del self.changed[s]
        if self.mode_left or self.changed:
            side.arm(self, INTERVAL_MS if side.version == 3 else 10 * INTERVAL_MS)
        elif not self.members:
            side.gone(self)

    def quiet(self):
        """Nothing is to be reported any more."""
        self.mode_left = 0
        self.changed.clear()
        self.answer.cancel()
        self.side.timers.cancel(self)


class Answer(Timer):
    """The answer to a query that is due for one group; `asked`: the sources it was about."""

    def __init__(self, group):
        Timer.__init__(self)
        self.group = group
        self.asked = []

    def cancel(self):
        """The answer is not due any more."""
        self.asked.clear()
        self.group.side.timers.cancel(self)

    def expire(self, now):
        """Answer."""
        group = self.group
        if group.members:
            if group.side.version < 3:
                group.side.report_old(group)
            else:
                group.side.report_state(group, self.asked)
        self.asked.clear()


class Older(Timer):
    """That there is a querier of version `version` (1 or 2)."""

    def __init__(self, side, version):
        Timer.__init__(self)
        self.side = side
        self.version = version

    def expire(self, now):
        """None was heard for long enough."""
        self.side.settle()


class Side(Timer):
    """IGMP on one interface.  The timer is that of the answer to a general query."""

    def __init__(self, igmp, ip):
        Timer.__init__(self)
        self.igmp = igmp
        self.ip = ip
        self.timers = ip.timers
        self.groups = []
        self.version = 3
        self.older = Older(self, 1), Older(self, 2)
        self.robustness = 2
        self.interval_ms = 125000
        self.routers = ip.id.group(ALL_ROUTERS)
        self.v3 = ip.id.group(ALL_V3)
        self._n = 0
        head = bytearray(24)
        head[0] = 0x46
        head[1] = 0xC0      # internetwork control
        head[8] = 1
        head[9] = PROTO
        head[20] = 148      # router alert (RFC 2113)
        head[21] = 4
        self._head = head

    def arm(self, timer, ms):
        """Let a timer expire at random within `ms`."""
        self.timers.arm(timer, self.igmp.below(ms))

    # -- queries ------------------------------------------------------------

    def settle(self):
        """The version to speak is that of the oldest querier (RFC 9776, 7.2.1)."""
        version = 1 if self.older[0].due is not None else 2 if self.older[1].due is not None else 3
        if version != self.version:
            self.version = version
            self.timers.cancel(self)
            for group in self.groups:
                group.quiet()

    def query(self, buf, s, end):
        """A membership query (RFC 9776, 5.2); False if it is malformed."""
        n = end - s
        delay = buf[s + 1]
        if n < 12:
            if n != 8:
                return False
            older = self.older[1 if delay else 0]
            self.timers.arm(older, self.robustness * self.interval_ms + (delay or 100) * 100)
            delay = delay or 100
            self.settle()
        else:
            if (buf[s + 10] << 8 | buf[s + 11]) << 2 > n - 12:
                return False
            delay = _code(delay)
            self.robustness = min(buf[s + 8] & 7, 7) or 2
            self.interval_ms = (_code(buf[s + 9]) or 125) * 1000
        delay *= 100
        if self.due is not None and ticks_diff(self.due, self.timers.now) <= delay and (
                self.version == 3):
            return True     # the general answer will come sooner
        if eq4(buf, s + 4, ANY, 0):
            if self.version == 3:
                self.arm(self, delay)
            else:
                for group in self.groups:
                    self.ask(group, delay)
            return True
        for group in self.groups:
            if eq4(buf, s + 4, group.addr, 0):
                self.note(group, buf, s, n)
                self.ask(group, delay)
        return True

    def note(self, group, buf, s, n):
        """Remember the sources that a query is about; none: it is about them all."""
        answer = group.answer
        n = buf[s + 10] << 8 | buf[s + 11] if n >= 12 else 0
        if not n or answer.due is not None and not answer.asked:
            answer.asked.clear()
            return
        for i in range(s + 12, s + 12 + 4 * n, 4):
            if len(answer.asked) >= SOURCES:
                answer.asked.clear()
                return
            source = bytes(buf[i:i + 4])
            if source not in answer.asked:
                answer.asked.append(source)

    def ask(self, group, delay):
        """An answer about the group is due within `delay` ms, or sooner if it was."""
        answer = group.answer
        if answer.due is None or ticks_diff(answer.due, self.timers.now) > delay:
            self.arm(answer, delay)

    def heard(self, buf, s):
        """Another host has reported a group: in versions 1 and 2 that will do for us."""
        if self.version < 3:
            for group in self.groups:
                if eq4(buf, s + 4, group.addr, 0):
                    group.answer.cancel()
                    group.reporter = False

    def expire(self, now):
        """Answer a general query: the state of every group."""
        self._begin()
        for group in self.groups:
            if group.exclude or group.sources:
                self._record(IS_EX if group.exclude else IS_IN, group)
                for source in group.sources:
                    self._source(source)
        self._end()

    # -- reports ------------------------------------------------------------

    def report_state(self, group, asked):
        """Say what is wanted of one group; of the sources `asked` only, if there are any."""
        self._begin()
        if not asked:
            self._record(IS_EX if group.exclude else IS_IN, group)
            for source in group.sources:
                self._source(source)
        else:
            self._record(IS_IN, group)
            for source in asked:
                if (source in group.sources) != group.exclude:
                    self._source(source)
            if not self._count:
                return
        self._end()

    def report_change(self, group):
        """Say what has changed: the mode, or some sources."""
        self._begin()
        if group.mode_left:
            self._record(TO_EX if group.exclude else TO_IN, group)
            for source in group.sources:
                self._source(source)
        else:
            for wanted in (True, False):
                first = True
                for source in group.changed:
                    if ((source in group.sources) != group.exclude) == wanted:
                        if first:
                            first = False
                            self._record(ALLOW if wanted else BLOCK, group)
                        self._source(source)
        self._end()

    def _begin(self):
        self._n = 8
        self._records = self._count = 0
        self._here = 0

    def _record(self, kind, group):
        tx = self.ip.tx
        if self._n + 8 + 4 * MERGED + 24 > self.ip.id.mtu:
            self._end()
            self._begin()
        p = self._here = self.ip.hdr + 4 + self._n
        tx[p] = kind
        tx[p + 1] = tx[p + 2] = tx[p + 3] = 0
        copy(tx, p + 4, group.addr, 0, 4)
        self._n += 8
        self._records += 1
        self._count = 0

    def _source(self, source):
        tx = self.ip.tx
        copy(tx, self.ip.hdr + 4 + self._n, source, 0, 4)
        self._n += 4
        self._count += 1
        tx[self._here + 3] = self._count

    def _end(self):
        if self._records:
            p = self.ip.hdr + 4
            tx = self.ip.tx
            tx[p + 4] = tx[p + 5] = 0
            tx[p + 6] = self._records >> 8
            tx[p + 7] = self._records & 255
            self._send(REPORT_V3, self.v3, ALL_V3, self._n)

    def report_old(self, group):
        """A report of version 1 or 2, which goes to the group itself."""
        copy(self.ip.tx, self.ip.hdr + 8, group.addr, 0, 4)
        group.reporter = True
        self._send(REPORT_V2 if self.version == 2 else REPORT_V1, group.hop, group.addr, 8)

    def leave(self, group):
        """RFC 2236, 6: who was the last to report says that he leaves."""
        if self.version == 2 and group.reporter:
            copy(self.ip.tx, self.ip.hdr + 8, group.addr, 0, 4)
            self._send(LEAVE, self.routers, ALL_ROUTERS, 8)

    def _send(self, kind, hop, dst, n):
        """Send the message whose `n` bytes stand behind a header with the router alert."""
        ip = self.ip
        tx = ip.tx
        head = self._head
        p = ip.hdr + 4
        tx[p] = kind
        tx[p + 1] = tx[p + 2] = tx[p + 3] = 0
        k = cksum(tx, p, p + n) ^ 0xFFFF
        tx[p + 2] = k >> 8
        tx[p + 3] = k & 255
        n += 24
        head[2] = n >> 8
        head[3] = n & 255
        head[10] = head[11] = 0
        copy(head, 12, ip.addresses[0].addr if ip.addresses else ANY, 0, 4)
        copy(head, 16, dst, 0, 4)
        k = cksum(head, 0, 24) ^ 0xFFFF
        head[10] = k >> 8
        head[11] = k & 255
        copy(tx, p - 24, head, 0, 24)
        if ip.id.output(hop, n):
            self.igmp.count["tx"] += 1
        else:
            self.igmp.count["port_busy"] += 1

    # -- groups -------------------------------------------------------------

    def group(self, addr):
        """The group with the address `addr`; made, and let in, if there was none."""
        for group in self.groups:
            if group.addr == addr:
                return group
        if len(self.groups) >= MANY:
            raise os_error(ENOBUFS)
        group = Group(self, addr)
        self.groups.append(group)
        return group

    def gone(self, group):
        """A group without members of which nothing is left to be said."""
        group.quiet()
        self.timers.remove(group)
        self.timers.remove(group.answer)
        if group in self.groups:
            self.groups.remove(group)


def _code(c):
    """A number in the floating point of RFC 9776, 4.1.1 and 4.1.7."""
    return c if c < 128 else (c & 15 | 16) << ((c >> 4 & 7) + 3)
