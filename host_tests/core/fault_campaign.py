"""A fault campaign: hours of virtual time of traffic through a chip that everything happens to.

`campaign(chip, seed, hours)` is one run, the same every time.  A TCP connection that carries data
both ways stays open from beginning to end; datagrams and pings go beside it.  It must end with

- all data there and equal, and the same connection still working, and a new one as well,
- no frame delivered or sent twice, altered, or made up (but for faults that no driver can notice:
  then TCP's and UDP's checksums are what is left, and hold),
- each fault that certainly took effect to be seen in a counter of the driver,
- no exception.
"""
from chip_world import World
from chips.rig import CHIPS, load
from kit import Random
from spinet.tcp.resume import resume
from spinet.tcp.states import ESTABLISHED

PATTERN = bytes([(i * 31 + (i >> 8) * 7 + (i >> 3)) & 255 for i in range(10007)]) * 2
ALTERS_MS = 30000   # so long after a fault that alters frames nobody is surprised by one


def pattern(at, n):
    """`n` <= 10007 bytes of the endless pattern from `at` on."""
    at %= 10007
    return PATTERN[at:at + n]


class Talker:
    """One end of the connection: sends when it is given something to say, checks what it hears."""

    def __init__(self, sock):
        self.sock = sock
        self.sent = self.told = self.heard = 0
        self.buf = bytearray(4000)

    def say(self, n):
        self.told += n

    def turn(self):
        # Each call of a socket polls the stack: only where there is something to do.
        conn = self.sock.conn
        while self.sent < self.told and conn.s_len < len(conn.sbuf):
            part = pattern(self.sent, min(self.told - self.sent, 4000))
            n = self.sock.write(part)
            if not n:
                break
            self.sent += n
        while conn.r_len or conn.state != ESTABLISHED:
            n = self.sock.readinto(self.buf)
            if n is None:
                return
            assert n, "the connection has ended after %d bytes" % self.heard
            assert self.buf[:n] == pattern(self.heard, n), "data differ at %d" % self.heard
            self.heard += n


class Datagrams:
    """The host sends numbered datagrams, the board sends each back."""

    def __init__(self, world):
        self.here = world.host.udp.endpoint(4000)
        self.here.bind(None, 5000)
        self.there = world.board.udp.endpoint(4000)
        self.there.bind(None, 7)
        self.buf = bytearray(1500)
        self.asked = self.answered = 0

    def ask(self, n):
        self.asked += 1
        data = bytearray(pattern(self.asked, n))
        data[0] = self.asked >> 8 & 255
        data[1] = self.asked & 255
        self._send(self.here, data, n, b"\x0a\0\0\x02", 7)

    def turn(self):
        buf = self.buf
        while self.there.readable:
            n = self.there.recv_into(buf, 0, len(buf))
            self._send(self.there, buf, n, self.there.peer, self.there.peer_port)
        while self.here.readable:
            n = self.here.recv_into(buf, 0, len(buf))
            number = buf[0] << 8 | buf[1]
            assert buf[2:n] == pattern(number, n)[2:], "a datagram differs"
            self.answered += 1

    def _send(self, endpoint, data, n, to, port):
        try:
            endpoint.sendto(data, 0, n, to, port)
        except OSError:
            pass        # no buffer, no neighbour: datagrams may be lost


