"""A file descriptor for a socket of spinet's, on CPython: what `fileno()` returns where it can.

It is one end of a pair of the system's sockets, made when it is first asked for. It is kept
readable, and writable, exactly when the socket is, so that whoever waits for descriptors (an event
loop's `add_reader`, `select`, an extension in C) waits for the socket.  That is all it is good for:
what is read from it or written to it is not the connection's.

It can tell the truth only if somebody keeps the stack going while others wait: a thread
(`nic.background()`, `Threaded`) or an event loop of `spinet.aio`.  Without, there is none: -1.
"""
import socket as system
import weakref

from spinet.service import public
from spinet.sockbase import ERR, HUP, NVAL, RD, WR

_STEPS = ("recv", "recv_into", "recvfrom", "recvfrom_into", "read", "readline", "readinto",
          "send", "sendto", "sendall", "write", "accept", "connect", "connect_ex", "shutdown",
          "listen", "bind", "do_handshake", "unwrap")
_classes = {}       # class of sockets: the same, with a descriptor


def fileno(sock):
    """The descriptor of `sock`, or -1."""
    mirror = sock.__dict__.get("mirror")
    if mirror is None:
        stack = sock.stack
        if stack is None or not (getattr(stack, "pump", None) or "inside" in vars(stack)):
            return -1
        if getattr(_thing(sock), "waiter", None) is not None:
            return -1       # it belongs to somebody else: a transport, a callback
        mirror = Mirror(sock)
        sock.mirror = mirror
        cls = type(sock)
        if cls not in _classes:
            _classes[cls] = _watched(cls)
        # Not by assignment: for `isinstance` the class of a socket under TLS is another.
        object.__dict__["__class__"].__set__(sock, _classes[cls])
    mirror.run()
    return mirror.near.fileno()


class Mirror:
    """Keeps the pair of one socket in step; stands as `waiter` where things happen to it."""

    def __init__(self, sock):
        self._sock = weakref.ref(sock)
        self.near, self.far = system.socketpair()
        for one in (self.near, self.far):
            one.setblocking(False)
            # As little as the system has: filling it is how `near` is made not writable.
            one.setsockopt(system.SOL_SOCKET, system.SO_SNDBUF, 1)
            one.setsockopt(system.SOL_SOCKET, system.SO_RCVBUF, 1)
        self.due = False
        self.shown = WR

    def __call__(self):
        # Not now: we are in the midst of the stack's work.
        stack = getattr(self._sock(), "stack", None)
        if not self.due and stack is not None:
            self.due = True
            if stack.calls is None:
                stack.calls = []
            stack.calls.append(self)

    def run(self):
        """Show what the socket is ready for."""
        self.due = False
        sock = self._sock()
        if self.near is None:
            return
        if sock is None or sock.stack is None:
            self.close()
            return
        thing = _thing(sock)
        if thing is not None and thing.waiter is None:
            thing.waiter = self
        flags = sock.ready()
        want = RD * bool(flags & (RD | HUP | ERR | NVAL)) | WR * bool(flags & (WR | ERR | NVAL))
        change = want ^ self.shown
        self.shown = want
        if change & RD:
            if want & RD:
                self.far.send(b"\0")
            else:
                self._empty(self.near)
        if change & WR:
            if want & WR:
                self._empty(self.far)
            else:
                self._fill()

    def _fill(self):
        try:
            while True:
                self.near.send(bytes(4096))
        except BlockingIOError:
            pass

    @staticmethod
    def _empty(one):
        try:
            while one.recv(65536):
                pass
        except BlockingIOError:
            pass

    def close(self):
        """Give the descriptor back; idempotent."""
        if self.near is not None:
            thing = _thing(self._sock())
            if thing is not None and thing.waiter is self:
                thing.waiter = None
            self.near.close()
            self.far.close()
            self.near = self.far = None


def _thing(sock):
    """What has the `waiter` of a socket, if there is anything yet."""
    for name in ("listener", "conn", "endpoint"):
        if getattr(sock, name, None) is not None:
            return getattr(sock, name)
    return None


def _watched(cls):
    """A subclass of `cls` each of whose steps is followed by a look at what it is ready for."""
    def step(name):
        method = getattr(cls, name)

        def one(self, *args, **kwargs):
            # By the class, where the method may have been given a guard since.
            pump = getattr(self.stack, "pump", None)
            try:
                return getattr(cls, name)(self, *args, **kwargs)
            finally:
                self.mirror.run()
                if pump is not None:
                    pump.soon()     # a timer may be due earlier than it knows

        one.__doc__ = method.__doc__
        return one

    made = {name: step(name) for name in _STEPS if hasattr(cls, name)}

    def really_close(self):
        try:
            cls.really_close(self)
        finally:
            self.mirror.close()

    def number(self):
        """The descriptor."""
        self.mirror.run()
        return -1 if self.mirror.near is None else self.mirror.near.fileno()

    def sendmsg(self, buffers):
        """As many bytes of `buffers` as are taken: asyncio's transports send so since 3.12."""
        sent = 0
        for buf in buffers:
            try:
                n = self.send(buf)
            except BlockingIOError:
                if sent:
                    break
                raise
            sent += n
            if n < len(buf):
                break
        return sent

    made.update(sendmsg=sendmsg, really_close=really_close, fileno=number, __slots__=())
    watched = type(cls)(cls.__name__, (cls,), made)
    public(watched, *made)
    return watched
