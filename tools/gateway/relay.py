"""Carrying a TCP connection over from a kernel socket to one of our stack's connections.

Nothing here waits: `Relay.move` carries what can be carried now, both ways.
"""
import errno
import selectors
import socket
import struct

from spinet.errors import EINPROGRESS

BUFFER = 65536              # bytes held per direction of a connection
# A board that was switched off says nothing: ms of silence, ms between probes, probes.
KEEPALIVE = 60000, 10000, 6
RESET = struct.pack("ii", 1, 0)     # SO_LINGER of a socket whose close is to reset


class Pipe:
    """One direction of a connection: a buffer that is filled only when it is empty."""

    def __init__(self, read, write, shut, carried):
        self.read = read            # into a view: count, 0 at the end, -1 when nothing is there
        self.write = write          # from a view: count, 0 when nothing fits
        self.shut = shut            # end of stream to the sink
        self.view = memoryview(bytearray(BUFFER))
        self.start = 0
        self.end = 0
        self.ended = False          # the source is at its end
        self.done = False           # and the sink knows
        self.carried = carried      # called with the count of bytes that were written

    def move(self):
        """Carry what can be carried now; True if anything was.  Passes on any OSError."""
        moved = False
        while not self.done:
            if self.start < self.end:
                n = self.write(self.view[self.start:self.end])
                if not n:
                    return moved
                self.start += n
                self.carried(n)
            elif self.ended:
                self.shut()
                self.done = True
            else:
                n = self.read(self.view)
                if n < 0:
                    return moved
                self.start = 0
                self.end = n
                self.ended = n == 0
            moved = True
        return moved

    def wants_input(self):
        """True when the source should be watched for input."""
        return self.start == self.end and not self.ended


class Relay:
    """One TCP connection: a kernel socket (`outer`) and one of our stack (`inner`), joined.

    The kernel socket is connected; with `connecting` the inner one is still under way.
    """

    def __init__(self, gateway, outer, inner, connecting):
        self.gateway = gateway
        self.outer = outer
        self.inner = inner
        self.connecting = connecting
        self.inward = Pipe(
            self.read_outer, self.write_inner, inner.shutdown, gateway.carried_in)
        self.outward = Pipe(
            self.read_inner, self.write_outer, self.shut_outer, gateway.carried_out)
        self.watched = 0
        self.closed = False
        if not connecting:
            inner.keepalive(True, *KEEPALIVE)
        self.watch()

    def read_outer(self, view):
        try:
            return self.outer.recv_into(view)
        except BlockingIOError:
            return -1

    def write_outer(self, view):
        try:
            return self.outer.send(view)
        except BlockingIOError:
            return 0

    def shut_outer(self):
        try:
            self.outer.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:       # the peer has gone already
                raise

    def read_inner(self, view):
        return self.inner.recv_into(view, 0, len(view))

    def write_inner(self, view):
        return self.inner.send(view, 0, len(view))

    def ready(self, _):
        """The kernel socket can do what it was watched for."""
        self.move()

    def move(self):
        """Carry what can be carried now; True if anything was.  Closes itself at the end."""
        if self.closed:
            return False
        moved = False
        try:
            if self.connecting and not self.connected():
                return False
            moved = self.inward.move()
            moved = self.outward.move() or moved
        except OSError:
            self.gateway.count["refused" if self.connecting else "reset"] += 1
            self.abort()
            return True
        if self.inward.done and self.outward.done:
            self.close()
        else:
            self.watch()
        return moved

    def connected(self):
        """True once the inner connection is open.  OSError if it will not be."""
        error = self.inner.connect_error()
        if error == EINPROGRESS:
            return False
        if error:
            raise OSError(error, "cannot connect")
        self.connecting = False
        self.inner.keepalive(True, *KEEPALIVE)
        return True

    def watch(self):
        """Watch the kernel socket for exactly what can be done with it."""
        events = 0
        if not self.connecting:
            if self.inward.wants_input():
                events = selectors.EVENT_READ
            if self.outward.start < self.outward.end:
                events |= selectors.EVENT_WRITE
        if events != self.watched:
            self.gateway.watch(self.outer, self.watched, events, self.ready)
            self.watched = events

    def abort(self):
        """Reset both sides: one of them did not end well."""
        try:
            self.outer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError:
            pass
        self.inner.abort()
        self.close()

    def close(self):
        """Close both sides."""
        if self.closed:
            return
        self.closed = True
        self.gateway.watch(self.outer, self.watched, 0, None)
        self.outer.close()
        self.inner.close()
        self.gateway.relays.discard(self)
