"""What the tests of the W5500 share: a wire that notes everything, and bare access to the model."""
from chips.bus import SPI, ChipSelect, IrqPin, ResetPin, Time
from chips.w5500 import W5500Model
from spinet.ports.w5500 import W5500
from spinet.prim import copy

MAC = b"\x02\x00\x00\x00\x00\x05"
PEER = b"\x02\x00\x00\x00\x00\x99"
BROADCAST = b"\xff\xff\xff\xff\xff\xff"


def frame(n=60, dst=MAC, kind=b"\x08\x00", seed=0):
    """A frame of `n` bytes whose payload depends on `seed`."""
    out = bytearray(n)
    out[0:14] = dst + PEER + kind
    for i in range(14, n):
        out[i] = (seed * 37 + i * 7 + (i >> 8)) & 255
    return bytes(out)


class Wire:
    """A port: `put` what the chip shall receive, `sent` is what it sent.  Allocates only there."""

    def __init__(self):
        self.waiting = []
        self.taken = 0
        self.sent = []
        self.keep = True        # False: only note the number and length of what is sent
        self.count = 0
        self.length = 0
        self.busy = 0           # refuse this many
        self.pollable = None

    def put(self, *frames):
        self.waiting.extend(frames)

    def recv(self, buf):
        if self.taken == len(self.waiting):
            return 0
        data = self.waiting[self.taken]
        self.taken += 1
        n = len(data)
        copy(buf, 0, data, 0, n)
        return n

    def send(self, buf, n):
        if self.busy:
            self.busy -= 1
            return False
        self.count += 1
        self.length = n
        if self.keep:
            self.sent.append(bytes(buf[0:n]))
        return True


class Host:
    """A chip with its bus and pins, and access to registers byte by byte."""

    model_class = W5500Model

    def __init__(self, time=None, baudrate=20000000, **options):
        self.time = time
        self.wire = Wire()
        self.chip = self.model_class(self.wire, time, **options)
        self.spi = SPI(time, baudrate)
        self.cs = self.spi.attach(self.chip)
        self.irq = IrqPin(self.chip)
        self.reset = ResetPin(self.chip)
        if time is not None:
            time.sleep_ms(2)        # the PLL

    def raw(self, *out):
        """Send these bytes in one chip-select period; what came back."""
        out = bytes(out)
        got = bytearray(len(out))
        self.cs(0)
        try:
            self.spi.write_readinto(out, got)
        finally:
            self.cs(1)
        return bytes(got)

    def read(self, addr, control, n=1):
        self.cs(0)
        try:
            self.spi.write(bytes((addr >> 8, addr & 255, control)))
            return self.spi.read(n)
        finally:
            self.cs(1)

    def write(self, addr, control, *data):
        """Write bytes, given one by one or as one `bytes`."""
        self.cs(0)
        try:
            self.spi.write(bytes((addr >> 8, addr & 255, control)))
            self.spi.write(data[0] if isinstance(data[0], (bytes, bytearray)) else bytes(data))
        finally:
            self.cs(1)

    def word(self, addr, control=0x08):
        data = self.read(addr, control, 2)
        return data[0] << 8 | data[1]

    def put_word(self, addr, v, control=0x0C):
        self.write(addr, control, v >> 8, v & 255)

    def command(self, v, n=0):
        """A command to socket `n`, and a pause until it is accepted."""
        self.write(0x01, 0x0C | n << 5, v)
        self.sleep_us(20)

    def sleep_us(self, us):
        if self.time is not None:
            self.time.advance(us * 1000)

    def macraw(self, mode=0x04, size=16):
        """Socket 0 open in MACRAW, all memory its own, SHAR set."""
        for n in range(1, 8):
            self.write(0x1E, 0x0C | n << 5, 0, 0)
        self.write(0x1E, 0x0C, size, size)
        self.write(0x09, 0x04, *MAC)
        self.write(0x00, 0x0C, mode)
        self.command(0x01)
        assert self.read(3, 8) == b"\x42", "MACRAW is open"
        return self

    def link(self):
        """Wait for the link."""
        if self.time is not None:
            self.time.sleep_ms(1600)
        assert self.read(0x2E, 0)[0] & 1, "link"
        return self

    def send(self, data):
        """A frame by hand: data, TX_WR, SEND."""
        wr = self.word(0x24)
        self.write(wr, 0x14, data)
        self.put_word(0x24, (wr + len(data)) & 0xFFFF)
        self.command(0x20)

    def take(self):
        """The first waiting frame by hand, freed; with its length word."""
        rd = self.word(0x28)
        head = self.read(rd, 0x18, 2)
        n = head[0] << 8 | head[1]
        data = self.read(rd, 0x18, n)
        self.put_word(0x28, (rd + n) & 0xFFFF)
        self.command(0x40)
        return data


