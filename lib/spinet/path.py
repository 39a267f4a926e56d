"""A path: the prepared way to one destination, and the last step of every packet that is sent.

Whoever talks to a destination keeps one.  It holds the interface, the next
hop, and an IPv4 header in which only the length, the identification and the
checksum are missing.  It is out of date when `gen` is not its `ip.gen`.
"""
from spinet.errors import EMSGSIZE, os_error
from spinet.prim import cksum, copy, ip_head

PROTOCOLS = {"ICMP": 1, "TCP": 6, "UDP": 17}


class Path:
    """The way from `src` to `dst` (4 bytes each) by the interface `ip` and the neighbour `hop`.

    `mtu` is in bytes of IPv4 packet; `matched` the length of the prefix that
    led here; `pseudo` the sum of the transport pseudo-header without the
    length (RFC 9293, 3.1); `head` the IPv4 header.  `loop`: see `UdpEndpoint`.
    """

    loop = None

    def __init__(self, ip, hop, src, dst, proto, matched, ttl, tos, df):
        self.ip = ip
        self.hop = hop
        self.src = src
        self.dst = dst
        self.mtu = ip.id.mtu
        self.gen = ip.gen
        self.matched = matched
        self.df = df
        head = bytearray(20)
        head[0] = 0x45
        head[1] = tos
        head[6] = 0x40 if df else 0
        head[8] = ttl
        head[9] = proto
        head[12:16] = src
        head[16:20] = dst
        self.head = head
        self.base = cksum(head, 0, 20)
        self.pseudo = cksum(head, 12, 20, proto)

    def send(self, n):
        """Send the `n` bytes that stand at `ip.tx[ip.hdr:]`, n + 20 <= mtu; False: port busy."""
        ip = self.ip
        n += 20
        ident = 0
        if not self.df:
            # RFC 6864: what may be fragmented needs an identification of its own; an atomic
            # datagram, which may not, needs none.
            ip.ident = ident = (ip.ident + 1) & 0xFFFF
        ip_head(ip.tx, ip.hdr - 20, self.head, self.base, n, ident, 0)
        if ip.id.output(self.hop, n):
            ip.count["tx"] += 1
            return True
        return False

    def send_large(self, buf, start, end):
        """Send `buf[start:end]`, a transport's header and payload, in as many fragments as needed.

        False when the port is busy.  OSError(EMSGSIZE) when it is too long, or may not be
        fragmented and does not fit.
        """
        ip = self.ip
        most = self.mtu - 20
        n = end - start
        if n <= most:
            copy(ip.tx, ip.hdr, buf, start, n)
            return self.send(n)
        if self.df or n > 65515:
            raise os_error(EMSGSIZE)
        most &= ~7
        ip.ident = ident = (ip.ident + 1) & 0xFFFF
        at = start
        while at < end:
            n = end - at
            offset = (at - start) >> 3
            if n > most:
                n = most
                offset |= 0x2000
            copy(ip.tx, ip.hdr, buf, at, n)
            ip_head(ip.tx, ip.hdr - 20, self.head, self.base, n + 20, ident, offset)
            if not ip.id.output(self.hop, n + 20):
                return False
            ip.count["tx"] += 1
            ip.count["fragmented"] += 1
            at += n
        return True

    def send_pieces(self, pieces):
        """Send the bytes of several buffers as one datagram: handed to the port as they are,
        where it takes pieces and the next hop is resolved; False when the port is busy."""
        ip = self.ip
        total = sum([len(piece) for piece in pieces])
        sendv = getattr(ip.id.port, "sendv", None)
        if sendv and self.hop.ok and 40 <= total <= self.mtu - 20:
            n = ip.hdr
            head = bytearray(ip.tx[:n])
            if n > 20:
                head[:6] = self.hop.mac
            head[n - 20:] = self.head
            total += 20
            ident = 0
            if not self.df:
                ip.ident = ident = (ip.ident + 1) & 0xFFFF
            head[n - 18:n - 14] = bytes((total >> 8, total & 255, ident >> 8, ident & 255))
            k = cksum(head, n - 20, n) ^ 0xFFFF
            head[n - 10:n - 8] = bytes((k >> 8, k & 255))
            if not sendv([head] + [piece for piece in pieces if len(piece)]):
                return False
            ip.count["tx"] += 1
            return True
        whole = bytearray()
        for piece in pieces:
            whole.extend(piece)
        return self.send_large(whole, 0, len(whole))
