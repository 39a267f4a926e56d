"""One socket of the modelled W5500: registers, commands, ring buffers, MACRAW.

What UDP and TCP sockets do beyond that is in `w5500_engine.py`.
"""
from chips import w5500_engine as engine
from chips.bus import Deadline
from chips.w5500_states import (
    CLOSE_WAIT, CLOSED, CON, DISCON, ESTABLISHED, INIT, IPRAW, LISTEN, MACRAW, RECV, SENDOK,
    SYNRECV, TIMEOUT, UDP,
)
from spinet.prim import copy

# Made once: a tuple of names is built anew each time it is looked at.
_OPEN_STATES = (INIT, UDP, IPRAW, MACRAW)
_SENDING_STATES = (MACRAW, UDP, ESTABLISHED, CLOSE_WAIT, IPRAW)

_DEFAULTS = ((0x06, 255), (0x07, 255), (0x08, 255), (0x09, 255), (0x0A, 255), (0x0B, 255),
             (0x16, 0x80), (0x1E, 2), (0x1F, 2), (0x20, 0x08), (0x2C, 0xFF), (0x2D, 0x40))
_READ_ONLY = (0x03, 0x20, 0x21, 0x22, 0x23, 0x26, 0x27, 0x2A, 0x2B)
_RESERVED = (0x14, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D)


