"""The console on a line as a UART is, without a network: what it needs of a runtime is there."""
import json
import sys


class Machine:
    """Stands in for `machine`, which not every runtime has."""

    resets = 0

    @staticmethod
    def reset():
        Machine.resets += 1


def with_machine(function, *args):
    """What `function` returns, the stand-in being there for it alone."""
    before = sys.modules.get("machine")
    sys.modules["machine"] = Machine
    try:
        return function(*args)
    finally:
        del sys.modules["machine"]
        if before is not None:
            sys.modules["machine"] = before


with_machine(__import__, "app.board")

from app import config, log  # noqa: E402
from app.console import Console  # noqa: E402

log.printer = lambda text: None


class Stream:
    """What is typed and what is written."""

    pollable = None

    def __init__(self):
        self.typed = b""
        self.written = ""
        self.broken = False

    def read(self):
        data = self.typed[:64]
        self.typed = self.typed[64:]
        return data

    def write(self, data):
        if self.broken:
            raise OSError(5)
        self.written += data.decode()


class Board:
    """As much of a board as the console asks for."""

    def __init__(self, password=""):
        self.settings = config.complete({"password": config.hashed(password)})
        self.network = True
        self.nic = None
        self.why = "w5500: no chip"
        self.running = []
        self.leave = False
        self.console = None


def console(password=""):
    board = Board(password)
    return Console(board, Stream())


def typing(c, text, turns=20, now=0):
    """What the console writes when this is typed."""
    c.stream.written = ""
    c.stream.typed += text.encode()
    for _ in range(turns):
        c.step(now)
        now += 25
    return c.stream.written


def test_commands_without_a_network_say_so():
    c = console()
    typing(c, "")
    for command in ("show interfaces", "ip 10.0.0.2/24", "ping 10.0.0.1", "dns", "capture"):
        answer = typing(c, command + "\r")
        assert answer.startswith(command + "\r\n"), "it is echoed"
        assert "no network: w5500: no chip" in answer, answer
        assert answer.endswith("spinet> "), answer


def test_a_board_without_a_watchdog_says_so_and_runs():
    from app.board import Board as Whole

    board = Whole(config.complete({"watchdog_ms": 5000}))

    def step():
        board.leave = True
        return 0

    board.step = step
    del log.lines[:]
    board.run()
    assert "no watchdog: " in log.lines[0][1] and board.dog is None


def test_no_column_is_off():
    c = console()
    typing(c, "")
    lines = typing(c, "set   spi.id   fast\r").split("\r\n")
    assert lines[1] == " " * (8 + 15) + "^"
    assert lines[2] == "set: fast is not a whole number"


def test_a_program_gets_a_line_of_json_for_each():
    c = console()
    typing(c, "json on\r")
    lines = typing(c, "get chip\rset chip tin\rshow memory\r").split("\r\n")
    assert json.loads(lines[0]) == {"setting": "chip", "value": "w5500"}
    assert json.loads(lines[1]) == {"ok": True}
    end = json.loads(lines[2])
    assert not end["ok"] and end["column"] == 9 and "not a chip with a driver" in end["error"]
    assert json.loads(lines[-2]) == {"ok": True} and lines[-1] == ""


def test_the_password_is_asked_for_and_guessing_is_slow():
    c = console("tulip")
    assert typing(c, "").endswith("password: ")
    answer = typing(c, "a\rb\rc\rtulip\r", now=1000)
    assert answer.count("wrong password") == 3
    assert "spinet> " not in answer, "not within five seconds of the third"
    assert typing(c, "", now=7000).endswith("spinet> "), "what was typed ahead counts then"


def test_ctrl_c_leaves_no_locked_console_and_none_on_a_uart():
    for c in (console(), console("tulip")):
        typing(c, "\x03\x03")
        assert not c.board.leave


def test_reboot_asks_about_changes_and_answers_first():
    c = console()
    typing(c, "set chip enc28j60\r")
    assert "not saved" in typing(c, "reboot\r")
    before = Machine.resets
    assert "restarting" in with_machine(typing, c, "reboot now\r", 3)
    assert Machine.resets == before
    typing(c, "", 10, now=500)
    assert Machine.resets > before


def test_a_broken_line_does_no_harm():
    c = console()
    c.stream.broken = True
    typing(c, "help\r")
    c.stream.broken = False
    assert typing(c, "hostname\r").endswith("spinet\r\nspinet> ")


def test_help_and_completion_agree_with_the_table():
    from app import commands

    c = console()
    for name, _arguments, about, function, words in commands.TABLE:
        assert about and function
        assert commands.complete(c, name + " ") == list(words) or name in ("help", "get", "set")
    assert "spi.baudrate" in commands.complete(c, "set ")
    assert commands.find("tr")[0] == "traceroute"
