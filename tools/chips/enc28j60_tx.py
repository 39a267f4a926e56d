"""The transmitter of the modelled ENC28J60: frames, collisions, status vectors, flow control."""
from binascii import crc32

from chips.bus import Deadline
from chips.enc28j60_regs import (
    EPAUS,
    ERXND,
    ERXST,
    ETXND,
    ETXST,
    MACLCON1,
    MACON1,
    MACON3,
    MACON4,
    MAMXFL,
)
from chips.enc28j60_rx import later
from spinet.prim import copy, eq6

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_SLOT_NS = 51200
_PAD = (0, 60, 0, 64, 0, -1, 0, 64)     # by PADCFG; -1: 64 for tagged frames, else 60


class Transmitter:
    """`sending` while TXRTS is set; `stalled` when it will stay so.

    Faults: the next frame meets `collisions` collisions, or a late one after them (`late`), waits
    for a busy line beyond all patience (`defer`), or is hit by a link pulse (`pulse`, erratum 13).
    """

    def __init__(self, chip):
        self.chip = chip
        self.out = bytearray(2100)
        self.tsv = bytearray(7)
        self.finish = Deadline(chip.time)
        self.until = Deadline(chip.time)    # a PAUSE holds frames back that long
        self.collisions = self.late = self.defer = self.pulse = 0
        self.sending = False
        self.reset()

    def reset(self):
        self.sending = self.stalled = self.sick = False
        self.finish.armed = self.until.armed = False
        self.deferred = False
        self.left = False           # the last one has just left the line

    def on_air(self):
        return self.sending and not self.stalled

    def hold(self, quanta):
        """A PAUSE came: send nothing for `quanta` times 512 bit times."""
        self.until.start(0)
        if quanta:
            us = quanta * 256 // 5
            self.until.add(us // 1000, us % 1000 * 1000)

    # --- TXRTS and TXRST ---

    def start(self):
        """TXRTS goes up."""
        chip = self.chip
        st = chip.pair(ETXST)
        nd = chip.pair(ETXND)
        n = (nd - st) & 0x1FFF
        first, last = chip.pair(ERXST), chip.pair(ERXND)
        if st <= last and nd + 7 >= first or nd + 7 >= 8192 + first:
            chip.violate("tx-overlap", "frame or status vector reach into the FIFO")   # (37)
        if n < 14 or n > 2000:
            chip.violate("tx-size", "ETXND - ETXST is %d" % n)
        self.sending = True
        self.deferred = False
        if self.sick and chip.errata[12] and chip.half_duplex():          # (27)
            chip.violate("txrst-missing", "TXRTS after an abort without a pulse of TXRST")
            self.stalled = True
            return
        if chip.tx_stalls:
            chip.tx_stalls -= 1
            self.stalled = True
            return
        if self.pulse and chip.errata[13] and chip.half_duplex() and chip.rev >= 5:
            self.pulse -= 1
            self.stalled = True
            self.vector(n, 0, 0x20)
            chip.flag(0x02)
            return
        # Everything the frame will go through takes its time beforehand.
        time = (n + 12) * 800
        if chip.half_duplex():
            wait = min(self.collisions, (chip.regs[MACLCON1] & 15) + 1)
            for k in range(wait):
                time += 64 * 800 + (chip.dice.below(1 << min(k + 1, 10)) * _SLOT_NS)
                if time > 400000000:
                    break
            if self.defer:
                time += 3000000
            rx = chip.rx
            if rx.coming:
                self.deferred = True
                self.finish.follow(rx.arrival, 0)
            else:
                self.finish.start(0)
        else:
            self.finish.start(0)
        if chip.dma.end.armed:
            self.not_before(chip.dma.end)
        if self.until.armed:
            self.until.armed = not self.until.due()
            self.not_before(self.until)
        self.finish.add(time // 1000000, time % 1000000)
        if chip.time is None:
            self.service()

    def not_before(self, other):
        """The frame begins no earlier than `other`, if that is armed."""
        if other.armed and later(other, self.finish):
            self.finish.follow(other, 0)

    def cancel(self):
        """TXRTS is cleared by the host."""
        if self.sending:
            self.sending = self.stalled = False
            self.collisions = 0         # of that attempt
            self.chip.flag(0x08)

    def hold_reset(self):
        """TXRST goes up: the frame in flight is aborted."""
        self.sending = self.stalled = self.sick = False
        self.chip.txrts_off()

    def release(self):
        """TXRST goes down; erratum 12: that may set TXERIF (28)."""
        chip = self.chip
        if chip.errata[12] and chip.dice.below(2):
            chip.flag(0x02)

    # --- the frame ---

    def service(self):
        if self.sending and not self.stalled and self.finish.due():
            self.complete()

    def complete(self):
        chip = self.chip
        regs = chip.regs
        st = chip.pair(ETXST)
        n = (chip.pair(ETXND) - st) & 0x1FFF
        out = self.out
        ram = chip.ram
        control = ram[st]
        macon3 = regs[MACON3]
        huge, crc, pad = macon3 & 4, macon3 & 0x10, _PAD[macon3 >> 5]
        if control & 1:
            huge, crc, pad = control & 8, control & 2, 60 if control & 4 else 0
        if n > 2080:
            n = 2080
        i = (st + 1) & 0x1FFF
        k = min(n, 8192 - i)
        copy(out, 0, ram, i, k)
        if n > k:
            copy(out, k, ram, 0, n - k)
        kind = out[12] << 8 | out[13]
        if pad < 0:
            pad = 64 if kind == 0x8100 else 60
        length = n
        while length < pad:
            out[length] = 0
            length += 1
        bits = 0
        if not crc:
            # What the host put last is the FCS; the wire carries frames without.
            length -= 4
            if length < 10 or self.wrong_fcs(length):
                bits |= 0x100000
        if kind > 1500:
            bits |= 0x400000
        elif macon3 & 2 and n > 60 and kind != n - 14:
            bits |= 0x200000
        half = chip.half_duplex()
        if length + 4 > chip.pair(MAMXFL) and not huge:
            self.abort(length + 4, bits, 0x40)
            return
        hits = self.collisions if half else 0
        self.collisions = 0
        most = regs[MACLCON1] & 15
        if hits > most:
            self.abort(0, bits | (most << 16), 0x10)
        elif half and self.defer and not regs[MACON4] & 0x40:
            self.defer -= 1
            self.abort(0, bits, 0x08)
        elif half and self.late:
            self.late -= 1
            if not chip.errata[15]:
                chip.late_collision()
            self.abort(0, bits | (hits << 16), 0x20)
        elif half and not chip.phy.con1 & 0x4000 and self.mismatched():
            self.abort(0, bits, 0x20)
        else:
            if self.defer:
                self.defer -= 1
            self.vector(length + 4, bits | (hits << 16) | 0x800000, 4 if self.deferred else 0)
            self.out_onto_wire(length, bits & 0x100000)
            self.done()

    def mismatched(self):
        """(33) Duplex of MAC and PHY, or of both ends, differs: late collisions now and then."""
        chip = self.chip
        return chip.mismatch() and chip.dice.below(4) == 0

    def out_onto_wire(self, n, bad):
        chip = self.chip
        count = chip.count
        if chip.phy.con1 & 0x4000:
            # The PHY's own loop-back; erratum 10: not dependable.
            if not (chip.errata[10] and chip.dice.below(4) == 0):
                self.echo(n)
        elif not chip.phy.linked or chip.phy.con2 & 0x2000:
            count["tx_no_link"] += 1
        elif bad:
            count["tx_bad_crc"] += 1
        elif n < 60 and not chip.runts:
            count["tx_runt"] += 1           # nobody takes it
        elif chip.mismatch() and chip.dice.below(4) == 0:
            count["tx_lost"] += 1
        elif chip.spoils and chip.dice.below(4) == 0:
            count["tx_lost"] += 1
        else:
            count["tx"] += 1
            chip.wire.send(self.out, n)
            if chip.half_duplex() and not chip.phy.con2 & 0x0100:
                # (32) erratum 9: own frames come back, most of the time.
                if not (chip.errata[9] and chip.dice.below(4) == 0):
                    self.echo(n)

    def echo(self, n):
        chip = self.chip
        if chip.rxen() and chip.regs[MACON1] & 1:
            chip.count["echoes"] += 1
            chip.rx.arrive(self.out, n)

    def wrong_fcs(self, n):
        v = crc32(memoryview(self.out)[0:n])
        for k in range(4):
            if self.out[n + k] != v >> (8 * k) & 255:
                return True
        return False

    def abort(self, sent, bits, cause):
        """The frame was not sent; `cause` as in the status vector's bits 31 to 24."""
        chip = self.chip
        self.vector(sent, bits, cause)
        chip.count["tx_aborts"] += 1
        self.sick = chip.half_duplex()
        chip.tx_aborted()
        self.done()

    def done(self):
        """(26) TXRTS falls, TXIF rises."""
        chip = self.chip
        self.sending = False
        self.left = True
        chip.txrts_off()
        if chip.lost_txif:
            chip.lost_txif -= 1
        else:
            chip.flag(0x08)

    def vector(self, sent, bits, more):
        """(24) The status vector, behind the frame, whatever is there."""
        chip = self.chip
        tsv = self.tsv
        hits = bits >> 16 & 15
        tsv[0] = sent & 255
        tsv[1] = sent >> 8
        tsv[2] = bits >> 16 & 255
        out = self.out
        if more & 0x20 == 0 and out[0] & 1:
            more |= 2 if eq6(out, 0, _BROADCAST, 0) else 1
        tsv[3] = more
        total = sent + 64 * hits
        tsv[4] = total & 255
        tsv[5] = total >> 8
        kind = out[12] << 8 | out[13]
        tsv[6] = 8 if kind == 0x8100 else 1 if kind == 0x8808 else 0
        at = chip.pair(ETXND)
        for k in range(7):
            at = (at + 1) & 0x1FFF
            chip.ram[at] = tsv[k]

    # --- flow control ---

    def pause(self, mode):
        """EFLOCON.FCEN is set to `mode` in full duplex, TXPAUS on: a PAUSE frame goes out."""
        chip = self.chip
        if not chip.regs[MACON1] & 8:
            return
        quanta = 0 if mode == 3 else chip.pair(EPAUS)
        out = bytearray(60)
        out[0:6] = b"\x01\x80\xc2\x00\x00\x01"
        out[6:12] = chip.address()
        out[12:18] = bytes((0x88, 0x08, 0, 1, quanta >> 8, quanta & 255))
        chip.count["pauses"] += 1
        if chip.phy.linked:
            chip.wire.send(out, 60)
