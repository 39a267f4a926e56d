"""`select` on MicroPython, for spinet's sockets and whatever else can be polled.

The runtime's own `poll` has to ask objects made in Python, as sockets of spinet are, over and over;
the unix port does so a thousand times a second.  This one sleeps until a port of the stack has a
frame, a timer is due, or another object is ready, and then looks at the sockets.  `spinet.install`
puts it where programs, and with them `asyncio`, look for `select`.
"""
import select as runtime

from spinet import socket
from spinet.prim import ticks_diff, ticks_ms
from spinet.sockbase import ERR, HUP, NVAL, Socket
from spinet.wait import blind

POLLIN = 1
POLLOUT = 4
POLLERR = ERR
POLLHUP = HUP
_ONE_SHOT = 1
_ALWAYS = ERR | HUP | NVAL      # what is told without being asked for


class poll:     # noqa: N801 - MicroPython's name
    """An object as `select.poll()` makes, with the same methods; see MicroPython's manual."""

    def __init__(self):
        self._socks = {}        # id: [socket, events]
        self._others = runtime.poll()
        self._ids = set()       # of other objects
        self._ports = []        # those in `_others` on behalf of stacks

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        """Wait for `obj` too, or for other events of it."""
        if isinstance(obj, Socket):
            self._socks[id(obj)] = [obj, eventmask]
        else:
            self._others.register(obj, eventmask)
            self._ids.add(id(obj))

    def unregister(self, obj):
        """Wait for it no longer."""
        if self._socks.pop(id(obj), None) is None:
            self._others.unregister(obj)
            self._ids.discard(id(obj))

    def modify(self, obj, eventmask):
        """Wait for other events of it.  OSError if it is not registered."""
        entry = self._socks.get(id(obj))
        if entry is None:
            self._others.modify(obj, eventmask)
        else:
            entry[1] = eventmask

    def poll(self, timeout=-1):
        """[(object, events)] of what is ready, after at most `timeout` ms, -1 and None: any."""
        return self._poll(timeout, 0)

    def ipoll(self, timeout=-1, flags=0):
        """The same as an iterator; `flags` 1: tell of each object once, until it is `modify`ed."""
        return iter(self._poll(timeout, flags))

    def _poll(self, timeout, flags):
        began = ticks_ms()
        if timeout is None:
            timeout = -1
        while True:
            stacks = self._stacks()
            wait = timeout
            for stack in stacks:
                left = stack.poll()
                if wait < 0 or left < wait:
                    wait = left
            ready = self._ready(flags)
            if timeout >= 0:
                left = timeout - ticks_diff(ticks_ms(), began)
                if left <= 0:
                    timeout = left = 0
                wait = min(wait, left)
            self._wait(stacks, 0 if ready else wait, ready, flags)
            if ready or not timeout:
                return ready

    def _stacks(self):
        """The stacks of the sockets; the one that is used by default, if there are none: other
        objects may be of it, such as sockets of `ssl`."""
        found = []
        for sock, _ in self._socks.values():
            if sock.stack is not None and sock.stack not in found:
                found.append(sock.stack)
        if not found and self._ids and socket._stack is not None:
            found.append(socket._stack)
        return found

    def _ready(self, flags):
        found = []
        for entry in self._socks.values():
            sock = entry[0]
            events = (NVAL if sock.stack is None else sock.ready()) & (entry[1] | _ALWAYS)
            if events:
                found.append((sock, events))
                if flags & _ONE_SHOT:
                    entry[1] = 0
        return found

    def _wait(self, stacks, ms, ready, flags):
        """Pass at most `ms`, -1: however long, until a port or another object has something; what
        other objects have comes into `ready`."""
        if not self._ids and len(stacks) == 1:
            if ms:
                stacks[0].wait(ms)
            return
        ports = []
        for stack in stacks:
            if blind(stack, ports) and not 0 <= ms <= 1:
                ms = 1
        if ports != self._ports:
            for port in self._ports:
                self._others.unregister(port)
            for port in ports:
                self._others.register(port, POLLIN)
            self._ports = ports
        for obj, events in self._others.ipoll(ms):
            if obj not in ports:
                ready.append((obj, events))
                if flags & _ONE_SHOT:
                    self._others.modify(obj, 0)
