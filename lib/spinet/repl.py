"""The interactive prompt over the network: telnet (PuTTY), or raw TCP for tools.

    from spinet import repl
    prompt = repl.start(nic.stack, "password")          # port 23
    repl.start(nic.stack, None, port=2323)              # no password: a network that you trust

Where the firmware has `os.dupterm` the prompt is the board's own, beside that of its serial line,
as long as the stack is polled (`nic.background()`, or a program's loop).  Elsewhere it is one made
of Python (`console.py`), which the program serves: `prompt.step()` now and then, or `prompt.run()`.

One session at a time: who gives the right password last has it.  Nothing is encrypted.
"""
import os

from spinet.errors import EAGAIN
from spinet.prim import IOBase, ticks_diff
from spinet.sockbase import SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPIDLE
from spinet.timers import Timer

dupterm = getattr(os, "dupterm", None)
notify = getattr(os, "dupterm_notify", None)

_LOOK_MS = 100          # how often we look whether somebody has come
_LOGIN_MS = 30000       # for the password
_WRONG_MS = 2000        # after a wrong one nobody is let in for so long
_STUCK_MS = 2000        # a peer that takes nothing for so long is cut off
_LONGEST = 64           # of a password

# RFC 854, 857, 858: we echo, character by character.
_IAC, _DONT, _WILL, _SB, _SE = 255, 254, 251, 250, 240
_HELLO = b"\xff\xfb\x01\xff\xfb\x03"


def _typed(sock):
    """Let the firmware look at what has come; not here, for Ctrl-C is to end the program."""
    try:
        from micropython import schedule

        schedule(notify, None)
    except ImportError:
        notify(None)
    except RuntimeError:
        pass        # no place to schedule more: it is heard with what comes next


class Terminal(IOBase):
    """A connection as a stream of characters, as `os.dupterm` wants one.

    Commands of telnet's are left out of what is read, and end-of-line is CR alone; so a raw TCP
    client may be used as well.
    """

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.open = True
        self._state = 0     # 1: after IAC, 2: its option follows, 3, 4: in a subnegotiation, 5: CR

    def readinto(self, buf):
        """Characters that have come: their number, None without any, 0 at the end."""
        kept = 0
        while not kept:
            try:
                n = self.sock.readinto(buf)
            except OSError:
                n = 0
            if n == 0:
                self.open = False
            if not n:
                return n
            for i in range(n):
                c = buf[i]
                if self._keep(c):
                    buf[kept] = c
                    kept += 1
        return kept

    def _keep(self, c):
        state = self._state
        if state == 1:
            self._state = 3 if c == _SB else 2 if _WILL <= c <= _DONT else 0
            return c == _IAC
        if state == 2:
            self._state = 0
        elif state == 3:
            self._state = 4 if c == _IAC else 3
        elif state == 4:
            self._state = 0 if c == _SE else 3
        elif c == _IAC:
            self._state = 1
        else:
            self._state = 5 if c == 13 else 0
            return state != 5 or c != 10 and c != 0
        return False

    def write(self, data):
        """Send `data`; waits while the peer is slow, not for one that is stuck."""
        data = bytes(data)
        size = len(data)
        if not self.open:
            return size
        data = data.replace(b"\xff", b"\xff\xff")
        sock = self.sock
        at = 0
        try:
            while at < len(data):
                # Within `poll`, where there is no waiting, what does not fit is lost.
                sock.timeout_ms = 0 if sock.stack.polling else _STUCK_MS
                at += sock.send(data[at:] if at else data)
        except OSError as e:
            if e.errno != EAGAIN:
                self.close()
        finally:
            sock.timeout_ms = 0
        return size

    def ioctl(self, request, arg):
        """The stream protocol: poll."""
        return self.sock.ioctl(request, arg) if request == 3 and self.open else 0

    def close(self):
        """End the session."""
        self.open = False
        self.sock.close()


