"""A conversation written as a generator, kept going by the stack's timers.

It yields the ms to wait, None for 1, and goes on in a later `poll`.  Its sockets do not wait.
"""
from spinet.errors import ECONNRESET, EINPROGRESS, EALREADY, EISCONN, ETIMEDOUT, os_error
from spinet.prim import ticks_diff
from spinet.service import public
from spinet.timers import Timer

# What comes of acting on a message that makes no sense, JSON above all.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)


class Task(Timer):
    """Runs `steps`, a generator.  `error` is the errno with which it ended, 0 if without."""

    def __init__(self, stack, steps):
        public(Task, "close")
        Timer.__init__(self)
        self.stack = stack
        self.done = False
        self.error = 0
        self._steps = steps
        stack.timers.now = stack.clock()
        stack.timers.arm(self, 0)

    def expire(self, now):
        """The next step."""
        try:
            wait = next(self._steps)
        except StopIteration:
            self.done = True
        except OSError as e:
            self.done = True
            self.error = e.errno or 5
        except NONSENSE:
            self.done = True
            self.error = 22
        else:
            self.stack.timers.arm(self, 1 if wait is None else wait)

    def close(self):
        """Stop; what the generator has open it closes (in its `finally`)."""
        self.stack.timers.remove(self)
        self.done = True
        self._steps.close()


def connect(sock, address, limit_ms):
    """Steps: connect a socket that does not wait."""
    timers = sock.stack.timers
    began = timers.now
    error = sock.connect_ex(address)
    while error in (EINPROGRESS, EALREADY):
        if ticks_diff(timers.now, began) > limit_ms:
            raise os_error(ETIMEDOUT)
        yield 2
        error = sock.connect_ex(address)
    if error not in (0, EISCONN):
        raise os_error(error)


def read(sock, n, limit_ms):
    """Steps: read exactly `n` bytes; they are the result."""
    timers = sock.stack.timers
    began = timers.now
    buf = bytearray(n)
    at = 0
    while at < n:
        k = sock.readinto(memoryview(buf)[at:])
        if k is None:
            if ticks_diff(timers.now, began) > limit_ms:
                raise os_error(ETIMEDOUT)
            yield 2
        elif k == 0:
            raise os_error(ECONNRESET)
        else:
            at += k
    return bytes(buf)


def write(sock, data, limit_ms):
    """Steps: write all of `data`."""
    timers = sock.stack.timers
    began = timers.now
    while data:
        k = sock.write(data)
        if k:
            data = data[k:]
        else:
            if ticks_diff(timers.now, began) > limit_ms:
                raise os_error(ETIMEDOUT)
            yield 2
