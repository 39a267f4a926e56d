"""The serial line of a board that is none: what a terminal or mpremote opens is a pty."""
import contextlib
import os
import pty
import select
import tty


class Line:
    """`path` is what to open; `link_path`, if given, becomes a link to it, and `path`.

    `on_line` is called with each line of text that the board says.
    """

    def __init__(self, on_line, link_path=None):
        self.on_line = on_line
        self.user, self._slave = pty.openpty()
        tty.setraw(self._slave)         # and kept open, or the pty ends when its user closes it
        os.set_blocking(self.user, False)
        self.path = os.ttyname(self._slave)
        self._link = link_path
        self._rest = b""
        self._heard = True
        if link_path:
            with contextlib.suppress(OSError):
                os.unlink(link_path)
            os.symlink(self.path, link_path)
            self.path = link_path

    def fileno(self):
        """For `select`: readable when something was typed."""
        return self.user

    def typed(self):
        """What was typed."""
        with contextlib.suppress(OSError):
            return os.read(self.user, 4096)
        return b""

    def say(self, data):
        """What the board says; when nobody reads it for half a second it is lost, as on a wire."""
        self._hand_on(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.on_line(line.decode(errors="replace").rstrip("\r"))

    def _hand_on(self, data):
        while data:
            try:
                data = data[os.write(self.user, data):]
                self._heard = True
            except BlockingIOError:
                self._heard = self._heard and bool(select.select([], [self.user], [], 0.5)[1])
                if not self._heard:
                    return

    def close(self):
        """Unplug it; idempotent."""
        for fd in (self.user, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.user = self._slave = -1
        if self._link:
            with contextlib.suppress(OSError):
                os.unlink(self._link)
            self._link = None
