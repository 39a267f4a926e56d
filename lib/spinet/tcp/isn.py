"""Initial sequence numbers and ephemeral ports (RFC 6528, RFC 6056)."""
from hashlib import sha256

from spinet.prim import add32


class Secret:
    """A secret key, drawn once, from which numbers are made that cannot be guessed."""

    def __init__(self, random):
        self._random = random
        self._key = random(16)

    def _hash(self, local, lport, remote, rport):
        ports = bytes((lport >> 8, lport & 255, rport >> 8, rport & 255))
        return sha256(self._key + bytes(local) + bytes(remote) + ports).digest()

    def isn(self, dst, i, now, local, lport, remote, rport):
        """Write ISN = M + F(tuple, secret) into `dst[i:i+4]`; M ticks every 4 us."""
        dst[i:i + 4] = self._hash(local, lport, remote, rport)[:4]
        add32(dst, i, dst, i, now * 250 & 0xFFFFFFFF)

    def offset(self, local, lport, remote, rport):
        """4 secret bytes for one tuple: where its timestamps begin."""
        return self._hash(local, lport, remote, rport)[4:8]

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
