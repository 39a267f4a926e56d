"""The frame of every TCP service: one listener, a fixed number of connections, no blocking.

The main loop calls `step()` of each service over and over.  A step does what
can be done now and says whether it did anything; the loop sleeps when nothing
did.  Connections live in slots that are made once and used again, so that
memory stays bounded and whole however many clients come and go; when all slots
are taken, new clients wait in the listener's backlog.
"""
from spinet import socket
from spinet.prim import ticks_diff

RD = 1
WR = 4
_RESET = b"\1\0\0\0\0\0\0\0"    # struct linger: on, 0 seconds


def ready(sock, events):
    """Which of `events` (RD, WR) are possible without waiting; unlike `ioctl`, never pumps."""
    return sock.ready() & events


class Slot:
    """One connection of a service.  Subclasses give `begin` and `step`.

    `since` is when the peer last moved data, in ticks.
    """

    def __init__(self):
        self.sock = None
        self.since = 0

    def open(self, sock, now):
        """Take over an accepted socket."""
        self.sock = sock
        self.since = now
        self.begin()

    def begin(self):
        """Prepare for a new connection."""

    def step(self, now):
        """Do what can be done now; True if anything was.  Closes itself when done."""
        raise NotImplementedError

    def idle(self, now):
        """True if the connection may be closed in favour of a waiting client."""
        return False

    def close(self):
        """Close the connection; the slot can be used again."""
        sock = self.sock
        self.sock = None
        if sock is not None:
            sock.close()

    def abort(self):
        """Close the connection by a reset, so that what the peer did not read is not kept."""
        if self.sock is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close()


class Server:
    """A TCP service on `port` with at most `limit` connections.

    `make` creates a slot; a connection on which nothing moves for `patience_ms`
    is closed.  `accepted` and `errors` count.
    """

    def __init__(self, stack, name, port, make, limit=4, patience_ms=30000):
        self.name = name + "/tcp"
        self.port = port
        self.make = make
        self.limit = limit
        self.patience_ms = patience_ms
        self.slots = []
        self.accepted = 0
        self.errors = 0
        self.listener = stack.socket(socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("0.0.0.0", port))
        self.listener.listen(limit)
        self.listener.setblocking(False)

    def step(self, now):
        """Accept what waits and step every connection; True if anything was done."""
        busy = False
        if ready(self.listener, RD):
            busy = self.accept(now)
        for slot in self.slots:
            if slot.sock is not None:
                try:
                    if slot.step(now):
                        slot.since = now
                        busy = True
                    elif ticks_diff(now, slot.since) > self.patience_ms:
                        slot.abort()
                except Exception as error:
                    # The peer went away, or memory is short: the others go on.
                    self.errors += 1
                    if not isinstance(error, OSError):
                        print("%s: %r" % (self.name, error))
                    slot.close()
        return busy

    def accept(self, now):
        """Give one waiting client a slot; True if it got one."""
        slot = self.free_slot(now)
        if slot is None:
            return False
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return False
        sock.setblocking(False)
        slot.close()
        slot.open(sock, now)
        self.accepted += 1
        return True

    def free_slot(self, now):
        """The slot to use next: a free one, a new one, or the one that is idle the longest."""
        best = None
        for slot in self.slots:
            if slot.sock is None:
                return slot
            if slot.idle(now) and (best is None or ticks_diff(slot.since, best.since) < 0):
                best = slot
        if len(self.slots) < self.limit:
            best = self.make()
            self.slots.append(best)
        return best

    def open(self):
        """How many connections are open now."""
        return sum(slot.sock is not None for slot in self.slots)

    def served(self):
        """How many were accepted in all."""
        return self.accepted

    def close(self):
        """Close the listener and every connection."""
        self.listener.close()
        for slot in self.slots:
            slot.close()
