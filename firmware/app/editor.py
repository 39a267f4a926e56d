"""A line that a person types: moving in it, history, completion.  Keys are a terminal's.

    Enter               the line is complete          Backspace, Delete   remove a character
    Left, Right         move (Ctrl-B, Ctrl-F)         Ctrl-U, Ctrl-K      to the start, to the end
    Home, End           (Ctrl-A, Ctrl-E)              Ctrl-W              the word before
    Up, Down            history (Ctrl-P, Ctrl-N)      Tab                 complete
    Ctrl-C              `CANCEL`                      Ctrl-L              an empty screen
"""
LONGEST = 200
HISTORY = 16
CANCEL = 3

# What follows ESC [ (or ESC O), as the control key that does the same.
_KEYS = {b"A": 16, b"B": 14, b"C": 6, b"D": 2, b"H": 1, b"F": 5,
         b"1~": 1, b"7~": 1, b"4~": 5, b"8~": 5, b"3~": 4}
_ENTER, _LF, _TAB, _ESC, _BACK, _DELETE = 13, 10, 9, 27, 8, 127


class Editor:
    """`feed` takes a byte at a time and gives a line when it is complete.

    `write(text)` shows something.  `complete(line)` gives what may stand in place of the last word
    of a line, as a list.  `show` is how a line is shown while it is typed: "line", "stars" or "".
    """

    def __init__(self, write, complete):
        self.write = write
        self.complete = complete
        self.show = "line"
        self.prompt = ""
        self.line = ""
        self.at = 0
        self.history = []
        self._recall = 0        # how far back in the history
        self._kept = ""         # what was typed before going back
        self._escape = None     # the bytes after ESC so far
        self._cr = False

    def start(self, prompt):
        """An empty line behind `prompt`."""
        self.prompt = prompt
        self.line = ""
        self.at = self._recall = 0
        if self.show:
            self.write(prompt)

    def redraw(self):
        """Show prompt and line again, where the cursor is."""
        if self.show:
            shown = self.line if self.show == "line" else "*" * len(self.line)
            self.write("\r" + self.prompt + shown + "\x1b[K")
            if self.at < len(self.line):
                self.write("\x1b[%dD" % (len(self.line) - self.at))

    def hide(self):
        """Take prompt and line off the screen, for something else in its place."""
        if self.show:
            self.write("\r\x1b[K")

    def feed(self, byte):
        """Take a byte: None, a complete line, or CANCEL."""
        if self._escape is not None:
            byte = self._sequence(byte)
            if byte is None:
                return None
        after_cr = self._cr
        self._cr = byte == _ENTER
        if byte == CANCEL:
            return CANCEL
        if byte == _ENTER or byte == _LF and not after_cr:
            if self.show:
                self.write("\r\n")
            return self._take()
        if byte == _ESC:
            self._escape = b""
        elif 32 <= byte < 127:
            self._insert(chr(byte))
        else:
            self._control(byte)
        return None

    def _sequence(self, byte):
        """A byte after ESC: None while there are more to come, or the control key it stands for."""
        if byte == CANCEL or byte == _ENTER:
            self._escape = None
            return byte
        self._escape += bytes((byte,))
        rest = self._escape[1:]
        if self._escape[:1] not in (b"[", b"O"):
            self._escape = None
        elif rest and (64 <= byte < 127 or len(rest) > 6):
            self._escape = None
            return _KEYS.get(rest)
        return None

    def _take(self):
        line = self.line
        self.line = ""
        self.at = self._recall = 0
        if self.show == "line" and line.strip() and (
                not self.history or self.history[-1] != line):
            while len(self.history) >= HISTORY:
                self.history.pop(0)
            self.history.append(line)
        return line

    def _insert(self, text):
        if len(self.line) + len(text) > LONGEST:
            self.write("\x07" if self.show else "")
            return
        self.line = self.line[:self.at] + text + self.line[self.at:]
        self.at += len(text)
        if self.at == len(self.line) and self.show:
            self.write(text if self.show == "line" else "*" * len(text))
        else:
            self.redraw()

    def _control(self, key):
        line = self.line
        at = self.at
        if key in (_BACK, _DELETE):
            self._cut(at - 1, at)
        elif key == 4:
            self._cut(at, at + 1)
        elif key == 21:
            self._cut(0, at)
        elif key == 11:
            self._cut(at, len(line))
        elif key == 23:
            self._cut(line[:at].rstrip().rfind(" ") + 1, at)
        elif key == 1:
            self._move(0)
        elif key == 5:
            self._move(len(line))
        elif key == 2:
            self._move(at - 1)
        elif key == 6:
            self._move(at + 1)
        elif key == 16:
            self._go_back(1)
        elif key == 14:
            self._go_back(-1)
        elif key == 12:
            self.write("\x1b[H\x1b[J")
            self.redraw()
        elif key == _TAB and self.show == "line":
            self._complete()

    def _cut(self, start, end):
        start = max(start, 0)
        end = min(end, len(self.line))
        if start < end:
            self.line = self.line[:start] + self.line[end:]
            self.at = start
            self.redraw()

    def _move(self, at):
        self.at = min(max(at, 0), len(self.line))
        self.redraw()

    def _go_back(self, by):
        back = self._recall + by
        if self.show != "line" or not 0 <= back <= len(self.history):
            return
        if not self._recall:
            self._kept = self.line
        self._recall = back
        self.line = self.history[-back] if back else self._kept
        self.at = len(self.line)
        self.redraw()

    def _complete(self):
        before = self.line[:self.at]
        word = before[before.rfind(" ") + 1:]
        found = [w for w in self.complete(before) if w.startswith(word)]
        if not found:
            self.write("\x07")
            return
        common = found[0]
        for other in found:
            while not other.startswith(common):
                common = common[:-1]
        if len(found) == 1:
            self._insert(common[len(word):] + " ")
        elif len(common) > len(word):
            self._insert(common[len(word):])
        else:
            self.write("\r\n" + "  ".join(found) + "\r\n")
            self.redraw()
