"""Programs that use the stacks' sockets: what they do is a `Plan`, and random in its details.

Every stream is the same endless pattern, begun at a place of its own, so that each byte that is
read can be compared with what must stand at its place.
"""
from sim.check import Broken, holds_memory
from spinet.testing.rand import Rand
from spinet.prim import diff32
from spinet.errors import EHOSTUNREACH
from spinet.tcp.states import CLOSED, ESTABLISHED, TIME_WAIT

PERIOD = 16381
_once = Rand(7).bytes(PERIOD)
PATTERN = memoryview(_once + _once)
LINGER_0 = bytes((1, 0, 0, 0, 0, 0, 0, 0))
GAVE_UP = -1        # the error of a user who ran out of patience,
VANISHED = -2       # and of one whose host was rebooted


class Plan:
    """What one end of a connection does.

    total     bytes that it sends
    chunk     the most that it writes at once, each `think_us` after the last
    gulp      the most that it reads at once, each `nap_us` after the last
    ending    "read"    shuts down when all is sent, reads to the end, closes
              "reply"   the same, but begins to send when it has read to the end
              "drop"    closes as soon as all is sent, whatever may still come
              "abort"   resets when all is sent
              "unread"  reads nothing, closes when all is sent and something has come
    options   for `setsockopt`; those of `before` are set before a client connects
    patience_us   after which it resets the connection
    """

    def __init__(self, total=0, chunk=4096, think_us=0, gulp=4096, nap_us=0, ending="read",
                 options=(), patience_us=1500000000):
        self.total = total
        self.chunk = chunk
        self.think_us = think_us
        self.gulp = gulp
        self.nap_us = nap_us
        self.ending = ending
        self.options = options
        self.before = []
        self.patience_us = patience_us

    def orderly(self):
        """Whether it reads all and closes in peace."""
        return self.ending in ("read", "reply")


