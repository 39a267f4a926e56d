"""Keeps a stack going inside an asyncio loop: no thread, no polling.

The loop is woken by a frame (a port's descriptor, or a wire's `on_frame`) and by the stack's next
timer.  Transports are told by their connection's `waiter` that something happened to it, and
served after the `poll` in which it did.
"""
import asyncio
import socket
import threading

from spinet.addr import parse
from spinet.service import public

_BLIND_MS = 5    # how often a port is looked at that can neither be waited for nor call


def pump_of(stack, loop=None):
    """The pump of `stack` in the running loop (or `loop`); made when there is none.

    Every function here that is given a stack calls it; call it yourself (`aio.pump_of(stack)`) for
    a stack that answers pings and refuses connections while nobody in the program uses it.
    """
    loop = loop or asyncio.get_running_loop()
    pump = getattr(stack, "pump", None)
    if pump is None or pump.loop is not loop:
        if pump is not None:
            pump.stop()
        pump = stack.pump = Pump(stack, loop)
        if hasattr(loop, "pumps"):
            loop.pumps.append(pump)     # it stops them when it is closed
    return pump


class Pump:
    """Polls `stack` whenever there is something to do, in the thread of `loop`."""

    def __init__(self, stack, loop):
        self.stack = stack
        self.loop = loop
        self.ready = []         # transports that something has happened to
        self._running = False
        self._handle = None     # of the next `run`: soon, or when a timer is due
        self._timed = False     # it is the timer
        self._fds = []          # descriptors that wake us
        self._ports = []
        self._thread = threading.get_ident()    # of the loop, as soon as it runs
        self.soon()

    def elsewhere(self):
        """Whether this is called by another thread than the loop's: see threaded.py."""
        return threading.get_ident() != self._thread

    def soon(self):
        """Poll the stack in the loop's next turn."""
        if self.elsewhere():
            if not self.loop.is_closed():
                self.loop.call_soon_threadsafe(self._here)
            return
        if self._running or self.loop.is_closed():
            return
        if self._handle is not None:
            if not self._timed:
                return
            self._handle.cancel()
        self._timed = False
        self._handle = self.loop.call_soon(self.run)

    def _here(self):
        self._thread = threading.get_ident()
        self.soon()

    @staticmethod
    def address(host):
        """The 4 bytes of an address in text; `socket.gaierror` for anything else."""
        try:
            return parse(host)
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "%r is not an IPv4 address" % host)

    async def resolve(self, host):
        """The 4 bytes of the address of `host`, a name or an address in text."""
        if host == "localhost":
            return b"\x7f\0\0\1"
        try:
            return parse(host)
        except ValueError:
            pass
        from spinet import dns

        try:
            return parse((await dns.resolver(self.stack).lookup(host))[0])
        except OSError as e:
            raise socket.gaierror(socket.EAI_NONAME, "no address for %r (%s)" % (host, e))

    def now(self):
        """Tell the stack what time it is, before something is asked of it out of turn."""
        self.stack.timers.now = self.stack.clock()

    def connect(self, *args):
        """As the stack's `tcp.connect`."""
        self.now()
        return self.stack.tcp.connect(*args)

    def listen(self, *args):
        """As the stack's `tcp.listen`."""
        self.now()
        return self.stack.tcp.listen(*args)

    def abort(self, conn):
        """Reset a connection that nobody was given."""
        conn.waiter = None
        self.now()
        conn.abort()
        self.soon()

    def _frame(self):
        self.run()      # by its name: it may have been given a guard

    def run(self):
        """Poll, serve those for whom something has come, and see when to do so again."""
        stack = self.stack
        self._thread = threading.get_ident()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        ports = [ip.id.port for ip in stack.interfaces]
        if ports != self._ports:
            self._watch(ports)
        self._running = True
        try:
            wait = stack.poll()
            while self.ready:
                ready = self.ready
                self.ready = []
                for transport in ready:
                    transport.serve()
                wait = stack.poll()
        finally:
            self._running = False
        for port in ports:
            if port is not None and port.pollable is None and not hasattr(port, "on_frame"):
                wait = min(wait, _BLIND_MS)
        if wait == 0:
            self.soon()
        else:
            self._timed = True
            self._handle = self.loop.call_later(wait / 1000, self.run)

    def _watch(self, ports):
        """Interfaces have come or gone."""
        self._unwatch()
        self._ports = ports
        for port in ports:
            if port is None:
                continue
            if port.pollable:
                self._fds.append(port.fileno())
                self.loop.add_reader(port.fileno(), self._frame)
            elif hasattr(port, "on_frame"):
                port.on_frame = self.soon

    def _unwatch(self):
        for port in self._ports:
            if hasattr(port, "on_frame"):
                port.on_frame = None
        if not self.loop.is_closed():
            for fd in self._fds:
                self.loop.remove_reader(fd)
        self._ports = []
        self._fds = []

    def stop(self):
        """Leave the stack alone; idempotent."""
        self._unwatch()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if getattr(self.stack, "pump", None) is self:
            self.stack.pump = None


public(Pump, "run", "stop", "connect", "listen", "abort")
