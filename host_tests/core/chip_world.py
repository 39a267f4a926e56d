"""A board with a modelled chip and a host on one cable, all in virtual time, and who checks frames.

    world = World("w5500", Random(1))
    world.until(lambda: world.port.link(), 5000)
    client, served = world.connection()

The board's stack (`board`, 10.0.0.2) is on the driver, which is on the chip; the host's (`host`,
10.0.0.1) on the other end of the chip's cable.  Every frame is followed: whatever the driver
delivers has come to the chip, and as often; whatever the chip sends was given to the driver, and as
often.
"""
from chips.rig import Rig
from spinet import Stack
from spinet.prim import copy, ticks_diff

from chips.bus import Time

MAC = b"\x02\0\0\0\0\x02"
QUEUE = 500         # frames that a switch keeps


class Cable:
    """What the chip is on, and a port, `mac`, for the host at its other end."""

    medium = "ethernet"
    mtu = 1500
    pads = True
    pollable = None
    mac = b"\x02\0\0\0\0\x01"

    def __init__(self):
        self.to_chip = []
        self.to_host = []
        self.count = {"overrun": 0}
        self.moved = 0              # frames, either way
        self.inbound = {}           # frame: how often the chip may still deliver it
        self.outbound = {}          # and send it
        self.wrong = []             # what broke a rule
        self._turn = self._half = self

    # the chip's side

    def recv(self, buf):
        """The chip takes a frame."""
        if not self.to_chip:
            return 0
        frame = self.to_chip.pop(0)
        self.moved += 1
        n = len(frame)
        copy(buf, 0, frame, 0, n)
        self.inbound[frame] = self.inbound.get(frame, 0) + 1
        return n

    def send(self, buf, n):
        """The chip sends a frame."""
        self.moved += 1
        frame = bytes(buf[0:n])
        left = self.outbound.get(frame, 0)
        if left:
            self.outbound[frame] = left - 1
        else:
            self.wrong.append("sent, but not given, or twice: " + text(frame))
        if len(self.to_host) < QUEUE:
            self.to_host.append(frame)
        else:
            self.count["overrun"] += 1
        return True

    def flood(self, n):
        """The host's network sends `n` broadcasts at once, of all sizes."""
        for k in range(n):
            frame = bytearray(60 + k * 397 % 1455)
            frame[0:14] = b"\xff\xff\xff\xff\xff\xff" + b"\x02\0\0\0\0\x77" + b"\x88\xb5"
            frame[14] = k >> 8
            frame[15] = k & 255
            self.put(bytes(frame))

    def put(self, frame):
        if len(self.to_chip) < QUEUE:
            self.to_chip.append(frame)
        else:
            self.count["overrun"] += 1


class Host:
    """The other end of a `Cable`: the host's port."""

    medium = "ethernet"
    mtu = 1500
    pads = True
    pollable = None

    def __init__(self, cable):
        self.cable = cable
        self.mac = cable.mac
        self.count = {}

    def recv(self, buf):
        waiting = self.cable.to_host
        if not waiting:
            return 0
        frame = waiting.pop(0)
        copy(buf, 0, frame, 0, len(frame))
        return len(frame)

    def send(self, buf, n):
        self.cable.put(bytes(buf[0:n]) + bytes(60 - n if n < 60 else 0))
        return True

    def link(self):
        return True

    def close(self):
        pass


