"""TCP over a link that loses frames, against the Linux kernel; beside it the kernel on both ends.

    python tools/bench_loss.py [--quick] [--loss PERCENT ...]     table, and build/bench-loss.json

A bridge between the two ends drops TCP frames at random on both its ports (nftables, where they
come in), which neither end can see.  No delay is added: it is timers and recovery that are
measured, at round trips far below a millisecond.  The kernel uses CUBIC and SACK.  Needs root.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time

import bench
from rich.console import Console
from rich.table import Table

WAYS = {"receive": ("tcp-rx",), "send": ("tcp-tx",)}


class LossyNetwork(bench.Network):
    """`bench.Network` with a bridge in the middle that loses frames."""

    def __init__(self):
        super().__init__()
        self.middle = "spinet-bench-%d-m" % os.getpid()

    def __enter__(self):
        super().__enter__()
        try:
            bench.run("ip", "netns", "add", self.middle)
            self.within("ip", "link", "add", "br0", "type", "bridge")
            self.within("ip", "link", "set", "br0", "up")
            for i, (name, iface) in enumerate(((self.ours, "veth0"), (self.theirs, "veth1"))):
                mac = "02:00:00:00:00:0" + "ab"[i]
                if i == 0:      # replaces the pair that joins the two directly
                    bench.run("ip", "-n", name, "link", "delete", iface)
                bench.run("ip", "-n", name, "link", "add", iface, "address", mac, "type", "veth",
                          "peer", "name", "port%d" % i, "netns", self.middle)
                self.within("ip", "link", "set", "port%d" % i, "master", "br0", "up")
                for where, nic in ((name, iface), (self.middle, "port%d" % i)):
                    for feature in bench.OFFLOADS:
                        subprocess.run(["ip", "netns", "exec", where, "ethtool", "-K", nic,
                                        feature, "off"], capture_output=True)
                bench.run("ip", "-n", name, "link", "set", iface, "up")
                bench.run("ip", "netns", "exec", name, "sysctl", "-qw",
                          "net.ipv4.tcp_no_metrics_save=1")
            bench.run("ip", "-n", self.theirs, "address", "add", bench.THEIRS + "/24",
                      "dev", "veth1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def within(self, *command):
        bench.run("ip", "netns", "exec", self.middle, *command)

    def lose(self, percent):
        """From now on lose so many of the TCP frames, each way."""
        subprocess.run(["ip", "netns", "exec", self.middle, "nft", "delete table netdev loss"],
                       capture_output=True)
        if percent:
            rule = "meta protocol ip ip protocol tcp numgen random mod 10000 < %d drop" % (
                percent * 100)
            self.within("nft", "add table netdev loss")
            for i in range(2):
                self.within("nft", "add chain netdev loss in%d { type filter hook ingress device "
                            "port%d priority 0; }" % (i, i))
                self.within("nft", "add rule netdev loss in%d %s" % (i, rule))

    def __exit__(self, *exc):
        super().__exit__(*exc)
        subprocess.run(["ip", "netns", "delete", self.middle], stderr=subprocess.DEVNULL)


def measure(network, runtime, options, show):
    """{loss: {way: result}} for one runtime as our side."""
    kernel = runtime == bench.KERNEL
    found = {}
    if kernel:
        bench.run("ip", "-n", network.ours, "address", "add", bench.OURS + "/24", "dev", "veth0")
        arguments = ["--kernel"]
    else:
        arguments = ["veth0", bench.OURS + "/24"]
        if runtime.startswith("MicroPython"):
            arguments += ["--buffer", 32768]
    try:
        with bench.Peer(network, runtime, *arguments) as peer:
            for percent in options.loss:
                network.lose(percent)
                found[percent] = {}
                for way, numbers in WAYS.items():
                    what = ("TCP " + way, "MB/s", numbers)
                    result = bench.median(network, peer, what, options)
                    found[percent][way] = result
                    show(runtime, percent, way, result)
        if not kernel:
            found["counters"] = peer.said
    finally:
        network.lose(0)
        if kernel:
            bench.run("ip", "-n", network.ours, "address", "delete", bench.OURS + "/24",
                      "dev", "veth0")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    parser.add_argument("--runtime", choices=list(bench.RUNTIMES), action="append")
    parser.add_argument("--loss", type=float, nargs="+", default=[0, 0.1, 1, 5])
    options = parser.parse_args()
    options.seconds = 1 if options.quick else 3
    options.rounds = 1 if options.quick else 5
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft"):
        sys.exit("bench_loss: needs root, iproute2 and nftables: skipped")
    console = Console(width=None if sys.stdout.isatty() else 120)
    report = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
              "kernel": platform.release(), "python": platform.python_version(),
              "seconds": options.seconds, "rounds": options.rounds,
              "load_before": os.getloadavg()[0], "runtimes": {}}

    def show(runtime, percent, way, result):
        console.print("%-18s loss %4.1f %%  %-8s %s" % (runtime, percent, way, bench.shown(result)),
                      highlight=False, soft_wrap=True)

    with LossyNetwork() as network:
        for runtime in options.runtime or bench.RUNTIMES:
            report["runtimes"][runtime] = measure(network, runtime, options, show)
    report["load_after"] = os.getloadavg()[0]
    (bench.ROOT / "build/bench-loss.json").write_text(json.dumps(report, indent=1) + "\n")
    table = Table("MB/s", *report["runtimes"], title="TCP with random loss, each way")
    for way in WAYS:
        for percent in options.loss:
            row = []
            for found in report["runtimes"].values():
                result = found[percent][way]
                row.append("%.2f (%.2f to %.2f)" % (
                    result["rate"], result["rates"][0], result["rates"][-1])
                    if "rates" in result else result.get("error", "-"))
            table.add_row("%s, loss %g %%" % (way, percent), *row)
    console.print(table)
    console.print("written to build/bench-loss.json; load average %.1f" % report["load_after"])


if __name__ == "__main__":
    main()
