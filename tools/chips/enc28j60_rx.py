"""The receiver of the modelled ENC28J60: the line, the filters, the ring in packet memory."""
from binascii import crc32

from chips.bus import Deadline
from chips.enc28j60_regs import (
    EHT0,
    EPMCS,
    EPMM0,
    EPMO,
    ERXFCON,
    ERXND,
    ERXRDPT,
    ERXST,
    ERXWRPT,
    MAADR,
    MACON1,
    MACON3,
    MAMXFL,
)
from spinet.prim import copy, eq6, ticks_diff

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_PAUSE = b"\x01\x80\xc2\x00\x00\x01"
_UCEN, _ANDOR, _CRCEN, _PMEN, _MPEN, _HTEN, _MCEN, _BCEN = 128, 64, 32, 16, 8, 4, 2, 1
_WRONG = (0x1234, 0xFFFF, 0x0001, 0x0040)
_BURST = 4          # frames fetched at once without virtual time ...
_ROOM = 1530        # ... while there is so much room


def hash_bit(mac, i=0):
    """The bit of the hash table for the address at `mac[i]`: bits 28 to 23 of its CRC-32.

    Two halves of 16 bits, because a word of 32 does not fit a small integer.
    """
    hi = lo = 0xFFFF
    for k in range(i, i + 6):
        v = mac[k]
        for _ in range(8):
            out = (hi >> 15) ^ (v & 1)
            v >>= 1
            hi = ((hi << 1) & 0xFFFF) | (lo >> 15)
            lo = (lo << 1) & 0xFFFF
            if out:
                hi ^= 0x04C1
                lo ^= 0x1DB7
    return (hi >> 7) & 63


