"""Routes of one interface: where a packet goes next (RFC 1122, 3.3.1).

The longest prefix wins.  Of several gateways for one prefix the first that is
alive is used; one is dead when it answers no ARP, or when TCP says that
nothing gets through (RFC 1122, 3.3.1.4), and is tried again after a minute or
when it is heard of.
"""
from spinet.timers import Timer

RETRY_MS = 60000


class Route(Timer):
    """`prefix` (4 bytes) of `length` bits, by `gateway` (4 bytes, None: on this link)."""

    def __init__(self, routes, prefix, length, gateway):
        Timer.__init__(self)
        self.routes = routes
        self.prefix = prefix
        self.length = length
        self.gateway = gateway
        self.dead = False

    def matches(self, addr):
        """Whether `addr` (4 bytes) lies within."""
        left = self.length
        i = 0
        while left >= 8:
            if addr[i] != self.prefix[i]:
                return False
            i += 1
            left -= 8
        return not left or (addr[i] ^ self.prefix[i]) >> (8 - left) == 0

    def expire(self, now):
        """A dead gateway deserves another try."""
        self.routes.set_dead(self, False)


class Routes:
    """The routes of the interface `ip`, longest prefix first."""

    def __init__(self, ip):
        self.ip = ip
        self.timers = ip.timers
        self.entries = []

    def add(self, prefix, length, gateway):
        """Append a route behind those of the same length."""
        i = 0
        while i < len(self.entries) and self.entries[i].length >= length:
            i += 1
        self.entries.insert(i, Route(self, prefix, length, gateway))
        self.changed()

    def remove(self, wanted):
        """Remove the routes for which `wanted(route)` holds; how many there were."""
        gone = [r for r in self.entries if wanted(r)]
        for route in gone:
            self.timers.remove(route)
            self.entries.remove(route)
        if gone:
            self.changed()
        return len(gone)

    def lookup(self, addr):
        """The route to `addr` (4 bytes): the best that is not dead, else the best; or None."""
        best = None
        for route in self.entries:
            if best is not None and route.length < best.length:
                break
            if route.matches(addr):
                if not route.dead:
                    return route
                if best is None:
                    best = route
        return best

    def mark(self, gateway, dead):
        """A gateway (4 bytes) is dead, or alive again."""
        for route in self.entries:
            if route.gateway == gateway and route.dead != dead:
                self.set_dead(route, dead)

    def set_dead(self, route, dead):
        """Note it, and see to it that a dead one is tried again."""
        route.dead = dead
        if dead:
            self.timers.arm(route, RETRY_MS)
        else:
            self.timers.cancel(route)
        self.changed()

    def changed(self):
        """Make every path look its route up again."""
        self.ip.gen = (self.ip.gen + 1) & 0xFFFFFF
        self.ip.id.expected = None
