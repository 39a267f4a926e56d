"""The program as a person sees and types it, in a terminal emulator (tmux)."""
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from board import launch
from terminal import PROMPT, Desk
from test_cli import CLI

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not shutil.which("tmux"), reason="tmux is not here")]

# The program, to which a virtual board's line looks like that of a Pico on USB.
AS_PICO = """
import sys
from serial.tools import list_ports, list_ports_common
path, *sys.argv[1:] = sys.argv[1:]
port = list_ports_common.ListPortInfo(path, skip_link_detection=True)
port.vid, port.pid, port.serial_number, port.description = 0x2E8A, 5, "E660123", "Board in FS mode"
list_ports.comports = lambda *_: [port]
sys.path.insert(0, %r)
from spinetcli.__main__ import main
sys.exit(main())
""" % str(launch.REPO / "tools")


class Tmux:
    """A program in a terminal of 100 columns, in a `with`."""

    def __init__(self, *words):
        self.words = words
        self.name = "spinet-%d-%d" % (os.getpid(), id(self))

    def tmux(self, *words):
        return subprocess.run(["tmux", "-L", self.name, "-f", "/dev/null", *words],
                              capture_output=True, text=True, timeout=20).stdout

    def __enter__(self):
        command = shlex.join(map(str, self.words)) + "; echo \"[status $?]\"; sleep 600"
        self.tmux("new-session", "-d", "-x", "100", "-y", "50", command)
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")

    def screen(self):
        return self.tmux("capture-pane", "-p", "-J")

    def key(self, *names):
        """Press keys by their names: C-c, Up, Tab, Enter."""
        self.tmux("send-keys", *names)

    def type(self, text):
        """Type a line."""
        self.tmux("send-keys", "-l", text)
        self.key("Enter")

    def see(self, text, seconds=40):
        """Wait until `text` is on the screen; the screen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen = self.screen()
            if text in seen:
                return seen
            time.sleep(0.1)
        return pytest.fail("%r is not seen, but\n%s" % (text, seen))


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path / "flash", settings={"services": {}}) as desk:
        desk.wait_address()
        desk.terminal.serial.close()
        yield desk


def saved(desk):
    return json.loads((desk.board.flash / "netcfg.json").read_text())


def configure(desk):
    return Tmux(sys.executable, "-c", AS_PICO, desk.board.path, "configure")


def test_configure_asks_again_until_it_makes_sense(desk):
    with configure(desk) as tmux:
        seen = tmux.see("Board (w5500-evb-pico):")
        assert "the board on " + desk.board.path in seen and "pico-enc28j60" in seen
        tmux.type("pico")
        tmux.see("pico: there is no such profile, but esp32-")
        tmux.type("w5500-evb-pico")
        tmux.see("Name (spinet):")
        tmux.type("my board")
        tmux.see("'my board': a host's name is letters")
        tmux.type("desk-9")
        tmux.see("Address by DHCP [y/n] (y):")
        tmux.type("perhaps")
        tmux.see("Please enter Y or N")
        tmux.type("n")
        tmux.see("Address, such as 192.168.1.20/24:")
        tmux.type("10.0.2.300/24")
        tmux.see("10.0.2.300: octet 300 is over 255")
        tmux.type("10.0.2.15")
        tmux.see("10.0.2.15: the prefix length is missing, such as 10.0.2.15/24")
        tmux.key("Enter")
        tmux.see("something must be said here")
        tmux.type("10.0.2.15/24")
        tmux.see("Gateway, - for none:")
        tmux.type("10.0.3.1")
        tmux.see("10.0.3.1: the gateway is not in the network of 10.0.2.15/24")
        tmux.type("10.0.2.2")
        tmux.see("Name servers, - for none (10.0.2.2):")
        tmux.key("Enter")
        seen = tmux.see("[status 0]")
    assert "works: 10.0.2.15/24, the gateway answers within " in seen
    assert saved(desk) == {"board": "w5500-evb-pico", "hostname": "desk-9", "services": {},
                           "address": "10.0.2.15/24", "gateway": "10.0.2.2", "dns": ["10.0.2.2"]}


def test_ctrl_c_while_it_asks_leaves_the_board_as_it_was(desk):
    before, starts = saved(desk), desk.board.starts
    with configure(desk) as tmux:
        tmux.see("Board (w5500-evb-pico):")
        tmux.key("Enter")
        tmux.see("Name (spinet):")
        tmux.type("changed")
        tmux.see("Address by DHCP")
        tmux.key("C-c")
        seen = tmux.see("[status 130]")
    assert "interrupted" in seen and "Traceback" not in seen
    assert saved(desk) == before and desk.board.starts == starts


def test_a_refusal_in_the_middle_leaves_the_board_as_it_was(desk):
    before = saved(desk)
    with Tmux(sys.executable, CLI, "configure", "--port", desk.board.path, "hostname=changed",
              "watchdog_ms=5") as tmux:
        seen = tmux.see("[status 1]")
        assert "a watchdog's time is 1000 to 8388 ms" in seen
    with Tmux(sys.executable, CLI, "console", "--port", desk.board.path) as tmux:
        tmux.see(PROMPT.strip())
        tmux.type("get hostname")
        tmux.see("spinet\nspinet>")
    assert saved(desk) == before


def test_console_has_history_and_completion(desk):
    with Tmux(sys.executable, CLI, "console", "--port", desk.board.path) as tmux:
        tmux.see("Ctrl-] leaves")
        tmux.see(PROMPT.strip())
        tmux.tmux("send-keys", "-l", "host")
        tmux.key("Tab")
        tmux.see("spinet> hostname")
        tmux.key("Enter")
        tmux.see("hostname \nspinet\n")
        tmux.type("dhcp")
        tmux.see("10.0.2.2")
        tmux.key("Up", "Up")
        tmux.see("are left\nspinet> hostname")
        tmux.key("C-u")
        tmux.tmux("send-keys", "-l", "show sockts")
        tmux.key("Left", "Left", "e")
        tmux.see("show sockets")
        tmux.key("C-c")
        tmux.key("C-]")
        tmux.see("[status 0]")


def test_provision_shows_its_bar_below_what_it_says(desk, tmp_path):
    path = tmp_path / "boards.csv"
    path.write_text("port,hostname\n%s,door-1\n/dev/nothing,door-2\n" % desk.board.path)
    with Tmux(sys.executable, CLI, "provision", path) as tmux:
        seen = tmux.see("0/2")
        seen = tmux.see("door-2 on /dev/nothing")
        seen = tmux.see("[status 1]")
    assert seen.index("works: 10.0.2.15/24") < seen.index("2/2") < seen.index(
        "2 boards: 1 work, 1 do not")
    assert "there is no such port" in seen
