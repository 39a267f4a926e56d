"""WIZnet W5500 in MACRAW mode on any `machine.SPI`: a port that moves whole Ethernet frames.

    port = W5500(SPI(0, 24_000_000), cs=Pin(17), reset=Pin(20), irq=Pin(21))

Socket 0 has all 16 + 16 KB of packet memory; the chip's own TCP/IP is switched off.  The driver
keeps RX_RD and TX_WR in RAM, compares them with the chip's whenever it reads how much is waiting,
and compares every register that matters twice a second: a chip that was reset, unplugged or
upset is set up again without anything above noticing more than lost frames.

No call waits for the chip longer than a few register polls, allocates per frame, or raises.
`count` says what happened; `docs/w5500.md` says what each counter means.
"""
from spinet.ports.spichip import SpiPort
from spinet.prim import copy, ticks_add, ticks_diff, ticks_ms

_TEND_MS = 500          # link poll and register check
_FALLBACK_MS = 100      # look for frames even if the interrupt line says there are none
_STUCK_MS = 50          # a SEND or a command that takes longer will never end
_WAIT_MS = 10           # for a command of a repair, the only thing that is waited for
_POLLS = 64             # register polls per wait of anything else
_MOST = 4096            # and per wait of a repair, whatever the clock says

_MIN, _MAX = 60, 1514
_SIZE = 16384

# SPI frames: address, control byte, data.  The `_ASK_`s are read by `write_readinto`.
_ASK = b"\x00\x26\x08\x00\x00\x00\x00\x00\x00"          # RSR, RX_RD, RX_WR
_ASK_STATE = b"\x00\x01\x08\x00\x00\x00"                  # CR, IR, SR
_ASK_SHAR = b"\x00\x09\x00\x00\x00\x00\x00\x00\x00"
_CLEAR_RECV = b"\x00\x02\x0c\x04"
_CLEAR_SENT = b"\x00\x02\x0c\x18"
_SEND = b"\x00\x01\x0c\x20"
_RECV = b"\x00\x01\x0c\x40"
_OPEN = b"\x00\x01\x0c\x01"
_CLOSE = b"\x00\x01\x0c\x10"
_ZEROS = bytes(_MIN)
_CLEAR_ALL = b"\x00\x02\x0c\xff"
_SOFT_RESET = b"\x00\x00\x04\x80"

_PATTERNS = (
    b"\x00\x09\x04\x55\xaa\x55\xaa\x55\xaa", b"\x00\x09\x04\xaa\x55\xaa\x55\xaa\x55",
    b"\x00\x09\x04\x00\xff\x00\xff\x00\xff", b"\x00\x09\x04\x80\x01\x80\x01\x7f\xfe",
    b"\x00\x09\x04\x0f\xf0\xc3\x3c\x99\x66", b"\x00\x09\x04\x01\x02\x04\x08\x10\x20",
)

