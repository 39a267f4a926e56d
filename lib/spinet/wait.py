"""Waiting: how a stack that has nothing to do passes the time on a real machine.

With ports that can be waited for (`port.pollable`) it sleeps until one of
them has a frame or the time is up.  Without, it sleeps a millisecond at a time.
For a port whose `pollable` is False, because nothing can come by it, it does not.
"""
import select
import time

from spinet.prim import ticks_diff


def _sleep_ms(ms):
    time.sleep(ms / 1000)


sleep_ms = getattr(time, "sleep_ms", _sleep_ms)


def blind(stack, found):
    """Add to the list `found` what the stack's ports offer to wait for; True if one has nothing."""
    none = False
    for ip in stack.interfaces:
        port = ip.id.port
        if port is not None:
            pollable = port.pollable
            if pollable is None:
                none = True
            elif pollable is not False:
                found.append(pollable)
    return none


class Waiter:
    """`wait(ms)` of one stack.  `also` has more to wake it: objects that can be polled."""

    def __init__(self, stack):
        self._stack = stack
        self.also = []
        self._known = None      # the pollables that `_poller` has registered
        self._poller = None

    def __call__(self, ms):
        """Return after `ms` milliseconds, or earlier when a frame may have come."""
        found = list(self.also)
        if blind(self._stack, found) and ms > 1:
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


def until(stack, thing, timeout_ms=-1):
    """Keep `stack` going until `thing.done`; whether it is.  False after `timeout_ms`, if not -1.

    False at once, if need be, when called from within `poll`, where nothing can happen.
    """
    began = stack.clock()
    timers = stack.timers
    while not thing.done:
        if stack.inside():
            return False
        wait = stack.poll()
        if timeout_ms >= 0:
            left = timeout_ms - ticks_diff(timers.now, began)
            if left <= 0:
                return thing.done
            wait = min(wait, left)
        if timers.worked:
            timers.worked = False   # perhaps just what we wait for has come
        elif wait:
            stack.wait(wait)
    return True


async def until_async(stack, thing):
    """As `until`, for a task of asyncio: others run in the meantime."""
    import asyncio

    pump = getattr(stack, "pump", None)     # of aio: it polls
    if pump is not None:
        pump.soon()
    while not thing.done:
        if pump is None:
            stack.poll()
        await asyncio.sleep(0.005)
