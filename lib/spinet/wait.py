"""Waiting: how a stack that has nothing to do passes the time on a real machine.

With ports that can be waited for (`port.pollable`) it sleeps until one of
them has a frame or the time is up.  Without, it sleeps a millisecond at a time.
For a port whose `pollable` is False, because nothing can come by it, it does not.
"""
import select
import time


def _sleep_ms(ms):
    time.sleep(ms / 1000)


sleep_ms = getattr(time, "sleep_ms", _sleep_ms)


class Waiter:
    """`wait(ms)` of one stack."""

    def __init__(self, stack):
        self._stack = stack
        self._known = None      # the pollables that `_poller` has registered
        self._poller = None

    def __call__(self, ms):
        """Return after `ms` milliseconds, or earlier when a frame may have come."""
        found = []
        blind = False
        for ip in self._stack.interfaces:
            port = ip.id.port
            if port is None:
                continue
            pollable = port.pollable
            if pollable is None:
                blind = True
            elif pollable is not False:
                found.append(pollable)
        if blind and ms > 1:
            ms = 1
        if not found:
            sleep_ms(ms)
            return
        if found != self._known:
            self._known = found
            self._poller = select.poll()
            for pollable in found:
                self._poller.register(pollable, 1)
        self._poller.poll(ms)
