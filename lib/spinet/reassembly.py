"""Reassembly of fragmented datagrams (RFC 791, RFC 815, RFC 1122 3.3.2).

Overlapping fragments are what attacks are made of and no honest sender makes:
a fragment that overlaps another, but for an exact repetition of one, drops the
datagram and all that still comes of it, as RFC 5722 demands for IPv6.
A datagram that is not complete after 30 seconds is dropped, and its sender
told if the first fragment was there.
"""
from spinet.prim import BUFFER, copy, eq4
from spinet.timers import Timer

TIMEOUT_MS = 30000
_COUNT = 16         # datagrams at once


class _Datagram(Timer):
    """A datagram of which some fragments are here, as [offset, end, bytes] in order."""

    def __init__(self, owner, key):
        Timer.__init__(self)
        self.owner = owner
        self.key = key
        self.header = None      # of the first fragment
        self.parts = []
        self.total = -1         # payload bytes, once the last fragment is here
        self.size = 0           # bytes held
        self.bad = False        # it overlapped: what still comes is dropped too

    def expire(self, now):
        """It has taken too long."""
        self.owner.late(self)


class Reassembly:
    """The fragments of one interface, `bytes_max` bytes of them at most.

    `count` is IPv4's, `late(buf, h, end)` is told of the first fragment of
    what came too late.
    """

    def __init__(self, timers, count, late):
        self.timers = timers
        self.count = count
        self._late = late
        self.bytes_max = 2 * BUFFER if BUFFER > 32768 else 4 * BUFFER
        self.held = 0
        self.datagrams = []

    def add(self, buf, h, start, end):
        """Take the fragment `buf[h:end]` with its payload at `start`.

        Returns the whole packet, header and all, in a new buffer when this was
        the last piece, else None.
        """
        count = self.count
        field = buf[h + 6] << 8 | buf[h + 7]
        more = field & 0x2000
        at = (field & 0x1FFF) << 3
        n = end - start
        if n == 0 or at + n > 65515 or more and n & 7:
            count["bad_fragment"] += 1
            return None
        d = self._find(buf, h)
        if d is None:
            d = self._open(buf, h)
        if d.bad:
            count["overlap"] += 1
            return None
        if not self._fits(d, at, at + n, more):
            return None
        if self.held + n > self.bytes_max and not self._make_room(d, n):
            count["reassembly_full"] += 1
            self._close(d)
            return None
        self._keep(d, buf, h, start, at, n, more)
        return self._whole(d)

    def _find(self, buf, h):
        for d in self.datagrams:
            key = d.key
            if (eq4(buf, h + 12, key, 0) and eq4(buf, h + 16, key, 4) and buf[h + 4] == key[8]
                    and buf[h + 5] == key[9] and buf[h + 9] == key[10]):
                return d
        return None

    def _open(self, buf, h):
        if len(self.datagrams) >= _COUNT:
            self.count["reassembly_full"] += 1
            self._close(self.datagrams[0])
        key = bytes(buf[h + 12:h + 20]) + bytes(buf[h + 4:h + 6]) + bytes(buf[h + 9:h + 10])
        d = _Datagram(self, key)
        self.datagrams.append(d)
        self.timers.arm(d, TIMEOUT_MS)
        return d

    def _fits(self, d, at, end, more):
        """Whether bytes `at` to `end` are new and agree with what is known of the length."""
        for a, b, _ in d.parts:
            if a == at and b == end:
                self.count["duplicate_fragment"] += 1
                return False
            if a < end and at < b:
                self._spoil(d)
                return False
        if d.total >= 0 and (end > d.total or not more) or (
                not more and d.parts and d.parts[-1][1] > end):
            self._spoil(d)
            return False
        return True

    def _spoil(self, d):
        self.count["overlap"] += 1
        self.held -= d.size
        d.size = 0
        d.parts = []
        d.header = None
        d.bad = True

    def _make_room(self, d, n):
        """Drop older datagrams until `n` bytes fit; False if they cannot."""
        for other in list(self.datagrams):
            if self.held + n <= self.bytes_max:
                break
            if other is not d and other.size:
                self.count["reassembly_full"] += 1
                self._close(other)
        return self.held + n <= self.bytes_max

    def _keep(self, d, buf, h, start, at, n, more):
        part = bytearray(n)
        copy(part, 0, buf, start, n)
        i = 0
        while i < len(d.parts) and d.parts[i][0] < at:
            i += 1
        d.parts.insert(i, (at, at + n, part))
        d.size += n
        self.held += n
        if not more:
            d.total = at + n
        if at == 0:
            d.header = bytearray(start - h)
            copy(d.header, 0, buf, h, start - h)

    def _whole(self, d):
        if d.total < 0 or d.size != d.total or d.header is None:
            return None
        hl = len(d.header)
        if hl + d.total > 65535:
            self.count["bad_fragment"] += 1
            self._close(d)
            return None
        whole = self._packet(d, hl + d.total)
        self._close(d)
        return whole

    def _packet(self, d, total):
        """Header and parts as one packet of `total` bytes, no longer a fragment."""
        packet = bytearray(total)
        hl = len(d.header)
        copy(packet, 0, d.header, 0, hl)
        packet[2] = total >> 8
        packet[3] = total & 255
        packet[6] = packet[7] = 0
        for at, end, part in d.parts:
            copy(packet, hl + at, part, 0, end - at)
        return packet

    def _close(self, d):
        self.timers.remove(d)
        self.datagrams.remove(d)
        self.held -= d.size

    def late(self, d):
        """The 30 seconds of `d` are over."""
        self.count["reassembly_timeout"] += 1
        header = d.header
        first = d.parts[0] if d.parts else None
        self._close(d)
        if header is not None:
            packet = header + first[2]
            self._late(packet, 0, len(packet))

    def clear(self):
        """Drop everything."""
        while self.datagrams:
            self._close(self.datagrams[0])
