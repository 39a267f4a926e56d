"""`select` and `selectors` for sockets without a file descriptor, mixed with the system's.

`spinet.install()` puts modules made of this in their places, so that what waits for several
sockets (`socketserver`, `http.server` ...) finds spinet's.
"""
import select as system
import selectors
import types
from time import monotonic

from spinet.prim import ticks_diff
from spinet.sockbase import ERR, HUP, NVAL, RD, WR, Socket

_LONGEST_MS = 60000
_SLICE_MS = 5       # a wait, where not all there is can be waited for at once


def _ours(file):
    """The socket of spinet's that `file` is or stands for (a server of socketserver's); None."""
    if isinstance(file, Socket):
        return file
    if isinstance(getattr(file, "socket", None), Socket):
        return file.socket
    return None


def _wait(stacks, reading, writing, ms):
    """Wait at most `ms` (-1: any time) until something may have happened to stacks or files."""
    descriptors = []
    for stack in stacks:
        wait = stack.poll()
        if stack.timers.worked:
            stack.timers.worked = False
            return
        ms = wait if ms < 0 else min(ms, wait)
        descriptors += [ip.id.port.pollable for ip in stack.interfaces if ip.id.port]
    if len(stacks) == 1 and not reading and not writing:
        stacks.pop().wait(ms)
    elif None in descriptors:
        system.select(reading, writing, [], min(ms, _SLICE_MS) / 1000)
    else:
        system.select(reading + descriptors, writing, [], ms / 1000)


def _ready(asked):
    """Of `asked`, pairs (file, RD and WR), those that are ready, as a dict of flags; then the
    stacks and the system's files, to read and to write, that are concerned."""
    found, stacks, reading, writing = {}, set(), [], []
    for file, flags in asked:
        sock = _ours(file)
        if sock is None:
            if flags & RD:
                reading.append(file)
            if flags & WR:
                writing.append(file)
            continue
        if sock.stack is None:
            found[file] = NVAL
            continue
        if sock.stack not in stacks:
            stacks.add(sock.stack)
            sock.stack.poll()
        got = sock.ready() & (flags | ERR | HUP)
        if got:
            found[file] = got
    if reading or writing:
        there = system.select(reading, writing, [], 0)
        for file in there[0]:
            found[file] = found.get(file, 0) | RD
        for file in there[1]:
            found[file] = found.get(file, 0) | WR
    return found, stacks, reading, writing


def wait_for(asked, timeout):
    """Wait until any of `asked`, pairs of a file and RD | WR, is ready; a dict of their flags.

    `timeout` is in seconds, None for ever; empty when it is over.
    """
    # In ms; one more, since ticks are whole ones.
    left = -1 if timeout is None else timeout * 1000 + (timeout > 0)
    began = monotonic()
    last = None
    while True:
        found, stacks, reading, writing = _ready(asked)
        if found or left == 0:
            return found
        if not stacks:
            # None of ours: the system waits better.
            there = system.select(reading, writing, [],
                                  None if left < 0 else max(began + timeout - monotonic(), 0))
            if not any(there):
                return {}
            continue
        # The time of the stack, which need not be the machine's: see `spinet.testing`.
        clock = next(iter(stacks)).clock
        if left > 0:
            now = clock()
            if last is not None:
                left = max(left - ticks_diff(now, last), 0)
            last = now
        if left:
            _wait(stacks, reading, writing, left if left < 0 else min(int(left) + 1, _LONGEST_MS))


def select(rlist, wlist, xlist, timeout=None):
    """As `select.select`."""
    asked = [(file, RD) for file in rlist] + [(file, WR) for file in wlist]
    both = {}
    for file, flag in asked:
        both[file] = both.get(file, 0) | flag
    found = wait_for(list(both.items()), timeout)
    return ([file for file in rlist if found.get(file, 0) & (RD | HUP | ERR | NVAL)],
            [file for file in wlist if found.get(file, 0) & (WR | ERR | NVAL)], [])


class Poll:
    """As `select.poll()`; events of spinet's sockets bear the socket where others bear a number."""

    def __init__(self):
        self._asked = {}

    def register(self, file, events=RD | WR):
        self._asked[file] = events

    def modify(self, file, events):
        if file not in self._asked:
            raise FileNotFoundError(2, "not registered")
        self._asked[file] = events

    def unregister(self, file):
        del self._asked[file]

    def poll(self, timeout=None):
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        found = wait_for(list(self._asked.items()), seconds)
        return [(file if _ours(file) or isinstance(file, int) else file.fileno(), found[file])
                for file in found]


class Selector(selectors.BaseSelector):
    """A selector for spinet's sockets and the system's files together."""

    def __init__(self):
        self._keys = {}

    def register(self, fileobj, events, data=None):
        if not events or events & ~(selectors.EVENT_READ | selectors.EVENT_WRITE):
            raise ValueError("invalid events: %r" % (events,))
        if fileobj in self._keys:
            raise KeyError("%r is already registered" % (fileobj,))
        if isinstance(fileobj, int):
            fd = fileobj
        else:
            fd = -1 if _ours(fileobj) else fileobj.fileno()
        self._keys[fileobj] = key = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj):
        return self._keys.pop(fileobj)

    def select(self, timeout=None):
        asked = [(key.fileobj, RD * bool(key.events & selectors.EVENT_READ)
                  | WR * bool(key.events & selectors.EVENT_WRITE)) for key in self._keys.values()]
        found = wait_for(asked, None if timeout is None else max(timeout, 0))
        ready = []
        for file, flags in found.items():
            key = self._keys[file]
            events = selectors.EVENT_READ * bool(flags & ~WR) | selectors.EVENT_WRITE * bool(
                flags & ~RD)
            if events & key.events:
                ready.append((key, events & key.events))
        return ready

    def close(self):
        self._keys.clear()

    def get_map(self):
        return self._keys


def _copy(name, source, **ours):
    made = types.ModuleType(name, source.__doc__)
    made.__dict__.update((key, value) for key, value in vars(source).items()
                         if not key.startswith("__"))
    made.__dict__.update(ours)
    return made


def modules():
    """Copies of the system's `select` and `selectors` that know spinet's sockets."""
    ours = {name: Selector for name in vars(selectors) if name.endswith("Selector")
            and name != "BaseSelector" and not name.startswith("_")}
    return (_copy("select", system, select=select, poll=Poll),
            _copy("selectors", selectors, **ours))
