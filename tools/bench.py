"""The benchmark: spinet against the Linux kernel over a veth pair, in one run with its limits.

    python tools/bench.py [--quick] [--runtime NAME]     table, and build/bench.json
    python tools/bench.py --profile tcp-rx               where CPython spends its time

Each runtime is measured beside a loop that only sends frames back (`mirror`), which no stack on
that runtime can exceed, and at last the kernel's own TCP/IP under a plain Python program.  Needs
root, for network namespaces; all offloads are off, the MTU is 1500.  Rates are medians, CPU is that
of our side alone.
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import pstats
import resource
import shutil
import signal
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS, THEIRS = "10.99.0.2", "10.99.0.1"
OFFLOADS = ["rx", "tx", "sg", "tso", "gso", "gro"]

# name: (title, unit, arguments of bench_load.py after the seconds, is a stream)
MEASUREMENTS = {
    "ping": ("ping flood, 56 bytes, 16 outstanding", "/s", ("ping", 56, 16)),
    "ping1": ("ping flood, 56 bytes, one at a time", "/s", ("ping", 56, 1)),
    "udp64": ("UDP echo, 64 bytes, 16 outstanding", "/s", ("udp", 64, 16)),
    "udp1400": ("UDP echo, 1400 bytes, 16 outstanding", "/s", ("udp", 1400, 16)),
    "tcp-rx": ("TCP receive", "MB/s", ("tcp-rx",)),
    "tcp-tx": ("TCP send", "MB/s", ("tcp-tx",)),
    "conn1": ("connections, one at a time", "/s", ("connections", 1)),
    "conn8": ("connections, 8 clients", "/s", ("connections", 8)),
    "tcp-echo": ("TCP echo, 64 bytes, 16 outstanding", "/s", ("tcp-echo", 64, 16)),
}
MIRROR = {
    "mirror60": ("mirror, 60 bytes, 64 outstanding", "/s", ("frames", 60, 64)),
    "mirror1514": ("mirror, 1514 bytes, 64 outstanding", "/s", ("frames", 1514, 64)),
    "mirror60x1": ("mirror, 60 bytes, one at a time", "/s", ("frames", 60, 1)),
}


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


class Network:
    """Two namespaces joined by a veth pair; the kernel has an address on one side only."""

    def __init__(self):
        self.ours = "spinet-bench-%d-a" % os.getpid()
        self.theirs = "spinet-bench-%d-b" % os.getpid()

    def __enter__(self):
        try:
            for name, iface, mac in ((self.ours, "veth0", "02:00:00:00:00:0a"),
                                     (self.theirs, "veth1", "02:00:00:00:00:0b")):
                run("ip", "netns", "add", name)
                run("ip", "netns", "exec", name, "sysctl", "-qw",
                    "net.ipv6.conf.default.disable_ipv6=1")
                if iface == "veth0":
                    run("ip", "-n", name, "link", "add", "veth0", "type", "veth",
                        "peer", "name", "veth1")
                else:
                    run("ip", "-n", self.ours, "link", "set", "veth1", "netns", name)
                run("ip", "-n", name, "link", "set", iface, "address", mac)
                for offload in OFFLOADS:
                    subprocess.run(
                        ["ip", "netns", "exec", name, "ethtool", "-K", iface, offload, "off"],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                run("ip", "-n", name, "link", "set", iface, "up")
            run("ip", "-n", self.theirs, "link", "set", "lo", "up")
            run("ip", "-n", self.theirs, "address", "add", THEIRS + "/24", "dev", "veth1")
            run("ip", "netns", "exec", self.theirs, "sysctl", "-qw",
                "net.ipv4.ip_local_port_range=1024 65535")
            # The clients close first, and with 30,000 of an address's ports in TIME-WAIT connect()
            # crawls: each run of `connections` has an address of its own.
            for i in range(100, 160):
                run("ip", "-n", self.theirs, "address", "add", "10.99.0.%d/24" % i, "dev", "veth1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        for name in (self.ours, self.theirs):
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)


class Peer:
    """A running bench_peer.py in our namespace."""

    def __init__(self, network, runtime, *args):
        command = ["ip", "netns", "exec", network.ours, *RUNTIMES[runtime],
                   str(ROOT / "tools/bench_peer.py"), *map(str, args)]
        lib = str(ROOT / "lib")
        env = dict(os.environ, PYTHONPATH=lib, MICROPYPATH=lib + ":.frozen")
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = ""
        if self.process.stdout.readline().strip() != "ready":
            self.process.kill()
            raise RuntimeError("the peer did not start:\n" + self.process.communicate()[1])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.send_signal(signal.SIGINT)
        try:
            self.said = self.process.communicate(timeout=5)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.said = self.process.communicate()[1]

    def cpu_s(self):
        """Seconds of CPU it has used so far."""
        text = pathlib.Path("/proc/%d/schedstat" % self.process.pid).read_text()
        return int(text.split()[0]) / 1e9

    def rss_mb(self):
        pages = int(pathlib.Path("/proc/%d/statm" % self.process.pid).read_text().split()[1])
        return pages * resource.getpagesize() / 1e6


def load_command(network, name, seconds, *numbers, address=OURS):
    return ["ip", "netns", "exec", network.theirs, sys.executable,
            str(ROOT / "tools/bench_load.py"), name, address, str(seconds), *map(str, numbers)]


def load(network, peer, name, seconds, *numbers, address=OURS):
    """One measurement: what bench_load.py found, with the peer's CPU beside it."""
    before = peer.cpu_s()
    done = subprocess.run(
        load_command(network, name, seconds, *numbers, address=address),
        capture_output=True, text=True, timeout=seconds * 4 + 30)
    if done.returncode:
        return {"rate": 0.0, "error": done.stderr.strip().split("\n")[-1]}
    found = json.loads(done.stdout)
    cpu = peer.cpu_s() - before
    found["cpu_s"] = cpu
    found["cpu_percent"] = 100 * cpu / found["took_s"]
    if found.get("packets"):
        found["cpu_us_per_packet"] = cpu / found["packets"] * 1e6
    if found.get("bytes"):
        found["cpu_ms_per_mb"] = cpu / found["bytes"] * 1e9
    return found


