"""Scripts that read like packet dumps, played in virtual time to one stack (docs/tcp-scripts.md).

    play('''
        socket L
        L.bind 80
        L.listen 5
        < S 0:0(0) win 65535 <mss 1460,sackOK>
        > S. 0:0(0) ack 1 <mss 1460,sackOK>
        < . 1:1(0) ack 1 win 1000
        L.accept s
        send 100
        > P. 1:101(100) ack 1
        +0.2 > P. 1:101(100) ack 1      # nobody has answered
        count retransmit 1
    ''')

A line may begin with the time since the line before, in seconds: `+0.2`, `+0.2~0.3` (between),
`+*` (whenever).  Without it the line happens at once.  `#` begins a comment.  A number may be a
sum of numbers and of names given by `let`: `n+10`.

Segments.  `<` is sent by the peer, `>` is expected of the stack.  Flags are letters of `SFRPUEW`
and `.` for ACK, `-` for none; a PSH that is not mentioned may be there.  `FIRST:END(LENGTH)` and
`ack` count from the initial sequence numbers; `win` and `urg` are the fields as they are sent,
`tos`, `from` and `to` are those of IP, and `badsum` spoils the checksum.  In what is expected `*`
stands for anything and `a..b` for a range, and what is not mentioned is not compared.  Data are
made up from their place in the stream and compared wherever they come out, at the peer's end and
at the socket's.

    < . 1:1001(1000) ack 1 win 1000 <nop,nop,TS val 7 ecr a>
    > . 1:1(0) ack 1001 win 0..4096 <TS val b ecr 7,sack 2001:3001>
    > ...                   whatever has been sent up to now
    < icmp unreachable frag_needed mtu 576

Options: `mss`, `wscale`, `sackOK`, `sack`, `TS val ecr`, `nop`, `hex DIGITS` (malformed ones).  No
`nop` need be mentioned; a `*` at the end allows others.  The peer's TSval are numbers as they are
sent, the stack's count from its first; a name there is bound at its first use.

Every segment has to be expected: the next line that does something fails if there is one too many,
and so does the end of the script.

Sockets.  `socket NAME`, then `NAME.bind PORT`, `NAME.listen N`, `NAME.accept NEW`,
`NAME.connect [ADDRESS]`, `NAME.send N`, `NAME.recv N`, `NAME.peek N`, `NAME.shutdown WR`,
`NAME.close`, `NAME.abort`, `NAME.linger SECONDS`, `NAME.timeout SECONDS`,
`NAME.setsockopt OPTION N`, `NAME.getsockopt OPTION`, `NAME.ready`; the NAME `s` can be left out.
`= RESULT` follows: a number, `OK`, `EOF`, an errno's name, flags of `ready`; without it all that
was asked for.  A call followed by `...` blocks: the lines behind it happen while it does, up to a
line `returned`, where it must have returned; at that line's time, if it has one.

Others:
    run T, skip T       T seconds pass in which nothing is sent; in which anything may be
    state NAME          of the connection; one that is not known is CLOSED
    state unchanged     since the last such line, perhaps of an included fragment
    info FIELD [OP] N   what `Conn.info` says, or an attribute; OP is ==, >=, <=, >, < or !=
    count NAME [OP] N   a counter of TCP's
    table N, timewait N, halfopen N, queue N    connections; those of the listener `L`
    timer rexmt|ack|idle on|off
    polls [OP] N        how often the stack was polled since the last `run` or `skip` began
    flow PORT [TO [ISN]]    from now on the peer's port is PORT, and it talks to port TO
    isn N               the peer's next initial sequence number
    set NAME VALUE      an attribute of stack.tcp, or the mtu; before anything else
    let NAME N, include NAME (of FRAGMENTS), repeat N ... end
"""
from kit import Clock, Random
from net import End, checksum
from script_calls import errno_name, perform
from script_peers import FRAGMENTS
from script_wire import (
    FLAGS, UNREACHABLE, Flow, Sent, address, parse, read_options, read_word, show, signed, stream,
    word,
)

from spinet import Stack
from spinet.tcp.states import NAMES

LONG_MS = 7200000       # `+*` waits so long
_expanded = {}          # fragments, as `expand` returns them
OPERATORS = ("==", ">=", "<=", "!=", ">", "<")


class ScriptFailed(AssertionError):
    """The stack did not do what a line says."""


