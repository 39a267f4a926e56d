"""WIZnet W5500 in MACRAW mode on any `machine.SPI`: a port that moves whole Ethernet frames.

    port = W5500(SPI(0, 24_000_000), cs=Pin(17), reset=Pin(20), irq=Pin(21))

Socket 0 has all 16 + 16 KB of packet memory; the chip's own TCP/IP is switched off.  The driver
keeps RX_RD and TX_WR in RAM, compares them with the chip's whenever it reads how much is waiting,
and compares every register that matters twice a second (`w5500_chip.py`): a chip that was reset,
unplugged or upset is set up again without anything above noticing more than lost frames.

No call waits for the chip longer than a few register polls (in a repair: 20 ms), allocates per
frame, or raises.  `count` says what happened; `docs/w5500.md` says what each counter means.
"""
from spinet.ports.w5500_chip import Chip
from spinet.prim import copy, keep, ticks_add, ticks_diff, ticks_ms

_FALLBACK_MS = 100      # look for frames even if the interrupt line says there are none

_MIN, _MAX = 60, 1514
_SIZE = 16384

# Read by `write_readinto`: RSR, RX_RD, RX_WR.
_ASK = b"\x00\x26\x08\x00\x00\x00\x00\x00\x00"
_CLEAR_RECV = b"\x00\x02\x0c\x04"
_SEND = b"\x00\x01\x0c\x20"
_RECV = b"\x00\x01\x0c\x40"
_ZEROS = bytes(_MIN)


