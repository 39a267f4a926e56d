"""Initial sequence numbers and ephemeral ports (RFC 6528, RFC 6056)."""
from hashlib import sha256

from spinet.prim import add32, get32


class Secret:
    """A secret key, drawn once, from which numbers are made that cannot be guessed."""

    def __init__(self, random):
        self._random = random
        self._key = random(16)

    def digest(self, local, lport, remote, rport, more=b""):
        """32 bytes that nobody else can make of two addresses, two ports and `more`."""
        ports = bytes((lport >> 8, lport & 255, rport >> 8, rport & 255))
        return sha256(self._key + bytes(local) + bytes(remote) + ports + more).digest()

    def isn(self, dst, i, ms, local, lport, remote, rport):
        """Write ISN = M + F(tuple, secret) into `dst[i:i+4]`; M ticks every 4 us.

        `ms` are the milliseconds of a clock of 32 bits, whose wrap M does not notice.
        """
        dst[i:i + 4] = self.digest(local, lport, remote, rport)[:4]
        add32(dst, i, dst, i, get32(ms, 0) * 250 & 0xFFFFFFFF)

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
