"""TFTP: transfers with a scripted server that loses, repeats and lies."""
from answering import Answering
from kit import Random, raises

from spinet import tftp
from spinet.errors import EACCES, ETIMEDOUT
from spinet.timers import Timer

DATA = bytes(Random(9)(5000))


class Server:
    """Serves `files`; `trouble(kind, number)` says how often an answer is sent (1: once).

    `agree` are the options that it agrees to.
    """

    def __init__(self, files=(), agree=("blksize", "tsize"), trouble=None):
        self.files = dict(files)
        self.agree = agree
        self.trouble = trouble or (lambda kind, number: 1)
        self.block = 512
        self.requests = []
        self.received = b""
        self.number = 0
        self.name = None

    def __call__(self, sent):
        d = sent.data
        kind = d[1]
        number = d[2] << 8 | d[3]
        if sent.dport == 69:
            out = self.request(d)
        elif kind == 4:
            out = self.data(number + 1 & 0xFFFF)
        elif kind == 3:
            assert len(d) - 4 <= self.block
            if number == self.number + 1 & 0xFFFF:
                self.number = number
                self.received += d[4:]
            out = b"\0\4" + d[2:4]
        else:
            self.requests.append(("error", number))
            return None
        if not out:
            return None
        # From a port of its own.
        for _ in range(self.trouble(out[1], out[2] << 8 | out[3])):
            self.n.give(out, sent.dst, 7000, sent.sport)

    def request(self, d):
        words = d[2:].split(b"\0")[:-1]
        words = [w.decode() for w in words]
        self.requests.append((d[1], words[0]))
        assert words[1] == "octet"
        options = {words[i]: words[i + 1] for i in range(2, len(words), 2)}
        assert options["timeout"] == "1"
        self.name = words[0]
        if d[1] == 1 and self.name not in self.files:
            return b"\0\5\0\1File not found\0"
        out = b""
        for option in self.agree:
            if option not in options:
                continue
            value = options[option]
            if option == "blksize":
                self.block = int(value)
            elif d[1] == 1:
                value = str(len(self.files[self.name]))
            out += option.encode() + b"\0" + value.encode() + b"\0"
        if out:
            return b"\0\6" + out
        return self.data(1) if d[1] == 1 else b"\0\4\0\0"

    def data(self, number):
        at = (number - 1) * self.block
        if at > len(self.files[self.name]):
            return None
        return b"\0\3" + bytes((number >> 8, number & 255)) + self.files[self.name][
            at:at + self.block]


def host(*args, **kwargs):
    server = Server(*args, **kwargs)
    n = server.n = Answering(server)
    return n, server


def test_reads_with_and_without_options():
    for agree in ((), ("blksize",), ("tsize",), ("tsize", "blksize")):
        for size in (0, 1, 511, 512, 513, 1428, 5000):
            n, server = host({"f": DATA[:size]}, agree)
            assert tftp.get(n.stack, "10.0.0.2", "f") == DATA[:size], (agree, size)
            assert server.block == (1428 if "blksize" in agree else 512)
            n.run(4000)
            assert not n.stack.udp.ports


def test_writes_with_and_without_options():
    for agree in ((), ("blksize",), ("tsize", "blksize")):
        for size in (0, 1, 512, 1428, 5000):
            n, server = host(agree=agree)
            assert tftp.put(n.stack, "10.0.0.2", "f", DATA[:size]) == size
            assert server.received == DATA[:size] and not n.stack.udp.ports
    n, server = host(agree=("blksize",))
    tftp.put(n.stack, "10.0.0.2", "f", tftp._Bytes(DATA))
    assert server.received == DATA and b"tsize" not in n.sent[0].data, "its size is not known"


def test_everything_is_lost_once():
    for put in (False, True):
        seen = []

        def trouble(kind, number):
            if (kind, number) in seen:
                return 1
            seen.append((kind, number))
            return 0

        n, server = host({"f": DATA}, trouble=trouble)
        if put:
            tftp.put(n.stack, "10.0.0.2", "f", DATA)
            assert server.received == DATA
        else:
            assert tftp.get(n.stack, "10.0.0.2", "f") == DATA


def test_everything_comes_twice():
    """The sorcerer's apprentice: what comes twice must not be answered by data twice."""
    n, server = host(trouble=lambda kind, number: 2)
    tftp.put(n.stack, "10.0.0.2", "f", DATA)
    n.poll()
    assert server.received == DATA
    assert len([s for s in n.sent if s.data[1] == 3]) == 4
    n, server = host({"f": DATA}, trouble=lambda kind, number: 2 if number == 2 else 1)
    assert tftp.get(n.stack, "10.0.0.2", "f") == DATA


def test_last_acknowledgement_is_repeated():
    n, server = host({"f": DATA[:100]})
    got = tftp._Bytes()
    t = tftp.Get(n.stack, "10.0.0.2", "f", got)
    n.poll()
    assert t.done and t.size == 100 and t.count == 100 and b"".join(got.parts) == DATA[:100]
    sent = n.take()[-1]
    n.give(server.data(1), "10.0.0.2", 7000, sent.sport)
    n.poll()
    assert n.take()[-1].data == b"\0\4\0\1"
    n.run(3100)
    assert not n.stack.udp.ports and t.error == 0


