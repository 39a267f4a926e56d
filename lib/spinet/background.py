"""Background pumping: the stack goes on working while the program does something else.

    nic.background()                    # or Background(stack)

A timer, and each interrupt of a port's chip, call `pump` between two steps of the program,
as MicroPython's scheduler runs callbacks. The stack is not re-entrant, so a pump that comes
while the program is inside the stack only leaves a note, and the call that is inside does it
on its way out: none is lost.

Callbacks of sockets (sockcall.py) are called between two steps of the program, too, and never from
within a call of its own: what it reads with, or writes, may not bear that (C code of `websocket`).

To know when the program is inside, the public methods of sockets, endpoints, `Stack` and `LAN`
are wrapped as long as there is a Background, and the one by which all UDP is sent. Nobody else
pays for it: without one they are what they were. Optional modules name
theirs by `public` (service.py); who builds on the stack by other means adds his class by `guard`.
"""
try:
    from micropython import schedule
except ImportError:
    def schedule(function, argument):
        function(argument)
try:
    from spinet_rom import thaw     # in an image the classes are in flash
except ImportError:
    def thaw(cls):
        """Have the members of a class where they can be set."""

from spinet.lan import LAN
from spinet.raw import RawEndpoint
from spinet.service import guarded
from spinet.sockbase import Socket
from spinet.sockdgram import DatagramSocket
from spinet.sockstream import StreamSocket
from spinet.stack import Stack
from spinet.timers import Timers
from spinet.udp import Udp, UdpEndpoint

PERIOD_MS = 10          # between looks for frames without an interrupt pin, as by default
PERIOD_IRQ_MS = 50      # with one: only timers are waited for

_ROUNDS = 3             # of catching up; what comes even then the timer brings
_NO = object()
# (class, names of methods or None for all that are public): what a program calls.
GUARDED = (
    (Socket, None), (StreamSocket, None), (DatagramSocket, None), (UdpEndpoint, None),
    (RawEndpoint, None), (LAN, None),
    (Stack, ("poll", "idle", "remove", "close")),   # and its sockets
    (Udp, ("send",)),       # what every protocol above UDP ends up in
    # Whoever arms a timer from the program (dns.py, mdns.py ...) is inside for that long.
    (Timers, ("arm", "cancel", "remove")),
)
_NO_METHODS = (type, staticmethod, classmethod)
_wrapped = []           # class, name, method, class ... of what was wrapped
_depth = 0              # how deep the program is inside the stack
_missed = False         # a pump came while it was
_running = []           # every Background


class Background:
    """Keeps `stack` going until `stop()`, and every other stack that has one.

    `period_ms` is how often to look; 0: as seems best. `timer` is a `machine.Timer` to use,
    for boards that have no virtual ones. `ports` are those whose interrupts count, by default
    all of the stack. `pumps` and `deferred` count.
    """

    def __init__(self, stack, period_ms=0, timer=None, ports=None):
        if timer is None:
            from machine import Timer

            timer = Timer(-1)
        self.stack = stack
        self.timer = timer
        self.pumps = self.deferred = 0
        self._queued = False
        self._run = self._scheduled     # made once: an interrupt may not allocate
        self._wake = self.wake
        ports = ports or [ip.id.port for ip in stack.interfaces if ip.id.port is not None]
        self._ports = [port for port in ports if hasattr(port, "wake")]
        global _missed
        if not _running:
            _missed = False         # what those before had missed
            for cls, names in GUARDED:
                guard(cls, wrapper=_any if cls is LAN else _few, names=names)
            guarded(_guard_service)
        _running.append(self)
        stack.later = self._wake
        for port in self._ports:
            port.wake = self._wake
        if not period_ms:
            irqs = [getattr(port, "has_irq", False) for port in ports]
            period_ms = PERIOD_IRQ_MS if irqs and all(irqs) else PERIOD_MS
        # `mode` 1 is PERIODIC on every port.
        timer.init(mode=getattr(timer, "PERIODIC", 1), period=period_ms, callback=self._wake)

    def wake(self, _=None):
        """An interrupt, hard or soft: have the scheduler call `pump`."""
        if not self._queued:
            self._queued = True
            try:
                schedule(self._run, 0)
            except RuntimeError:
                self._queued = False    # its queue is full; the timer comes again

    def _scheduled(self, _):
        self._queued = False
        self.pump()

    def pump(self):
        """Poll the stack, or see to it that it is polled when the program leaves it."""
        global _missed
        if _depth:
            self.deferred += 1
            _missed = True
        else:
            self.pumps += 1
            self.stack.poll()
            if self.stack.calls:
                from spinet.sockcall import run

                run(self.stack)

    def stop(self):
        """Pump no more; idempotent."""
        if self not in _running:
            return
        self.timer.deinit()
        self.stack.later = None
        for port in self._ports:
            port.wake = None
        _running.remove(self)
        if not _running:
            guarded(None)
            unguard()


def _guard_service(cls, names):
    guard(cls, wrapper=_any, names=names)


def _leave():
    global _depth
    if _missed and _depth == 1:
        _catch_up()
    _depth -= 1


def _catch_up():
    """Do the pumps that were missed, still inside: one that comes meanwhile is noted too."""
    global _missed
    for _ in range(_ROUNDS):
        _missed = False
        for background in _running:
            background.pumps += 1
            background.stack.poll()
        if not _missed:
            return


def _few(method):
    """`method` with up to six arguments, none by name: takes nothing from the heap.

    A closure would, for more than four arguments.
    """
    def inside(self, a=_NO, b=_NO, c=_NO, d=_NO, e=_NO, f=_NO, method=method):
        global _depth
        _depth += 1
        try:
            if a is _NO:
                return method(self)
            if b is _NO:
                return method(self, a)
            if c is _NO:
                return method(self, a, b)
            if d is _NO:
                return method(self, a, b, c)
            if e is _NO:
                return method(self, a, b, c, d)
            if f is _NO:
                return method(self, a, b, c, d, e)
            return method(self, a, b, c, d, e, f)
        finally:
            _leave()

    return inside


def _any(method):
    """`method` with any arguments."""
    def inside(self, *args, **kwargs):
        global _depth
        _depth += 1
        try:
            return method(self, *args, **kwargs)
        finally:
            _leave()

    return inside


def guard(*classes, wrapper=_few, names=None):
    """While there is a Background, whoever is in a public method of these classes is inside."""
    for cls in classes:
        thaw(cls)
        for name in names or [name for name in dir(cls) if not name.startswith("_")]:
            method = cls.__dict__.get(name)
            if callable(method) and not isinstance(method, _NO_METHODS):
                _wrapped.extend((cls, name, method))
                setattr(cls, name, wrapper(method))


def unguard():
    """Undo every `guard`."""
    while _wrapped:
        method = _wrapped.pop()
        name = _wrapped.pop()
        setattr(_wrapped.pop(), name, method)
