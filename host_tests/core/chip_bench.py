"""Measures a driver on a modelled chip in virtual time: bytes on the bus, Mbit/s."""
from chip_world import MAC, Cable, World
from chips.bus import Time
from chips.rig import Rig
from kit import Random
from spinet.prim import ticks_diff

SIZES = (60, 590, 1514)
PEER = b"\x02\0\0\0\0\x01"


class Sink(Cable):
    """A cable on which nobody keeps books."""

    def recv(self, buf):
        if not self.to_chip:
            return 0
        frame = self.to_chip.pop(0)
        buf[0:len(frame)] = frame
        return len(frame)

    def send(self, buf, n):
        self.moved += 1
        return True


class Bench:
    """A driver with a link, and how to use it."""

    def __init__(self, name, mhz=20, irq=True, host_us=0):
        self.time = time = Time()
        self.cable = Sink()
        self.rig = Rig(name, self.cable, time, baudrate=mhz * 1000000, irq=irq)
        self.rig.spi.gap_ns = host_us * 1000
        self.frame_ns = 20000000 // self.rig.kind.line_mbit    # more than any frame takes
        self.port = self.rig.driver(mac=MAC)
        self.buf = bytearray(1514)
        for _ in range(400):
            time.sleep_ms(10)
            if self.port.link():
                break
        assert self.port.link(), "a link within 4 s"
        self.drain()

    def drain(self):
        k = 0
        while self.port.recv(self.buf):
            k += 1
        return k

    def ns(self, since=(0, 0)):
        return ticks_diff(self.time.ms, since[0]) * 1000000 + self.time.ns - since[1]

    def now(self):
        return self.time.ms, self.time.ns

    def send(self, data):
        """Send, trying again every 10 us while the chip is busy."""
        self.buf[0:len(data)] = data
        tries = 10000
        while not self.port.send(self.buf, len(data)):
            self.time.advance(10000)
            tries -= 1
            assert tries, "the chip stays busy"


def frame(n):
    return MAC + PEER + b"\x88\xb5" + bytes([i * 7 & 255 for i in range(n - 14)])


class Cost:
    """SPI bytes and chip selects per frame, in and out."""


def cost(name, n, irq=True, frames=16):
    """What a frame of `n` bytes costs when it comes, or goes, alone."""
    found = Cost()
    data = frame(n)
    bench = Bench(name, irq=irq)
    spi = bench.rig.spi
    rx_bytes = rx_selects = tx_bytes = tx_selects = 0
    for k in range(frames + 2):
        if k == 2:              # at first views are made
            rx_bytes = rx_selects = tx_bytes = tx_selects = 0
        bench.cable.put(data)
        for _ in range(2):      # the chip fetches it, it arrives
            bench.time.advance(bench.frame_ns)
        spi.bytes = spi.selects = 0
        assert bench.port.recv(bench.buf) == n
        rx_bytes += spi.bytes
        rx_selects += spi.selects
        bench.drain()
        spi.bytes = spi.selects = 0
        bench.send(data)
        tx_bytes += spi.bytes
        tx_selects += spi.selects
        bench.time.advance(bench.frame_ns)
        bench.drain()
    found.rx_bytes = rx_bytes / frames
    found.rx_selects = rx_selects / frames
    found.tx_bytes = tx_bytes / frames
    found.tx_selects = tx_selects / frames
    return found


def frames(name, mhz, rx, host_us=0, n=1514, count=40):
    """Mbit/s of frames of `n` bytes back to back."""
    bench = Bench(name, mhz, irq=False, host_us=host_us)
    data = frame(n)
    bench.send(data)
    bench.time.advance(3000000)
    done = 0
    if rx:
        waiting = bench.cable.to_chip
        waiting.append(data)
        bench.time.advance(bench.frame_ns)
        done = -2           # what came before is not counted
        while done < count:
            if len(waiting) < 8:
                waiting.append(data)    # as fast as the line
            if bench.port.recv(bench.buf):
                done += 1
                if not done:
                    start = bench.now()
    else:
        # From the end of one frame to that of another: some chips take a second one meanwhile.
        cable = bench.cable
        first = cable.moved + 1
        while cable.moved < first:
            bench.send(data)
        start = bench.now()
        while cable.moved < first + count:
            bench.send(data)
        done = cable.moved - first
    return done * n * 8000 / bench.ns(start)


def world_of(name, mhz, host_us, rcvbuf=11680):
    """Two stacks that transfer data; the board's spends `host_us` before each use of the bus."""
    world = World(name, Random(1), watched=False, rcvbuf=rcvbuf, sndbuf=23360, most_ms=1,
                  baudrate=mhz * 1000000, reset=False)
    world.rig.spi.gap_ns = host_us * 1000
    world.until(world.port.link, 10000)
    return world


def transfer(world, rx, total):
    """Mbit/s of TCP data in this world, the chip's side receiving or sending."""
    host, board = world.connection()
    source, sink = (host, board) if rx else (board, host)
    data = bytes(4096)
    buf = bytearray(8192)
    world.run(3)
    start = world.time.ms, world.time.ns
    sent = got = 0
    while got < total:
        while sent < total:
            n = source.write(data)
            if not n:
                break
            sent += n
        n = sink.readinto(buf)
        while n:
            got += n
            n = sink.readinto(buf)
        world.hurry()
    ns = ticks_diff(world.time.ms, start[0]) * 1000000 + world.time.ns - start[1]
    return got * 8000 / ns


def tcp(name, mhz, rx, host_us=0, total=300000):
    """Mbit/s of TCP data through both stacks, as in `transfer`."""
    return transfer(world_of(name, mhz, host_us), rx, total)
