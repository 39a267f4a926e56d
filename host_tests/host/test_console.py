"""The console, through a pty as a person or a program uses it: every command."""
import base64
import contextlib
import json
import shutil
import socket
import struct
import subprocess
import threading
import time
import zlib

import pytest

from boards import SERVICES, name_answer, need_runtime, time_answer, udp_server
from terminal import PROMPT, Desk, Terminal

COMMANDS = (
    "help show ip dhcp dns hostname ntp ping traceroute resolve iperf capture get set save load "
    "factory-reset reboot log json repl logout").split()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("flash"), forwards=(*SERVICES, ("tcp", 5201))) as desk:
        desk.wait_address()
        yield desk


@pytest.fixture
def term(desk):
    """A terminal with a prompt, in the mode for people."""
    desk.terminal.ready()
    return desk.terminal


@pytest.fixture
def program(term):
    """The same terminal in the mode for programs."""
    term.key("json on\r")
    term.see('{"ok": true}\r\n')
    yield term
    term.key("\x15json off\r")
    term.see(PROMPT)


def test_help_lists_every_command(term):
    lines = term.do("help")
    assert [line.split()[0] for line in lines[:-1]] == COMMANDS


def test_every_command_has_help_of_its_own(term):
    for name in COMMANDS:
        lines = term.do("help " + name)
        assert lines[0].split()[0] == name and lines[1].startswith("    ")


def test_show_interfaces(term):
    lines = term.do("show interfaces")
    assert lines[0].startswith("eth0: W5500, link up, ")
    assert lines[1] == "    address  10.0.2.15/24 (DHCP, bound)"
    assert lines[2] == "    gateway  10.0.2.2"


def test_show_arp_routes_sockets(term):
    term.do("ping 10.0.2.2 1")
    lines = term.do("show arp")
    assert lines[0].split() == ["ip", "mac", "state"] and lines[1].split()[0] == "10.0.2.2"
    lines = term.do("show routes")
    assert ["10.0.2.0/24", "directly", "eth0"] in [line.split() for line in lines]
    assert ["0.0.0.0/0", "10.0.2.2", "eth0"] in [line.split() for line in lines]
    lines = term.do("show sockets")
    assert ["tcp", "*:80", "LISTEN", "0", "0"] in [line.split() for line in lines]


def test_show_counters_says_what_is_not_0(term):
    lines = term.do("show counters")
    layers = [line.split()[0] for line in lines]
    assert "eth0" in layers and "eth0.dhcp" in layers
    assert not any(word == "0" for line in lines for word in line.split())


def test_show_dhcp(term):
    lines = term.do("show dhcp")
    assert lines[0] == "bound: 10.0.2.15/24 from 10.0.2.2"
    assert lines[1].split() == ["gateway", "10.0.2.2"]
    assert lines[-1].startswith("    lease    3600 s, of which 3")
    assert lines[-1].endswith(" are left")


def test_show_services_memory_board_log(term):
    assert term.do("show services")[1].split() == ["http/tcp", "80", "0", "0"]
    assert term.do("show memory")[0].startswith("free ")
    assert term.do("show board")[0].startswith("spinet ")
    assert any(line.endswith("spinet at 10.0.2.15/24") for line in term.do("show log"))


def test_log_is_shown_and_cleared(term):
    assert any("spinet at 10.0.2.15/24" in line for line in term.do("log"))
    assert term.do("log off") == term.do("log on") == term.do("log clear") == []
    assert term.do("log") == []