class Campaign:
    """One run; see above.  `log(text)` is told what happens."""

    def __init__(self, name, seed, log=None):
        self.rand = rand = Random(seed)
        below = rand.below
        clocks = CHIPS[name].clocks_mhz
        self.log = log
        self.world = World(
            name, rand, baudrate=clocks[below(len(clocks))] * 1000000, irq=below(3) > 0,
            reset=below(3) > 0, shared=below(4) == 0, chip={"strict": "log", "start": below(65536)}
            if name == "w5500" else {"strict": "log"})
        # What the host spends before each transfer: a C driver nothing, Python on a board more.
        self.world.rig.spi.gap_ns = (1000, 5000, 20000, 60000)[below(4)]
        self.faults = load(CHIPS[name].faults)
        self.active = []            # [fault, end, due, counters at the start, alone]
        self.owed = []              # (when, fault, counters at the start): to have shown by then
        self.altered_until = -1
        self.wrong = 0              # of the cable's complaints so far, those excused
        self.met = {}               # fault: how often
        self.next_fault = 0
        self.next_word = 0
        self.up = True

    def begin(self):
        world = self.world
        world.until(world.port.link, 10000)
        self.talkers = [Talker(sock) for sock in world.connection()]
        self.datagrams = Datagrams(world)

    def turn(self):
        for talker in self.talkers:
            talker.turn()
        self.datagrams.turn()
        world = self.world
        up = world.port.link()
        if up and not self.up:
            for stack in (world.board, world.host):     # as a `LAN` does
                resume(stack.tcp, stack.interfaces[1])
        self.up = up
        wrong = world.cable.wrong
        if len(wrong) > self.wrong and world.elapsed > self.altered_until:
            raise AssertionError(wrong[self.wrong])
        self.wrong = len(wrong)

    def words(self):
        """Something to say, now and then."""
        now = self.world.elapsed
        if now < self.next_word:
            return
        below = self.rand.below
        for talker in self.talkers:
            if below(2):
                talker.say(1 + below(6000 if below(4) else 20000))
        if below(2):
            self.datagrams.ask(2 + below(1400))
        self.next_word = now + (below(2000) if self.active else 1000 + below(60000))

    def start(self, fault):
        world = self.world
        port = world.port
        alone = not self.active and port.link() and not self.owed
        until = world.elapsed + fault.least_ms + self.rand.below(fault.most_ms)
        if fault.alters:
            self.altered_until = max(self.altered_until, until + ALTERS_MS)
        self.active.append([fault, until, dict(port.count), alone])
        self.met[fault.name] = self.met.get(fault.name, 0) + 1
        self.say("begins: " + fault.name)
        fault.begin(world.rig, self.rand)
        self.next_word = world.elapsed
        self.next_fault = world.elapsed + 500 + self.rand.below(
            2000 if not self.rand.below(4) else self.gap)

    def stop(self, entry):
        fault, _, before, alone = entry
        self.active.remove(entry)
        took = fault.end(self.world.rig)
        self.say("ends: %s, %r" % (fault.name, took))
        if alone and took is not False and fault.shows:
            self.owed.append((self.world.elapsed + 2000, fault, before))

    def settle(self):
        """Have faults shown that must have?"""
        now = self.world.elapsed
        count = self.world.port.count
        for entry in list(self.owed):
            due, fault, before = entry
            if now >= due:
                self.owed.remove(entry)
                assert any([count[key] > before[key] for key in fault.shows]), (
                    "%s does not show in %r" % (fault.name, fault.shows))

    def say(self, text):
        if self.log:
            self.log("%9.3f s  %s" % (self.world.elapsed / 1000, text))

    def run(self, minutes):
        world = self.world
        end = minutes * 60000
        self.gap = end // 8
        self.begin()
        self.next_fault = world.elapsed + 1000
        while world.elapsed < end or self.active:
            now = world.elapsed
            if now >= self.next_fault and now < end:
                self.start(self.faults[self.rand.below(len(self.faults))])
            for entry in list(self.active):
                if now >= entry[1]:
                    self.stop(entry)
                elif entry[0].step:
                    entry[0].step(world.rig, self.rand)
            self.words()
            self.turn()
            self.settle()
            world.most_ms = 100 if self.active or self.owed else 1000
            world.step()
        self.finish()

    def finish(self):
        """All is well again: everything that was said is heard, and a new connection works."""
        world = self.world
        a, b = self.talkers
        for talker in self.talkers:
            talker.say(5000)

        def done():
            self.turn()
            self.settle()
            return a.heard == b.told and b.heard == a.told and not self.owed

        world.until(done, 600000)
        self.talkers.extend([Talker(sock) for sock in world.connection(81)])
        a, b = self.talkers[2:]
        a.say(3000)
        b.say(3000)
        world.until(done, 60000)
        assert world.port.link(), "the link is back"


def campaign(name, seed, minutes, log=None):
    """One run; what it met and how much traffic came through.  AssertionError, with the seed."""
    c = Campaign(name, seed, log)
    try:
        c.run(minutes)
    except BaseException as e:
        print("%s seed %d, %d minutes: %r" % (name, seed, minutes, e))
        raise
    count = c.world.port.count
    return {
        "ms": c.world.elapsed, "bytes": sum([t.heard for t in c.talkers]), "met": c.met,
        "rx": count["rx"], "tx": count["tx"], "count": dict(count),
        "asked": c.datagrams.asked, "answered": c.datagrams.answered,
    }
