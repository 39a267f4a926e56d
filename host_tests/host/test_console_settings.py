"""Whatever netcfg.json says, the console comes up, says what is wrong, and can put it right."""
import json

import pytest

from terminal import PROMPT, Desk

# What the file says; what the board says of it, and whether its network comes up all the same.
ROWS = [
    ("", "netcfg.json: not valid JSON", True),
    ("nul", "netcfg.json: not valid JSON", True),
    (b"\xff\xfe\x00", "netcfg.json: not valid JSON", True),
    ("[]", "netcfg.json: expected an object, using defaults", True),
    ({"address": ""}, "netcfg.json: 'address': '': an IPv4 address is four numbers", True),
    ({"chip": "rtl8139"}, "'chip': rtl8139: not a chip with a driver (w5500, enc28j60)", True),
    ({"hostname": ""}, "'hostname': a host's name is 1 to 32 characters, using 'spinet'", True),
    ({"spi": {"baudrate": 0}}, "'spi.baudrate': 0 is not within 100000 and 100000000", True),
    ({"services": {"http": 8, "echo": 8}}, "service echo on port 8: something else has this port",
     True),
    ({"safe_pin": 99}, "safe_pin: there is no pin 99 here (invalid pin)", True),
    ({"console": {"on": "uart", "uart": 7}},
     "console on UART 7: UART(7) is not wired; it is on stdio", True),
    ({"console": {"on": "uart", "tx": 99}}, "console.tx: there is no pin 99 here", True),
    ({"pins": {"cs": 99}}, "w5500: pins.cs: there is no pin 99 here (invalid pin); looking again",
     False),
    ({"pins": {"cs": -1}}, "w5500: pins.cs: the chip needs one; looking again", False),
    ({"spi": {"sck": 99}}, "w5500: spi.sck: there is no pin 99 here", False),
    ({"spi": {"id": 7}}, "w5500: no SPI(7) here; looking again", False),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("flash"), forwards=()) as desk:
        yield desk


@pytest.mark.parametrize("said, complaint, network", ROWS, ids=[str(row[0])[:40] for row in ROWS])
def test_the_console_is_there_and_says_why(desk, said, complaint, network):
    text = json.dumps(said) if isinstance(said, dict) else said
    (desk.board.flash / "netcfg.json").write_bytes(
        text if isinstance(text, bytes) else text.encode())
    del desk.lines[:]
    desk.board.cut()
    term = desk.terminal
    term.see(complaint)
    term.see(PROMPT)
    term.settle()
    assert not any("Traceback" in line for line in desk.lines), desk.lines
    assert term.do("show board")[2].endswith(", up") == network
    assert term.do("hostname rescued")[0].startswith("hostname rescued")
    assert term.do("save") == ["saved in netcfg.json"]
