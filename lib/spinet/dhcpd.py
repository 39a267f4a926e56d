"""A small DHCP server (RFC 2131) for a board that is the network, and for gateways and tests.

    server = Dhcpd(ip, "192.168.4.10", "192.168.4.99", router="192.168.4.1")

It has one pool in the network of the interface's address. Clients are told apart by their
identifier, else by their MAC address, and get the address they had before while it is not
needed for another. An address that nobody is known to have is pinged before it is offered.
It takes itself for the authority over its network: who asks for an address that cannot be
his is refused at once (NAK), and who has one that could be his may keep it, so that a
server that has lost its memory does no harm.
"""
from spinet import addr as address
from spinet import dhcpmsg as m
from spinet.arp import Neighbour
from spinet.path import Path
from spinet.prim import MANY, cksum, copy, eq4
from spinet.seconds import Seconds
from spinet.timers import Timer

_HOLD_S = 60            # that an offer is kept for the client that got it
_HOUR_MS = 3600000
_PENDING = 8            # clients whose offer waits for a ping, at most
_CHOICES = 3            # addresses tried for one of them
_ANY = b"\0\0\0\0"
_ALL = b"\xff\xff\xff\xff"

# States of a binding.
FREE = 0                # remembered only
OFFERED = 1
BOUND = 2
IN_USE = 3              # by somebody unknown: not given out


class Binding:
    """An address and the client that it is, was or may be for; `until` is an age in seconds."""

    def __init__(self, key, mac, addr):
        self.key = key
        self.mac = mac
        self.addr = addr
        self.hostname = ""
        self.state = FREE
        self.until = 0


class _Request:
    """What is kept of a client's message."""

    def __init__(self, buf, start, options):
        self.xid = bytes(buf[start + m.XID:start + m.XID + 4])
        self.to_all = bool(buf[start + m.FLAGS] & 0x80)
        self.ciaddr = bytes(buf[start + m.CIADDR:start + m.CIADDR + 4])
        self.giaddr = bytes(buf[start + m.GIADDR:start + m.GIADDR + 4])
        self.mac = bytes(buf[start + m.CHADDR:start + m.CHADDR + 6])
        self.options = options
        self.kind = options[m.TYPE][0]
        self.key = options.get(m.CLIENT_ID) or b"\x01" + self.mac
        self.hostname = m.text(options.get(m.HOSTNAME)) or _name(options.get(m.FQDN))
        wanted = options.get(m.WANTED_ADDRESS, _ANY)
        self.wanted = wanted if len(wanted) == 4 else _ANY


class _Pending(Timer):
    """An offer that waits for the ping of its address."""

    def __init__(self, server, request, binding):
        Timer.__init__(self)
        self.server = server
        self.request = request
        self.binding = binding
        self.left = _CHOICES
        self.path = None
        self.known = False      # the neighbour was, before the ping
        self.answered = False

    def expire(self, now):
        try:
            self.server._pinged(self)
        except MemoryError:
            self.server.count["no_memory"] += 1