class Watched:
    """The driver as the board's stack sees it: each frame is entered in the cable's books."""

    medium = "ethernet"
    mtu = 1500
    pads = True

    def __init__(self, port, cable):
        self.port = port
        self.cable = cable
        self.mac = port.mac
        self.window = port.window
        self.count = port.count
        self.link = port.link
        self.close = port.close
        self.pollable = None

    def recv(self, buf):
        n = self.port.recv(buf)
        if n:
            cable = self.cable
            frame = bytes(buf[0:n])
            left = cable.inbound.get(frame, 0)
            if left:
                cable.inbound[frame] = left - 1
            else:
                cable.wrong.append("delivered, but not received, or twice: " + text(frame))
        return n

    def send(self, buf, n):
        return self._given(bytes(buf[0:n]), self.port.send, buf, n)

    def sendv(self, pieces):
        return self._given(b"".join([bytes(piece) for piece in pieces]), self.port.sendv, pieces)

    def filter(self, groups):
        self.port.filter(groups)

    def _given(self, frame, send, *args):
        if len(frame) < 60:
            frame += bytes(60 - len(frame))
        outbound = self.cable.outbound
        outbound[frame] = outbound.get(frame, 0) + 1
        taken = send(*args)
        if not taken:
            outbound[frame] -= 1
        return taken


def text(frame):
    return "%d bytes, %s" % (len(frame), "".join(["%02x" % b for b in frame[0:48]]))


class World:
    """See above.  `options` are those of `Rig`; `driver` those of the driver.

    `most_ms` bounds how long everybody sleeps when nothing happens.  Unless `watched`, nobody looks
    at the frames, and the bus is clean.
    """

    def __init__(self, name, rand, driver=None, rcvbuf=4096, sndbuf=4096, most_ms=1000,
                 watched=True, **options):
        self.time = time = Time()
        self.cable = Cable()
        self.rig = Rig(name, self.cable, time, rand if watched else None, **options)
        self.port = self.rig.driver(mac=MAC, **(driver or {}))
        self.watched = Watched(self.port, self.cable) if watched else self.port
        self.most_ms = most_ms
        self.elapsed = 0        # ms
        self._then = time.ms
        self._pause_us = 250    # while something happens; longer and longer when nothing does
        self._moved = 0
        self.board = Stack(clock=time.ticks_ms, random=rand, wait=self.pass_ms)
        self.host = Stack(clock=time.ticks_ms, random=rand, wait=self.pass_ms)
        for stack, port, address in ((self.board, self.watched, "10.0.0.2/24"),
                                     (self.host, Host(self.cable), "10.0.0.1/24")):
            stack.tcp.rcvbuf = rcvbuf
            stack.tcp.sndbuf = sndbuf
            stack.add(port, address)

    def pass_ms(self, ms):
        """What blocking calls do to pass the time."""
        self.step(ms)

    def step(self, most_ms=1000):
        """Poll both, then let time pass: little while frames move, else up to what both allow."""
        wait = min(self.board.poll(), self.host.poll(), most_ms, self.most_ms)
        cable = self.cable
        # Frames that wait for the chip do not count: it may be gone.
        if cable.moved != self._moved or cable.to_host:
            self._moved = cable.moved
            self._pause_us = 250
        else:
            self._pause_us *= 2
        pause = min(self._pause_us, wait * 1000)
        self.time.advance(max(pause, 50) * 1000)
        now = self.time.ms
        self.elapsed += ticks_diff(now, self._then)
        self._then = now

    def hurry(self):
        """Poll both; time passes on the bus, and 5 us more where nothing was done there."""
        spi = self.rig.spi
        before = spi.bytes
        self.board.poll()
        self.host.poll()
        self.time.advance(0 if spi.bytes != before else 5000)

    def run(self, ms):
        """Let `ms` pass."""
        end = self.elapsed + ms
        while self.elapsed < end:
            self.step(end - self.elapsed)

    def until(self, condition, ms):
        """Run until `condition()` holds; AssertionError after `ms` without it."""
        end = self.elapsed + ms
        while not condition():
            assert self.elapsed < end, "still not so after %d ms: %r" % (ms, self.port.count)
            self.step()

    def connection(self, port=80):
        """Two connected, non-blocking sockets: the host's, which asked, and the board's."""
        listener = self.board.socket()
        listener.bind(("", port))
        listener.listen(2)
        listener.setblocking(False)
        client = self.host.socket()
        client.setblocking(False)
        client.connect_ex(("10.0.0.2", port))
        self.until(lambda: listener.listener.queue, 300000)
        served, _ = listener.accept()
        served.setblocking(False)
        listener.close()
        return client, served
