"""A virtual board on this machine: start it, show it, stop it cleanly.

`make run` runs this.  Settings come from options or from the environment:
PORT (of the page; default 8080 or the next free one), RUNTIME (micropython,
cpython, or pico: real firmware in an emulator), CHIP (w5500 or enc28j60), TAP
(the name of a TAP device to put the board on, as root, instead of the gateway).
"""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

REPO = pathlib.Path(__file__).resolve().parents[1]
for entry in (str(REPO / "lib"), str(REPO / "tools")):
    if entry not in sys.path:
        sys.path.insert(0, entry)

from board import launch  # noqa: E402
from gateway import Forward, Gateway  # noqa: E402
from spinet.ports.datagram import Datagram  # noqa: E402

BOARD = launch.ADDRESS.split("/")[0]
DEFAULT_PORT = 8080
_START_S = 30
_PLAIN_EVERY_S = 5
_DEATHS, _DEATHS_S = 5, 30          # that many deaths in that time: give up


class Failed(Exception):
    """The run cannot start or go on; the argument says why, to a person."""


class GatewayNetwork:
    """The board behind the gateway, its ports forwarded from 127.0.0.1."""

    name = "gateway"

    def __init__(self, link, port, exact):
        board_port, our_port = link
        self.gateway = self.open(our_port, board_port, port, exact)
        tcp = {f.board_port: f.host_port for f in self.gateway.opened if f.protocol == "tcp"}
        udp = {f.board_port: f.host_port for f in self.gateway.opened if f.protocol == "udp"}
        self.url = "http://127.0.0.1:%d/" % tcp[80]
        self.page_port = tcp[80]
        self.hints = [
            ("the page, in a browser", self.url),
            ("the same as data", "curl %sstatus.json" % self.url),
            ("TCP echo (type, Ctrl-C)", "nc 127.0.0.1 %d" % tcp[7]),
            ("UDP echo", "echo hello | nc -u -w1 127.0.0.1 %d" % udp[7]),
            ("receive speed", "head -c 10M /dev/zero | nc -N 127.0.0.1 %d" % tcp[9]),
            ("send speed", "nc 127.0.0.1 %d | head -c 10M | wc -c" % tcp[19]),
            ("ping", "needs a real interface: make run TAP=spinet0 (root)"),
        ]
        self.thread = threading.Thread(target=self.gateway.run, daemon=True)
        self.thread.start()

    def alive(self):
        """True while it works."""
        return self.thread.is_alive()

    @staticmethod
    def open(our_port, board_port, port, exact):
        for page in [port] if exact else range(port, port + 20):
            link = Datagram(local=("127.0.0.1", our_port), remote=("127.0.0.1", board_port))
            forwards = [Forward("tcp", page, BOARD, 80)] + [
                Forward(protocol, 0, BOARD, number)
                for protocol, number in (("tcp", 7), ("udp", 7), ("tcp", 9), ("tcp", 19))]
            try:
                return Gateway(link, forwards=forwards)
            except OSError as error:
                reason = error
        if exact:
            raise Failed("port %d of 127.0.0.1 cannot be used (%s); choose another: "
                         "make run PORT=%d" % (port, reason.strerror, port + 1))
        raise Failed("no free port from %d to %d: %s" % (port, port + 19, reason.strerror))

    def summary(self):
        """One line of counters of the gateway."""
        count = self.gateway.count
        return "TCP connections %d in, %d out, %s in, %s out; UDP %d in, %d out" % (
            count["tcp_in"], count["tcp_out"], size(count["bytes_in"]), size(count["bytes_out"]),
            count["udp_in"], count["udp_out"])

    def close(self):
        self.gateway.stop()
        self.thread.join(3)
        self.gateway.close()


class TapNetwork:
    """The board on a TAP device: threads carry frames between it and the board's link."""

    name = "bridge"

    def __init__(self, link, name):
        from spinet.ports.tap import Tap

        board_port, our_port = link
        if shutil.which("ip") is None:
            raise Failed("TAP needs the `ip` program (package iproute2)")
        try:
            self.tap = Tap(name)
        except OSError as error:
            raise Failed("cannot open TAP device %s: %s (it needs root)" % (name, error)) from None
        for command in (["address", "replace", launch.GATEWAY + "/24", "dev", name],
                        ["link", "set", name, "up"]):
            subprocess.run(["ip"] + command, check=True)
        self.link = Datagram(local=("127.0.0.1", our_port), remote=("127.0.0.1", board_port))
        self.url = "http://%s/" % BOARD
        self.hints = [
            ("the page, in a browser", self.url),
            ("the same as data", "curl %sstatus.json" % self.url),
            ("ping", "ping %s" % BOARD),
            ("TCP echo (type, Ctrl-C)", "nc %s 7" % BOARD),
            ("UDP echo", "echo hello | nc -u -w1 %s 7" % BOARD),
            ("send speed", "nc %s 19 | head -c 10M | wc -c" % BOARD),
            ("every frame", "tcpdump -ni %s" % name),
        ]
        self.bridge = Bridge(self.tap, self.link)

    def summary(self):
        """One line of counters of the bridge."""
        return "frames to the board %d, from it %d" % tuple(self.bridge.carried)

    def alive(self):
        """True while it works."""
        return all(thread.is_alive() for thread in self.bridge.threads)

    def close(self):
        self.bridge.close()
        self.tap.close()
        self.link.close()


