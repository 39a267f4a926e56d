"""The PHY of the modelled ENC28J60, and the MII by which alone it is reached (29, 30)."""
from chips.bus import Deadline
from chips.enc28j60_regs import MIRD, MIREGADR, MIWR

PHCON1, PHSTAT1, PHID1, PHID2, PHCON2, PHSTAT2 = 0, 1, 2, 3, 0x10, 0x11
PHIE, PHIR, PHLCON = 0x12, 0x13, 0x14
BUSY_NS = 10240

# Bits that can be written.
_MASK = {PHCON1: 0xC900, PHCON2: 0x6500, PHIE: 0x0012, PHLCON: 0x3FFE}
_KNOWN = (PHCON1, PHSTAT1, PHID1, PHID2, PHCON2, PHSTAT2, PHIE, PHIR, PHLCON)
_READ, _WRITE, _SCAN = 1, 2, 4

# LED codes (erratum 11: code 14 shows the duplex mode only).
_TX, _RX, _COLLISION, _LINK, _DUPLEX = 1, 2, 4, 8, 16
_LED = {1: _TX, 2: _RX, 3: _COLLISION, 4: _LINK, 5: _DUPLEX, 7: _TX | _RX, 12: _LINK | _RX,
        13: _LINK | _TX | _RX, 14: _DUPLEX | _COLLISION}


