"""What the drivers of SPI Ethernet chips share: pins, the shared bus, MAC address, buffer views."""
import time

from spinet.prim import IMPLEMENTATION, IOBase, ticks_add, ticks_diff, ticks_ms

_RETRY_MS = 1000        # between attempts to bring up a chip that does not answer
_GIVE_UP_MS = 600       # a chip that does not answer this long after a reset is not there
_LOOKS = 4           # at a chip that is to come up, at least, before that
_AGAIN_MS = 25          # between looks at one that starts
_START_MS = 20          # from reset to first access
_PULSE_MS = 2           # of reset
_QUIET_MS = 15000       # nothing received for so long is suspicious ...
_ANNOUNCING_MS = 10000  # RFC 5227: probes and announcements take as long
_QUIET_MOST_MS = 3600000    # ... and after each attempt to help, twice as long, up to this

# What `_state` says.
UP = 0
_PULSE = 1              # reset is being held
_WAKING = 2             # the chip starts
_LOST = 3               # it did not answer; try again at `_at`
_CLOSED = 4


class SpiPort:
    """Base of a port whose chip hangs on a `machine.SPI`, or on anything with its calls.

    spi, cs       bus, and the pin that selects the chip (`Pin(n)` will do: it is set up here)
    irq, reset    pins, or None; the interrupt line is active low
    mac           6 bytes or text; None: made from `machine.unique_id()`, the same at each start
    lock          guards a shared bus: `acquire(blocking)` and `release()`, as `_thread` has them
    spi_init      dict for `spi.init(**spi_init)` before each use of a shared bus
    clock         milliseconds modulo 2**30
    sleep         passes some of them; used by the constructor alone

    Bringing the chip up takes steps, so that a chip that was lost can come back while everything
    else goes on: `_tend(now)`, called when `_at` is due, does the next step until `_state` is UP,
    and what the chip needs regularly from then on.  A driver gives `recv`, `send`, `sendv`,
    `_check(now)` (link and health, when `_at` is due; sets `_at` and `_linked`), `_set_up()`
    (program all registers; did it work?), `_awake()` (has the reset ended?), `_soft_reset()`,
    `_forget()` (drop what is known of the chip's state), `_shut()`, `_complaint()`, a `count`
    that has the keys used here, and perhaps `filter(groups)`: which multicast frames to take.

    `recv` and `send` of the subclass are wrapped only where the bus is shared.  While somebody
    else holds the lock nothing is received and `send` says False, which `count["bus_busy"]` counts.
    """

    medium = "ethernet"
    mtu = 1500
    pads = True
    _keeps_link = False     # does the PHY outlive `_soft_reset`?

    def __init__(self, spi, cs, irq=None, reset=None, mac=None, lock=None, spi_init=None,
                 clock=ticks_ms, sleep=None):
        self.mac = mac_address(mac)
        self._spi = spi
        self._cs = cs
        self._irq = irq
        self._reset = reset
        self._lock = lock
        self._spi_init = spi_init
        self._clock = clock
        self._sleep = sleep or getattr(time, "sleep_ms", _sleep_ms)
        self._edge = True       # the interrupt line fell since the driver last looked
        self.wake = None        # called, with the pin, whenever it falls
        # (Attributes, not properties: with one in its class MicroPython looks through all of it,
        # and its bases, whenever an attribute changes.)
        self.has_irq = irq is not None
        # What a sleeping loop gives to `select.poll()`; None without an interrupt pin.
        line = None if irq is None or IMPLEMENTATION == "cpython" else _Line(self)
        self.pollable = getattr(irq, "pollable", line)
        self._rx_buf = self._rx_views = None
        self._rx_size = 0
        self._tx_buf = self._tx_views = None
        self._tx_next = None    # a buffer that was sent from while `_tx_buf` was another ...
        self._tx_seen = 0       # ... and `count["tx"]` after that
        self._linked = False
        self._kept = False      # the link is as it was, while the chip is reset by command
        self._state = _LOST
        self._at = self._give_up_at = clock()
        self._looks = 0             # at the chip since its reset
        self._heard = self._told = -1   # `count["rx"]`, and `count["tx"]` when that changed last
        self._quiet_ms = self._quiet_at = self._quiet_step = 0
        _output(cs)
        if reset is not None:
            _output(reset)
        if lock is not None or spi_init is not None:
            self.recv = self._recv_shared
            self.send = self._send_shared
            self.sendv = self._sendv_shared

    def link(self):
        """Is there a link?  The chip is asked twice a second."""
        now = self._clock()
        if ticks_diff(now, self._at) >= 0 and self._take():
            try:
                self._tend(now)
            finally:
                self._give()
        return self._linked or self._kept

    def close(self):
        """Silence the chip and let go of the pins.  May be called again."""
        if self._state == _CLOSED:
            return
        if self._irq is not None:
            self._irq.irq(None)
        if self._state == UP and self._take():
            try:
                self._shut()
            finally:
                self._give()
        self._forget()
        self._state = _CLOSED
        self._linked = self._kept = False

    deinit = close

    # --- coming up ---

    def _begin(self):
        """Bring the chip up or raise OSError; then listen to its interrupt."""
        tries = 1000
        while self._state and tries:
            self._sleep(1)
            if self._take():
                try:
                    self._tend(self._clock())
                finally:
                    self._give()
            tries -= 1
        if self._state:
            self._state = _CLOSED
            raise OSError(self._complaint())
        irq = self._irq
        if irq is not None:
            if hasattr(irq, "init"):
                irq.init(irq.IN, irq.PULL_UP)
            irq.irq(self._on_edge, irq.IRQ_FALLING)

    def _begin_reset(self, now, pin=True):
        """Reset the chip, by its pin if there is one and unless told not to; `_tend` goes on."""
        self.count["reset"] += 1
        self._forget()
        by_pin = pin and self._reset is not None
        was = self._linked or self._kept
        self._kept = was and self._keeps_link and not by_pin
        self._linked = False
        if was and not self._kept:
            self.count["link_down"] += 1
        self._looks = 0
        self._soft_reset()          # also before the pin's pulse, which may not reach the chip
        if by_pin:
            self._reset(0)
        # What led here may have taken longer than the pulse lasts: `now` is too old to time it by.
        now = self._clock()
        self._give_up_at = ticks_add(now, _GIVE_UP_MS)
        if by_pin:
            self._state = _PULSE
            self._at = ticks_add(now, _PULSE_MS)
        else:
            self._state = _WAKING
            self._at = ticks_add(now, _START_MS)

    def _tend(self, now):
        """What is due for a chip that is up; the next step of one that is not."""
        state = self._state
        if state == UP:
            self._check(now)
        elif ticks_diff(now, self._at) < 0 or state == _CLOSED:
            pass
        elif state == _LOST:
            self._begin_reset(now)
        elif state == _PULSE:
            self._reset(1)
            self._state = _WAKING
            self._at = ticks_add(now, _START_MS)
        elif not self._awake():
            self._wait_more(now, _AGAIN_MS)
        elif self._set_up():
            self._state = UP
            self._linked = self._kept
            self._kept = False
            self._check(now)
        else:
            self._wait_more(now, 4 * _AGAIN_MS)     # an attempt may have taken long

    def _wait_more(self, now, ms):
        """The chip is not up yet: look again after `ms`, or give up for a while.

        A program that polls but once a second still gives it a few looks.
        """
        self._looks += 1
        if self._looks < _LOOKS or ticks_diff(now, self._give_up_at) < 0:
            self._at = ticks_add(now, ms)
        else:
            self.count["absent"] += 1
            if self._kept:
                self._kept = False
                self.count["link_down"] += 1
            self._state = _LOST
            self._at = ticks_add(now, _RETRY_MS)

    def _too_quiet(self, now, waiting=0):
        """The receiver may be deaf: 1 to 4, how much should be done about it; mostly 0.

        Most chips do not say that they have gone deaf, but no network is silent for ever.  The
        driver opens the receiver anew (1), sets up the chip (2), resets it by command (3), and by
        its pin (4), which costs the link: only if something was sent that nobody answered.  In the
        first seconds of a silence, or of a link, that is announcements, which nobody answers.
        `waiting`: does the chip say that a frame waits, which all of that would lose?
        """
        step = 0
        heard = self.count["rx"]
        if heard != self._heard or waiting:
            self._heard = heard
            self._told = self.count["tx"]
            self._quiet_ms = _QUIET_MS
            self._quiet_step = 0
        elif self._linked:
            left = ticks_diff(self._quiet_at, now)
            if left > 0:
                if left > self._quiet_ms - _ANNOUNCING_MS:
                    self._told = self.count["tx"]
                return 0
            step = self._quiet_step % 4 + 1
            if step == 4 and self.count["tx"] == self._told:
                step = 1
            self._quiet_step = step
            self._quiet_ms = min(2 * self._quiet_ms, _QUIET_MOST_MS)
            self.count["rx_silent"] += 1
        self._quiet_at = ticks_add(now, self._quiet_ms)
        return step

    def _on_edge(self, pin):
        self._edge = True       # no SPI in what may be a hard interrupt
        if self.wake is not None:
            self.wake(pin)

    # --- buffers ---

    # Slicing allocates, so views of a buffer's first 64, 128, ... bytes are made once and kept; the
    # one for `n` bytes is number `(n - 1) >> 6`, up to 63 bytes longer than needed.

    def _adopt_rx(self, buf):
        self._rx_views = _views(buf)
        self._rx_size = len(buf)
        self._rx_buf = buf

    def _adopt_tx(self, buf):
        """Make views of `buf` if it is the first, or comes twice running; were any made?

        A buffer that comes now and then is not worth them.
        """
        sent = self.count["tx"]
        if self._tx_buf is not None and (self._tx_next is not buf or self._tx_seen != sent):
            self._tx_next = buf
            self._tx_seen = sent + 1
            return False
        self._tx_views = _views(buf)
        self._tx_buf = buf
        self._tx_next = None
        return True

    # --- shared bus ---

    def _take(self):
        """Get the bus; False if somebody else has it."""
        lock = self._lock
        if lock is not None and not lock.acquire(False):
            self.count["bus_busy"] += 1
            return False
        if self._spi_init is not None:
            self._spi.init(**self._spi_init)
        return True

    def _give(self):
        if self._lock is not None:
            self._lock.release()

    def _recv_shared(self, buf):
        if not self._take():
            return 0
        try:
            return self.__class__.recv(self, buf)
        finally:
            self._give()

    def _send_shared(self, buf, n):
        if not self._take():
            return False
        try:
            return self.__class__.send(self, buf, n)
        finally:
            self._give()

    def _sendv_shared(self, pieces):
        if not self._take():
            return False
        try:
            return self.__class__.sendv(self, pieces)
        finally:
            self._give()


