"""Microchip ENC28J60 on any `machine.SPI`: a port that moves whole Ethernet frames.

    port = ENC28J60(SPI(0, 15_625_000), cs=Pin(17), reset=Pin(20), irq=Pin(21))

Packet memory: a receive ring of 5 KB from 0 on, two transmit slots of 1.5 KB above it, so that one
frame is loaded while the other is on the line.  The driver keeps the ring's read position and the
bank that is selected in RAM, reads back every register that matters twice a second, and sets the
chip up again, in steps, when something is not as it should be.

No call waits for the chip longer than a few register polls, allocates per frame, or raises.
`count` says what happened; `docs/enc28j60.md` says what each counter means.  "Erratum n" is an
issue of Microchip's DS80349.
"""
from spinet.ports.enc28j60_regs import (
    AWAKE, ECON1, ECON2, EIE, END, EPKTCNT, EREVID, ESTAT, PHIR, POLLS,
)
from spinet.ports.enc28j60_tx import (
    CLEAR_ABORT, CLEAR_TX, LEAST, MOST, RBM, TXRST, TXRST_OFF, Sender,
)
from spinet.ports.spichip import SpiPort
from spinet.prim import keep, ticks_add, ticks_diff, ticks_ms

_TEND_MS = 500          # link poll and register check
_FALLBACK_MS = 100      # look for frames even if the interrupt line says there are none
_BURST = 8              # frames taken before the transmitter is looked after

_ALL_HOSTS = b"\x01\x00\x5e\x00\x00\x01"

_WBM = b"\x7a\x00"      # and the control byte: as MACON3 says
_ASK_ECON1 = b"\x1f\x00"
_ASK_EPKTCNT = b"\x19\x00"
_ASK_ERXWRPTL, _ASK_ERXWRPTH = b"\x0e\x00", b"\x0f\x00"
_PKTDEC = b"\x9e\x40"
_RXRST, _RXRST_OFF = b"\x9f\x40", b"\xbf\x40"
_RXEN, _RXEN_OFF = b"\x9f\x04", b"\xbf\x04"
_CLEAR_ALL = b"\xbc\x2b"
_CLEAR_RXER = b"\xbc\x01"
_CLEAR_BUFER = b"\xbd\x40"
_ASLEEP = b"\x9e\x28"               # VRPS, PWRSV


