"""An emulated Raspberry Pi Pico, real firmware on it, with a modelled chip on its SPI bus.

    with Pico("firmware.bin", chip="w5500", wire=cable) as pico:
        pico.run(500)                                   # ms of the Pico's time
        print(pico.exec("import sys; print(sys.platform)"))

The core runs in a node process (main.mjs); whatever it does on its SPI pins, it asks here, where
the model of the chip is the one that all other tests use.  The Pico's time, made of its cycles, is
the model's: nothing here looks at a clock, so the same input at the same moments gives the same
cycles.  `peers` are called as time passes: see `Pico`.

Messages, one letter and then doubles (little endian), to the emulator:

    R limit             run until then; with what `_status` says
    L offset, count     (32 bits) and bytes: into the flash, and power on
    U line, count       (8 and 16 bits) and bytes: serial input; 0 and 1 are UARTs, 2 is USB
    P pin, level        (8 bits) an input pin
    X, F, S             reset by the RUN pin; send the flash; send the samples so far (`profile`)

and from it:

    x d t r p    time, Hz of the SPI clock, bytes wanted (r: level), bytes sent, and these: the chip
                 is asked for bytes, deselected, its time has come, its reset pin moved, power came
    o            line, bytes, and these: serial output
    f            the text of a fault
    e            why it stopped (0 time, 1 reset, 2 fault), time, cycles, cycles asleep
    F            what F or S asked for
"""
import json
import pathlib
import struct
import subprocess

from chips.bus import ResetPin, Time
from chips.rig import CHIPS, load
from spinet.prim import ticks_add

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
NODE = BUILD / "node/bin/node"
ROM = BUILD / "pico/bootrom.bin"

PINS = {"bus": 0, "cs": 17, "reset": 20, "int": 21}     # as firmware/boards/pico-*.json have them
UART, USB = 0, 2            # serial lines
_NEVER = float("inf")
_REASONS = ("time", "reset", "fault")


class Fault(Exception):
    """The core met what would stop a Cortex-M0+ for good; the argument says what and where."""


def _w5500_writes(head):
    return head[2] & 4


def _enc28j60_writes(head):
    return head[0] >> 5 not in (0, 1)       # all but RCR and RBM


# chip: bytes that say what it is to do, whether what follows them goes to it
_HEADS = {"w5500": (3, _w5500_writes), "enc28j60": (1, _enc28j60_writes)}


