"""A DHCP lease: what a server's ACK says (RFC 2132), checked, and put into effect.

Nothing in an option is believed that a host must not have: what is out of range is as if it
were not there. Lists are bounded.
"""
from spinet import addr as address
from spinet import dhcpmsg as m

FOREVER = -1
_LONGEST_S = (1 << 30) - 1      # 34 years; a longer lease is as good as that
_ROUTES = 16


class Lease:
    """Address `addr` (4 bytes) with its prefix `length`, from `server`, and all that came with it.

    `time`, `t1` and `t2` are seconds from when it was asked for; FOREVER if it has no end.
    Attributes that are lists of addresses hold 4 bytes each.
    """

    def __init__(self, addr, options):
        self.addr = addr
        self.server = options.get(m.SERVER_ID, b"\0\0\0\0")
        self.length = _prefix(addr, options.get(m.MASK))
        self._times(options)
        self.routers = m.addresses(options.get(m.ROUTERS))
        self.routes = _classless(options.get(m.ROUTES))
        if self.routes is None:
            self.routes = _classful(options.get(m.STATIC_ROUTES))
            self.routes += [(b"\0\0\0\0", 0, router) for router in self.routers]
        self.dns = m.addresses(options.get(m.DNS))
        self.ntp = m.addresses(options.get(m.NTP))
        self.domain = m.text(options.get(m.DOMAIN))
        self.search = m.domains(options.get(m.SEARCH))
        self.hostname = m.text(options.get(m.HOSTNAME))
        self.vendor = options.get(m.VENDOR, b"")
        mtu = options.get(m.MTU, b"\0\0")
        mtu = mtu[0] << 8 | mtu[1] if len(mtu) == 2 else 0
        # Less than every host must take (RFC 791, 3.1) would only make the host slow.
        self.mtu = mtu if mtu >= 576 else 0
        self.broadcast = options.get(m.BROADCAST, b"")

    def _times(self, options):
        time = m.u32(options.get(m.LEASE_TIME))
        if options.get(m.LEASE_TIME) == m.INFINITE:
            self.time = self.t1 = self.t2 = FOREVER
            return
        self.time = min(time or 0, _LONGEST_S)
        t1 = m.u32(options.get(m.T1))
        t2 = m.u32(options.get(m.T2))
        self.t2 = self.time - (self.time >> 3) if t2 is None or t2 > self.time else t2
        self.t1 = min(self.time >> 1, self.t2) if t1 is None or t1 > self.t2 else t1
        if not self.t1:
            self.t1 = 1

    def usable(self):
        """Whether it is a lease of an address that a host can have."""
        return m.is_host(self.addr) and self.time != 0

    def settings(self):
        """What `apply` makes of it, to compare."""
        return (self.addr, self.length, self.routes, self.mtu, self.broadcast, self.dns, self.ntp,
                self.domain, self.search)

    def apply(self, ip, before=None):
        """Configure the interface `ip` and its stack, where the lease `before` was in effect.

        An address that stays is not touched, nor are the connections that use it.
        """
        if before is not None:
            before.unroute(ip)
        if before is None or before.addr != self.addr or before.length != self.length:
            if before is not None and ip.is_own(before.addr, 0):
                ip.remove_address(before.addr)
            ip.insert_address(0, self.addr, self.length)
        known = ip.addresses[0]
        if self.broadcast == known.net and self.length < 31:
            known.broadcast = self.broadcast    # the form of 4.2BSD (RFC 1122, 3.3.6)
        for prefix, length, gateway in self.routes:
            ip.routes.add(prefix, length, gateway)
        link = ip.id
        link.mtu = min(self.mtu or link.port.mtu, link.port.mtu)
        ip.routes.changed()
        self.tell(ip.stack)

    def renew(self, new):
        """Go on with what is in effect for the time that `new`, otherwise the same, has."""
        self.server = new.server
        self.time = new.time
        self.t1 = new.t1
        self.t2 = new.t2

    def tell(self, stack):
        """Tell the stack of the servers and domains."""
        if self.dns:
            stack.dns_servers = self.dns
        if self.ntp:
            stack.ntp_servers = self.ntp
        if self.domain:
            stack.domain = self.domain
        if self.search:
            stack.search = self.search

    def withdraw(self, ip):
        """Undo `apply`."""
        self.unroute(ip)
        if ip.is_own(self.addr, 0):     # unless somebody has set another
            ip.remove_address(self.addr)
        link = ip.id
        link.mtu = link.port.mtu
        stack = ip.stack
        if stack.dns_servers is self.dns:
            stack.dns_servers = []
        if stack.ntp_servers is self.ntp:
            stack.ntp_servers = []
        if self.domain and stack.domain == self.domain:
            stack.domain = ""
        if stack.search is self.search:
            stack.search = []

    def unroute(self, ip):
        """Remove the routes."""
        ours = self.routes
        ip.routes.remove(lambda r: (r.prefix, r.length, r.gateway) in ours)


def _prefix(addr, mask):
    """The prefix length that the mask says; without one, what the class of the address implies."""
    if mask is not None and len(mask) == 4:
        try:
            return address.prefixlen(mask)
        except ValueError:
            pass
    return 8 if addr[0] < 128 else 16 if addr[0] < 192 else 24


def _classful(data):
    """Routes of option 33: to a host, or to the network whose class the address has."""
    routes = []
    if data is not None and len(data) % 8 == 0:
        for i in range(0, len(data), 8):
            to = data[i:i + 4]
            gateway = data[i + 4:i + 8]
            length = _prefix(to, None)
            if any(to[length >> 3:]):
                length = 32
            if m.is_host(to) and m.is_host(gateway) and len(routes) < _ROUTES:
                routes.append((to, length, gateway))
    return routes


def _classless(data):
    """Routes of option 121 (RFC 3442), which take the place of options 3 and 33; None without it.

    A router of 0.0.0.0 is a network on the link.
    """
    if data is None:
        return None
    routes = []
    i = 0
    while i < len(data):
        length = data[i]
        n = length + 7 >> 3
        if length > 32 or i + 5 + n > len(data):
            return None
        prefix = bytearray(4)
        prefix[:n] = data[i + 1:i + 1 + n]
        mask = address.mask(length)
        prefix = bytes([prefix[k] & mask[k] for k in range(4)])
        gateway = data[i + 1 + n:i + 5 + n]
        i += 5 + n
        if len(routes) < _ROUTES and prefix[0] < 224 and prefix[0] != 127:
            if gateway == b"\0\0\0\0":
                routes.append((prefix, length, None))
            elif m.is_host(gateway):
                routes.append((prefix, length, gateway))
    return routes
