"""Background pumping on CPython, by a thread: opt-in, and never started by anything else.

    nic.background()                    # or Threaded(stack)

The thread does what `Background` (background.py) does where there are interrupts: it keeps the
stack going while the program computes. One lock guards all; who is in a public method of a
socket, an endpoint, a `Stack` or a `LAN` holds it, but not while he waits there. So sockets
may then be used from several threads. Without it, or beside asyncio, no thread is needed: a
program that polls its sockets, or calls `stack.poll()`, is enough.
"""
import threading

from spinet.background import GUARDED, guard, unguard
from spinet.service import guarded
from spinet.wait import Waiter

PERIOD_MS = 50          # the longest sleep of the thread: timers may have been armed meanwhile

_running = []


class _Gate:
    """A lock that its holder may take again, and may let go of entirely while he waits."""

    def __init__(self):
        self.turn = threading.Condition(threading.Lock())
        self.owner = None
        self.depth = 0

    def enter(self):
        me = threading.get_ident()
        if self.owner != me:
            self.turn.acquire()
            self.owner = me
        self.depth += 1

    def leave(self):
        self.depth -= 1
        if not self.depth:
            self.owner = None
            self.turn.release()

    def wait(self, ms):
        """Let the others in, until the thread has done something, at most `ms`."""
        depth = self.depth
        self.owner = None
        self.depth = 0
        self.turn.wait(ms / 1000)
        self.owner = threading.get_ident()
        self.depth = depth

    def away(self):
        """Let the others in until `back` is called with what this returns."""
        if self.owner != threading.get_ident():
            return 0
        depth = self.depth
        self.depth = 1
        self.leave()
        return depth

    def back(self, depth):
        if depth:
            self.enter()
            self.depth = depth


_gate = _Gate()


def _locked(method):
    def inside(self, *args, **kwargs):
        _gate.enter()
        try:
            return method(self, *args, **kwargs)
        finally:
            _gate.leave()

    return inside


def _outside(method):
    def outside(self, ms):
        depth = _gate.away()
        try:
            return method(self, ms)
        finally:
            _gate.back(depth)

    return outside


def _guard_service(cls, names):
    guard(cls, wrapper=_locked, names=names)


class Threaded:
    """Keeps `stack` going until `stop()`; blocking calls wait for what its thread brings."""

    def __init__(self, stack, period_ms=0):
        self.stack = stack
        self.period_ms = period_ms or PERIOD_MS
        self.pumps = 0
        self._stopped = False
        self._waiter = Waiter(stack)
        self._wait = stack.wait
        if not _running:
            for cls, names in GUARDED:
                guard(cls, wrapper=_locked, names=names)
            guarded(_guard_service)
            guard(Waiter, wrapper=_outside, names=("__call__",))    # of stacks without a thread
        _running.append(self)
        stack.wait = self.wait
        stack.inside = self.inside
        self._thread = threading.Thread(target=self._run, name="spinet", daemon=True)
        self._thread.start()

    def wait(self, ms):
        """What a blocking call does in place of the stack's own `wait`."""
        if _gate.owner == threading.get_ident():
            _gate.wait(ms)
        else:
            self._wait(ms)

    def inside(self):
        """Whether the caller is within `poll`; another thread may be, at any time."""
        return self.stack.polling and _gate.owner == threading.get_ident()

    def _run(self):
        while not self._stopped:
            _gate.enter()
            try:
                wait = self.stack.poll()
                self.pumps += 1
                if self.stack.timers.worked:
                    _gate.turn.notify_all()
            finally:
                _gate.leave()
            if wait:
                self._waiter(min(wait, self.period_ms))

    def stop(self):
        """End the thread; idempotent."""
        if self._stopped:
            return
        self._stopped = True
        _join(self._thread)
        self.stack.wait = self._wait
        del self.stack.inside
        _running.remove(self)
        if not _running:
            guarded(None)
            unguard()


def _join(thread):
    """Wait for the thread, which may need the lock that the caller holds."""
    if thread is threading.current_thread():
        return
    while thread.is_alive():
        if _gate.owner == threading.get_ident():
            _gate.wait(10)
        else:
            thread.join(0.01)