class Socket:
    """Socket `n`: `regs` is what the host reads; the rest is what the chip knows."""

    def __init__(self, chip, n):
        self.chip = chip
        self.n = n
        self.regs = bytearray(0x30)
        self.accept = Deadline(chip.time)       # armed while a command waits to be accepted
        self.finish = Deadline(chip.time)       # armed while a frame is on the wire
        self.retry = Deadline(chip.time)        # armed while the engine waits for an answer
        self.tries = 0
        self.far = None                         # what a TCP connection's other end does
        self.rx_base = self.rx_size = self.tx_base = self.tx_size = 0

    def reset(self):
        regs = self.regs
        for i in range(len(regs)):
            regs[i] = 0
        for i, v in _DEFAULTS:
            regs[i] = v
        self.accept.armed = self.finish.armed = self.retry.armed = False
        self.sending = False
        self.mode = 0               # Sn_MR as it was at OPEN (26)
        self.tx_rd = 0              # sent up to here
        self.tx_end = 0             # the SEND under way ends here
        self.rx_rd = 0              # freed up to here
        self.rx_wr = 0              # received up to here
        self.last_rsr = self.last_fsr = 0       # before the latest change, for torn reads

    # --- registers ---

    def read(self, addr, into, i, k):
        end = addr + k
        if end > 0x30:
            self.chip.violate("reserved-register", "socket register 0x%04x read" % (end - 1))
            for j in range(i, i + k):
                into[j] = 0
            k = 0x30 - addr
            if k <= 0:
                return
        copy(into, i, self.regs, addr, k)
        # (12) The high byte is as it was before the latest change.
        chip = self.chip
        if chip.tear_rsr and addr <= 0x26 and end > 0x27:
            at = i + 0x26 - addr
            if into[at] != self.last_rsr >> 8:
                chip.tear_rsr -= 1
                into[at] = self.last_rsr >> 8
        if chip.tear_fsr and addr <= 0x20 and end > 0x21:
            chip.tear_fsr -= 1
            into[i + 0x20 - addr] = self.last_fsr >> 8

    def write(self, addr, out, i, k, fill):
        end = i + k
        while i < end:
            v = fill if out is None else out[i]
            if addr == 0x01:
                self._command(v)
            elif addr == 0x02:
                self.regs[2] &= ~v              # (23)
                self.chip.interrupts(self)
            elif addr in _READ_ONLY:            # (24)
                self.chip.violate("read-only", "socket register 0x%04x written" % addr)
            elif addr >= 0x30 or addr in _RESERVED:
                self.chip.violate("reserved-register", "socket register 0x%04x written" % addr)
            else:
                self._store(addr, v)
            addr += 1
            i += 1

    def _store(self, addr, v):
        chip = self.chip
        regs = self.regs
        if addr == 0x00:
            if regs[3] and v != regs[0]:
                chip.violate("mode-while-open", "Sn_MR written while the socket is open")
        elif addr == 0x1E or addr == 0x1F:
            if v not in (0, 1, 2, 4, 8, 16):    # (14)
                chip.violate("buffer-size", "a buffer of %d KB" % v)
                return
            if regs[3]:
                chip.violate("size-while-open", "buffer size written while the socket is open")
        regs[addr] = v
        if addr == 0x24 or addr == 0x25:
            self._fsr()
        elif addr == 0x1E:
            chip.layout()
        elif addr == 0x1F:
            chip.layout()
            self._fsr()
        elif addr == 0x2C:
            chip.interrupts(self)
        elif chip.rsr_early and (addr == 0x28 or addr == 0x29):
            self._rsr((regs[0x28] << 8) | regs[0x29])

    def _fsr(self):
        regs = self.regs
        wr = (regs[0x24] << 8) | regs[0x25]
        self.last_fsr = (regs[0x20] << 8) | regs[0x21]
        n = self.tx_size - ((wr - self.tx_rd) & 0xFFFF)     # (11)
        if n < 0:
            n = 0
        regs[0x20] = n >> 8
        regs[0x21] = n & 255

    def _rsr(self, rd):
        regs = self.regs
        self.last_rsr = (regs[0x26] << 8) | regs[0x27]
        n = (self.rx_wr - rd) & 0xFFFF
        regs[0x26] = n >> 8
        regs[0x27] = n & 255

    def _pointer(self, addr, v):
        self.regs[addr] = v >> 8
        self.regs[addr + 1] = v & 255

    def event(self, bits):
        """Latch `bits` in Sn_IR."""
        regs = self.regs
        if self.chip.latch_masked:
            bits &= regs[0x2C]
        regs[2] |= bits                         # (21)
        self.chip.interrupts(self)

    # --- commands (8) ---

    def _command(self, v):
        chip = self.chip
        if self.regs[1]:
            chip.violate("command-busy", "command 0x%02x before the last was accepted" % v)
            return
        if not v:
            return
        self.regs[1] = v
        if self not in chip.active:
            chip.active.append(self)
        if chip.cr_stuck:
            return
        self.accept.start(0, chip.cr_ns)
        if self.accept.due():
            self.accepted()

    def accepted(self):
        """The chip takes the command."""
        regs = self.regs
        chip = self.chip
        v = regs[1]
        regs[1] = 0
        self.accept.armed = False
        state = regs[3]
        if v == 0x20 or v == 0x21:
            self._send(state, v)
        elif v == 0x40:
            rd = (regs[0x28] << 8) | regs[0x29]
            if ((rd - self.rx_rd) & 0xFFFF) > ((self.rx_wr - self.rx_rd) & 0xFFFF):
                chip.violate("rx-rd-beyond", "RX_RD moved past RX_WR")
            self.rx_rd = rd                     # (17)
            self._rsr(rd)
        elif v == 0x01:
            self._open(state)
        elif v == 0x10:
            self.shut()
        elif not engine.command(self, v, state):
            chip.violate("command", "command 0x%02x in state 0x%02x" % (v, state))

    def _open(self, state):
        regs = self.regs
        chip = self.chip
        if state:
            chip.violate("open-not-closed", "OPEN in state 0x%02x" % state)
            return
        self.mode = regs[0]
        p = regs[0] & 15
        if p == 4 and self.n:                   # (25)
            chip.violate("macraw-socket", "MACRAW on socket %d" % self.n)
            return
        if p < 1 or p > 4:
            chip.violate("mode", "OPEN with protocol %d" % p)
            return
        if chip.overcommitted:                  # (33)
            chip.violate("buffer-sum", "more than 16 KB of buffers")
        regs[3] = _OPEN_STATES[p - 1]
        if chip.deaf == "open":
            chip.deaf = None
        if chip.mute == "open":
            chip.mute = None
        self._start(chip.start)

    def _start(self, start):
        """(13), (37)"""
        self.tx_rd = self.tx_end = self.rx_rd = self.rx_wr = start
        self.sending = self.finish.armed = self.retry.armed = False
        self._pointer(0x22, start)
        self._pointer(0x24, start)
        self._pointer(0x28, start)
        self._pointer(0x2A, start)
        self._rsr(start)
        self._fsr()

    # --- transmit ---

    def _send(self, state, v):
        regs = self.regs
        chip = self.chip
        if state not in _SENDING_STATES or (v == 0x21 and state != UDP):
            chip.violate("send-state", "SEND in state 0x%02x" % state)
            return
        if self.sending:                        # (9)
            chip.violate("send-before-sendok", "SEND while the last frame is on its way")
            return
        wr = (regs[0x24] << 8) | regs[0x25]
        n = (wr - self.tx_rd) & 0xFFFF
        if not n:
            chip.violate("send-empty", "SEND with TX_WR = TX_RD")
        elif n > self.tx_size:
            chip.violate("tx-overfill", "%d bytes in a buffer of %d" % (n, self.tx_size))
        elif state == MACRAW and n > 1514:      # (10)
            chip.violate("send-too-long", "a frame of %d bytes" % n)
        self.tx_end = wr
        self.sending = True
        if not chip.linked:                     # (31)
            chip.count["tx_no_link"] += 1
            if chip.link_down_timeout:
                self.sending = False
                self.event(TIMEOUT)
            return
        if chip.tx_stalls:
            chip.tx_stalls -= 1
            return
        if chip.mute:
            return
        if state == UDP:
            if n > engine.MOST:
                chip.violate("send-too-long", "a datagram of %d bytes" % n)
            engine.send(self, v)
            if chip.time is None and self.finish.armed:
                self.finished()
            return
        if self.far and state != MACRAW:
            engine.expect(self)
            return
        self.finish.follow(self.accept, chip.wire_ns(n if n < 1515 else 60))
        if chip.time is None:
            self.finished()

    def finished(self):
        """The frame has left."""
        chip = self.chip
        if not self.finish.armed:
            return
        if not chip.linked:
            self.finish.armed = False
            chip.count["tx_no_link"] += 1
            return
        if self.regs[3] == MACRAW:
            n = (self.tx_end - self.tx_rd) & 0xFFFF
            if n > 1514:
                chip.count["tx_too_long"] += 1
            elif n:
                out = chip.out
                self.ring_read(chip.tx_memory, self.tx_base, self.tx_size, self.tx_rd, out, 0, n)
                if chip.overcommitted and chip.overcommit_damages:
                    out[n >> 1] ^= 0xFF
                while n < 60:
                    out[n] = 0
                    n += 1
                if not chip.wire.send(out, n) and chip.time is None:
                    return              # the wire is busy: try again at the next look
                chip.count["tx"] += 1
        elif self.regs[3] == UDP:
            engine.emit(self)
        self.taken()
        if chip.lost_sendok:
            chip.lost_sendok -= 1
        else:
            self.event(SENDOK)

    def taken(self):
        """The transmit buffer is empty again."""
        self.finish.armed = self.sending = False
        self.tx_rd = self.tx_end
        self._pointer(0x22, self.tx_rd)
        self._fsr()

    def write_tx(self, addr, out, i, k, fill):
        """The host writes `k` bytes to the transmit buffer (14)."""
        chip = self.chip
        size = self.tx_size
        if not size or k > size:
            chip.violate("tx-size", "%d bytes into a buffer of %d" % (k, size))
            return
        if self.sending:
            d = (addr - self.tx_rd) % size
            if d < ((self.tx_end - self.tx_rd) & 0xFFFF) or d + k > size:
                chip.violate("tx-overwrite", "a frame that has not left is overwritten")
        memory = chip.tx_memory
        base = self.tx_base
        at = addr & (size - 1)
        if out is None:
            while k:
                memory[(base + at) & 0x3FFF] = fill
                at = (at + 1) & (size - 1)
                k -= 1
            return
        n = size - at
        if n >= k:
            copy(memory, base + at, out, i, k)
        else:
            copy(memory, base + at, out, i, n)
            copy(memory, base, out, i + n, k - n)

    # --- receive ---

    def deliver(self, frame, n):
        """A frame of `n` bytes for MACRAW: length word (16), then the frame."""
        chip = self.chip
        size = self.rx_size
        if n + 2 > size - ((self.rx_wr - self.rx_rd) & 0xFFFF):
            chip.count["rx_full"] += 1          # (18)
            if chip.overruns_damage:
                chip.overruns_damage -= 1
                chip.bad_lengths += 1
            return
        length = n + 2
        if chip.bad_lengths:                    # (19)
            chip.bad_lengths -= 1
            length = chip.bad_length
        if chip.overcommitted and chip.overcommit_damages:
            frame[n >> 1] ^= 0xFF
        memory = chip.rx_memory
        base = self.rx_base
        at = self.rx_wr & (size - 1)
        memory[base + at] = length >> 8
        at = (at + 1) & (size - 1)
        memory[base + at] = length & 255
        at = (at + 1) & (size - 1)
        k = size - at
        if k >= n:
            copy(memory, base + at, frame, 0, n)
        else:
            copy(memory, base + at, frame, 0, k)
            copy(memory, base, frame, k, n - k)
        self._received(n + 2)
        chip.count["rx"] += 1

    def _received(self, n):
        regs = self.regs
        wr = self.rx_wr = (self.rx_wr + n) & 0xFFFF
        regs[0x2A] = wr >> 8
        regs[0x2B] = wr & 255
        self._rsr((regs[0x28] << 8) | regs[0x29] if self.chip.rsr_early else self.rx_rd)
        self.event(RECV)                        # (20)

    def ring_read(self, memory, base, size, addr, into, i, k):
        """Bytes of a ring buffer from raw pointer `addr`, as often around as asked (14)."""
        if not size:
            for j in range(i, i + k):
                into[j] = 0
            return
        at = addr & (size - 1)
        while k:
            n = size - at
            if n > k:
                n = k
            copy(into, i, memory, base + at, n)
            i += n
            k -= n
            at = 0

    # --- what a peer does (15), (36) ---

    def shut(self):
        """The socket is closed."""
        self.regs[3] = CLOSED
        self.sending = self.finish.armed = self.retry.armed = False

    def peer_syn(self, addr, port):
        """Somebody connects to a listening socket, which becomes the connection."""
        if self.regs[3] == LISTEN:
            self.regs[3] = SYNRECV
            copy(self.regs, 0x0C, addr, 0, 4)
            self._pointer(0x10, port)

    def establish(self):
        """The peer answered: the connection stands, the pointers begin anew."""
        self.regs[3] = ESTABLISHED
        self._start((self.chip.start + 0x1234) & 0xFFFF)
        self.event(CON)

    def peer_data(self, data):
        """Bytes of the stream, without any header; False if there is no room for them."""
        if len(data) > self.rx_size - ((self.rx_wr - self.rx_rd) & 0xFFFF):
            return False
        self._store_rx(data)
        return True

    def peer_fin(self):
        """The peer sends no more."""
        if self.regs[3] == ESTABLISHED:
            self.regs[3] = CLOSE_WAIT
            self.event(DISCON)

    def peer_reset(self):
        """The peer resets the connection, or refuses it."""
        self.shut()
        self.event(DISCON)

    def deliver_udp(self, source, port, payload):
        """A datagram from `source` (4 bytes) and `port` arrives."""
        n = len(payload)
        data = bytes(source) + bytes((port >> 8, port & 255, n >> 8, n & 255)) + bytes(payload)
        if len(data) > self.rx_size - ((self.rx_wr - self.rx_rd) & 0xFFFF):
            self.chip.count["rx_full"] += 1
            return
        self._store_rx(data)

    def _store_rx(self, data):
        memory = self.chip.rx_memory
        for k in range(len(data)):
            memory[self.rx_base + ((self.rx_wr + k) & (self.rx_size - 1))] = data[k]
        self._received(len(data))
