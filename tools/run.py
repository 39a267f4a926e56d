"""Virtual boards on this machine: start them, show them, stop them cleanly.

`make run` runs this.  Settings come from options or from the environment:
PORT (of the page; default 8080 or the next free one), RUNTIME (micropython,
cpython, or pico: real firmware in an emulator), CONSOLE (of that: uart or usb), CHIP (w5500 or
enc28j60), BOARDS (how many, on one switch), PCAP (a file or named pipe for every frame; with {} in
its name one for each board), FORWARDS (a file of ports that lead elsewhere), TAP (the name of a
TAP device to put the board on, as root, instead of the gateway).
"""
import argparse
import http.client
import json
import os
import pathlib
import signal
import sys
import threading
import time
import urllib.parse
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[1]
for entry in (str(REPO / "lib"), str(REPO / "tools")):
    if entry not in sys.path:
        sys.path.insert(0, entry)

from board import launch  # noqa: E402
from networks import BOARD, Failed, GatewayNetwork, TapNetwork  # noqa: E402

DEFAULT_PORT = 8080
_START_S = 30
_PLAIN_EVERY_S = 5
_DEATHS, _DEATHS_S = 5, 30          # that many deaths in that time: give up


class Run:
    """One run: the network, the boards, and the display, until `stop` is set."""

    def __init__(self, args):
        self.runtime = args.runtime
        self.start_s = _START_S * (3 if args.runtime == "pico" else 1)
        self.chip = {"w5500": "W5500", "enc28j60": "ENC28J60"}[args.chip]
        self.stop = threading.Event()
        self.console = None
        self.deaths = []
        port, exact = args.port or DEFAULT_PORT, args.port is not None
        if args.tap and args.boards > 1:
            raise Failed("several boards need the gateway's switch: BOARDS= without TAP=")
        ports = launch.free_ports(2 * args.boards)
        links = list(zip(ports[::2], ports[1::2]))
        self.names = ["spinet"] if args.boards == 1 else [
            "board%d" % (i + 1) for i in range(args.boards)]
        self.boards = [self.make_board(i, link, args) for i, link in enumerate(links)]
        self.board = self.boards[0]
        if args.tap:
            self.network = TapNetwork(links[0], args.tap)
        else:
            self.network = GatewayNetwork(
                links, self.names, port, exact, args.pcap, args.forwards)
            if self.network.follower:
                self.network.follower.say = self.line
        self.before = None
        self.client = None      # the connection to the board's page

    def make_board(self, i, link, args):
        """Board number `i`, from 0, with a flash of its own."""
        # The kernel at the other end of a TAP device is no DHCP server.
        settings = dict(launch.STATIC if args.tap else {}, chip=args.chip)
        number = "" if i == 0 else str(i + 1)
        if args.boards > 1:
            # All are made alike, down to the number that a chip's MAC address is made from.
            settings.update(hostname=self.names[i], mac="02:73:70:69:6e:%02x" % (i + 1))

        def on_line(text):
            self.line("%s: %s" % (self.names[i], text) if args.boards > 1 else text)

        if args.runtime == "pico":
            from pico.device import Device

            flash = pathlib.Path(args.flash) / ("pico-%s%s%s.flash" % (
                args.chip, "-tap" if args.tap else "", number and "-" + number))
            return Device(link, args.chip, flash=flash, on_line=on_line, settings=settings,
                          console=args.console,
                          link_path=str(flash.parents[1] / ("ttyPICO" + number)))
        return launch.Board(launch.make_flash(args.flash + number, settings), link, args.runtime,
                            on_line=on_line, chip=args.chip)

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
        """Start the boards and wait until their pages answer."""
        for board in self.boards:
            board.start()
        deadline = time.monotonic() + self.start_s
        for board, url in zip(self.boards, self.network.urls):
            while not self.stop.is_set():
                if self.status() if board is self.board else answers(url):
                    break
                if not board.alive():
                    raise Failed("the board ended while it started (status %s)" % board.stop())
                if time.monotonic() > deadline:
                    raise Failed("the board runs, but its page does not answer after %d s"
                                 % self.start_s)
                self.stop.wait(0.1)

    def check(self):
        """Start boards again that died."""
        if not self.network.alive():
            raise Failed("the %s ended" % self.network.name)
        self.network.look()
        for board in self.boards:
            if board.alive() or self.stop.is_set():
                continue
            status = board.stop()
            now = time.monotonic()
            self.deaths = [t for t in self.deaths if now - t < _DEATHS_S] + [now]
            if len(self.deaths) >= _DEATHS:
                raise Failed("the board ended %d times in %d s, the last time with status %s"
                             % (_DEATHS, _DEATHS_S, status))
            self.line("the board ended with status %s; starting it again" % status)
            self.before = None
            board.start()

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
            ("sockets", "%d" % sum(s["state"] != "TIME_WAIT" for s in status["sockets"])),
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
            what = "A virtual board is" if len(self.boards) == 1 else (
                "%d virtual boards are" % len(self.boards))
            yield ("%s up: firmware/main.py on %s, through a model of the %s, at %s"
                   % (what, runtime, self.chip, BOARD))
        yield ""
        if self.runtime == "pico":
            for board in self.boards:
                yield "  %-24s mpremote connect %s" % ("its serial line", board.path)
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
            for board in self.boards:
                board.stop()
            self.network.close()
            print("\nStopped." if sys.stdout.isatty() else "Stopped.", flush=True)


def answers(url):
    """Whether a page is there."""
    try:
        with urllib.request.urlopen(url + "status.json", timeout=2) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def board_count(text):
    """How many boards, in text, for argparse."""
    number = int(text)
    if not 1 <= number <= 16:
        raise argparse.ArgumentTypeError("1 to 16 boards, not %s" % text)
    return number


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
    parser.add_argument("--console", choices=("uart", "usb"),
                        default=os.environ.get("CONSOLE") or "uart",
                        help="of an emulated Pico: where its prompt is (default uart)")
    parser.add_argument("--boards", type=board_count, default=os.environ.get("BOARDS") or 1,
                        help="how many, on one switch (default 1)")
    parser.add_argument("--pcap", default=os.environ.get("PCAP") or None, metavar="FILE",
                        help="record every frame; with {} in the name, a file for each board")
    parser.add_argument("--forwards", metavar="FILE",
                        default=os.environ.get("FORWARDS") or str(REPO / "build/forwards.txt"),
                        help="lines such as tcp:2323:23, looked at while it runs "
                        "(default build/forwards.txt)")
    parser.add_argument("--tap", default=os.environ.get("TAP") or None, metavar="NAME",
                        help="put the board on this TAP device (root), not behind the gateway")
    parser.add_argument("--flash", default=str(REPO / "build/board"), metavar="DIR",
                        help="directory that is the board's flash (default build/board)")
    args = parser.parse_args()
    try:
        run = Run(args)
    except (Failed, FileNotFoundError) as failure:
        print("make run: %s" % failure, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: run.stop.set())
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