class W5500(Chip):
    """A port; the arguments not explained here are those of `spichip.SpiPort`.

    promiscuous   take every frame, whatever its destination

    Raises OSError, which names what was read, if no W5500 answers; ValueError for a MAC address
    that is zero or a multicast one.
    """

    window = 10 * 1460      # TCP data under way to us: the full frames that 16 KB hold

    def __init__(self, spi, cs, *, irq=None, reset=None, mac=None, promiscuous=False,
                 lock=None, spi_init=None, clock=ticks_ms, sleep=None):
        self.promiscuous = promiscuous
        self._groups = ()
        Chip.__init__(self, spi, cs, irq, reset, mac, lock, spi_init, clock, sleep,
                      0x04 if promiscuous else 0xB4)
        self._point_rx = bytearray(b"\x00\x28\x0c\x00\x00")       # write RX_RD
        self._point_tx = bytearray(b"\x00\x24\x0c\x00\x00")       # write TX_WR
        self._two = bytearray(2)
        self._short = bytearray(_MIN)
        self._look_at = clock()
        keep(self, "recv", "send", "_look", "_size", "_idle", "_accepted", "_sent", "_launch",
             "_write", "_tend", "_check", "_repair")
        self._begin()

    # --- the port ---

    def recv(self, buf):
        """Take one frame: its length, 0 if none waits.  `buf` should hold 1514 bytes."""
        avail = self._avail
        if not avail:
            avail = self._look()
            if not avail:
                return 0
        if buf is not self._rx_buf:
            self._adopt_rx(buf)
        spi = self._spi
        cs = self._cs
        rd = self._rd
        head = self._head
        head[0] = rd >> 8
        head[1] = rd & 255
        head[2] = 0x18
        # Length and frame in one burst: the chip goes on counting addresses between the calls.
        cs(0)
        spi.write(head)
        head = self._two
        spi.readinto(head)
        n = (head[0] << 8) | head[1]
        if n < 62 or n > 1520 or n > avail:
            cs(1)
            self._repair("rx_bad_length")
            return 0
        fits = n - 2 <= self._rx_size
        if fits:
            spi.readinto(self._rx_views[(n - 3) >> 6])
        cs(1)
        # Also tells whether the chip was alive so far: otherwise that was no frame.
        if not self._accepted():
            return 0
        rd = (rd + n) & 0xFFFF
        self._rd = rd
        self._avail = avail - n
        head = self._point_rx
        head[3] = rd >> 8
        head[4] = rd & 255
        cs(0)
        spi.write(head)
        cs(1)
        cs(0)
        spi.write(_RECV)
        cs(1)
        self._command = True
        if not fits:
            self.count["rx_too_long"] += 1
            return 0
        self.count["rx"] += 1
        return n - 2

    def send(self, buf, n):
        """Send `buf[0:n]`: False if the last frame is still on its way, try again shortly.

        A frame that cannot be sent (no link, no chip, wrong size) is dropped and counted.
        """
        if not self._linked and self._still_no_link():
            return True
        if n < _MIN:
            if n < 14:
                self.count["tx_bad_size"] += 1
                return True
            data = self._short
            copy(data, 0, buf, 0, n)
            while n < _MIN:
                data[n] = 0
                n += 1
        elif n > _MAX:
            self.count["tx_bad_size"] += 1
            return True
        else:
            data = None
            if buf is self._tx_buf or self._adopt_tx(buf):
                data = self._tx_views[(n - 1) >> 6]
        spi = self._spi
        cs = self._cs
        wr = self._wr
        head = self._head
        head[0] = wr >> 8
        head[1] = wr & 255
        head[2] = 0x14
        cs(0)
        spi.write(head)
        if data is not None:
            spi.write(data)
        else:
            self._write_pieces(buf, n)
        cs(1)
        return self._launch(n)

    def sendv(self, pieces):
        """As `send`, of the frame that `pieces` (a sequence of buffers) make up together."""
        n = 0
        for piece in pieces:
            n += len(piece)
        if n < 14 or n > _MAX:
            self.count["tx_bad_size"] += 1
            return True
        if not self._linked and self._still_no_link():
            return True
        spi = self._spi
        cs = self._cs
        head = self._head
        head[0] = self._wr >> 8
        head[1] = self._wr & 255
        head[2] = 0x14
        cs(0)
        spi.write(head)
        for piece in pieces:
            spi.write(piece)
        if n < _MIN:
            spi.write(_ZEROS)
            n = _MIN
        cs(1)
        return self._launch(n)

    def _still_no_link(self):
        """Look again, if it is time; is a frame to be dropped?"""
        now = self._clock()
        if ticks_diff(now, self._at) >= 0:
            self._tend(now)
            if self._linked:
                return False
        self.count["tx_no_link"] += 1
        return True

    def _write_pieces(self, buf, n):
        """`buf[0:n]` over the bus without a view of it; the end is padded with what was there."""
        data = self._short
        i = 0
        while i < n:
            k = n - i
            copy(data, 0, buf, i, k if k < _MIN else _MIN)
            self._spi.write(data)
            i += _MIN

    def _launch(self, n):
        """Let the `n` bytes at TX_WR go, as one frame."""
        # While they went over the bus the last frame has most likely left.
        if self._sending and not self._sent():
            if self._linked:
                return False
            self.count["tx_lost"] += 1
            return True
        if self._command and not self._accepted():
            if self._slow:
                return False
            self.count["tx_lost"] += 1
            return True
        spi = self._spi
        cs = self._cs
        wr = (self._wr + n) & 0xFFFF
        self._wr = wr
        point = self._point_tx
        point[3] = wr >> 8
        point[4] = wr & 255
        cs(0)
        spi.write(point)
        cs(1)
        cs(0)
        spi.write(_SEND)
        cs(1)
        self._command = True
        self._sending = True
        self.count["tx"] += 1
        return True

    def filter(self, groups):
        """Take frames to these groups (6-byte addresses) too.

        The chip knows no single groups: it lets through those of IPv4, those of IPv6, or, where
        others are wanted, everything.  Until then not even 01:00:5E:00:00:01: only who is in
        another group has to answer for it.  Frames that wait in the chip at a change are lost.
        """
        self._groups = groups
        mode = 0xB4                     # MACRAW, MFEN, and MMB, MIP6B against what is not wanted
        if self.promiscuous:
            mode &= ~0x80
        for mac in groups:
            if mac[0] == 1 and mac[1] == 0 and mac[2] == 0x5E:
                if mac[3] or mac[4] or mac[5] != 1:
                    mode &= ~0x20
            elif mac[0] == 0x33 and mac[1] == 0x33:
                mode &= ~0x10
            else:
                mode &= ~0x80
        if not mode & 0x80:
            mode = 0x04
        if mode != self._mode:
            self._mode = mode
            self._reconfigure = True
            self._at = self._clock()

    def set_promiscuous(self, on):
        """Take every frame, whatever its destination, or no longer."""
        self.promiscuous = on
        self.filter(self._groups)

    # --- receive ---

    def _look(self):
        """Bytes waiting in the chip, 0 too when the interrupt line says there are none."""
        now = self._clock()
        if ticks_diff(now, self._at) >= 0:
            self._tend(now)
        if self._state:
            return 0
        missed = False
        if self._irq is not None:
            if not self._edge and self._irq():
                if ticks_diff(now, self._look_at) < 0:
                    return 0
                missed = True
            self._edge = False
            self._look_at = ticks_add(now, _FALLBACK_MS)
            # Before looking, not after: a frame that comes in between sets it again.
            self._write(_CLEAR_RECV)
        if self._command and not self._accepted():
            self._edge = True       # not looked yet
            return 0
        n = self._size()
        if n:
            self._avail = n
            if missed:
                self.count["irq_missed"] += 1
            if n > _SIZE - 1516:
                self.count["rx_full"] += 1
        return n

    def _size(self):
        """RSR, believed only if RX_RD is where it should be."""
        cs = self._cs
        spi = self._spi
        said = self._said
        last = -1
        tries = 8
        while tries:
            cs(0)
            spi.write_readinto(_ASK, said)
            cs(1)
            n = (said[3] << 8) | said[4]
            rd = (said[5] << 8) | said[6]
            # The size may change between its two bytes: believe it when the pointers say the same,
            # and only if they never do (nobody documents RX_WR well) when it reads the same twice.
            if n == ((((said[7] << 8) | said[8]) - rd) & 0xFFFF) or (n == last and tries < 4):
                break
            last = n
            self.count["rx_torn"] += 1
            tries -= 1
        if rd != self._rd or n > _SIZE or not tries:
            self._repair("rx_pointer")
            return 0
        return n
