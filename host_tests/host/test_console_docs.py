"""What docs/console.md shows is what is seen: its sessions, played on a virtual board."""
import re
import shlex
import subprocess
import sys

import pytest

from board import launch
from terminal import PROMPT, Desk
from test_cli import CLI

PAGE = launch.REPO / "docs/console.md"
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.M | re.S)

# What differs from one visit to the next: an address made at random, counts, times.
FIGURES = [(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", "MAC"), (r"\d+ ms", "N ms"),
           (r"(\d+/)+\d+ ms", "N ms"), (r"\d+/\d+/N ms", "N ms"),
           (r"received \d+ frames, sent \d+", "received N frames, sent N")]


def seen(text):
    """The lines of `text`, without what differs, and without the order of keys in JSON."""
    for figure, name in FIGURES:
        text = re.sub(figure, name, text)
    return [", ".join(sorted(line[1:-1].split(", "))) if line[:1] == "{" else line.rstrip()
            for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def sessions(mark):
    """The blocks that begin with `mark`, each a list of (what is typed, what is seen)."""
    found = []
    for block in BLOCKS:
        if block.startswith(mark):
            parts = re.split("^" + re.escape(mark), block, flags=re.M)[1:]
            found.append([part.partition("\n")[::2] for part in parts])
    return found


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path / "flash") as desk:
        desk.wait_address()
        yield desk


def test_sessions_at_the_console(desk):
    played = sessions(PROMPT)
    assert len(played) == 2
    for session in played:
        for typed, answer in session:
            assert seen("\n".join(desk.terminal.do(typed))) == seen(answer), typed


def test_a_password(desk):
    (shown,) = [block for block in BLOCKS if block.startswith("password: ")]
    term = desk.terminal
    for command in re.search(r"`(set password \w+)`, `(save)`", PAGE.read_text()).groups():
        term.do(command)
    term.key("logout\r")
    term.see("password: ")
    term.key("tulip\r")
    assert "password: " + term.see(PROMPT) + PROMPT == shown.rstrip().replace("\n", "\r\n") + " "


def test_for_programs(desk):
    (shown,) = [block for block in BLOCKS if block.startswith("hostname\n{")]
    term = desk.terminal
    term.key("\x15json on\r")
    term.see('{"ok": true}\r\n')
    wanted = seen(shown)
    while wanted:
        term.key(wanted.pop(0) + "\r")
        while wanted and wanted[0][:1] == '"':
            assert seen(term.see("\r\n")) == [wanted.pop(0)]


def test_the_program_on_the_host(desk, tmp_path):
    """Each is as shown, but for the port, which here must be named; the list is as it should be."""
    (tmp_path / "doors.csv").write_text(
        "port,hostname,adress,address,gateway\n"
        "a,door-1,dhcp,dhcp,\n"
        "b,door-2,dhcp,10.0.0.2/24,\n"
        "c,door-3,dhcp,10.0.0.3/24,10.0.1.1\n"
        "d,door-1,dhcp,10.0.0.4/24,\n")
    desk.terminal.serial.close()
    link = tmp_path / "build/ttyBOARD"
    link.parent.mkdir()
    link.symlink_to(desk.board.path)
    played = [step for session in sessions("$ ") for step in session]
    assert len(played) == 4
    for typed, answer in played:
        program, *words = shlex.split(typed)
        if program == "mpremote":
            command = [sys.executable, "-m", program, *words]
        else:
            port = () if words[0] == "provision" else ("--port", desk.board.path)
            command = [sys.executable, CLI, *words, *port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert seen(done.stdout + done.stderr) == seen(answer), typed
