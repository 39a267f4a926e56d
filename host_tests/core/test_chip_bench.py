"""What the drivers cost on the bus and how fast that lets them be, on each modelled chip."""
import chip_bench
from chips.rig import CHIPS
from spinet import prim

SLOW_RUNTIME = prim.IMPLEMENTATION == "portable"


def test_bytes_and_selects_of_full_frames():
    """At most 15 % over what the chip's registers need, both ways, polled and by interrupt."""
    for name in sorted(CHIPS):
        kind = CHIPS[name]
        for irq in (True, False):
            c = chip_bench.cost(name, 1514, irq, 8 if SLOW_RUNTIME else 16)
            assert c.rx_bytes <= (1514 + kind.least_rx) * 1.15, (name, irq, c.rx_bytes)
            assert c.tx_bytes <= (1514 + kind.least_tx) * 1.15, (name, irq, c.tx_bytes)
            assert c.rx_selects <= kind.selects_rx * 1.15, (name, irq, c.rx_selects)
            assert c.tx_selects <= kind.selects_tx * 1.15, (name, irq, c.tx_selects)


def test_full_frames_fill_the_bus_or_the_line():
    """In virtual time, the host taking none: 85 % of what the slower of SPI and line can carry."""
    for name in sorted(CHIPS):
        kind = CHIPS[name]
        for mhz in kind.clocks_mhz:
            limit = min(mhz, kind.line_mbit * 1514 / 1538)
            for rx in (True, False):
                got = chip_bench.frames(name, mhz, rx, count=12)
                assert 0.85 * limit <= got <= 1.001 * limit, (name, mhz, rx, got)


def test_tcp_takes_most_of_it():
    for name in sorted(CHIPS):
        for mhz in CHIPS[name].clocks_mhz[:1 if SLOW_RUNTIME else 3]:
            for rx in (True, False):
                frames = chip_bench.frames(name, mhz, rx, count=12)
                got = chip_bench.tcp(name, mhz, rx, total=60000)
                assert 0.6 * frames < got < frames, (name, mhz, rx, got, frames)


def test_a_window_larger_than_the_chip_loses_nothing():
    """A slow host with a fast line: what it has not taken yet lies in the chip."""
    for name in sorted(CHIPS):
        world = chip_bench.world_of(name, 20, 100, rcvbuf=65535)
        chip_bench.transfer(world, True, 60000 if SLOW_RUNTIME else 120000)
        count = world.rig.chip.count
        assert not count["rx_full"] and not world.host.tcp.count["retransmit"], (name, count)
