"""A WIZnet W5500 at register level: SPI slave, registers, resets, PHY, interrupts, packet memory.

`W5500Model(wire, time)` is a chip on a `chips.bus.SPI`; its Ethernet side is any port of the
project (`recv`, `send`).  Numbers (1) to (38) in comments are the behaviours of
`docs/w5500.md`, which says what of them is confirmed on silicon.  The sockets are in
`w5500_socket.py`, the address filter and the chip's own ARP and ping in `w5500_builtin.py`.

With a `Time` everything takes the time it takes: command acceptance, frames at line rate, PLL
lock, auto-negotiation.  With `time=None` all of it is done at once and frames are fetched from
the wire only when the host looks for them, a few at a time.
"""
from chips import w5500_engine as engine
from chips.bus import Deadline, Violation
from chips.w5500_builtin import answer, wanted
from chips.w5500_socket import Socket
from spinet.prim import copy

MEMORY = 16384      # bytes of packet memory, each way
_BURST = 8          # frames fetched at once without virtual time
_DEFAULTS = ((0x19, 0x07), (0x1A, 0xD0), (0x1B, 0x08), (0x1C, 0x28), (0x26, 0xFF), (0x27, 0xFF),
             (0x2E, 0xB8), (0x39, 0x04))


class W5500Model:
    """The chip.  `strict`: True raises `Violation` on illegal access, "log" appends the rule to
    `violations`, False just does what silicon would.

    wire        port for the Ethernet side: `recv(buf) -> n`, `send(buf, n) -> bool`
    time        `chips.bus.Time`, or None: no delays
    start       what OPEN sets the buffer pointers to (13)
    cr_ns       time until a command is accepted (8)
    pll_ms      from reset to the first sensible answer (7)
    soft_ms     the same after a reset by command; None: as long
    link_ms     from reset or cable to link (29)
    cable       is one plugged in?

    Variants where sources differ: `rsr_early` (RSR follows RX_RD before RECV, 17),
    `latch_masked` (Sn_IR only latches what Sn_IMR lets through, 21), `link_down_timeout` (SEND
    without link ends in TIMEOUT instead of nothing, 31), `max_rx` (1514 or 1518),
    `overcommit_damages` (buffers of more than 16 KB in all damage data, 33).

    Faults, all off: `absent` (None, "high", "low": MISO), `tear_rsr`, `tear_fsr` (this many torn
    reads, 12), `bad_lengths` (this many frames get `bad_length` as their length word, 19),
    `lost_sendok`, `tx_stalls` (this many SENDs), `cr_stuck` (commands are never accepted),
    `shift_above` (SPI clock in Hz from which reads arrive one bit late, 35), `deaf` and `mute`
    (nothing is received, no SEND ends: until the next "open" or "reset"), `overruns_damage` (a
    frame dropped because the buffer is full spoils the length word of this many frames after it),
    `damage_below` (SPI clock in Hz below which what is written to transmit memory is damaged).

    `count`: what happened on the wire side and to frames the chip dropped without a word.
    """

    def __init__(self, wire, time=None, strict=True, start=0xFFF0, cr_ns=2000, pll_ms=1,
                 link_ms=1500, cable=True, soft_ms=None):
        self.wire = wire
        self.time = time
        self.strict = strict
        self.violations = []
        self.start = start
        self.cr_ns = cr_ns
        self.pll_ms = pll_ms
        self.soft_ms = pll_ms if soft_ms is None else soft_ms
        self.link_ms = link_ms
        self._cable = cable
        self.rsr_early = self.latch_masked = self.link_down_timeout = self.cr_stuck = False
        self.max_rx = 1514
        self.overcommit_damages = True
        self.absent = None
        self.tear_rsr = self.tear_fsr = self.bad_lengths = self.lost_sendok = self.tx_stalls = 0
        self.bad_length = self.overruns_damage = 0
        self.shift_above = self.damage_below = 0
        self.deaf = self.mute = None
        self.on_int = None
        self.count = {
            "rx": 0, "rx_filtered": 0, "rx_full": 0, "rx_no_link": 0, "rx_closed": 0,
            "rx_too_long": 0, "rx_deaf": 0, "tx": 0, "tx_too_long": 0, "tx_no_link": 0,
            "answers": 0, "resets": 0, "violations": 0,
        }
        self.common = bytearray(0x40)
        self.rx_memory = bytearray(MEMORY)
        self.tx_memory = bytearray(MEMORY)
        self.frame = bytearray(1600)        # the frame that is coming in
        self.out = bytearray(1600)          # the frame that is going out
        self.sockets = [Socket(self, n) for n in range(8)]
        self.active = []                    # sockets that were ever given a command
        self._ready = Deadline(time)        # armed while in reset
        self._link = Deadline(time)         # armed while negotiating
        self._hold = Deadline(time)         # armed while INTn may not fall again
        self._arrival = Deadline(time)      # when the frame that is coming in is complete
        self._coming = 0                    # its length
        self._low = Deadline(time)          # earliest end of a reset pulse
        self._held = False                  # RSTn is low
        self._int = 1
        self._pos = 0
        self._head = bytearray(3)
        self._addr = self._control = self._left = 0
        self._power_on()

    # --- reset and power ---

    def _power_on(self):
        """(7) Registers at their defaults, sockets closed, nothing ready for a while."""
        common = self.common
        for i in range(len(common)):
            common[i] = 0
        for i, v in _DEFAULTS:
            common[i] = v
        for s in self.sockets:
            s.reset()
        self.overcommitted = False
        self.deaf = self.mute = None
        self.layout()
        self._phy_mode = 7
        self._coming = 0
        self._arrival.armed = self._hold.armed = False
        self._ready.start(self.pll_ms)
        self._renegotiate()
        self._set_int(1)
        self.count["resets"] += 1

    def brown_out(self):
        """Power fails and returns: all registers at reset values."""
        self._pos = 3
        self._control = 0x20        # a reserved block: the rest of a transfer goes nowhere
        self._power_on()

    def unplug(self, level="high"):
        """The chip is gone; MISO floats at `level` ("high" or "low")."""
        self.absent = level
        self._set_int(1)

    def replug(self):
        self.absent = None
        self.brown_out()

    def reset(self, level):
        """RSTn goes to `level`."""
        if self.absent:
            return
        if not level:
            self._held = True
            self._low.start(0, 500000)
            self._power_on()
        else:
            self._held = False
            if self.time is not None and not self._low.due():
                self.violate("reset-pulse", "RSTn low for less than 500 us")
            self._power_on()

    def _soft_reset(self):
        link = self._link.armed, self.linked
        mode = self._phy_mode
        self._power_on()
        self._ready.start(self.soft_ms)
        # Whether MR.RST restarts the PHY is not known; here it does not.
        self._link.armed, self.linked = link
        self._phy_mode = mode
        self.common[0] = 0x80

    def in_reset(self):
        if self._held:
            return True
        if self._ready.armed:
            if not self._ready.due():
                return True
            self._ready.armed = False
            self.common[0] &= 0x7F
        return False

    def violate(self, rule, text):
        """The host broke `rule`."""
        self.count["violations"] += 1
        if self.strict:
            if len(self.violations) < 1000:
                self.violations.append(rule)
            if self.strict is True:
                raise Violation(rule, text)

    # --- PHY (29) ---

    def cable(self, plugged):
        """Plug the cable in or pull it out."""
        self.service()
        self._cable = plugged
        self._renegotiate()

    def _renegotiate(self):
        self.linked = False
        self._link.armed = False
        if self._cable and self.common[0x2E] & 0x80 and self._phy_mode not in (5, 6):
            if self.time is None or not self.link_ms:
                self.linked = True
            else:
                self._link.start(self.link_ms)

    def _phy_read(self):
        v = self.common[0x2E] & 0xF8
        if self.linked:
            v |= 1
            if self._phy_mode in (2, 3, 4, 7):
                v |= 2
            if self._phy_mode in (1, 3, 7):
                v |= 4
        self.common[0x2E] = v

    def _phy_write(self, v):
        was = self.common[0x2E]
        self.common[0x2E] = (v & 0xF8) | (was & 7)
        if not v & 0x80:
            self.linked = False
            self._link.armed = False
        elif not was & 0x80:
            # The mode is taken over at the end of a reset pulse only.
            self._phy_mode = (v >> 3) & 7 if v & 0x40 else 7
            self._renegotiate()

    def wire_ns(self, n):
        """Line time of a frame of `n` bytes: preamble, FCS and gap included."""
        n = (n if n > 60 else 60) + 24
        return n * 80 if self._phy_mode in (2, 3, 4, 7) else n * 800

    # --- interrupts (22) ---

    def interrupts(self, s=None):
        """Recompute SIR (for socket `s`) and INTn."""
        common = self.common
        if s is not None:
            bit = 1 << s.n
            if s.regs[2] & s.regs[0x2C]:
                common[0x17] |= bit
            else:
                common[0x17] &= ~bit
        if common[0x15] & common[0x16] or common[0x17] & common[0x18]:
            if self._int and (not self._hold.armed or self._hold.due()):
                self._hold.armed = False
                self._set_int(0)
        elif not self._int:
            self._set_int(1)
            level = (common[0x13] << 8) | common[0x14]
            if level and self.time is not None:
                self._hold.start(0, (level + 1) * 80 // 3)

    def _set_int(self, level):
        if level != self._int:
            self._int = level
            if self.on_int is not None:
                self.on_int(level)

    def int_level(self):
        """The level of INTn now."""
        self.service()
        return self._int

    @property
    def pollable(self):
        return getattr(self.wire, "pollable", None)

    # --- time and the wire ---

    def service(self):
        """Do what became due and take what the wire has."""
        if self.absent or self.in_reset():
            return
        if self.time is None:
            self._fetch()
            return
        if self._link.armed and self._link.due():
            self._link.armed = False
            self.linked = True
        for s in self.active:
            if s.accept.armed and s.accept.due():
                s.accepted()
            if s.finish.armed and s.finish.due():
                s.finished()
            if s.retry.armed and s.retry.due():
                engine.due(s)
        arrival = self._arrival
        while True:
            n = self._coming
            if n:
                if not arrival.due():
                    break
                self._coming = 0
                self._arrive(self.frame, n)
            n = self.wire.recv(self.frame)
            if not n:
                arrival.start(0)        # the line is idle: the next frame may begin now
                break
            if not arrival.armed:
                arrival.start(0)
            self._coming = n
            arrival.add(0, self.wire_ns(n))
        if self._hold.armed and self._hold.due():
            self.interrupts()

    def _fetch(self):
        s = self.sockets[0]
        if s.sending:
            s.finished()
        if s.rx_rd == s.rx_wr and (s.regs[3] == 0x42 or len(self.active) > 1):
            frame = self.frame
            k = _BURST
            while k:
                n = self.wire.recv(frame)
                if not n:
                    break
                self._arrive(frame, n)
                k -= 1

    def _arrive(self, frame, n):
        """A frame of `n` bytes is complete."""
        if not self.linked:
            self.count["rx_no_link"] += 1
            return
        if n > self.max_rx:
            self.count["rx_too_long"] += 1
            return
        while n < 60:                   # no shorter frame exists on a wire (16)
            frame[n] = 0
            n += 1
        common = self.common
        if common[0x0F] | common[0x10] | common[0x11] | common[0x12]:
            answer(self, frame, n)
        s = self.sockets[0]
        if len(self.active) > 1 or s.regs[3] != 0x42:
            engine.arrived(self, frame, n)
        if s.regs[3] != 0x42:
            self.count["rx_closed"] += 1
        elif self.deaf:
            self.count["rx_deaf"] += 1
        elif wanted(common, s.mode, frame):
            s.deliver(frame, n)
        else:
            self.count["rx_filtered"] += 1

    # --- SPI (1) ---

    def select(self):
        self._pos = 0
        if self.time is not None:
            self.service()

    def deselect(self):
        if 0 < self._pos < 3 and not self.absent:
            self.violate("short-frame", "SCSn high after %d bytes" % self._pos)     # (38)

    def transfer(self, out, into, n, fill, baudrate):
        """`n` bytes on the bus while selected."""
        if self.absent:
            _fill(into, 0, n, 255 if self.absent == "high" else 0)
            return
        pos = self._pos
        i = 0
        while i < n:
            if pos < 3:
                self._head[pos] = fill if out is None else out[i]
                pos += 1
                if into is not None:
                    into[i] = pos       # (4)
                i += 1
                if pos == 3:
                    self._begin()
                continue
            k = n - i
            if self._left >= 0:
                if k >= self._left:     # (5) fixed length: then a new header begins
                    k = self._left
                    pos = 0
                self._left -= k
            self._data(out, into, i, k, fill)
            self._addr = (self._addr + k) & 0xFFFF
            i += k
        self._pos = pos
        if self.damage_below and baudrate < self.damage_below and self._control & 0x1C == 0x14:
            self.tx_memory[self._addr & (MEMORY - 1)] ^= 0x40
        if self.shift_above and baudrate > self.shift_above and into is not None:
            self._shift(into, n)

    def _begin(self):
        head = self._head
        self._addr = (head[0] << 8) | head[1]
        self._control = head[2]
        om = head[2] & 3
        self._left = -1 if not om else 4 if om == 3 else om

    def _data(self, out, into, i, k, fill):
        control = self._control
        if self.in_reset():
            if control & 4:
                self.violate("in-reset", "write before the chip is ready")
            else:
                _fill(into, i, k, 0)
                if into is not None and not control >> 3 and not self._addr:
                    into[i] = self.common[0] & 0x80
            return
        kind = (control >> 3) & 3
        if control & 4:
            if into is not None:
                _fill(into, i, k, 0xA5)             # (2)
            if kind == 1:
                self.sockets[control >> 5].write(self._addr, out, i, k, fill)
            elif kind == 2:
                self.sockets[control >> 5].write_tx(self._addr, out, i, k, fill)
            elif kind == 3:
                self.violate("write-rx", "the host wrote to a receive buffer")      # (32)
            elif control >> 5:
                self.violate("reserved-block", "BSB %d" % (control >> 3))           # (3)
            else:
                self._write_common(self._addr, out, i, k, fill)
            return
        if into is None:
            if kind == 0 and control >> 5:
                self.violate("reserved-block", "BSB %d" % (control >> 3))
            else:
                self.violate("read-ignored", "data sent in a read frame, to no effect")     # (2)
            return
        if kind == 1:
            if self.time is None and control < 0x20:
                self.service()
            self.sockets[control >> 5].read(self._addr, into, i, k)
        elif kind == 2:
            s = self.sockets[control >> 5]
            s.ring_read(self.tx_memory, s.tx_base, s.tx_size, self._addr, into, i, k)
        elif kind == 3:
            s = self.sockets[control >> 5]
            s.ring_read(self.rx_memory, s.rx_base, s.rx_size, self._addr, into, i, k)   # (34)
        elif control >> 5:
            _fill(into, i, k, 0)
            self.violate("reserved-block", "BSB %d" % (control >> 3))
        else:
            self._read_common(self._addr, into, i, k)

    def _read_common(self, addr, into, i, k):
        if addr + k > 0x3A:
            self.violate("reserved-register", "common register 0x%04x read" % (addr + k - 1))
            _fill(into, i, k, 0)
            k = 0x3A - addr
            if k <= 0:
                return
        self._phy_read()
        copy(into, i, self.common, addr, k)

    def _write_common(self, addr, out, i, k, fill):
        common = self.common
        end = i + k
        while i < end:
            v = fill if out is None else out[i]
            if addr == 0:
                common[0] = v
                if v & 0x80:
                    self._soft_reset()
                    return
            elif addr == 0x15:
                common[addr] &= ~v          # (23)
                self.interrupts()
            elif addr == 0x2E:
                self._phy_write(v)
            elif addr == 0x17 or addr >= 0x28:      # (24)
                self.violate("read-only", "common register 0x%04x written" % addr)
            else:
                common[addr] = v
                if addr == 0x16 or addr == 0x18:
                    self.interrupts()
            addr += 1
            i += 1

    def _shift(self, into, n):
        """(35) The host samples one bit late."""
        carry = 0
        for i in range(n):
            v = into[i]
            into[i] = (v >> 1) | carry
            carry = (v & 1) << 7

    # --- packet memory ---

    def layout(self):
        """Where each socket's buffers lie, from their size registers; (33) if that is too much."""
        rx = tx = 0
        for s in self.sockets:
            s.rx_size = s.regs[0x1E] * 1024
            s.tx_size = s.regs[0x1F] * 1024
            s.rx_base = min(rx, MEMORY - s.rx_size)
            s.tx_base = min(tx, MEMORY - s.tx_size)
            rx += s.rx_size
            tx += s.tx_size
        self.overcommitted = rx > MEMORY or tx > MEMORY


def _fill(into, i, k, value):
    if into is not None:
        end = i + k
        while i < end:
            into[i] = value
            i += 1
