"""A chip of any kind on a bus with all its pins, for tests and tools that do not care which it is.

    time = Time()
    rig = Rig("w5500", wire, time)          # wire: any port, what the chip's cable leads to
    port = rig.driver(mac="02:00:00:00:00:05")

`CHIPS` names what there is.  For another chip add its `Chip` there.
"""
from chips.bus import SPI, IrqPin, ResetPin


class Chip:
    """What is particular to a kind of chip.

    model, driver, faults   "module:name" of the model's class, the driver's class, and a tuple of
                            `faults.Fault`
    clocks_mhz              SPI clocks to show it at
    line_mbit               its fastest line
    least_rx, least_tx      SPI bytes per frame beyond the frame itself, as a careful driver that
                            treats each frame by itself needs them; from the register tables
    selects_rx, selects_tx  chip selects for the same
    """

    def __init__(self, model, driver, faults, clocks_mhz, line_mbit, least_rx, least_tx,
                 selects_rx, selects_tx):
        self.model = model
        self.driver = driver
        self.faults = faults
        self.clocks_mhz = clocks_mhz
        self.line_mbit = line_mbit
        self.least_rx = least_rx
        self.least_tx = least_tx
        self.selects_rx = selects_rx
        self.selects_tx = selects_tx


CHIPS = {
    "w5500": Chip("chips.w5500:W5500Model", "spinet.ports.w5500:W5500",
                  "chips.w5500_faults:FAULTS", (10, 20, 33), 100, 44, 47, 10, 12),
    "enc28j60": Chip("chips.enc28j60:ENC28J60Model", "spinet.ports.enc28j60:ENC28J60",
                     "chips.enc28j60_faults:FAULTS", (8, 20), 10, 26, 28, 11, 14),
}


def load(text):
    """The object that "module:name" names."""
    module, name = text.split(":")
    found = __import__(module)
    for part in module.split(".")[1:]:
        found = getattr(found, part)
    return getattr(found, name)


class Lock:
    """What `_thread.allocate_lock()` gives, without threads; set `held` for another's turn."""

    def __init__(self):
        self.held = False

    def acquire(self, blocking=True):
        if self.held:
            assert not blocking, "a driver does not wait for the bus"
            return False
        self.held = True
        return True

    def release(self):
        self.held = False


class Rig:
    """A chip called `name`, its bus and pins; `driver(**options)` makes its driver, on `port` then.

    wire, time      what the chip's cable leads to, and virtual time (None: everything at once)
    rand            with it the bus is a `faults.Wires`, `wires`, else `wires` is the bus itself
    irq, reset      are these pins connected?
    shared          is the bus shared, by a `Lock`, `lock`, and set up anew for each use?
    chip            options of the model
    """

    def __init__(self, name, wire, time=None, rand=None, baudrate=20000000, irq=True, reset=True,
                 shared=False, chip=None):
        kind = CHIPS[name]
        self.name = name
        self.kind = kind
        self.wire = wire
        self.time = time
        self.chip = load(kind.model)(wire, time, **(chip or {}))
        self.spi = self.wires = SPI(time, baudrate)
        self.cs = self.spi.attach(self.chip)
        if rand is not None:
            from chips.faults import Wires

            self.wires = Wires(self.spi, rand)
        self.irq = IrqPin(self.chip) if irq else None
        self.reset = ResetPin(self.chip) if reset else None
        self.lock = Lock() if shared else None
        self.baudrate = baudrate
        self.port = None

    def driver(self, **options):
        """A new driver of this chip; also in `port`."""
        if self.time is not None:
            options.setdefault("clock", self.time.ticks_ms)
            options.setdefault("sleep", self.time.sleep_ms)
        if self.lock is not None:
            options.setdefault("lock", self.lock)
            options.setdefault("spi_init", {"baudrate": self.baudrate})
        self.port = load(self.kind.driver)(
            self.wires, self.cs, irq=self.irq, reset=self.reset, **options)
        return self.port

    def flood(self, n):
        """Offer the chip `n` frames at once, if the wire can: `wire.flood(n)`."""
        self.wire.flood(n)
