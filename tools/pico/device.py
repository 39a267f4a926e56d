"""An emulated Pico as a serial device: as board/device.py's `Device`, but with real firmware.

    device.py [--chip enc28j60] [--console usb] [--image FILE] [--link PATH] [--flash FILE]

`device.path` is what a terminal or mpremote opens, the Pico's UART 0 or its USB.  The chip's cable
is UDP datagrams between two ports, as that of a virtual board.  The Pico's time follows the clock;
where the machine is too slow for that, its time falls behind and stays behind.
"""
import argparse
import contextlib
import pathlib
import queue
import select
import signal
import sys
import threading
import time

if __name__ == "__main__":
    _ROOT = pathlib.Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT / "lib"), str(_ROOT / "tools")]

import image  # noqa: E402
from board.line import Line  # noqa: E402
from pico.emulator import BUILD, UART, USB, Fault, Pico  # noqa: E402
from spinet.ports.datagram import Datagram  # noqa: E402

# Where the prompt may be: the serial line, and the image that has it there.
CONSOLES = {"uart": (UART, BUILD / "firmware/pico-uart/firmware.bin"),
            "usb": (USB, BUILD / "firmware/pico/firmware.bin")}
IMAGE = CONSOLES["uart"][1]
_SLICE_NS = 4000000         # so long the core runs before anybody else has a turn
_BEHIND_NS = 50000000       # further behind than that it does not catch up


def firmware(console="uart", say=print):
    """The image with its prompt there, built if there is none or spinet has changed since."""
    made = CONSOLES[console][1]
    files = [path for folder in ("lib", "ports", "firmware")
             for path in (BUILD.parent / folder).rglob("*.*")]
    files += [BUILD.parent / "tools" / name
              for name in ("image.py", "frozen.py", "mpy.py", "rom.py")]
    newest = max(path.stat().st_mtime for path in files)
    if not made.exists() or made.stat().st_mtime < newest:
        image.build(made.parent.name, say=say)
    return made


class Device:
    """A Pico with a serial line; its cable leads to `link`: a port, or two UDP ports (its own, the
    other's)."""

    def __init__(self, link, chip="w5500", image=None, flash=None, on_line=None, link_path=None,
                 settings=None, console="uart"):
        self.console = CONSOLES[console][0]
        self.image = image or firmware(console)
        self.chip = chip
        self.flash_file = flash and pathlib.Path(flash)
        self.settings = settings
        self.wire = link if hasattr(link, "recv") else Datagram(
            local=("127.0.0.1", link[0]), remote=("127.0.0.1", link[1]))
        self.wishes = queue.SimpleQueue()
        self.line = Line(on_line or (lambda text: None), link_path)
        self.path = self.line.path
        self.running = False
        self.failed = None
        self.pico = None
        self.thread = None

    def start(self):
        """Switch it on; it stays on until `stop`."""
        flash = None
        if self.flash_file and self.flash_file.exists():
            flash = self.flash_file.read_bytes()
        self.pico = Pico(self.image, self.chip, self.wire, flash=flash, console=self.console)
        if self.settings is not None and flash is None:
            configure(self.pico, self.settings)
        self.pico.on_output = self.line.say
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def wish(self, function):
        """Have `function(pico)` called between two slices, by the thread that runs the Pico."""
        self.wishes.put(function)

    def alive(self):
        return self.thread is not None and self.thread.is_alive()

    def run(self):
        """The Pico's time and the clock's, side by side."""
        pico = self.pico
        start = time.monotonic_ns() - pico.nanos
        try:
            while self.running:
                now = time.monotonic_ns() - start
                if now - pico.nanos > _BEHIND_NS:
                    start += now - pico.nanos - _BEHIND_NS
                ahead = pico.nanos - now
                ready, _, _ = select.select([self.line, self.wire], [], [], max(0, ahead) / 1e9)
                while not self.wishes.empty():
                    self.wishes.get()(pico)
                if self.line in ready:
                    pico.write(self.line.typed())
                if pico.nanos <= time.monotonic_ns() - start:
                    pico.run_to(pico.nanos + _SLICE_NS)
        except (Fault, OSError, ValueError) as error:
            if self.running:
                self.failed = error
                self.line.on_line("the Pico stopped: %s" % error)

    def stop(self, wait_s=3):
        """Switch it off; what its flash holds is kept, if there is a file for it."""
        if not self.running:
            return self.failed
        self.running = False
        self.thread.join(wait_s)
        if self.flash_file and self.failed is None:
            self.flash_file.parent.mkdir(parents=True, exist_ok=True)
            self.flash_file.write_bytes(self.pico.flash())
        self.pico.close()
        self.wire.close()
        self.line.close()
        return self.failed


def configure(pico, settings):
    """Write netcfg.json on a Pico that was just switched on, and switch it on again."""
    chip = pico.chip
    strict, chip.strict = chip.strict, False    # it may be another chip than the defaults say
    pico.expect(b"spinet> ")
    pico.exec("import json\nwith open('netcfg.json', 'w') as f: f.write(json.dumps(%r))" % settings)
    pico.reset()
    chip.strict = strict


def main():
    from board import launch

    parser = argparse.ArgumentParser(description="An emulated Pico with a serial line.")
    parser.add_argument("--link", metavar="PATH", help="a name for the serial device")
    parser.add_argument("--chip", default="w5500", choices=("w5500", "enc28j60"))
    parser.add_argument("--console", default="uart", choices=CONSOLES, help="where the prompt is")
    parser.add_argument("--image", help="the firmware (default: built)")
    parser.add_argument("--flash", help="file that keeps what is in its flash")
    parser.add_argument("--build", action="store_true", help="only see that there is firmware")
    options = parser.parse_args()
    if options.build:
        try:
            print("firmware for the emulated Pico: %s" % firmware(options.console))
        except image.Failed as error:
            sys.exit("spinet: no firmware for the emulated Pico: %s" % error)
        return
    device = Device(launch.behind_gateway(), options.chip, options.image, options.flash,
                    link_path=options.link, settings={"chip": options.chip},
                    console=options.console)
    device.start()
    print(device.path, flush=True)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with contextlib.suppress(KeyboardInterrupt):
        while device.alive():
            time.sleep(0.5)
    failed = device.stop()
    if failed:
        sys.exit("spinet: %s" % failed)


if __name__ == "__main__":
    main()