class Receiver:
    """`wr` is the chip's own write pointer, which the host sees only after a good packet (17)."""

    def __init__(self, chip):
        self.chip = chip
        self.frame = bytearray(2100)
        self.fcs = bytearray(4)
        self.arrival = Deadline(chip.time)  # when the frame that is coming in is complete
        self.coming = 0                     # its length
        self.hears = False                  # was the receiver on when it began?
        self.wr = 0
        self.pktcnt = 0

    def reset(self):
        """All of it, as at power-on."""
        self.pktcnt = 0
        self.wr = 0
        self.abort()

    def abort(self):
        """RXRST, or the chip's reset: the frame in progress is lost."""
        self.hears = False

    def load(self):
        """(18) A write of ERXST or ERXND loads the write pointer; erratum 5: perhaps with 0."""
        chip = self.chip
        start = chip.pair(ERXST)
        if start and chip.errata[5] and chip.dice.below(2):
            start = 0
        self.wr = start

    def busy(self):
        """Is a frame coming in that the receiver hears?"""
        return self.coming != 0 and self.hears

    def on(self):
        """(20) Can anything be received?"""
        chip = self.chip
        return (chip.rxen() and chip.regs[MACON1] & 1 and chip.phy.linked and chip.awake()
                and not chip.phy.con1 & 0x4000)

    # --- the line ---

    def service(self):
        chip = self.chip
        arrival = self.arrival
        tx = chip.tx
        while True:
            n = self.coming
            if n:
                if not arrival.due():
                    return
                self.coming = 0
                if self.hears:
                    self.arrive(self.frame, n)
                else:
                    chip.count["rx_off"] += 1
            if chip.half_duplex():
                # The line is ours until the frame has left; then the others come.
                if tx.on_air():
                    if not tx.finish.due():
                        return
                    tx.service()
                if tx.left:
                    tx.left = False
                    if later(tx.finish, arrival):
                        arrival.follow(tx.finish, 0)
            n = chip.wire.recv(self.frame)
            if not n:
                arrival.start(0)        # the line is idle: the next frame may begin now
                return
            if not arrival.armed:
                arrival.start(0)
            self.coming = n
            self.hears = self.on()
            arrival.add(0, wire_ns(n))

    def fetch(self):
        """Without virtual time: what the wire has and the ring holds, when the last was taken."""
        chip = self.chip
        if not self.pktcnt and self.on():
            k = _BURST
            while k and self.free() >= _ROOM:
                n = chip.wire.recv(self.frame)
                if not n:
                    return
                self.arrive(self.frame, n)
                k -= 1

    def arrive(self, frame, n, good=True):
        """A frame of `n` bytes, its FCS good or not, is complete."""
        chip = self.chip
        count = chip.count
        if n < 60 and not chip.runts:
            while n < 60:               # no station sends shorter ones
                frame[n] = 0
                n += 1
        if chip.deaf or (chip.spoils and not chip.dice.below(4)):
            count["rx_deaf"] += 1
        elif n + 4 < 18:
            count["rx_runt"] += 1                                                   # (36)
        elif n + 4 > chip.pair(MAMXFL) and not chip.regs[MACON3] & 4:
            count["rx_too_long"] += 1
        elif self.paused(frame, n):
            count["rx_pause"] += 1
        elif not self.wanted(frame, n):
            count["rx_filtered"] += 1
        elif not good and chip.regs[ERXFCON] & _CRCEN:
            count["rx_bad_crc"] += 1
        else:
            self.store(frame, n, good)

    def paused(self, frame, n):
        """A PAUSE frame makes the transmitter wait, and is shown to the host with PASSALL only."""
        chip = self.chip
        if (n < 18 or frame[12] != 0x88 or frame[13] != 0x08 or not eq6(frame, 0, _PAUSE, 0)
                or frame[14] or frame[15] != 1):
            return False
        macon1 = chip.regs[MACON1]
        if macon1 & 4 and not chip.half_duplex():
            chip.tx.hold(frame[16] << 8 | frame[17])
        return not macon1 & 2

    # --- filters (21) ---

    def wanted(self, frame, n):
        chip = self.chip
        regs = chip.regs
        which = regs[ERXFCON]
        if not which & 0x9F:
            return True
        hits = 0
        if which & _UCEN and self.ours(frame, 0):
            hits |= _UCEN
        if which & _BCEN and eq6(frame, 0, _BROADCAST, 0):
            hits |= _BCEN
        if which & _MCEN and frame[0] & 1:
            hits |= _MCEN
        if which & _HTEN and (not hits or which & _ANDOR):
            bit = hash_bit(frame)
            if regs[EHT0 + (bit >> 3)] >> (bit & 7) & 1:
                hits |= _HTEN
        if which & _MPEN and self.magic(frame, n):
            hits |= _MPEN
        if which & _PMEN and self.matches(frame, n):
            hits |= _PMEN
        return hits == which & 0x9F if which & _ANDOR else hits != 0

    def ours(self, frame, i):
        regs = self.chip.regs
        return (frame[i] == regs[MAADR[0]] and frame[i + 1] == regs[MAADR[1]]
                and frame[i + 2] == regs[MAADR[2]] and frame[i + 3] == regs[MAADR[3]]
                and frame[i + 4] == regs[MAADR[4]] and frame[i + 5] == regs[MAADR[5]])

    def magic(self, frame, n):
        """A magic packet for our address: six FF, then 16 times the address."""
        for i in range(12, n - 101):
            if frame[i] == 255 and eq6(frame, i, _BROADCAST, 0):
                k = 6
                while k < 102 and self.ours(frame, i + k):
                    k += 6
                if k == 102:
                    return True
        return False

    def matches(self, frame, n):
        """The pattern filter; erratum 18: it lets wrong packets through."""
        chip = self.chip
        regs = chip.regs
        at = chip.pair(EPMO)
        if n + 4 < at + 64:
            return False
        total = 0
        k = 0
        for i in range(64):
            if regs[EPMM0 + (i >> 3)] >> (i & 7) & 1:
                v = frame[at + i]
                total += v if k & 1 else v << 8
                k += 1
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        if total ^ 0xFFFF == chip.pair(EPMCS):
            return True
        return chip.errata[18] and chip.dice.below(8) == 0

    # --- the ring ---

    def free(self):
        """Bytes up to the fence."""
        chip = self.chip
        rd = chip.pair(ERXRDPT)
        wr = self.wr
        if wr > rd:
            return chip.pair(ERXND) - chip.pair(ERXST) - (wr - rd)
        if wr == rd:
            return chip.pair(ERXND) - chip.pair(ERXST)
        return rd - wr - 1

    def store(self, frame, n, good):
        """(12) to (14), (19): header, frame, FCS, pad; or RXERIF."""
        chip = self.chip
        start = self.wr
        need = 10 + n + (n & 1)
        if need > self.free() or self.pktcnt == 255:
            chip.count["rx_full"] += 1
            chip.overflow()
            return
        st = chip.pair(ERXST)
        size = chip.pair(ERXND) + 1 - st
        following = start + need
        if following >= st + size:
            following -= size
        ram = chip.ram
        shown = following
        if chip.bad_next:
            chip.bad_next -= 1
            shown = _WRONG[chip.dice.below(4)] ^ (following if chip.bad_next & 1 else 0)
            if shown == following:
                shown ^= 0x40
            chip.count["bad_next"] += 1
        head = chip.head
        count = n + 4
        head[0] = shown & 255
        head[1] = shown >> 8
        head[2] = count & 255
        head[3] = count >> 8
        kind = frame[12] << 8 | frame[13]
        status = 0x80 if good else 0x10
        if kind > 1500:
            status |= 0x40
        elif chip.regs[MACON3] & 2 and n > 60 and kind != n - 14:
            status |= 0x20
        head[4] = status
        status = 0
        if frame[0] & 1:
            status = 2 if eq6(frame, 0, _BROADCAST, 0) else 1
        if kind == 0x8808:
            status |= 0x08
            if frame[14] == 0 and frame[15] == 1:
                status |= 0x10
            else:
                status |= 0x20
        elif kind == 0x8100:
            status |= 0x40
        head[5] = status
        fcs = self.fcs
        if chip.fcs:
            v = crc32(memoryview(frame)[0:n])
            for k in range(4):
                fcs[k] = v >> (8 * k) & 255
        if not good:
            fcs[0] ^= 0x55
        at = self.put(start, head, 6)
        at = self.put(at, frame, n)
        self.put(at, fcs, 4)
        if n & 1:
            ram[following - 1 if following > st else st + size - 1] = 0
        self.wr = following
        chip.set_pair(ERXWRPT, following)
        self.pktcnt += 1
        chip.count["rx"] += 1
        chip.interrupts()

    def put(self, at, data, n):
        """Into the ring, wrapping from ERXND to ERXST; where the next byte goes."""
        chip = self.chip
        st = chip.pair(ERXST)
        end = chip.pair(ERXND) + 1
        ram = chip.ram
        k = end - at
        if 0 < k <= n:
            copy(ram, at, data, 0, k)
            if n > k:
                copy(ram, st, data, k, n - k)
            return st + n - k
        k = min(n, 8192 - at)
        copy(ram, at, data, 0, k)
        return (at + n) & 0x1FFF


def later(a, b):
    """Is the Deadline `a` after `b`?"""
    d = ticks_diff(a.ms, b.ms)
    return d > 0 or d == 0 and a.ns > b.ns


def wire_ns(n):
    """Line time of a frame of `n` bytes: preamble, FCS and gap included."""
    return ((n if n > 60 else 60) + 24) * 800
