"""`spinet provision`: lists that are wrong, and several virtual boards, some of which fail."""
import contextlib
import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from spinetcli import provision, roster
from terminal import Desk, pexpect
from test_cli import CLI, spinet

# A list and what is said of it.
WRONG = [
    ("a.csv", "", ["a.csv: there is no board in it"]),
    ("a.csv", "hostname\ndesk\n", ["a.csv:2, port: there is none; `spinet ports` lists them"]),
    ("a.csv", "port,hostname\nCOM1,desk,x\n\nCOM2\n",
     ["a.csv:2: 3 fields, where the first line names 2", "a.csv:4: 1 fields, where"]),
    ("a.csv", "port,adress\nCOM1,dhcp\nCOM2,dhcp\n",
     ["a.csv:1, adress: there is no such setting, perhaps address is meant"]),
    ("a.csv", "port,address\nCOM1,10.0.0.300/24\n",
     ["a.csv:2, address: 10.0.0.300: octet 300 is over 255"]),
    ("a.csv", "port,address,gateway\nCOM1,10.0.0.3/24,10.0.1.1\n",
     ["a.csv:2, gateway: 10.0.1.1: the gateway is not in the network of 10.0.0.3/24"]),
    ("a.csv", "port,board\nCOM1,nothing\n",
     ["a.csv:2, board: nothing: there is no such profile, but "]),
    ("a.csv", "port,spi.baudrate\nCOM1,fast\n",
     ["a.csv:2, spi.baudrate: fast is not a whole number"]),
    ("a.csv", 'port,hostname\nCOM1,"desk\n', ["a.csv:2: unexpected end of data"]),
    ("a.csv", "port,port\nCOM1,COM2\n", ["a.csv:1: two columns are called 'port'"]),
    ("a.csv", "port,hostname,address\nCOM1,a,10.0.0.2/24\nCOM2,A,dhcp\nCOM3,b,10.0.0.2/16\n"
     "com1,c,dhcp\n",
     ["a.csv:3, hostname: A is that of line 2 already", "a.csv:4, address: 10.0.0.2/16 is that of "
      "line 2 already", "a.csv:5, port: com1 is that of line 2 already"]),
    ("a.toml", '[[board]]\nport = "COM1"\nhostname = desk\n', ["a.toml:3: "]),
    ("a.toml", '[board]\nport = "COM1"\n', ["a.toml: each board begins with [[board]]"]),
    ("a.toml", '[[bord]]\nport = "COM1"\n', ["a.toml: 'bord' means nothing here"]),
    ("a.toml", '[[board]]\nport = "COM1"\n\n[[board]]\nport = "COM2"\naddress = "10.0.0.255/24"\n',
     ["a.toml:4, address: 10.0.0.255/24: this is the network's broadcast address"]),
]


