"""A stand-in for `machine.SPI` and `machine.Pin` whose other end is a chip model.

Several chips share one bus, each behind its own chip select:

    time = Time()                           virtual time; None: everything happens at once
    spi = SPI(time, baudrate=20000000)
    chip = W5500Model(wire, time)
    cs = spi.attach(chip)
    port = W5500(spi, cs, irq=IrqPin(chip), reset=ResetPin(chip),
                 clock=time.ticks_ms, sleep=time.sleep_ms)

A chip offers `select()`, `deselect()`, `transfer(out, into, n, fill, baudrate)`, `reset(level)`,
`int_level()`, and calls `on_int(level)` when its interrupt line changes.  `out` and `into` are
buffers of `n` bytes or None; without `out` the byte `fill` is sent.  Nothing here allocates per
transfer.
"""
from spinet.prim import ticks_add, ticks_diff


class BusError(Exception):
    """The bus was used in a way that real wires would not survive."""


class Violation(Exception):
    """The host broke a rule of a chip; `rule` names it."""

    def __init__(self, rule, text):
        super().__init__("%s: %s" % (rule, text))
        self.rule = rule


class Time:
    """Virtual time: `ms` (ticks modulo 2**30) and `ns` within the millisecond.

    Two words, because nanoseconds of one second already overflow a 31-bit small integer.
    """

    def __init__(self, ms=(1 << 30) - 5000):
        self.ms = ms
        self.ns = 0
        self.chips = []
        self.deadlines = []

    def next_ns(self):
        """Nanoseconds until the next deadline, on a host; None when nothing is to come."""
        ahead = [ns for ns in (ticks_diff(d.ms, self.ms) * 1000000 + d.ns - self.ns
                               for d in self.deadlines if d.armed) if ns > 0]
        return min(ahead) if ahead else None

    def pass_ns(self, ns):
        """Time passes (0 to 10**9); the chips notice at their next access."""
        ns += self.ns
        if ns >= 1000000:
            self.ms = ticks_add(self.ms, ns // 1000000)
            ns %= 1000000
        self.ns = ns

    def advance(self, ns):
        """Time passes and every chip does what became due, so an interrupt line may fall."""
        self.pass_ns(ns)
        for chip in self.chips:
            chip.service()

    def sleep_ms(self, ms):
        """As `advance`, millisecond by millisecond."""
        while ms > 0:
            self.advance(1000000)
            ms -= 1

    def ticks_ms(self):
        return self.ms


class Deadline:
    """A moment in virtual time.  `armed` until someone has acted on it."""

    def __init__(self, time):
        self.time = time
        self.armed = False
        self.ms = 0
        self.ns = 0
        if time is not None:
            time.deadlines.append(self)

    def start(self, ms, ns=0):
        """Arm for `ms` milliseconds and `ns` (below 10**9) nanoseconds from now."""
        time = self.time
        if time is not None:
            self.ms = time.ms
            self.ns = time.ns
        self.armed = True
        self.add(ms, ns)

    def follow(self, other, ns):
        """Arm for `ns` after `other`, even if that is past."""
        self.ms = other.ms
        self.ns = other.ns
        self.armed = True
        self.add(0, ns)

    def add(self, ms, ns=0):
        """Put the moment off."""
        ns += self.ns
        if ns >= 1000000:
            ms += ns // 1000000
            ns %= 1000000
        self.ns = ns
        self.ms = ticks_add(self.ms, ms)

    def due(self):
        """Armed and reached?  Without a time everything is reached at once."""
        if not self.armed:
            return False
        time = self.time
        if time is None:
            return True
        d = ticks_diff(self.ms, time.ms)
        return d < 0 or (d == 0 and self.ns <= time.ns)


class Pin:
    """What drivers use of `machine.Pin`."""

    IN = 0
    OUT = 1
    PULL_UP = 1
    IRQ_FALLING = 4
    IRQ_RISING = 8

    def __init__(self, level=1):
        self.level = level

    def init(self, mode=-1, pull=-1, *, value=None, **options):
        if value is not None:
            self.__call__(value)

    def __call__(self, value=None):
        if value is None:
            return self.level
        self.level = 1 if value else 0

    def value(self, value=None):
        return self.__call__(value)

    def on(self):
        self.__call__(1)

    high = on

    def off(self):
        self.__call__(0)

    low = off


class ChipSelect(Pin):
    """Active-low select of one chip on a shared bus."""

    def __init__(self, bus, chip):
        self.level = 1
        self.bus = bus
        self.chip = chip

    def __call__(self, value=None):
        if value is None:
            return self.level
        bus = self.bus
        if value:
            if not self.level:
                self.level = 1
                if bus.selected is self.chip:
                    bus.selected = None
                self.chip.deselect()
        elif self.level:
            if bus.selected is not None:
                raise BusError("two chips selected at once")
            self.level = 0
            bus.selected = self.chip
            bus.selects += 1
            self.chip.select()


class ResetPin(Pin):
    """Active-low reset of a chip."""

    def __init__(self, chip):
        self.level = 1
        self.chip = chip

    def __call__(self, value=None):
        if value is None:
            return self.level
        value = 1 if value else 0
        if value != self.level:
            self.level = value
            self.chip.reset(value)


class IrqPin(Pin):
    """The interrupt line of a chip as an input pin.

    `lose` edges are swallowed; `stuck` (0 or 1) is what the pin reads whatever the chip does,
    without edges.  `pollable` is what the chip's wire offers to wait on, so that a host can sleep
    until a frame may have arrived.
    """

    def __init__(self, chip):
        self.level = 1
        self.chip = chip
        self.handler = None
        self.trigger = 0
        self.lose = 0
        self.stuck = None
        chip.on_int = self._changed

    @property
    def pollable(self):
        return self.chip.pollable

    def __call__(self, value=None):
        if value is None:
            level = self.chip.int_level()
            return level if self.stuck is None else self.stuck
        raise BusError("the interrupt line is an output of the chip")

    def irq(self, handler=None, trigger=4, hard=False):
        self.handler = handler
        self.trigger = trigger

    def _changed(self, level):
        handler = self.handler
        if handler is None or self.stuck is not None or not self.trigger & (8 if level else 4):
            return
        if self.lose > 0:
            self.lose -= 1
            return
        handler(self)


class SPI:
    """What drivers use of `machine.SPI`; counts what goes over the wires.

    `bytes`, `selects` (chip-select periods) and `calls` start at 0; set them back at will.
    """

    MSB = 0
    LSB = 1

    def __init__(self, time=None, baudrate=20000000, polarity=0, phase=0, **options):
        self.time = time
        self.selected = None
        self.bytes = 0
        self.selects = 0
        self.calls = 0
        self.gap_ns = 0     # what the host spends between two calls
        self.init(baudrate, polarity, phase)

    def init(self, baudrate=None, polarity=None, phase=None, **options):
        """Set the clock and mode again, as every `machine.SPI` allows at any time."""
        if baudrate is not None:
            self.baudrate = baudrate
            self.byte_ns = 8 * 10000000 // (baudrate // 100)
        if polarity is not None:
            self.mode = (polarity << 1) | (phase or 0)

    def deinit(self):
        pass

    def attach(self, chip):
        """Put a chip on the bus; its chip-select pin."""
        if self.time is not None and chip not in self.time.chips:
            self.time.chips.append(chip)
        return ChipSelect(self, chip)

    def write(self, buf):
        self._move(buf, None, len(buf), 0)

    def readinto(self, buf, write=0):
        self._move(None, buf, len(buf), write)

    def read(self, n, write=0):
        buf = bytearray(n)
        self._move(None, buf, n, write)
        return bytes(buf)

    def write_readinto(self, out, into):
        n = len(out)
        if len(into) != n:
            raise ValueError("buffers must be the same length")
        self._move(out, into, n, 0)

    def _move(self, out, into, n, fill):
        self.calls += 1
        self.bytes += n
        chip = self.selected
        if chip is not None:
            if self.mode != 0 and self.mode != 3:
                raise BusError("SPI mode %d: the chips take modes 0 and 3" % self.mode)
            chip.transfer(out, into, n, fill, self.baudrate)
        elif into is not None:
            i = 0
            while i < n:
                into[i] = 255
                i += 1
        time = self.time
        if time is not None:
            ns = self.byte_ns * n + self.gap_ns
            # Written out: this runs for every transfer.
            ns += time.ns
            if ns >= 1000000:
                time.ms = ticks_add(time.ms, ns // 1000000)
                ns %= 1000000
            time.ns = ns
