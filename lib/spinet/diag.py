"""Is it there, how far, and by what way: `ping`, `traceroute`, `arping`.

    ping(stack, "10.0.0.1").results         waits: [1, 1, None, 1], ms or None
    traceroute(stack, "192.0.2.1").hops     waits: [[("10.0.0.1", 1), ...], ...]
    arping(stack, "10.0.0.1").mac           waits: b"\\x02...", None if there is no answer

The classes behind them do not wait: make one, and look at `done` while the stack is kept going.
"""
from spinet.addr import fmt, parse
from spinet.errors import EHOSTUNREACH, os_error
from spinet.prim import cksum, eq4, put16, ticks_add, ticks_diff
from spinet.raw import RawEndpoint
from spinet.service import public
from spinet.sockbase import lookup
from spinet.timers import Timer
from spinet.wait import until

PROBES = 3              # of traceroute for each hop
FIRST_PORT = 33434      # that it sends to: where nobody listens
_UDP = 17


class _Ear(RawEndpoint):
    """Hands every ICMP message to `user.heard`."""

    def __init__(self, user, proto=1):
        RawEndpoint.__init__(self, user.stack.raw, proto, 0)
        self.user = user
        user.stack.raw.endpoints.append(self)

    def push(self, buf, h, start, end, sport, dport):
        """A packet `buf[h:end]`."""
        self.user.heard(buf, h, h + ((buf[h] & 15) << 2), end)
        return True


class _Probe(Timer):
    """What they have in common.  `address` is 4 bytes."""

    def __init__(self, stack, host):
        Timer.__init__(self)
        self.stack = stack
        try:
            self.address = parse(host)
        except ValueError:
            self.address = parse(lookup(stack, host)[0])
        self.done = False

    def begin(self):
        """All is ready: the timer may expire."""
        timers = self.stack.timers
        timers.now = self.stack.clock()
        timers.arm(self, 0)

    def finish(self):
        """It is over."""
        self.done = True
        self.stack.timers.remove(self)

    close = finish


class Ping(_Probe):
    """ICMP echoes with `size` bytes, one every `interval_ms`.

    `results` has for each the ms to the answer, None without one; `received` counts them; `errors`
    has what routers said, as (number, ICMP type, code, address in text).
    """

    def __init__(self, stack, host, count=4, size=56, interval_ms=1000, timeout_ms=2000, ttl=64):
        public(Ping, "close")
        if not 0 <= size <= 65507:
            raise ValueError("size is 0 to 65507")
        self.count = count
        self.interval = interval_ms
        self.timeout = timeout_ms
        self.results = []
        self.errors = []
        self.received = 0
        self._when = []
        r = stack.random(2)
        self._out = out = bytearray(8 + size)
        out[0] = 8
        out[4:6] = r
        for i in range(8, 8 + size):
            out[i] = i & 255
        _Probe.__init__(self, stack, host)
        self._ear = _Ear(self)
        self._ear.ttl = ttl
        self.begin()

    def expire(self, now):
        """The next one, or the end."""
        n = len(self.results)
        if n >= self.count or self.received == self.count:
            self._ear.close()
            self.finish()
            return
        out = self._out
        put16(out, 6, n & 0xFFFF)
        put16(out, 2, 0)
        put16(out, 2, cksum(out, 0, len(out)) ^ 0xFFFF)
        self.results.append(None)
        self._when.append(now)
        # (The last one is waited for longer.)
        self.stack.timers.arm(self, self.interval if n + 1 < self.count else self.timeout)
        try:
            self._ear.sendto(out, 0, len(out), self.address)
        except OSError as e:
            self.errors.append((n, -1, e.errno, ""))
            if len(self.errors) == self.count:
                self.stack.timers.arm(self, 0)      # there is nothing to wait for

    def heard(self, buf, h, s, end):
        """An ICMP message; perhaps an answer."""
        kind = buf[s]
        error = kind == 3 or kind == 11
        if error:
            h = s + 8
            s = h + ((buf[h] & 15) << 2)
            if s + 8 > end or buf[h + 9] != 1 or buf[s] != 8 or (
                    not eq4(buf, h + 16, self.address, 0)):
                return
        elif kind or not eq4(buf, h + 12, self.address, 0):
            return
        n = buf[s + 6] << 8 | buf[s + 7]
        if buf[s + 4] != self._out[4] or buf[s + 5] != self._out[5] or n >= len(self.results) or (
                self.results[n] is not None):
            return
        if error:
            if len(self.errors) < 64:
                self.errors.append((n, kind, buf[h - 7], fmt(buf, h - 16)))
            return
        if end - s != len(self._out):
            return
        for i in range(8, len(self._out)):
            if buf[s + i] != i & 255:
                return
        self.results[n] = ticks_diff(self.stack.timers.now, self._when[n])
        self.received += 1
        if self.received == self.count:
            self.stack.timers.arm(self, 0)

    def close(self):
        """Stop."""
        self._ear.close()
        self.finish()