class Dhcpd(Timer):
    """The server on the interface `ip` for the addresses `first` to `last` (text).

    `lease_s`       seconds; a client may ask for less
    `reservations`  {who: address}; who is a MAC address or a hostname in text, or a client
                    identifier in bytes; the addresses may be outside the pool
    `router`        address or None; `dns`, `ntp`: lists of addresses
    `domain`, `mtu` as the client is to have them; "" and 0: not said
    `load()`        gives a list of (key, mac, address, hostname), bytes and text, as `save(list)`
                    was given it when it last changed; see leasefile.py. What is loaded, and
                    still possible, is leased anew
    `ping_ms`       to wait for an answer before an address is offered; 0: no ping

    `count` counts; `leases()` lists.
    """

    def __init__(self, ip, first, last, lease_s=3600, reservations=None, router=None, dns=(),
                 ntp=(), domain="", mtu=0, load=None, save=None, ping_ms=500):
        Timer.__init__(self)
        self.ip = ip
        self.stack = ip.stack
        self.timers = ip.timers
        self.first = _number(address.parse(first))
        self.last = _number(address.parse(last))
        if self.last < self.first or self.last - self.first >= MANY * 16:
            raise ValueError("the pool is from the first address to the last, not too many")
        self.lease_s = lease_s
        self.reserved = {}
        for who in reservations or {}:
            self.reserved[_who(who)] = address.parse(reservations[who])
        self.settings = [
            (m.ROUTERS, address.parse(router) if router else b""),
            (m.DNS, b"".join([address.parse(a) for a in dns])),
            (m.DOMAIN, domain.encode()),
            (m.NTP, b"".join([address.parse(a) for a in ntp])),
            (m.MTU, bytes((mtu >> 8, mtu & 255)) if mtu else b""),
        ]
        self.ping_ms = ping_ms
        self.save = save
        self.clock = Seconds(self.timers.now)
        self.by_key = {}
        self.by_addr = {}
        self.pending = []
        # As an endpoint for ICMP, among those of raw.py.
        self.proto = 1
        self.addr = self.remote = None
        self.count = {
            "rx": 0, "malformed": 0, "other_net": 0, "other_server": 0, "unexpected": 0,
            "offer": 0, "ack": 0, "nak": 0, "decline": 0, "release": 0, "inform": 0,
            "in_use": 0, "exhausted": 0, "busy": 0, "tx_failed": 0, "not_saved": 0, "no_memory": 0,
        }
        for key, mac, addr, hostname in load() if load else ():
            addr = address.parse(addr)
            if self._in_pool(addr) or addr in self.reserved.values():
                binding = self._bind(key, mac, addr)
                binding.hostname = hostname
                binding.state = BOUND
                binding.until = lease_s
        m.listen(self.stack.udp, m.SERVER_PORT, self)
        self.stack.raw.endpoints.append(self)
        self._service = self.stack.names[self.stack.interfaces.index(ip)] + ".dhcpd"
        self.stack.services[self._service] = self
        self.timers.arm(self, _HOUR_MS)

    def close(self):
        """Serve no more; idempotent."""
        m.unlisten(self.stack.udp, m.SERVER_PORT, self)
        if self in self.stack.raw.endpoints:
            self.stack.raw.endpoints.remove(self)
        for pending in self.pending:
            self.timers.remove(pending)
        self.pending = []
        self.timers.remove(self)
        if self.stack.services.get(self._service) is self:
            del self.stack.services[self._service]

    def leases(self):
        """[(address, MAC address, hostname, seconds left), ...] of what is leased now, in text."""
        now = self.clock.count(self.timers.now)
        return [(address.fmt(b.addr), address.fmt_mac(b.mac), b.hostname, b.until - now)
                for b in sorted(self.by_addr.values(), key=lambda b: _number(b.addr))
                if b.state == BOUND and b.until > now]

    def expire(self, now):
        """Nothing is due but to count the time."""
        self.clock.count(now)
        self.timers.arm(self, _HOUR_MS)

    # -- addresses ----------------------------------------------------------

    def _bind(self, key, mac, addr):
        """The binding of a client to an address, whatever either was bound to before."""
        old = self.by_key.get(key)
        if old is not None and old.addr != addr:
            del self.by_addr[old.addr]
        old = self.by_addr.get(addr)
        if old is not None and old.key != key:
            self.by_key.pop(old.key, None)
        if old is None or old.key != key:
            old = Binding(key, mac, addr)
        self.by_key[key] = self.by_addr[addr] = old
        return old

    def _reserved(self, request):
        """The address that is reserved for the client, or None."""
        for who in (request.key, b"\x01" + request.mac, request.hostname):
            if who in self.reserved:
                return self.reserved[who]
        return None

    def _in_pool(self, addr):
        return self.first <= _number(addr) <= self.last and not self.ip.is_own(addr, 0)

    def _free(self, addr, key):
        """Whether the address can be given to the client `key`."""
        if addr in self.reserved.values():
            return False
        held = self.by_addr.get(addr)
        return held is None or held.key == key or held.state == FREE or (
            held.until <= self.clock.age)

    def _choose(self, request):
        """An address for the client, None when there is none."""
        key = request.key
        reserved = self._reserved(request)
        if reserved is not None:
            return reserved
        had = self.by_key.get(key)
        for addr in (had and had.addr, request.wanted):
            if addr and self._in_pool(addr) and self._free(addr, key):
                return addr
        # One that nobody ever had, else the one that was free the longest.
        best = None
        for n in range(self.first, self.last + 1):
            addr = bytes((n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255))
            if not self._in_pool(addr) or not self._free(addr, key):
                continue
            held = self.by_addr.get(addr)
            if held is None:
                return addr
            if best is None or held.until < best.until:
                best = held
        return best and best.addr

    def _may_have(self, request, addr):
        """Whether the client may have the address that it asks for, or has."""
        reserved = self._reserved(request)
        if reserved is not None:
            return addr == reserved
        return self._in_pool(addr) and self._free(addr, request.key)

    # -- in -----------------------------------------------------------------

    def heard(self, buf, start, end):
        """A datagram to our port is `buf[start:end]`."""
        count = self.count
        try:
            if end - start < m.OPTIONS or buf[start] != m.REQUEST_OP or buf[start + 1] != 1 or (
                    buf[start + 2] != 6 or not self.ip.addresses):
                count["malformed"] += 1
                return
            options = m.parse(buf, start, end)
            if options is None:
                count["malformed"] += 1
                return
            count["rx"] += 1
            self.clock.count(self.timers.now)
            self._serve(_Request(buf, start, options))
        except MemoryError:
            count["no_memory"] += 1

    def _serve(self, request):
        kind = request.kind
        if request.giaddr != _ANY and not self._in_net(request.giaddr):
            self.count["other_net"] += 1
        elif kind == m.DISCOVER:
            self._discovered(request)
        elif kind == m.REQUEST:
            self._requested(request)
        elif kind == m.DECLINE or kind == m.RELEASE:
            self._given_back(request)
        elif kind == m.INFORM and m.is_host(request.ciaddr):
            self.count["inform"] += 1
            self._reply(request, m.ACK, _ANY)
        else:
            self.count["unexpected"] += 1

    def _in_net(self, addr):
        own = self.ip.addresses[0]
        mask = address.mask(own.length)
        return all([(addr[i] ^ own.net[i]) & mask[i] == 0 for i in range(4)])

    def _discovered(self, request):
        for pending in self.pending:
            if pending.request.key == request.key:
                pending.request = request
                return
        addr = self._choose(request)
        if addr is None:
            self.count["exhausted"] += 1
            return
        held = self.by_addr.get(addr)
        known = held is not None and held.key == request.key and held.state != FREE
        if known and held.state == BOUND and held.until > self.clock.age or not self.ping_ms:
            self._offer(request, self._bind(request.key, request.mac, addr))
        elif len(self.pending) >= _PENDING:
            self.count["busy"] += 1
        else:
            self._ping(request, addr, _CHOICES)

    def _ping(self, request, addr, left):
        """Ask whether somebody has the address, before it is offered."""
        binding = self._bind(request.key, request.mac, addr)
        binding.state = OFFERED
        binding.until = self.clock.age + _HOLD_S
        pending = _Pending(self, request, binding)
        pending.left = left
        self.pending.append(pending)
        path = pending.path = self.ip.path(addr, 1)
        if path is not None:
            pending.known = path.hop.ok
            tx = self.ip.tx
            t = self.ip.hdr
            copy(tx, t, b"\x08\0\0\0spinet\0\1", 0, 12)
            k = cksum(tx, t, t + 12) ^ 0xFFFF
            tx[t + 2] = k >> 8
            tx[t + 3] = k & 255
            path.send(12)
        self.timers.arm(pending, self.ping_ms)

    def push(self, buf, h, start, end, sport, dport):
        """An ICMP message, as a whole packet: an answer to a ping of ours?"""
        s = h + ((buf[h] & 15) << 2)
        if s < end and buf[s] == 0:
            for pending in self.pending:
                if eq4(buf, h + 12, pending.binding.addr, 0):
                    pending.answered = True
        return True

    def _pinged(self, pending):
        self.pending.remove(pending)
        self.clock.count(self.timers.now)
        path = pending.path
        # A host that answers ARP is there, even if it does not answer a ping.
        if not pending.answered and (path is None or pending.known or not path.hop.ok):
            self._offer(pending.request, pending.binding)
            return
        self._spoil(pending.binding)
        addr = self._choose(pending.request)
        if addr is None or pending.left == 1 or self._reserved(pending.request) is not None:
            self.count["exhausted"] += 1
        else:
            self._ping(pending.request, addr, pending.left - 1)

    def _spoil(self, binding):
        """Somebody else uses the address: do not give it out for a while."""
        self.count["in_use"] += 1
        self.by_key.pop(binding.key, None)
        self.by_addr.pop(binding.addr, None)
        if self._in_pool(binding.addr):
            spoilt = Binding(b"\0" + binding.addr, bytes(6), binding.addr)
            spoilt.state = IN_USE
            spoilt.until = self.clock.age + self.lease_s
            self.by_addr[binding.addr] = self.by_key[spoilt.key] = spoilt

    def _offer(self, request, binding):
        self.count["offer"] += 1
        if binding.state != BOUND:
            binding.state = OFFERED
            binding.until = self.clock.age + _HOLD_S
        self._reply(request, m.OFFER, binding.addr)

    def _requested(self, request):
        """RFC 2131, 4.3.2: an answer to an offer, or about an address that the client has."""
        server = request.options.get(m.SERVER_ID)
        addr = request.ciaddr if request.wanted == _ANY else request.wanted
        if server is not None and server != self._own():
            self.count["other_server"] += 1
            held = self.by_key.get(request.key)
            if held is not None and held.state == OFFERED:
                held.state = FREE
        elif self._may_have(request, addr):
            self._lease(request, addr)
        elif server is None and not self._in_pool(addr) and (
                self._in_net(addr) or request.ciaddr != _ANY):
            self.count["other_server"] += 1     # another server may know it
        else:
            self.count["nak"] += 1
            self._reply(request, m.NAK, _ANY)

    def _lease(self, request, addr):
        was = self.by_key.get(request.key)
        new = was is None or was.addr != addr or was.state != BOUND
        binding = self._bind(request.key, request.mac, addr)
        new = new or binding.hostname != request.hostname
        binding.mac = request.mac
        binding.hostname = request.hostname
        binding.state = BOUND
        binding.until = self.clock.age + self._time(request)
        self.count["ack"] += 1
        self._reply(request, m.ACK, addr)
        if new:
            self._keep()

    def _given_back(self, request):
        """DECLINE or RELEASE."""
        held = self.by_key.get(request.key)
        addr = request.wanted if request.kind == m.DECLINE else request.ciaddr
        if held is None or held.addr != addr or held.state == IN_USE:
            self.count["unexpected"] += 1
            return
        if request.kind == m.DECLINE:
            self.count["decline"] += 1
            self._spoil(held)
        else:
            self.count["release"] += 1
            held.state = FREE
            held.until = self.clock.age
        self._keep()

    def _keep(self):
        if self.save:
            try:
                self.save([(b.key, b.mac, address.fmt(b.addr), b.hostname)
                           for b in self.by_addr.values() if b.state == BOUND])
            except Exception:
                self.count["not_saved"] += 1    # by a function of the user's

    # -- out ----------------------------------------------------------------

    def _own(self):
        return self.ip.addresses[0].addr

    def _time(self, request):
        asked = m.u32(request.options.get(m.LEASE_TIME))
        return min(asked or self.lease_s, self.lease_s)

    def _reply(self, request, kind, yiaddr):
        own = self.ip.addresses[0]
        message = m.begin(m.REPLY_OP, kind, request.xid, request.mac)
        message[m.YIADDR:m.YIADDR + 4] = yiaddr
        message[m.GIADDR:m.GIADDR + 4] = request.giaddr
        message[m.FLAGS] = 0x80 if request.to_all else 0
        m.put(message, m.SERVER_ID, own.addr)
        if kind != m.NAK:
            message[m.CIADDR:m.CIADDR + 4] = request.ciaddr
            if yiaddr != _ANY:
                time = self._time(request)
                for code, n in ((m.LEASE_TIME, time), (m.T1, time // 2), (m.T2, time - time // 8)):
                    m.put(message, code, bytes((n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255)))
            m.put(message, m.MASK, address.mask(own.length))
            m.put(message, m.BROADCAST, own.broadcast)
            for code, data in self.settings:
                if data:
                    m.put(message, code, data)
        for code in (m.CLIENT_ID, m.AGENT):     # RFC 6842, RFC 3046
            if code in request.options:
                m.put(message, code, request.options[code])
        m.finish(message)
        port = m.CLIENT_PORT
        if request.giaddr != _ANY:
            path = self.ip.path(request.giaddr, 17)
            port = m.SERVER_PORT
        elif kind != m.NAK and request.ciaddr != _ANY:
            path = self.ip.path(request.ciaddr, 17)
        elif kind == m.NAK or request.to_all or yiaddr == _ANY:
            path = self.ip.path(_ALL, 17)
        else:
            # The client cannot answer ARP yet.
            hop = Neighbour(None, yiaddr, request.mac)
            path = Path(self.ip, hop, own.addr, yiaddr, 17, 32, 64, 0, False)
        try:
            if path is not None:
                self.stack.udp.send(path, m.SERVER_PORT, port, message, 0, len(message))
                return
        except OSError:
            pass
        self.count["tx_failed"] += 1


def _number(addr):
    return addr[0] << 24 | addr[1] << 16 | addr[2] << 8 | addr[3]


def _who(who):
    """The key of a reservation: a client identifier, or a hostname."""
    if isinstance(who, str):
        return b"\x01" + address.mac(who) if ":" in who else who
    return bytes(who)


def _name(fqdn):
    """The first label out of option 81, in either form (RFC 4702, 2.1)."""
    if fqdn is None or len(fqdn) < 4:
        return ""
    if fqdn[0] & 4:
        names = m.domains(fqdn[3:] + b"\0", 1)
        return names[0].split(".")[0] if names else ""
    return m.text(fqdn[3:]).split(".")[0]
