"""A thin stand-in for MicroPython's `machine` on a host, for the virtual board.

`SPI(id, ...)` and `Pin(id, ...)` look up what the launcher has wired with
`wire()`: a bus with a chip model on it (`chips.bus`), and the pins of that
chip.  Pins that nothing is wired to just hold their level; those that
SPINET_BOARD_LOW names, with commas between, are low at first.  A `Timer` calls
back in the middle of the program, between two of its steps, as a board's does.
Runs on MicroPython's unix port, whose own `machine` it replaces, and on CPython.
"""
import os
import sys
import time

from chips import bus as _bus

PWRON_RESET = 1
RESET_STATUS = 64       # how the process ends when the program asks for a reset

_buses = {}
_pins = {}


def wire(spi_id, spi, pins, lines=(18, 19, 16)):
    """Wire a bus to SPI number `spi_id`, its clock, MOSI and MISO being at the pins `lines`, and
    pin objects to their numbers (a dict)."""
    _buses[spi_id] = spi, list(lines)
    _pins.update(pins)


class _Loose(_bus.Pin):
    """A pin that nothing is wired to: it follows its pull, and no interrupt ever comes."""

    def __init__(self, held):
        _bus.Pin.__init__(self, 0 if held else 1)
        self.held = held

    def init(self, mode=-1, pull=-1, *, value=None, **options):
        if pull in (_Pins.PULL_UP, _Pins.PULL_DOWN) and not self.held:
            value = 1 if pull == _Pins.PULL_UP else 0
        _bus.Pin.init(self, value=value)

    def irq(self, handler=None, trigger=0):
        """As a board's."""


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
        if isinstance(number, int) and not 0 <= number < 30:
            raise ValueError("invalid pin")         # as a Pico says it
        pin = _pins.get(number)
        if pin is None:
            held = str(number) in (os.getenv("SPINET_BOARD_LOW") or "").split(",")
            pin = _pins[number] = _Loose(held)
        pin.init(mode, pull, value=value)
        return pin


Pin = _Pins()


def SPI(id, baudrate=1000000, polarity=0, phase=0, **lines):
    """The bus with this number; ValueError if it has none."""
    if id not in _buses:
        raise ValueError("no SPI(%r) here" % (id,))
    spi, wired = _buses[id]
    spi = _at(lines, wired, spi)
    spi.init(baudrate=baudrate, polarity=polarity, phase=phase)
    return spi


def SoftSPI(baudrate=500000, polarity=0, phase=0, **lines):
    """The bus whose lines are at these pins."""
    for spi, wired in _buses.values():
        if _at(lines, wired, spi) is spi:
            break
    else:
        spi = _bus.SPI()
    spi.init(baudrate=baudrate, polarity=polarity, phase=phase)
    return spi


def _at(lines, wired, spi):
    """`spi` if the pins `lines` are those that it is wired to, else a bus with nothing on it."""
    for name, number in zip(("sck", "mosi", "miso"), wired):
        if name in lines and lines[name] is not Pin(number):
            return _bus.SPI()
    return spi


class UART:
    """A UART whose line is the terminal that SPINET_BOARD_UART names.

    As a board's it takes no more than its buffer holds, which empties at `baudrate`: `write` says
    how many bytes that were.
    """

    def __init__(self, id, baudrate=9600, tx=None, rx=None, txbuf=256, rxbuf=256, **options):
        import select

        path = os.getenv("SPINET_BOARD_UART")
        if not path:
            raise ValueError("UART(%r) is not wired" % (id,))
        self._file = open(path, "r+b", buffering=0)
        self._poller = select.poll()
        self._poller.register(self._file, select.POLLIN)
        self._txbuf = txbuf
        self._per_s = baudrate / 10
        self._empty_at = 0      # when all that was written has left

    def read(self, n=-1):
        """At most `n` bytes of what has come; None if nothing has."""
        data = b""
        while len(data) != n and self._poller.poll(0):
            more = self._file.read(1)
            if not more:
                break
            data += more
        return data or None

    def write(self, data):
        """Put into the buffer what fits; how much did, None if nothing."""
        now = time.time()
        queued = max(self._empty_at - now, 0) * self._per_s
        n = min(int(self._txbuf - queued), len(data))
        if n <= 0:
            return None
        self._file.write(bytes(data[:n]))
        self._empty_at = max(self._empty_at, now) + n / self._per_s
        return n


class Timer:
    """A virtual timer.  The callback runs in the main thread, as by the scheduler of a board.

    On MicroPython a thread counts the time and has the scheduler call it; on CPython the
    system's alarm does (of which there is one: so is the number of timers).
    """

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **settings):
        self._generation = 0
        if settings:
            self.init(**settings)

    def init(self, mode=PERIODIC, freq=-1, period=-1, callback=None, hard=False):
        """Start, again if need be; `period` in ms, or `freq` in Hz."""
        self.deinit()
        period = period if freq <= 0 else max(1000 // freq, 1)
        (_start_thread if hasattr(sys.implementation, "_mpy") else _start_alarm)(
            self, self._generation, mode, period, callback)

    def deinit(self):
        """Stop."""
        self._generation += 1
        if not hasattr(sys.implementation, "_mpy"):
            import signal

            signal.setitimer(signal.ITIMER_REAL, 0)


def _start_thread(timer, generation, mode, period, callback):
    import _thread

    import micropython

    def run():
        while timer._generation == generation:
            time.sleep_ms(period)
            if timer._generation == generation:
                try:
                    micropython.schedule(callback, timer)
                except RuntimeError:
                    pass        # its queue is full
                if not mode:
                    return

    _thread.start_new_thread(run, ())


def _start_alarm(timer, generation, mode, period, callback):
    import signal

    signal.signal(signal.SIGALRM, lambda number, frame: callback(timer))
    signal.setitimer(signal.ITIMER_REAL, period / 1000, period / 1000 if mode else 0)


class WDT:
    """A watchdog: resets the board when it was not fed for `timeout` ms."""

    def __init__(self, id=0, timeout=5000):
        self._timeout = timeout
        self._fed = time.time()
        Timer(-1, period=max(timeout // 4, 1), callback=self._look)

    def feed(self):
        """All is well."""
        self._fed = time.time()

    def _look(self, _):
        if time.time() - self._fed > self._timeout / 1000:
            print("machine: watchdog reset")
            os.system("kill -9 $PPID")      # nothing of the program runs any more


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
    os.putenv("MICROPYINSPECT", "")     # without a prompt first
    sys.exit(RESET_STATUS)


soft_reset = reset


def reset_cause():
    """Always the power."""
    return PWRON_RESET


def freq(hz=None):
    """The clock that a Pico has, in Hz."""
    return 125000000
