"""How a virtual board's chip is wired, and what is wrong with it; runs where the board does.

SPINET_BOARD_WIRES holds a JSON object of what is not as `app.config.DEFAULTS` says:

    sck, mosi, miso, cs, reset, irq     the pin at which the chip's line really is; null: at none.
                                        A reset or irq "low" or "high" is held there
    chip, rev       the chip that is really there; its silicon revision (ENC28J60)
    absent          "high" or "low": there is no chip, or it has no power; MISO, at which nothing
                    pulls but that, floats there
    short           0 or 1: the level at which MISO is held
    shift_above     SPI clock in Hz from which reads come one bit late
    noise, above    one bit in about so many bytes is flipped, at clocks over `above` Hz (0)
    cable           false: none is plugged in
"""
import json
import os

from board import standin
from chips import bus
from chips.faults import Wires
from chips.rig import CHIPS, load

LINES = {"sck": 18, "mosi": 19, "miso": 16, "cs": 17, "reset": 20, "irq": 21}


def plug_in(cable, name):
    """Wire the model of the chip `name`, with the port `cable`, as the environment says."""
    wires = json.loads(os.getenv("SPINET_BOARD_WIRES") or "{}")
    lines = dict(LINES)
    lines.update({line: pin for line, pin in wires.items() if line in LINES})
    name = wires.get("chip", name)
    options = {"rev": wires["rev"]} if "rev" in wires else {}
    # What breaks a rule is no mistake of the driver where the wires are bad.
    chip = load(CHIPS[name].model)(cable, strict=not wires, **options)
    if not wires.get("cable", True):
        chip.cable(False)
    if "shift_above" in wires:
        chip.shift_above = wires["shift_above"]
    if "absent" in wires:
        chip.unplug(wires["absent"])
    spi = bus.SPI()
    pins = {lines["cs"]: spi.attach(chip)}
    line = spi
    if wires.get("noise") or "short" in wires:
        line = Noisy(spi, wires.get("noise", 0), wires.get("above", 0))
        line.miso = 255 * wires["short"] if "short" in wires else None
    pins[lines["miso"]] = Miso(spi, chip, wires.get("short"))
    if isinstance(lines["reset"], int):
        pins[lines["reset"]] = bus.ResetPin(chip)
    elif lines["reset"] == "low":
        chip.reset(0)
    irq = bus.IrqPin(chip)
    if isinstance(lines["irq"], int):
        pins[lines["irq"]] = irq
    elif lines["irq"]:
        irq.stuck = 1 if lines["irq"] == "high" else 0
        pins[LINES["irq"]] = irq
    pins.pop(None, None)
    standin.wire(0, line, pins, [lines[name] for name in ("sck", "mosi", "miso")])


class Noisy(Wires):
    """Bits flip at clocks over `above` Hz."""

    def __init__(self, spi, noise, above):
        Wires.__init__(self, spi, Dice())
        self.noise = noise
        self.above = above

    def _due(self, n):
        return self.spi.baudrate > self.above and Wires._due(self, n)


class Dice:
    """Numbers that look random, the same in every run."""

    def __init__(self):
        self.state = 1

    def below(self, n):
        """0 to n - 1."""
        self.state = (self.state * 1103 + 12345) & 0xFFFFFF
        return (self.state >> 8) % n


class Miso(bus.Pin):
    """The line from the chip, read as a pin: what the chip drives, else what it is pulled to."""

    def __init__(self, spi, chip, short):
        self.level = 0
        self.spi = spi
        self.chip = chip
        self.short = short

    def init(self, mode=-1, pull=-1, *, value=None, **options):
        if pull in (standin.Pin.PULL_UP, standin.Pin.PULL_DOWN):
            self.level = 1 if pull == standin.Pin.PULL_UP else 0

    def __call__(self, value=None):
        if self.short is not None:
            return self.short
        if self.spi.selected is self.chip and not self.chip.absent:
            return 0
        return self.level