class Prompt(Timer):
    """What `start` returns: lets clients in.  `session` is who is in, or None."""

    def __init__(self, stack, password, port):
        Timer.__init__(self)
        self.stack = stack
        self.password = None if password is None else password.encode()
        self.count = {"in": 0, "wrong_password": 0, "too_late": 0}
        self.session = None
        self.console = None     # where there is no dupterm
        self._guest = None      # who has not said the password yet
        self._since = 0
        self._typed = b""
        self._locked = False
        self._names = {}        # of the console's programs
        self._listener = stack.socket()
        self._listener.bind(("", port))
        self._listener.listen(1)
        self._listener.setblocking(False)
        stack.services["repl"] = self
        stack.timers.arm(self, _LOOK_MS)

    def expire(self, now):
        """See who has come, and gone."""
        self.stack.timers.arm(self, _LOOK_MS)
        if self.session is not None and self._gone(self.session):
            self.leave()
        if self._guest is not None:
            self._ask(now)
        elif self._locked:
            self._locked = ticks_diff(now, self._since) < _WRONG_MS
        elif self._listener.listener.queue:
            sock = self._listener.accept()[0]
            sock.setsockopt(6, TCP_KEEPIDLE, 30)
            sock.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
            self._guest = Terminal(sock)
            self._since = now
            self._typed = b""
            if self.password is None:
                self._enter()
            else:
                sock.send(_HELLO + b"Password: ")

    def _gone(self, terminal):
        # Of a session that has ended, what has come is not read any more.
        if terminal.open and terminal.sock.conn.readable() == 0:
            terminal.close()
        return not terminal.open

    def _ask(self, now):
        guest = self._guest
        buf = bytearray(1)
        while guest.readinto(buf):
            if buf[0] == 13 or buf[0] == 10:
                if self._typed == self.password:
                    self._enter()
                else:
                    self.count["wrong_password"] += 1
                    guest.write(b"\r\nno\r\n")
                    while guest.readinto(buf):
                        pass    # what is left unread at the end would be answered by a reset
                    self._dismiss(now)
                    self._locked = True
                return
            if len(self._typed) < _LONGEST:
                self._typed += buf
        if not guest.open or ticks_diff(now, self._since) > _LOGIN_MS:
            self.count["too_late"] += 1
            self._dismiss(now)

    def _dismiss(self, now):
        self._guest.close()
        self._guest = None
        self._since = now

    def _enter(self):
        if self.session is not None:
            self.leave()
        self.session = self._guest
        self._guest = None
        self.count["in"] += 1
        if dupterm is not None:
            self.session.write(b"\r\n>>> ")
            dupterm(self.session)
            if notify is not None:
                # A program that runs does not read what is typed: so Ctrl-C is heard.
                from spinet.sockcall import register

                register(self.session.sock, _typed)
        else:
            from spinet.console import Console

            self.console = Console(self.session.write, self._names)

    def leave(self):
        """End the session that there is."""
        if dupterm is not None:
            dupterm(None)
        self.console = None
        if self.session is not None:
            self.session.close()
            self.session = None

    def step(self):
        """Serve the prompt where there is no `os.dupterm`; False if there is nobody."""
        self.stack.poll()
        console = self.console
        if console is None:
            return False
        buf = bytearray(64)
        n = self.session.readinto(buf)
        for i in range(n or 0):
            console.feed(buf[i])
        return True

    def run(self):
        """Serve for ever."""
        while True:
            self.step()
            self.stack.idle(_LOOK_MS)

    def close(self):
        """Let nobody in any more; idempotent."""
        self.stack.timers.cancel(self)
        self.leave()
        if self._guest is not None:
            self._guest.close()
            self._guest = None
        self._listener.close()
        self.stack.services.pop("repl", None)


def start(stack, password, port=23):
    """Let who knows `password` (None: everybody) use the prompt, on a port of TCP; a `Prompt`."""
    return Prompt(stack, password, port)