def size(n):
    """Bytes in text: 3.4 MB."""
    if n < 1000:
        return "%d B" % n
    n /= 1000
    for unit in ("KB", "MB"):
        if n < 1000:
            return "%.1f %s" % (n, unit)
        n /= 1000
    return "%.1f GB" % n


class Bridge:
    """Carries frames between two ports, each way, until closed."""

    def __init__(self, a, b):
        self.carried = [0, 0]
        self.running = True
        self.threads = [
            threading.Thread(target=self.carry, args=(a, b, 0), daemon=True),
            threading.Thread(target=self.carry, args=(b, a, 1), daemon=True)]
        for thread in self.threads:
            thread.start()

    def carry(self, source, sink, way):
        import select

        ready = select.poll()
        ready.register(source.fileno(), select.POLLIN)
        buf = bytearray(2048)
        while self.running:
            n = source.recv(buf)
            if n:
                sink.send(buf, n)
                self.carried[way] += 1
            else:
                ready.poll(500)

    def close(self):
        self.running = False
        for thread in self.threads:
            thread.join(2)


class Run:
    """One run: the network, the board, and the display, until `stop` is set."""

    def __init__(self, port, exact, runtime, tap, flash, chip="w5500"):
        self.runtime = runtime
        self.start_s = _START_S
        self.chip = {"w5500": "W5500", "enc28j60": "ENC28J60"}[chip]
        self.stop = threading.Event()
        self.console = None
        self.deaths = []
        # The kernel at the other end of a TAP device is no DHCP server.
        settings = dict(launch.STATIC if tap else {}, chip=chip)
        link = launch.free_ports(2)
        if runtime == "pico":
            from pico.device import Device

            flash = pathlib.Path(flash) / ("pico-%s%s.flash" % (chip, "-tap" if tap else ""))
            self.start_s *= 3
            self.board = Device(link, chip, flash=flash, on_line=self.line, settings=settings,
                                link_path=str(REPO / "build/ttyPICO"))
        else:
            self.board = launch.Board(launch.make_flash(flash, settings), link, runtime,
                                      on_line=self.line, chip=chip)
        self.network = TapNetwork(link, tap) if tap else GatewayNetwork(link, port, exact)
        self.before = None
        self.client = None      # the connection to the board's page

    def line(self, text):
        """Something to show above the live display."""
        if self.console:
            self.console.print(text, markup=False, highlight=False)
        else:
            print(text, flush=True)

    def status(self):
        """The board's status.json as a dict, or None while it does not answer."""
        # One connection for all, so that looking hardly shows in what is looked at.  It may
        # have been closed since the last time, so a failure is tried again, once.
        for _ in range(2):
            if self.client is None:
                self.client = http.client.HTTPConnection(
                    urllib.parse.urlsplit(self.network.url).netloc, timeout=2)
            try:
                self.client.request("GET", "/status.json")
                return json.loads(self.client.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError):
                self.client.close()
                self.client = None
        return None

    def start(self):
        """Start the board and wait until its page answers."""
        self.board.start()
        deadline = time.monotonic() + self.start_s
        while not self.stop.is_set():
            if self.status():
                return
            if not self.board.alive():
                raise Failed("the board ended while it started (status %s)" % self.board.stop())
            if time.monotonic() > deadline:
                raise Failed("the board runs, but its page does not answer after %d s"
                             % self.start_s)
            self.stop.wait(0.1)

    def check(self):
        """Start the board again if it died."""
        if not self.network.alive():
            raise Failed("the %s ended" % self.network.name)
        if self.board.alive() or self.stop.is_set():
            return
        status = self.board.stop()
        now = time.monotonic()
        self.deaths = [t for t in self.deaths if now - t < _DEATHS_S] + [now]
        if len(self.deaths) >= _DEATHS:
            raise Failed("the board ended %d times in %d s, the last time with status %s"
                         % (_DEATHS, _DEATHS_S, status))
        self.line("the board ended with status %s; starting it again" % status)
        self.before = None
        self.board.start()

    def rates(self, status):
        """Frames per second (received, sent) since the last call, or None at first."""
        count = status["counters"].get("eth0", {})
        now = (time.monotonic(), count.get("rx", 0), count.get("tx", 0))
        before, self.before = self.before, now
        if before is None or now[0] == before[0] or now[1] < before[1]:
            return None
        return [max(0, a - b) / (now[0] - before[0]) for a, b in zip(now[1:], before[1:])]

    def facts(self, status):
        """What to show, as (name, value) pairs."""
        if status is None:
            return [("board", "does not answer")]
        rates = self.rates(status)
        heap = status["heap"]["free"]
        return [
            ("up", "%d s" % status["uptime_s"]),
            ("frames/s", "%.0f in, %.0f out" % tuple(rates) if rates else "-"),
            ("frames", "%(rx)d in, %(tx)d out" % status["counters"]["eth0"]),
            ("sockets", "%d" % len(status["sockets"])),
            ("heap free", "%d KiB" % (heap // 1024) if heap is not None else "-"),
            (self.network.name, self.network.summary()),
        ]

    def banner(self):
        """What to try, as lines of text."""
        if self.runtime == "pico":
            yield ("An emulated Pico is up: its firmware, through a model of the %s, at %s"
                   % (self.chip, BOARD))
        else:
            runtime = {"cpython": "CPython", "micropython": "MicroPython"}[self.runtime]
            yield ("A virtual board is up: firmware/main.py on %s, through a model of the %s, at %s"
                   % (runtime, self.chip, BOARD))
        yield ""
        if self.runtime == "pico":
            yield "  %-24s mpremote connect %s" % ("its serial line", self.board.path)
        for what, how in self.network.hints:
            yield "  %-24s %s" % (what, how)
        yield ""
        yield "Ctrl-C stops it."

    def show_plain(self):
        """Counters as lines, for a terminal that is none."""
        due = 0
        while not self.stop.is_set():
            self.check()
            if time.monotonic() >= due:
                due = time.monotonic() + _PLAIN_EVERY_S
                facts = self.facts(self.status())
                print("; ".join("%s %s" % fact for fact in facts), flush=True)
            self.stop.wait(1)

    def show_live(self):
        """Counters in place, with rich."""
        from rich.console import Console
        from rich.live import Live
        from rich.panel import Panel
        from rich.table import Table

        self.console = Console()

        def panel(facts):
            table = Table.grid(padding=(0, 3))
            for name, value in facts:
                table.add_row("[dim]%s[/]" % name, value)
            return Panel(table, title="the board", title_align="left", expand=False,
                         border_style="cyan")

        with Live(panel(self.facts(self.status())), console=self.console) as live:
            while not self.stop.wait(1):
                self.check()
                live.update(panel(self.facts(self.status())))
        self.console = None

    def main(self):
        """Run until told to stop; returns the exit status."""
        try:
            print("Starting the board ...", flush=True)
            self.start()
            if not self.stop.is_set():
                print("\n".join(self.banner()), flush=True)
                (self.show_live if sys.stdout.isatty() else self.show_plain)()
            return 0
        except Failed as failure:
            self.console = None
            print("make run: %s" % failure, file=sys.stderr)
            return 1
        finally:
            if self.client:
                self.client.close()
            self.board.stop()
            self.network.close()
            print("\nStopped." if sys.stdout.isatty() else "Stopped.", flush=True)


def port_number(text):
    """A TCP port in text, for argparse."""
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is 1 to 65535, not %s" % text)
    return number


def main():
    """The command line; see the module's text."""
    parser = argparse.ArgumentParser(description="Run a virtual spinet board on this machine.")
    port = os.environ.get("PORT") or None
    parser.add_argument("--port", type=port_number, default=port,
                        help="of the page on 127.0.0.1 (default %d or the next free)"
                        % DEFAULT_PORT)
    parser.add_argument("--runtime", choices=("micropython", "cpython", "pico"),
                        default=os.environ.get("RUNTIME") or "micropython")
    parser.add_argument("--chip", choices=("w5500", "enc28j60"),
                        default=os.environ.get("CHIP") or "w5500")
    parser.add_argument("--tap", default=os.environ.get("TAP") or None, metavar="NAME",
                        help="put the board on this TAP device (root), not behind the gateway")
    parser.add_argument("--flash", default=str(REPO / "build/board"), metavar="DIR",
                        help="directory that is the board's flash (default build/board)")
    args = parser.parse_args()
    try:
        run = Run(args.port or DEFAULT_PORT, args.port is not None, args.runtime, args.tap,
                  args.flash, args.chip)
    except (Failed, FileNotFoundError) as failure:
        print("make run: %s" % failure, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: run.stop.set())
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
