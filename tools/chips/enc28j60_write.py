"""What the host writes into registers of the modelled ENC28J60, and what follows from it."""
from chips import enc28j60_regs as r
from chips.enc28j60_regs import ECON1, ECON2, EIE, EIR, ERXRDPT, ESTAT, ETH, KIND, MASK

WCR, BFS, BFC = 2, 4, 5
_TXRST, _RXRST, _DMAST, _TXRTS, _RXEN = 0x80, 0x40, 0x20, 0x08, 0x04
_PKTDEC, _PWRSV = 0x40, 0x20
_CLKRDY = 1


class Writes:
    """Base of the model: instructions WCR, BFS and BFC."""

    def _write(self, op, v, baudrate):
        i = self._where()
        kind = KIND[i]
        if kind == r.MAC or kind == r.MII:
            if op != WCR:
                self.violate("bit-op", "BFS or BFC on MAC or MII register 0x%02x" % i)      # (3)
                if not self.mac_bits:
                    return
                v = self.regs[i] | v if op == BFS else self.regs[i] & ~v & 255
            if not self.awake():
                self.violate("asleep" if self.regs[ECON2] & _PWRSV else "dead-time",
                             "MAC or MII register 0x%02x written" % i)
                return
            if self._slow_clock(baudrate) and self.dice.below(4) == 0:
                return
            self._write_mac(i, v)
            return
        if kind != ETH:
            self.violate("reserved-register", "0x%02x written" % i)
            return
        if i == EIR or i == ESTAT:
            self._clear(i, op, v)
            return
        mask = MASK[i]
        if not mask:
            self.violate("read-only", "0x%02x written" % i)                                # (17)
            return
        old = self.regs[i]
        new = v if op == WCR else old | v if op == BFS else old & ~v & 255
        if new & ~mask & 255:
            # High bytes of pointers drop the bits in silence: that is how wide they are.
            if i > 0x17:
                self.violate("reserved-bit", "0x%02x <- 0x%02x" % (i, new))
            new &= mask
        if i < 0x18:
            self._write_pointer(i, new)
        elif i == ECON1:
            self._write_econ1(old, new)
        elif i == ECON2:
            self._write_econ2(op, old, new)
        else:
            self._write_other(i, new)

    def _clear(self, i, op, v):
        """EIR and ESTAT: single flags can be cleared, none can be set."""
        mask = MASK[i]
        if op == WCR:
            v = ~v & mask
        elif op == BFS:
            self.violate("read-only", "a flag cannot be set")
            return
        elif v & ~mask & 255:
            self.violate("read-only", "flags 0x%02x cannot be cleared" % (v & ~mask & 255))
        if i == EIR:
            self._flags &= ~(v & mask)
            self.interrupts()
        else:
            self._status &= ~(v & mask)

    def _write_pointer(self, i, v):
        regs = self.regs
        if i == ERXRDPT:
            self._latch = v                                                                # (10)
            self._latched = True
            return
        if i == ERXRDPT + 1:
            self._fence(self._latch | v << 8)
            return
        if i == ERXRDPT + 2 or i == ERXRDPT + 3 or i >= 0x16:
            self.violate("read-only", "0x%02x written" % i)
            return
        if 4 <= i < 8 and self.tx.sending and not self.tx.stalled:
            self.violate("tx-busy", "ETXST or ETXND written while TXRTS")                   # (25)
        elif 8 <= i < 12 and regs[ECON1] & _RXEN:
            self.violate("rx-on", "ERXST or ERXND written while RXEN")                      # (18)
        elif i >= 0x10 and self.dma.end.armed:
            self.violate("dma-busy", "a DMA pointer written while DMAST")
        regs[i] = v
        if 8 <= i < 12:
            self.rx.load()

    def _fence(self, v):
        """ERXRDPT takes effect; erratum 14: an even one damages the FIFO (11)."""
        self._latched = False
        st, nd = self.pair(r.ERXST), self.pair(r.ERXND)
        if not st <= v <= nd:
            self.violate("erxrdpt-range", "0x%04x is outside the FIFO" % v)
        elif not v & 1:
            self.violate("erxrdpt-even", "0x%04x" % v)
            if self.errata[14] and self.regs[ECON1] & _RXEN:
                at = v + self.dice.below(64)
                self.ram[at if at <= nd else v] ^= 1 << self.dice.below(8)
        elif self.rx.pktcnt and self._ahead(self.pair(ERXRDPT), v) > self._ahead(
                self.pair(ERXRDPT), self.rx.wr):
            # (13) What lies beyond is unread, or not even there.
            self.violate("erxrdpt-beyond", "0x%04x frees more than was received" % v)
        self.set_pair(ERXRDPT, v)

    def _ahead(self, base, v):
        st = self.pair(r.ERXST)
        size = self.pair(r.ERXND) + 1 - st
        return (v - base) % size

    def _write_econ1(self, old, new):
        regs = self.regs
        up = new & ~old
        down = old & ~new
        if new & _TXRST:
            new &= ~_TXRTS & 255
        if new & _RXRST:
            new &= ~_RXEN & 255                                                            # (20)
        if up & (_RXEN | _TXRTS) & new and not self.awake():
            self.violate("asleep" if regs[ECON2] & _PWRSV else "dead-time", "RXEN or TXRTS set")
            new &= ~(up & (_RXEN | _TXRTS)) & 255                                          # (35)
        if (old ^ new) & 0x10 and self.dma.end.armed:
            self.violate("dma-busy", "CSUMEN changed while DMAST")
        regs[ECON1] = new
        if up & _TXRST:
            self.tx.hold_reset()
        elif down & _TXRST:
            self.tx.release()
        if up & _RXRST:
            self.rx.abort()
            if self.deaf == 1:
                self.deaf = 0
        if up & new & _RXEN:
            self._check_setup()
            if regs[r.ERXST] | regs[r.ERXST + 1]:
                self.violate("erxst", "ERXST is not 0 (erratum 5)")
        if up & new & _TXRTS:
            self._check_setup()
            self.tx.start()
        elif down & _TXRTS and not up & _TXRST:
            self.tx.cancel()
        if up & _DMAST:
            self.dma.start()
        elif down & _DMAST:
            self.dma.cancel()

    def _check_setup(self):
        """Registers that contradict each other."""
        regs = self.regs
        if regs[r.MACON3] & 1 != self.phy.con1 >> 8 & 1:
            self.violate("duplex", "MACON3.FULDPX and PHCON1.PDPXMD differ")               # (33)
        if regs[r.MACON3] & 0x20 and not regs[r.MACON3] & 0x10:
            self.violate("padding", "PADCFG pads, but TXCRCEN is off")
        if not self.pair(r.ERXND) & 1:
            self.violate("erxnd-even", "ERXND is even")

    def _write_econ2(self, op, old, new):
        regs = self.regs
        if new & _PKTDEC:
            new &= ~_PKTDEC & 255                                                          # (15)
            if self._latched:
                self.violate("erxrdpt-latched", "PKTDEC while ERXRDPTL waits for ERXRDPTH")
            if self.rx.pktcnt:
                self.rx.pktcnt -= 1
                self.interrupts()
            else:
                self.violate("pktdec", "PKTDEC at EPKTCNT = 0")
        if new & ~old & _PWRSV:
            if regs[ECON1] & (_RXEN | _TXRTS) or self.rx.busy():
                self.violate("power-save", "PWRSV while receiver or transmitter are on")
                self.rx.abort()
            self._status &= ~_CLKRDY
            self.phy.linked = False
        elif old & ~new & _PWRSV:
            self._status &= ~_CLKRDY
            self.oscillator.start(0, 300000)
            self.phy.detect()
            if self.time is None:
                self.service()
        regs[ECON2] = new

    def _write_other(self, i, v):
        regs = self.regs
        was = regs[i]
        if i == r.ERXFCON and v != was:
            if regs[ECON1] & _RXEN:
                self.violate("rx-on", "ERXFCON written while RXEN")
            if v & 0x10 and self.errata[18]:
                self.violate("pattern", "the pattern filter does not work")
        elif i == r.EBSTCON and v & 1:
            regs[i] = v
            self.dma.self_test()
            return
        elif i == r.ECOCON and v > 5:
            self.violate("reserved-bit", "ECOCON <- %d" % v)
        regs[i] = v
        if i == EIE:
            self.interrupts()
        elif i == r.EFLOCON and v & 3 and not self.half_duplex():
            self.tx.pause(v & 3)
            if v & 1:
                regs[i] = v & ~3        # sent once

    def _write_mac(self, i, v):
        regs = self.regs
        was = regs[i]
        if i == r.MACON2 and not v:
            return
        if not MASK[i]:
            self.violate("read-only" if i in (r.MISTAT, r.MIRD, r.MIRD + 1)
                         else "reserved-register", "0x%02x written" % i)
            return
        if v & ~MASK[i] & 255:
            self.violate("reserved-bit", "0x%02x <- 0x%02x" % (i, v))
            v &= MASK[i]
        if i == r.MACON3 and (v ^ was) & 1:
            self.duplex_changes()
        elif r.MAADR5 <= i <= r.MAADR2 and v != was and regs[ECON1] & _RXEN:
            self.violate("rx-on", "MAADR written while RXEN")
        regs[i] = v
        if i == r.MICMD:
            self.phy.command(was, v)
        elif i == r.MIWR + 1:
            self.phy.written()
        elif i == r.MIREGADR:
            self.phy.address()
