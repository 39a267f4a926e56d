"""DNS resolver (RFC 1035, 2181, 2308, 5452, 6891): asks the servers in `stack.dns_servers`.

    resolver = dns.resolver(stack)
    resolver.resolve("example.com")             waits: ["93.184.216.34"]
    found = resolver.start("example.com")       does not: `found.done`, then `found.result()`
    await resolver.lookup("example.com")        neither, in asyncio
    resolver.ask("_http._tcp.example.com", dns.SRV)     any type, waits: a list of values
    resolver.reverse("93.184.216.34")           waits: a list of names
    resolver.hosts["printer"] = "10.0.0.9"      asks nobody

Sockets and `getaddrinfo` import it when they are given a name.  What fails raises OSError(-2).
"""
from spinet.addr import fmt, parse
from spinet.dnsmsg import (
    A, CNAME, IN, NS, OPT, PTR, SOA, SRV, TTL_MAX, TXT, Record, Writer, encode, read_name,
    same_name, text,
)
from spinet.dnstcp import Stream
from spinet.errors import EAI_NONAME, ENOBUFS, os_error
from spinet.prim import MANY, ticks_add, ticks_diff
from spinet.service import Service, public
from spinet.timers import Timer
from spinet.wait import until, until_async

__all__ = ("A", "CNAME", "PTR", "SRV", "TXT", "NS", "resolver", "Resolver")

SERVERS = 3         # that are asked, at most
ROUNDS = 3          # in which each is asked once
FIRST_MS = 1000     # for an answer in the first round, twice as long in each one after
CHAIN = 8           # aliases that are followed
VALUES = 32         # that are kept of an answer
NEGATIVE_MAX = 10800    # seconds to remember that there is nothing (RFC 2308, 5)
UDP_SIZE = 1232     # of an answer that we say we can take: no fragments


