"""Multicast DNS (RFC 6762) and service discovery (RFC 6763) on one interface.

    m = mdns.mdns(stack)
    m.host("board")                                 we are board.local, or board-2.local
    m.register("_http._tcp", 80, "My board", {"path": "/"})
    b = m.browse("_http._tcp")                      `b.found`: names of services, kept up to date
    m.service("My board", "_http._tcp")             waits: (host, port, txt, addresses)

`getaddrinfo` comes here for names that end in `.local`.  This file has the socket and the
questions of ours; mdnsown.py answers those of others, and is imported when there is something to
answer; mdnsbrowse.py browses.
"""
from spinet.dnsmsg import (
    A, ANY, CNAME, IN, NSEC, SRV, TXT, Record, Writer, encode, same_name, text,
)
from spinet.errors import EAI_NONAME, ENOBUFS, ENODEV, os_error
from spinet.igmp import igmp
from spinet.prim import MANY, ticks_add, ticks_diff
from spinet.service import Service, public
from spinet.timers import Timer
from spinet.wait import until

GROUP = b"\xe0\0\0\xfb"
PORT = 5353
ASK_MS = (1000, 2000, 2000)     # after each time we ask: then there is no such thing


class Query(Timer):
    """A question under way; the same interface as a `Query` of dns.py."""

    error = None

    def __init__(self, mdns, name, kind):
        Timer.__init__(self)
        self.mdns = mdns
        self.name = name
        self.kind = kind
        self.values = []
        self.ttl = 0
        self.done = False
        self._tries = 0
        self._nothing = False

    def expire(self, now):
        """Ask, or give up."""
        if self._tries >= len(ASK_MS):
            self.finish()
            return
        self.mdns.stack.timers.arm(self, ASK_MS[self._tries])
        self._tries += 1
        try:
            w = Writer(300)
            w.begin()
            w.question(self.name, self.kind)
            self.mdns.send(w)
        except MemoryError:
            self.mdns.count["no_memory"] += 1

    def offer(self, buf, base, r, end):
        """A record of an answer, perhaps ours."""
        if r.type == self.kind or r.type == CNAME or self.kind == ANY:
            if r.ttl and same_name(buf, base, r.name, end, self.name):
                value = r.value(buf, base)
                if value is None:
                    raise ValueError
                if r.type == self.kind and value not in self.values and len(self.values) < 16:
                    self.values.append(value)
                    self.ttl = min(self.ttl or r.ttl, r.ttl)
        elif r.type == NSEC and self.kind < 256 and r.ttl and (
                same_name(buf, base, r.name, end, self.name)):
            # RFC 6762, 6.1: the name is there, and says of which types it has records.
            i = r.end - 1
            j = r.data
            while j < i and not (buf[j] == 0 and 0 < buf[j + 1] <= 32 and j + 2 + buf[j + 1] == (
                    r.end)):
                j += 1
            bit = self.kind >> 3
            if j < i and (bit >= buf[j + 1] or not buf[j + 2 + bit] & 0x80 >> (self.kind & 7)):
                self._nothing = True

    def settle(self):
        """The message is at its end: was the answer in it?"""
        if self.values or self._nothing:
            self.finish()

    def finish(self):
        """Done, with an answer or without."""
        self.done = True
        self.mdns.stack.timers.remove(self)
        self.mdns.finished(self)


class _Known:
    """An answer in the cache; `due` in ticks."""

    done = True
    error = None

    def __init__(self, values, due=0):
        self.values = values
        self.due = due


