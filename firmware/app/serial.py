"""Where a console reads and writes: standard input and output, or a UART.  Reading never waits."""
import os
import select
import sys
import time

from app import config, log

_CHUNK = 64
_STUCK_MS = 100


class Stdio:
    """USB or whatever else the MicroPython prompt is on.

    `pollable` is what a sleeping loop may also wait for.  Ctrl-C comes as a byte like others, as
    long as `open` holds.
    """

    def __init__(self):
        self._in = getattr(sys.stdin, "buffer", sys.stdin)
        self._out = getattr(sys.stdout, "buffer", None)
        self._poller = select.poll()
        self._poller.register(sys.stdin, select.POLLIN)
        self._one = getattr(os, "read", None)
        self.pollable = sys.stdin
        self.open(True)

    def open(self, on):
        """Take the input over from the prompt, or give it back."""
        try:
            from micropython import kbd_intr
        except ImportError:
            return
        kbd_intr(-1 if on else 3)

    def read(self):
        """What has come, at most 64 bytes; None if nothing ever will."""
        data = b""
        while len(data) < _CHUNK and self._poller.poll(0):
            if self._one is not None:
                more = self._one(0, _CHUNK)
                return more or data or None
            more = self._in.read(1)
            if not more:
                return data or None
            data += more if isinstance(more, bytes) else more.encode()
            if data[-1] == 3:
                break       # what follows Ctrl-C is perhaps for the prompt that it leads to
        return data

    def write(self, data):
        """Write bytes."""
        if self._out is None:
            sys.stdout.write(data.decode())
            return
        if self._one is not None:
            sys.stdout.flush()
        self._out.write(data)
        if hasattr(self._out, "flush"):
            self._out.flush()


class Uart:
    """A UART, as the settings of the console say."""

    pollable = None

    def __init__(self, settings):
        from machine import UART

        self._uart = UART(settings["uart"], baudrate=settings["baudrate"], rxbuf=256,
                          tx=config.pin("console.tx", settings["tx"]),
                          rx=config.pin("console.rx", settings["rx"]))

    def open(self, on):
        """There is no prompt here."""

    def read(self):
        """What has come."""
        return self._uart.read(_CHUNK) or b""

    def write(self, data):
        """Write bytes, at the pace of the line: a UART takes what its buffer has room for.

        This waits as long as the line takes; a UART that takes nothing at all loses the rest.
        """
        view = memoryview(data)
        at = stuck = 0
        while at < len(view) and stuck < _STUCK_MS:
            n = self._uart.write(view[at:])
            if n:
                at += n
                stuck = 0
            else:
                time.sleep(0.001)
                stuck += 1


def stream(settings):
    """The stream that the settings of the console ask for, or None.

    Where there is no such UART it is standard input and output: nobody is locked out.
    """
    if settings["on"] == "off":
        return None
    if settings["on"] == "uart":
        try:
            return Uart(settings)
        except Exception as error:
            log.say("console on UART %d: %s; it is on stdio" % (settings["uart"], error))
    return Stdio()