class Board:
    """A driver on a chip in virtual time, with a link.  `gap_ns`: the host's time per SPI call."""

    model_class = W5500Model
    driver_class = W5500
    longest = 1514          # frame
    quiet = {"rx": None, "tx": None, "link_up": None, "reopen": None, "setup": None, "reset": None}

    def __init__(self, irq=True, reset=True, instant=False, baudrate=20000000, gap_ns=0, up=True,
                 chip=None, **options):
        self.time = time = None if instant else Time()
        self.wire = Wire()
        self.chip = self.model_class(self.wire, time, **(chip or {}))
        self.spi = SPI(time, baudrate)
        self.spi.gap_ns = gap_ns
        self.cs = self.spi.attach(self.chip)
        self.irq = IrqPin(self.chip) if irq else None
        self.reset = ResetPin(self.chip) if reset else None
        self.buf = bytearray(self.longest)
        self.out = bytearray(self.longest)
        self.options = options
        self.got = []
        self.port = self.driver()
        if up:
            self.wait_link()

    def driver(self):
        options = {"mac": MAC, "irq": self.irq, "reset": self.reset}
        if self.time is not None:
            options.update(clock=self.time.ticks_ms, sleep=self.time.sleep_ms)
        options.update(self.options)
        return self.driver_class(self.spi, self.cs, **options)

    def wait_link(self, ms=3000):
        if self.time is not None:
            while ms and not self.port.link():
                self.sleep(10)
                ms -= 10
        assert self.port.link(), "a link within 3 s"

    def sleep(self, ms):
        """Idle for `ms` milliseconds: the program polls once in each."""
        while ms > 0:
            self.time.sleep_ms(1)
            self.poll()
            ms -= 1

    def poll(self):
        """Take what is there; the number of frames."""
        k = 0
        while True:
            n = self.port.recv(self.buf)
            if not n:
                return k
            self.got.append(bytes(self.buf[0:n]))
            k += 1

    def send(self, data, tries=1):
        """Send `data`, trying again up to `tries` times a millisecond apart while busy."""
        self.out[0:len(data)] = data
        while not self.port.send(self.out, len(data)):
            tries -= 1
            if not tries:
                return False
            self.time.sleep_ms(1)
        return True

    def counted(self, **expected):
        """Are these counters as given, others as in `quiet` (None: any), and all others 0?"""
        count = self.port.count
        for name in count:
            want = expected.get(name, self.quiet.get(name, 0))
            assert want is None or count[name] == want, "%s is %d, not %r: %r" % (
                name, count[name], want, count)
        return True


def survives(b, ms=4000):
    """Traffic passes again within `ms`, both ways."""
    b.wire.sent.clear()
    while ms > 0:
        b.wire.put(frame(222))
        b.send(frame(111))
        b.sleep(50)
        ms -= 50
        if b.got and b.got[-1] == frame(222) and frame(111) in b.wire.sent:
            return True
    raise AssertionError("dead: %r" % b.port.count)


__all__ = ("BROADCAST", "Board", "ChipSelect", "Host", "MAC", "PEER", "Time", "Wire", "frame",
           "survives")
