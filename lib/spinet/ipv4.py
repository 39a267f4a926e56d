"""IPv4 (RFC 791, RFC 1122 3.2 and 3.3) on one interface, with MirageOS's `V1.IPV4` signature.

    ip = IPv4.connect(ethif)            ip.disconnect()         ip.id
    ip.input(buf, tcp=, udp=, default=)
    frame, n = ip.allocate_frame("UDP", "10.0.0.2")
    ip.write(frame, payload)            ip.writev(frame, payloads)
    ip.set_ipv4(a)  ip.set_ipv4_netmask(m)  ip.set_ipv4_gateways([g])   and get_...

What the layers above use is the same code, without the objects: `receive`
hands `(ip, buf, h, start, end)` to the handler of the protocol, and a `Path`
(path.py) sends.  This host is a strong end system (RFC 1122, 3.3.4.2): a packet
must be for an address of the interface that it comes in by.

Addresses are text or 4 bytes where they are given, text where they are
returned, and 4 bytes inside.
"""
from spinet import addr as address
from spinet.errors import Unknown
from spinet.path import PROTOCOLS, Path
from spinet.prim import cksum, copy, eq4, eq8, ip_end, keep
from spinet.routes import Routes

ANY = b"\0\0\0\0"
ALL = b"\xff\xff\xff\xff"


class Address:
    """An address of the interface: `addr` and its network, 4 bytes each."""

    def __init__(self, addr, length):
        self.addr = addr
        self.length = length
        mask = address.mask(length)
        self.net = bytes([addr[i] & mask[i] for i in range(4)])
        # A network of two (RFC 3021) or of one has no broadcast address.
        self.broadcast = bytes([addr[i] | mask[i] ^ 255 for i in range(4)]) if length < 31 else ALL


class _Upcall:
    """Callbacks of `IPv4.input` in the shape of a table of protocol handlers."""

    def __init__(self, tcp, udp, default):
        self._callbacks = {6: tcp, 17: udp}
        self._default = default
        self._proto = 0

    def get(self, proto):
        self._proto = proto
        return self

    def input(self, ip, buf, h, start, end):
        callback = self._callbacks.get(self._proto) or (
            self._default and self._default(self._proto))
        if callback:
            callback(address.fmt(buf, h + 12), address.fmt(buf, h + 16),
                     memoryview(buf)[start:end])


