"""A board at the other end of a serial line: asking its console, and its MicroPython prompt."""
import errno
import json
import re
import sys
import time

import serial
from serial.tools import list_ports

# USB vendors of boards, and of the serial adapters on them.
VENDORS = {
    0x2E8A: "Raspberry Pi", 0xF055: "MicroPython", 0x239A: "Adafruit", 0x303A: "Espressif",
    0x10C4: "CP210x adapter", 0x1A86: "CH340 adapter", 0x0403: "FTDI adapter",
    0x0483: "STMicroelectronics", 0x2341: "Arduino",
}


class NoBoard(Exception):
    """There is no board, or it does not answer: why, in words."""


class Refused(Exception):
    """The board refuses a command; the argument is what it says."""


def ports():
    """Serial ports that a board may be on, as dicts; likely boards first."""
    found = []
    for port in list_ports.comports():
        if port.vid is None:
            continue
        found.append({
            "port": port.device, "about": port.description or "",
            "maker": VENDORS.get(port.vid, ""), "serial": port.serial_number or "",
            "id": "%04x:%04x" % (port.vid, port.pid), "likely": port.vid in VENDORS})
    return sorted(found, key=lambda p: (not p["likely"], natural(p["port"])))


def natural(name):
    """A key by which COM3 comes before COM12."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def choose(port):
    """The port to use: the one given, or the only one that a board is likely on.

    `port` may be a name, or a serial number or VID:PID as `spinet ports` shows them.
    """
    if port:
        same = [found["port"] for found in ports()
                if port.lower() in (found["serial"].lower(), found["id"])]
        if len(same) > 1:
            raise NoBoard("several boards are %s (%s): give a port's name or a serial number" % (
                port, ", ".join(same)))
        if not same and re.fullmatch("[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", port):
            raise NoBoard("no board is %s. %s" % (port, here()))
        return same[0] if same else port
    likely = [found["port"] for found in ports() if found["likely"]]
    if len(likely) == 1:
        return likely[0]
    if likely:
        raise NoBoard("several boards are here (%s): choose one with --port" % ", ".join(likely))
    raise NoBoard("no board is found on USB. Is the cable one for data, not for charging only? "
                  "A port may be named with --port")


def here():
    """What is plugged in, in words."""
    names = [found["port"] for found in ports()]
    return "Here are " + ", ".join(names) if names else (
        "No serial port is on USB here: is the cable one for data, not for charging only?")


def open_line(port, timeout_s):
    """The serial line `port`, for this program alone.  NoBoard, in words, if that cannot be."""
    try:
        return serial.serial_for_url(port, 115200, timeout=timeout_s, exclusive=True)
    except (OSError, ValueError) as error:
        raise NoBoard("%s cannot be opened: %s" % (port, why(error))) from None


def why(error, system=sys.platform):
    """What an error that pyserial raised means, and what to do."""
    # On Windows the number is in the text only.
    said = re.search(r"(?:Errno |Error\()(\d+)", str(error))
    number = getattr(error, "errno", None) or (int(said[1]) if said else 0)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "there is no such port. " + here()
    busy = "another program uses it: a terminal, mpremote, an IDE. Close that first"
    if number in (errno.EBUSY, errno.EAGAIN) or (
            system == "win32" and number in (errno.EACCES, 31)):
        return busy
    if number in (errno.EACCES, errno.EPERM):
        return "you may not use it" + (
            ": `sudo usermod -aG dialout $USER`, then log in again (the group may be called uucp)"
            if system.startswith("linux") else "")
    return str(error)


class Board:
    """The console of a board, in its mode for programs; in a `with`.

    Takes a board in whatever state it is in: at the console, asking for the password, or at the
    MicroPython prompt.
    """

    def __init__(self, port, password=None, timeout=30):
        self.port = port
        self.password = password
        self.timeout = timeout
        self.serial = open_line(port, 0.1)

    def __enter__(self):
        try:
            self.enter()
        except BaseException:
            self.serial.close()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is KeyboardInterrupt:
                self.interrupt()
            self.serial.write(b"\x15json off\r")
            self.serial.flush()
            self.read_until((b"spinet> ",), 1)
        except OSError:
            pass
        self.serial.close()

    def read_until(self, marks, seconds):
        """What comes until one of `marks` ends it, or so long."""
        return read_until(self.serial, seconds, lambda data: data.endswith(marks))

    def enter(self):
        """Get to the console, and into its mode for programs."""
        for attempt in range(4):
            self.serial.write(b"\x15\r")
            seen = self.read_until((b"spinet> ", b"password: ", b">>> "), 2 + attempt)
            if seen.endswith(b">>> "):
                self.serial.write(b"\x02\rconsole()\r")
                seen = self.read_until((b"spinet> ", b"password: "), 5)
                if b"NameError" in seen:
                    raise NoBoard("MicroPython runs on %s, but not spinet's console: "
                                  "`spinet install` puts it there" % self.port)
            if seen.endswith(b"password: "):
                self.unlock()
            self.serial.write(b"\x15json on\r")
            if self.read_until((b'{"ok": true}\r\n',), 2).endswith(b'{"ok": true}\r\n'):
                return
        raise NoBoard("nothing on %s answers as spinet's console does; press the board's reset "
                      "button, or try `spinet install`" % self.port)

    def unlock(self):
        if self.password is None:
            raise NoBoard("the console of %s asks for its password: --password" % self.port)
        self.serial.write(self.password.encode() + b"\r")
        if not self.read_until((b"spinet> ", b"password: "), 5).endswith(b"spinet> "):
            raise NoBoard("the console of %s refuses the password" % self.port)

    def stream(self, command, timeout=None):
        """The records of an answer, as they come.  Refused if the last line says so."""
        self.serial.write(command.encode() + b"\r")
        line = b""
        end = time.monotonic() + (timeout or self.timeout)
        while time.monotonic() < end:
            line += self.serial.readline()
            if not line.endswith(b"\n"):
                continue
            text, line = line.strip(), b""
            if not text.startswith(b"{"):
                continue
            try:
                record = json.loads(text)
            except ValueError:
                continue
            if "ok" not in record:
                end = time.monotonic() + (timeout or self.timeout)
                yield record
            elif record["ok"]:
                return
            else:
                raise Refused(record["error"])
        raise NoBoard("%s does not answer `%s`" % (self.port, command))

    def ask(self, command, timeout=None):
        """All records of an answer."""
        return list(self.stream(command, timeout))

    def interrupt(self):
        """End the command that runs."""
        self.serial.write(b"\x03")


class Prompt:
    """The MicroPython prompt of a board, by mpremote; in a `with`.  The board's program is ended,
    after the `with` it is started anew."""

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        from mpremote.transport import TransportError
        from mpremote.transport_serial import SerialTransport

        self.interrupt()
        try:
            self.transport = SerialTransport(self.port, timeout=0.5)  # or this hangs with the board
            self.transport.enter_raw_repl(soft_reset=True)
        except (TransportError, OSError) as error:
            raise NoBoard("no MicroPython prompt on %s (%s)" % (self.port, error)) from None
        return self.transport

    def interrupt(self):
        """End what runs.  A board that has just started takes the first Ctrl-C for safe mode."""
        with open_line(self.port, 0.1) as line:
            for _ in range(3):
                line.write(b"\r\x02\x03")
                seen = read_until(line, 1.5, lambda data: data.endswith((b">>> ", b"password: ")))
                if seen.endswith(b"password: "):
                    raise NoBoard(
                        "the console of %s asks for its password, and keeps the MicroPython prompt "
                        "until then: press reset and Ctrl-C within half a second" % self.port)
                if seen.endswith(b">>> "):
                    return

    def __exit__(self, *_):
        line = self.transport.serial
        try:
            self.transport.exit_raw_repl()
            line.write(b"\x04")
            # Until it runs: who comes at once would disturb it.
            read_until(line, 5, lambda data: b"reboot" in data and data.rpartition(
                b"reboot")[2].rstrip().endswith((b"spinet>", b"password:", b">>>")))
        except OSError:
            pass
        self.transport.close()


def read_until(line, seconds, enough):
    """What comes from a serial line until `enough(data)`, or so long."""
    data = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not enough(data):
        data += line.read(line.in_waiting or 1)
    return data
