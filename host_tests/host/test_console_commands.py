"""Every command of the console, in the mode for programs; a new one without a row here fails."""
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import pytest

from boards import SERVICES, name_answer, time_answer, udp_server
from terminal import PROMPT, Desk

# Command: a mistake, and what is said of it.
MISTAKES = {
    "help": ("help nothing", "help: nothing: no such command"),
    "show": ("show", "show: show what? interfaces, arp, "),
    "ip": ("ip 10.0.2.3/24 10.0.2.3", "ip: 10.0.2.3: the gateway is another host, not this one"),
    "dhcp": ("dhcp anew", "dhcp: anew: not one of renew, release"),
    "dns": ("dns auto 10.0.2.2", "dns: 10.0.2.2 is too much; see `help dns`"),
    "hostname": ("hostname my.-desk", "hostname: my.-desk: a host's name is letters, digits and"),
    "ntp": ("ntp 10.0.2.2.2", "ntp: 10.0.2.2.2: an IPv4 address is four numbers"),
    "ping": ("ping", "ping: the host is missing; see `help ping`"),
    "traceroute": ("traceroute 10.0.2.300", "traceroute: 10.0.2.300: octet 300 is over 255"),
    "resolve": ("resolve a..b", "resolve: a..b: not a name"),
    "iperf": ("iperf 10.0.2.2:70000", "iperf: 70000 is not a port"),
    "capture": ("capture 0", "capture: 0 is not within 1 and 1000000"),
    "get": ("get colour", "get: colour: there is no such setting"),
    "set": ("set board mine", "set: mine: there is no such profile, but esp32-enc28j60, "),
    "save": ("save all", "save: all is too much; see `help save`"),
    "load": ("load older", "load: older: not old"),
    "factory-reset": ("factory-reset", "factory-reset: this forgets all settings, also the pass"),
    "reboot": ("reboot soon", "reboot: soon: not now"),
    "log": ("log show", "log: show: not one of clear, on, off"),
    "json": ("json no", "json: no: not one of on, off"),
    "repl": ("repl now", "repl: now is too much; see `help repl`"),
    "logout": ("logout", "logout: there is no password; `set password ...` makes one"),
}
# Command: what to type, and names that its records have.
ROWS = {
    "help": ("help ping", {"command", "arguments", "help"}),
    "show": ("show memory", {"free"}),
    "ip": ("ip", {"address", "link", "mac"}),
    "dhcp": ("dhcp", {"state"}),
    "dns": ("dns", {"dns"}),
    "hostname": ("hostname", {"hostname"}),
    "get": ("get chip", {"setting", "value"}),
    "set": ("set hostname desk", {"set"}),
    "save": ("save", {"saved"}),
    "load": ("load", {"loaded"}),
    "log": ("log", {"text"}),
    "json": ("json on", set()),
}
# Command: the test of what it does, here or in test_console.py, where it takes more than a line.
ELSEWHERE = {"ping": "test_ping", "traceroute": "test_traceroute", "resolve": "test_resolve",
             "ntp": "test_ntp", "iperf": "test_iperf", "logout": "test_password",
             "capture": "test_capture_ends_after_its_seconds",
             "repl": "test_repl_is_beside_and_the_network_goes_on",
             "reboot": "test_reboot_and_factory_reset",
             "factory-reset": "test_reboot_and_factory_reset"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("flash"), forwards=(*SERVICES, ("tcp", 5201))) as desk:
        desk.wait_address()
        desk.terminal.desk = desk
        desk.terminal.key("json on\r")
        desk.terminal.see('{"ok": true}\r\n')
        yield desk.terminal
        desk.terminal.key("\x15json off\r")
        desk.terminal.see(PROMPT)


def test_no_command_is_without_tests(program):
    records, _ = program.ask("help")
    commands = {record["command"] for record in records}
    assert commands == set(MISTAKES) == set(ROWS) | set(ELSEWHERE)
    here = pathlib.Path(__file__)
    source = here.read_text() + here.with_name("test_console.py").read_text()
    for name in ELSEWHERE.values():
        assert "\ndef %s(" % name in source


@pytest.mark.parametrize("name", sorted(ROWS))
def test_for_a_program(program, name):
    line, wanted = ROWS[name]
    records, end = program.ask(line)
    assert end == {"ok": True}, (records, end)
    assert wanted <= {key for record in records for key in record}, records


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake(program, name):
    line, wanted = MISTAKES[name]
    records, end = program.ask(line)
    assert records == [] and not end["ok"] and end["error"].startswith(wanted), (records, end)


