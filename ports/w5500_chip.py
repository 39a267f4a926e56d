"""A W5500 that is kept in MACRAW mode: set up, watched, repaired.  `w5500.py` moves the frames.

SPI frames are address, control byte, data: the tables of `docs/w5500.md` say more.
"""
from spinet.ports.spichip import SpiPort
from spinet.prim import ticks_add, ticks_diff

_TEND_MS = 500          # link poll and register check
_STUCK_MS = 50          # a SEND or a command that takes longer will never end
_WAIT_MS = 10           # for a command of a repair, the only thing that is waited for
_POLLS = 64             # register polls per wait of anything else
_MOST = 4096            # and per wait of a repair, whatever the clock says

# What is read by `write_readinto` has room for the answer.
_ASK_STATE = b"\x00\x01\x08\x00\x00\x00"                  # CR, IR, SR
_ASK_SHAR = b"\x00\x09\x00\x00\x00\x00\x00\x00\x00"
_CLEAR_SENT = b"\x00\x02\x0c\x18"
_CLEAR_ALL = b"\x00\x02\x0c\xff"
_OPEN = b"\x00\x01\x0c\x01"
_CLOSE = b"\x00\x01\x0c\x10"
_SOFT_RESET = b"\x00\x00\x04\x80"

_PATTERNS = (
    b"\x00\x09\x04\x55\xaa\x55\xaa\x55\xaa", b"\x00\x09\x04\xaa\x55\xaa\x55\xaa\x55",
    b"\x00\x09\x04\x00\xff\x00\xff\x00\xff", b"\x00\x09\x04\x80\x01\x80\x01\x7f\xfe",
    b"\x00\x09\x04\x0f\xf0\xc3\x3c\x99\x66", b"\x00\x09\x04\x01\x02\x04\x08\x10\x20",
)