class Mdns(Service):
    """Multicast DNS of one stack on the interface `ip`."""

    def __init__(self, stack, ip):
        public(Mdns, "query", "ask", "service", "browse", "host", "register", "unregister",
               "announce", "close")
        Service.__init__(self, stack, {
            "rx_query": 0, "rx_response": 0, "tx": 0, "malformed": 0, "off_link": 0, "ignored": 0,
            "no_memory": 0, "not_sent": 0, "conflict": 0, "suppressed": 0,
        })
        self.ip = ip
        self.own = None         # the responder, once there is something to answer
        self.queries = []
        self.browsers = []
        self.cache = {}
        self.record = Record()
        self.reuse = True
        self.ttl = self.multicast_ttl = 255
        self.multicast_loop = False
        self.multicast_if = ip
        self.bind(None, PORT)
        igmp(stack).join(self, ip, GROUP)

    def send(self, w, dst=GROUP, port=PORT):
        """Send a message; one that cannot be sent now is lost."""
        try:
            self.sendto(w.buf, 0, w.n, dst, port)
            self.count["tx"] += 1
        except OSError:
            self.count["not_sent"] += 1

    def below(self, ms):
        """A random number below `ms` (at most 65536)."""
        r = self.stack.random(2)
        return (r[0] << 8 | r[1]) * ms >> 16

    # -- in -----------------------------------------------------------------

    def datagram(self, buf, h, start, end, sport):
        """A message."""
        if end - start < 12:
            raise ValueError
        count = self.count
        if not self._near(buf, h + 12):
            count["off_link"] += 1      # RFC 6762, 11
        elif buf[start + 2] & 0x78 or buf[start + 3] & 15:
            count["ignored"] += 1
        elif buf[start + 2] & 0x80:
            if sport != PORT:
                count["ignored"] += 1
            else:
                self._response(buf, start, end)
                count["rx_response"] += 1
        else:
            if self.own is not None:
                self.own.query(buf, h, start, end, sport)
            count["rx_query"] += 1

    def _near(self, buf, i):
        """Whether the address at `buf[i]` is on the link."""
        for known in self.ip.addresses:
            left = known.length
            k = 0
            while left > 0 and (buf[i + k] ^ known.net[k]) >> (8 - left if left < 8 else 0) == 0:
                left -= 8
                k += 1
            if left <= 0:
                return True
        return buf[i] == 169 and buf[i + 1] == 254

    def _response(self, buf, base, end):
        if not (self.queries or self.browsers or self.own or self.cache):
            return
        r = self.record
        i = base + 12
        for _ in range(buf[base + 4] << 8 | buf[base + 5]):
            if not r.question(buf, i, end):
                raise ValueError
            i = r.end
        n = (buf[base + 6] << 8 | buf[base + 7]) + (buf[base + 8] << 8 | buf[base + 9]) + (
            buf[base + 10] << 8 | buf[base + 11])
        while n:
            if not r.read(buf, i, end):
                raise ValueError
            i = r.end
            n -= 1
            if r.klass == IN:
                self._heard(buf, base, r, end)
        if self.queries:
            for query in list(self.queries):
                query.settle()

    def _heard(self, buf, base, r, end):
        for query in self.queries:
            query.offer(buf, base, r, end)
        for browser in self.browsers:
            browser.offer(buf, base, r, end)
        if self.own is not None:
            self.own.heard(buf, base, r, end)
        for key in self.cache:
            # What is known of the name may be wrong now (RFC 6762, 10).
            if key[1] == r.type and (r.flag or not r.ttl) and (
                    same_name(buf, base, r.name, end, key[0])):
                del self.cache[key]
                break

    # -- questions of ours --------------------------------------------------

    def query(self, name, kind):
        """The `Query` for a name in wire form; one that is done if the answer is known."""
        name = name.lower()
        if self.own is not None:
            values = self.own.values(name, kind)
            if values:
                return _Known(values)
        known = self.cache.get((name, kind))
        if known is not None and ticks_diff(known.due, self.stack.clock()) > 0:
            return known
        for query in self.queries:
            if query.name == name and query.kind == kind:
                return query
        if len(self.queries) >= MANY >> 2:
            raise os_error(ENOBUFS)
        self.stack.timers.now = self.stack.clock()
        query = Query(self, name, kind)
        self.queries.append(query)
        self.stack.timers.arm(query, 0)
        return query

    def finished(self, query):
        """A query is done: remember what it found, until its time is over."""
        if query in self.queries:
            self.queries.remove(query)
        now = self.stack.timers.now
        for key in [key for key in self.cache if ticks_diff(self.cache[key].due, now) <= 0]:
            del self.cache[key]
        if query.values and len(self.cache) < MANY:
            # Not for long: ticks that have wrapped would give it new life.
            self.cache[(query.name, query.kind)] = _Known(
                query.values, ticks_add(now, min(query.ttl, 4500) * 1000))

    def ask(self, name, kind, timeout_ms=-1):
        """Wait for the values of a name in text, a list; names in values are in wire form."""
        query = self.query(encode(name), kind)
        until(self.stack, query, timeout_ms)
        return list(query.values)

    def service(self, name, kind, timeout_ms=-1):
        """Wait for what there is to know of a service: (host, port, txt, addresses).

        `name` is that of one instance, "My board", and `kind` "_http._tcp"; `txt` is a list of
        bytes, addresses are text.  OSError(-2) if it is not there.
        """
        wire = instance(name, kind)
        srv = self.query(wire, SRV)
        txt = self.query(wire, TXT)
        until(self.stack, srv, timeout_ms)
        until(self.stack, txt, timeout_ms)
        if not srv.values:
            raise os_error(EAI_NONAME)
        _, _, port, host = srv.values[0]
        address = self.query(host, A)
        until(self.stack, address, timeout_ms)
        return text(host), port, txt.values[0] if txt.values else [], list(address.values)

    def browse(self, kind, on_change=None):
        """Look for services of a kind, "_http._tcp", until the result, a `Browser`, is closed.

        `on_change(name, there)` is called for each that comes or goes.
        """
        from spinet.mdnsbrowse import Browser

        self.stack.timers.now = self.stack.clock()
        browser = Browser(self, encode(kind + ".local"), on_change)
        self.browsers.append(browser)
        return browser

    # -- ours ---------------------------------------------------------------

    def _owner(self):
        if self.own is None:
            from spinet.mdnsown import Responder

            self.own = Responder(self)
        self.stack.timers.now = self.stack.clock()
        return self.own

    def host(self, name=None):
        """Be `name`.local, by default what `network.hostname` says.

        If another host is that already: `name`-2.local, and so on; the result's `name_text` says.
        """
        return self._owner().host(name)

    def register(self, kind, port, name=None, txt=None, subtypes=()):
        """Offer a service of a kind, "_http._tcp"; `txt` is a dictionary.

        `name` is what people see, by default the host's; if there is one such, "name (2)", and so
        on.  The result has `name_text`, what it came to be, and goes to `unregister`.
        """
        return self._owner().register(kind, port, name, txt, subtypes)

    def unregister(self, entry):
        """Say goodbye, and do not offer the service any more."""
        self._owner().unregister(entry)

    def announce(self):
        """Tell everybody of our names again, as after a change of the address."""
        self._owner().announce()

    def close(self):
        """Say goodbye and be silent; who asks for the stack's multicast DNS later gets another."""
        if self.own is not None:
            self.own.close()
        for timer in self.queries + self.browsers:
            timer.done = True
            self.stack.timers.remove(timer)
        self.queries.clear()
        self.browsers.clear()
        if self.stack.services.get("mdns") is self:
            del self.stack.services["mdns"]
        Service.close(self)


def instance(name, kind):
    """The name of a service in wire form: its first label may be anything."""
    label = name.encode()
    if not 0 < len(label) < 64:
        raise ValueError("the name of a service has 1 to 63 bytes")
    return bytes((len(label),)) + label + encode(kind + ".local")


def mdns(stack, ip=None):
    """Multicast DNS of `stack`, begun when first asked for: on `ip`, or its first interface."""
    found = stack.services.get("mdns")
    if found is None:
        for known in stack.interfaces:
            if ip is None and not known.id.loopback:
                ip = known
        if ip is None:
            raise os_error(ENODEV)
        found = stack.services["mdns"] = Mdns(stack, ip)
    return found
