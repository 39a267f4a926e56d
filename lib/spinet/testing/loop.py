"""An asyncio loop in virtual time: where it would sleep, the network does what comes next."""
import asyncio
import selectors

from spinet.aio.loop import EventLoop
from spinet.testing.engine import Stuck


class _Selector(selectors.DefaultSelector):
    """Looks at real descriptors without waiting, and lets virtual time pass instead."""

    lan = None
    end = 0     # of the time that the loop has

    def select(self, timeout=None):
        ready = super().select(0)
        if ready or timeout is not None and timeout <= 0:
            return ready
        sim = self.lan.sim
        if sim.now >= self.end:
            self.end += 1 << 62     # what is cancelled now may come to its end
            raise Stuck("the program has not come to its end in the time that it had")
        end = self.end
        if timeout is not None:
            end = min(end, sim.now + max(round(timeout * 1000000), 1))
        self.lan._wait(end)
        return []


class VirtualLoop(EventLoop):
    """`spinet.aio.EventLoop` on a `Lan`; connections are those of its first host, or of the one
    that is chosen by `with host.using():`."""

    def __init__(self, lan, timeout):
        selector = _Selector()
        selector.lan = lan
        selector.end = lan.sim.now + round(timeout * 1000000)
        super().__init__(lan.sim.hosts[0].stack if lan.sim.hosts else None, selector)
        self._lan = lan
        self._clock_resolution = 1e-6

    def time(self):
        return self._lan.sim.now / 1000000


def run(lan, main, timeout):
    """Run the coroutine `main` to its end on a new loop; what it returned."""
    loop = lan.loop = VirtualLoop(lan, timeout)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            lan.loop = None
