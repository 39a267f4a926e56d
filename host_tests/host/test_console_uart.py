"""The console on a UART, a second terminal of the virtual board, at the pace of its baud rate."""
import os
import pty
import time
import tty

import pytest

from boards import RUNTIMES
from terminal import PROMPT, Desk, Terminal, fdpexpect

BUFFER = 256        # bytes that the UART holds


@pytest.fixture(params=RUNTIMES)
def uart(request, tmp_path, monkeypatch):
    """A terminal at the UART of a board; what the board says comes there."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    monkeypatch.setenv("SPINET_BOARD_UART", os.ttyname(slave))
    with Desk(tmp_path, request.param, settings={
            "console": {"on": "uart", "uart": 1, "baudrate": 115200, "tx": 4, "rx": 5}}) as desk:
        desk.terminal.serial.close()
        terminal = Far(master)
        terminal.see("at 10.0.2.15/24", 30)     # what the board says comes where its console is
        terminal.ready()
        yield terminal
    for fd in (master, slave):
        os.close(fd)


class Far(Terminal):
    """A terminal at the other end of the pty whose near end the board has."""

    def __init__(self, master):
        self.child = fdpexpect.fdspawn(master, timeout=15, encoding="utf-8")


def test_commands_and_errors(uart):
    assert uart.do("hostname") == ["spinet"]
    assert uart.do("show interfaces")[0].startswith("eth0: ")
    assert "octet 300 is over 255" in "".join(uart.do("ip 10.0.0.300/24"))


def test_nothing_of_a_long_answer_is_lost_at_the_pace_of_the_line(uart):
    """`help` and `get` are longer than the buffer of a UART, which takes what fits and no more."""
    began = time.monotonic()
    lines = uart.do("help")
    took = time.monotonic() - began
    assert lines[-1].startswith("Tab completes") and len(lines) == 23, lines
    assert took > (len("\r\n".join(lines)) - BUFFER) / 11520, "no faster than the line"
    text = "\r\n".join(uart.do("get"))
    assert text.split("\r\n")[-1].startswith("watchdog_ms") and len(text) > BUFFER


def test_for_programs(uart):
    uart.key("json on\r")
    uart.see('{"ok": true}\r\n')
    records, end = uart.ask("get")
    assert end == {"ok": True} and {"setting": "chip", "value": "w5500"} in records
    uart.key("json off\r")
    uart.see(PROMPT)


def test_the_prompt_is_not_here(uart):
    assert "the MicroPython prompt is on USB" in "".join(uart.do("repl"))
