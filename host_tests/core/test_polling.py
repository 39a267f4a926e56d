"""`select` as MicroPython programs find it after `install()`: what it tells, and that it sleeps."""
import sys

from kit import skip

import spinet
from spinet.ports import wire
from spinet.prim import ticks_diff, ticks_ms

IN, OUT, ERR, HUP, NVAL = 1, 4, 8, 16, 32


def world(test):
    """A test on MicroPython; `test(select, near, far)` gets a pair of connected sockets."""
    def run():
        if sys.implementation.name != "micropython":
            skip("CPython has selecting.py")
        port, peer = wire.pair()
        a, b = spinet.Stack(), spinet.Stack()
        a.add(port, "10.0.0.1/24")
        b.add(peer, "10.0.0.2/24")
        a.wait = lambda ms: b.poll()
        b.wait = lambda ms: a.poll()
        spinet.install(a)
        try:
            import select

            server = b.socket()
            server.bind(("", 80))
            server.listen(1)
            near = a.socket()
            near.connect(("10.0.0.2", 80))
            far, _ = server.accept()
            test(select, near, far)
        finally:
            spinet.uninstall()
            a.close()
            b.close()
            spinet.use(None)

    return run


@world
def test_what_is_ready_is_told(select, near, far):
    poller = select.poll()
    poller.register(near, select.POLLIN)
    assert poller.poll(0) == []
    far.send(b"x")
    assert poller.poll(1000) == [(near, IN)] == poller.poll(None)
    assert [(s, e) for s, e in poller.ipoll(0)] == [(near, IN)]
    poller.modify(near, select.POLLIN | select.POLLOUT)
    assert poller.poll(0) == [(near, IN | OUT)]
    near.recv(1)
    assert poller.poll(0) == [(near, OUT)]
    poller.modify(near, 0)
    assert poller.poll(0) == []


@world
def test_hang_up_is_told_to_who_did_not_ask(select, near, far):
    poller = select.poll()
    poller.register(near, 0)
    far.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")     # SO_LINGER: reset
    far.close()
    events = poller.poll(1000)[0][1]
    assert events & HUP and events & ERR
    near.close()
    assert poller.poll(0) == [(near, NVAL)]
    poller.unregister(near)
    assert poller.poll(0) == []


@world
def test_one_shot(select, near, far):
    poller = select.poll()
    poller.register(near, select.POLLOUT)
    assert [e for _, e in poller.ipoll(0, 1)] == [OUT]
    assert list(poller.ipoll(0, 1)) == []
    poller.modify(near, select.POLLOUT)
    assert [e for _, e in poller.ipoll(0, 1)] == [OUT]


@world
def test_others_are_waited_for_too(select, near, far):
    import io

    class Thing(io.IOBase):
        ready = 0

        def ioctl(self, request, flags):
            return self.ready & flags if request == 3 else -1

    thing = Thing()
    poller = select.poll()
    poller.register(thing, select.POLLIN)
    poller.register(near, select.POLLIN)
    assert poller.poll(0) == []
    thing.ready = IN
    assert poller.poll(1000) == [(thing, IN)]
    assert list(poller.ipoll(1000, 1)) == [(thing, IN)] and list(poller.ipoll(0, 1)) == []
    thing.ready = 0
    far.send(b"y")
    # The other stack has to say it: nobody else polls that one here.
    far.stack.poll()
    assert poller.poll(1000) == [(near, IN)]
    poller.unregister(thing)
    poller.modify(near, 0)
    began = ticks_ms()
    assert poller.poll(30) == []
    assert ticks_diff(ticks_ms(), began) >= 29


@world
def test_what_is_not_registered_is_an_error(select, near, far):
    try:
        select.poll().modify(near, 1)
    except OSError:
        return
    raise AssertionError("not refused")


@world
def test_asyncio_waits_by_it(select, near, far):
    try:
        from asyncio import core
    except ImportError:
        skip("no asyncio here")
    assert isinstance(core._io_queue.poller, select.poll)
    spinet.uninstall()
    assert not isinstance(core._io_queue.poller, select.poll)
