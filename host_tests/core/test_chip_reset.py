"""What every driver of an SPI chip does alike when it resets its chip, on each modelled chip."""
from chip_world import World
from chips.rig import CHIPS
from kit import Random
from spinet.prim import ticks_add


def test_a_reset_pulse_is_long_enough_after_a_slow_look():
    """The look that led to the reset took longer than the pulse is to last.

    A pulse timed from before that look had no width at all, and the chip took no notice of it.
    """
    for name in sorted(CHIPS):
        for late in (0, 3, 50):
            world = World(name, Random(1), reset=True, chip={"strict": True})
            world.until(world.port.link, 10000)
            port = world.port
            resets = port.count["reset"]
            before = port._clock()
            world.time.sleep_ms(late)
            port._begin_reset(before)
            began = port._clock()
            assert port._at == ticks_add(began, 2), "%s: timed from now, %d ms late" % (name, late)
            world.until(world.port.link, 10000)     # `strict`: too short a pulse raises Violation
            assert port.count["reset"] == resets + 1, name
            assert world.rig.chip.count["violations"] == 0, name


def test_a_reset_pin_that_does_not_reach_the_chip():
    """The chip is reset all the same: a board that restarts leaves it as it was."""
    for name in sorted(CHIPS):
        world = World(name, Random(1), reset=True, chip={"strict": True})
        world.until(world.port.link, 10000)
        port = world.port
        port._reset = lambda level: None
        resets = world.rig.chip.count["resets"]
        port._begin_reset(port._clock())
        assert not port.link(), name
        world.until(port.link, 10000)
        assert world.rig.chip.count["resets"] > resets, name
        client, served = world.connection()
        client.send(b"through")
        world.until(lambda: served.ready() & 1, 5000)
        assert served.recv(10) == b"through" and port.count["reset"] == 2, (name, port.count)
