"""`spinet doctor` at virtual boards whose wires, chip or network have a fault."""
import json
import threading

import pytest

from spinet.ports.datagram import Datagram
from spinetcli import doctor
from terminal import PROMPT, Desk
from test_cli import spinet

ENC = {"chip": "enc28j60"}
# What is wrong; the settings; the names of what is to be fixed; words that say so.
FAULTS = [
    ({"absent": "high"}, {}, ["nobody"], "3.3 V and ground at the chip; CS on pin 17"),
    ({"absent": "low"}, ENC, ["nobody"], "These look the same from here"),
    ({"cs": 3}, {}, ["nobody"], "`spinet doctor --try-pins 5,6` tries others"),
    ({"cs": 20, "reset": 17}, {}, ["cs-reset"], "chip select and reset are exchanged"),
    ({"short": 0}, {}, ["miso-held"], "it touches ground"),
    ({"short": 1}, {}, ["miso-held"], "it touches the supply"),
    ({"mosi": 16, "miso": 19}, {}, ["swapped"], "MISO and MOSI are exchanged"),
    ({"mosi": 16, "miso": 19}, ENC, ["swapped"], "MISO, SO or DO of the chip goes to pin 16"),
    ({"chip": "enc28j60"}, {}, ["other-chip"], "an ENC28J60 answers: `set chip enc28j60`"),
    ({"chip": "w5500"}, ENC, ["other-chip"], "a W5500 answers: `set chip w5500`"),
    ({"reset": "low"}, {}, ["held-in-reset"], "its RST must be at 3.3 V"),
    ({"reset": "low"}, ENC, ["no-start"], "its RST must be at 3.3 V"),
    ({"reset": None}, {}, ["reset-wire"], "connect it to the chip's RST"),
    ({"reset": None}, ENC, ["reset-wire"], "`set pins.reset -1`"),
    ({"shift_above": 18000000}, {}, ["clock-too-fast"], "`set spi.baudrate 16000000`"),
    ({"noise": 300, "above": 9000000}, ENC, ["clock-too-fast"], "`set spi.baudrate 8000000`"),
    ({"shift_above": 22000000}, {"spi": {"baudrate": 21000000}}, ["clock-margin"],
     "close to the 21000000 Hz that are set"),
    ({"noise": 300}, {}, ["loose"], "Look for a loose wire"),
    ({"noise": 3000}, ENC, ["loose"], "bits are lost even at "),
    ({"irq": None}, {}, ["irq-wire"], "connect the chip's INT to pin 21"),
    ({"irq": "low"}, {}, ["irq-wire"], "connect the chip's INT to pin 21"),
    ({"irq": 22}, ENC, ["irq-pin"], "the chip's INT is at pin 22, not at pin 21"),
    ({"cable": False}, {}, ["no-link"], "is the cable in"),
    ({"rev": "B1"}, {**ENC, "spi": {"baudrate": 4000000}}, ["erratum-1"],
     "`set spi.baudrate 8000000`"),
    ({"rev": "B4"}, ENC, [], "the ENC28J60 answers: silicon revision B4"),
    ({}, {}, [], "the gateway 10.0.2.2 answers"),
    ({}, {"address": "10.0.2.15/24", "gateway": "10.0.2.77"}, ["silence"],
     "not from the gateway 10.0.2.77 either"),
    ({}, {"pins": {"irq": -1}}, [], "no interrupt pin is set"),
]


def look(tmp_path, monkeypatch, wires, settings, *words, before=None):
    """(exit status, the document, what is to be fixed, all text) of a visit."""
    monkeypatch.setenv("SPINET_BOARD_WIRES", json.dumps(wires))
    settings = dict(settings)
    chip = settings.pop("chip", "w5500")
    with Desk(tmp_path, settings=settings, chip=chip) as desk:
        desk.terminal.see(PROMPT)
        desk.terminal.serial.close()
        if before:
            before(desk)
        status, text, error = spinet("doctor", "--port", desk.board.path, "--json", *words)
    assert text, error
    found = json.loads(text)
    assert "advice" in found, text
    return (status, found, [row["name"] for row in found["advice"] if not row["ok"]],
            "\n".join(row["text"] for row in found["advice"]))


