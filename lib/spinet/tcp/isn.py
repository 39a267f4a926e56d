"""Initial sequence numbers and ephemeral ports (RFC 6528, RFC 6056), and the clock behind them."""
from hashlib import sha256

from spinet.prim import add32, get32, ticks_diff
from spinet.timers import Timer

DAYS_MS = 1 << 28   # three days


class Clock(Timer):
    """Milliseconds in 32 bits, of which timestamps and initial sequence numbers are made.

    Ticks have 30 bits, and differences of them 29: so it, and the clocks of silent connections,
    have to be looked at every few days, as long as there are connections (days.py).
    """

    def __init__(self, tcp):
        Timer.__init__(self)
        self._tcp = tcp
        self._ms = bytearray(4)
        self._read = tcp.timers.now
        self._seen = {}     # what days.py has seen

    def ms(self):
        """The time as 4 bytes in wire form; the same buffer each time."""
        now = self._tcp.timers.now
        add32(self._ms, 0, self._ms, 0, ticks_diff(now, self._read))
        self._read = now
        if self.due is None:
            self._tcp.timers.arm(self, DAYS_MS)
        return self._ms

    def expire(self, now):
        """Some days have passed."""
        if self._tcp.table:
            self.ms()
            try:
                from spinet.tcp.days import look

                self._seen = look(self._tcp, self._seen, now)
            except ImportError:
                pass        # left out of this board
            except MemoryError:
                self._tcp.count["no_memory"] += 1


class Secret:
    """A secret key, drawn once, from which numbers are made that cannot be guessed."""

    def __init__(self, random):
        self._random = random
        self._key = random(16)
        self._at = b""
        self._drawn = 0     # in the millisecond at hand

    def digest(self, local, lport, remote, rport, more=b""):
        """32 bytes that nobody else can make of two addresses, two ports and `more`."""
        ports = bytes((lport >> 8, lport & 255, rport >> 8, rport & 255))
        return sha256(self._key + bytes(local) + bytes(remote) + ports + more).digest()

    def isn(self, dst, i, ms, local, lport, remote, rport):
        """Write ISN = M + F(tuple, secret) into `dst[i:i+4]`; M ticks every 4 us.

        `ms` are the milliseconds of a clock of 32 bits, whose wrap M does not notice.  Within
        one M counts: a tuple that is used again at once does not begin at the same number.
        """
        if ms == self._at:
            self._drawn = (self._drawn + 1) % 250
        else:
            self._at = bytes(ms)
            self._drawn = 0
        dst[i:i + 4] = self.digest(local, lport, remote, rport)[:4]
        add32(dst, i, dst, i, get32(ms, 0) * 250 + self._drawn & 0xFFFFFFFF)

    def offset(self, local, lport, remote, rport):
        """4 secret bytes for one tuple: how far its timestamps are ahead of that clock."""
        return self.digest(local, lport, remote, rport)[4:8]

    def port(self, free):
        """An ephemeral port for which `free(port)` holds, or 0 (RFC 6056, algorithm 1)."""
        count = 65536 - 49152
        r = self._random(2)
        offset = (r[0] << 8 | r[1]) % count
        for i in range(count):
            port = 49152 + (offset + i) % count
            if free(port):
                return port
        return 0
