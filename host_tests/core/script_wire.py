"""Segments as scripts (script.py) show them: the stream, the flows, options, ICMP codes."""
BASE = bytes(range(251))
FLAGS = "FSRP.UEW"
SHOWN = "SFRPUEW."
UNREACHABLE = {
    "net": 0, "host": 1, "proto": 2, "port": 3, "frag_needed": 4, "source_route": 5,
    "net_prohibited": 9, "host_prohibited": 10, "admin_prohibited": 13,
}


def stream(at, n):
    """`n` bytes of the stream that everybody sends, from its byte `at`."""
    at %= 251
    return (BASE * ((at + n) // 251 + 1))[at:at + n]


def address(text):
    return bytes(int(n) for n in text.split("."))


def signed(n):
    n &= 0xFFFFFFFF
    return n - 0x100000000 if n >> 31 else n


def word(n):
    return bytes((n >> 24 & 255, n >> 16 & 255, n >> 8 & 255, n & 255))


def read_word(b, i):
    return b[i] << 24 | b[i + 1] << 16 | b[i + 2] << 8 | b[i + 3]


class Flow:
    """One port of the peer's talking to one of the stack's."""

    def __init__(self, rport, lport, isn):
        self.rport = rport
        self.lport = lport      # None until the stack has chosen it
        self.isn = isn
        self.iss = None         # the stack's, once it has sent a SYN
        self.clock = None       # the stack's first timestamp
        self.last = 0           # the sequence number that it sent last


class Sent:
    """A segment of the stack's, numbers relative."""

    def __init__(self, flow, at, tos, flags, seq, ack, win, data, options):
        self.flow = flow
        self.at = at
        self.tos = tos
        self.flags = flags
        self.seq = seq
        self.ack = ack
        self.win = win
        self.data = data
        self.options = options

    def __repr__(self):
        text = "%s %d:%d(%d)" % (show(self.flags), self.seq, self.seq + len(self.data),
                                 len(self.data))
        if "." in self.flags:
            text += " ack %d" % self.ack
        return text + " win %d <%s>" % (self.win, ",".join(" ".join(str(w) for w in o)
                                                          for o in self.options))


def show(flags):
    return "".join(f for f in SHOWN if f in flags) or "-"


def read_options(raw, clock, isn):
    """Options as a list of tuples, edges of SACK blocks relative to `isn`, clocks to `clock`."""
    out = []
    i = 0
    while i < len(raw) and raw[i]:
        kind = raw[i]
        if kind == 1:
            i += 1
            out.append(("nop",))
            continue
        n = raw[i + 1]
        assert n >= 2 and i + n <= len(raw), "an option runs over the end: %r" % raw
        if kind == 2:
            out.append(("mss", raw[i + 2] << 8 | raw[i + 3]))
        elif kind == 3:
            out.append(("wscale", raw[i + 2]))
        elif kind == 4:
            out.append(("sackOK",))
        elif kind == 5:
            edges = [signed(read_word(raw, k) - isn) for k in range(i + 2, i + n, 4)]
            out.append(("sack",) + tuple("%d:%d" % (edges[k], edges[k + 1])
                                         for k in range(0, len(edges), 2)))
        elif kind == 8:
            out.append(("TS", "val", signed(read_word(raw, i + 2) - clock), "ecr",
                        read_word(raw, i + 6)))
        else:
            out.append(("kind", kind))
        i += n
    return out


def parse(text):
    """(flags, first, end, length, {"ack": .., "win": ..}, options or None) of a segment."""
    options = None
    i = text.find("<")
    if i >= 0:
        options = [o.split() for o in text[i + 1:text.rindex(">")].split(",") if o.strip()]
        text = text[:i]
    words = text.split()
    first, _, rest = words[1].partition(":")
    end, _, n = rest.partition("(")
    fields = {}
    i = 2
    while i < len(words):
        if words[i] == "badsum":
            fields["badsum"] = "1"
            i += 1
        else:
            fields[words[i]] = words[i + 1]
            i += 2
    return words[0], first, end, n.rstrip(")"), fields, options
