"""SNTP client (RFC 4330, RFC 5905): what time it is.  It sets no clock unless asked to.

    t = sntp.get(stack, "pool.ntp.org")     waits; t.unix, t.now(), t.offset_ms()
    sntp.set_rtc(t)                         the clock of the board
    q = sntp.ask(stack, "pool.ntp.org")     does not wait: `q.done`, `q.time`
    c = sntp.Client(stack, ("pool.ntp.org",), sntp.set_rtc)     again every hour

Servers are names or addresses; without any, those that DHCP gave (`stack.ntp_servers`).  They are
asked one after the other until one answers as it should.
"""
import time

from spinet.addr import fmt, parse
from spinet.errors import ETIMEDOUT, os_error
from spinet.prim import ticks_diff
from spinet.service import Service, counters, public, tell
from spinet.timers import Timer
from spinet.wait import until

PORT = 123
ANSWER_MS = 1500        # for one server
DELAY_MAX_MS = 1000     # of the network: what took longer says too little
LEAST_S = 15            # between questions to a server (RFC 4330, 10)
LONGEST_S = 36 * 3600

_ERA_1900 = 2208988800      # seconds from 1900 to 1970
_ERA_2036 = (1 << 32) - _ERA_1900


def unix_of(seconds):
    """The seconds since 1970 of 32-bit seconds since 1900, which wrap in 2036.

    Those with the top bit are of 1968 to 2036, the others of 2036 to 2104 (RFC 4330, 3).
    """
    return seconds - _ERA_1900 if seconds & 0x80000000 else seconds + _ERA_2036


class Time:
    """What a server said: it was `unix` s and `ms` since 1970 when the stack's ticks were `ticks`.

    `server` is text, `delay_ms` the time to it and back.
    """

    def __init__(self, clock, unix, ms, ticks, server, stratum, delay_ms):
        self._clock = clock
        self.unix = unix
        self.ms = ms
        self.ticks = ticks
        self.server = server
        self.stratum = stratum
        self.delay_ms = delay_ms

    def now(self):
        """(seconds since 1970, ms) now, by the stack's ticks; for six days."""
        ms = self.ms + ticks_diff(self._clock(), self.ticks)
        return self.unix + ms // 1000, ms % 1000

    def offset_ms(self):
        """By how many ms this machine's clock, `time.time()`, is slow."""
        seconds, ms = self.now()
        here = time.time()
        whole = int(here)
        return (seconds - epoch() - whole) * 1000 + ms - int((here - whole) * 1000)

    def __repr__(self):
        return "<Time %d.%03d by %s>" % (self.unix, self.ms, self.server)


def epoch():
    """The seconds from 1970 to this machine's epoch, which is 1970 or on many boards 2000."""
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


def set_rtc(t):
    """Set the clock of the board, `machine.RTC`, to UTC."""
    from machine import RTC

    seconds, ms = t.now()
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds - epoch())[:7]
    # The unit of the last number differs between ports; 0 is right on all.
    RTC().datetime((year, month, day, weekday, hour, minute, second, 0))


class Query(Timer):
    """One question: when `done`, `time` is a `Time`, or None if no server was of use.

    `bad` has the servers that want to be left alone (RFC 4330, 8), `slower` is whether one has
    asked for fewer questions.
    """

    def __init__(self, stack, servers, bad=()):
        public(Query, "close")
        Timer.__init__(self)
        self.stack = stack
        self.bad = list(bad)
        self.servers = [s for s in servers or list(stack.ntp_servers) if s not in self.bad]
        self.time = None
        self.slower = False
        self.done = False
        self.count = counters(stack, "sntp", "tx", "rx", "mismatch", "refused", "kiss", "failed",
                              "not_sent", "malformed", "no_memory")
        self._server = None
        self._lookup = None
        self._addresses = []
        self._ear = None
        self._sent = bytearray(8)
        self._asked = 0
        stack.timers.now = stack.clock()
        stack.timers.arm(self, 0)

    def expire(self, now):
        """The next server, or the next address of one; or time to look for its name."""
        if self._lookup is not None:
            if not self._lookup.done:
                self.stack.timers.arm(self, 50)
                return
            try:
                self._addresses = self._lookup.result()[:2]
            except OSError:
                pass
            self._lookup = None
        self._next()

    def _next(self):
        self._hush()
        while not self._addresses:
            if not self.servers:
                self._finish()
                return
            self._server = server = self.servers.pop(0)
            try:
                self._addresses = [parse(server)]
            except ValueError:
                if self._look(server):
                    return
        self._ask(parse(self._addresses.pop(0)))

    def _look(self, server):
        from spinet.dns import resolver

        try:
            known = resolver(self.stack).listed(server)
            if known:
                self._addresses = list(known)
                return False
            self._lookup = resolver(self.stack).start(server)
        except OSError:
            return False
        self.stack.timers.arm(self, 0 if self._lookup.done else 50)
        return True

    def _ask(self, address):
        self._asked = self.stack.timers.now
        self.stack.timers.arm(self, ANSWER_MS)
        try:
            self._ear = ear = _Ear(self)
            message = bytearray(48)
            message[0] = 0x23       # version 4, client
            # Nobody is told what our clock says; at random it is harder to forge an answer.
            self._sent = self.stack.random(8)
            message[40:] = self._sent
            ear.connect(address, PORT)
            ear.send(message, 0, 48)
            self.count["tx"] += 1
        except OSError:
            self.count["not_sent"] += 1
        except MemoryError:
            self.count["no_memory"] += 1

    def heard(self, buf, s, end):
        """An answer, perhaps; the tests of RFC 4330, 5."""
        count = self.count
        mode = buf[s] & 7 if end - s >= 48 else 0
        if mode != 4 or not 3 <= buf[s] >> 3 & 7 <= 4 or (
                bytes(buf[s + 24:s + 32]) != bytes(self._sent)):
            count["mismatch"] += 1
            return
        stratum = buf[s + 1]
        if stratum == 0:
            # A kiss of death (RFC 5905, 7.4).
            count["kiss"] += 1
            kiss = bytes(buf[s + 12:s + 16])
            if kiss == b"RATE":
                self.slower = True
            elif kiss in (b"DENY", b"RSTR"):
                self.bad.append(self._server)
                self._addresses = []
            self._next()
            return
        now = self.stack.timers.now
        trip = ticks_diff(now, self._asked)
        served = _ms_between(buf, s + 32, s + 40)
        if (stratum > 15 or buf[s] >> 6 == 3 or not any(buf[s + 40:s + 48])
                or buf[s + 4] | buf[s + 5] or buf[s + 8] | buf[s + 9]
                or not 0 <= served <= trip + 1 or trip - served > DELAY_MAX_MS):
            count["refused"] += 1
            self._next()
            return
        count["rx"] += 1
        delay = max(trip - served, 0)
        unix = unix_of(_seconds(buf, s + 40))
        ms = _ms(buf, s + 44) + delay // 2
        self.time = Time(self.stack.clock, unix + ms // 1000, ms % 1000, now,
                         fmt(self._ear.remote), stratum, delay)
        self._finish()

    def failed(self):
        """The server's host says that there is none."""
        self._next()

    def _hush(self):
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def _finish(self):
        self._hush()
        self.stack.timers.remove(self)
        self.done = True
        if self.time is None:
            self.count["failed"] += 1

    close = _finish


