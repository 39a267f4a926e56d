"""Faults on demand for any modelled chip: on its bus, in its power, on its pins, on its cable.

A `Fault` is data: how it begins and ends on a `rig` (`chips.rig`), and by which of the driver's
counters it must show.  `common()` makes those that every chip can have; `w5500_faults.py` and its
like add what is particular to a chip.  Randomness comes from outside: `rand.below(n)`, so a seed
repeats.
"""

HIGH, LOW = "high", "low"


class Fault:
    """One kind of trouble.

    begin(rig, rand)    makes it so
    end(rig)            makes it good again; False if it need not have shown
    step(rig, rand)     called again and again in between, or None
    shows               counters of the driver, one of which has risen if it showed
    least_ms, most_ms   how long it lasts
    alters              no driver can notice all of it: frames may come out altered
    """

    def __init__(self, name, begin, end=None, step=None, shows=(), least_ms=0, most_ms=2000,
                 alters=False):
        self.name = name
        self.begin = begin
        self.end = end or _nothing
        self.step = step
        self.shows = shows
        self.least_ms = least_ms
        self.most_ms = most_ms
        self.alters = alters


class Wires:
    """The bus as a driver sees it, with the dirt of a real one; has the calls of `machine.SPI`.

    noise       about one bit in so many bytes is flipped, either way; 0: none.  Two flips are at
                least half as far apart: two in one frame can cancel each other in a checksum
    miso        None, or the level (0 or 255) at which the line to the host is stuck; the chip
                still does what it is told

    `flips` counts, and `after(n, do)` calls `do()` at the n-th transfer from now, before it.
    """

    def __init__(self, spi, rand):
        self.spi = spi
        self.rand = rand
        self.noise = 0
        self.miso = None
        self.flips = 0
        self._left = 0
        self._calls = 0
        self._do = None

    def init(self, *args, **options):
        self.spi.init(*args, **options)

    def deinit(self):
        self.spi.deinit()

    def after(self, n, do):
        self._calls = n
        self._do = do

    def write(self, buf):
        if self._due(len(buf)):
            buf = self._flipped(buf)
        self.spi.write(buf)

    def readinto(self, buf, write=0):
        hit = self._due(len(buf))
        self.spi.readinto(buf, write)
        self._received(buf, hit)

    def read(self, n, write=0):
        buf = bytearray(n)
        self.readinto(buf, write)
        return bytes(buf)

    def write_readinto(self, out, into):
        hit = self._due(len(out))
        if hit and self.rand.below(2):
            out = self._flipped(out)
            hit = False
        self.spi.write_readinto(out, into)
        self._received(into, hit)

    def _due(self, n):
        """Time passes by a transfer of `n` bytes; is one of its bits to be flipped?"""
        if self._do is not None:
            self._calls -= 1
            if self._calls <= 0:
                do = self._do
                self._do = None
                do()
        if not self.noise or not n:
            return False
        self._left -= n
        if self._left > 0:
            return False
        self._left = self.noise // 2 + self.rand.below(self.noise)
        self.flips += 1
        return True

    def _flipped(self, buf):
        buf = bytearray(buf)
        buf[self.rand.below(len(buf))] ^= 1 << self.rand.below(8)
        return buf

    def _received(self, buf, hit):
        if hit:
            buf[self.rand.below(len(buf))] ^= 1 << self.rand.below(8)
        if self.miso is not None:
            i = 0
            n = len(buf)
            while i < n:
                buf[i] = self.miso
                i += 1


class Impostor:
    """Not the chip that is expected.  `kind`: "echo" (MISO repeats MOSI a byte later, as a shift
    register does), or a byte that it answers whatever it is asked."""

    pollable = None

    def __init__(self, kind):
        self.kind = kind
        self._last = 0

    def select(self):
        self._last = 0

    def deselect(self):
        pass

    def service(self):
        pass

    def reset(self, level):
        pass

    def int_level(self):
        return 1

    def transfer(self, out, into, n, fill, baudrate):
        i = 0
        while i < n:
            v = fill if out is None else out[i]
            if into is not None:
                into[i] = self._last if self.kind == "echo" else self.kind
            self._last = v
            i += 1


IMPOSTORS = ("echo", 0x02, 0x51, 0xA5)      # 0x51: what a W5100S says; 0x02: a W5500 one bit late


def _nothing(rig):
    return False


# --- what every chip can suffer ---

def _pull(rig, rand):
    rig.chip.cable(False)


def _plug(rig):
    rig.chip.cable(True)


def _flap(rig, rand):
    if not rand.below(4):
        rig.chip.cable(rand.below(2) == 1)


def _brown_out(rig, rand):
    """Power fails within the next few transfers, most likely in the middle of a frame."""
    rig.wires.after(1 + rand.below(20), rig.chip.brown_out)


def _browned(rig):
    return rig.wires._do is None


def _unplug(rig, rand):
    level = HIGH if rand.below(2) else LOW
    rig.wires.after(1 + rand.below(20), lambda: rig.chip.unplug(level))


def _replug(rig):
    rig.wires._do = None
    if not rig.chip.absent:
        return False
    rig.chip.replug()
    return True


def _miso(rig, rand):
    rig.wires.miso = 255 * rand.below(2)


def _no_miso(rig):
    rig.wires.miso = None


def _noise(rig, rand):
    rig.wires.noise = 4000 << rand.below(5)


def _quiet(rig):
    rig.wires.noise = 0
    return False


def _replace(rig, rand):
    rig.cs.chip = Impostor(IMPOSTORS[rand.below(len(IMPOSTORS))])


def _restore(rig):
    rig.cs.chip = rig.chip


def _lose_edges(rig, rand):
    if rig.irq:
        rig.irq.lose = 1 << 20


def _keep_edges(rig):
    if rig.irq:
        rig.irq.lose = 0
    return False


def _cut(rig, rand):
    """The interrupt line breaks: the pin stays high by its pull-up, or low by a short."""
    if rig.irq:
        rig.irq.stuck = rand.below(2)


def _mend(rig):
    if rig.irq:
        rig.irq.stuck = None
    return False


def _flood(rig, rand):
    rig.flood(20 + rand.below(400))


def _hold_bus(rig, rand):
    if rig.lock:
        rig.lock.held = True


def _free_bus(rig):
    if not rig.lock:
        return False
    rig.lock.held = False


def common(lost):
    """The faults that any chip can have; `lost` are the driver's counters of a chip that forgot."""
    return (
        Fault("cable pulled", _pull, _plug, shows=("link_down",) + lost, least_ms=1600,
              most_ms=40000),
        Fault("link flapping", _pull, _plugged_at_last, _flap, most_ms=20000),
        Fault("brown-out", _brown_out, _browned, shows=lost, least_ms=1600),
        Fault("chip absent", _unplug, _replug, shows=("absent",) + lost, least_ms=1600,
              most_ms=30000),
        Fault("MISO stuck", _miso, _no_miso, shows=("absent",) + lost, least_ms=1600,
              most_ms=30000),
        Fault("wrong chip", _replace, _restore, shows=("absent",) + lost, least_ms=1600,
              most_ms=30000),
        Fault("bit errors", _noise, _quiet, most_ms=20000, alters=True),
        Fault("interrupts lost", _lose_edges, _keep_edges, most_ms=20000),
        Fault("interrupt line stuck", _cut, _mend, most_ms=20000),
        Fault("flood", _flood),
        Fault("bus held", _hold_bus, _free_bus, shows=("bus_busy",), least_ms=50, most_ms=1500),
    )


def _plugged_at_last(rig):
    rig.chip.cable(True)
    return False
