"""A queue of datagrams in one ring of bytes: bounded, and nothing is allocated for a datagram.

A record is a header of 14 bytes and the payload, each wrapping where the ring
ends:

    0  payload length    2  peer address    6  peer port
    8  local address    12  local port
"""
from spinet.prim import copy

_HEADER = 14


class Datagrams:
    """What has arrived for one endpoint, oldest first.

    `recv_into` leaves in `peer`, `peer_port`, `local`, `local_port` (addresses
    as 4 bytes) and `length` what is known of the datagram it returned.
    """

    waiter = None       # called when a datagram has come, or an error

    def __init__(self, size):
        self._ring = bytearray(size)
        self._head = 0
        self._used = 0
        self._out = bytearray(_HEADER)
        self.peer = bytearray(4)
        self.local = bytearray(4)
        self.peer_port = self.local_port = self.length = 0

    @property
    def readable(self):
        """Whether there is a datagram."""
        return self._used > 0

    @property
    def next_length(self):
        """The payload bytes of the next datagram, 0 if there is none."""
        if not self._used:
            return 0
        ring = self._ring
        i = self._head
        return ring[i] << 8 | ring[i + 1 if i + 1 < len(ring) else 0]

    def push(self, buf, h, start, end, sport, dport):
        """Append `buf[start:end]`; addresses are in the IPv4 header at `buf[h]`.  False if full."""
        ring = self._ring
        n = end - start
        if self._used + _HEADER + n > len(ring):
            return False
        out = self._out
        out[0] = n >> 8
        out[1] = n & 255
        copy(out, 2, buf, h + 12, 4)
        out[6] = sport >> 8
        out[7] = sport & 255
        copy(out, 8, buf, h + 16, 4)
        out[12] = dport >> 8
        out[13] = dport & 255
        i = self._head + self._used
        if i >= len(ring):
            i -= len(ring)
        i = self._put(i, out, 0, _HEADER)
        self._put(i, buf, start, n)
        self._used += _HEADER + n
        if self.waiter:
            self.waiter()
        return True

    def _put(self, i, buf, start, n):
        ring = self._ring
        k = len(ring) - i
        if n < k:
            copy(ring, i, buf, start, n)
            return i + n
        copy(ring, i, buf, start, k)
        copy(ring, 0, buf, start + k, n - k)
        return n - k

    def _get(self, i, buf, start, n):
        ring = self._ring
        if i >= len(ring):
            i -= len(ring)
        k = len(ring) - i
        if n <= k:
            copy(buf, start, ring, i, n)
        else:
            copy(buf, start, ring, i, k)
            copy(buf, start + k, ring, 0, n - k)

    def peek_into(self, buf, start, end):
        """Copy the next datagram into `buf[start:end]`; the bytes copied, -1 if there is none."""
        if not self._used:
            return -1
        out = self._out
        self._get(self._head, out, 0, _HEADER)
        n = out[0] << 8 | out[1]
        self.length = n
        copy(self.peer, 0, out, 2, 4)
        self.peer_port = out[6] << 8 | out[7]
        copy(self.local, 0, out, 8, 4)
        self.local_port = out[12] << 8 | out[13]
        if n > end - start:
            n = end - start
        self._get(self._head + _HEADER, buf, start, n)
        return n

    def recv_into(self, buf, start, end):
        """As `peek_into`, and drop the datagram, what did not fit of it included."""
        n = self.peek_into(buf, start, end)
        if n >= 0:
            i = self._head + _HEADER + self.length
            size = len(self._ring)
            self._head = i - size if i >= size else i
            self._used -= _HEADER + self.length
        return n
