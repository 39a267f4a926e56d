"""What the modelled ENC28J60 does inside its packet memory: DMA copy and checksum, self-test."""
from chips.bus import Deadline
from chips.enc28j60_regs import (
    EBSTCON,
    EBSTCS,
    EBSTSD,
    ECON1,
    EDMACS,
    EDMADST,
    EDMAND,
    EDMAST,
    ERXND,
    ERXST,
    ETXND,
    ETXST,
)

_CSUMEN, _TXRTS = 0x10, 0x08


class Dma:
    """`end` is armed while DMAST is set."""

    def __init__(self, chip):
        self.chip = chip
        self.end = Deadline(chip.time)
        self.endless = False
        self.sum = False            # checksum, not copy

    def reset(self):
        self.end.armed = self.endless = False

    def start(self):
        """DMAST goes up (34)."""
        chip = self.chip
        first, last = chip.pair(EDMAST), chip.pair(EDMAND)
        st, nd = chip.pair(ERXST), chip.pair(ERXND)
        n = last - first + 1
        if n <= 0:
            n += nd + 1 - st if st <= last and first <= nd else 8192
        self.endless = first == last or (first <= nd and last > nd)
        if self.endless:
            chip.violate("dma-block", "a block of one byte, or one whose end is out of reach")
            n = 8192
        self.sum = bool(chip.regs[ECON1] & _CSUMEN)
        if self.sum and chip.rxen() and chip.errata[17]:
            chip.violate("dma-checksum", "checksum while the receiver is on")
            chip.spoil_reception()
        self.end.start(0)
        if chip.tx.on_air():
            self.end.follow(chip.tx.finish, 0)
        ns = n * (40 if self.sum else 80)
        self.end.add(ns // 1000000, ns % 1000000)
        self.length = n
        if chip.time is None:
            self.service()

    def cancel(self):
        """DMAST is cleared by the host; DMAIF says the same as at the end."""
        if self.end.armed:
            self.end.armed = False
            self.chip.flag(0x20)

    def service(self):
        if not self.end.armed or not self.end.due():
            return
        chip = self.chip
        if self.endless and self.sum:
            return                  # never ends
        if self.sum:
            chip.set_pair(EDMACS, self.checksum())
        else:
            self.copy()
        if not self.endless:
            self.end.armed = False
            chip.regs[ECON1] &= 0xDF
            chip.flag(0x20)

    def copy(self):
        chip = self.chip
        ram = chip.ram
        st, nd = chip.pair(ERXST), chip.pair(ERXND)
        i, to = chip.pair(EDMAST), chip.pair(EDMADST)
        if chip.regs[ECON1] & _TXRTS:
            low, high = chip.pair(ETXST), chip.pair(ETXND)
            if to <= high and to + self.length > low:
                chip.violate("tx-busy", "DMA into the frame that is being sent")
        for _ in range(self.length):
            ram[to] = ram[i]
            to = (to + 1) & 0x1FFF
            i = st if i == nd else (i + 1) & 0x1FFF

    def checksum(self):
        chip = self.chip
        return checksum(chip.ram, chip.pair(EDMAST), self.length, chip.pair(ERXST),
                        chip.pair(ERXND))

    # --- self-test ---

    def self_test(self):
        """EBSTCON.BISTST is set: fill the memory, sum it up.

        The sum of an address fill, 0xF807, is known from silicon; the other fills are made up.
        """
        chip = self.chip
        regs = chip.regs
        if chip.rxen() or chip.regs[ECON1] & _TXRTS:
            chip.violate("self-test", "BISTST while receiver or transmitter are on")
        control, v = regs[EBSTCON], regs[EBSTSD]
        mode = control >> 2 & 3
        ram = chip.ram
        for i in range(8192):
            if mode == 0:
                v = (v * 5 + 29) & 255
                ram[i] = v
            elif mode == 1:
                ram[i] = i & 255
            else:
                ram[i] = v
                v = (v + (control >> 5)) & 255
        chip.set_pair(EBSTCS, checksum(ram, 0, 8192, 0, 0x1FFF))
        regs[EBSTCON] = control & 0xFE


def checksum(ram, i, n, st, nd):
    """The complemented Internet checksum of `n` bytes from `i`, wrapping as the DMA does."""
    total = 0
    for k in range(n):
        v = ram[i]
        total += v if k & 1 else v << 8
        if total > 0xFFFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        i = st if i == nd else (i + 1) & 0x1FFF
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
