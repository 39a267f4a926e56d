"""The callback of a socket, `setsockopt(SOL_SOCKET, 20, call)`, as sockets of boards have it.

`call(sock)` is called when there is something to read or to accept, or the stream has ended: from
the `poll` in which it came, but at its end, so it may use sockets as it likes, and wait.  With a
Background it is called by the scheduler instead, as boards do it, soon after.
"""
from spinet.errors import EINVAL, os_error
from spinet.service import tell
from spinet.sockbase import ERR, HUP, RD


class Caller:
    """Stands as `waiter` where things happen to a socket."""

    def __init__(self, sock, call):
        self.sock = sock
        self.call = call
        self.waits = self.runs = False

    def __call__(self):
        # Not now: we are in the midst of the stack's work.
        if not self.waits and self.sock.stack is not None:
            self.waits = True
            self.sock.stack.calls.append(self)

    def run(self):
        """Call, as long as it takes something of what there is."""
        self.waits = False
        sock = self.sock
        if self.runs:
            return      # the callback itself waits, and will see
        self.runs = True
        before = -1
        while self.call is not None and sock.stack is not None:
            left = _left(sock)
            if not sock.ready() & (RD | HUP | ERR) or left == before:
                break
            before = left
            tell(self.call, sock)
        self.runs = False


def _left(sock):
    """A number that changes when something is taken of what there is to read or accept."""
    if getattr(sock, "listener", None) is not None:
        return len(sock.listener.queue)
    return sock.conn.readable() if hasattr(sock, "conn") else sock.endpoint._used


def register(sock, call):
    """Let `call` be called for `sock`; None: no more."""
    thing = getattr(sock, "listener", None) or getattr(sock, "conn", None) or getattr(
        sock, "endpoint", None)
    if thing is None:
        raise os_error(EINVAL)
    if isinstance(thing.waiter, Caller):
        thing.waiter.call = None
    thing.waiter = None
    if call is not None:
        stack = sock.stack
        if stack.calls is None:
            stack.calls = []
        thing.waiter = Caller(sock, call)
        thing.waiter()      # perhaps something waits already


def run(stack):
    """At the end of `poll`: call those for whom something has come."""
    while stack.calls:
        stack.calls.pop(0).run()
    stack.timers.worked = True      # what it did may be due before what `poll` returns
