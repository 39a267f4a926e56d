"""A Microchip ENC28J60 at register level: SPI slave, registers, resets, power, interrupts, faults.

`ENC28J60Model(wire, time)` is a chip on a `chips.bus.SPI`; its Ethernet side is any port of the
project (`recv`, `send`).  Numbers (1) to (38) in comments are the behaviours of
`docs/enc28j60.md`, which says what of them is confirmed on silicon.  Its parts are in
files of their own: `enc28j60_spi.py` and `enc28j60_write.py` face the host, `enc28j60_rx.py`,
`enc28j60_tx.py` and `enc28j60_phy.py` the line; `enc28j60_regs.py` has the registers.

With a `Time` everything takes the time it takes.  With `time=None` all of it is done at once and
frames are fetched from the wire only when the host has taken the last, a few at a time.
"""
from chips import enc28j60_regs as r
from chips.bus import Deadline, Violation
from chips.enc28j60_dma import Dma
from chips.enc28j60_phy import Phy
from chips.enc28j60_regs import ECON1, ECON2, EIE
from chips.enc28j60_rx import Receiver
from chips.enc28j60_spi import SRC, Slave
from chips.enc28j60_tx import Transmitter
from spinet.prim import copy

REVISIONS = {"B1": 2, "B4": 4, "B5": 5, "B7": 6}
ERRATA = (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
_RXRST, _TXRTS, _RXEN = 0x40, 0x08, 0x04
_PWRSV = 0x20
_CLKRDY = 1


class ENC28J60Model(Slave):
    """The chip.  `strict`: True raises `Violation` on illegal access, "log" appends the rule to
    `violations`, False just does what silicon would.

    wire        port for the Ethernet side: `recv(buf) -> n`, `send(buf, n) -> bool`
    time        `chips.bus.Time`, or None: no delays
    rev         silicon revision: "B1", "B4", "B5" or "B7", or what EREVID reads (38)
    errata      numbers of the errata sheet that this chip has; default: all of its revision
    seed        of everything that happens at random
    link_ms     from PHY reset or cable to link
    cable       is one plugged in?
    strap       PDPXMD as the LED at LEDB sets it, where erratum 16 leaves that alone
    partner_full    the other end is forced to full duplex
    fcs         False: frames are stored with an FCS of zeros, which allocates nothing

    Switches: `runts` (frames shorter than 60 bytes exist on the wire), `crossed()` (the receive
    pair), `rbias` (ohms; None: as the revision wants it), `hold_ns` (what CS must stay low after
    the last bit of a MAC or MII access, checked only if not 0; silicon wants 210).

    Variant where sources differ: `mac_bits` (BFS and BFC work on MAC and MII registers as on
    others; a published driver that everybody uses depends on it, the data sheet forbids it).

    Faults, all off: `absent` (None, "high", "low": MISO), `impostor` (bytes that another chip
    answers with), `deaf` (0; 1 until RXRST, 2 until the chip is reset, 3 until its pin says so),
    `tx_stalls` (this many frames never end), `lost_txif` (this many ends without TXIF),
    `bad_next` (this many packets get a wrong next-packet pointer), `tx.collisions`, `tx.late`,
    `tx.defer`, `tx.pulse`, `shift_above` (SPI clock in Hz from which reads arrive one bit late),
    `clock_stops` (the crystal does not start).  `IrqPin.lose` swallows edges.

    `count`: what happened on the wire side and to frames the chip dropped without a word.
    """

    def __init__(self, wire, time=None, strict=True, rev="B7", errata=None, seed=1, link_ms=100,
                 cable=True, strap=0, partner_full=False, fcs=True):
        self.wire = wire
        self.time = time
        self.strict = strict
        self.violations = []
        self.rev = rev = REVISIONS.get(rev, rev)
        self.errata = [False] * 20
        for n in ERRATA if errata is None else errata:
            self.errata[n] = True
        if errata is None:
            # A link pulse within the collision window (13) is an event: it has to be asked for.
            self.errata[1] = rev in (2, 4)
            self.errata[13] = rev in (5, 6)
        self.dice = r.Dice(seed)
        self.partner_full = partner_full
        self.fcs = fcs
        self.runts = self.clock_stops = self.mac_bits = False
        self.rbias = None
        self.absent = self.impostor = None
        self.deaf = self.tx_stalls = self.lost_txif = self.bad_next = 0
        self.hold_ns = self.shift_above = 0
        self.on_int = None
        self.count = {
            "rx": 0, "rx_filtered": 0, "rx_full": 0, "rx_off": 0, "rx_too_long": 0, "rx_runt": 0,
            "rx_bad_crc": 0, "rx_pause": 0, "rx_deaf": 0, "rx_lost": 0, "bad_next": 0, "tx": 0,
            "tx_no_link": 0, "tx_bad_crc": 0, "tx_runt": 0, "tx_lost": 0, "tx_aborts": 0,
            "echoes": 0, "pauses": 0, "resets": 0, "violations": 0,
        }
        self.regs = bytearray(128)
        self.ram = bytearray(8192)
        self.head = bytearray(6)
        self.dead = Deadline(time)      # armed while a reset goes on
        self.oscillator = Deadline(time)    # armed while it starts
        self._hold = Deadline(time)
        self._low = Deadline(time)
        self._held = False              # RESET is low
        self._int = 1
        self._flags = 0                 # EIR, but for PKTIF and LINKIF
        self._status = 0                # ESTAT: BUFER, LATECOL, TXABRT, CLKRDY
        self._latch = 0                 # ERXRDPTL waits for ERXRDPTH (10)
        self._latched = False
        self._op = -1
        self._arg = self._pos = 0
        self._then_ms = self._then_ns = -1      # when `select` looked around last
        self.rx = Receiver(self)
        self.tx = Transmitter(self)
        self.dma = Dma(self)
        self.phy = Phy(self, link_ms, strap)
        self.phy.cable = cable
        self.power_on()

    # --- reset and power ---

    def power_on(self):
        """(7) Power comes: registers at defaults, memory full of noise, oscillator starting."""
        self.regs[r.ECOCON] = 4
        ram = self.ram
        for i in range(256):
            ram[i] = self.dice.below(256)
        for i in range(256, 8192, 256):
            copy(ram, i, ram, 0, 256)
        self._status = 0
        self.oscillator.start(0, 300000)
        self.dead.armed = False
        self.phy.reset()
        self._default()
        if self.time is None:
            self.service()

    brown_out = power_on

    def _default(self):
        """What every reset does."""
        regs = self.regs
        kept = regs[r.ECOCON]
        copy(regs, 0, r.RESET, 0, 128)
        regs[r.ECOCON] = kept
        regs[r.EREVID] = self.rev
        self._flags = 0
        self._status &= _CLKRDY
        self._latched = False
        self._op = SRC              # the rest of a transfer goes nowhere
        self.rx.reset()
        self.tx.reset()
        self.dma.reset()
        self.phy.abort()
        self.count["resets"] += 1
        self._set_int(1)

    def _system_reset(self, pin=False):
        """(6) SRC, or the pin."""
        if self.regs[ECON2] & _PWRSV and not pin:
            self.violate("src-asleep", "SRC in power-save mode")                # erratum 19
            if self.errata[19]:
                return
        if self.regs[ECON2] & _PWRSV:
            self.oscillator.start(0, 300000)
        self._default()
        self.phy.reset()
        if self.deaf < 3 or pin:
            self.deaf = 0
        # Erratum 2: the PHY's clock stops for a while.
        self.dead.start(1 if self.errata[2] else 0, 0 if self.errata[2] else 50000)
        if self.time is None:
            self.service()

    def reset(self, level):
        """RESET goes to `level`."""
        if self.absent:
            return
        if not level:
            self._held = True
            self._low.start(0, 400)
        else:
            self._held = False
            if self.time is not None and not self._low.due():
                self.violate("reset-pulse", "RESET low for less than 400 ns")
                return
            self._system_reset(True)

    def doze(self):
        """Somebody, or a spike, puts the chip to sleep in the middle of it all."""
        self.regs[ECON1] &= ~(_RXEN | _TXRTS) & 255
        self.regs[ECON2] |= _PWRSV
        self._status &= ~_CLKRDY
        self.rx.abort()
        self.tx.reset()
        self.phy.linked = False

    def awake(self):
        """Do MAC, MII and PHY work?"""
        return not (self.dead.armed or self.oscillator.armed or self._held
                    or self.regs[ECON2] & _PWRSV)

    def clkout(self):
        """Frequency at CLKOUT in Hz."""
        if self.regs[ECON2] & _PWRSV and self.errata[4]:
            return 0
        v = self.regs[r.ECOCON]
        return (0, 25000000, 12500000, 8333333, 6250000, 3125000, 0, 0)[v]

    def unplug(self, level="high"):
        """The chip is gone; MISO floats at `level` ("high" or "low")."""
        self.absent = level
        self._set_int(1)

    def replug(self):
        self.absent = None
        self.deaf = 0
        self.power_on()

    def cable(self, plugged):
        """Plug the cable in or pull it out."""
        self.service()
        self.phy.cable = plugged
        self.phy.detect()

    def crossed(self, swapped):
        """Cross the wires of the receive pair: nobody corrects it (erratum 7)."""
        self.phy.swapped = swapped
        self.phy.detect()

    def violate(self, rule, text):
        self.count["violations"] += 1
        if self.strict is True:
            self._op = SRC              # what follows in this transfer is of no interest
            raise Violation(rule, text)
        if self.strict and len(self.violations) < 1000:
            self.violations.append(rule)

    # --- what the parts ask ---

    def pair(self, i):
        return self.regs[i] | self.regs[i + 1] << 8

    def set_pair(self, i, v):
        self.regs[i] = v & 255
        self.regs[i + 1] = v >> 8

    def rxen(self):
        return self.regs[ECON1] & (_RXEN | _RXRST) == _RXEN

    def half_duplex(self):
        return not self.regs[r.MACON3] & 1

    def mismatch(self):
        """(33)"""
        full = self.regs[r.MACON3] & 1
        return full != self.phy.con1 >> 8 & 1 or full != (1 if self.partner_full else 0)

    @property
    def spoils(self):
        """Erratum 8: does a wrong resistor at RBIAS spoil the signal?"""
        return (self.errata[8] and self.rbias is not None
                and self.rbias != (2700 if self.rev in (2, 4) else 2320))

    def address(self):
        return bytes([self.regs[i] for i in r.MAADR])

    def txrts_off(self):
        self.regs[ECON1] &= ~_TXRTS & 255

    def tx_aborted(self):
        self._status |= 0x02
        self.flag(0x02)

    def late_collision(self):
        self._status |= 0x10

    def overflow(self):
        self._status |= 0x40
        self.flag(0x01)

    def spoil_reception(self):
        """Erratum 17: the packet that is coming in is lost."""
        if self.rx.busy():
            self.rx.hears = False
            self.count["rx_lost"] += 1
            self.overflow()

    def duplex_changes(self):
        if self.regs[ECON1] & (_RXEN | _TXRTS):
            self.violate("duplex-on", "duplex changed while receiver or transmitter are on")

    # --- interrupts (31) ---

    def flag(self, bits):
        self._flags |= bits
        self.interrupts()

    def _eir(self):
        v = self._flags
        if self.rx.pktcnt:
            v |= 0x40
        if self.phy.flag:
            v |= 0x10
        return v

    def interrupts(self):
        """Recompute the INT pin."""
        on = self.regs[EIE]
        self._set_int(0 if on & 0x80 and self._eir() & on & 0x7B else 1)

    def _set_int(self, level):
        if level != self._int:
            self._int = level
            if self.on_int is not None:
                self.on_int(level)

    def int_level(self):
        """The level of INT now."""
        self.service()
        return self._int

    @property
    def pollable(self):
        return getattr(self.wire, "pollable", None)

    # --- time ---

    def service(self):
        """Do what became due and take what the wire has."""
        if self.absent or self._held:
            return
        if self.oscillator.armed and self.oscillator.due() and not self.clock_stops:
            self.oscillator.armed = False
            self._status |= _CLKRDY
        if self.dead.armed and self.dead.due():
            self.dead.armed = False
        self.phy.service()
        if self.dma.end.armed:
            self.dma.service()
        if self.time is None:
            self.rx.fetch()
            return
        if self.tx.sending:
            self.tx.service()
        if not self.regs[r.EFLOCON] & 1 or not self.half_duplex():
            self.rx.service()       # else backpressure holds the line