def median(network, peer, what, options, address=OURS):
    """The run with the median rate."""
    title, unit, (name, *numbers) = what
    runs = [load(network, peer, name, options.seconds, *numbers, address=address)
            for _ in range(options.rounds)]
    runs.sort(key=lambda r: r["rate"])
    middle = runs[(len(runs) - 1) // 2]
    middle["rates"] = [round(r["rate"], 3) for r in runs]
    middle["unit"] = unit
    return middle


def idle(peer, seconds):
    before = peer.cpu_s()
    time.sleep(seconds)
    return {"cpu_percent": 100 * (peer.cpu_s() - before) / seconds}


@contextlib.contextmanager
def held(network, n):
    """`n` established connections that do nothing."""
    process = subprocess.Popen(
        load_command(network, "hold", 0, n),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("cannot hold %d connections: %s" % (n, process.stderr.read()[-300:]))
        yield
    finally:
        process.stdin.close()
        process.wait()


def measure(network, runtime, options, show):
    """Everything for one runtime; `show(key, title, result)` sees each result as it comes."""
    found = {}

    def note(key, title, result):
        found[key] = result
        show(runtime, key, title, result)

    if runtime == KERNEL:
        run("ip", "-n", network.ours, "address", "add", OURS + "/24", "dev", "veth0")
        try:
            with Peer(network, runtime, "--kernel") as peer:
                for key, what in MEASUREMENTS.items():
                    note(key, what[0], median(network, peer, what, options))
        finally:
            run("ip", "-n", network.ours, "address", "delete", OURS + "/24", "dev", "veth0")
        return found
    micropython = runtime.startswith("MicroPython")
    with Peer(network, runtime, "veth0", "--mirror") as peer:
        for key, what in MIRROR.items():
            note(key, what[0], median(network, peer, what, options, address="veth1"))
    size = ["--buffer", 32768] if micropython else []
    with Peer(network, runtime, "veth0", OURS + "/24", *size) as peer:
        note("idle", "CPU when idle", idle(peer, options.seconds + 1))
        for key, what in MEASUREMENTS.items():
            note(key, what[0], median(network, peer, what, options))
        found["rss_mb"] = peer.rss_mb()
    found["counters"] = peer.said
    counts = options.sockets[:2] if micropython else options.sockets
    for n in counts:
        with Peer(network, runtime, "veth0", OURS + "/24", "--udp", n, "--buffer", 4096) as peer:
            note("udp-sockets-%d" % n, "UDP echo, 64 bytes, with %d bound sockets" % n,
                 median(network, peer, MEASUREMENTS["udp64"], options))
    for n in counts:
        title = "TCP echo, 64 bytes, with %d connections held" % n
        small = Peer(network, runtime, "veth0", OURS + "/24", "--buffer", 4096)
        try:
            with small as peer, held(network, n):
                note("tcp-sockets-%d" % n, title,
                     median(network, peer, MEASUREMENTS["tcp-echo"], options))
                note("idle-%d" % n, "CPU when idle, %d connections held" % n,
                     idle(peer, options.seconds))
                found["rss_mb_%d" % n] = peer.rss_mb()
        except RuntimeError as e:
            note("tcp-sockets-%d" % n, title, {"error": str(e).split("\n")[-1]})
    return found


def shown(result):
    """A result as the table shows it."""
    if result.get("error"):
        return result["error"]
    if "rate" not in result:
        return "%.1f %% CPU" % result["cpu_percent"]
    unit = result["unit"]
    text = ("%.1f " if unit == "MB/s" else "%.0f") % result["rate"] + unit
    text += ", CPU %.0f %%" % result["cpu_percent"]
    if "cpu_us_per_packet" in result:
        text += ", %.1f us each" % result["cpu_us_per_packet"]
    if "cpu_ms_per_mb" in result:
        text += ", %.1f ms/MB" % result["cpu_ms_per_mb"]
    if result.get("lost") or result.get("failed"):
        text += ", lost %d" % (result.get("lost") or result.get("failed"))
    return text


def profile(network, name, options):
    """Run one measurement with CPython's profiler in the peer, and print the top of it."""
    title, _, (load_name, *numbers) = MEASUREMENTS[name]
    target = ROOT / "build" / ("profile-%s.out" % name)
    with Peer(network, "CPython", "veth0", OURS + "/24", "--profile", target) as peer:
        result = load(network, peer, load_name, options.seconds, *numbers)
    print("%s under the profiler: %.1f" % (title, result["rate"]))
    if result.get("error"):
        print(result["error"])
    stats = pstats.Stats(str(target))
    stats.strip_dirs().sort_stats("tottime").print_stats(28)
    print(peer.said)


def find_runtimes():
    found = {"CPython": [sys.executable]}
    micropython = ROOT / "build/venv/bin/micropython"
    if micropython.exists():
        found["MicroPython unix"] = [str(micropython), "-X", "heapsize=4M"]
    found[KERNEL] = [sys.executable]
    return found


KERNEL = "kernel sockets"
RUNTIMES = find_runtimes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    parser.add_argument("--runtime", choices=list(RUNTIMES), action="append")
    parser.add_argument("--profile", choices=list(MEASUREMENTS))
    options = parser.parse_args()
    options.seconds = 0.5 if options.quick else 1.5
    options.rounds = 1 if options.quick else 3
    options.sockets = [1, 100, 1000] if options.quick else [1, 100, 10000]
    if os.geteuid() != 0 or not shutil.which("ip"):
        sys.exit("bench: needs root and iproute2, for network namespaces: skipped")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 32768), hard))
    (ROOT / "build").mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.profile:
        with Network() as network:
            profile(network, options.profile, options)
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    report = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "quick": options.quick,
        "machine": platform.machine(), "kernel": platform.release(), "cpus": os.cpu_count(),
        "python": platform.python_version(), "seconds": options.seconds,
        "rounds": options.rounds, "load_before": os.getloadavg()[0], "runtimes": {},
    }

    def show(runtime, key, title, result):
        console.print("%-18s %-48s %s" % (runtime, title, shown(result)),
                      highlight=False, soft_wrap=True)
        titles[key] = title

    titles = {}
    with Network() as network:
        for runtime in options.runtime or RUNTIMES:
            report["runtimes"][runtime] = measure(network, runtime, options, show)
    report["load_after"] = os.getloadavg()[0]
    (ROOT / "build/bench.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table("", *report["runtimes"], title="spinet against the kernel over veth")
    for key, title in titles.items():
        table.add_row(title, *(shown(found[key]) if key in found else "-"
                               for found in report["runtimes"].values()))
    console.print(table)
    console.print("written to build/bench.json; load average %.1f" % report["load_after"])


if __name__ == "__main__":
    main()