class Chip(SpiPort):
    """Socket 0 in MACRAW with all the memory, `_rd` and `_wr` what RX_RD and TX_WR should be.

    `_mode` is what Sn_MR becomes when the socket is opened next; `_reconfigure` has that done soon.
    """

    _keeps_link = True

    def __init__(self, spi, cs, irq, reset, mac, lock, spi_init, clock, sleep, mode):
        self.count = {
            "rx": 0, "tx": 0, "rx_bad_length": 0, "rx_too_long": 0, "rx_torn": 0,
            "rx_pointer": 0, "rx_full": 0, "rx_silent": 0, "tx_bad_size": 0, "tx_no_link": 0,
            "tx_lost": 0, "tx_late": 0, "tx_timeout": 0, "tx_stuck": 0, "sendok_lost": 0,
            "command_late": 0, "command_timeout": 0, "socket_lost": 0, "registers_lost": 0,
            "absent": 0, "irq_missed": 0, "spi_errors": 0, "link_up": 0, "link_down": 0,
            "bus_busy": 0, "reopen": 0, "setup": 0, "reset": 0,
        }
        SpiPort.__init__(self, spi, cs, irq, reset, mac, lock, spi_init, clock, sleep)
        self._mode = mode
        self._program = _program(self.mac)
        self._open_mode = bytearray(b"\x00\x00\x0c\x00")          # write Sn_MR
        self._ask_sizes = bytearray(b"\x00\x1e\x08\x00\x00")      # read both Sn_...BUF_SIZE
        self._sizes_said = bytearray(5)
        self._said = bytearray(9)
        self._state_said = bytearray(6)
        self._head = bytearray(3)
        self._regs = bytearray(0x3A)        # common registers as last read
        self._socket_regs = bytearray(0x30) # those of socket 0
        self._rd = self._wr = 0
        self._avail = 0                 # bytes known to wait from RX_RD on
        self._command = False           # a command may not have been accepted yet
        self._slow = False              # ... which is noticed; patience ends at `_late_at`
        self._sending = False           # SENDOK of the last SEND was not seen yet
        self._late = False              # ... which is noticed; the same
        self._late_at = 0
        self._other = 0                 # the one of the other sockets that was checked last
        self._trouble = False           # something was repaired since the last check
        self._strikes = 0               # repairs since one of them helped
        self._rx_then = -1              # `count["rx"]` at the last one that receiving needed
        self._tx_strikes = 0            # the same for sending, until a frame has left
        self._reconfigure = False

    # --- waits, all bounded ---

    def _idle(self):
        """Has the chip taken the last command?"""
        cs = self._cs
        spi = self._spi
        said = self._state_said
        tries = 1 if self._slow else _POLLS
        while tries:
            cs(0)
            spi.write_readinto(_ASK_STATE, said)
            cs(1)
            if not said[3]:
                self._command = False
                return True
            tries -= 1
        return False

    def _accepted(self):
        """The same, and is the socket open?  If not, that is looked into."""
        if self._idle():
            self._slow = False
            if self._state_said[5] == 0x42:
                return True
            self._check(self._clock())
        elif not self._slow:
            self._slow = True
            self._late_at = ticks_add(self._clock(), _STUCK_MS)
            self.count["command_late"] += 1
        elif ticks_diff(self._clock(), self._late_at) >= 0:
            self._repair("command_timeout")
        return False

    def _sent(self):
        """Has the last frame left?"""
        cs = self._cs
        spi = self._spi
        said = self._state_said
        tries = 1 if self._late else _POLLS
        while tries:
            cs(0)
            spi.write_readinto(_ASK_STATE, said)
            cs(1)
            if said[5] != 0x42:
                break
            if not said[3]:
                self._command = False
            if said[4] & 0x18:
                if said[4] & 0x08:
                    self.count["tx_timeout"] += 1
                cs(0)
                spi.write(_CLEAR_SENT)
                cs(1)
                self._sending = self._late = False
                if self._tx_strikes:
                    self._tx_strikes = 0
                return True
            tries -= 1
        now = self._clock()
        if said[5] != 0x42:
            self._check(now)
        elif not self._late:
            self._late = True
            self._late_at = ticks_add(now, _STUCK_MS)
            self.count["tx_late"] += 1
        elif ticks_diff(now, self._late_at) >= 0:
            self._check(now)            # a lost link explains it; what it does not is repaired
        return False

    # --- twice a second ---

    def _check(self, now):
        """Link and health."""
        self._at = ticks_add(now, _TEND_MS)
        self._read_common()
        regs = self._regs
        if regs[0x39] != 4:
            self.count["absent"] += 1
            self._begin_reset(now)
            return
        want = self._program[0]
        i = 0
        while i < 0x15 and regs[i] == want[i + 3]:
            i += 1
        if (
            i < 0x15 or regs[0x16] or regs[0x18] != 1 or regs[0x19] != 7
            or regs[0x2E] & 0xC0 != 0x80 or self._memory_taken()
        ):
            self._repair("registers_lost")
            return
        linked = regs[0x2E] & 1 == 1
        regs = self._socket_regs
        self._read_socket()
        if (
            regs[0] != self._open_mode[3] or regs[3] != 0x42 or regs[0x1E] != 16
            or regs[0x1F] != 16 or regs[0x2C] != 4
            or (regs[0x28] << 8) | regs[0x29] != self._rd
            or (regs[0x24] << 8) | regs[0x25] != self._wr
        ):
            self._repair("socket_lost")
            return
        if linked != self._linked:
            self.count["link_up" if linked else "link_down"] += 1
            # What was sent into a dead link would leave together with the next frame.
            if linked and self._sending and not regs[2] & 0x18:
                self._reopen()
            self._linked = linked
        if self._sending and self._linked and not regs[2] & 0x18:
            if not self._late:
                self._late = True
                self._late_at = ticks_add(now, _STUCK_MS)
                self.count["tx_late"] += 1
            elif ticks_diff(now, self._late_at) < 0:
                pass
            elif regs[0x22] == regs[0x24] and regs[0x23] == regs[0x25]:
                self.count["sendok_lost"] += 1
                self._sending = self._late = False
            else:
                self._repair("tx_stuck")
                return
        step = self._too_quiet(now, regs[0x26] | regs[0x27])
        if step == 2:
            if not self._set_up():
                self._begin_reset(now)
        elif step > 2:
            self._begin_reset(now, step == 4)
        elif step or self._reconfigure:
            self._reopen()
        if not self._trouble and self.count["rx"] != self._rx_then:
            self._strikes = 0
        self._trouble = False

    def _memory_taken(self):
        """Does one of the other sockets, each in its turn, have memory that is socket 0's?"""
        self._other = other = self._other % 7 + 1
        ask = self._ask_sizes
        ask[2] = 0x08 | other << 5
        said = self._sizes_said
        cs = self._cs
        cs(0)
        self._spi.write_readinto(ask, said)
        cs(1)
        return said[3] or said[4]

    def _read_common(self):
        head = self._head
        head[0] = head[1] = head[2] = 0
        self._read(head, self._regs)

    def _read_socket(self):
        head = self._head
        head[0] = head[1] = 0
        head[2] = 0x08
        self._read(head, self._socket_regs)

    def _read(self, head, into):
        cs = self._cs
        cs(0)
        self._spi.write(head)
        self._spi.readinto(into)
        cs(1)

    # --- repair ---

    def _repair(self, why):
        """Count the trouble, and do the least that helped not already: reopen, set up, reset."""
        self.count[why] += 1
        self._avail = 0
        self._trouble = True
        if why == "tx_stuck":
            self._tx_strikes = strikes = self._tx_strikes + 1
        else:
            self._strikes = strikes = self._strikes + 1
            self._rx_then = self.count["rx"] if why == "rx_bad_length" else -1
        if strikes <= 4:
            self._read_common()
            if self._regs[0x39] == 4:       # else nobody is there who could be helped
                if why != "registers_lost" and strikes <= 2 and self._reopen():
                    return
                if self._set_up():
                    return
        self._begin_reset(self._clock())

    def _write(self, data):
        cs = self._cs
        cs(0)
        self._spi.write(data)
        cs(1)

    def _do(self, command):
        """A socket command; Sn_SR once the chip has taken it, -1 if it does not."""
        if self._command and not self._wait():
            return -1
        self._write(command)
        self._command = True
        return self._state_said[5] if self._wait() else -1

    def _wait(self):
        """Wait until the last command is taken; was it?"""
        end = ticks_add(self._clock(), _WAIT_MS)
        tries = _MOST
        while not self._idle():
            tries -= 1
            if not tries or ticks_diff(self._clock(), end) >= 0:
                return False
        return True

    def _shut(self):
        self._do(_CLOSE)

    def _reopen(self):
        """Close and open socket 0: what waited in the chip is lost.  Did it work?"""
        self.count["reopen"] += 1
        self._avail = 0
        self._sending = self._late = self._slow = self._reconfigure = False
        if self._do(_CLOSE) != 0:
            return False
        self._open_mode[3] = self._mode
        self._write(self._open_mode)
        self._write(_CLEAR_ALL)
        if self._do(_OPEN) != 0x42:
            return False
        # "Initialised", but nobody promises to what.
        self._read_socket()
        regs = self._socket_regs
        self._rd = (regs[0x28] << 8) | regs[0x29]
        self._wr = (regs[0x24] << 8) | regs[0x25]
        self._edge = True
        return regs[0x1E] == 16 and regs[0x1F] == 16

    def _set_up(self):
        """Program every register, as after a reset.  Did it work?"""
        self.count["setup"] += 1
        regs = self._regs
        self._read_common()
        if regs[0x39] != 4 or not self._wires() or self._do(_CLOSE) != 0:
            return False
        if not regs[0x2E] & 1 or regs[0x2E] & 0xC0 != 0x80:
            # Perhaps somebody set a PHY mode: what the pins say counts after a reset pulse.
            self._write(b"\x00\x2e\x04\x38")
            self._write(b"\x00\x2e\x04\xb8")
        for data in self._program:
            self._write(data)
        self._at = self._clock()        # the link may not be what it was
        return self._reopen()

    def _wires(self):
        """Do patterns written to SHAR read back?"""
        said = self._said
        for data in _PATTERNS:
            self._write(data)
            cs = self._cs
            cs(0)
            self._spi.write_readinto(_ASK_SHAR, said)
            cs(1)
            i = 3
            while i < 9:
                if said[i] != data[i]:
                    self.count["spi_errors"] += 1
                    return False
                i += 1
        return True

    def _forget(self):
        """The chip is about to be reset."""
        self._avail = 0
        self._command = self._slow = self._sending = self._late = False

    def _soft_reset(self):
        self._write(_SOFT_RESET)

    def _awake(self):
        """Has the chip finished its reset?"""
        self._read_common()
        regs = self._regs
        return regs[0x39] == 4 and not regs[0] and regs[0x19] == 7

    def _complaint(self):
        v = self._regs[0x39]
        return "no W5500: version register reads 0x%02x%s" % (
            v,
            " (MISO stuck high?)" if v == 255
            else " (MISO stuck low, or held in reset?)" if not v
            else ", but other registers come out wrong (SPI clock too fast?)" if v == 4
            else " (SPI clock too fast?)",
        )


def _program(mac):
    """What `_set_up` writes, made once: a repair must not need the heap."""
    out = [
        # MR = no ping reply, GAR = SUBR = 0, SHAR, SIPR = 0 (no ARP reply), INTLEVEL = 0,
        # IR cleared, IMR = 0
        b"\x00\x00\x04\x10" + bytes(8) + mac + bytes(6) + b"\xff\x00",
    ]
    for n in range(1, 8):
        out.append(bytes((0, 0x1E, (1 + 4 * n) << 3 | 4, 0, 0)))    # no memory for sockets 1 to 7
    out.append(b"\x00\x1e\x0c\x10\x10")     # all of it for socket 0
    out.append(b"\x00\x2c\x0c\x04")         # S0_IMR: RECV
    out.append(b"\x00\x18\x04\x01")         # SIMR: socket 0
    return out