@pytest.mark.parametrize("command, place, complaint", [
    ("ip 10.0.0.300/24", "300", "ip: 10.0.0.300: octet 300 is over 255"),
    ("ip 10.0.0.3", "10.0.0.3", "ip: 10.0.0.3: the prefix length is missing, such as 10.0.0.3/24"),
    ("ip 10.0.0.3/33", "33", "ip: 10.0.0.3/33: prefix length 33 is over 32"),
    ("ip 10.0.0.0/24", "10.0.0.0", "ip: 10.0.0.0/24: this is the address of the network itself"),
    ("ip 10.0.0.3/24 10.0.1.1", "10.0.1.1",
     "ip: 10.0.1.1: the gateway is not in the network of 10.0.0.3/24"),
    ("ip 1.2.3/24", "1.2.3", "ip: 1.2.3: an IPv4 address is four numbers with dots between"),
    ("nothing", "nothing", "nothing: no such command; `help` lists them"),
    ("show nothing", "nothing", "show: nothing: not one of interfaces, arp, routes, sockets, "
     "counters, dhcp, log, services, memory, board"),
    ("s", "s", "s: s may be show, set, save"),
    ("ping 10.0.2.2 many", "many", "ping: many is not a whole number"),
    ("ping 10.0.2.300", "300", "ping: 10.0.2.300: octet 300 is over 255"),
    ("ping 10.0.2.2 1 2 3", "3", "ping: 3 is too much; see `help ping`"),
    ("set spi.id fast", "fast", "set: fast is not a whole number"),
    ("set pins.cs 99", "99", "set: pins.cs: there is no pin 99 here (invalid pin)"),
    ("set services.http 0", "0", "set: 0 is not within 1 and 65535"),
    ("set services.gopher 70", "services.gopher",
     "set: services.gopher: there is no such setting"),
    ('set hostname ""', '""', "set: a host's name is 1 to 32 characters"),
    ("set mac 01:00:00:00:00:01", "01:00:00:00:00:01",
     "set: 01:00:00:00:00:01: no single host has such an address"),
    ("set colour red", "colour", "set: colour: there is no such setting"),
    ("hostname -x", "-x", "hostname: -x: a host's name is letters, digits and, between them, -"),
    ("dns 1.2.3.4 1.2.3.x", "x", "dns: 1.2.3.x: x is not a decimal number"),
    ('set hostname "a', '"a', 'set: the closing " is missing'),
    ("iperf 10.0.2.2:x", "x", "iperf: x is not a port"),
    ("iperf 10.0.2.2:70000", "70000", "iperf: 70000 is not a port"),
    ("ntp 10.0.2.300", "300", "ntp: 10.0.2.300: octet 300 is over 255"),
    ("ntp a..b", "a..b", "ntp: a..b: not a name"),
    ("set ntp 10.0.2.300", "10", "set: 10.0.2.300: octet 300 is over 255"),
    ("reboot soon", "soon", "reboot: soon: not now"),
])
def test_an_error_says_what_is_wrong_and_where(term, command, place, complaint):
    lines = term.do(command)
    assert lines[1] == complaint
    assert lines[0] == " " * (len(PROMPT) + command.rindex(place)) + "^"


def test_ping(term):
    lines = term.do("ping 10.0.2.2 2 100")
    assert [line.rpartition(" in ")[0] for line in lines[:2]] == [
        "1: 100 bytes from 10.0.2.2", "2: 100 bytes from 10.0.2.2"]
    assert lines[2].startswith("2 sent, 2 answered, ")


def test_ping_without_an_answer_and_ended_by_ctrl_c(term):
    term.key("ping 10.0.2.99\r")
    term.see("1: ")
    begun = time.monotonic()
    term.key("\x03")
    term.see("interrupted\r\n" + PROMPT)
    assert time.monotonic() - begun < 5


def test_the_network_goes_on_while_a_command_runs(desk, term):
    term.key("ping 10.0.2.2 20\r")
    term.see("1: ")
    assert desk.get("/status.json")[0] == 200
    term.key("\x03")
    term.see("interrupted\r\n" + PROMPT)


def test_what_is_typed_while_a_command_runs_is_done_after_it(term):
    term.key("ping 10.0.2.2 1\rhostname\r")
    term.see("1 sent, 1 answered")
    term.see("hostname\r\nspinet\r\n" + PROMPT)


def test_traceroute(term):
    (line,) = term.do("traceroute 127.0.0.1")
    assert line.split()[:2] == ["1", "127.0.0.1"] and "*" not in line
    (line,) = term.do("traceroute 10.0.2.2")
    assert line.split()[:2] == ["1", "10.0.2.2"] and "*" not in line
    with contextlib.ExitStack() as silent:
        for port in range(33434, 33446):        # open, so nobody says that they are closed
            sock = silent.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", port))
        term.key("traceroute 10.0.2.2\r")
        term.see(" 1  *               *  *  *")
        term.key("\x03")
        term.see("interrupted\r\n" + PROMPT)


def test_dns_and_resolve(term):
    assert term.do("dns 10.0.2.2") == ["name servers: 10.0.2.2  (`save` keeps it)"]
    assert term.do("dns") == ["name servers: 10.0.2.2"]
    with udp_server(53, name_answer):
        assert term.do("resolve desk.example") == ["desk.example is 192.0.2.7"]
        assert term.do("resolve 192.0.2.7") == ["192.0.2.7 is desk.example"]
    assert term.do("dns 10.0.2.9") == ["name servers: 10.0.2.9  (`save` keeps it)"]
    assert term.do("dns auto") == ["name servers: those of DHCP  (`save` keeps it)"]
    assert term.do("dns") == ["name servers: 10.0.2.2"]