class ENC28J60(Sender):
    """A port; the arguments not explained here are those of `spichip.SpiPort`.

    full_duplex   the other end is forced to full duplex too: the chip does not negotiate, and
                  whoever does takes half duplex
    promiscuous   take every frame, whatever its destination

    Raises OSError, which names what was read, if no ENC28J60 answers; ValueError for a MAC address
    that is zero or a multicast one.
    """

    # TCP data under way to us: three full frames in the ring, two taken and not acknowledged yet.
    window = 5 * 1460

    def __init__(self, spi, cs, *, irq=None, reset=None, mac=None, full_duplex=False,
                 promiscuous=False, lock=None, spi_init=None, clock=ticks_ms, sleep=None):
        self.count = {
            "rx": 0, "tx": 0, "rx_full": 0, "rx_too_long": 0, "rx_runt": 0, "rx_bad_status": 0,
            "rx_bad_header": 0, "rx_phantom": 0, "rx_silent": 0,
            "tx_bad_size": 0, "tx_no_link": 0, "tx_lost": 0, "tx_late_collision": 0,
            "tx_aborted": 0, "tx_retry": 0, "tx_stuck": 0, "txif_lost": 0,
            "chip_lost": 0, "registers_lost": 0, "phy_timeout": 0, "mac_retry": 0, "absent": 0,
            "irq_missed": 0, "spi_errors": 0, "link_up": 0, "link_down": 0, "bus_busy": 0,
            "resync": 0, "setup": 0, "reset": 0,
        }
        SpiPort.__init__(self, spi, cs, irq, reset, mac, lock, spi_init, clock, sleep)
        Sender.__init__(self, full_duplex, promiscuous)
        self._hash_bit(_ALL_HOSTS)
        self._head = bytearray(6)
        self._next = 0                  # where the next packet is
        self._avail = 0                 # packets that may wait
        self._fresh = True              # none has come since the ring began anew
        self._end = 0                   # where the last of them ends
        self._full = False              # RXERIF was seen at the last check
        self._reconfigure = False       # the hash table is to be written
        self._trouble = False           # something was repaired since the last check
        self._strikes = 0               # repairs since the last check without any
        self._look_at = clock()
        keep(self, "recv", "send", "_look", "_written", "_flags", "_alive",
             "_free_slot", "_point", "_loaded",
             "_launch", "_tend_tx", "_left", "_to_bank", "_tend", "_write")
        self._begin()

    # --- the port ---

    def recv(self, buf):
        """Take one frame: its length, 0 if none waits.  `buf` should hold 1514 bytes."""
        if not self._avail and not self._look():
            return 0
        if buf is not self._rx_buf:
            self._adopt_rx(buf)
        if self._bank:
            self._to_bank(0)
        spi = self._spi
        cs = self._cs
        cmd = self._cmd
        at = self._next
        cmd[0] = 0x40                   # ERDPT
        cmd[1] = at & 255
        cs(0)
        spi.write(cmd)
        cs(1)
        cmd[0] = 0x41
        cmd[1] = at >> 8
        cs(0)
        spi.write(cmd)
        cs(1)
        # Header and frame in one burst: the chip goes on counting addresses between the calls.
        head = self._head
        cs(0)
        spi.write(RBM)
        spi.readinto(head)
        n = (head[2] | head[3] << 8) - 4
        at += 10 + n + (n & 1)
        if at > END:
            at -= END + 1
        if n < LEAST or n > MOST or head[0] | head[1] << 8 != at:
            cs(1)
            self._repair("rx_bad_header")
            return 0
        size = self._rx_size
        if n <= size:
            spi.readinto(self._rx_views[(n - 1) >> 6])
        cs(1)
        # Was the chip alive so far?  Otherwise that was no frame.
        if not self._alive():
            return 0
        self._next = at
        self._avail = self._avail - 1 if at != self._end else 0
        # An even value would spoil the ring (erratum 14): the byte before an even address is odd.
        at = at - 1 if at else END
        cmd[0] = 0x4C                   # ERXRDPT, the low byte first: the high one takes it over
        cmd[1] = at & 255
        cs(0)
        spi.write(cmd)
        cs(1)
        cmd[0] = 0x4D
        cmd[1] = at >> 8
        cs(0)
        spi.write(cmd)
        cs(1)
        cs(0)
        spi.write(_PKTDEC)
        cs(1)
        if not head[4] & 0x80:
            self.count["rx_bad_status"] += 1
        elif n < 60:
            self.count["rx_runt"] += 1
        elif n > size:
            self.count["rx_too_long"] += 1
        else:
            self.count["rx"] += 1
            return n
        return 0

    def send(self, buf, n):
        """Send `buf[0:n]`: False if two frames are still on their way, try again shortly.

        A frame that cannot be sent (no link, no chip, wrong size) is dropped and counted.
        """
        slot = self._free_slot(n)
        if slot < 0:
            return slot == -1
        spi = self._spi
        data = None
        if buf is self._tx_buf or self._adopt_tx(buf):
            data = self._tx_views[(n - 1) >> 6]
        self._point(slot)
        cs = self._cs
        cs(0)
        spi.write(_WBM)
        if data is not None:
            spi.write(data)
        else:
            self._write_pieces(buf, n)
        cs(1)
        self._loaded(slot, n)
        return True

    def sendv(self, pieces):
        """As `send`, of the frame that `pieces` (a sequence of buffers) make up together."""
        n = 0
        for piece in pieces:
            n += len(piece)
        slot = self._free_slot(n)
        if slot < 0:
            return slot == -1
        spi = self._spi
        self._point(slot)
        cs = self._cs
        cs(0)
        spi.write(_WBM)
        for piece in pieces:
            spi.write(piece)
        cs(1)
        self._loaded(slot, n)
        return True

    def filter(self, groups):
        """Take frames to these groups (6-byte addresses) too, and to few others.

        The chip has a table of 64 bits, by a hash of the address; 01:00:5E:00:00:01 always passes.
        """
        table = self._hash
        for i in range(8):
            table[i] = 0
        self._hash_bit(_ALL_HOSTS)
        for mac in groups:
            self._hash_bit(mac)
        self._reconfigure = True
        self._at = self._clock()

    # --- receive ---

    def _look(self):
        """Packets waiting in the chip, 0 too when the interrupt line says there are none."""
        now = self._clock()
        if ticks_diff(now, self._at) >= 0:
            self._tend(now)
        if self._state:
            return 0
        missed = False
        flags = -1
        if self._irq is not None:
            if not self._edge and self._irq():
                if ticks_diff(now, self._look_at) < 0:
                    return 0
                missed = True
            self._edge = False
            self._look_at = ticks_add(now, _FALLBACK_MS)
            flags = self._flags()
            if flags & 0x11:
                self._notice(flags, now)
            if flags & 0x02 and self._air < 0:
                self._write(CLEAR_TX)
        if self._air >= 0:
            self._tend_tx(flags, now)
        if self._state:
            return 0
        if missed or flags < 0 or self._fresh:
            if not self._counted():
                return 0
            if missed:
                self.count["irq_missed"] += 1
        end = self._written()
        if end == self._next:
            if flags < 0 or self._fresh:
                self._repair("rx_phantom")
            return 0
        self._fresh = False
        self._end = end
        self._avail = _BURST
        return _BURST

    def _counted(self):
        """How many packets wait.  PKTIF does not say it (erratum 6)."""
        if self._bank != 1:
            self._to_bank(1)
        cs = self._cs
        two = self._two
        cs(0)
        self._spi.write_readinto(_ASK_EPKTCNT, two)
        cs(1)
        return two[1]

    def _written(self):
        """Where the last packet that came ends: beyond lie those of the last time around, and look
        well.  That something has come since it shows as well as EPKTCNT does, and in the bank that
        is selected mostly; but not since the ring began anew (`_fresh`), which does not change it.
        """
        if self._bank:
            self._to_bank(0)
        cs = self._cs
        spi = self._spi
        two = self._two
        cs(0)
        spi.write_readinto(_ASK_ERXWRPTL, two)
        cs(1)
        low = two[1]
        tries = 4
        while True:
            cs(0)
            spi.write_readinto(_ASK_ERXWRPTH, two)
            cs(1)
            end = low | two[1] << 8
            tries -= 1
            if end == self._next or not tries:
                return end
            # A frame that came in between may have made this half of the old, half of the new.
            cs(0)
            spi.write_readinto(_ASK_ERXWRPTL, two)
            cs(1)
            if two[1] == low:
                return end
            low = two[1]

    def _notice(self, flags, now):
        """RXERIF: something did not fit.  LINKIF: only a read of PHIR clears it."""
        if flags & 0x01:
            self.count["rx_full"] += 1
            self._write(_CLEAR_RXER)
            self._write(_CLEAR_BUFER)
        if flags & 0x10:
            self._phy_get(PHIR)
            self._check(now)

    def _alive(self):
        """Is the receiver on and bank 0 selected?  If not, it is no chip of ours any more."""
        cs = self._cs
        two = self._two
        cs(0)
        self._spi.write_readinto(_ASK_ECON1, two)
        cs(1)
        if two[1] & 0xF7 == 0x04:
            return True
        self._repair("chip_lost")
        return False

    # --- twice a second ---

    def _check(self, now):
        """Link and health."""
        self._at = ticks_add(now, _TEND_MS)
        # Bit 3 of ESTAT is always 0: a line stuck high shows.
        if self._get(EREVID) != self._revision or self._get(ESTAT) & 0x09 != 0x01:
            if self._get(EREVID) != self._revision or self._get(ESTAT) & 0x09 != 0x01:
                self.count["absent"] += 1
                self._begin_reset(now)
                return
        if self._reconfigure:
            self._reconfigure = False
            self._write_hash()
        if not self._as_it_should_be():
            self._repair("registers_lost")
            return
        flags = self._flags()
        if flags & 0x01:
            # A ring that is full and never drained has lost its pointers.
            if self._full and not self._get(EPKTCNT):
                self._full = False
                self._repair("chip_lost")
                return
            self._notice(flags & 0x01, now)
        self._full = flags & 0x01
        if self._air >= 0:
            self._tend_tx(flags, now)
            if self._state:
                return
        linked = self._phy_link()
        if linked < 0:
            self._repair("phy_timeout")
            return
        if linked != self._linked:
            self.count["link_up" if linked else "link_down"] += 1
            self._linked = linked == 1
        # Any reset costs the link: only if something was sent that nobody answered.  What `_set_up`
        # alone can cure is not deafness, and the pin is the surest.
        waiting = self._counted()
        if waiting and not self._fresh and self._written() == self._next:
            self._repair("rx_phantom")
            return
        step = self._too_quiet(now, waiting)
        if step == 1 or (step and self.count["tx"] == self._told):
            self._resync()
        elif step:
            self._begin_reset(now, step > 2)
            return
        if not self._trouble:
            self._strikes = 0
        self._trouble = False

    # --- repair ---

    def _repair(self, why):
        """Count the trouble, and do the least that helped not already: resync, set up, reset."""
        self.count[why] += 1
        self._avail = 0
        self._trouble = True
        self._strikes += 1
        if why.startswith("rx_") and self._strikes <= 2 and self._resync():
            return
        if self._strikes <= 4 and self._set_up():
            return
        self._begin_reset(self._clock())

    def _resync(self):
        """Reset the receive logic and empty the ring: what waited is lost.  Did it work?"""
        self.count["resync"] += 1
        self._avail = 0
        self._edge = True
        self._write(_RXRST)             # which clears RXEN
        self._write(_RXRST_OFF)
        rounds = 3
        while True:
            n = self._get(EPKTCNT)
            if not n:
                break
            rounds -= 1
            if not rounds:
                return False
            while n:
                self._write(_PKTDEC)
                n -= 1
        self._put(0x08, 0)              # ERXST: loads the chip's write pointer with 0
        self._put(0x09, 0)
        self._put(0x0A, END & 255)
        self._put(0x0B, END >> 8)
        self._put(0x0C, END & 255)
        self._put(0x0D, END >> 8)
        self._next = 0
        self._fresh = True
        self._write(_CLEAR_RXER)
        self._write(_CLEAR_BUFER)
        self._write(_RXEN)
        return self._get(ECON1) & 0xF4 == 0x04

    def _set_up(self):
        """Program every register, as after a reset.  Did it work?"""
        self.count["setup"] += 1
        self._drop_tx()
        self._write(AWAKE)
        self._put(ECON1, 0)
        self._bank = 0
        self._put(EIE, 0)
        self._put(ECON2, 0x80)
        if not self._write_all():
            return False
        self._write(_CLEAR_ALL)
        self._write(CLEAR_ABORT)
        self._full = False
        if not self._resync():
            return False
        if self._irq is not None:
            self._put(EIE, self._eth[1])
        self._at = self._clock()        # the link may not be what it was
        return True

    # --- what SpiPort asks ---

    def _forget(self):
        """The chip is about to be reset."""
        self._avail = 0
        self._was_reset = False
        self._drop_tx()

    def _shut(self):
        """Receiver off, power save."""
        self._put(EIE, 0)
        self._write(_RXEN_OFF)
        tries = POLLS
        while tries and self._get(ESTAT) & 0x04:
            tries -= 1
        self._write(_RXRST)
        self._write(_RXRST_OFF)
        self._write(TXRST)
        self._write(TXRST_OFF)
        self._write(_ASLEEP)
