"""A stack: interfaces, IPv4 and the protocols above it, driven by `poll`.

Several stacks live side by side in one process and share nothing.  Time and
randomness come from outside: `clock()` gives milliseconds in ticks (modulo
2**30), `random(n)` n bytes, and `wait(ms)` passes the time while a blocking
socket call has nothing to do.
"""
from spinet import socket
from spinet.errors import EADDRNOTAVAIL, os_error
from spinet.ethernet import BareIP, Ethernet
from spinet.icmp import Icmp
from spinet.ipv4 import IPv4
from spinet.loopback import Loopback
from spinet.prim import foresee, ticks_ms, urandom
from spinet.raw import Raw
from spinet.shortcut import foreseen
from spinet.tcp import Tcp
from spinet.tcp.states import ORPHAN
from spinet.timers import Timers
from spinet.udp import Udp
from spinet.wait import Waiter

_BATCH = 32         # frames taken from one interface before the others and the timers have a turn
_LONGEST = 1000     # the longest that `poll` says may pass before it is called again, in ms


class Stack:
    """One host: `add` its interfaces, then `poll` it."""

    def __init__(self, clock=ticks_ms, random=urandom, wait=None):
        self.clock = clock
        self.random = random
        self.timers = Timers(clock())
        self.protocols = {}
        self.services = {}          # name: an optional part, whose `count` `stats` shows
        self.raw = Raw(self)
        self.icmp = Icmp(self)
        self.udp = Udp(self)
        self.tcp = Tcp(self)
        self.protocols[1] = self.icmp
        self.protocols[6] = self.tcp
        self.protocols[17] = self.udp
        self.interfaces = []
        self.names = []
        self.dns_servers = []       # 4 bytes each, the preferred one first
        self.ntp_servers = []       # the same
        self.domain = ""            # of this host
        self.search = []            # domains in which short names are looked up; empty: `domain`
        self._links = []
        self.polling = False
        self.calls = None           # callbacks of sockets that are due: sockcall.py
        self.later = None           # called in place of these: who calls it sees to them
        self.dropped = None         # connections, listeners, endpoints whose socket is garbage
        self.lo = self._attach(Loopback(self.timers), "lo")
        self.lo.add_address("127.0.0.1/8")
        self.wait = wait or Waiter(self)
        if socket._stack is None:
            socket.use(self)

    def _attach(self, link, name):
        if foresee is not None and link.header_len == 14:
            link.foreseen = foreseen
        ip = IPv4.connect(link, self.protocols)
        ip.stack = self
        ip.icmp = self.icmp
        self.interfaces.append(ip)
        self.names.append(name)
        self._links.append(link)
        return ip

    def add(self, port, address=None, gateway=None, vlan=None, name=None):
        """Add the interface that `port` is, with an address "a.b.c.d/len"; returns its IPv4."""
        if port.medium == "ip":
            link = BareIP(port, self.timers)
        else:
            link = Ethernet(port, self.timers, self.random, vlan)
        ip = self._attach(link, name or self._free_name())
        if address:
            ip.add_address(address)
        if gateway:
            ip.set_ipv4_gateways([gateway])
        return ip

    def _free_name(self):
        n = 0
        while "eth%d" % n in self.names:
            n += 1
        return "eth%d" % n

    def remove(self, ip):
        """Take an interface away, with its services, and close its port."""
        i = self.interfaces.index(ip)
        prefix = self.names[i] + "."
        for service in list(self.services):
            if service.startswith(prefix):
                self._end(service)
        del self.interfaces[i], self.names[i], self._links[i]
        port = ip.id.port
        ip.disconnect()
        if port is not None:
            port.close()

    def poll(self, now=None):
        """Do all work that is due at `now` (ticks in ms; default: the clock's).

        Returns how many ms may pass before the next call, 0 when more is
        waiting; a frame that arrives in the meantime is a reason to call
        earlier.  Does nothing when called from within itself.
        """
        if self.polling:
            return 0
        self.polling = True
        try:
            timers = self.timers
            timers.now = now = self.clock() if now is None else now
            if self.dropped:
                self._close_dropped()
            more = False
            for link in self._links:
                n = link.receive(_BATCH)
                if n:
                    timers.worked = True
                    if n == _BATCH:
                        more = True
            wait = timers.run(now)
            if more or self.lo.id.waiting:
                return 0
            return _LONGEST if wait is None or wait > _LONGEST else wait
        finally:
            self.polling = False
            if self.calls:
                if self.later is None:
                    from spinet.sockcall import run

                    run(self)
                else:
                    self.later()

    def _close_dropped(self):
        dropped = self.dropped
        while dropped:
            thing = dropped.pop()
            if not getattr(thing, "flags", 0) & ORPHAN:     # a connection that was closed before
                thing.close()

    def inside(self):
        """Whether this is called from within `poll`, where nothing can be waited for."""
        return self.polling

    def idle(self, ms=_LONGEST):
        """The end of one turn of a program's loop: `poll`, then wait at most `ms` for more to do.

        Does not wait if anything happened since the last `idle`: sockets may have become ready.
        """
        wait = self.poll()
        timers = self.timers
        if timers.worked:
            timers.worked = False
        elif wait:
            self.wait(wait if wait < ms else ms)

    def path(self, dst, proto, src=None, ttl=64, tos=0, df=False):
        """The path to `dst` (4 bytes) by the interface whose route matches best, or None."""
        best = None
        for ip in self.interfaces:
            path = ip.path(dst, proto, src, ttl, tos, df)
            if path is not None and (best is None or path.matched > best.matched):
                best = path
        return best

    def check_own(self, addr):
        """OSError(EADDRNOTAVAIL) unless `addr` (4 bytes) is an address of this host."""
        for ip in self.interfaces:
            if ip.transparent or ip.is_own(addr, 0):
                return
        raise os_error(EADDRNOTAVAIL)

    def socket(self, type=socket.SOCK_STREAM, proto=0):
        """A new socket on this stack."""
        return socket.make(self, type, proto)

    def stats(self):
        """All counters, `{"eth0": {...}, "ip": {...}, "arp": {...}, "tcp": {...}, ...}`.

        Counters of an interface's layers stand under its name, dotted: "eth0.arp".
        """
        found = {}
        for i, ip in enumerate(self.interfaces):
            name = self.names[i]
            link = ip.id
            found[name] = link.count
            found[name + ".ip"] = ip.count
            if getattr(link, "arp", None):
                found[name + ".arp"] = link.arp.count
            if getattr(link.port, "count", None):
                found[name + ".port"] = link.port.count
        for name in ("icmp", "raw", "udp", "tcp"):
            found[name] = getattr(self, name).count
        for name in self.services:
            found[name] = self.services[name].count
        return found

    def capture(self, ip, file):
        """Write every frame of an interface to `file` as pcap; None ends it."""
        from spinet.ports.pcap import Pcap

        link = ip.id
        if isinstance(link.port, Pcap):
            link.port = link.port.port
        if file is not None:
            link.port = Pcap(link.port, file)

    def _end(self, service):
        part = self.services.pop(service)
        if hasattr(part, "close"):
            part.close()

    def close(self):
        """Reset connections, close sockets and ports; idempotent."""
        for name in list(self.services):
            self._end(name)
        self.tcp.close()
        for ip in list(self.interfaces):
            self.remove(ip)
        if socket._stack is self:
            socket.use(None)
