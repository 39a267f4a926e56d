"""For tests: a person at a terminal that is connected to a virtual board's serial line."""
import json
import re
import time

import pytest

from boards import Lab, need_runtime

pexpect = pytest.importorskip("pexpect")
fdpexpect = pytest.importorskip("pexpect.fdpexpect")
serial = pytest.importorskip("serial")

PROMPT = "spinet> "
_SEQUENCE = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What is typed and what is seen, in a `with`."""

    def __init__(self, path, timeout=15):
        self.serial = serial.Serial(path, 115200, timeout=0)
        self.child = fdpexpect.fdspawn(self.serial.fileno(), timeout=timeout, encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.serial.close()

    def key(self, keys):
        """Press keys."""
        self.child.send(keys)

    def see(self, text, timeout=-1):
        """Wait until `text` is seen; what came before."""
        try:
            self.child.expect_exact(text, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF):
            pytest.fail("%r is not seen, but %r" % (text, self.child.before))
        return self.child.before

    def ready(self):
        """A prompt, whatever was before."""
        self.key("\x15\r")
        self.see(PROMPT)
        self.settle()

    def settle(self, seconds=0.3):
        """Read until nothing comes any more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.child.read_nonblocking(4096, 0.05)
                end = time.monotonic() + seconds
            except pexpect.TIMEOUT:
                pass
        self.child.buffer = ""

    def do(self, command, timeout=-1):
        """Type a command; the lines that answer it."""
        self.key(command + "\r")
        self.see(command + "\r\n")
        answer = self.see(PROMPT, timeout)
        return [line for line in _SEQUENCE.sub("", answer).split("\r\n") if line]

    def ask(self, command, timeout=30):
        """In the mode for programs: (records, the last line) that answer a command."""
        self.key(command + "\r")
        records = []
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            line = self.see("\r\n", timeout)
            if not line.startswith("{"):
                continue
            record = json.loads(line)
            if "ok" in record:
                return records, record
            records.append(record)
        raise AssertionError("no end of the answer to %r" % command)


class Desk(Lab):
    """A virtual board with a `terminal`, in a `with`."""

    def __init__(self, flash, runtime="micropython", settings=None, **options):
        need_runtime(runtime)
        settings = dict({"address": "dhcp", "gateway": ""}, **settings or {})
        super().__init__(flash, runtime, settings, serial=True, **options)

    def __enter__(self):
        super().__enter__()
        self.terminal = Terminal(self.board.path)
        return self

    def __exit__(self, *_):
        self.terminal.serial.close()
        super().__exit__()

    def wait_address(self):
        """Until it has an address and a prompt."""
        self.wait_line("at 10.0.2.15/24")
        self.terminal.ready()