class Phy:
    """`linked`: is there a link?  `link_ms` passes from a reset, or the cable, to one."""

    def __init__(self, chip, link_ms, strap):
        self.chip = chip
        self.link_ms = link_ms
        self.strap = strap          # PDPXMD as the LED on LEDB says it: 1 full duplex
        self.cable = True
        self.swapped = False        # the receive pair is crossed (erratum 7)
        self.linked = False
        self._link = Deadline(chip.time)        # armed while one is being detected
        self._busy = Deadline(chip.time)
        self._what = 0              # the transaction under way
        self._scanned = False
        self._at = self._data = 0
        self.reset()

    def reset(self):
        chip = self.chip
        self.con1 = self.strap << 8
        if chip.errata[16]:
            self.con1 = chip.dice.below(2) << 8
        self.con2 = self.ie = 0
        self.lcon = 0x3422
        self.flag = False           # PHIR.PGIF and PLNKIF
        self.was_down = True        # PHSTAT1.LLSTAT
        self.detect()

    def abort(self):
        """A reset of the chip ends what the MII does."""
        self._what = 0
        self._busy.armed = self._scanned = False

    def detect(self):
        """Look for a link anew."""
        self._set(False)
        self._link.armed = False
        chip = self.chip
        good = self.cable and not (self.swapped and chip.errata[7]) and not self.con1 & 0x4800
        if good or self.con2 & 0x4000:
            if chip.time is None or not self.link_ms:
                self._set(True)
            else:
                self._link.start(self.link_ms)

    def _set(self, up):
        if up != self.linked:
            self.linked = up
            if not up:
                self.was_down = True
            if self.ie & 0x12 == 0x12:
                self.flag = True
                self.chip.interrupts()

    def service(self):
        if self._link.armed and self._link.due():
            self._link.armed = False
            self._set(True)
        if self._what and self._busy.due():
            self._end()

    # --- the registers behind the MII ---

    def read(self, n):
        chip = self.chip
        if n == PHCON1:
            return self.con1
        if n == PHSTAT1:
            v = 0x1800 | (0 if self.was_down or not self.linked else 4)
            self.was_down = not self.linked
            return v
        if n == PHID1:
            return 0x0083
        if n == PHID2:
            return 0x1400
        if n == PHCON2:
            return self.con2
        if n == PHSTAT2:
            v = 0x0400 if self.linked else 0
            v |= (self.con1 & 0x0100) << 1
            if self.swapped and not chip.errata[7]:
                v |= 0x20
            return v | (0x2000 if chip.tx.on_air() else 0) | (0x1000 if chip.rx.busy() else 0)
        if n == PHIE:
            return self.ie
        if n == PHIR:
            v = 0x14 if self.flag else 0
            self.flag = False
            chip.interrupts()
            return v
        if n == PHLCON:
            return self.lcon
        chip.violate("phy-register", "PHY register 0x%02x does not exist" % n)
        return 0

    def write(self, n, v):
        chip = self.chip
        mask = _MASK.get(n)
        if mask is None:
            chip.violate("phy-register", "PHY register 0x%02x cannot be written" % n)
            return
        if n == PHLCON and v & 0x3000 != 0x3000:
            chip.violate("reserved-bit", "PHLCON bits 13:12 are to be written as 1")
        elif v & ~mask & 0xFFFF:
            chip.violate("reserved-bit", "PHY register 0x%02x <- 0x%04x" % (n, v))
        v &= mask
        if n == PHCON1:
            if v & 0x8000:
                self.reset()
                return
            if (v ^ self.con1) & 0x0100:
                chip.duplex_changes()
            was = self.con1
            self.con1 = v
            if (was ^ v) & 0x4800:
                self.detect()
        elif n == PHCON2:
            was = self.con2
            self.con2 = v
            if (was ^ v) & 0x4000:
                self.detect()
        elif n == PHIE:
            self.ie = v
        else:
            self.lcon = v

    # --- MII ---

    def status(self):
        """MISTAT."""
        self.service()
        v = 1 if self._what else 0
        if self._what == _SCAN:
            v |= 2 | (0 if self._scanned else 4)
        return v

    def command(self, was, v):
        """MICMD is written."""
        chip = self.chip
        self.service()
        if self._what == _SCAN:
            if not v & 2:
                self._what = 0
            return
        if self._what:
            if v & 3:
                chip.violate("mii-busy", "MICMD <- 0x%02x while BUSY" % v)
            elif self._what == _READ:
                chip.violate("mii-cleared", "MICMD.MIIRD cleared before the read has ended")
                self._what = 0          # what has been read so far is lost
            return
        if v & 1 and was & 1:
            chip.violate("mii-edge", "MIIRD was set already: no new read begins")
        if v & ~was & 1:
            self._start(_READ)
        elif v & ~was & 2:
            self._scanned = False
            self._start(_SCAN)

    def written(self):
        """MIWRH is written, which starts a write."""
        self.service()
        if self._what:
            self.chip.violate("mii-busy", "MIWRH written while BUSY")
            return
        regs = self.chip.regs
        self._data = regs[MIWR] | regs[MIWR + 1] << 8
        self._start(_WRITE)

    def address(self):
        """MIREGADR is written."""
        self.service()
        if self._what:
            self.chip.violate("mii-busy", "MIREGADR written while BUSY")
            if self._what == _SCAN:
                self._at = self.chip.regs[MIREGADR]

    def result(self):
        """MIRD is read."""
        self.service()
        if self._what == _READ:
            self.chip.violate("mii-early", "MIRD read while BUSY")
        elif self._what == _SCAN and not self._scanned:
            self.chip.violate("mii-early", "MIRD read while NVALID")

    def _start(self, what):
        self._what = what
        self._at = self.chip.regs[MIREGADR]
        self._busy.start(0, BUSY_NS)

    def _end(self):
        what = self._what
        if what != _SCAN:
            self._what = 0
        if what == _WRITE:
            self.write(self._at, self._data)
            return
        v = self.read(self._at)
        regs = self.chip.regs
        regs[MIRD] = v & 255
        regs[MIRD + 1] = v >> 8
        if what == _SCAN:
            self._scanned = True
            self._busy.start(0, BUSY_NS)

    # --- lamps ---

    def led(self, b, collision=False):
        """Is LEDA (`b` False) or LEDB lit now?  Blinking counts as lit, stretching is left out."""
        code = self.lcon >> (4 if b else 8) & 15
        if code in (8, 10, 11):
            return True
        chip = self.chip
        wanted = _LED.get(code, 0)
        if code == 14 and chip.errata[11]:
            wanted = _DUPLEX
        state = 0
        if chip.tx.on_air():
            state |= _TX
        if chip.rx.busy():
            state |= _RX
        if collision:
            state |= _COLLISION
        if self.linked:
            state |= _LINK
        if self.con1 & 0x0100:
            state |= _DUPLEX
        return wanted & state != 0
