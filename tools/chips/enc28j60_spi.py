"""The SPI side of the modelled ENC28J60: instructions, reading registers, packet memory."""
from chips import enc28j60_regs as r
from chips.enc28j60_regs import ECON1, ECON2, EIR, ESTAT, ETH, KIND
from chips.enc28j60_write import BFC, BFS, WCR, Writes
from spinet.prim import copy

RCR, RBM, WBM, _ILLEGAL, SRC = 0, 1, 3, 6, 7
_JUNK = 0xA5        # on MISO where nothing is said
_AUTOINC, _PWRSV = 0x80, 0x20
# Made once: a tuple of names is built anew each time it is looked at.
_CONTROL = (RCR, WCR, BFS, BFC)
_DUMMY = (r.MAC, r.MII)


class Slave(Writes):
    """Base of the model: what happens while it is selected."""

    def select(self):
        self._op = -1
        time = self.time
        if time is not None:
            # Often enough: ten bytes on the line take that long.
            if time.ms == self._then_ms and 0 <= time.ns - self._then_ns < 8000:
                return
            self._then_ms = time.ms
            self._then_ns = time.ns
            self.service()

    def deselect(self):
        """(5) One instruction per period."""
        op = self._op
        self._op = -1
        if self.absent or self.impostor or op < 0:
            return
        pos = self._pos
        if op in _CONTROL:
            if not pos:
                self.violate("short-instruction", "CS rises before the data byte")
            elif op == RCR and KIND[self._where()] in _DUMMY and pos == 1:
                self.violate("dummy-byte", "MAC and MII registers come in byte 2")          # (1)
            elif self.hold_ns and KIND[self._where()] in _DUMMY and not self._hold.due():
                self.violate("cs-hold", "CS rises too early after a MAC or MII access")

    def transfer(self, out, into, n, fill, baudrate):
        """`n` bytes on the bus while selected."""
        if self.absent or self.impostor:
            self._other(into, n)
            return
        i = 0
        if self._op < 0 and n:
            v = fill if out is None else out[0]
            if into is not None:
                into[0] = _JUNK
            self._begin(v, baudrate)
            i = 1
        if i < n:
            op = self._op
            if op == RBM:
                if into is not None:
                    self._read_buffer(into, i, n)
                else:
                    self._skip(n - i)
            elif op == WBM:
                self._write_buffer(out, i, n, fill)
            else:
                self._control(op, out, into, i, n, fill, baudrate)
        if self.hold_ns and self.time is not None:
            self._hold.start(0, n * (8 * 10000000 // (baudrate // 100)) + self.hold_ns)
        if self.shift_above and baudrate > self.shift_above and into is not None:
            carry = 0
            for i in range(n):
                v = into[i]
                into[i] = (v >> 1) | carry
                carry = (v & 1) << 7

    def _other(self, into, n):
        """Nobody answers, or somebody else."""
        if into is None:
            return
        said = self.impostor or (b"\xff" if self.absent == "high" else b"\0")
        if self.absent:
            said = b"\xff" if self.absent == "high" else b"\0"
        for i in range(n):
            into[i] = said[i % len(said)]

    def _begin(self, v, baudrate):
        self._op = op = v >> 5
        self._arg = arg = v & 31
        self._pos = 0
        if baudrate > 20000000:
            self.violate("spi-clock", "%d Hz; 20 MHz is the limit" % baudrate)
        if op == _ILLEGAL or (op == RBM or op == WBM) and arg != 0x1A or op == SRC and arg != 0x1F:
            self.violate("opcode", "0x%02x is no instruction" % v)
        elif op == SRC:
            self._system_reset()

    def _where(self):
        """(4) The number of the register that the instruction names, by the bank selected."""
        arg = self._arg
        return arg if arg >= 0x1B else arg | (self.regs[ECON1] & 3) << 5

    def _control(self, op, out, into, i, n, fill, baudrate):
        while i < n:
            pos = self._pos
            self._pos = pos + 1
            v = _JUNK
            if op == RCR:
                if into is not None:
                    v = self._read(pos, baudrate)
            elif op == SRC or op == _ILLEGAL:
                pass
            elif pos:
                self.violate("extra-byte", "an instruction writes one byte")
            else:
                self._write(op, fill if out is None else out[i], baudrate)
            if into is not None:
                into[i] = v
            i += 1

    # --- reading registers ---

    def _read(self, pos, baudrate):
        i = self._where()
        kind = KIND[i]
        if kind == ETH or kind == r.NONE:
            if pos:
                self.violate("extra-byte", "ETH registers come in the first byte")          # (2)
                return self.regs[i] ^ 255
        elif kind == r.RESERVED:
            self.violate("reserved-register", "0x%02x read" % i)
            return 0
        elif pos != 1:
            return _JUNK                                                                    # (1)
        else:
            if not self.awake():
                self.violate("asleep" if self.regs[ECON2] & _PWRSV else "dead-time",
                             "MAC or MII register 0x%02x read" % i)
                return _JUNK
            if i == r.MISTAT:
                return self.phy.status()
            if i == r.MIRD or i == r.MIRD + 1:
                self.phy.result()
            v = self.regs[i]
            if self._slow_clock(baudrate) and self.dice.below(4) == 0:
                v ^= 1 << self.dice.below(8)
            return v
        if i == EIR:
            v = self._eir()
            if v & 0x40 and self.errata[6] and self.dice.below(2):
                v &= 0xBF                                                                   # (16)
            return v
        if i == ESTAT:
            v = self._status | (0 if self._int else 0x80)
            return v | 4 if self.rx.busy() else v
        if i == r.EPKTCNT:
            if self.time is None:
                self.service()
            return self.rx.pktcnt
        if i == r.EFLOCON:
            return self.regs[i] | (4 if self.regs[r.MACON3] & 1 else 0)
        return self.regs[i]

    def _slow_clock(self, baudrate):
        """Erratum 1: MAC accesses below 8 MHz, unless SCK comes from the chip's own clock."""
        return self.errata[1] and baudrate < 8000000 and 25000000 % baudrate

    # --- packet memory ---

    def _read_buffer(self, into, i, n):
        """(8) ERDPT wraps where it equals ERXND, and at the end of memory."""
        at = self.pair(r.ERDPT)
        ram = self.ram
        if not self.regs[ECON2] & _AUTOINC:
            while i < n:
                into[i] = ram[at]
                i += 1
            return
        nd = self.pair(r.ERXND)
        while i < n:
            k = (nd if at <= nd else 8191) + 1 - at
            if k > n - i:
                k = n - i
            copy(into, i, ram, at, k)
            i += k
            at = self._after(at, k, nd)
        self.set_pair(r.ERDPT, at)

    def _after(self, at, k, nd):
        at += k
        if at == nd + 1:
            return self.pair(r.ERXST)
        return at & 0x1FFF

    def _skip(self, n):
        """Bytes are clocked out of the memory and nobody looks."""
        nd = self.pair(r.ERXND)
        at = self.pair(r.ERDPT)
        if self.regs[ECON2] & _AUTOINC:
            while n:
                at = self._after(at, 1, nd)
                n -= 1
            self.set_pair(r.ERDPT, at)

    def _write_buffer(self, out, i, n, fill):
        """(9) EWRPT wraps at the end of memory only."""
        at = self.pair(r.EWRPT)
        last = at + n - i - 1
        if self.tx.sending and not self.tx.stalled:
            st, nd = self.pair(r.ETXST), self.pair(r.ETXND)
            if at <= nd and last >= st:
                self.violate("tx-busy", "WBM into the frame that is being sent")            # (25)
        st = self.pair(r.ERXST)
        if self.rxen() and (at <= self.pair(r.ERXND) and last >= st or last >= 8192 + st):
            self.violate("write-fifo", "WBM into the receive FIFO")                         # (37)
        ram = self.ram
        if not self.regs[ECON2] & _AUTOINC:
            ram[at] = fill if out is None else out[n - 1]
            return
        while i < n:
            k = min(n - i, 8192 - at)
            if out is None:
                for j in range(at, at + k):
                    ram[j] = fill
            else:
                copy(ram, at, out, i, k)
            i += k
            at = (at + k) & 0x1FFF
        self.set_pair(r.EWRPT, at)
