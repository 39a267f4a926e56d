"""What a small server of names says, from bytes to bytes: questions read, answers written.

RFC 1035; RFC 2308 for "no such name" and "no such data"; RFC 4343: letters of both cases are one.
"""
from spinet.dnsmsg import A, IN, PTR, Record, Writer, encode, read_name, text

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
TTL_S = 60          # of our own names: a board may get another address
MOST = 12           # addresses in an answer; they fit 512 bytes beside the longest name
REVERSE = ".in-addr.arpa"


class Question:
    """A question as it came: `name` in small letters without the last dot, `wire` as it was."""

    def __init__(self, message, wire, kind, klass):
        self.ident = bytes(message[0:2])
        self.recursion = message[2] & 1
        self.wire = wire
        self.name = text(wire).lower()
        self.kind = kind
        self.klass = klass


def read(message):
    """(question, rcode) of a message: (None, None) if it is not to be answered at all, (None,
    rcode) if it is with an error, (question, 0) if it is one."""
    if len(message) < 12 or message[2] & 0x80:
        return None, None           # too short for an id to answer to, or an answer
    if message[2] & 0x78:
        return None, NOTIMP
    record = Record()
    if message[4] or message[5] != 1 or not record.question(message, 12, len(message)):
        return None, FORMERR
    wire = read_name(message, 0, 12, len(message))
    if wire is None:
        return None, FORMERR
    # The whole 16 bits: in a question of plain DNS the first is none of mDNS's.
    klass = message[record.end - 2] << 8 | message[record.end - 1]
    return Question(message, wire, record.type, klass), NOERROR


def failure(message, rcode):
    """An error about a message that may be no question: its id, and no sections."""
    return bytes(message[0:2]) + bytes((0x80 | message[2] & 0x79, 0x80 | rcode)) + bytes(8)


def answer(question, rcode, data=(), ttl=TTL_S, own=True):
    """The answer to `question` with records of its type, the bytes of each in `data`."""
    writer = Writer(1024)
    writer.begin(0, 0x8080 | own << 10 | question.recursion << 8 | rcode)
    writer.buf[0:2] = question.ident
    writer.question(question.wire, question.kind, question.klass)
    for value in data[:MOST]:
        writer.record(1, question.wire, question.kind, IN, ttl, value)
    return bytes(writer.buf[:writer.n])


def reverse_of(name):
    """The 4 bytes of an address of which `name` asks the name, else None."""
    if not name.endswith(REVERSE):
        return None
    parts = name[:-len(REVERSE)].split(".")
    if len(parts) != 4 or not all(p.isdigit() and len(p) < 4 and int(p) < 256 for p in parts):
        return None
    return bytes(int(p) for p in reversed(parts))


class Zone:
    """The names of the boards and of the gateway, in the domain `domain`.

    `hosts()` gives {name in small letters: address as 4 bytes}, `is_inside(address)` whether an
    address is of this network.
    """

    def __init__(self, domain, hosts, is_inside):
        self.domain = domain
        self.hosts = hosts
        self.is_inside = is_inside

    def answer(self, question):
        """The answer to a question about this zone, None if it is about something else."""
        name = question.name
        if question.klass != IN:
            return answer(question, REFUSED)
        address = reverse_of(name)
        if address is not None:
            if not self.is_inside(address):
                return None
            found = [n for n, a in self.hosts().items() if a == address]
            if not found:
                return answer(question, NXDOMAIN)
            data = [encode("%s.%s" % (found[0], self.domain))]
            return answer(question, NOERROR, data if question.kind == PTR else ())
        first, dot, rest = name.partition(".")
        hosts = self.hosts()
        if name == self.domain:
            return answer(question, NOERROR)
        if dot and rest != self.domain and not name.endswith("." + self.domain):
            return None
        if first not in hosts or dot and rest != self.domain:
            return answer(question, NXDOMAIN) if dot else None
        return answer(question, NOERROR, [hosts[first]] if question.kind == A else ())


def by_resolver(question, addresses):
    """The answer by what the host's resolver found: addresses (4 bytes), [] for no such name."""
    if not addresses:
        return answer(question, NXDOMAIN, own=False)
    # A name with an IPv4 address and asked for another type: AAAA is of no use to a board.
    data = addresses if question.kind == A else ()
    return answer(question, NOERROR, data, own=False)