@pytest.mark.slow
@pytest.mark.parametrize("wires, settings, names, words", FAULTS,
                         ids=["%s-%s" % (fault[0], fault[1]) for fault in FAULTS])
def test_a_fault_is_named(tmp_path, monkeypatch, wires, settings, names, words):
    status, _, named, text = look(tmp_path, monkeypatch, wires, settings)
    assert named == names, text
    assert words in text
    assert status == (1 if names else 0)


@pytest.mark.slow
def test_the_pin_of_chip_select_is_found_where_asked_for(tmp_path, monkeypatch):
    _, _, names, text = look(tmp_path, monkeypatch, {"cs": 3}, {}, "--try-pins", "2,3,4")
    assert names == ["cs-pin"] and "`set pins.cs 3`" in text


@pytest.mark.slow
def test_a_cable_to_nobody(tmp_path, monkeypatch):
    _, _, names, text = look(tmp_path, monkeypatch, {}, {}, before=lambda desk: desk.gateway.stop())
    assert names == ["silence"] and "nothing is received within 8 s" in text


@pytest.mark.slow
def test_a_network_without_dhcp(tmp_path, monkeypatch):
    """Others talk there, but none of them gives addresses."""
    stop = threading.Event()

    def talk(desk):
        desk.gateway.stop()
        desk.thread.join(5)
        desk.gateway.close()
        board, other = desk.board.link
        port = Datagram(local=("127.0.0.1", other), remote=("127.0.0.1", board))
        frame = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x08\x06" + bytes(46)

        def speak():
            while not stop.wait(0.1):
                port.send(bytearray(frame), len(frame))
            port.close()

        threading.Thread(target=speak, daemon=True).start()

    try:
        _, _, names, text = look(tmp_path, monkeypatch, {}, {}, before=talk)
    finally:
        stop.set()
    assert names == ["no-address"] and "no DHCP server answers here" in text


@pytest.mark.slow
def test_what_a_person_sees(tmp_path):
    with Desk(tmp_path) as desk:
        desk.wait_address()
        desk.terminal.serial.close()
        status, text, error = spinet("doctor", "--port", desk.board.path, "--plain")
        assert status == 0, text + error
        assert text.endswith("""\
ok   the W5500 answers, and says that it is one
ok   the SPI clock of 33000000 Hz holds; so does every other up to 33000000 Hz
ok   there is link
ok   the interrupt on pin 21 comes with the frames
ok   the address is 10.0.2.15
ok   the gateway 10.0.2.2 answers
""")
        assert spinet("status", "--port", desk.board.path)[0] in (0, 1), "the program runs again"


GOOD = {"chip": "w5500", "answers": "w5500", "revision": 4, "up": True, "why": "",
        "pins": {"cs": 17, "reset": 20, "irq": 21}, "lines": {"sck": 18, "mosi": 19, "miso": 16},
        "baudrate": 33000000, "runs_at": 33000000,
        "clocks": [(1000000, 0), (20000000, 0), (33000000, 0)],
        "reset_works": True, "link": True, "rx": 5, "wakes": 5, "irq_pins": [],
        "address": "10.0.0.2", "gateway": "10.0.0.1", "static": False, "ping": 3}


def names(**change):
    """What is to be fixed of a board that is well but for this."""
    return [name for good, name, _ in doctor.advice(dict(GOOD, **change)) if not good]


def test_what_a_board_without_pins_to_try_is_told():
    """STM32: the bus has its pins, and they cannot be read as such."""
    assert names() == []
    assert names(answers="", clocks=[], up=False) == ["no-answer"]


def test_a_clock_to_go_back_to():
    """Never one above a clock at which bits were lost."""
    good, name, text = doctor.clock(dict(GOOD, clocks=[(1, 0), (10, 2), (20, 0)], baudrate=20))[0]
    assert (good, name) == (False, "clock-too-fast") and "`set spi.baudrate 1`" in text
    assert names(clocks=[(1000000, 0), (10000000, 0), (20000000, 1)], baudrate=10000000) == []
    assert names(clocks=[(1000000, 0), (10000000, 0), (12000000, 1)], baudrate=10000000) == [
        "clock-margin"]