class End:
    """A user with a connection of its own, `sock`, that follows `plan`; `peer` is its other end's.

    `place` is where its stream begins in the pattern, `theirs` where the peer's does.
    `error` is the errno that it met, None so far or in peace; `done` it has closed.
    """

    def __init__(self, host, sock, plan, place, theirs):
        self.host = host
        self.sim = host.sim
        self.sock = sock
        self.conn = sock.conn
        self.plan = plan
        self.rand = host.sim.rand.fork()
        self.place = place
        self.theirs = theirs
        self.sent = self.got = 0
        self.error = None
        self.done = self.ended = self.shut = self.open = False
        self.write_at = self.read_at = 0
        self.began = self.ended_at = host.sim.now
        sock.setblocking(False)
        for option in plan.options:
            sock.setsockopt(*option)
        self.sim.after(plan.patience_us, self._impatient, None)
        host.users.append(self)

    def _impatient(self, _):
        if not self.done:
            self._close(GAVE_UP, True)
            self.host.poll()

    def vanish(self):
        """The host begins anew, and knows nothing of this user."""
        self.done = True
        self.error = VANISHED

    def turn(self):
        """Do what can be done now; whether anything was."""
        if self.done:
            return False
        conn = self.conn
        if not self.open:
            if CLOSED < conn.state < ESTABLISHED:
                return False
            if conn.state == CLOSED and conn.error:
                self._close(conn.take_error())
                return True
            self.open = True
        try:
            acted = self._write()
            if self.done:
                return True
            return self._read() or acted
        except OSError as e:
            self._close(e.errno)
            return True

    def _write(self):
        plan = self.plan
        if self.shut or plan.ending == "reply" and not self.ended:
            return False
        now = self.sim.now
        acted = False
        while self.sent < plan.total and now >= self.write_at:
            room = self.conn.writable()
            if room == 0:
                return acted
            n = min(1 + self.rand.below(plan.chunk), plan.total - self.sent)
            at = (self.place + self.sent) % PERIOD
            n = self.sock.send(PATTERN[at:at + min(n, PERIOD)])
            self.sent += n
            acted = True
            if plan.think_us:
                self.write_at = self._nap(plan.think_us)
        if self.sent < plan.total:
            return acted
        if plan.ending == "unread":
            if self.conn.readable() < 0:
                return acted
            self._close(None)
        elif plan.ending == "drop":
            self._close(None)
        elif plan.ending == "abort":
            self._close(None, True)
        else:
            self.shut = True
            self.sock.shutdown(1)
            if self.ended:
                self._close(None)
        return True

    def _read(self):
        plan = self.plan
        if self.ended or plan.ending == "unread":
            return False
        now = self.sim.now
        acted = False
        while now >= self.read_at and self.conn.readable() >= 0:
            data = self.sock.recv(1 + self.rand.below(plan.gulp))
            acted = True
            n = len(data)
            if not n:
                self.ended = True
                if self.shut:
                    self._close(None)
                break
            at = (self.theirs + self.got) % PERIOD
            if data != PATTERN[at:at + n]:
                raise Broken("%s read other bytes than were sent, between %d and %d" % (
                    self.host.name, self.got, self.got + n))
            self.got += n
            if plan.nap_us:
                self.read_at = self._nap(plan.nap_us)
        return acted

    def _nap(self, us):
        us = 1 + self.rand.below(2 * us)
        self.sim.after(us, self.host.poll, None)
        return self.sim.now + us

    def _close(self, error, reset=False):
        self.done = True
        self.ended_at = self.sim.now
        self.error = error
        if reset:
            self.sock.setsockopt(1, 13, LINGER_0)
        self.sock.close()
        self.host.users.remove(self)

    def verdict(self, other, limit_us):
        """What is wrong with how it went, as text, or None.

        `limit_us` is what a gentle network may take, 0 in one that is not.
        """
        if self.got > other.sent:
            return "more was read than was sent"
        if self.conn.tcp is not self.host.stack.tcp:
            return None     # it was rebooted
        if not limit_us or not self.plan.orderly():
            return None
        if other.conn.tcp is not other.host.stack.tcp:
            return None
        # A peer that drops the connection still delivers, if nothing comes that would reset it.
        if other.plan.orderly() or other.plan.ending == "drop" and not self.plan.total:
            if self.error:
                return "error %d" % self.error
            if self.got != other.plan.total:
                return "%d bytes were read of %d" % (self.got, other.plan.total)
            if self.ended_at - self.began > limit_us:
                return "it took %d ms, with a limit of %d" % (
                    (self.ended_at - self.began) // 1000, limit_us // 1000)
        return None


class Server:
    """Listens to `port` and gives each connection an `End` by the plan that was announced for it.

    Accepts each `lag_us` after the last.
    """

    def __init__(self, host, port, backlog=5, lag_us=0):
        self.host = host
        self.lag_us = lag_us
        self.accept_at = 0
        self.expected = {}      # (address, port) -> conversations
        self.sock = host.stack.socket()
        self.sock.setblocking(False)
        self.sock.bind(("", port))
        self.sock.listen(backlog)
        host.users.append(self)

    def turn(self):
        """Accept what can be accepted now; whether anything was."""
        acted = False
        sim = self.host.sim
        while self.sock.listener.queue and sim.now >= self.accept_at:
            sock, address = self.sock.accept()
            for conversation in self.expected[address]:
                if conversation.is_of(sock.conn):
                    conversation.accepted(sock)
                    break
            else:
                raise Broken("a connection was accepted that nobody has opened")
            acted = True
            if self.lag_us:
                self.accept_at = sim.now + self.lag_us
                sim.after(self.lag_us, self.host.poll, None)
        return acted

    def close(self, _=None):
        """Stop listening; idempotent."""
        self.sock.close()
        if self in self.host.users:
            self.host.users.remove(self)

    def vanish(self):
        """The host begins anew."""


class Conversation:
    """A client on `a`, from the port `lport` (0: any), and a server's end on `b`.

    It begins at the time `when` (us); without one, when `begin` is called.
    """

    def __init__(self, a, b, address, port, plan_a, plan_b, when=None, server=None, lport=0):
        self.lport = lport
        self.a = a
        self.b = b
        self.to = address, port
        self.plans = plan_a, plan_b
        self.server = server
        self.place = a.sim.rand.below(PERIOD)
        self.ends = []
        if when is not None:
            a.sim.at(when, self.begin, None)

    def begin(self, _=None):
        """The client connects."""
        sock = self.a.stack.socket()
        sock.setblocking(False)
        if self.lport:
            sock.bind(("", self.lport))
        for option in self.plans[0].before:
            sock.setsockopt(*option)
        sock.connect_ex(self.to)
        self.ends.append(End(self.a, sock, self.plans[0], self.place, self.place + 5000))
        if self.server:
            self.isn = bytes(sock.conn.head[4:8])
            self.server.expected.setdefault(sock.getsockname(), []).append(self)
        self.a.poll()

    def is_of(self, conn):
        """Whether this connection, which the server got, is the one the client has opened."""
        n = diff32(conn.head, 8, self.isn, 0) - 1 - conn.r_len
        return n == 0 or n == 1     # the client's FIN may be here already

    def accepted(self, sock):
        """The server has got the connection."""
        if len(self.ends) > 1:
            if not self.b.stack.tcp.count["cookie"]:
                raise Broken("a connection was accepted twice")
            # An old duplicate of an acknowledgement with a SYN cookie opens it once more.
            sock.setsockopt(1, 13, LINGER_0)
            sock.close()
            return
        self.ends.append(End(self.b, sock, self.plans[1], self.place + 5000, self.place))

    def over(self):
        """Whether both users are done, as far as both have begun."""
        if not self.ends:
            return False
        for end in self.ends:
            if not end.done:
                return False
        return True

    def left(self):
        """Whether anything is left of it, when nothing should be."""
        for end in self.ends:
            if end.conn.tcp is end.host.stack.tcp and holds_memory(end.conn):
                return True
        return False

    def verdict(self, limit_us):
        """What is wrong with how it went, as text, or None; `limit_us` as of `End.verdict`."""
        if len(self.ends) < 2:
            # A host that no ARP gets through to is reported at once.
            if limit_us and self.plans[0].orderly() and self.ends[0].error != EHOSTUNREACH:
                return "it was never accepted"
            return None
        x, y = self.ends
        why = x.verdict(y, limit_us)
        if why:
            return "client: " + why
        why = y.verdict(x, limit_us)
        return why and "server: " + why


class Crossing(Conversation):
    """Both ends connect to each other at about the same time (simultaneous open)."""

    def __init__(self, a, b, addresses, ports, plan_a, plan_b, when, apart_us):
        self.addresses = addresses
        self.ports = ports
        Conversation.__init__(self, a, b, addresses[1], ports[1], plan_a, plan_b, when)
        a.sim.at(when + apart_us, self._begin_other, None)

    def _open(self, host, mine, theirs, plan, place, their_place):
        sock = host.stack.socket()
        sock.setblocking(False)
        sock.bind(("", self.ports[mine]))
        sock.connect_ex((self.addresses[theirs], self.ports[theirs]))
        self.ends.append(End(host, sock, plan, place, their_place))
        host.poll()

    def begin(self, _=None):
        self._open(self.a, 0, 1, self.plans[0], self.place, self.place + 5000)

    def _begin_other(self, _):
        self._open(self.b, 1, 0, self.plans[1], self.place + 5000, self.place)


class Series:
    """Conversations one after the other, each as soon as the last is over and its client's port
    can be used again.

    If nobody stayed in TIME-WAIT only time makes sure of that: segments live for `life_us`.
    """

    def __init__(self, conversations, life_us):
        self.life_us = life_us
        self.waiting = conversations[1:]
        self.current = conversations[0]
        self.current.begin()

    def over(self):
        """Whether the last of them is over; begins the next one."""
        current = self.current
        if not current.over():
            return False
        if not self.waiting:
            return True
        for end in current.ends:
            if end.host is current.a and end.conn.state not in (CLOSED, TIME_WAIT):
                return False
        sim = current.a.sim
        orderly = len(current.ends) == 2
        for end in current.ends:
            if end.error or not end.plan.orderly():
                orderly = False
        self.current = self.waiting.pop(0)
        sim.after(0 if orderly else self.life_us, self.current.begin, None)
        return False


class Source:
    """A user who has always more to send."""

    data = bytes(16384)

    def __init__(self, host, address, port):
        self.host = host
        self.sock = host.stack.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex((address, port))
        host.users.append(self)

    def turn(self):
        acted = False
        while self.sock.conn.writable() > 0:
            self.sock.send(self.data)
            acted = True
        return acted


class Sink:
    """A listener that reads all that comes to `port`; `got` bytes so far."""

    def __init__(self, host, port):
        self.listener = host.stack.socket()
        self.listener.bind(("", port))
        self.listener.listen()
        self.listener.setblocking(False)
        self.sock = None
        self.got = 0
        self.buf = bytearray(65536)
        host.users.append(self)

    def turn(self):
        if self.sock is None:
            if not self.listener.listener.queue:
                return False
            self.sock = self.listener.accept()[0]
            self.sock.setblocking(False)
        acted = False
        while self.sock.conn.readable() > 0:
            self.got += self.sock.recv_into(self.buf)
            acted = True
        return acted
