"""DNS messages (RFC 1035, 4), for DNS, mDNS and LLMNR: names and records, read where they lie.

A name inside the stack is in wire form: labels with their lengths, the empty one at the end, not
compressed, at most 255 bytes.  As text its labels are joined by dots; a dot or backslash within a
label, and a byte that is no text, is escaped as in RFC 1035, 5.1.

A message is `buf[base:end]`.  Whatever it says, a name that is read ends: a compression pointer
must lead to before the part of the name in which it stands, and not into the header.
"""

A = 1
NS = 2
CNAME = 5
SOA = 6
PTR = 12
TXT = 16
AAAA = 28
SRV = 33
OPT = 41
NSEC = 47
ANY = 255
IN = 1

TTL_MAX = 86400     # seconds; what is longer is kept for a day


def encode(text):
    """The wire form of a name in text; ValueError if it cannot be one."""
    out = bytearray()
    label = bytearray()
    data = text.encode()
    i = 0
    n = len(data)
    if data == b".":
        n = 0
    while i < n:
        c = data[i]
        i += 1
        if c == 46:
            _close(out, label, text)
            label = bytearray()
            continue
        if c == 92:
            if i + 2 < n and data[i:i + 3].isdigit() and int(data[i:i + 3]) < 256:
                c = int(data[i:i + 3])
                i += 3
            elif i < n:
                c = data[i]
                i += 1
        label.append(c)
    if label:
        _close(out, label, text)
    if len(out) > 254:
        raise ValueError("a name has at most 253 characters")
    out.append(0)
    return bytes(out)


def _close(out, label, text):
    if not 0 < len(label) < 64:
        raise ValueError("%r: each part of a name has 1 to 63 bytes" % text[:80])
    out.append(len(label))
    out.extend(label)


def label_text(label):
    """The text of one label, escaped."""
    out = ""
    for c in label:
        if c == 46 or c == 92:
            out += "\\" + chr(c)
        elif c <= 32 or c >= 127:
            out += "\\%03d" % c
        else:
            out += chr(c)
    return out


def labels(wire):
    """The labels of a name, a list of bytes."""
    found = []
    i = 0
    while wire[i]:
        found.append(wire[i + 1:i + 1 + wire[i]])
        i += wire[i] + 1
    return found


def text(wire):
    """The text of a name in wire form, without a dot at the end."""
    return ".".join([label_text(label) for label in labels(wire)])


def skip_name(buf, i, end):
    """The index behind the name at `buf[i]`, -1 if it is no name or does not end before `end`."""
    most = i + 255
    while i < end and i < most:
        n = buf[i]
        if n == 0:
            return i + 1
        if n >= 0xC0:
            return i + 2 if i + 1 < end else -1
        if n >= 0x40:
            return -1
        i += n + 1
    return -1


def read_name(buf, base, i, end):
    """The name at `buf[i]` in wire form, None if it is none."""
    out = bytearray()
    low = i
    while i < end:
        n = buf[i]
        if n >= 0xC0:
            if i + 1 >= end:
                return None
            i = base + ((n & 0x3F) << 8 | buf[i + 1])
            if i >= low or i < base + 12:
                return None
            low = i
            continue
        if n >= 0x40 or i + n >= end or len(out) + n > 254:
            return None
        out.extend(buf[i:i + n + 1])
        if n == 0:
            return bytes(out)
        i += n + 1
    return None


def same_name(buf, base, i, end, wire):
    """Whether the name at `buf[i]` is `wire`; letters of both cases are the same (RFC 4343)."""
    low = i
    p = 0
    while i < end:
        n = buf[i]
        if n >= 0xC0:
            if i + 1 >= end:
                return False
            i = base + ((n & 0x3F) << 8 | buf[i + 1])
            if i >= low or i < base + 12:
                return False
            low = i
            continue
        if n != wire[p] or i + n >= end:
            return False
        if n == 0:
            return True
        while n:
            i += 1
            p += 1
            n -= 1
            a = buf[i]
            if a != wire[p] and (a ^ wire[p] != 32 or not 97 <= a | 32 <= 122):
                return False
        i += 1
        p += 1
    return False


def equal(a, b):
    """Whether two names in wire form are the same."""
    return len(a) == len(b) and same_name(a, -12, 0, len(a), b)