class IPv4:
    """IPv4 on one link (`id`).  Made by `connect`.

    `hdr` is where the transport header stands in the transmit buffer `tx`;
    `transparent` accepts packets to any address (a gateway that answers for
    the whole world); `asking` takes datagrams to an address that it may be about to get;
    `gen` changes when a path has to be looked up again.
    """

    @staticmethod
    def connect(ethif, protocols=None):
        """IPv4 on the link `ethif`; raises `Unknown` if that has one already."""
        if ethif.ip is not None:
            raise Unknown("the interface is connected already")
        return IPv4(ethif, {} if protocols is None else protocols)

    def __init__(self, ethif, protocols):
        self.id = ethif
        self.timers = ethif.timers
        self.tx = ethif.tx
        self.hdr = ethif.header_len + 20
        self.protocols = protocols
        self.stack = None
        self.icmp = None
        self.transparent = False
        self.asking = False
        self.rx_group = False
        self.addresses = []
        self._pair = bytearray(ALL + ALL)   # source and destination that were found good last
        self._mask = 0              # given before there was an address
        self.groups = [b"\xe0\0\0\x01"]
        self.gen = 0
        self.routes = Routes(self)
        self.count = {
            "rx": 0, "tx": 0, "runt": 0, "bad_version": 0, "bad_length": 0, "bad_checksum": 0,
            "bad_options": 0, "source_route": 0, "bad_source": 0, "not_for_us": 0,
            "link_broadcast": 0, "no_protocol": 0, "fragments": 0, "reassembled": 0,
            "fragmented": 0, "overlap": 0, "reassembly_full": 0, "reassembly_timeout": 0,
            "bad_fragment": 0, "duplicate_fragment": 0,
        }
        self._fragments = None
        seed = getattr(ethif, "random", None)
        self.ident = (lambda r: r[0] << 8 | r[1])(seed(2)) if seed else 0
        ethif.ip = self
        keep(self, "receive")

    def fragments(self):
        """The fragments that are here: a `Reassembly`, begun with the first."""
        if self._fragments is None:
            from spinet.reassembly import Reassembly

            self._fragments = Reassembly(self.timers, self.count, self._late)
        return self._fragments

    def disconnect(self):
        """Let go of the link; never raises, and does nothing the second time."""
        link = self.id
        if link.ip is self:
            link.ip = link.expected = None
            self.routes.remove(lambda route: True)
            if self._fragments is not None:
                self._fragments.clear()
            if link.arp is not None:
                link.arp.clear()

    # -- addresses ----------------------------------------------------------

    def add_address(self, cidr):
        """Add "a.b.c.d/length", and the route to its network."""
        addr, length = address.parse_cidr(cidr)
        self.insert_address(len(self.addresses), addr, length)

    def remove_address(self, addr):
        """Remove an address; ValueError if the interface has it not."""
        addr = address.parse(addr)
        for known in self.addresses:
            if known.addr == addr:
                self._remove(known)
                return
        raise ValueError("%s is not an address of the interface" % address.fmt(addr))

    def insert_address(self, i, addr, length):
        """Make `addr` (4 bytes) the address number `i`, and announce it; the first is number 0."""
        if addr[0] >= 224 or addr[0] == 127 and not self.id.loopback:
            raise ValueError("%s is not a host's address" % address.fmt(addr))
        new = Address(addr, length)
        self.addresses.insert(i, new)
        self._forget_pair()
        self.routes.add(new.net, length, None)
        self.id.announce(addr)

    def _forget_pair(self):
        copy(self._pair, 0, ALL, 0, 4)      # which is no source

    def _remove(self, known):
        self.addresses.remove(known)
        self._forget_pair()
        self.routes.remove(lambda r: r.gateway is None and r.length == known.length
                           and r.prefix == known.net)
        self.routes.changed()

    def set_ipv4(self, addr):
        """Make `addr` the first address, instead of the one that was; 0.0.0.0 removes that."""
        addr = address.parse(addr)
        length = self._mask
        if self.addresses:
            length = self.addresses[0].length
            self._remove(self.addresses[0])
        if addr == ANY:
            self._mask = length
        else:
            self.insert_address(0, addr, length)

    def get_ipv4(self):
        """The first address; "0.0.0.0" if there is none."""
        return address.fmt(self.addresses[0].addr) if self.addresses else "0.0.0.0"

    def set_ipv4_netmask(self, mask):
        """Set the netmask of the first address, or of the one that will be set."""
        length = address.prefixlen(mask)
        self._mask = length
        if self.addresses:
            addr = self.addresses[0].addr
            self._remove(self.addresses[0])
            self.insert_address(0, addr, length)

    def get_ipv4_netmask(self):
        """The netmask of the first address; "0.0.0.0" if none was set."""
        length = self.addresses[0].length if self.addresses else self._mask
        return address.fmt(address.mask(length))

    def set_ipv4_gateways(self, gateways):
        """Replace the default gateways, the preferred one first."""
        gateways = [address.parse(g) for g in gateways]
        self.routes.remove(lambda r: r.length == 0 and r.gateway is not None)
        for gateway in gateways:
            self.routes.add(ANY, 0, gateway)

    def get_ipv4_gateways(self):
        """The default gateways, as a list."""
        return [address.fmt(r.gateway) for r in self.routes.entries
                if r.length == 0 and r.gateway is not None]

    def add_route(self, cidr, gateway=None):
        """Route "a.b.c.d/length" by `gateway`, or (None) straight onto the link."""
        prefix, length = address.parse_cidr(cidr)
        self.routes.add(prefix, length, None if gateway is None else address.parse(gateway))

    def remove_route(self, cidr, gateway=None):
        """Remove a route; ValueError if there is none such."""
        prefix, length = address.parse_cidr(cidr)
        gateway = None if gateway is None else address.parse(gateway)
        if not self.routes.remove(lambda r: r.prefix == prefix and r.length == length
                                  and r.gateway == gateway):
            raise ValueError("there is no such route")

    def is_own(self, buf, i):
        """Whether the address at `buf[i]` is one of the interface's."""
        for known in self.addresses:
            if eq4(buf, i, known.addr, 0):
                return True
        return False

    def has_group(self, buf, i=0):
        """Whether the address at `buf[i]` is a group that this interface is in."""
        for group in self.groups:
            if eq4(buf, i, group, 0):
                return True
        return False

    def on_link(self, buf, i):
        """Whether the address at `buf[i]` is in a network that the interface is in."""
        route = self.routes.lookup(bytes(buf[i:i + 4]))
        return route is not None and route.gateway is None

    def source(self, addr):
        """Our address to send to `addr` from: the one whose network fits best, 4 bytes."""
        best = None
        for known in self.addresses:
            mask = address.mask(known.length)
            if all((addr[i] ^ known.net[i]) & mask[i] == 0 for i in range(4)) and (
                    best is None or known.length > best.length):
                best = known
        if best is None:
            return self.addresses[0].addr if self.addresses else ANY
        return best.addr

    # -- in -----------------------------------------------------------------

    def input(self, buf, tcp=None, udp=None, default=None):
        """Hand the payload of the IPv4 packet `buf` to a callback.

        `tcp` and `udp` are callbacks, `default(proto)` returns one (or None)
        for every other protocol; each is called as `callback(src, dst, view)`.
        What does not pass the checks is dropped and counted.
        """
        handlers = self.protocols
        self.protocols = _Upcall(tcp, udp, default)
        try:
            self.receive(buf, 0, len(buf))
        finally:
            self.protocols = handlers

    def receive(self, buf, h, end):
        """A packet `buf[h:end]` has come from the link (RFC 1122, 3.2.1)."""
        count = self.count
        plain = ip_end(buf, h, end)
        if plain:
            start = h + 20
            end = plain         # what the link padded is left behind
        else:
            start = self._header(buf, h, end)
            if not start:
                return
            end = h + (buf[h + 2] << 8 | buf[h + 3])
        if self.id.rx_group or not eq8(buf, h + 12, self._pair, 0):
            whom = self._destined(buf, h + 16)
            if not whom or not self._sane_source(buf, h + 12):
                return
            if whom == 2:
                copy(self._pair, 0, buf, h + 12, 8)
        else:
            self.rx_group = False
        if not plain:
            if start > h + 20 and not self._options(buf, h, start):
                return
            if buf[h + 6] & 0x3F or buf[h + 7]:
                count["fragments"] += 1
                buf = self._add(buf, h, start, end)
                if buf is None:
                    return
                count["reassembled"] += 1
                h = 0
                start = (buf[0] & 15) << 2
                end = len(buf)
        handler = self.protocols.get(buf[h + 9])
        if handler is None:
            count["no_protocol"] += 1
            if self.icmp is not None:
                self.icmp.send_error(self, 3, 2, 0, buf, h, end)
            return
        count["rx"] += 1
        handler.input(self, buf, h, start, end)

    def _header(self, buf, h, end):
        """Where the header of the packet `buf[h:end]` ends; 0, counted, if it is no header."""
        start = h + 20
        if end < start:
            why = "runt"
        elif buf[h] >> 4 != 4:
            why = "bad_version"
        else:
            start = h + ((buf[h] & 15) << 2)
            total = buf[h + 2] << 8 | buf[h + 3]
            if total > end - h or start < h + 20 or h + total < start:
                why = "bad_length"
            elif cksum(buf, h, start) != 0xFFFF:
                why = "bad_checksum"
            else:
                return start
        self.count[why] += 1
        return 0

    def _add(self, buf, h, start, end):
        """Take a fragment: the whole packet, None if that is not complete."""
        try:
            return self.fragments().add(buf, h, start, end)
        except MemoryError:
            self.count["reassembly_full"] += 1
            return None

    def _destined(self, buf, i):
        """Whether the destination at `buf[i]` is us (2: an address of ours), or a group that we
        are in (1), or neither (0, counted); sets `rx_group`."""
        link = self.id
        for known in self.addresses:
            if eq4(buf, i, known.addr, 0):
                self.rx_group = False
                if link.rx_group:
                    # RFC 1122, 3.3.6: to all on the link, but to one host in IP.
                    self.count["link_broadcast"] += 1
                    return 0
                return 2
        if buf[i] >= 224:
            self.rx_group = True
            if eq4(buf, i, ALL, 0) or self.has_group(buf, i):
                return 1
        else:
            for known in self.addresses:
                if eq4(buf, i, known.broadcast, 0):
                    self.rx_group = True
                    return 1
            self.rx_group = False
            if self.transparent or link.loopback and (buf[i] == 127 or self._own(buf, i)):
                return 1
            if not link.rx_group and not link.loopback and (
                    not self.addresses or self.asking and buf[i - 7] == 17):
                return 1        # an answer to our asking for this address (RFC 2131, 4.1)
        self.count["not_for_us"] += 1
        return 0

    def _own(self, buf, i):
        """Whether the address at `buf[i]` is one of this host's, on any interface."""
        for ip in self.stack.interfaces if self.stack else ():
            if ip.is_own(buf, i):
                return True
        return False

    def _sane_source(self, buf, i):
        """Whether the source at `buf[i]` can be one (RFC 1122, 3.2.1.3), and is not ourselves."""
        first = buf[i]
        if self.id.loopback:
            return True
        good = first < 224 and first != 127
        if good and first == 0:
            # "This host": before it has an address, and then to all.
            good = self.rx_group and eq4(buf, i, ANY, 0)
        if good:
            for known in self.addresses:
                if eq4(buf, i, known.addr, 0) or eq4(buf, i, known.broadcast, 0):
                    good = False
        if not good:
            self.count["bad_source"] += 1
        return good

    def _options(self, buf, h, start):
        """Whether the options are well formed (RFC 791, 3.1) and ask for no source route."""
        i = h + 20
        while i < start and buf[i]:
            if buf[i] == 1:
                i += 1
                continue
            if i + 1 >= start or buf[i + 1] < 2 or i + buf[i + 1] > start:
                self.count["bad_options"] += 1
                if self.icmp is not None:
                    # Parameter problem: the pointer is in the first byte of the word.
                    self.icmp.send_error(self, 12, 0, i + 1 - h, buf, h,
                                         h + (buf[h + 2] << 8 | buf[h + 3]))
                return False
            if buf[i] == 131 or buf[i] == 137:
                self.count["source_route"] += 1
                return False
            i += buf[i + 1]
        return True

    def _late(self, buf, h, end):
        """A datagram was not complete in time; its first fragment is `buf[h:end]`."""
        if self.icmp is not None:
            self.icmp.send_error(self, 11, 1, 0, buf, h, end)

    # -- out ----------------------------------------------------------------

    def path(self, dst, proto, src=None, ttl=64, tos=0, df=False):
        """The path to `dst` by this interface, None without a route (see path.py).

        `src`, an own address, is chosen if None; 0.0.0.0 may be given to ask all for one.
        Addresses are 4 bytes.
        """
        link = self.id
        if link.loopback:
            if dst[0] != 127 and not self._own(dst, 0):
                return None
            if src is None:
                src = self.addresses[0].addr if dst[0] == 127 else dst
            return Path(self, link.hop(dst), src, dst, proto, 33, ttl, tos, df)
        if dst[0] == 127 or dst[0] == 0:
            return None
        if src is not None and not self.is_own(src, 0) and not self.transparent and (
                src != ANY or dst != ALL):
            return None
        hop = None
        length = 32
        if dst == ALL:
            hop = link.broadcast
        elif dst[0] >= 240:
            return None
        elif dst[0] >= 224:
            hop = link.group(dst)
            length = 0
        else:
            for known in self.addresses:
                if dst == known.broadcast:
                    hop = link.broadcast
            if hop is None:
                route = self.routes.lookup(dst)
                if route is None:
                    return None
                length = route.length
                hop = link.hop(route.gateway or dst)
        if src is None:
            src = self.source(hop.addr if hop.addr != ALL else dst)
            if src == ANY and hop is not link.broadcast:
                return None
        return Path(self, hop, src, dst, proto, length, ttl, tos, df)

    def advise(self, path):
        """Nothing seems to get through on `path`: if there is another gateway, try that."""
        self.dead(path.hop)

    def dead(self, hop):
        """A neighbour does not answer: if it is a gateway, use another."""
        if hop.addr != ALL:
            self.routes.mark(hop.addr, True)

    def alive(self, hop):
        """A neighbour was heard of."""
        self.routes.mark(hop.addr, False)

    def unreachable(self, frame, h, end):
        """A packet `frame[h:end]` of ours could not be delivered on the link."""
        if self.icmp is not None:
            self.icmp.unreachable_local(self, frame, h, end)

    def allocate_frame(self, proto, dest_ip):
        """`(frame, n)`: a frame with its link and IPv4 headers, and their length `n`.

        `proto` is "ICMP", "TCP" or "UDP", or a number; the payload, and the
        transport's header before it, may be appended to `frame` or given to
        `write`.  Raises `Unknown` without a route.
        """
        proto = PROTOCOLS.get(proto, proto)
        if proto not in (1, 6, 17):
            raise ValueError("the protocol is ICMP, TCP or UDP")
        path = self.path(address.parse(dest_ip), proto)
        if path is None:
            raise Unknown("no route to %s" % dest_ip)
        n = self.hdr
        frame = bytearray(n)
        frame[:n - 20] = self.tx[:n - 20]
        if n > 20:
            frame[:6] = path.hop.mac
        frame[n - 20:] = path.head
        return frame, n

    def write(self, frame, payload):
        """Send `frame`, from `allocate_frame` with what was appended to it, and `payload`."""
        self.writev(frame, (payload,))

    def writev(self, frame, payloads):
        """Send `frame` and the pieces of `payloads` as one packet; lengths and checksum are set.

        What is longer than the MTU leaves as fragments.  Raises `Unknown` for
        a frame that `allocate_frame` did not make, or when the port is busy.
        """
        n = self.hdr
        if len(frame) < n or frame[n - 20] != 0x45:
            raise Unknown("not a frame of allocate_frame")
        src = bytes(frame[n - 8:n - 4])
        path = self.path(bytes(frame[n - 4:n]), frame[n - 11], None if src == ANY else src,
                         frame[n - 12], frame[n - 19])
        if path is None:
            raise Unknown("no route to %s" % address.fmt(frame, n - 4))
        if not path.send_pieces([memoryview(frame)[n:]] + list(payloads)):
            raise Unknown("the port is busy")