class Trace(_Probe):
    """UDP with a growing time to live.  `hops` has for each router three (address, ms), (None,
    None) where none answered; `reached` is whether the last one is the host itself."""

    def __init__(self, stack, host, hops_max=30, timeout_ms=1000):
        public(Trace, "close")
        self.hops = []
        self.hops_max = hops_max
        self.timeout = timeout_ms
        self.reached = False
        self._waiting = False
        self._began = 0
        self._end = False       # who answered was no router
        _Probe.__init__(self, stack, host)
        self._ear = _Ear(self)
        self._udp = stack.udp.endpoint(1)
        self._udp.bind(None, 0)
        self._n = 0
        self.begin()

    def expire(self, now):
        """The next probe: the one before was answered, or will not be."""
        if self._waiting:
            self._answer(None, None)
        if self._n % PROBES == 0 and (self._end or self._n >= PROBES * self.hops_max):
            self.close()
            return
        udp = self._udp
        udp.ttl = self._n // PROBES + 1
        udp._path = None
        self._waiting = True
        self._began = now
        self.stack.timers.arm(self, self.timeout)
        try:
            udp.sendto(b"spinet traceroute", 0, 17, self.address, FIRST_PORT + self._n)
        except OSError:
            self.close()

    def _answer(self, address, ms):
        if self._n % PROBES == 0:
            self.hops.append([])
        self.hops[-1].append((address, ms))
        self._n += 1
        self._waiting = False

    def heard(self, buf, h, s, end):
        """An ICMP message; perhaps about our probe."""
        q = s + 8
        t = q + ((buf[q] & 15) << 2)
        if not self._waiting or buf[s] not in (3, 11) or t + 8 > end or buf[q + 9] != _UDP or (
                not eq4(buf, q + 16, self.address, 0)
                or buf[t] << 8 | buf[t + 1] != self._udp.port
                or buf[t + 2] << 8 | buf[t + 3] != FIRST_PORT + self._n):
            return
        self._answer(fmt(buf, h + 12), ticks_diff(self.stack.timers.now, self._began))
        if buf[s] == 3:
            self._end = True
            self.reached = eq4(buf, h + 12, self.address, 0)
        self.stack.timers.arm(self, 0)

    def close(self):
        """Stop."""
        self._ear.close()
        self._udp.close()
        self.finish()


class Arping(_Probe):
    """Asks by ARP, on the interface that the address is on; `mac` is 6 bytes, `ms` how long it
    took."""

    def __init__(self, stack, host, count=3, timeout_ms=1000):
        self.count = count
        self.timeout = timeout_ms
        self.mac = self.ms = None
        _Probe.__init__(self, stack, host)
        self._hop = None
        for ip in stack.interfaces:
            if ip.id.arp is not None and ip.on_link(self.address, 0) and (
                    not ip.is_own(self.address, 0)):
                self._ip = ip
                break
        else:
            raise os_error(EHOSTUNREACH)
        self.begin()

    def expire(self, now):
        """Ask again, or see whether the answer has come: ARP notes when it heard last."""
        hop = self._hop
        if hop is not None and hop.ok and hop.seen != self._before:
            self.mac = bytes(hop.mac)
            self.ms = ticks_diff(hop.seen, self._began)
            self.finish()
        elif hop is not None and ticks_diff(now, self._began) < self.timeout:
            self.stack.timers.arm(self, 5)
        elif self.count:
            self.count -= 1
            arp = self._ip.id.arp
            self._hop = hop = arp.hop(self.address)
            self._before = hop.seen = ticks_add(now, -1)
            self._began = now
            arp._send(1, b"\xff\xff\xff\xff\xff\xff", self._ip.source(self.address), self.address)
            self.stack.timers.arm(self, 1)
        else:
            self.finish()


def _run(probe):
    until(probe.stack, probe)
    return probe


def ping(stack, host, count=4, size=56, interval_ms=1000, timeout_ms=2000, ttl=64):
    """Ping a host and wait for the end; the `Ping`."""
    return _run(Ping(stack, host, count, size, interval_ms, timeout_ms, ttl))


def traceroute(stack, host, hops_max=30, timeout_ms=1000):
    """Find the way to a host; the `Trace`."""
    return _run(Trace(stack, host, hops_max, timeout_ms))


def arping(stack, host, count=3, timeout_ms=1000):
    """Ask for the MAC address of a neighbour, whatever is known of it; the `Arping`."""
    return _run(Arping(stack, host, count, timeout_ms))
