"""The console: a line is typed, a command does it.  Beside the network, which never waits for it.

What a command says is put out by `put`, as text for a person or, after `json on`, as a line of
JSON for a program.  Then the last line of every command's answer is {"ok": true}, or
{"ok": false, "error": ...}, perhaps with "column", where in the line the fault is; and there is
neither prompt nor echo.

A command is a function of the console and the words that were typed.  If it is a generator it
goes on in later turns: it yields the ms to wait until the next.  Ctrl-C ends it.
"""
import json

from app import config, log
from app.editor import CANCEL, Editor
from spinet.prim import ticks_add, ticks_diff

PROMPT = "spinet> "
_TRIES = 3              # of the password, then
_PAUSE_MS = 5000        # nothing is read for so long
_AHEAD = 512            # bytes typed while a command runs, that are kept
_REST_MS = 20           # between looks at a stream that cannot be waited for


class Wrong(Exception):
    """A command cannot be carried out: why, and which word (0 the command) and which character of
    it is at fault, None if none is."""

    def __init__(self, text, word=None, offset=0):
        super().__init__(text)
        self.text = text
        self.word = word
        self.offset = offset


class Console:
    """A console on `stream` for `board`."""

    def __init__(self, board, stream):
        self.board = board
        self.stream = stream
        self.json = False
        self.changed = False        # settings differ from what is saved
        self.follow = True          # log lines are shown as they come
        self.locked = bool(board.settings["password"]) and board.network    # not in safe mode
        self.words = []
        self._places = []           # columns of the words
        self._job = None
        self._job_at = 0
        self._tries = 0
        self._pause_until = None
        self._ahead = b""
        self._closed = False
        self._shown = False         # a prompt is on the screen
        self.editor = Editor(self.write, self._complete)

    # -- the stream -----------------------------------------------------------

    def write(self, text):
        """Write text as it is; a line that nobody holds the other end of loses it."""
        if text:
            try:
                self.stream.write(text.encode())
            except OSError:
                pass

    def put(self, shown, **record):
        """A part of an answer: text, its last line without an end; or the record, as JSON."""
        if self.json:
            self.write(json.dumps(record) + "\r\n")
        else:
            self.write(shown.replace("\n", "\r\n") + "\r\n")

    def log(self, text):
        """Show a line that the board has to say, above the line that is being typed."""
        if self._closed or self.json:
            if self._closed:
                print(text)
            return
        if self.follow and not self.locked:
            if self._shown:
                self.editor.hide()
            self.write(text + "\r\n")
            if self._shown:
                self.editor.redraw()

    def wakes(self, on):
        """Whether input ends a sleep of the board's loop."""
        pollable = self.stream.pollable
        if self.board.nic is not None and pollable is not None:
            also = self.board.nic.stack.wait.also
            if on and pollable not in also:
                also.append(pollable)
            elif not on and pollable in also:
                also.remove(pollable)

    # -- a turn of the board's loop --------------------------------------------

    def step(self, now):
        """Read what was typed, go on with what runs; how many ms may pass before the next."""
        if self._closed:
            return 1000
        if self._pause_until is not None:
            if ticks_diff(now, self._pause_until) < 0:
                return _REST_MS
            self._pause_until = None
        if not self._shown and self._job is None:
            self._prompt()
        data = self.stream.read()
        if data is None:
            self._close()
            return 1000
        if self._job is not None:
            return self._work(data, now)
        data = self._ahead + data
        self._ahead = b""
        for i in range(len(data)):
            got = self.editor.feed(data[i])
            if got is None:
                continue
            self._shown = False
            if got == CANCEL:
                self._cancel()
            elif self.locked:
                self._unlock(got, now)
            else:
                self.run(got, now)
            if self._job is not None or self.board.leave or self._pause_until is not None:
                self._ahead = data[i + 1:][:_AHEAD]
                return 0
            self._prompt()
        # A stream that can be waited for ends the sleep itself.
        return 0 if data else 1000 if self.board.nic and self.stream.pollable else _REST_MS

    def _prompt(self):
        if self.locked:
            self.editor.show = "stars"
            self.editor.start("password: ")
        else:
            self.editor.show = "" if self.json else "line"
            self.editor.start(PROMPT)
        self._shown = True

    def _work(self, data, now):
        """A command is running; `data` was typed meanwhile."""
        if b"\x03" in data:
            self._ahead = b""
            self._job.close()
            self._end("interrupted")
            return 0
        self._ahead = (self._ahead + data)[:_AHEAD]
        wait = ticks_diff(self._job_at, now)
        if wait > 0:
            return min(wait, _REST_MS)
        try:
            wait = next(self._job)
        except StopIteration:
            self._end()
            return 0
        except Exception as error:
            self._fail(error)
            return 0
        self._job_at = ticks_add(now, wait or 0)
        return min(wait or 0, _REST_MS)

    def _cancel(self):
        """Ctrl-C without a command that runs: a line is dropped, an empty one leaves."""
        if self.editor.line:
            self.write("^C\r\n")
        elif not self.locked and self.stream.pollable is not None:
            self.leave()

    def leave(self):
        """Leave the console for the MicroPython prompt."""
        self.json = False
        self.board.leave = True

    def _close(self):
        """Nobody can ever type anything."""
        self._closed = True
        self.wakes(False)
        self.board.console = None
        log.printer = print

    # -- a line -----------------------------------------------------------------

    def run(self, line, now=0):
        """Carry out a line, or begin to."""
        from app import commands

        try:
            self._places = []
            self.words = []
            split(line, self._places, self.words)
            if not self.words:
                return
            answer = commands.find(self.words[0])[3](self, self.words)
            if answer is None:
                self._end()
            else:
                self._job = answer
                self._job_at = now
        except Exception as error:
            self._fail(error)

    def _end(self, error=None, **where):
        self._job = None
        self.finish(error, **where)

    def finish(self, error=None, **where):
        """The last line of an answer."""
        if self.json:
            self.write(json.dumps(dict(where, ok=False, error=error) if error else {"ok": True})
                       + "\r\n")
        elif error:
            self.write(error + "\r\n")

    def _fail(self, error):
        """A command has failed, whatever the reason: in words."""
        if isinstance(error, Wrong):
            text = error.text
            if error.word is not None and error.word < len(self._places):
                column = self._places[error.word] + error.offset
                if self.json:
                    self._end("%s: %s" % (self.words[0], text), column=column)
                    return
                self.write(" " * (len(PROMPT) + column) + "^\r\n")
        elif isinstance(error, OSError):
            text = why(error)
        elif isinstance(error, MemoryError):
            text = "not enough memory"
        else:
            text = str(error) if isinstance(error, ValueError) else repr(error)
        self._end("%s: %s" % (self.words[0] if self.words else "console", text))

    def _complete(self, line):
        from app import commands

        return commands.complete(self, line)

    # -- the password -------------------------------------------------------------

    def _unlock(self, line, now):
        if config.matches(line, self.board.settings["password"]):
            self.locked = False
            self._tries = 0
            self._end()
            return
        self._tries += 1
        self._end("wrong password")
        if self._tries >= _TRIES:
            self._tries = 0
            self._pause_until = ticks_add(now, _PAUSE_MS)


_ERRORS = {
    -2: "no such name, or no name server knows it", 12: "not enough memory",
    13: "this is a broadcast address", 19: "no network",
    28: "no space left on flash", 98: "something else has this port",
    99: "this host has no such address",
    101: "no route: without an address, or out of the network and without a gateway",
    103: "connection aborted", 104: "connection reset by the other end", 110: "no answer in time",
    111: "connection refused", 113: "the host does not answer on the network",
}


def why(error):
    """An OSError in words."""
    number = error.errno
    if not isinstance(number, int):
        return str(error)
    return _ERRORS.get(number) or str(error)


def split(line, places, words):
    """Append the words of a line, and their columns; a word with spaces stands in quotes."""
    at = 0
    n = len(line)
    while at < n:
        if line[at] == " ":
            at += 1
            continue
        places.append(at)
        if line[at] in "\"'":
            end = line.find(line[at], at + 1)
            if end < 0:
                words.append(line[at:])
                raise Wrong("the closing %s is missing" % line[at], len(words) - 1)
            words.append(line[at + 1:end])
            at = end + 1
        else:
            end = line.find(" ", at)
            end = n if end < 0 else end
            words.append(line[at:end])
            at = end
