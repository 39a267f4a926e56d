"""What the protocols above UDP are made of: an endpoint that acts on a datagram when it comes."""
from spinet.udp import UdpEndpoint


class Service(UdpEndpoint):
    """A UDP endpoint without a queue.  Subclass it and give it `datagram`.

    `count` is the protocol's: what `datagram` refuses with a ValueError counts as "malformed", no
    memory as "no_memory", an answer that cannot be sent as "not_sent".  None of it leaves `poll`.
    """

    def __init__(self, stack, count):
        UdpEndpoint.__init__(self, stack.udp, 0)
        self.stack = stack
        self.count = count

    def datagram(self, buf, h, start, end, sport):
        """The payload `buf[start:end]` has come from the port `sport`; IPv4 header at `buf[h]`."""
        raise NotImplementedError

    def push(self, buf, h, start, end, sport, dport):
        """Take a datagram."""
        try:
            self.datagram(buf, h, start, end, sport)
        except ValueError:
            self.count["malformed"] += 1
        except MemoryError:
            self.count["no_memory"] += 1
        except OSError:
            self.count["not_sent"] += 1
        return True


_public = []        # (class, names of methods)
_guard = None


def public(cls, *names):
    """These methods of an optional module's class are what programs call; its first use says so.

    While a stack is pumped in the background they are guarded, as those of sockets are.
    """
    for known, _ in _public:
        if known is cls:
            return
    _public.append((cls, names))
    if _guard is not None:
        _guard(cls, names)


def guarded(guard):
    """Have `guard(cls, names)` called for all that is public, now and later; None: for no more."""
    global _guard
    _guard = guard
    for cls, names in _public if guard is not None else ():
        guard(cls, names)


class Counters:
    """Counters that several short-lived users share; see `counters`."""

    def __init__(self, names):
        self.count = {name: 0 for name in names}


def counters(stack, service, *names):
    """The counters that `stack.stats()` shows of a service, made when first asked for."""
    if service not in stack.services:
        stack.services[service] = Counters(names)
    return stack.services[service].count


def tell(function, *what):
    """Call a user's function, if there is one, from within `poll`; what it raises is printed."""
    if function is not None:
        try:
            function(*what)
        except Exception as e:
            print("spinet: in a callback: %r" % e)
