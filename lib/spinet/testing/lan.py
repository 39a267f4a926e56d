"""Hosts on a switch, in virtual time, for tests of programs that use the network."""
import contextlib
import inspect
import io
import struct
import threading
from collections import deque

from spinet import modules
from spinet.socket import SOCK_STREAM
from spinet.testing import record
from spinet.testing.boxes import Plug
from spinet.testing.engine import Host, Sim, Stuck
from spinet.testing.link import Port, cable

KEPT = 100000       # frames of which a capture is made
LIMIT_S = 24 * 3600  # of virtual time that one call may take
_HOW = {"loss": 0, "delay": 0, "jitter": 0, "rate": 0, "queue": 0, "corrupt": 0, "reorder": 0,
        "duplicate": 0}


class LanPort(Port):
    """A host's port, which also wakes an asyncio loop: see `aio/pump.py`."""

    on_frame = None

    def arrive(self, frame):
        Port.arrive(self, frame)
        if self.on_frame:
            self.on_frame()


class LanHost(Host):
    """A host of a `Lan`: a stack and its address.  What takes time here takes no real time.

    `stack` is the host's `spinet.Stack`, `address` its address as text.
    """

    def __init__(self, lan, name, address):
        self.lan = lan
        self.address = address
        Host.__init__(self, lan.sim, name, {})
        self.stack.wait = lan.wait
        self.port = LanPort(self, bytes((2, 0, 0, 0, self.number >> 8, self.number & 255)), 1500,
                            "ethernet")
        self.plug = lan.switch.plug(self)
        self._how = dict(_HOW)
        self._kept = []     # sockets, which a test may drop and still count on

    def _boot(self):
        self.phase = 0      # a time-out ends when a test expects it
        Host._boot(self)

    def poll(self, _=None):
        """Something has happened, or may be due.  Being woken too early does no harm."""
        sim = self.sim
        when = ((sim.now + self.phase) // 1000 + self.stack.poll()) * 1000 - self.phase
        if when < sim.now:
            when = sim.now
        if self._wake < 0 or when < self._wake:
            self._wake = when
            sim.at(when, self._woken, when)

    def __repr__(self):
        return "<host %s, %s>" % (self.name, self.address)

    def socket(self, type=SOCK_STREAM, proto=0):
        """A socket of this host; its calls wait in virtual time."""
        return self.stack.socket(type, proto)

    def listen(self, port, backlog=5):
        """A socket that listens on `port`."""
        sock = self.socket()
        sock.bind(("", port))
        sock.listen(backlog)
        self._kept.append(sock)
        return sock

    def connect(self, host, port, timeout=None):
        """A socket connected to `port` of `host`: another host, or an address in text."""
        sock = self.socket()
        sock.settimeout(timeout)
        sock.connect((getattr(host, "address", host), port))
        self._kept.append(sock)
        return sock

    @contextlib.contextmanager
    def installed(self):
        """Within, `import socket` and what uses it (`urllib`, `requests` ...) find this host.

        Modules that have imported `socket` before keep the system's: see `spinet.install`.
        """
        modules.install(self.stack)
        try:
            yield self
        finally:
            modules.uninstall()

    def using(self):
        """Within, connections that asyncio makes in `lan.run` are this host's."""
        from spinet.aio import using

        return using(self.stack)

    def link(self, **how):
        """Change what this host's cable is like, both ways; what is not named stays.

        loss, corrupt, reorder, duplicate: shares from 0 to 1 (`loss` may also be a callable that
        is given each frame and says whether it is lost); delay, jitter: seconds each way; rate:
        bits per second; queue: bytes that may wait for the line.  0 switches each off.
        """
        for name in how:
            if name not in _HOW:
                raise TypeError("a link has no %r, but %s" % (name, ", ".join(_HOW)))
        self._how.update(how)
        how = self._how
        pipes = cable(
            self.sim, self.port, self.plug, delay_us=round(how["delay"] * 1e6),
            jitter_us=round(how["jitter"] * 1e6), rate=int(how["rate"]), queue=int(how["queue"]),
            corrupt=_ppm(how["corrupt"]), reorder=_ppm(how["reorder"]),
            duplicate=_ppm(how["duplicate"]))
        for pipe in pipes:
            loss = how["loss"]
            if loss:
                pipe.lose(loss if callable(loss) else _Share(pipe.rand.fork(), _ppm(loss)))

    def unplug(self):
        """Pull the cable out: nothing passes, and the host sees that the link is down."""
        self.lan.switch.groups[self.plug] = self
        self.port.plugged = False
        self.poll()

    def plug_in(self):
        """Put the cable back."""
        self.lan.switch.groups.pop(self.plug, None)
        self.port.plugged = True
        self.poll()


class _Share:
    def __init__(self, rand, ppm):
        self.rand = rand
        self.ppm = ppm

    def __call__(self, frame):
        return self.rand.chance(self.ppm)


def _ppm(share):
    if not 0 <= share <= 1:
        raise ValueError("%r is not a share from 0 to 1" % (share,))
    return round(share * 1000000)


class _Switch:
    """A learning switch that can be told who hears whom."""

    name = "switch"

    def __init__(self):
        self.plugs = []
        self.table = {}
        self.groups = {}    # plug: only those of the same group hear it

    def plug(self, host):
        plug = Plug(self, len(self.plugs))
        self.plugs.append(plug)
        return plug

    def input(self, plug, frame):
        group = self.groups.get(plug)
        self.table[bytes(frame[6:12])] = plug
        there = None if frame[0] & 1 else self.table.get(bytes(frame[:6]))
        for other in self.plugs if there is None else (there,):
            if other is not plug and self.groups.get(other) == group:
                other.out.carry(frame)


class _Frames:
    """A tap that keeps what hosts have sent, for a capture."""

    def __init__(self):
        self.kept = deque(maxlen=KEPT)

    def sent(self, pipe, frame):
        if pipe.first:
            self.kept.append((pipe.sim.now, bytes(frame)))

    def got(self, pipe, frame):
        pass

    def lost(self, pipe, frame, why):
        pass


class _Thread:
    """A thread of a test: of all, one runs at a time, and virtual time passes when none can."""

    def __init__(self):
        self.turn = threading.Semaphore(0)
        self.until = None       # virtual time until which it waits; None: it can go on


class Program:
    """A function that runs beside the test, and waits in virtual time as the test does."""

    def __init__(self, lan, call, args):
        self._lan = lan
        self._me = _Thread()
        self._call = call, args
        self._done = False
        self._value = self._error = None
        lan._threads.append(self._me)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        me = self._me
        me.turn.acquire()
        self._lan._local.me = me
        try:
            self._value = self._call[0](*self._call[1])
        except BaseException as e:
            self._error = e
        self._done = True
        self._lan._threads.remove(me)
        self._lan._next().turn.release()

    def done(self):
        """Whether it has ended."""
        return self._done

    def result(self, timeout=None):
        """Wait until it has ended; what it returned, or raises what it raised."""
        self._lan.until(lambda: self._done, timeout)
        if self._error is not None:
            raise self._error
        return self._value


class Lan:
    """A switch, hosts on it, and the virtual time in which they live.

    All that is random comes from `seed`: a test does the same each time.
    """

    def __init__(self, seed=1):
        self.seed = seed
        self.sim = Sim(seed)
        self.switch = _Switch()
        self.frames = _Frames()
        self.trace = record.Trace(60)
        self.sim.tap = record.Taps(self.frames, self.trace)
        self.loop = None
        self._local = threading.local()
        self._local.me = _Thread()
        self._threads = [self._local.me]

    # -- the network --------------------------------------------------------

    def hosts(self, count, **how):
        """`count` new hosts, h1 (10.0.0.1), h2 (10.0.0.2) ...; their cables as `LanHost.link`."""
        return [self.host(**how) for _ in range(count)]

    def host(self, name=None, address=None, **how):
        """One new host."""
        number = len(self.sim.hosts) + 1
        if address is None:
            address = "10.0.%d.%d" % (number >> 8, number & 255)
        host = LanHost(self, name or "h%d" % number, address)
        self.sim.hosts.append(host)
        host.link(**how)
        host.up(host.port, address + "/16")
        return host

    def partition(self, *groups):
        """From now on hosts hear only those of their own group; those in none hear each other."""
        self.switch.groups = {
            host.plug: number for number, group in enumerate(groups) for host in group}

    def heal(self):
        """Undo `partition` (and `unplug`)."""
        self.switch.groups = {}
        for host in self.sim.hosts:
            host.port.plugged = True
            host.poll()

    # -- time ---------------------------------------------------------------

    @property
    def time(self):
        """Virtual seconds since the beginning."""
        return self.sim.now / 1000000

    def sleep(self, seconds):
        """Let virtual time pass."""
        end = self.sim.now + round(seconds * 1000000)
        while self.sim.now < end:
            self._wait(end)

    def until(self, condition, timeout=None):
        """Let time pass until `condition()` holds; `Stuck` after `timeout` virtual seconds."""
        end = self.sim.now + round((LIMIT_S if timeout is None else timeout) * 1000000)
        while not condition():
            if self.sim.now >= end:
                raise Stuck("not so after %g s of virtual time" % (timeout or LIMIT_S))
            self._wait(end)

    def wait(self, ms):
        """What calls of sockets do that have to wait: others go on, or time passes."""
        self._wait(self.sim.now + ms * 1000)

    def _wait(self, until):
        me = self._local.me
        me.until = until
        for host in self.sim.hosts:
            host.poll()         # it may have been used since; a timer may stand earlier
        if len(self._threads) == 1:
            self._advance(until)
        else:
            # Before time goes on all others have their turn, and those that wait look again.
            self._threads.remove(me)
            self._threads.append(me)
            other = self._next()
            if other is not me:
                other.turn.release()
                me.turn.acquire()
        me.until = None

    def _next(self):
        """The thread whose turn it is; time passes if all of them wait."""
        threads = self._threads
        while True:
            for thread in threads:
                if thread.until is None or thread.until <= self.sim.now:
                    return thread
            self._advance(min(thread.until for thread in threads))
            # What has happened may concern any of them.
            for thread in threads:
                thread.until = self.sim.now

    def _advance(self, until):
        """The next event, or `until` if it is earlier."""
        sim = self.sim
        if sim._heap and sim._heap[0][0] <= until:
            sim.step()
        else:
            sim.now = until

    # -- programs -----------------------------------------------------------

    def start(self, call, *args):
        """Run `call(*args)` beside the test, as a `Program`.

        It is a thread, but only one runs at a time, and changes where a call of a socket's (or
        `lan.sleep`) waits: nothing that happens depends on chance.
        """
        return Program(self, call, args)

    def run(self, main, timeout=LIMIT_S):
        """As `asyncio.run(main)`, in virtual time; `main` is a coroutine or a function of one.

        `Stuck` after `timeout` virtual seconds.
        """
        from spinet.testing.loop import run

        return run(self, main() if inspect.iscoroutinefunction(main) else main, timeout)

    # -- what has happened --------------------------------------------------

    def pcap(self):
        """All that hosts have sent, as the bytes of a pcap file with virtual times."""
        out = io.BytesIO()
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for now, frame in self.frames.kept:
            out.write(struct.pack("<IIII", now // 1000000, now % 1000000, len(frame), len(frame)))
            out.write(frame)
        return out.getvalue()

    def close(self):
        """Close all stacks."""
        if self.loop is not None:
            self.loop.close()
        for host in self.sim.hosts:
            host.stack.close()
