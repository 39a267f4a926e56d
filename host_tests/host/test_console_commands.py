"""Every command of the console, in the mode for programs; a new one without a row here fails."""
import pathlib

import pytest

from terminal import PROMPT, Desk

# Command: what to type, and what the answer has: names of its records, or the error where it must
# be refused.  What restarts the board or leaves the console is in test_console.py, in `ELSEWHERE`.
ROWS = {
    "help": ("help ping", {"command", "arguments", "help"}),
    "show": ("show memory", {"free"}),
    "ip": ("ip", {"address", "link", "mac"}),
    "dhcp": ("dhcp", {"state"}),
    "dns": ("dns", {"dns"}),
    "hostname": ("hostname", {"hostname"}),
    "ntp": ("ntp 10.0.2.2.2", "10.0.2.2.2"),
    "ping": ("ping 10.0.2.2 1", {"answered", "ms_max"}),
    "traceroute": ("traceroute 10.0.2.300", "300"),
    "resolve": ("resolve a..b", "a..b"),
    "iperf": ("iperf 10.0.2.2:70000", "70000"),
    "capture": ("capture 0", "0 is not within"),
    "get": ("get chip", {"setting", "value"}),
    "set": ("set hostname desk", {"set"}),
    "save": ("save", {"saved"}),
    "load": ("load", {"loaded"}),
    "factory-reset": ("factory-reset", "forgets all settings"),
    "log": ("log", {"text"}),
    "json": ("json on", set()),
    "logout": ("logout", "there is no password"),
}
ELSEWHERE = {"repl": "test_repl_is_beside_and_the_network_goes_on",
             "reboot": "test_reboot_keeps_what_was_saved_and_factory_reset_forgets_it"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("flash")) as desk:
        desk.wait_address()
        desk.terminal.key("json on\r")
        desk.terminal.see('{"ok": true}\r\n')
        yield desk.terminal
        desk.terminal.key("\x15json off\r")
        desk.terminal.see(PROMPT)


def test_no_command_is_without_a_test(program):
    records, _ = program.ask("help")
    assert {record["command"] for record in records} == set(ROWS) | set(ELSEWHERE)
    source = (pathlib.Path(__file__).parent / "test_console.py").read_text()
    for name in ELSEWHERE.values():
        assert "\ndef %s(" % name in source


@pytest.mark.parametrize("name", sorted(ROWS))
def test_for_a_program(program, name):
    line, wanted = ROWS[name]
    records, end = program.ask(line)
    if isinstance(wanted, str):
        assert not end["ok"] and wanted in end["error"], (records, end)
        return
    assert end == {"ok": True}, (records, end)
    assert wanted <= {key for record in records for key in record}, records