class _Ear(Service):
    """Where the answer comes."""

    def __init__(self, query):
        Service.__init__(self, query.stack, query.count)
        self.query = query

    def datagram(self, buf, h, start, end, sport):
        self.query.heard(buf, start, end)

    def failed(self, error):
        self.query.failed()


def _seconds(buf, i):
    return buf[i] << 24 | buf[i + 1] << 16 | buf[i + 2] << 8 | buf[i + 3]


def _ms(buf, i):
    """The fraction of a second at `buf[i]` in ms."""
    return (buf[i] << 8 | buf[i + 1]) * 1000 >> 16


def _ms_between(buf, i, j):
    """From the time at `buf[i]` to that at `buf[j]`: ms, at most some minutes either way."""
    seconds = (_seconds(buf, j) - _seconds(buf, i) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
    return max(min(seconds, 1000), -1000) * 1000 + _ms(buf, j + 4) - _ms(buf, i + 4)


class Client(Timer):
    """Asks every `interval_s` and calls `on_time(t)` with the answer; `time` is the last one.

    After a failure it waits `LEAST_S`, then twice that, and so on (RFC 4330, 10).
    """

    def __init__(self, stack, servers=(), on_time=None, interval_s=3600):
        public(Client, "close")
        if interval_s < LEAST_S or interval_s > LONGEST_S:
            raise ValueError("interval_s is %d to %d" % (LEAST_S, LONGEST_S))
        Timer.__init__(self)
        self.stack = stack
        self.servers = servers
        self.on_time = on_time
        self.interval_s = interval_s
        self.time = None
        self.bad = []
        self._query = None
        self._wait_s = LEAST_S
        stack.timers.now = stack.clock()
        stack.timers.arm(self, 0)

    def expire(self, now):
        """Ask, or see what became of it."""
        timers = self.stack.timers
        query = self._query
        if query is None or not query.done:
            timers.arm(self, 200)
            if query is None:
                self._query = Query(self.stack, list(self.servers), self.bad)
        else:
            self._query = None
            self.bad = query.bad
            if query.slower:
                self.interval_s = min(2 * self.interval_s, LONGEST_S)
            if query.time is None:
                wait = self._wait_s
                self._wait_s = min(2 * wait, max(self.interval_s, LEAST_S))
            else:
                wait = self.interval_s
                self._wait_s = LEAST_S
                self.time = query.time
            timers.arm(self, wait * 1000)
            if query.time is not None:
                tell(self.on_time, query.time)

    def close(self):
        """Ask no more."""
        self.stack.timers.remove(self)
        if self._query is not None and not self._query.done:
            self._query.close()


def ask(stack, *servers):
    """Begin to ask for the time; a `Query`."""
    return Query(stack, list(servers))


def get(stack, *servers, timeout_ms=10000):
    """Wait for the time, a `Time`; OSError(ETIMEDOUT) if no server told it."""
    query = ask(stack, *servers)
    until(stack, query, timeout_ms)
    if query.time is None:
        if not query.done:
            query.close()
        raise os_error(ETIMEDOUT)
    return query.time
