"""UDP (RFC 768, RFC 1122 4.1): endpoints, and which of them a datagram is for."""
from spinet.dgram import Datagrams
from spinet.errors import (
    EACCES, EADDRINUSE, EAGAIN, ECONNREFUSED, EDESTADDRREQ, EHOSTUNREACH, EMSGSIZE, ENETUNREACH,
    os_error,
)
from spinet.path import Path
from spinet.prim import BUFFER, cksum, copy, eq4

PROTO = 17
ANY = b"\0\0\0\0"
ALL_HOSTS = b"\xe0\0\0\1"


class UdpEndpoint(Datagrams):
    """One end of UDP: bound to (`addr`, `port`), perhaps connected to (`remote`, `remote_port`).

    Addresses are 4 bytes; `addr` None is every address.  `reuse` lets several
    share a port, `broadcast` permits to send to all, `error` is a pending
    errno, 0 if there is none.  `groups` are the memberships (igmp.py);
    `multicast_if` is the interface for what is sent to a group.
    """

    groups = ()
    multicast_ttl = 1
    multicast_loop = True
    multicast_if = None

    def __init__(self, udp, rcvbuf):
        Datagrams.__init__(self, rcvbuf)
        self.udp = udp
        self.addr = self.remote = None
        self.port = self.remote_port = 0
        self.bound = False
        self.reuse = self.broadcast = self.df = False
        self.ttl = 64
        self.tos = 0
        self.error = 0
        self._path = None

    def bind(self, addr, port):
        """Take datagrams to `addr` and `port` (0: a free one, at random)."""
        udp = self.udp
        if addr is not None and not 224 <= addr[0] < 240:
            udp.stack.check_own(addr)
        port = port or udp.free_port()
        udp.enter(self, addr, port)

    def connect(self, addr, port=0):
        """Exchange datagrams with one peer only; None undoes it."""
        if addr is None:
            self.remote = self._path = None
            return
        path = self.path_to(addr)
        if not self.bound:
            self.bind(None, 0)
        self.remote = bytes(addr)
        self.remote_port = port
        self._path = path

    def path_to(self, addr, src=None):
        """The path to `addr` with this endpoint's options."""
        if 224 <= addr[0] < 240:
            return self._group_path(bytes(addr), src or self.addr)
        path = self.udp.stack.path(bytes(addr), PROTO, src or self.addr, self.ttl, self.tos,
                                   self.df)
        if path is None:
            raise os_error(ENETUNREACH)
        if path.hop is path.ip.id.broadcast and path.ip.id.arp and not self.broadcast:
            raise os_error(EACCES)
        return path

    def _group_path(self, addr, src):
        """The path to a group.  `path.loop` leads to the members on this host, if they are to
        hear what is sent (RFC 1112, 6.1)."""
        if src is not None and src[0] >= 224:
            src = None
        path = (self.multicast_if or self.udp.stack).path(
            addr, PROTO, src, self.multicast_ttl, self.tos, self.df)
        if path is None:
            raise os_error(ENETUNREACH)
        lo = self.udp.stack.lo
        if self.multicast_loop:
            path.loop = Path(lo, lo.id.hop(addr), path.src, addr, PROTO, 0, self.multicast_ttl,
                             self.tos, self.df)
        return path

    def hears(self, ip, buf, h):
        """Whether it is in the group, and hears the sender, of a datagram with its header at
        `buf[h]` that has come by `ip`."""
        for m in self.groups:
            if eq4(buf, h + 16, m.group, 0) and (m.ip is ip or ip.id.loopback):
                return m.wants(buf, h + 12)
        return eq4(buf, h + 16, ALL_HOSTS, 0)

    def repath(self):
        """An option that packets carry has changed."""
        self._path = self.path_to(self.remote) if self.remote else None

    def send(self, buf, start, end):
        """Send `buf[start:end]` to the connected peer; its length."""
        if self.error:
            error = self.error
            self.error = 0
            raise os_error(error)
        path = self._path
        if path is None:
            raise os_error(EDESTADDRREQ)
        if path.gen != path.ip.gen:
            self.repath()
            path = self._path
        return self.udp.send(path, self.port, self.remote_port, buf, start, end)

    def sendto(self, buf, start, end, addr, port):
        """Send `buf[start:end]` to `addr`, `port`; its length."""
        if not self.bound:
            self.bind(None, 0)
        path = self._path
        if path is None or path.dst != addr or path.gen != path.ip.gen or self.remote:
            path = self.path_to(addr)
            if not self.remote:
                self._path = path
        return self.udp.send(path, self.port, port, buf, start, end)

    def send_as(self, src, sport, dst, dport, buf, start, end):
        """Send from an address and port of the caller's choosing, as a transparent gateway does."""
        return self.udp.send(self.path_to(dst, bytes(src)), sport, dport, buf, start, end)

    def failed(self, error):
        """The network says that what was sent did not arrive: an errno."""
        self.error = error
        if self.waiter:
            self.waiter()

    def close(self):
        """Take nothing any more; idempotent."""
        self.udp.leave(self)
        igmp = self.udp.stack.services.get("igmp")
        if self.groups and igmp is not None:
            igmp.forget(self)