class Pico:
    """One Pico, switched on.

    image       the firmware, .bin or .uf2
    chip        "w5500" or "enc28j60"; None for nothing on the bus
    wire        a port, where the chip's cable leads
    peers       what goes on beside it: objects with `due()`, nanoseconds of the Pico's time at
                which `work()` wants to be called next, or None
    flash       2 MiB that were there before, or None
    console     the serial line of the prompt: `UART` (0), or `USB` where the image has it there
    on_output   called with the bytes of that line; else they are in `output`
    strict      a write to flash is a `Fault`, as on an RP2350, which an RP2040 ignores
    time        the `chips.bus.Time` of the model; `nanos`, `cycles`, `asleep` are those of the
                core, since the first power-on
    """

    def __init__(self, image, chip="w5500", wire=None, peers=(), flash=None, on_output=None,
                 seed=1, baud=921600, time=None, model=None, console=UART,
                 strict=False):
        self.time = time or Time(0)
        self._epoch = self.time.ms
        self.chip = None
        head = 1
        if chip is not None:
            self.chip = load(CHIPS[chip].model)(wire, self.time, **(model or {}))
            self.time.chips.append(self.chip)
            self._reset_pin = ResetPin(self.chip)
            head, self._writes = _HEADS[chip]
        self.head = head
        self.peers = list(peers)
        self.on_output = on_output
        self.console = console
        self.output = bytearray()       # what nobody has taken yet
        self.nanos = self.cycles = self.asleep = 0
        self.resets = 0
        self._selected = False
        settings = dict(PINS, head=head, seed=seed, baud=baud, strict=strict)
        self.process = subprocess.Popen(
            [str(NODE), str(HERE / "main.mjs"), str(ROM), json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._to, self._from = self.process.stdin, self.process.stdout
        image_bytes = flash_image(pathlib.Path(image).read_bytes())
        whole = bytearray(flash) if flash else bytearray(b"\xff") * len(image_bytes)
        whole[0:len(image_bytes)] = image_bytes
        self._tell(b"L" + struct.pack("<II", 0, len(whole)) + whole)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Switch it off."""
        self._to.close()
        self.process.kill()
        self.process.wait()
        self._from.close()

    # --- what a person does with it

    def run(self, ms):
        """Let `ms` of its time pass; "reset" if that ended it, else None.  Raises `Fault`."""
        limit = self.nanos + int(ms * 1000000)
        while self.nanos < limit:
            if self.run_to(limit) == "reset":
                return "reset"
        return None

    def run_to(self, limit):
        """Run until the moment `limit` (ns), or a reset; why it stopped."""
        self._work()
        self._tell(b"R" + struct.pack("<d", limit) + self._status())
        while True:
            reason = self._event()
            if reason is not None:
                break
        self._pass(self.nanos)
        if reason == "fault":
            raise Fault(self.fault_text)
        self.resets += reason == "reset"
        return reason

    def until(self, condition, ms=10000, step_ms=1):
        """Run until `condition()` holds; TimeoutError after `ms` of its time without it."""
        end = self.nanos + ms * 1000000
        while not condition():
            if self.nanos >= end:
                raise TimeoutError("not so after %d ms; the Pico says %r" % (
                    ms, self.output[-300:]))
            self.run(step_ms)

    def write(self, data):
        """Serial input."""
        for i in range(0, len(data), 60000):
            piece = data[i:i + 60000]
            self._tell(b"U" + struct.pack("<BH", self.console, len(piece)) + piece)

    def pin(self, number, level):
        """Set an input pin; it stays so."""
        self._tell(b"P" + bytes([number, level]))

    def reset(self):
        """The RUN pin: everything but the flash begins anew."""
        self._tell(b"X")
        while self._event() is None:
            pass
        self.resets += 1

    def flash(self):
        """What is in its flash, 2 MiB."""
        self._tell(b"F")
        return self._event()

    def profile(self):
        """{address: samples} of the program counter since the last call; the first begins it."""
        self._tell(b"S")
        return dict(json.loads(self._event()))

    def expect(self, text, ms=10000):
        """Run until it has said `text` (bytes); what came before that, and the text is taken."""
        self.until(lambda: text in self.output, ms)
        before, _, after = bytes(self.output).partition(text)
        self.output[:] = after
        return before

    def exec(self, source, ms=10000):
        """Run `source` through the raw REPL; what it printed.  RuntimeError with its traceback."""
        self.write(b"\r\x03\x01")
        self.expect(b"raw REPL; CTRL-B to exit\r\n>", ms)
        self.write(source.encode() + b"\x04")
        self.expect(b"OK", ms)
        said = self.expect(b"\x04", ms).decode()
        error = self.expect(b"\x04>", ms).decode()
        self.write(b"\x02")
        self.expect(b">>> ", ms)
        if error:
            raise RuntimeError(error)
        return said.replace("\r\n", "\n")

    # --- the other process

    def _tell(self, data):
        self._to.write(data)
        self._to.flush()

    def _numbers(self, count):
        return struct.unpack("<%dd" % count, self._read(8 * count))

    def _read(self, count):
        data = self._from.read(count)
        if len(data) != count:
            raise Fault("the emulator ended")
        return data

    def _event(self):
        """Take one message; None, or what it said if it ends a command."""
        kind = self._read(1)
        if kind in b"xdtrp":
            nanos, hertz, wanted, count = self._numbers(4)
            self._ask(kind, int(nanos), int(hertz), int(wanted), self._read(int(count)))
            return None
        if kind == b"o":
            line, count = self._numbers(2)
            data = self._read(int(count))
            if line == self.console:
                if self.on_output:
                    self.on_output(data)
                else:
                    self.output += data
            return None
        if kind == b"f":
            self.fault_text = self._read(int(self._numbers(1)[0])).decode()
            return None
        if kind == b"F":
            return self._read(int(self._numbers(1)[0]))
        reason, nanos, self.cycles, self.asleep = self._numbers(4)
        self.nanos = int(nanos)
        return _REASONS[int(reason)]

    # --- the chip

    def _pass(self, nanos):
        self.nanos = nanos
        self.time.ms = ticks_add(self._epoch, nanos // 1000000)
        self.time.ns = nanos % 1000000

    def _ask(self, kind, nanos, hertz, wanted, sent):
        self._pass(nanos)
        chip = self.chip
        answer = None
        if chip is not None:
            if kind == b"x":
                if not self._selected:
                    self._selected = True
                    chip.select()
                answer = self._exchange(sent, wanted, hertz)
            elif kind == b"d":
                if not self._selected:
                    chip.select()
                if sent:
                    chip.transfer(sent, None, len(sent), 0, hertz)
                chip.deselect()
                self._selected = False
            elif kind == b"r":
                self._reset_pin(wanted)
            elif kind == b"t":
                chip.service()
        self._work()
        self._tell(self._status(answer))

    def _exchange(self, sent, wanted, hertz):
        """The head came, or more is to be read: the bytes, or None for a chip that is written."""
        chip = self.chip
        if sent:
            chip.transfer(sent, None, len(sent), 0, hertz)
            if self._writes(sent):
                return None
        data = bytearray(wanted)
        chip.transfer(None, data, wanted, 0, hertz)
        return data

    def _work(self):
        for peer in self.peers:
            due = peer.due()
            if due is not None and due <= self.nanos:
                peer.work()
                if self.chip is not None:
                    self.chip.service()

    def _status(self, data=b""):
        """The level of the interrupt line, when to ask next, and `data`; None: it is written."""
        level = 1 if self.chip is None else self.chip.int_level()
        ahead = self.time.next_ns()
        due = _NEVER if ahead is None else self.nanos + ahead
        for peer in self.peers:
            at = peer.due()
            if at is not None and at < due:
                due = max(at, self.nanos + 1000)
        count = -1 if data is None else len(data)
        return struct.pack("<Bdd", level, due, count) + (data or b"")


def flash_image(data):
    """What a .bin or .uf2 file puts at the beginning of the flash."""
    if data[0:4] != b"UF2\n":
        return data
    flash = bytearray()
    for at in range(0, len(data), 512):
        _, _, flags, address, size = struct.unpack_from("<5I", data, at)
        if not flags & 1:
            offset = address - 0x10000000
            flash += bytes(max(0, offset + size - len(flash)))
            flash[offset:offset + size] = data[at + 32:at + 32 + size]
    return bytes(flash)