@pytest.mark.parametrize("subject, wanted", [
    ("interfaces", {"address", "link", "mac"}), ("arp", {"ip", "mac", "state"}),
    ("routes", {"to", "by", "interface"}), ("sockets", {"type", "local", "state"}),
    ("counters", {"layer"}), ("dhcp", {"state", "server"}), ("log", {"text"}),
    ("services", {"name", "port", "open", "served"}), ("memory", {"free"}),
    ("board", {"runtime", "spi_hz", "network"})])
def test_show(program, subject, wanted):
    program.ask("ping 10.0.2.2 1")      # so that there is somebody to know
    records, end = program.ask("show " + subject)
    assert end == {"ok": True} and wanted <= {key for record in records for key in record}, records


def test_ping(program):
    records, end = program.ask("ping 10.0.2.2 3 100")
    assert end == {"ok": True}
    assert [r["n"] for r in records if "n" in r] == [1, 2, 3]
    assert records[-1]["sent"] == records[-1]["answered"] == 3
    assert records[0]["from"] == "10.0.2.2" and records[0]["ms"] >= 0


def test_traceroute(program):
    records, end = program.ask("traceroute 10.0.2.2")
    assert end == {"ok": True}
    assert [(r["hop"], r["address"], len(r["ms"])) for r in records] == [(1, "10.0.2.2", 3)]


def test_resolve(program):
    program.ask("dns 10.0.2.2")
    with udp_server(53, name_answer):
        assert program.ask("resolve desk.example") == (
            [{"name": "desk.example", "address": "192.0.2.7"}], {"ok": True})
        assert program.ask("resolve 192.0.2.7") == (
            [{"name": "desk.example", "address": "192.0.2.7"}], {"ok": True})
    program.ask("dns auto")


def test_ntp(program):
    with udp_server(123, time_answer):
        (record,), end = program.ask("ntp 10.0.2.2")
    assert end == {"ok": True}
    assert (record["unix"], record["stratum"], record["server"]) == (1800000000, 2, "10.0.2.2")


@pytest.mark.parametrize("words", ["", " reverse", " udp"])
def test_iperf(program, words):
    if not shutil.which("iperf3"):
        pytest.skip("needs the program iperf3")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(["iperf3", "-s", "-1", "-p", str(port)], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        records, end = program.ask("iperf 10.0.2.2:%d 1%s" % (port, words), 40)
    finally:
        server.kill()
        server.wait()
    assert end == {"ok": True} and records[0] == {"seconds": 1}
    result = records[-1]
    assert result["bytes"] > 10000 and result["bits_per_second"] > 100000
    assert bool(result["packets"]) == (words == " udp")


def test_iperf_server(program):
    if not shutil.which("iperf3"):
        pytest.skip("needs the program iperf3")
    program.key("iperf server\r")
    program.see('"port": 5201')
    subprocess.run(["iperf3", "-c", "127.0.0.1", "-p", str(program.desk.port(5201)), "-t", "1"],
                   check=True, timeout=40, stdout=subprocess.DEVNULL)
    program.see('"bits_per_second"')
    program.key("\x03")
    program.see("interrupted")
    assert program.ask("hostname")[1] == {"ok": True}


def test_capture_ends_after_its_seconds(program):
    threading.Timer(0.3, program.desk.get, ("/status.json",)).start()
    records, end = program.ask("capture 1000 2")
    assert end == {"ok": True} and records[-1]["frames"] >= 8 and records[-1]["lost"] == 0
    assert sum("pcap" in record for record in records) == records[-1]["frames"] + 1


def test_dhcp_is_renewed(program):
    assert program.ask("dhcp renew")[1] == {"ok": True}
    end = time.monotonic() + 10
    while program.desk.status()["counters"]["eth0.dhcp"]["ack"] < 2:
        assert time.monotonic() < end, "no second answer of the server"
        time.sleep(0.1)


def test_reboot_and_factory_reset(tmp_path):
    with Desk(tmp_path, settings={"services": {}}) as desk:
        term = desk.terminal
        term.see(PROMPT)
        term.ready()
        for command, name in (("reboot", "garden"), ("factory-reset yes", "spinet")):
            term.key("json on\r")
            term.see('{"ok": true}\r\n')
            assert term.ask("hostname garden")[1] == {"ok": True}
            assert not term.ask("reboot")[1]["ok"], "what is not saved would be lost"
            assert term.ask("save")[1] == {"ok": True}
            term.key(command + "\r")
            term.see('{"ok": true}\r\n')
            term.see(PROMPT)        # a new start is for people
            term.ready()
            assert term.do("hostname") == [name]