class Udp:
    """All UDP of one stack; a `port` dictionary leads to the endpoints that share it."""

    def __init__(self, stack):
        self.stack = stack
        self.rcvbuf = BUFFER
        self.ports = {}
        self.any = None
        self.count = {
            "rx": 0, "tx": 0, "runt": 0, "bad_length": 0, "bad_checksum": 0, "no_port": 0,
            "queue_full": 0, "bad_icmp": 0,
        }

    def endpoint(self, rcvbuf=0):
        """A new endpoint with a queue of `rcvbuf` bytes."""
        return UdpEndpoint(self, rcvbuf or self.rcvbuf)

    def bind_any(self, rcvbuf=0):
        """An endpoint that gets every datagram that no other wants, to whatever port."""
        self.any = self.endpoint(rcvbuf)
        return self.any

    def free_port(self):
        """An ephemeral port at random (RFC 6056, 3.3.1)."""
        r = self.stack.random(2)
        offset = r[0] << 8 | r[1]
        for i in range(16384):
            port = 49152 + (offset + i & 16383)
            if port not in self.ports:
                return port
        raise os_error(EADDRINUSE)

    def enter(self, e, addr, port):
        """Bind `e`; OSError(EADDRINUSE) if the place is taken."""
        others = self.ports.get(port, ())
        for o in others:
            if o is not e and not (e.reuse and o.reuse) and (
                    o.addr is None or addr is None or o.addr == addr):
                raise os_error(EADDRINUSE)
        self.leave(e)
        e.addr = addr
        e.port = port
        e.bound = True
        self.ports.setdefault(port, []).append(e)

    def leave(self, e):
        """Unbind `e`."""
        if self.any is e:
            self.any = None
        others = self.ports.get(e.port)
        if others and e in others:
            others.remove(e)
            if not others:
                del self.ports[e.port]
        e.bound = False

    def send(self, path, sport, dport, buf, start, end):
        """Send one datagram along `path`; its length."""
        n = end - start + 8
        if n > 65515:
            raise os_error(EMSGSIZE)
        loop = path.loop
        if loop is not None and self.stack.lo.has_group(path.dst):
            self.send(loop, sport, dport, buf, start, end)
        ip = path.ip
        if n + 20 > path.mtu:
            return self._send_large(path, sport, dport, buf, start, end)
        tx = ip.tx
        t = ip.hdr
        copy(tx, t + 8, buf, start, n - 8)
        self._header(tx, t, sport, dport, n, path)
        if not path.send(n):
            raise os_error(EAGAIN)
        self.count["tx"] += 1
        return n - 8

    def _header(self, tx, t, sport, dport, n, path):
        tx[t] = sport >> 8
        tx[t + 1] = sport & 255
        tx[t + 2] = dport >> 8
        tx[t + 3] = dport & 255
        tx[t + 4] = n >> 8
        tx[t + 5] = n & 255
        tx[t + 6] = tx[t + 7] = 0
        k = cksum(tx, t, t + n, path.pseudo + n) ^ 0xFFFF or 0xFFFF
        tx[t + 6] = k >> 8
        tx[t + 7] = k & 255

    def _send_large(self, path, sport, dport, buf, start, end):
        n = end - start + 8
        whole = bytearray(n)
        copy(whole, 8, buf, start, n - 8)
        self._header(whole, 0, sport, dport, n, path)
        if not path.send_large(whole, 0, n):
            raise os_error(EAGAIN)
        self.count["tx"] += 1
        return n - 8

    def input(self, ip, buf, h, s, end):
        """A datagram `buf[s:end]` whose IPv4 header begins at `buf[h]`."""
        count = self.count
        n = end - s
        if n < 8:
            count["runt"] += 1
            return
        size = buf[s + 4] << 8 | buf[s + 5]
        if size < 8 or size > n:
            count["bad_length"] += 1
            return
        end = s + size
        if buf[s + 6] | buf[s + 7]:
            if h + 20 == s:
                n = cksum(buf, s - 8, end, size + PROTO)
            else:
                n = cksum(buf, s, end, cksum(buf, h + 12, h + 20, size + PROTO))
            if n != 0xFFFF:
                count["bad_checksum"] += 1
                return
        self._deliver(ip, buf, h, s, end)

    def _deliver(self, ip, buf, h, s, end):
        """Give the datagram to the endpoint that it fits best, a broadcast to all that it fits."""
        sport = buf[s] << 8 | buf[s + 1]
        dport = buf[s + 2] << 8 | buf[s + 3]
        group = ip.rx_group or ip.id.loopback and 224 <= buf[h + 16] < 240
        best = self.any
        score = 0
        for e in self.ports.get(dport, ()):
            mark = self._score(e, buf, h, sport)
            if mark and group and 224 <= buf[h + 16] < 240 and not e.hears(ip, buf, h):
                mark = 0
            if mark > score or mark and group:
                if score and group:
                    self._push(best, buf, h, s, end, sport, dport)
                best = e
                score = mark
        if best is not None:
            self._push(best, buf, h, s, end, sport, dport)
        else:
            self.count["no_port"] += 1
            if not group:
                ip.icmp.send_error(ip, 3, 3, 0, buf, h, end)

    def _score(self, e, buf, h, sport):
        """How well a datagram fits an endpoint: 0 not at all, 4 best."""
        if e.remote is not None:
            if e.remote_port != sport or not eq4(buf, h + 12, e.remote, 0):
                return 0
            return 4
        if e.addr is not None:
            return 2 if eq4(buf, h + 16, e.addr, 0) else 0
        return 1

    def _push(self, e, buf, h, s, end, sport, dport):
        if e.push(buf, h, s + 8, end, sport, dport):
            self.count["rx"] += 1
        else:
            self.count["queue_full"] += 1

    def error(self, ip, type, code, info, buf, h, s, end):
        """An ICMP error about a datagram of ours, whose IPv4 header is at `buf[h]`."""
        if end - s >= 8:
            for e in self.ports.get(buf[s] << 8 | buf[s + 1], ()):
                if e.remote and e.remote_port == (buf[s + 2] << 8 | buf[s + 3]) and eq4(
                        buf, h + 16, e.remote, 0):
                    if type == 3 and code == 4 and e._path and 68 <= info < e._path.mtu:
                        e._path.mtu = info
                    e.failed(EMSGSIZE if code == 4 else ECONNREFUSED if code in (2, 3)
                             else ENETUNREACH if code in (0, 6) else EHOSTUNREACH)
                    return
        self.count["bad_icmp"] += 1
