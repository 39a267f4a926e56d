"""`spinet doctor` at real firmware on an emulated Pico: a sound one, and ones with a fault."""
import json

import pytest
from board import launch
from pico.device import Device
from spinetcli import link
from test_cli import spinet


@pytest.fixture
def desk(firmware):
    """A Pico behind a gateway: `desk(chip)`."""
    made = []

    def desk(chip):
        made.append(Device(launch.behind_gateway(), chip, settings={"chip": chip}))
        made[-1].start()
        return made[-1]

    yield desk
    for device in made:
        device.stop()


def visit(device):
    """(exit status, {name: text} of what is well, the same of what is to be fixed)."""
    with link.Board(device.path):
        pass                            # its console answers
    status, text, error = spinet("doctor", "--port", device.path, "--json", timeout=150)
    assert text, error
    rows = json.loads(text)["advice"]
    return (status, *({row["name"]: row["text"] for row in rows if row["ok"] is ok}
                      for ok in (True, False)))


def one_pin(pico, name, level):
    """From now on the line `name` to the Pico has that level, whatever the chip does."""
    setattr(pico.chip, name, lambda *_: level)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("chip, clock", (
    ("w5500", "24000000 Hz holds, which the board makes of 33000000"),
    ("enc28j60", "12000000 Hz holds, which the board makes of 20000000")))
def test_a_pico_with_nothing_wrong(desk, chip, clock):
    status, well, wrong = visit(desk(chip))
    assert (status, wrong) == (0, {}) and clock in well["clock"], (well, wrong)
    assert set(well) == {"chip", "clock", "link", "irq", "address", "gateway"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_install_leaves_an_image_with_spinet_as_it_is(desk):
    device = desk("w5500")
    with link.Board(device.path):
        pass
    status, _, error = spinet("install", "--port", device.path, timeout=150)
    assert status == 1 and "image has spinet in it already" in error
    with link.Board(device.path) as board:
        assert board.ask("show board"), "its program runs again"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_interrupt_line_and_a_reset_line_that_are_not_connected(desk):
    device = desk("w5500")
    device.wish(lambda pico: one_pin(pico, "int_level", 1))
    device.wish(lambda pico: setattr(pico, "_reset_pin", lambda level: None))
    status, well, wrong = visit(device)
    assert status == 1 and set(wrong) == {"reset-wire", "irq-wire"}, (well, wrong)
    assert "address" in well and "pin 20 does not reset the chip" in wrong["reset-wire"]