def test_block_numbers_wrap():
    big = DATA * 110        # 68750 blocks of 8 bytes
    n, server = host({"f": big})
    n.serve = None
    got = tftp._Bytes()
    t = tftp.Get(n.stack, "10.0.0.2", "f", got, 8)
    n.poll()
    n.serve = server
    server.name = "f"
    count = [0]

    def data(number):
        # The number is modulo 2**16: the server counts by itself.
        if number == (count[0] + 1) & 0xFFFF:
            count[0] += 1
        at = (count[0] - 1) * 8
        return b"\0\3" + bytes((number >> 8, number & 255)) + big[at:at + 8]

    server.data = data
    # Only the part around the wrap: begin as if the first 65530 had come.
    count[0] = 65530
    t.number = 65530
    t._tid = 7000
    t.count = 65530 * 8
    server.block = t.block = 8
    t.agreed()
    while not t.done:
        n.stack.poll()
        n.take()
    assert t.count == len(big) and b"".join(got.parts) == big[65530 * 8:]


def test_strangers_are_told_so_and_change_nothing():
    n, server = host({"f": DATA[:600]}, ())
    held = []
    serve = n.serve
    n.serve = lambda sent: serve(sent) if sent.data[1] != 4 else held.append(sent)
    got = tftp._Bytes()
    t = tftp.Get(n.stack, "10.0.0.2", "f", got)
    n.poll()
    port = held[0].sport
    n.give(b"\0\3\0\2evil", "10.0.0.2", 7001, port)
    n.give(b"\0\3\0\2evil", "10.0.0.3", 7000, port)
    n.poll()
    sent = n.take()[-1]
    assert sent.dport == 7001 and sent.data[:4] == b"\0\5\0\5"
    serve(held[0])
    n.serve = serve
    n.poll()
    assert t.done and b"".join(got.parts) == DATA[:600]


def test_errors():
    n, server = host()
    assert raises(OSError, tftp.get, n.stack, "10.0.0.2", "none").errno == 2
    t = tftp.Get(n.stack, "10.0.0.2", "none", tftp._Bytes())
    n.poll()
    assert t.message == "File not found"
    n.serve = lambda sent: [b"\0\5\0\2no\x1b[1m\0"]
    t = tftp.Get(n.stack, "10.0.0.2", "none", tftp._Bytes())
    n.poll()
    assert t.error == EACCES and t.message == "no?[1m"
    n.serve = None
    began = n.clock.now
    assert raises(OSError, tftp.get, n.stack, "10.0.0.2", "f").errno == ETIMEDOUT
    assert n.clock.now - began & 0x3FFFFFFF == 1000 + 2000 + 4000 + 8000 * 3
    raises(ValueError, tftp.get, n.stack, "10.0.0.2", "f" * 500)
    assert not n.stack.udp.ports

    class Full:
        def write(self, data):
            raise OSError(28)

    n, server = host({"f": DATA})
    assert raises(OSError, tftp.get, n.stack, "10.0.0.2", "f", Full()).errno == 28
    n.poll()
    assert server.requests[-1] == ("error", 3), "the server is told"


def test_called_from_within_poll_it_fails():
    n, server = host({"a": DATA})
    failed = []
    timer = Timer()
    timer.expire = lambda now: failed.append(raises(OSError, tftp.get, n.stack, "10.0.0.2", "a"))
    n.stack.timers.arm(timer, 0)
    n.run(5000)
    assert failed[0].errno == ETIMEDOUT and not n.stack.udp.ports


def test_options_that_were_not_asked_for_end_it():
    for options in (b"blksize\x002000\0", b"blksize\x004\0", b"tsize\0-1\0", b"windowsize\x004\0",
                    b"blksize\0", b"blksize\x00512", b"timeout\x009\0", b"blksize\0x\0"):
        n = Answering(lambda sent: [b"\0\6" + options] if sent.data[1] == 1 else None)
        # (The answer comes from port 69, which is as good as any.)
        assert raises(OSError, tftp.get, n.stack, "10.0.0.2", "f").errno == 5, options
        assert n.sent[-1].data[:4] == b"\0\5\0\x08"


def test_fuzz():
    rand = Random(31)

    def serve(sent):
        good = server(sent)
        waiting = n.end.waiting
        if waiting and rand.below(3):
            frame = bytearray(waiting.pop())
            for _ in range(rand.below(3)):
                frame[42 + rand.below(len(frame) - 42)] = rand.below(256)
            frame = bytes(frame)
            waiting.append(frame)
            if rand.below(3) == 0:
                n.give(frame[42:42 + rand.below(50)], "10.0.0.2", 7000, sent.sport)
        return good

    for i in range(40):
        n, server = host({"f": DATA[:2000]})
        n.serve = serve
        if i & 1:
            t = tftp.Get(n.stack, "10.0.0.2", "f", tftp._Bytes())
        else:
            t = tftp.Put(n.stack, "10.0.0.2", "f", tftp._Bytes(DATA[:2000]))
        n.run(300000)
        assert t.done and not n.stack.udp.ports
