"""A prompt made of Python, for `repl.py` where the firmware cannot lend its own.

As MicroPython's: lines, blocks, Ctrl-A and Ctrl-B for the raw mode that tools use (mpremote).
What a program prints by `print` is seen; what it writes to `sys.stdout` itself is not.
"""
import io
import sys

_RAW = b"raw REPL; CTRL-B to exit\r\n>"


class Console:
    """Characters go in by `feed`, what is said goes out by `write(bytes)`.

    `names` are the program's; whoever keeps the dict keeps them for the next session.
    """

    def __init__(self, write, names):
        self.write = write
        self.raw = False
        self._line = bytearray()
        self._block = ""
        self._names = names
        self._own()
        self._friendly()

    def _own(self):
        self._names["__name__"] = "__main__"
        self._names["print"] = self._print

    def _reset(self):
        """A program begins with nothing."""
        self.write(b"\r\nMPY: soft reboot\r\n")
        self._names.clear()
        self._own()

    def _friendly(self):
        self.raw = False
        self._line = bytearray()
        self._block = ""
        self.write(b"\r\nspinet; %s %d.%d\r\n>>> " % (
            (sys.implementation.name.encode(),) + tuple(sys.implementation.version[:2])))

    def _say(self, text):
        self.write(text.replace("\n", "\r\n").encode())

    def _print(self, *what, sep=" ", end="\n", file=None):
        if file is not None:
            print(*what, sep=sep, end=end, file=file)
        else:
            self._say(sep.join([str(one) for one in what]) + end)

    def feed(self, c):
        """A character, as a number, has come."""
        if self.raw:
            self._feed_raw(c)
        elif c == 1:
            self.raw = True
            self._line = bytearray()
            self.write(_RAW)
        elif c == 2:
            self._friendly()
        elif c == 3:
            self._line = bytearray()
            self._block = ""
            self.write(b"\r\n>>> ")
        elif c == 4:
            self._reset()
            self._friendly()
        elif c == 8 or c == 127:
            if self._line:
                n = len(self._line) - 1
                while n and self._line[n] & 0xC0 == 0x80:
                    n -= 1      # all bytes of a letter
                self._line = self._line[:n]
                self.write(b"\b \b")
        elif c == 13 or c == 10:
            line = _text(self._line)
            self._line = bytearray()
            self.write(b"\r\n")
            self._enter(line)
        elif c >= 32 or c == 9:
            self._line.append(c)
            self.write(bytes((c,)))

    def _enter(self, line):
        """A line is complete: it is run, or belongs to a block, which an empty line ends."""
        if self._block:
            self._block += line + "\n"
            if line:
                self.write(b"... ")
                return
            line, self._block = self._block, ""
        elif line.rstrip().endswith(":") or line.startswith("@"):
            self._block = line + "\n"
            self.write(b"... ")
            return
        if line.strip():
            self._say(self._run(line, True))
        self.write(b">>> ")

    def _feed_raw(self, c):
        line = self._line
        if c == 1:
            if line == b"\x05A":
                self.write(b"R\x00")        # the faster way in is known, not offered
            else:
                self.write(_RAW)
            self._line = bytearray()
        elif c == 2:
            self._friendly()
        elif c == 3:
            self._line = bytearray()
        elif c == 4:
            self._line = bytearray()
            self.write(b"OK")
            if not line:
                self._reset()
                self.write(_RAW)
                return
            error = self._run(_text(line), False)
            self.write(b"\x04")
            self._say(error)
            self.write(b"\x04>")
        else:
            line.append(c)

    def _run(self, source, show):
        """Run a program; what is to be said of its end: a traceback, or nothing."""
        try:
            if show:
                try:
                    code = compile(source, "<stdin>", "eval")
                except SyntaxError:
                    exec(compile(source, "<stdin>", "exec"), self._names)
                else:
                    value = eval(code, self._names)
                    if value is not None:
                        self._say(repr(value) + "\n")
            else:
                exec(compile(source, "<stdin>", "exec"), self._names)
        except (Exception, KeyboardInterrupt, SystemExit) as e:
            return _traceback(e)
        return ""


def _text(line):
    """Bytes as text; where they are no UTF-8, "?" stands for each that is not ASCII."""
    try:
        return line.decode()
    except ValueError:
        return "".join([chr(c) if c < 128 else "?" for c in line])


def _traceback(error):
    if hasattr(sys, "print_exception"):
        out = io.StringIO()
        sys.print_exception(error, out)
        return out.getvalue()
    import traceback

    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