def test_ntp(term):
    with udp_server(123, time_answer):
        (line,) = term.do("ntp 10.0.2.2")
    assert line.startswith("2027-01-15 08:00:00 UTC by 10.0.2.2 (stratum 2), ")
    assert "this clock was" in line


def test_ntp_without_a_server(term):
    assert term.do("ntp 10.0.2.99", 30)[-1] == "ntp: no answer from 10.0.2.99"


def need_iperf():
    if not shutil.which("iperf3"):
        pytest.skip("needs the program iperf3")


@pytest.mark.slow
def test_iperf_against_the_real_server(term):
    need_iperf()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(["iperf3", "-s", "-1", "-p", str(port)], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        lines = term.do("iperf 10.0.2.2:%d 1" % port, 40)
    finally:
        server.kill()
        server.wait()
    assert lines[0] == "measuring for 1 s; Ctrl-C ends it"
    assert lines[1].endswith(" kbit/s") and int(lines[1].split()[0]) > 10000


@pytest.mark.slow
def test_iperf_as_server_for_the_real_client(desk, term):
    need_iperf()
    term.key("iperf server\r")
    term.see("serving on port 5201; Ctrl-C ends it")
    subprocess.run(["iperf3", "-c", "127.0.0.1", "-p", str(desk.port(5201)), "-t", "1"],
                   check=True, timeout=40, stdout=subprocess.DEVNULL)
    term.see(" kbit/s\r\n")
    term.key("\x03")
    term.see("interrupted\r\n" + PROMPT)


def test_iperf_where_nobody_serves(term):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert term.do("iperf 10.0.2.2:%d" % port)[-1] == "iperf: 10.0.2.2: connection refused"


def test_capture_for_a_person(desk, term):
    term.key("capture 2\r")
    term.see("capturing; Ctrl-C ends it\r\n")
    desk.get("/status.json")
    assert "TCP" in term.see(" bytes\r\n")
    assert term.see("\r\n" + PROMPT).endswith("because this line was too slow")


def test_capture_for_a_program_is_a_pcap_file(desk, program):
    program.key("capture 4\r")
    program.see("pcap")
    desk.get("/status.json")
    program.key("\x15")
    program.see('"ok": true}\r\n')
    # Once more, whole: the lines make a file that has the frames.
    program.key("capture 4\r")
    threading.Timer(0.5, desk.get, ("/status.json",)).start()
    data = b""
    while True:
        line = json.loads(program.see("\r\n"))
        if "pcap" not in line:
            break
        piece = base64.b64decode(line["pcap"])
        assert zlib.crc32(piece) == line["crc"] & 0xFFFFFFFF
        data += piece
    assert line["frames"] == 4
    program.see('{"ok": true}\r\n')
    assert struct.unpack("<I", data[:4])[0] == 0xA1B23C4D
    at = 24
    count = 0
    while at < len(data):
        length, original = struct.unpack("<II", data[at + 8:at + 16])
        assert length == original
        at += 16 + length
        count += 1
    assert (at, count) == (len(data), 4)


def test_hostname_set_get(term):
    assert term.do("hostname desk-9") == ["hostname desk-9  (`save` keeps it)"]
    assert term.do("hostname") == ["desk-9"]
    assert term.do("get hostname")[0].split() == ["hostname", "desk-9"]
    assert term.do("hostname spinet") == ["hostname spinet  (`save` keeps it)"]
    assert term.do("set services.echo off") == [
        "services.echo is set; it is in effect after `save` and `reboot`"]
    assert term.do("get services.echo")[0].split() == ["services.echo", "off"]
    assert "address" in [line.split()[0] for line in term.do("get")]


def test_save_load_and_the_copy(desk, term):
    assert term.do("hostname one")[0].startswith("hostname one")
    assert term.do("save") == ["saved in netcfg.json"]
    assert json.loads((desk.board.flash / "netcfg.json").read_text())["hostname"] == "one"
    term.do("hostname two")
    assert term.do("load")[0].startswith("loaded; ")
    assert term.do("hostname") == ["one"]
    term.do("hostname three")
    term.do("save")
    assert term.do("load old")[0].startswith("loaded; ")
    assert term.do("hostname") == ["one"]
    term.do("hostname spinet")
    term.do("save")


def test_history_and_editing(term):
    term.do("hostname")
    term.key("\x1b[A\r")
    term.see("spinet\r\n" + PROMPT)
    term.key("hostnXame\x1b[D\x1b[D\x1b[D\x7f\r")      # back over "ame", delete the X
    term.see("spinet\r\n" + PROMPT)
    term.key("get nothing\x17hostname\x01\x06\x05\r")
    assert "hostname" in term.see("\r\n" + PROMPT)


def test_completion(term):
    term.key("host\t\r")
    term.see("hostname \r\nspinet\r\n" + PROMPT)
    term.key("show s\t\t")
    term.see("sockets  services")
    term.key("o\t\r")
    term.see("ockets \r\n")
    term.see("\r\n" + PROMPT)
    term.key("get spi.b\t\r")
    term.see("33000000\r\n" + PROMPT)
    term.key("set board w\t\x01\x0b")
    term.see("set board w5500-evb-pico ")
    term.key("set chip en\t\x15")
    term.see("enc28j60 ")


def test_ctrl_c_drops_a_line(term):
    term.key("ping 10.0.2.2\x03")
    term.see("^C\r\n" + PROMPT)


def test_commands_may_be_cut_short(term):
    assert term.do("sh int")[0].startswith("eth0: ")


def test_a_program_gets_json(program):
    records, end = program.ask("show interfaces")
    assert end == {"ok": True}
    assert records[0]["address"] == "10.0.2.15/24" and records[0]["link"] is True
    records, end = program.ask("ip 10.0.0.300/24")
    assert records == []
    assert end == {"ok": False, "error": "ip: 10.0.0.300: octet 300 is over 255", "column": 10}
    records, end = program.ask("ping 10.0.2.2 1")
    assert records[-1]["answered"] == 1
    for subject in ("arp", "routes", "sockets", "counters", "dhcp", "log", "services", "memory",
                    "board"):
        assert program.ask("show " + subject)[1] == {"ok": True}
    assert {"setting": "chip", "value": "w5500"} in program.ask("get")[0]
    assert len(program.ask("help")[0]) == len(COMMANDS)


def compute(term, seconds):
    """At the MicroPython prompt: keep it busy.  (Asleep at its prompt the unix port runs nothing of
    what a board would.)"""
    term.key("import time\r")
    term.key("exec('end = time.time() + %d\\nwhile time.time() < end: pass\\nprint(6 * 7, "
             "chr(99) + \"omputed\")')\r" % seconds)


@pytest.mark.slow
def test_repl_is_beside_and_the_network_goes_on(desk, term):
    term.key("repl\r")
    term.see("The network goes on. console() leads back.")
    term.see(">>> ")
    compute(term, 4)
    assert desk.get("/status.json")[0] == 200
    term.see("computed")
    term.key("console()\r")
    term.see(PROMPT)
    term.settle()
    assert term.do("hostname") == ["spinet"]
    term.key("\x03")                                    # Ctrl-C on an empty line leads there too
    term.see(">>> ")
    term.key("console()\r")
    term.see(PROMPT)


@pytest.mark.slow
def test_ip_and_dhcp(term):
    assert "the lease is given back; `dhcp renew` gets one" in term.do("dhcp release")
    assert "    address  none (DHCP, idle)" in term.do("ip")
    assert "asking for an address; `show dhcp` says how it stands" in term.do("dhcp renew")
    term.see("spinet at 10.0.2.15/24")
    term.ready()
    assert "address 10.0.2.30/24, gateway 10.0.2.2  (`save` keeps it)" in term.do(
        "ip 10.0.2.30/24 10.0.2.2")
    time.sleep(3)                       # the address is probed first
    term.ready()
    assert "    address  10.0.2.30/24 (static)" in term.do("ip")
    assert term.do("dhcp") == ["the address is a static one; `ip dhcp` changes that"]
    assert term.do("dhcp renew") == ["dhcp: the address is a static one; `ip dhcp` changes that"]
    term.key("ip dhcp\r")
    term.see("address by DHCP  (`save` keeps it)")
    term.see("spinet at 10.0.2.15/24")
    term.ready()


# -- with a board of their own ---------------------------------------------------

def test_reboot_keeps_what_was_saved_and_factory_reset_forgets_it(tmp_path):
    with Desk(tmp_path, settings={"services": {}}) as desk:
        term = desk.terminal
        term.see(PROMPT)
        term.ready()
        term.do("hostname garden")
        assert term.do("reboot")[-1] == (
            "reboot: there are changes that are not saved: `save`, or `reboot now`")
        term.do("save")
        term.key("reboot\r")
        term.see("restarting")
        term.see(PROMPT)
        assert desk.board.starts == 2
        term.ready()
        assert term.do("hostname") == ["garden"]
        assert "yes" in term.do("factory-reset")[-1]
        term.key("factory-reset yes\r")
        term.see("all settings are forgotten; restarting with defaults")
        term.see("netcfg.json: none, using defaults")
        term.see(PROMPT)
        term.ready()
        assert term.do("hostname") == ["spinet"]


@pytest.mark.slow
def test_power_cuts_while_saving_lose_nothing(tmp_path):
    """The power fails at some moment around a save; the name is the old or the new one."""
    with Desk(tmp_path, settings={"services": {}, "hostname": "n0"}) as desk:
        term = desk.terminal
        before = "n0"
        for n in range(1, 5):
            term.see(PROMPT)
            term.ready()
            (found,) = term.do("hostname")
            assert found in (before, "n%d" % (n - 1))
            before = found
            term.do("hostname n%d" % n)
            term.key("save\r")
            time.sleep(0.002 * n)
            desk.board.cut()


def test_password(tmp_path):
    with Desk(tmp_path, settings={"services": {}}) as desk:
        term = desk.terminal
        term.see(PROMPT)
        term.ready()
        term.do("set password tulip")
        assert term.do("get password")[0].split() == ["password", "(set)"]
        assert "tulip" not in str(term.do("save"))
        assert "tulip" not in (tmp_path / "netcfg.json").read_text()
        term.key("logout\r")
        term.see("password: ")
        term.key("\x03\x03rose\r")
        term.see("****\r\nwrong password\r\npassword: ")
        term.key("tulip\r")
        term.see("*****\r\n" + PROMPT)
        term.settle()
        term.key("reboot\r")
        term.see("restarting")
        term.see("password: ")


def test_safe_mode_by_ctrl_c(tmp_path):
    with Desk(tmp_path, settings={"password": "forgotten"}) as desk:
        term = desk.terminal
        term.see("password: ")
        desk.board.cut()
        for _ in range(40):             # as one who leans on the key
            term.key("\x03")
            time.sleep(0.05)
            if any("safe mode" in line for line in desk.lines):
                break
        term.see("safe mode, because Ctrl-C at the start: nothing was started")
        term.key("console()\r")
        term.ready()
        assert term.do("ping 10.0.2.2")[-1] == "ping: no network: safe mode"
        assert term.do("set hostname rescued")[0].startswith("hostname is set")
        term.do("save")
    assert "rescued" in (tmp_path / "netcfg.json").read_text()


def test_safe_mode_by_a_pin(tmp_path, monkeypatch):
    with Desk(tmp_path, settings={"safe_pin": 5}) as desk:
        desk.wait_line("link up")
        monkeypatch.setenv("SPINET_BOARD_LOW", "5")
        desk.board.cut()
        desk.terminal.see("safe mode, because the pin 5 is held low: nothing was started")


@pytest.mark.slow
def test_a_watchdog_is_fed_at_the_console_and_beside_the_prompt(tmp_path):
    with Desk(tmp_path, settings={"watchdog_ms": 2000, "services": {}}) as desk:
        term = desk.terminal
        term.see(PROMPT)
        time.sleep(3)
        term.key("repl\r")
        term.see(">>> ")
        compute(term, 4)
        term.see("computed")
        assert desk.board.starts == 1
        term.key("the_board.beside(False)\r")       # from now on nobody feeds it
        compute(term, 9)
        term.see("machine: watchdog reset")
        term.see(PROMPT)
        assert desk.board.starts == 2


@pytest.mark.parametrize("runtime", ("cpython", "micropython"))
def test_the_console_is_there_when_the_chip_is_not(tmp_path, runtime):
    need_runtime(runtime)
    with Desk(tmp_path, runtime, settings={"pins": {"cs": 3}}) as desk:
        term = desk.terminal
        term.see("looking again every 3 s")
        term.ready()
        assert term.do("show interfaces")[-1].startswith("show: no network: w5500: ")
        assert "W5500" in term.do("show board")[2]


@pytest.mark.slow
def test_the_other_runtime_has_the_same_console(tmp_path):
    with Desk(tmp_path, "cpython") as desk:
        desk.wait_address()
        term = desk.terminal
        assert term.do("show interfaces")[1] == "    address  10.0.2.15/24 (DHCP, bound)"
        assert term.do("ping 10.0.2.2 1")[-1].startswith("1 sent, 1 answered")


def test_a_terminal_may_come_and_go(desk):
    desk.terminal.ready()
    with Terminal(desk.board.path) as other:
        other.ready()
        assert other.do("hostname") == ["spinet"]
