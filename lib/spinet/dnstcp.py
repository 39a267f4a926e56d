"""A DNS question by TCP (RFC 7766), for an answer that does not fit into a datagram."""
from spinet.errors import EAGAIN, EALREADY, EINPROGRESS, EISCONN
from spinet.prim import BUFFER, ticks_diff

LIMIT_MS = 5000
_LOOK_MS = 20       # how often the stream is looked at


class Stream:
    """The connection for one query; `step` it whenever its timer expires."""

    def __init__(self, query, server):
        stack = query.resolver.stack
        self.timers = stack.timers
        self.began = self.timers.now
        self.sock = stack.socket()
        self.sock.setblocking(False)
        self.address = server, 53
        self.out = query.message()
        self.buf = None
        self.n = 0
        self.timers.arm(query, 0)

    def step(self, query):
        """Do what can be done; True if the query has to go on without us."""
        if ticks_diff(self.timers.now, self.began) > LIMIT_MS:
            return True
        self.timers.arm(query, _LOOK_MS)
        try:
            if self.out is not None:
                error = self.sock.connect_ex(self.address)
                if error in (EALREADY, EINPROGRESS):
                    return False
                if error not in (0, EISCONN):
                    return True
                n = len(self.out)
                self.sock.send(bytes((n >> 8, n & 255)) + self.out)
                self.out = None
                self.buf = bytearray(min(BUFFER, 1024))
            return self._read(query)
        except OSError as e:
            return e.errno != EAGAIN
        except MemoryError:
            query.resolver.count["no_memory"] += 1
            return True

    def _read(self, query):
        """Read until the message is whole; True if it never will be."""
        while True:
            buf = self.buf
            size = 2 + (buf[0] << 8 | buf[1]) if self.n >= 2 else 2
            if size > BUFFER:
                return True
            if size > len(buf):
                self.buf = buf = buf + bytearray(size - len(buf))
            if self.n == size and size > 2:
                query.heard(buf, 2, size)
                # Answered, or not: there is nothing more to come.
                return not query.done and query._stream is self
            n = self.sock.recv_into(memoryview(buf)[self.n:size])
            if not n:
                return True
            self.n += n

    def close(self):
        """Done."""
        self.sock.close()
