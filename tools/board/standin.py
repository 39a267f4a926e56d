"""A thin stand-in for MicroPython's `machine` on a host, for the virtual board.

`SPI(id, ...)` and `Pin(id, ...)` look up what the launcher has wired with
`wire()`: a bus with a chip model on it (`chips.bus`), and the pins of that
chip.  Pins that nothing is wired to just hold their level.  Runs on
MicroPython's unix port, whose own `machine` it replaces, and on CPython.
"""
import os
import sys
import time

from chips import bus as _bus

PWRON_RESET = 1
RESET_STATUS = 64       # how the process ends when the program asks for a reset

_buses = {}
_pins = {}


def wire(spi_id, spi, pins):
    """Wire a bus to SPI number `spi_id`, and pin objects to their numbers (a dict)."""
    _buses[spi_id] = spi
    _pins.update(pins)


class _Pins:
    """`machine.Pin`: calling it gives the pin with that number."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_RISING = 8
    IRQ_FALLING = 4

    def __call__(self, number, mode=-1, pull=-1, value=None, **options):
        pin = _pins.get(number)
        if pin is None:
            pin = _pins[number] = _bus.Pin()
        pin.init(mode, pull, value=value)
        return pin


Pin = _Pins()


def SPI(id, baudrate=1000000, polarity=0, phase=0, **options):
    """The bus with this number; ValueError if it has none."""
    if id not in _buses:
        raise ValueError("no SPI(%r) here" % (id,))
    spi = _buses[id]
    spi.init(baudrate=baudrate, polarity=polarity, phase=phase)
    return spi


def unique_id():
    """8 bytes that differ between virtual boards: from SPINET_BOARD_ID, else the same for all."""
    text = os.getenv("SPINET_BOARD_ID") or "virtual1"
    return (text.encode() + bytes(8))[:8]


def idle():
    """Rest until something may have happened."""
    time.sleep(0.001)


def lightsleep(ms=0):
    """Sleep `ms` milliseconds."""
    time.sleep(ms / 1000)


def reset():
    """End the process; who started it starts it again."""
    sys.exit(RESET_STATUS)


soft_reset = reset


def reset_cause():
    """Always the power."""
    return PWRON_RESET


def freq(hz=None):
    """The clock that a Pico has, in Hz."""
    return 125000000
