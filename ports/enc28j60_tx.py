"""The transmit side of the ENC28J60: two slots, one loaded while the other is on the line.

Status after status is read and acted on; nothing is waited for.  "Erratum n" is an issue of
Microchip's DS80349.
"""
from spinet.ports.enc28j60_regs import EncChip
from spinet.ports.spichip import SpiPort
from spinet.prim import copy, ticks_add, ticks_diff

_STUCK_MS = 100         # a frame that takes longer will not leave by itself ...
_PAUSED_MS = 4000       # ... in full duplex, where the other end may ask for a pause, so long
_RETRIES = 16           # of a frame hit by a late collision

LEAST = 14                          # without FCS; the chip pads to 60
MOST = 1518
_SLOT = (0x1400, 0x1A00)            # control byte, frame, seven bytes of status: 1536 each
_WRITABLE = 1530                    # of a slot, behind the control byte

RBM = b"\x3a"
_ASK_ECON1 = b"\x1f\x00"
TXRST, TXRST_OFF = b"\x9f\x80", b"\xbf\x80"
_TXIE, _TXIE_OFF = b"\x9b\x08", b"\xbb\x08"     # needed only while another frame waits
_TXRTS, _TXRTS_OFF = b"\x9f\x08", b"\xbf\x08"
CLEAR_TX = b"\xbc\x0a"              # TXIF, TXERIF
CLEAR_ABORT = b"\xbd\x12"           # TXABRT, LATECOL


