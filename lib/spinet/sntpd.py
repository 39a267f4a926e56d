"""A small SNTP server (RFC 4330, 6) for a network that has no other.

    d = sntpd.Server(stack)                     tells what `time.time()` says
    d = sntpd.Server(stack, client.time.now)    passes on what an SNTP client was told
"""
import time

from spinet.service import Service
from spinet.sntp import PORT, epoch

_ERA_1900 = 2208988800


def _clock():
    t = time.time()
    return int(t) + epoch(), int((t - int(t)) * 1000)


class Server(Service):
    """Answers with `now()`, (seconds since 1970, ms); `stratum` 1 to 15 says how good that is."""

    def __init__(self, stack, now=_clock, stratum=10):
        Service.__init__(self, stack, {
            "rx": 0, "tx": 0, "malformed": 0, "ignored": 0, "no_memory": 0, "not_sent": 0,
        })
        self.now = now
        self._out = out = bytearray(48)
        out[1] = stratum
        out[3] = 0xF6       # the clock ticks in ms
        out[12:16] = b"LOCL"
        self.bind(None, PORT)
        stack.services["sntpd"] = self

    def datagram(self, buf, h, start, end, sport):
        """A question: what it says of its own time goes back as it came."""
        if end - start < 48:
            raise ValueError
        version = buf[start] >> 3 & 7
        if buf[start] & 7 != 3 or not 1 <= version <= 4:
            self.count["ignored"] += 1
            return
        self.count["rx"] += 1
        out = self._out
        seconds, ms = self.now()
        # Seconds are modulo 2**32 since 1900: in 2036 they begin anew.
        seconds = seconds + _ERA_1900 & 0xFFFFFFFF
        fraction = (ms << 16) // 1000
        out[0] = version << 3 | 4
        out[2] = buf[start + 2]
        out[24:32] = buf[start + 40:start + 48]
        for i in (16, 32, 40):
            out[i:i + 4] = bytes((seconds >> 24, seconds >> 16 & 255, seconds >> 8 & 255,
                                  seconds & 255))
            out[i + 4] = fraction >> 8
            out[i + 5] = fraction & 255
        self.sendto(out, 0, 48, bytes(buf[h + 12:h + 16]), sport)
        self.count["tx"] += 1