class W5500(SpiPort):
    """A port; the arguments not explained here are those of `spichip.SpiPort`.

    promiscuous   take every frame, whatever its destination

    Raises OSError, which names what was read, if no W5500 answers; ValueError for a MAC address
    that is zero or a multicast one.
    """

    def __init__(self, spi, cs, *, irq=None, reset=None, mac=None, promiscuous=False,
                 lock=None, spi_init=None, clock=ticks_ms, sleep=None):
        self.count = {
            "rx": 0, "tx": 0, "rx_bad_length": 0, "rx_too_long": 0, "rx_torn": 0,
            "rx_pointer": 0, "rx_full": 0, "rx_silent": 0, "tx_bad_size": 0, "tx_no_link": 0,
            "tx_lost": 0, "tx_late": 0, "tx_timeout": 0, "tx_stuck": 0, "sendok_lost": 0,
            "command_late": 0, "command_timeout": 0, "socket_lost": 0, "registers_lost": 0,
            "absent": 0, "irq_missed": 0, "spi_errors": 0, "link_up": 0, "link_down": 0,
            "bus_busy": 0, "reopen": 0, "setup": 0, "reset": 0,
        }
        SpiPort.__init__(self, spi, cs, irq, reset, mac, lock, spi_init, clock, sleep)
        self._promiscuous = promiscuous
        self._mode = 0x04 if promiscuous else 0xB4      # Sn_MR: see `filter`
        self._program = _program(self.mac)
        self._open_mode = bytearray(b"\x00\x00\x0c\x00")              # write Sn_MR
        self._point_rx = bytearray(b"\x00\x28\x0c\x00\x00")           # write RX_RD
        self._point_tx = bytearray(b"\x00\x24\x0c\x00\x00")           # write TX_WR
        self._said = bytearray(9)
        self._state_said = bytearray(6)
        self._ask_sizes = bytearray(b"\x00\x1e\x08\x00\x00")      # read both Sn_...BUF_SIZE
        self._sizes_said = bytearray(5)
        self._head = bytearray(3)
        self._two = bytearray(2)
        self._regs = bytearray(0x3A)        # common registers as last read
        self._socket_regs = bytearray(0x30) # those of socket 0
        self._short = bytearray(_MIN)
        self._rd = self._wr = 0         # RX_RD, TX_WR
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
        self._reconfigure = False       # Sn_MR is to change
        self._look_at = clock()
        self._begin()

    # --- the port ---

    def recv(self, buf):
        """Take one frame: its length, 0 if none waits.  `buf` should hold 1514 bytes."""
        avail = self._avail
        if not avail:
            avail = self._look()
            if not avail:
                return 0
        if buf is not self._rx_buf:
            self._adopt_rx(buf)
        spi = self._spi
        cs = self._cs
        rd = self._rd
        head = self._head
        head[0] = rd >> 8
        head[1] = rd & 255
        head[2] = 0x18
        # Length and frame in one burst: the chip goes on counting addresses between the calls.
        cs(0)
        spi.write(head)
        head = self._two
        spi.readinto(head)
        n = (head[0] << 8) | head[1]
        if n < 62 or n > 1520 or n > avail:
            cs(1)
            self._repair("rx_bad_length")
            return 0
        fits = n - 2 <= len(buf)
        if fits:
            spi.readinto(self._rx_views[(n - 3) >> 6])
        cs(1)
        # Also tells whether the chip was alive so far: otherwise that was no frame.
        if not self._accepted():
            return 0
        rd = (rd + n) & 0xFFFF
        self._rd = rd
        self._avail = avail - n
        head = self._point_rx
        head[3] = rd >> 8
        head[4] = rd & 255
        cs(0)
        spi.write(head)
        cs(1)
        cs(0)
        spi.write(_RECV)
        cs(1)
        self._command = True
        if not fits:
            self.count["rx_too_long"] += 1
            return 0
        self.count["rx"] += 1
        return n - 2

    def send(self, buf, n):
        """Send `buf[0:n]`: False if the last frame is still on its way, try again shortly.

        A frame that cannot be sent (no link, no chip, wrong size) is dropped and counted.
        """
        if not self._linked and self._still_no_link():
            return True
        if n < _MIN:
            if n < 14:
                self.count["tx_bad_size"] += 1
                return True
            data = self._short
            copy(data, 0, buf, 0, n)
            while n < _MIN:
                data[n] = 0
                n += 1
        elif n > _MAX:
            self.count["tx_bad_size"] += 1
            return True
        else:
            data = None
            if buf is self._tx_buf or self._adopt_tx(buf):
                data = self._tx_views[(n - 1) >> 6]
        spi = self._spi
        cs = self._cs
        wr = self._wr
        head = self._head
        head[0] = wr >> 8
        head[1] = wr & 255
        head[2] = 0x14
        cs(0)
        spi.write(head)
        if data is not None:
            spi.write(data)
        else:
            self._write_pieces(buf, n)
        cs(1)
        return self._launch(n)

    def sendv(self, pieces):
        """As `send`, of the frame that `pieces` (a sequence of buffers) make up together."""
        n = 0
        for piece in pieces:
            n += len(piece)
        if n < 14 or n > _MAX:
            self.count["tx_bad_size"] += 1
            return True
        if not self._linked and self._still_no_link():
            return True
        spi = self._spi
        cs = self._cs
        head = self._head
        head[0] = self._wr >> 8
        head[1] = self._wr & 255
        head[2] = 0x14
        cs(0)
        spi.write(head)
        for piece in pieces:
            spi.write(piece)
        if n < _MIN:
            spi.write(_ZEROS)
            n = _MIN
        cs(1)
        return self._launch(n)

    def _still_no_link(self):
        """Look again, if it is time; is a frame to be dropped?"""
        now = self._clock()
        if ticks_diff(now, self._at) >= 0:
            self._tend(now)
            if self._linked:
                return False
        self.count["tx_no_link"] += 1
        return True

    def _write_pieces(self, buf, n):
        """`buf[0:n]` over the bus without a view of it; the end is padded with what was there."""
        data = self._short
        i = 0
        while i < n:
            k = n - i
            copy(data, 0, buf, i, k if k < _MIN else _MIN)
            self._spi.write(data)
            i += _MIN

    def _launch(self, n):
        """Let the `n` bytes at TX_WR go, as one frame."""
        # While they went over the bus the last frame has most likely left.
        if self._sending and not self._sent():
            if self._linked:
                return False
            self.count["tx_lost"] += 1
            return True
        if self._command and not self._accepted():
            if self._slow:
                return False
            self.count["tx_lost"] += 1
            return True
        spi = self._spi
        cs = self._cs
        wr = (self._wr + n) & 0xFFFF
        self._wr = wr
        point = self._point_tx
        point[3] = wr >> 8
        point[4] = wr & 255
        cs(0)
        spi.write(point)
        cs(1)
        cs(0)
        spi.write(_SEND)
        cs(1)
        self._command = True
        self._sending = True
        self.count["tx"] += 1
        return True

    def filter(self, groups):
        """Take frames to these groups (6-byte addresses) too.

        The chip knows no single groups: it lets through those of IPv4, those of IPv6, or, where
        others are wanted, everything.  Until then not even 01:00:5E:00:00:01: only who is in
        another group has to answer for it.  Frames that wait in the chip at a change are lost.
        """
        if self._promiscuous:
            return
        mode = 0xB4                     # MACRAW, MFEN, and MMB, MIP6B against what is not wanted
        for mac in groups:
            if mac[0] == 1 and mac[1] == 0 and mac[2] == 0x5E:
                if mac[3] or mac[4] or mac[5] != 1:
                    mode &= ~0x20
            elif mac[0] == 0x33 and mac[1] == 0x33:
                mode &= ~0x10
            else:
                mode &= ~0x80
        if not mode & 0x80:
            mode = 0x04
        if mode != self._mode:
            self._mode = mode
            self._reconfigure = True
            self._at = self._clock()

    # --- receive ---

    def _look(self):
        """Bytes waiting in the chip, 0 too when the interrupt line says there are none."""
        now = self._clock()
        if ticks_diff(now, self._at) >= 0:
            self._tend(now)
        if self._state:
            return 0
        missed = False
        if self._irq is not None:
            if not self._edge and self._irq():
                if ticks_diff(now, self._look_at) < 0:
                    return 0
                missed = True
            self._edge = False
            self._look_at = ticks_add(now, _FALLBACK_MS)
            # Before looking, not after: a frame that comes in between sets it again.
            self._write(_CLEAR_RECV)
        if self._command and not self._accepted():
            self._edge = True       # not looked yet
            return 0
        n = self._size()
        if n:
            self._avail = n
            if missed:
                self.count["irq_missed"] += 1
            if n > _SIZE - 1516:
                self.count["rx_full"] += 1
        return n

    def _size(self):
        """RSR, believed only if RX_RD is where it should be."""
        cs = self._cs
        spi = self._spi
        said = self._said
        last = -1
        tries = 8
        while tries:
            cs(0)
            spi.write_readinto(_ASK, said)
            cs(1)
            n = (said[3] << 8) | said[4]
            rd = (said[5] << 8) | said[6]
            # The size may change between its two bytes: believe it when the pointers say the same,
            # and only if they never do (nobody documents RX_WR well) when it reads the same twice.
            if n == ((((said[7] << 8) | said[8]) - rd) & 0xFFFF) or (n == last and tries < 4):
                break
            last = n
            self.count["rx_torn"] += 1
            tries -= 1
        if rd != self._rd or n > _SIZE or not tries:
            self._repair("rx_pointer")
            return 0
        return n

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
        step = self._too_quiet(now)
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