class _Line(IOBase):
    """The interrupt line as a stream that can be read when a frame may wait.

    An interrupt ends MicroPython's sleep in `poll`, which then asks here.
    """

    def __init__(self, port):
        self._port = port

    def ioctl(self, request, flags):
        if request == 3:        # MP_STREAM_POLL
            port = self._port
            return flags & 1 if port._state == UP and (port._edge or not port._irq()) else 0
        return -1 if request == 10 else 0       # no file descriptor


def _views(buf):
    view = memoryview(buf)
    n = len(buf)
    return [view[:min(end, n)] for end in range(64, n + 64, 64)]


def mac_address(mac):
    """`mac`, bytes or text, as 6 bytes; None: a locally administered one from the board's id.

    ValueError unless it is the address of one station.
    """
    if mac is None:
        try:
            from machine import unique_id
        except ImportError:
            raise ValueError("no machine.unique_id() to make a MAC address from: give mac=")
        made = bytearray(6)
        k = 0
        for v in unique_id():
            i = 1 + k % 5
            made[i] = (made[i] * 31 + v + k) & 255
            k += 1
        made[0] = 0x02
        return bytes(made)
    if isinstance(mac, str):
        mac = [int(part, 16) for part in mac.replace("-", ":").split(":")]
    mac = bytes(mac)
    if len(mac) != 6 or mac[0] & 1 or mac == bytes(6):
        raise ValueError("not the MAC address of a station: %r" % (mac,))
    return mac


def _output(pin):
    if hasattr(pin, "init"):
        pin.init(pin.OUT, value=1)
    else:
        pin(1)


def _sleep_ms(ms):
    time.sleep(ms / 1000)