def expand(text, where=""):
    """The lines of a script, with fragments and repetitions written out, as (where, line)."""
    out = []
    stack = []
    number = 0
    for line in text.split("\n"):
        number += 1
        line = line.split("#")[0].strip()
        if not line:
            continue
        words = line.split()
        if words[0] == "include":
            if words[1] not in _expanded:
                _expanded[words[1]] = expand(FRAGMENTS[words[1]], words[1] + ":")
            out += _expanded[words[1]]
        elif words[0] == "repeat":
            stack.append((out, int(words[1])))
            out = []
        elif line == "end":
            body = out
            out, n = stack.pop()
            out += body * n
        else:
            out.append(("%s%d" % (where, number), line))
    assert not stack, "`repeat` without `end`"
    return out


class Script:
    """A script being played."""

    MAC = b"\x02\0\0\0\0\x02"

    def __init__(self, text, names=None, begin=""):
        self.lines = expand(begin, "begin:") + expand(text)
        self.next = 0
        self.line = "", "the beginning"
        self.clock = Clock()
        self.elapsed = 0        # ms since the beginning
        self.at = 0             # when the line before happened
        self.out = []           # what was sent and not yet expected
        self.dump = []
        self.polls = 0
        self.stack = None
        self.settings = []
        self.sockets = {}
        self.offsets = {}
        self.names = dict(names or {})
        self.flows = []
        self.flow = None
        self.blocked = False
        self.state = None       # which the last `state` line has named
        self.select(5555, None, 0xFFFFFF80)

    # -- the world ----------------------------------------------------------

    def select(self, rport, lport, isn):
        for flow in self.flows:
            if flow.rport == rport and lport in (None, flow.lport):
                self.flow = flow
                return
        self.flow = Flow(rport, lport, isn)
        self.flows.append(self.flow)

    def begin(self):
        self.end = End(b"\x02\0\0\0\0\x01")
        self.end.send_to = self.sent
        self.stack = Stack(clock=self.clock, random=Random(7), wait=self.wait)
        self.tcp = self.stack.tcp
        self.tcp.rcvbuf = self.tcp.sndbuf = 4096
        for name, value in self.settings:
            if name == "mtu":
                self.end.mtu = value
            else:
                assert hasattr(self.tcp, name), "stack.tcp has no " + name
                setattr(self.tcp, name, value)
        self.stack.add(self.end, "10.0.0.1/24")

    def pass_time(self, ms, until_sent=False):
        """Poll the stack whenever it asks for it, for `ms`."""
        stack = self.stack
        idle = 0
        while True:
            wait = stack.poll()
            self.polls += 1
            if until_sent and self.out:
                return
            if self.end.waiting:
                continue
            if not ms:
                return
            if wait == 0:
                idle += 1
                if idle > 100:
                    self.fail("the stack asks to be polled again without end")
                continue
            idle = 0
            if wait > ms:
                wait = ms
            self.clock.advance(wait)
            self.elapsed += wait
            ms -= wait

    def sent(self, frame):
        """The stack has sent a frame."""
        if frame[12] << 8 | frame[13] == 0x0806:
            if frame[20:22] == b"\0\1" and frame[38:42] == b"\x0a\0\0\2":
                self.end.waiting.append(
                    frame[6:12] + self.MAC + frame[12:20] + b"\0\2" + self.MAC
                    + b"\x0a\0\0\2" + frame[22:32])
            return
        if frame[23] != 6:
            return
        n = frame[16] << 8 | frame[17]
        s = frame[34:14 + n]
        assert checksum(frame[14:34]) == 0, "IPv4 header checksum"
        assert checksum(frame[26:34] + b"\0\6" + bytes((len(s) >> 8, len(s) & 255)) + s) == 0, \
            "TCP checksum"
        off = s[12] >> 4 << 2
        assert 20 <= off <= len(s), "data offset"
        flags = "".join(FLAGS[i] for i in range(8) if s[13] >> i & 1)
        lport = s[0] << 8 | s[1]
        rport = s[2] << 8 | s[3]
        flow = None
        for f in self.flows:
            if f.rport == rport and f.lport in (None, lport):
                flow = f
        if flow is None:
            self.fail("a segment was sent to port %d, whom nobody has heard of" % rport)
        flow.lport = lport
        seq = read_word(s, 4)
        raw = s[20:off]
        if "S" in flags:
            if flow.iss != seq:
                flow.clock = None
            flow.iss = seq
        if flow.clock is None:
            for i in range(len(raw) - 9):
                if raw[i:i + 2] == b"\x08\x0a":
                    flow.clock = read_word(raw, i + 2)
                    break
        seq = signed(seq - (flow.iss or 0))
        ack = signed(read_word(s, 8) - flow.isn) if "." in flags else 0
        data = s[off:]
        flow.last = seq
        got = Sent(flow, self.elapsed, frame[15], flags, seq, ack, s[14] << 8 | s[15], data,
                   read_options(raw, flow.clock or 0, flow.isn))
        self.out.append(got)
        self.note(">", repr(got))
        if data != stream(seq - 1, len(data)):
            self.fail("the data of this segment are wrong: %r" % (got,))

    def note(self, way, text):
        self.dump.append("%9.3f %s %s" % (self.elapsed / 1000, way, text))
        if len(self.dump) > 40:
            self.dump.pop(0)

    def fail(self, what):
        where, line = self.line
        raise ScriptFailed("line %s: %s\n  %s\nwhat was sent and received:\n  %s" % (
            where, line, what, "\n  ".join(self.dump)))

    def differs(self, want, got, why=""):
        self.fail("expected: %s\n  got:      %s%s" % (want, got, why and "\n  " + why))

    def nothing_more(self):
        if self.out:
            self.differs("nothing more to be sent", "; ".join(repr(s) for s in self.out))

    # -- lines --------------------------------------------------------------

    def play(self):
        """Play the script to its end."""
        while self.next < len(self.lines):
            self.do_next()
        self.line = "", "the end"
        if self.stack:
            self.pass_time(0)
        self.nothing_more()

    def do_next(self):
        self.line = where, line = self.lines[self.next]
        self.next += 1
        try:
            self.happens(line)
        except ScriptFailed:
            raise
        except Exception:
            print("line %s: %s" % self.line)
            raise

    def happens(self, line):
        """Do what one line says, or see that the stack does."""
        low = high = slack = 0
        if line[0] == "+":
            when, line = line.split(None, 1)
            if when == "+*":
                high = LONG_MS
            else:
                low, _, high = when[1:].partition("~")
                high = int(float(high or low) * 1000 + 0.5)
                low = int(float(low) * 1000 + 0.5)
                slack = 2
        if line[0] == "<" and line[1] == " ":
            self.begin_at(high)
            self.receive(line[1:].strip())
            self.at = self.elapsed
        elif line[0] == ">":
            self.expect(line[1:].strip(), low - slack, high + slack)
        else:
            self.do(line, high)

    def begin_at(self, ms):
        """Something is done `ms` after the line before."""
        if self.stack is None:
            self.begin()
        self.pass_time(max(self.at + ms - self.elapsed, 0))
        self.nothing_more()
        self.at = self.elapsed

    def number(self, text):
        """What a sum like `n+10-3` comes to."""
        total = 0
        sign = 1
        word = ""
        for ch in text + "+":
            if ch in "+-":
                if word:
                    if word in self.names:
                        total += sign * self.names[word]
                    else:
                        try:
                            total += sign * int(word)
                        except ValueError:
                            self.fail("what is %r?" % word)
                    sign = 1
                    word = ""
                if ch == "-":
                    sign = -sign
            else:
                word += ch
        return total

    def spelled_out(self, text):
        """`text` with numbers in place of names."""
        out = word = ""
        for ch in text + " ":
            if ch in " :(),<>":
                if any(term in self.names for term in word.replace("-", "+").split("+")):
                    word = str(self.number(word))
                out += word + ch
                word = ""
            else:
                word += ch
        return out.rstrip()

    def matches(self, pattern, value):
        if pattern == "*":
            return True
        if ".." in pattern:
            low, _, high = pattern.partition("..")
            return (not low or value >= self.number(low)) and (
                not high or value <= self.number(high))
        return value == self.number(pattern)

    # -- from the peer ------------------------------------------------------

    def receive(self, text):
        self.note("<", self.spelled_out(text))
        flow = self.flow
        if text.startswith("icmp "):
            self.icmp(text.split()[1:])
        else:
            flags, first, end, n, fields, options = parse(text)
            for f in flags:
                assert f in FLAGS or flags == "-", "flags are letters of SFRPUEW and ."
            seq = self.number(first)
            n = self.number(n)
            assert self.number(end) == seq + n, "END is FIRST + LENGTH"
            data = stream(seq - 1 + ("S" in flags), n)
            bits = 0
            for i in range(8):
                bits |= (FLAGS[i] in flags) << i
            if "." in flags:
                ack = word((flow.iss or 0) + self.number(fields["ack"]))
            else:
                ack = b"\0\0\0\0"
            raw = self.write_options(options or ())
            win = self.number(fields.get("win", "65535"))
            urg = self.number(fields.get("urg", "0"))
            lport = flow.lport
            if lport is None:
                lport = 80
            s = (bytes((flow.rport >> 8, flow.rport & 255, lport >> 8, lport & 255))
                 + word(flow.isn + seq) + ack
                 + bytes((20 + len(raw) << 2, bits, win >> 8, win & 255, 0, 0, urg >> 8, urg & 255))
                 + raw + data)
            if flow.lport is None:
                flow.lport = lport
            ends = address(fields.get("from", "10.0.0.2")) + address(fields.get("to", "10.0.0.1"))
            k = checksum(ends + bytes((0, 6, len(s) >> 8, len(s) & 255)) + s) ^ (
                "badsum" in fields)
            tos = self.number(fields.get("tos", "0"))
            self.datagram(6, s[:16] + bytes((k >> 8, k & 255)) + s[18:], tos, ends)
        self.pass_time(0)

    def datagram(self, proto, body, tos=0, ends=b"\x0a\0\0\2\x0a\0\0\1"):
        n = 20 + len(body)
        h = bytes((0x45, tos, n >> 8, n & 255, 0, 0, 0x40, 0, 64, proto, 0, 0))
        h += ends
        k = checksum(h)
        self.end.waiting.append(self.end.mac + self.MAC + b"\x08\0" + h[:10]
                                + bytes((k >> 8, k & 255)) + h[12:] + body)

    def icmp(self, words):
        """`unreachable KIND|CODE [mtu N] [seq N]`, `time_exceeded`, `source_quench`."""
        type = {"unreachable": 3, "source_quench": 4, "time_exceeded": 11}[words[0]]
        code = 0
        if type == 3:
            code = UNREACHABLE[words[1]] if words[1] in UNREACHABLE else self.number(words[1])
        flow = self.flow
        mtu = 0
        seq = flow.last
        for i in range(len(words) - 1):
            if words[i] == "mtu":
                mtu = self.number(words[i + 1])
            elif words[i] == "seq":
                seq = self.number(words[i + 1])
        body = (bytes((type, code, 0, 0, 0, 0, mtu >> 8, mtu & 255))
                + b"\x45\0\0\x28\0\0\x40\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2"
                + bytes((flow.lport >> 8, flow.lport & 255, flow.rport >> 8, flow.rport & 255))
                + word((flow.iss or 0) + seq))
        k = checksum(body)
        self.datagram(1, body[:2] + bytes((k >> 8, k & 255)) + body[4:])

    def write_options(self, options):
        raw = b""
        for o in options:
            kind = o[0]
            if kind == "nop":
                raw += b"\1"
            elif kind == "mss":
                n = self.number(o[1])
                raw += bytes((2, 4, n >> 8, n & 255))
            elif kind == "wscale":
                raw += bytes((3, 3, self.number(o[1])))
            elif kind == "sackOK":
                raw += b"\4\2"
            elif kind == "TS":
                raw += b"\x08\x0a" + word(self.number(o[2])) + word(
                    self.number(o[4]) + (self.flow.clock or 0))
            elif kind == "sack":
                raw += bytes((5, 2 + 8 * (len(o) - 1)))
                for edges in o[1:]:
                    for edge in edges.split(":"):
                        raw += word(self.flow.iss + self.number(edge))
            elif kind == "hex":
                raw += bytes(int(o[1][i:i + 2], 16) for i in range(0, len(o[1]), 2))
            else:
                self.fail("what is the option %s?" % kind)
        return raw + b"\0" * (-len(raw) % 4)

    # -- from the stack -----------------------------------------------------

    def expect(self, text, low, high):
        if text == "...":
            self.out.clear()
            return
        if not self.out:
            self.pass_time(max(self.at + high - self.elapsed, 0), True)
        if not self.out:
            self.differs(text, "nothing")
        got = self.out.pop(0)
        flags, first, end, n, fields, options = parse(text)
        wrong = []
        if got.flow is not self.flow:
            wrong.append("the port (%d)" % got.flow.rport)
        push = "P" if "P" in got.flags else ""
        if flags != "*" and show(flags) != show(got.flags) and show(flags + push) != show(
                got.flags):
            wrong.append("the flags")
        if not self.matches(first, got.seq):
            wrong.append("the sequence number")
        if not self.matches(n, len(got.data)) or not self.matches(end, got.seq + len(got.data)):
            wrong.append("the length")
        for name in fields:
            if not self.matches(fields[name], getattr(got, name)):
                wrong.append(name)
        if options is not None and not self.same_options(options, got.options):
            wrong.append("the options")
        if not low <= got.at - self.at <= high:
            wrong.append("the time (%.3f s after the line before)" % ((got.at - self.at) / 1000))
        if wrong:
            self.differs(text, repr(got), "differs in " + ", ".join(wrong))
        self.at = got.at

    def same_options(self, want, got):
        want = [tuple(o) for o in want]
        if ("nop",) not in want:
            got = [o for o in got if o != ("nop",)]
        if want and want[-1] == ("*",):
            return all(any(self.same_option(w, o) for o in got) for w in want[:-1])
        return len(want) == len(got) and all(
            self.same_option(want[i], got[i]) for i in range(len(want)))

    def same_option(self, want, got):
        if len(want) != len(got) or want[0] != got[0]:
            return False
        for w, g in zip(want[1:], got[1:]):
            if isinstance(g, int):
                if w[0] in "abcdefghijklmnopqrstuvwxyz" and w.isalpha() and w not in self.names:
                    self.names[w] = g
                if not self.matches(w, g):
                    return False
            elif ":" in g:
                if w == "*":
                    continue
                if ["%d" % self.number(e) for e in w.split(":")] != g.split(":"):
                    return False
            elif w != g:
                return False
        return True

    # -- everything else ----------------------------------------------------

    def conn(self):
        """The connection of the flow in hand, or None."""
        flow = self.flow
        for c in self.tcp.all():
            if c.rport() == flow.rport and flow.lport in (None, c.lport()):
                return c
        return None

    def compare(self, what, value, words):
        op = "=="
        if words[0] in OPERATORS:
            op = words[0]
            words = words[1:]
        want = self.number(words[0])
        if not {"==": value == want, ">=": value >= want, "<=": value <= want, "!=": value != want,
                ">": value > want, "<": value < want}[op]:
            self.differs("%s %s %s" % (what, op, words[0]), str(value))

    def do(self, line, after):
        words = line.split()
        verb = words[0]
        if verb == "set":
            assert self.stack is None, "`set` comes first"
            value = words[2]
            if value[0] in "0123456789-" or value in self.names:
                value = self.number(value)
            self.settings.append((words[1], value))
            return
        if verb == "let":
            self.names[words[1]] = self.number(words[2])
            return
        if verb == "returned":
            self.fail("no call is blocked")
        if self.stack is None:
            self.begin()
        if verb == "state":
            c = self.conn()
            name = NAMES[c.state] if c else "CLOSED"
            if words[1] != "unchanged":
                self.state = words[1]
            if name != self.state:
                self.differs(self.state, name)
        elif verb == "info":
            c = self.conn()
            if c is None:
                self.fail("there is no connection")
            info = c.info()
            if words[1] == "recover":
                value = c.loss.recover if c.loss else 0
            elif words[1] == "snd_shift":
                value = info["scaling"][0]
            else:
                value = info[words[1]] if words[1] in info else getattr(c, words[1])
            self.compare(words[1], value, words[2:])
        elif verb == "count":
            self.compare(words[1], self.tcp.count[words[1]], words[2:])
        elif verb == "table":
            self.compare("connections", len(self.tcp.all()), words[1:])
        elif verb == "timewait":
            self.compare("those in TIME-WAIT", len(self.tcp.time_wait), words[1:])
        elif verb == "halfopen":
            self.compare("half-open", len(self.sockets["L"].listener.half_open), words[1:])
        elif verb == "queue":
            self.compare("to be accepted", len(self.sockets["L"].listener.queue), words[1:])
        elif verb == "polls":
            self.compare("polls", self.polls, words[1:])
        elif verb == "timer":
            c = self.conn()
            on = c is not None and getattr(c, "t_" + words[1]) is not None
            if on != (words[2] == "on"):
                self.differs("the timer %s" % words[2], "on" if on else "off")
        elif verb == "run" or verb == "skip":
            self.begin_at(after)
            self.polls = 0
            self.pass_time(int(float(words[1]) * 1000 + 0.5))
            if verb == "skip":
                self.out.clear()
            self.nothing_more()
            self.at = self.elapsed
        elif verb == "flow":
            lport = self.number(words[2]) if len(words) > 2 else None
            isn = self.number(words[3]) if len(words) > 3 else self.flow.isn
            self.select(self.number(words[1]), lport, isn)
        elif verb == "isn":
            self.flow.isn = self.number(words[1])
        else:
            self.begin_at(after)
            self.call(line)

    def call(self, line):
        """A socket call and its result."""
        line, _, want = line.partition("=")
        want = want.strip()
        words = line.split()
        block = words[-1] == "..."
        if block:
            words.pop()
        self.note("-", " ".join(words))
        name, _, verb = words[0].rpartition(".")
        name = name or "s"
        args = words[1:]
        if verb == "socket":
            self.sockets[args[0]] = self.stack.socket()
            self.sockets[args[0]].setblocking(False)
            return
        if name not in self.sockets:
            self.fail("there is no socket " + name)
        s = self.sockets[name]
        if block and s.timeout_ms == 0:
            s.setblocking(True)
        began = self.elapsed
        self.blocked = block
        try:
            got = perform(self, name, s, verb, args)
        except OSError as e:
            got = errno_name(e.errno)
        self.blocked = False
        if block:
            # What was a blocking call stays one; the socket's other calls do not wait.
            s.setblocking(False)
            self.note("-", "%s returned after %.3f s" % (verb, (self.elapsed - began) / 1000))
            self.returned()
        self.pass_time(0)
        self.at = self.elapsed
        if not want:
            want = {"send": args and args[0], "recv": args and args[0], "peek": args and args[0],
                    "connect": "OK" if block else "EINPROGRESS"}.get(verb, "OK")
        if str(got) != want and (not want[0].isdigit() or got != self.number(want)):
            self.differs(want, str(got))

    def wait(self, ms):
        """What a blocking call does to pass the time: the lines behind it happen."""
        if not self.blocked:
            self.fail("a call blocks that should not")
        if self.next >= len(self.lines):
            self.fail("blocked, and the script is at its end without `returned`")
        if self.lines[self.next][1].split()[-1] == "returned":
            if self.elapsed - self.at > LONG_MS:
                self.fail("still blocked")
            self.clock.advance(ms)
            self.elapsed += ms
        else:
            self.do_next()

    def returned(self):
        """A blocking call is over: so must be the lines that belong to it."""
        lines = self.lines
        while self.out and self.next < len(lines) and ">" in lines[self.next][1].split()[:2]:
            self.do_next()      # what was sent before it returned
        if self.next >= len(lines):
            return
        self.line = lines[self.next]
        words = self.line[1].split()
        if words[-1] != "returned":
            self.fail("the call has returned already")
        self.next += 1
        if len(words) > 1:
            want = int(float(words[0][1:]) * 1000 + 0.5)
            if not -2 <= self.elapsed - self.at - want <= 2:
                self.fail("it returned %.3f s after the line before" % (
                    (self.elapsed - self.at) / 1000))

def play(text, begin="", **names):
    """Play a script, after `begin`; `names` are numbers that it may use."""
    script = Script(text, names, begin)
    script.play()
    return script


def each(fragments, text):
    """Play a script once after each of these fragments, a string of their names."""
    for name in fragments.split():
        try:
            play(text, "include " + name)
        except ScriptFailed as e:
            raise ScriptFailed("after %s, %s" % (name, e))


def cases(text, begin=""):
    """Play each case of `text`, which begins with a line `== what it shows`, after `begin`."""
    what = body = ""
    played = 0
    for line in (text + "\n== end").split("\n"):
        if line.strip()[:2] == "==":
            if what:
                try:
                    play(body, begin)
                except ScriptFailed as e:
                    raise ScriptFailed("%s, %s" % (what, e))
                played += 1
            what = line.strip()[2:].strip()
            body = "\n" * (body.count("\n") + 1)
        else:
            body += line + "\n"
    assert played, "there are no cases"
