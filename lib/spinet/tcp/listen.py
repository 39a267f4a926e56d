"""A listening socket's half of TCP: half-open connections and the queue for `accept`."""
from spinet.tcp import output, rto
from spinet.tcp.conn import Conn
from spinet.tcp.options import take_syn
from spinet.tcp.states import CLOSED, SYN_RECEIVED
from spinet.prim import add32


class Listener:
    """Accepts connections to `port` at `addr` (4 bytes, or None for every address).

    At most `backlog` connections wait to be accepted before new SYNs are
    ignored, and at most `backlog` or `tcp.half_open_max`, whichever is more,
    are half open.  Where that is too few SYNs are answered with cookies and not
    remembered (`cookies.py`).  Without that module one whose peer has let a
    second go by without an answer makes room; without such a one the new SYN
    is ignored and its sender will repeat it.

    Connections inherit `rcvbuf`, `sndbuf` and `maxseg`, in bytes; 0: as usual.
    """

    waiter = None       # called when there is somebody to accept
    rcvbuf = sndbuf = maxseg = 0

    def __init__(self, tcp, addr, port, backlog):
        self.tcp = tcp
        self.addr = addr
        self.port = port
        self.backlog = max(backlog, 1)
        self.half_open = []
        self.queue = []

    def syn(self, path, buf, s, p):
        """A SYN has come for this listener along `path`: answer it (RFC 9293, 3.10.7.2)."""
        tcp = self.tcp
        if not self.has_room():
            tcp.count["backlog_full"] += 1
            return
        half_open = self.half_open
        if len(half_open) >= self._half_open_max() or (
                half_open and tcp.connections >= tcp.connections_max):
            tcp.count["half_open_full"] += 1
            if self._cookie(path, buf, s, p) or not half_open[0].retries:
                return
            half_open[0].end(0)
        elif not tcp.room():
            return
        c = self.child(path, buf, s, p)
        tcp.draw_isn(c)
        self.enter(c)
        output.send_syn(c)

    def has_room(self):
        """Whether one more connection may wait to be accepted."""
        return len(self.queue) < self.backlog

    def child(self, path, buf, s, p):
        """What the SYN at `buf[s:p]` would become, unknown to anybody yet."""
        c = Conn(self.tcp, path, buf[s + 2] << 8 | buf[s + 3], buf[s] << 8 | buf[s + 1])
        c.prefer(self.rcvbuf, self.sndbuf, self.maxseg)
        c.listener = self
        add32(c.head, 8, buf, s + 4, 1)
        take_syn(c, buf, s, p)
        return c

    def enter(self, c):
        """`c` is half open from now on."""
        self.half_open.append(c)
        self.tcp.remember(c)
        c.set_state(SYN_RECEIVED)
        c.snd_nxt = c.snd_max = 1
        c.t_rexmt = rto.arm(c, c.rto)

    def _cookie(self, path, buf, s, p):
        """Answer a SYN without remembering it; False where there are no cookies."""
        tcp = self.tcp
        if tcp.cookies is None and tcp.cookies_max:
            try:
                from spinet.tcp.cookies import Cookies

                tcp.cookies = Cookies(tcp)
            except ImportError:
                tcp.cookies = False     # left out of this board
        if not tcp.cookies:
            return False
        tcp.cookies.answer(self, path, buf, s, p)
        return True

    def _half_open_max(self):
        return max(self.backlog, self.tcp.half_open_max)

    def established(self, c):
        """`c` is established and waits to be accepted; False if there is no room left."""
        self.half_open.remove(c)
        if len(self.queue) >= self.backlog + self._half_open_max():
            self.tcp.count["backlog_full"] += 1
            return False
        self.queue.append(c)
        if self.waiter:
            self.waiter()
        return True

    def accept(self):
        """The next established connection, or None."""
        if self.queue:
            c = self.queue.pop(0)
            c.listener = None   # MicroPython keeps the value of what is deleted
            del c.listener      # so there is a place free
            return c
        return None

    def forget(self, c):
        """`c` has ended before it was accepted."""
        c.listener = None
        if c in self.half_open:
            self.half_open.remove(c)
        elif c in self.queue and not c.r_len:
            self.queue.remove(c)

    def close(self):
        """Stop listening, and reset what nobody will accept."""
        self.tcp.unlisten(self)
        for waiting in (self.half_open, self.queue):
            while waiting:
                c = waiting.pop()
                c.listener = None
                if c.state != CLOSED:
                    c.abort()