class Sender(EncChip):
    """Base of the driver: what happens to a frame once it is in the chip."""

    def __init__(self, full_duplex, promiscuous):
        EncChip.__init__(self, full_duplex, promiscuous)
        self._stuck_ms = _PAUSED_MS if full_duplex else _STUCK_MS
        self._tsv = bytearray(7)
        self._short = bytearray(64)
        self._ends = [0, 0]             # of the frames in the slots
        self._air = -1                  # the slot that is being sent ...
        self._air_until = 0             # ... by then
        self._tries = 0                 # of it
        self._queued = False            # the other slot is to be sent next

    def _free_slot(self, n):
        """A slot for a frame of `n` bytes; -1 if it is to be dropped, -2 if both are taken."""
        if n < LEAST or n > MOST:
            self.count["tx_bad_size"] += 1
            return -1
        if not self._linked:
            now = self._clock()
            if ticks_diff(now, self._at) >= 0:
                self._tend(now)
            if not self._linked:
                self.count["tx_no_link"] += 1
                return -1
        if self._queued:
            self._tend_tx(-1, self._clock())
            if self._queued:
                return -2
            if self._state:
                self.count["tx_lost"] += 1
                return -1
        if self._bank:
            self._to_bank(0)
        return 1 if self._air == 0 else 0

    def _point(self, slot):
        """EWRPT to the beginning of a slot."""
        cs = self._cs
        cmd = self._cmd
        cmd[0] = 0x42
        cmd[1] = 0
        cs(0)
        self._spi.write(cmd)
        cs(1)
        cmd[0] = 0x43
        cmd[1] = _SLOT[slot] >> 8
        cs(0)
        self._spi.write(cmd)
        cs(1)

    def _write_pieces(self, buf, n):
        """`buf[0:n]` over the bus without a view of it, and up to 63 bytes of no importance."""
        data = self._short
        i = 0
        while i < n:
            k = n - i
            copy(data, 0, buf, i, k if k < 64 else 64)
            self._spi.write(data)
            i += 64

    def _adopt_tx(self, buf):
        if not SpiPort._adopt_tx(self, buf):
            return False
        if len(buf) > _WRITABLE:
            # The view that is used for the longest frames would reach beyond the slot.
            self._tx_views[(MOST - 1) >> 6] = memoryview(buf)[:_WRITABLE]
        return True

    def _loaded(self, slot, n):
        """The frame in `slot` goes now, or after the one that is on the line."""
        self._ends[slot] = _SLOT[slot] + n
        self.count["tx"] += 1
        if self._air >= 0:
            self._queued = True
            if self._irq is not None:
                self._write(_TXIE)
            self._tend_tx(-1, self._clock())
        else:
            self._tries = 0
            self._launch(slot)

    def _launch(self, slot):
        """Send the frame in `slot`."""
        if self._bank:
            self._to_bank(0)
        spi = self._spi
        cs = self._cs
        cmd = self._cmd
        end = self._ends[slot]
        cmd[0] = 0x45                   # ETXST; its low byte is always 0
        cmd[1] = _SLOT[slot] >> 8
        cs(0)
        spi.write(cmd)
        cs(1)
        cmd[0] = 0x46                   # ETXND
        cmd[1] = end & 255
        cs(0)
        spi.write(cmd)
        cs(1)
        cmd[0] = 0x47
        cmd[1] = end >> 8
        cs(0)
        spi.write(cmd)
        cs(1)
        # The logic may have stalled (erratum 12); ending its reset may set TXERIF.
        cs(0)
        spi.write(TXRST)
        cs(1)
        cs(0)
        spi.write(TXRST_OFF)
        cs(1)
        cs(0)
        spi.write(CLEAR_TX)
        cs(1)
        self._air = slot
        self._air_until = ticks_add(self._clock(), self._stuck_ms)
        # A chip that lost its power since the frame was loaded would send whatever is there now.
        if self._alive():
            cs(0)
            spi.write(_TXRTS)
            cs(1)

    def _tend_tx(self, flags, now):
        """Has the frame that is on the line left?  `flags` is EIR, or -1 if it was not read yet."""
        if flags < 0:
            flags = self._flags()
        if flags & 0x02:
            self._failed(now)
        elif flags & 0x08:
            self._left()
        elif ticks_diff(now, self._air_until) >= 0:
            self._overdue(now)

    def _left(self):
        """It has: on with the next, whose start clears the flag."""
        slot = 1 - self._air
        self._air = -1
        if self._queued:
            self._queued = False
            self._write(_TXIE_OFF)
            self._tries = 0
            self._launch(slot)

    def _failed(self, now):
        """TXERIF.  ESTAT.LATECOL does not tell why (erratum 15), the status vector does."""
        if self._bank:
            self._to_bank(0)
        self._write(_TXRTS_OFF)         # erratum 13: it may still be set
        cmd = self._cmd
        at = self._ends[self._air] + 1
        cmd[0] = 0x40
        cmd[1] = at & 255
        self._write(cmd)
        cmd[0] = 0x41
        cmd[1] = at >> 8
        self._write(cmd)
        cs = self._cs
        tsv = self._tsv
        cs(0)
        self._spi.write(RBM)
        self._spi.readinto(tsv)
        cs(1)
        if not self._alive():
            return
        self._write(CLEAR_TX)
        self._write(CLEAR_ABORT)
        if tsv[3] & 0x20:
            self.count["tx_late_collision"] += 1
            if self._tries < _RETRIES:
                self._again()
                return
        elif tsv[2] & 0x80 and not tsv[3] & 0x58:
            self._left()                # it left after all
            return
        self.count["tx_aborted"] += 1
        self.count["tx_lost"] += 1
        self._left()

    def _again(self):
        self._tries += 1
        self.count["tx_retry"] += 1
        self._launch(self._air)

    def _overdue(self, now):
        """Neither TXIF nor TXERIF for too long."""
        cs = self._cs
        two = self._two
        cs(0)
        self._spi.write_readinto(_ASK_ECON1, two)
        cs(1)
        if two[1] & 0x04 == 0 or two[1] & 0xF0:
            self._repair("chip_lost")
        elif not two[1] & 0x08:
            self.count["txif_lost"] += 1
            self._left()
        else:
            self.count["tx_stuck"] += 1
            self._write(_TXRTS_OFF)
            if self._tries < 2:
                self._again()
            else:
                self._drop_tx()
                self._trouble = True
                self._strikes += 3
                if not self._set_up():
                    self._begin_reset(now)

    def _drop_tx(self):
        """What is in the slots is lost."""
        if self._air >= 0:
            self.count["tx_lost"] += 2 if self._queued else 1
        self._air = -1
        self._queued = False
