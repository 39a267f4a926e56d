"""The other end of an emulated Pico's cable: a `spinet.Stack` in the Pico's time.

    peer = Peer()                                   # 10.0.0.1/24; hands out addresses by DHCP
    with Pico(image, wire=peer.cable, peers=[peer], time=peer.time) as pico:
        pico.until(lambda: peer.leases())

Everything happens at moments of the Pico's time, so a run repeats to the cycle.
"""
import random

from chips.bus import Time
from spinet import Stack
from spinet.dhcpd import Dhcpd

MAC = b"\x02\0\0\0\0\x01"
_QUEUE = 500                # frames that a switch keeps
_STEP_NS = 100000           # how exactly it keeps time while it drives the Pico
_LATENCY_NS = 20000         # from the chip's last bit to the peer's software


class Cable:
    """What the chip is on (`recv`, `send`), and the port of the stack at the other end (`host`)."""

    pollable = None

    def __init__(self):
        self.to_chip = []
        self.to_host = []
        self.count = {"overrun": 0, "to_chip": 0, "to_host": 0}
        self.plugged = True
        self.on_frame = None        # called with (to the chip?, frame)
        self.on_host = None         # called when the host has got one
        self.host = Host(self)

    def recv(self, buf):
        if not self.to_chip:
            return 0
        frame = self.to_chip.pop(0)
        buf[0:len(frame)] = frame
        return len(frame)

    def send(self, buf, n):
        self.put(self.to_host, bytes(buf[0:n]), "to_host")
        if self.on_host:
            self.on_host()
        return True

    def put(self, queue, frame, name):
        if len(queue) >= _QUEUE:
            self.count["overrun"] += 1
            return
        self.count[name] += 1
        if self.on_frame:
            self.on_frame(name == "to_chip", frame)
        queue.append(frame)


class Host:
    """The port at the host's end of a `Cable`."""

    medium = "ethernet"
    mtu = 1500
    pads = True
    pollable = None
    mac = MAC

    def __init__(self, cable):
        self.cable = cable
        self.count = {}

    def recv(self, buf):
        waiting = self.cable.to_host
        if not waiting:
            return 0
        frame = waiting.pop(0)
        buf[0:len(frame)] = frame
        return len(frame)

    def send(self, buf, n):
        self.cable.put(self.cable.to_chip, bytes(buf[0:n]) + bytes(max(0, 60 - n)), "to_chip")
        return True

    def link(self):
        return True

    def close(self):
        pass


class Peer:
    """A host in the Pico's time.  `tasks` are functions called after each poll of `stack`."""

    def __init__(self, address="10.0.0.1/24", dhcp=True, seed=1, lease_s=3600):
        self.time = Time(0)
        self.cable = Cable()
        self.tasks = []
        source = random.Random(seed)
        self.stack = Stack(clock=self.time.ticks_ms, random=source.randbytes, wait=None)
        self.interface = self.stack.add(self.cable.host, address)
        if dhcp:
            network = address.rpartition(".")[0]
            self.dhcp = Dhcpd(self.interface, network + ".15", network + ".99", lease_s)
        self._next = 0
        self.cable.on_host = self.hurry

    def hurry(self):
        """A frame came."""
        self._next = min(self._next, self.now() + _LATENCY_NS)

    def due(self):
        """When it wants to work, in nanoseconds of the Pico's time."""
        return self._next

    def now(self):
        return self.time.ms * 1000000 + self.time.ns

    def drive(self, pico):
        """From now on it is the peer that lets the Pico run: blocking calls of its sockets do."""
        pico.peers.remove(self)

        def wait(ms):
            end = pico.nanos + ms * 1000000
            while pico.nanos < end and not self.cable.to_host:
                pico.run_to(min(end, pico.nanos + _STEP_NS))

        self.stack.wait = wait

    def pump(self, condition, ms=10000):
        """Drive until `condition()` holds; TimeoutError after `ms` without it."""
        end = self.now() + ms * 1000000
        while not condition():
            if self.now() > end:
                raise TimeoutError("not so after %d ms" % ms)
            self.stack.wait(min(self.stack.poll(), 10) or 1)

    def work(self):
        wait = self.stack.poll()
        for task in self.tasks:
            task()
        wait = min(wait, self.stack.poll())
        self._next = self.now() + max(1, wait) * 1000000