class Query(Timer):
    """A question under way: `name` in wire form and small letters, and a type.

    When `done`, `values` are the answers (none: there is no such thing, or `error` says that
    nobody knew) and `ttl` is how many seconds they are good for.
    """

    def __init__(self, resolver, name, kind):
        Timer.__init__(self)
        self.resolver = resolver
        self.name = self.now = name     # `now`: at the end of the aliases so far
        self.kind = kind
        self.values = []
        self.ttl = TTL_MAX
        self.error = None
        self.done = False
        self._links = 0
        self._try = 0
        self._edns = True
        self._ear = None
        self._stream = None
        self._id = 0
        self._useless = 0       # servers of this round that have refused

    # -- asking -------------------------------------------------------------

    def begin(self):
        """Ask the first server."""
        self._try = 0
        self._ask()

    def _server(self):
        servers = self.resolver.stack.dns_servers[:SERVERS]
        return servers and servers[(self.resolver.first + self._try) % len(servers)]

    def _ask(self):
        """Ask the server whose turn it is, from a new port with a new id (RFC 5452, 9.2)."""
        self._hush()
        stack = self.resolver.stack
        servers = min(len(stack.dns_servers), SERVERS)
        if self._try >= servers * ROUNDS:
            self.resolver.count["timeout" if servers else "no_server"] += 1
            self._finish("no answer")
            return
        if self._try % servers == 0:
            self._useless = 0
        stack.timers.arm(self, FIRST_MS << self._try // servers)
        try:
            r = stack.random(2)
            self._id = r[0] << 8 | r[1]
            self._ear = ear = _Ear(self)
            ear.connect(parse(self._server()), 53)
            message = self.message()
            ear.send(message, 0, len(message))
            self.resolver.count["tx"] += 1
        except OSError:
            self.resolver.count["not_sent"] += 1
        except MemoryError:
            self.resolver.count["no_memory"] += 1

    def message(self):
        """The question as a message."""
        w = Writer(300)
        w.begin(self._id, 0x0100)       # recursion desired
        w.question(self.now, self.kind)
        if self._edns:
            w.record(3, b"\0", OPT, UDP_SIZE, 0, b"")
        return w.buf[:w.n]

    def _hush(self):
        if self._ear is not None:
            self._ear.close()
            self._ear = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def expire(self, now):
        """No answer in time; or, on TCP, time to look."""
        if self._stream is None or self._stream.step(self):
            self.next()

    def next(self):
        """This server does not answer: ask the next."""
        self._try += 1
        self._ask()

    def refused(self):
        """This server is of no use: ask the next; if all are, asking again will not help."""
        self._useless += 1
        if self._useless >= min(len(self.resolver.stack.dns_servers), SERVERS):
            self._finish("refused")
        else:
            self.next()

    # -- being answered -----------------------------------------------------

    def heard(self, buf, base, end):
        """A message that may be the answer; anything else is ignored (RFC 5452, 9.1)."""
        count = self.resolver.count
        q = self.resolver.record
        if (end - base < 12 or buf[base] << 8 | buf[base + 1] != self._id
                or buf[base + 2] & 0xF8 != 0x80 or buf[base + 4] or buf[base + 5] != 1
                or not q.question(buf, base + 12, end) or q.type != self.kind or q.klass != IN
                or not same_name(buf, base, q.name, end, self.now)):
            count["mismatch"] += 1
            return
        count["rx"] += 1
        rcode = buf[base + 3] & 15
        if buf[base + 2] & 2 and self._stream is None:
            self._hush()
            self._stream = Stream(self, parse(self._server()))
            count["tcp"] += 1
        elif rcode == 1 and self._edns:
            self._edns = False          # RFC 6891, 6.2.2: a server of before 1999
            self._ask()
        elif rcode != 0 and rcode != 3:
            count["refused"] += 1
            self.refused()
        elif not self._answer(buf, base, q.end, end, rcode):
            count["malformed"] += 1
            self.refused()

    def _answer(self, buf, base, i, end, rcode):
        """Take what the records from `buf[i]` on say; False if they are malformed."""
        answers = buf[base + 6] << 8 | buf[base + 7]
        while True:
            alias = self._scan(buf, base, i, end, answers)
            if alias is False:
                return False
            if self.values:
                self._finish(None)
                return True
            if alias is None:
                break
            self._links += 1
            if self._links > CHAIN:
                self._finish("too many aliases")
                return True
            self.now = alias
        soa = self._authority(buf, base, i, end, answers, buf[base + 8] << 8 | buf[base + 9])
        if soa is False:
            return False
        if rcode == 3 or soa is not None:
            self.ttl = min(self.ttl, soa or 0, NEGATIVE_MAX)
            self._finish(None)
        elif self._moved:
            self._moved = False
            self._try = 0
            self._ask()     # the rest of the chain is elsewhere
        elif buf[base + 8] << 8 | buf[base + 9]:
            self.refused()  # a referral: it does not know, and does not ask for us
        else:
            self.ttl = 0
            self._finish(None)
        return True

    _moved = False      # an alias was followed since we asked last

    def _scan(self, buf, base, i, end, n):
        """Take the values of `now`, which go to `values`.  The name it stands for if it is an
        alias, None if it is not, False if a record is malformed."""
        r = self.resolver.record
        alias = None
        for _ in range(n):
            if not r.read(buf, i, end):
                return False
            i = r.end
            if r.klass != IN or r.type not in (self.kind, CNAME) or (
                    not same_name(buf, base, r.name, end, self.now)):
                continue
            value = r.value(buf, base)
            if value is None:
                return False
            self.ttl = min(self.ttl, r.ttl)
            if r.type == self.kind:
                if len(self.values) < VALUES:
                    self.values.append(value)
            elif alias is None:
                alias = value.lower()
                self._moved = True
        return alias

    def _authority(self, buf, base, i, end, answers, n):
        """For how long there is nothing (RFC 2308, 5): seconds; None if no SOA says so."""
        r = self.resolver.record
        for k in range(answers + n):
            if not r.read(buf, i, end):
                return False
            i = r.end
            if k >= answers and r.type == SOA and r.klass == IN and r.size >= 22:
                zone = read_name(buf, base, r.name, end)
                if zone is None:
                    return False
                if self.now.endswith(zone.lower()):
                    j = i - 4
                    least = TTL_MAX if buf[j] or buf[j + 1] > 1 else (
                        buf[j + 1] << 16 | buf[j + 2] << 8 | buf[j + 3])
                    return min(r.ttl, least)
        return None

    def _finish(self, error):
        self._hush()
        self.resolver.stack.timers.remove(self)
        self.error = error
        self.done = True
        self.resolver.finished(self)


class _Ear(Service):
    """Where the answer to one try comes."""

    def __init__(self, query):
        Service.__init__(self, query.resolver.stack, query.resolver.count)
        self.query = query

    def datagram(self, buf, h, start, end, sport):
        self.query.heard(buf, start, end)

    def failed(self, error):
        """There is no server: its host says so, or does not answer ARP."""
        self.query.refused()


class _Known:
    """What the cache holds; `due` in ticks."""

    done = True
    error = None

    def __init__(self, values, due=0):
        self.values = values
        self.due = due


class Lookup:
    """A host's addresses, by all the names that it may mean: `done`, then `result()`."""

    def __init__(self, resolver, names):
        self._resolver = resolver
        self._names = names
        self._query = resolver.query(names.pop(0), A)

    @property
    def done(self):
        """Whether there is a result; asks for the next name if the one before does not exist."""
        while self._query.done:
            if self._query.values or not self._names:
                return True
            self._query = self._resolver.query(self._names.pop(0), A)
        return False

    def result(self):
        """The addresses in text; OSError(-2) if there is none, or not yet."""
        if not self._query.done or not self._query.values:
            raise os_error(EAI_NONAME)
        return list(self._query.values)


class Resolver(Timer):
    """The resolver of one stack.  `hosts` maps names to an address or a list of some.

    `cache_max` bounds the cache, `queries_max` the questions under way.
    """

    def __init__(self, stack):
        public(Resolver, "query", "flush", "start", "resolve", "ask", "reverse", "close")
        Timer.__init__(self)
        self.stack = stack
        self.hosts = {}
        self.first = 0          # the server that answered last
        self.pending = {}
        self.cache = {}
        self.cache_max = MANY
        self.queries_max = MANY >> 2
        self.record = Record()
        self.count = {
            "tx": 0, "rx": 0, "cached": 0, "mismatch": 0, "malformed": 0, "refused": 0, "tcp": 0,
            "timeout": 0, "no_server": 0, "not_sent": 0, "no_memory": 0, "evicted": 0,
        }

    def query(self, name, kind):
        """The `Query` for a name in wire form; one that is done if the answer is known.

        OSError(ENOBUFS) if too many are under way.
        """
        name = name.lower()
        if name.endswith(b"\x05local\0"):
            return self._local(name, kind)
        if name.endswith(b"\x09localhost\0"):       # RFC 6761, 6.3
            return _Known(["127.0.0.1"] if kind == A else [])
        if name[-9:] == b"\x07invalid\0" or name[-7:] == b"\x05onion\0":
            return _Known([])
        known = self.cache.get((name, kind))
        if known is not None and ticks_diff(known.due, self.stack.clock()) > 0:
            self.count["cached"] += 1
            return known
        query = self.pending.get((name, kind))
        if query is None:
            if len(self.pending) >= self.queries_max:
                raise os_error(ENOBUFS)
            self.stack.timers.now = self.stack.clock()
            query = Query(self, name, kind)
            self.pending[(name, kind)] = query
            query.begin()
        return query

    def _local(self, name, kind):
        """RFC 6762, 3: such names are asked for by multicast DNS, and nowhere else."""
        try:
            from spinet.mdns import mdns
        except ImportError:
            return _Known([])
        return mdns(self.stack).query(name, kind)

    def finished(self, query):
        """A query is done: remember what it found."""
        key = query.name, query.kind
        if self.pending.get(key) is query:
            del self.pending[key]
        if query.error is not None:
            return
        servers = min(len(self.stack.dns_servers), SERVERS)
        if servers:
            self.first = (self.first + query._try) % servers
        if not query.ttl:
            return
        timers = self.stack.timers
        if key not in self.cache and len(self.cache) >= self.cache_max:
            self.count["evicted"] += 1
            self._forget(None)
        wait = query.ttl * 1000
        self.cache[key] = _Known(query.values, ticks_add(timers.now, wait))
        if self.due is None or ticks_diff(self.due, timers.now) > wait:
            timers.arm(self, wait)

    def _forget(self, now):
        """Forget what is out of date at `now`; None: the one that will be first.  The ms until
        the next will be, None if nothing is left."""
        if now is None:
            first = None
            for key in self.cache:
                if first is None or ticks_diff(self.cache[key].due, self.cache[first].due) < 0:
                    first = key
            del self.cache[first]
            return None
        for key in [key for key in self.cache if ticks_diff(self.cache[key].due, now) <= 0]:
            del self.cache[key]
        return min([ticks_diff(known.due, now) for known in self.cache.values()], default=None)

    def expire(self, now):
        """Something in the cache is out of date: no time may be left in it that the ticks wrap."""
        wait = self._forget(now)
        if wait is not None:
            self.stack.timers.arm(self, wait)

    def flush(self):
        """Forget all that is known, as after a change of the network."""
        self.cache.clear()

    # -- for users ----------------------------------------------------------

    def start(self, host):
        """Begin to look a host up; a `Lookup`.  OSError(-2) for what can be no name."""
        return Lookup(self, self.names(host))

    def names(self, host):
        """The names in wire form that a host's name may mean, in the order to try them."""
        try:
            if host.endswith("."):
                return [encode(host)]
            search = self.stack.search or [self.stack.domain]
            names = [encode(host + "." + domain) for domain in search if domain]
            wire = encode(host)
        except ValueError:
            raise os_error(EAI_NONAME)
        if host[-1:].isdigit() and host.replace(".", "").isdigit():
            raise os_error(EAI_NONAME)       # meant to be an address
        # RFC 1535: a name with a dot is first of all taken as it is.
        if "." in host or not names:
            names.insert(0, wire)
        else:
            names.append(wire)
        if wire.lower().endswith(b"\x05local\0"):
            return [wire]
        return names

    def listed(self, host):
        """What is known of a host without asking: in `hosts`, or an address itself; or None."""
        found = self.hosts.get(host.lower())
        if isinstance(found, str):
            return [found]
        if found is None:
            try:
                return [fmt(parse(host))]
            except ValueError:
                pass
        return found

    def resolve(self, host, timeout_ms=-1):
        """Wait for a host's addresses, text; OSError(-2) if there is none (within the time)."""
        found = self.listed(host)
        if found is None:
            lookup = self.start(host)
            until(self.stack, lookup, timeout_ms)
            found = lookup.result()
        return found

    async def lookup(self, host):
        """As `resolve`, for a task of asyncio."""
        found = self.listed(host)
        if found is None:
            lookup = self.start(host)
            await until_async(self.stack, lookup)
            found = lookup.result()
        return found

    def ask(self, name, kind, timeout_ms=-1):
        """Wait for the values of a name in text, a list; [] if it has none of this type.

        Names in values are text.  OSError(-2) if nobody knows.
        """
        query = self.query(encode(name), kind)
        until(self.stack, query, timeout_ms)
        if not query.done or query.error:
            raise os_error(EAI_NONAME)
        return [readable(value, kind) for value in query.values]

    def reverse(self, address, timeout_ms=-1):
        """Wait for the names of an address, a list."""
        a = parse(address)
        return self.ask("%d.%d.%d.%d.in-addr.arpa" % (a[3], a[2], a[1], a[0]), PTR, timeout_ms)

    def close(self):
        """Give up what is under way."""
        self.stack.timers.remove(self)
        for query in list(self.pending.values()):
            query._finish("closed")


def readable(value, kind):
    """A record's value with its name, if it has one, as text."""
    if kind in (CNAME, NS, PTR):
        return text(value)
    if kind == SRV:
        return value[0], value[1], value[2], text(value[3])
    return value


def resolver(stack):
    """The resolver of `stack`, made when first asked for."""
    found = stack.services.get("dns")
    if found is None:
        found = stack.services["dns"] = Resolver(stack)
    return found
