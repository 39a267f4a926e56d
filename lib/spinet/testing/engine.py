"""Virtual time, and the hosts that live in it.

Time is counted in microseconds; a stack sees its milliseconds, each host's
beginning at a moment of its own.  Nothing happens but by an event, and of two
events at one time the one that was planned first comes first.
"""
from heapq import heappop, heappush

from spinet.testing.link import Port
from spinet.testing.rand import Rand
from spinet import Stack

TICKS = (1 << 30) - 1
BEGIN = (1 << 30) - 5000    # ticks of a host when the simulation begins: the wrap is near


class Stuck(Exception):
    """Something did not happen in the time it was given."""


class Sim:
    """A simulation.  `now` is the virtual time in us; `rand` decides all that is random.

    `watch(host)` is called after each event of a host, and `tap` (see
    `record.py`) has a say about each frame, where they are set.
    """

    def __init__(self, seed=1):
        self.seed = seed
        self.now = 0
        self.rand = Rand(seed)
        self.hosts = []
        self.events = 0     # how many there have been
        self.watch = None
        self.tap = None
        self._heap = []     # (when, order, what to call, with what)
        self._order = 0

    def host(self, name, **settings):
        """A new host; `settings` are attributes of its `stack.tcp`."""
        host = Host(self, name, settings)
        self.hosts.append(host)
        return host

    def at(self, when, call, arg):
        """Plan `call(arg)` for the time `when`."""
        self._order = order = self._order + 1
        heappush(self._heap, (when, order, call, arg))

    def after(self, us, call, arg):
        """Plan `call(arg)` for `us` microseconds from now."""
        self.at(self.now + us, call, arg)

    def step(self):
        """The next event; False if none is planned."""
        if not self._heap:
            return False
        self.now, _, call, arg = heappop(self._heap)
        self.events += 1
        call(arg)
        return True

    def run(self, ms):
        """Let `ms` pass."""
        end = self.now + ms * 1000
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.now, _, call, arg = heappop(heap)
            self.events += 1
            call(arg)
        self.now = end

    def until(self, condition, ms=600000):
        """Run until `condition()` holds; `Stuck` after `ms` without it."""
        end = self.now + ms * 1000
        while not condition():
            if self.now >= end or not self.step():
                raise Stuck("not so after %d ms" % ms)

    def wait(self, ms):
        """What a stack's blocking calls do: let one event happen, if there is one within `ms`."""
        end = self.now + ms * 1000
        if self._heap and self._heap[0][0] <= end:
            self.step()
        else:
            self.now = end


class Host:
    """A host with one stack.  `users` are programs: `turn()` is called after each event of the
    host and says whether it did anything; it removes itself when it is done."""

    def __init__(self, sim, name, settings):
        self.sim = sim
        self.name = name
        self.number = len(sim.hosts) + 1
        self.phase = sim.rand.below(1000)
        self.users = []
        self._wake = -1
        self._settings = settings
        self._up = []
        self._boot()

    def _boot(self):
        self.stack = Stack(clock=self.clock, random=self.sim.rand.fork().bytes, wait=self.sim.wait)
        for key in self._settings:
            setattr(self.stack.tcp, key, self._settings[key])

    def reboot(self):
        """Begin anew, without a word to anybody; the users' `vanish()` is called."""
        for user in self.users:
            user.vanish()
        self.users = []
        self._boot()
        for port, address, gateway in self._up:
            port.close()
            self.stack.add(port, address, gateway)
        self.poll()

    def clock(self):
        """Ticks in ms, as the stack wants them."""
        return (BEGIN + (self.sim.now + self.phase) // 1000) & TICKS

    def port(self, mtu=1500, medium="ethernet"):
        """A new port, to be plugged in by `cable`."""
        number = len(self.stack.interfaces)
        return Port(self, bytes((2, 0, 0, 0, self.number, number)), mtu, medium)

    def up(self, port, address, gateway=None):
        """Bring `port` up with an address "a.b.c.d/len"; the stack's interface."""
        self._up.append((port, address, gateway))
        ip = self.stack.add(port, address, gateway)
        self.poll()
        return ip

    def poll(self, _=None):
        """Something has happened, or may be due: stack and users go to work."""
        stack = self.stack
        ms = stack.poll()
        acted = False
        for user in list(self.users):
            if user.turn():
                acted = True
        if acted:
            ms = stack.poll()
        sim = self.sim
        when = ((sim.now + self.phase) // 1000 + ms) * 1000 - self.phase
        if when < sim.now:
            when = sim.now
        if when != self._wake:
            self._wake = when
            sim.at(when, self._woken, when)
        if sim.watch:
            sim.watch(self)

    def _woken(self, when):
        # A later plan may have replaced this one.
        if when == self._wake:
            self._wake = -1
            self.poll()
