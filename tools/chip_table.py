"""What the drivers cost on the bus, on modelled chips in virtual time: `make chips`.

For each chip and frame size: SPI bytes and chip selects per frame, in and out, beside what the
chip's register tables need at least.  For each SPI clock: full frames and TCP through the whole
stack, beside what the SPI and the line can carry.  The host takes no time; a real board's Python
does, and `--host-us` sets how many microseconds it spends before each transfer.
"""
import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for name in ("host_tests/core", "tools", "lib"):
    sys.path.insert(0, str(ROOT / name))

import chip_bench  # noqa: E402
from chips.rig import CHIPS  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402


def costs(name):
    table = Table(title="%s: SPI bytes and chip selects per frame" % name)
    kind = CHIPS[name]
    for column in ("frame", "in, polled", "in, interrupt", "least", "out", "least", "selects in",
                   "least", "out", "least"):
        table.add_column(column, justify="right")
    for n in chip_bench.SIZES:
        polled = chip_bench.cost(name, n, irq=False)
        waked = chip_bench.cost(name, n, irq=True)
        table.add_row(
            str(n), "%.0f" % polled.rx_bytes, "%.0f" % waked.rx_bytes, str(n + kind.least_rx),
            "%.0f" % waked.tx_bytes, str(n + kind.least_tx),
            "%.1f" % waked.rx_selects, str(kind.selects_rx), "%.1f" % waked.tx_selects,
            str(kind.selects_tx))
    return table


def rates(name, host_us):
    table = Table(title="%s: Mbit/s of full frames, and of TCP data" % name)
    for column in ("SPI MHz", "SPI", "line", "frames in", "frames out", "TCP in", "TCP out"):
        table.add_column(column, justify="right")
    line = CHIPS[name].line_mbit
    for mhz in CHIPS[name].clocks_mhz:
        table.add_row(
            str(mhz), str(mhz), "%.1f" % (line * 1514 / 1538),
            *["%.2f" % chip_bench.frames(name, mhz, rx, host_us) for rx in (True, False)],
            *["%.2f" % chip_bench.tcp(name, mhz, rx, host_us) for rx in (True, False)])
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chips", nargs="*", metavar="CHIP", help=", ".join(sorted(CHIPS)))
    parser.add_argument("--host-us", type=int, default=0)
    args = parser.parse_args()
    console = Console(width=110)
    for name in args.chips or sorted(CHIPS):
        console.print(costs(name))
        console.print(rates(name, args.host_us))


if __name__ == "__main__":
    main()