class Record:
    """Where one question or record of a message lies: `read` it, then look.

    `name` and `data` are indices, `end` the one behind it; `klass` is without the top bit, which
    is `flag`: in mDNS "cache flush", or in a question "unicast answer, please".
    """

    name = type = klass = ttl = data = size = end = 0
    flag = False

    def question(self, buf, i, end):
        """Read a question at `buf[i]`; False if it is malformed."""
        self.name = i
        i = skip_name(buf, i, end)
        if i < 0 or i + 4 > end:
            return False
        self.end = i + 4
        self._kind(buf, i)
        return True

    def read(self, buf, i, end):
        """Read a record at `buf[i]`; False if it is malformed."""
        self.name = i
        i = skip_name(buf, i, end)
        if i < 0 or i + 10 > end:
            return False
        self._kind(buf, i)
        # RFC 2181, 8: a negative time to live is none.
        if buf[i + 4] & 0x80:
            self.ttl = 0
        elif buf[i + 4] or buf[i + 5] > 1:
            self.ttl = TTL_MAX
        else:
            self.ttl = min(TTL_MAX, buf[i + 5] << 16 | buf[i + 6] << 8 | buf[i + 7])
        self.size = buf[i + 8] << 8 | buf[i + 9]
        self.data = i + 10
        self.end = self.data + self.size
        return self.end <= end

    def _kind(self, buf, i):
        self.type = buf[i] << 8 | buf[i + 1]
        self.klass = (buf[i + 2] & 0x7F) << 8 | buf[i + 3]
        self.flag = buf[i + 2] > 127

    def value(self, buf, base):
        """The data as a user gets them, None if malformed.

        A: text; CNAME, NS, PTR: a name in wire form; SRV: (priority, weight, port, target);
        TXT: a list of bytes; all else: bytes.
        """
        kind = self.type
        i = self.data
        end = self.end
        if kind == A:
            return "%d.%d.%d.%d" % (buf[i], buf[i + 1], buf[i + 2], buf[i + 3]) if (
                self.size == 4) else None
        if kind == CNAME or kind == NS or kind == PTR:
            return self._name(buf, base, i)
        if kind == SRV:
            target = self._name(buf, base, i + 6) if self.size > 6 else None
            if target is None:
                return None
            return (buf[i] << 8 | buf[i + 1], buf[i + 2] << 8 | buf[i + 3],
                    buf[i + 4] << 8 | buf[i + 5], target)
        if kind == TXT:
            strings = []
            while i < end:
                n = buf[i]
                i += 1
                if i + n > end:
                    return None
                strings.append(bytes(buf[i:i + n]))
                i += n
            return strings
        return bytes(buf[i:end])

    def _name(self, buf, base, i):
        """The name at `buf[i]`, which ends where the data end."""
        return read_name(buf, base, i, self.end) if skip_name(buf, i, self.end) == self.end else (
            None)


class Writer:
    """A message being written into `buf`, at most `limit` bytes; `n` so far.

    Each `put_...` says whether there was room; without, the message is as before.
    """

    def __init__(self, limit):
        self.buf = bytearray(limit)
        self.limit = limit
        self.n = 0
        self.names = {}

    def begin(self, ident=0, flags=0):
        """An empty message."""
        self.names.clear()
        self.n = 12
        buf = self.buf
        for i in range(12):
            buf[i] = 0
        self.put16(0, ident)
        self.put16(2, flags)

    def put16(self, i, v):
        """Write 16 bits at `buf[i]`."""
        self.buf[i] = v >> 8
        self.buf[i + 1] = v & 255

    def more(self, section):
        """One more entry in a section: 0 questions, 1 answers, 2 authority, 3 additional."""
        i = 4 + 2 * section
        self.put16(i, (self.buf[i] << 8 | self.buf[i + 1]) + 1)

    def count(self, section):
        """How many entries a section has."""
        i = 4 + 2 * section
        return self.buf[i] << 8 | self.buf[i + 1]

    def _put(self, data):
        n = self.n + len(data)
        if n > self.limit:
            return False
        self.buf[self.n:n] = data
        self.n = n
        return True

    def _name(self, wire):
        """A name, its end by a pointer where the message has it already (RFC 1035, 4.1.4)."""
        i = 0
        while wire[i]:
            known = self.names.get(wire[i:])
            if known is not None:
                return self._put(bytes((0xC0 | known >> 8, known & 255)))
            if self.n < 0x4000:
                self.names[wire[i:]] = self.n
            if not self._put(wire[i:i + wire[i] + 1]):
                return False
            i += wire[i] + 1
        return self._put(b"\0")

    def _undo(self, n):
        self.n = n
        for name in [name for name in self.names if self.names[name] >= n]:
            del self.names[name]
        return False

    def question(self, wire, kind, klass=IN):
        """Add a question."""
        n = self.n
        if self._name(wire) and self._put(bytes((kind >> 8, kind & 255, klass >> 8, klass & 255))):
            self.more(0)
            return True
        return self._undo(n)

    def record(self, section, wire, kind, klass, ttl, data, target=None):
        """Add a record with the data `data`, followed by the name `target` if there is one."""
        n = self.n
        if self._name(wire) and self._put(bytes((
                kind >> 8, kind & 255, klass >> 8, klass & 255, 0, ttl >> 16, ttl >> 8 & 255,
                ttl & 255, 0, 0))):
            start = self.n
            if self._put(data) and (target is None or self._name(target)):
                self.put16(start - 2, self.n - start)
                self.more(section)
                return True
        return self._undo(n)
