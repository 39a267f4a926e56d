"""A virtual board as a serial device: `device.path` is what a terminal or mpremote opens.

    device.py FLASH [--link PATH] [--runtime micropython] [--chip w5500]

Behind the path is a pty, whose other end a thread joins to the board's own.  When the board resets
it is started again, as the power or Ctrl-D does on a board: after a soft reset in raw mode only
boot.py runs, as MicroPython has it.  As a program it puts the board behind a gateway of its own
and runs until Ctrl-C.
"""
import argparse
import contextlib
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import tty

if __name__ == "__main__":
    _ROOT = pathlib.Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT / "lib"), str(_ROOT / "tools")]

from board import launch  # noqa: E402
from board.line import Line  # noqa: E402

_FAST_S = 1             # who ends sooner than this is not started again at once


class Device(launch.Board):
    """A `launch.Board` with a serial line.  `link_path`, if given, becomes a link to `path`; `env`
    has variables of the environment for it alone."""

    def __init__(self, flash, link, runtime="micropython", on_line=None, chip="w5500",
                 link_path=None, env=None):
        super().__init__(flash, link, runtime, on_line, None, chip)
        self.env = env or {}
        self.line = Line(self.on_line, link_path)
        self.path = self.line.path
        self.raw = False
        self.running = False
        self.starts = 0

    def start(self):
        """Switch it on; it stays on until `stop`."""
        self.running = True
        self.power_on("main.py")
        self.reader = threading.Thread(target=self.relay, daemon=True)
        self.reader.start()

    def power_on(self, program):
        self.starts += 1
        self.began = time.monotonic()
        self.port, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen(
            [*self.interpreter, str(launch.REPO / "tools/board/boot.py"),
             str(self.flash), *map(str, self.link), self.chip, program],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env=dict(os.environ, **self.env, TERM="xterm", MICROPYINSPECT="1"))
        os.close(slave)

    def cut(self):
        """Cut the power, and have it back at once."""
        self.raw = False
        self.process.kill()

    def relay(self):
        """Carry bytes both ways, start the board again when it ends."""
        while self.running:
            with contextlib.suppress(OSError, ValueError):
                ready, _, _ = select.select([self.line, self.port], [], [], 0.2)
                if self.line in ready:
                    self.to_board(self.line.typed())
                if self.port in ready and not self.from_board():
                    self.again()

    def to_board(self, data):
        for mode, byte in ((True, b"\x01"), (False, b"\x02")):
            if byte in data:
                self.raw = mode
        os.write(self.port, data)

    def from_board(self):
        """Hand on what the board says, lines ended as a board's; whether it is still there."""
        try:
            data = os.read(self.port, 4096)
        except OSError:
            data = b""
        if not data:
            return False
        self.line.say(re.sub(rb"(?<!\r)\n", b"\r\n", data))
        return True

    def again(self):
        """The board has reset."""
        self.process.wait()
        os.close(self.port)
        if not self.running:
            return
        if time.monotonic() - self.began < _FAST_S:
            time.sleep(0.3)
        if self.process.returncode == 0:
            self.line.say(b"\r\nMPY: soft reboot\r\n")
        self.power_on("-" if self.raw else "main.py")
        if self.raw:
            os.write(self.port, b"\x01")

    def stop(self, wait_s=3):
        """Switch it off."""
        if not self.running:
            return None
        self.running = False
        self.process.kill()
        status = self.process.wait()
        self.reader.join(wait_s)
        self.line.close()
        with contextlib.suppress(OSError):
            os.close(self.port)
        return status


def main():
    parser = argparse.ArgumentParser(description="A virtual board with a serial line.")
    parser.add_argument("flash", help="a directory, made if missing")
    parser.add_argument("--link", metavar="PATH", help="a name for the serial device")
    parser.add_argument("--runtime", default="micropython", choices=("micropython", "cpython"))
    parser.add_argument("--chip", default="w5500", choices=("w5500", "enc28j60"))
    options = parser.parse_args()
    launch.make_flash(options.flash)
    device = Device(options.flash, launch.behind_gateway(), options.runtime, chip=options.chip,
                    link_path=options.link)
    device.start()
    print(device.path, flush=True)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))      # end the board too
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
    device.stop()


if __name__ == "__main__":
    main()