@pytest.mark.parametrize("name, text, said", WRONG)
def test_a_wrong_list_is_refused_before_any_board_is_touched(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as refused:
        roster.read(tmp_path / name)
    for words, line in zip(said, str(refused.value).splitlines()):
        assert words in line
    assert len(said) == len(str(refused.value).splitlines())


def test_a_wrong_list_is_status_2(tmp_path):
    (tmp_path / "a.csv").write_text("hostname\ndesk\n")
    status, _, error = spinet("provision", tmp_path / "a.csv")
    assert status == 2 and "a.csv:2, port: there is none" in error
    status, _, error = spinet("provision", tmp_path / "b.csv")
    assert status == 2 and "b.csv" in error
    (tmp_path / "a.csv").write_text("port\n/dev/nothing\n")
    (tmp_path / "a.csv.done").write_text("{")
    status, _, error = spinet("provision", tmp_path / "a.csv")
    assert status == 2 and "a.csv.done is damaged: delete it, or give --again" in error


def test_what_spreadsheets_write(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffport;hostname;dns\r\n# the door\r\nCOM3; a ;1.1.1.1 9.9.9.9\r\n;;\r\n"
                     .encode())
    rows = roster.read(path)
    assert rows == [{"port": "COM3", "hostname": "a", "dns": "1.1.1.1 9.9.9.9"}]
    assert rows[0].line == 3 and rows[0].wanted == {"hostname": "a", "dns": "1.1.1.1 9.9.9.9"}


def test_toml_with_lists_and_tables(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('[[board]]\nport = "COM5"\nhostname = "a"\ndns = ["1.1.1.1", "9.9.9.9"]\n'
                    'services = {http = 8080}\n[board.pins]\nirq = -1\n')
    assert roster.read(path) == [{
        "port": "COM5", "hostname": "a", "dns": "1.1.1.1 9.9.9.9", "services.http": "8080",
        "pins.irq": "-1"}]


def test_a_report_is_a_table_or_json(tmp_path):
    results = [{"hostname": "a", "port": "COM1", "works": False, "why": "no, \"not\" it"}]
    provision.report(str(tmp_path / "r.csv"), results)
    with open(tmp_path / "r.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["works"], row["why"], row["mac"]) == ("no", 'no, "not" it', "")
    provision.report(str(tmp_path / "r.json"), results)
    assert json.loads((tmp_path / "r.json").read_text()) == results
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json"]


@contextlib.contextmanager
def desks(tmp_path, count):
    """So many virtual boards, each with an id of its own and at a network of its own."""
    with contextlib.ExitStack() as stack:
        made = []
        for n in range(1, count + 1):
            desk = Desk(tmp_path / ("flash%d" % n), settings={"services": {}})
            desk.board.env = {"SPINET_BOARD_ID": "brd-%04d" % n}
            made.append(stack.enter_context(desk))
        for desk in made:
            desk.wait_address()
            desk.terminal.serial.close()
        yield made


def ids(n):
    return (b"brd-%04d" % n).hex()


def write_list(tmp_path, boards):
    path = tmp_path / "boards.csv"
    path.write_text("port,hostname,address,gateway,id\n" + "".join(
        "%s,door-%d,10.0.2.15/24,10.0.2.2,%s\n" % (desk, n, id)
        for n, (desk, id) in enumerate(boards, 1)).replace("10.0.2.15/24,10.0.2.2", "dhcp,"))
    return path


def hostname(desk):
    return json.loads((desk.board.flash / "netcfg.json").read_text()).get("hostname")


@pytest.mark.slow
def test_boards_that_fail_do_not_keep_the_others_waiting(tmp_path):
    """A board that is missing, another one than is wanted, one that works; then all but the one."""
    with desks(tmp_path, 2) as (first, second):
        path = write_list(tmp_path, [("/dev/nothing", ""), (first.board.path, ids(7)),
                                     (second.board.path, ids(2))])
        status, text, _ = spinet("provision", path, "--json", "--report", tmp_path / "report.csv")
        assert status == 1
        missing, wrong, works = json.loads(text)
        assert not missing["works"] and "there is no such port" in missing["why"]
        assert wrong["why"] == "another board is on %s: its id is %s, not %s" % (
            first.board.path, ids(1), ids(7))
        assert works["works"] and works["address"] == "10.0.2.15/24" and works["id"] == ids(2)
        assert (hostname(first), hostname(second)) == (None, "door-3"), "the wrong one was changed"
        with open(tmp_path / "report.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["works"] for row in rows] == ["no", "no", "yes"]
        assert rows[2]["mac"] == works["mac"] and rows[2]["hostname"] == "door-3"
        starts = second.board.starts
        path.write_text(path.read_text().replace(ids(7), ids(1)))
        status, text, _ = spinet("provision", path, "--plain")
        assert status == 1 and "door-3: done before" in text
        assert "3 boards: 2 work, 1 do not" in text
        assert second.board.starts == starts and hostname(first) == "door-2"


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path):
    with desks(tmp_path, 3) as made:
        path = write_list(tmp_path, [(desk.board.path, "") for desk in made])
        words = [sys.executable, CLI, "provision", str(path), "--report", str(tmp_path / "r.json")]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        for line in running.stdout:
            if line.startswith("door-2 on"):
                break
        running.send_signal(signal.SIGKILL)
        running.communicate()
        assert len(json.loads((tmp_path / "boards.csv.done").read_text())) == 1
        assert [row["hostname"] for row in json.loads((tmp_path / "r.json").read_text())] == [
            "door-1"]
        starts = made[0].board.starts
        status, text, error = spinet("provision", path, "--json")
        assert status == 0, text + error
        assert [row.get("skipped", False) for row in json.loads(text)] == [True, False, False]
        assert made[0].board.starts == starts
        assert [hostname(desk) for desk in made] == ["door-1", "door-2", "door-3"]
        # And nothing is left to do.
        starts = [desk.board.starts for desk in made]
        assert spinet("provision", path)[0] == 0
        assert [desk.board.starts for desk in made] == starts


@pytest.mark.slow
def test_a_board_that_dies_in_the_middle(tmp_path):
    with desks(tmp_path, 2) as (first, second):
        # (A name of its own: the system gives the number of a terminal that is gone to others.)
        name = tmp_path / "ttyFIRST"
        name.symlink_to(first.board.path)
        path = write_list(tmp_path, [(name, ""), (second.board.path, "")])
        child = pexpect.spawn(sys.executable, [CLI, "provision", "--plain", str(path)],
                              encoding="utf-8", timeout=60)
        child.expect_exact("door-1 on ")
        child.expect_exact("saved: ")
        name.unlink()
        first.board.stop()
        child.expect(r"2 boards: 1 work, 1 do not")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 1
        assert hostname(second) == "door-2"


@pytest.mark.slow
def test_the_bar_is_at_a_terminal_only(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("port\n/dev/nothing\n")

    def seen(*words):
        child = pexpect.spawn(sys.executable, [CLI, "provision", str(path), *words],
                              encoding="utf-8", timeout=20, dimensions=(24, 100))
        child.expect(pexpect.EOF)
        child.close()
        return child.before

    assert "1/1" in seen() and "\x1b[31m" in seen()
    assert "1/1" in seen("--no-color") and "\x1b[31m" not in seen("--no-color")
    assert "1/1" not in seen("--quiet")
    status, text, error = spinet("provision", path)
    assert "1/1" not in text + error and "\x1b" not in text + error


def test_passwords_are_not_noted(tmp_path):
    row = roster.Row({"port": "/dev/nothing", "password": "tulip", "login": "rose"}, 2)

    class Options:
        password = None

    class Silent:
        def say(self, *_):
            pass

    began = time.time()
    result = provision.one(row, Options, Silent())
    assert "tulip" not in json.dumps(result) and "rose" not in json.dumps(result)
    assert result["works"] is False and time.time() - began < 5
