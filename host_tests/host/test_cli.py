"""The program `spinet`, and mpremote, at the serial line of a virtual board."""
import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
import time

import pytest

import dist
from board import launch
from board.device import Device
from boards import need_runtime
from spinetcli import deploy, setup
from terminal import PROMPT, Desk, pexpect

CLI = str(launch.REPO / "tools/spinetcli")


def spinet(*words, timeout=90):
    """(exit status, standard output, standard error) of the program."""
    done = subprocess.run([sys.executable, CLI, *map(str, words)], capture_output=True,
                          timeout=timeout)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("flash")) as desk:
        desk.wait_address()
        desk.terminal.serial.close()
        yield desk


def test_help_says_what_each_command_does():
    status, text, _ = spinet("--help")
    assert status == 0
    for name in ("ports", "install", "configure", "status", "doctor", "console", "capture",
                 "provision"):
        assert "\n    %s" % name in text
    assert "exit status" in text


def test_a_port_that_is_not_there_is_status_3():
    status, _, error = spinet("status", "--port", "/dev/nothing")
    assert status == 3 and "cannot be opened" in error
    status, text, _ = spinet("status", "--port", "/dev/nothing", "--json")
    assert status == 3 and "cannot be opened" in json.loads(text)["error"]


def test_a_wrong_command_line_is_status_2():
    assert spinet("nothing")[0] == 2
    assert spinet("configure", "--port", "/dev/nothing", "hostname")[0] == 2


def test_quiet_says_errors_only(desk):
    status, text, error = spinet("status", "--port", desk.board.path, "--quiet")
    assert (status, text, error) == (0, "", "")
    status, text, error = spinet("status", "--port", "/dev/nothing", "--quiet", "--no-color")
    assert status == 3 and text == "" and "cannot be opened" in error


def test_status(desk):
    status, text, _ = spinet("status", "--port", desk.board.path, "--plain")
    assert status == 0
    assert "address 10.0.2.15/24 (DHCP, bound), gateway 10.0.2.2\n" in text
    assert "service http/tcp on port 80" in text and "is used, not" not in text
    status, text, _ = spinet("status", "--port", desk.board.path, "--json")
    assert status == 0 and json.loads(text)["interfaces"][0]["link"] is True


def test_status_tells_of_a_spinet_that_hides_the_images(tmp_path):
    (tmp_path / "spinet_rom.py").touch()        # what an image has, and nothing else
    with Desk(tmp_path) as desk:
        desk.wait_line("is used, not the image's own spinet")
        desk.wait_address()
        desk.terminal.serial.close()
        status, text, _ = spinet("status", "--port", desk.board.path, "--plain")
    assert status == 0
    assert "spinet/__init__.py is used, not the spinet of the board's image" in text


def test_capture_is_a_pcap_file(desk, tmp_path):
    file = tmp_path / "x.pcap"
    stop = threading.Event()

    def ask():
        while not stop.wait(0.3):
            desk.get("/status.json")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        status, text, _ = spinet("capture", file, "--count", 5, "--seconds", 30, "--port",
                                 desk.board.path)
        assert status == 0 and text.startswith("5 frames in ")
        status, text, _ = spinet("capture", "-", "--count", 2, "--port", desk.board.path)
    finally:
        stop.set()
        thread.join()
    assert status == 0
    data = file.read_bytes()
    assert struct.unpack("<I", data[:4])[0] == 0xA1B23C4D
    at, count = 24, 0
    while at < len(data):
        at += 16 + struct.unpack("<I", data[at + 8:at + 12])[0]
        count += 1
    assert (at, count) == (len(data), 5)


def test_console(desk):
    child = pexpect.spawn(sys.executable, [CLI, "console", "--port", desk.board.path],
                          encoding="utf-8", timeout=20)
    child.expect_exact(PROMPT)
    child.send("hostname\r")
    child.expect_exact("hostname\r\nspinet\r\n" + PROMPT)
    child.send("\x1d")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.slow
def test_configure_from_the_command_line(tmp_path):
    with Desk(tmp_path, settings={"services": {}}) as desk:
        desk.wait_address()
        desk.terminal.serial.close()
        status, text, error = spinet(
            "configure", "--port", desk.board.path, "board=w5500-evb-pico", "hostname=desk-3",
            "address=10.0.2.15/24", "gateway=10.0.2.2", "--json")
        assert status == 0, text + error
        result = json.loads(text)
        assert result["works"] and result["address"] == "10.0.2.15/24" and "ping_ms" in result
        saved = json.loads((tmp_path / "netcfg.json").read_text())
        assert saved == {"board": "w5500-evb-pico", "hostname": "desk-3", "services": {},
                         "address": "10.0.2.15/24", "gateway": "10.0.2.2"}
        status, _, error = spinet("configure", "--port", desk.board.path, "address=10.0.0.300/24")
        assert status == 1 and "octet 300 is over 255" in error


@pytest.mark.slow
def test_configure_asks(tmp_path):
    with Desk(tmp_path, settings={"services": {}}) as desk:
        desk.wait_address()
        desk.terminal.serial.close()
        child = pexpect.spawn(sys.executable, [CLI, "configure", "--plain", "--port",
                                               desk.board.path], encoding="utf-8", timeout=40)
        child.expect_exact("Board (w5500-evb-pico): ")
        child.send("\r")
        child.expect_exact("Name (spinet): ")
        child.send("desk-4\r")
        child.expect_exact("Address by DHCP [y/n] (y): ")
        child.send("y\r")
        child.expect_exact("saved: board=w5500-evb-pico, hostname=desk-4")
        child.expect_exact("works: 10.0.2.15/24, the gateway answers within ")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0


def test_every_profile_is_whole():
    for name, about in setup.profiles().items():
        assert about and (launch.REPO / "firmware/boards" / (name + ".json")).exists()
    assert {"pico-w5500", "pico-enc28j60", "pico2-w5500", "pico2-enc28j60", "w5500-evb-pico",
            "esp32-w5500", "stm32-w5500", "samd-w5500"} <= set(setup.profiles())


def test_every_profile_loads_without_a_complaint(monkeypatch):
    from app import config, log

    monkeypatch.chdir(launch.REPO / "firmware")
    monkeypatch.setattr(log, "printer", lambda text: None)
    for name in setup.profiles():
        del log.lines[:]
        settings = config.complete({"board": name})
        assert log.lines == []
        assert settings["chip"] in name or name == "w5500-evb-pico"


def test_what_is_installed_is_all_that_the_program_imports():
    names = {name for _, name in deploy.files(deploy.ORDER)}
    for name in ("boot.py", "main.py", "app/console.py", "lib/spinet/lan.py", "www/index.html",
                 "lib/spinet/ports/w5500_chip.py", "lib/spinet/tcp/conn.py",
                 "boards/pico-w5500.json"):
        assert name in names


def test_install_on_a_new_board(tmp_path):
    need_runtime("micropython")
    flash = tmp_path / "flash"
    flash.mkdir()
    device = Device(flash, launch.free_ports(2))
    device.start()
    try:
        time.sleep(1)
        words = ("install", "--port", device.path, "--part", "boards", "--part", "start", "--json")
        status, text, error = spinet(*words)
        assert status == 0, text + error
        copied = json.loads(text)["copied"]
        assert copied[-1] == "main.py" and "boards/pico-w5500.json" in copied
        for path, name in deploy.files(("boards", "start")):
            assert hashlib.sha256((flash / name).read_bytes()).digest() == hashlib.sha256(
                path.read_bytes()).digest()
        status, text, _ = spinet(*words)
        assert status == 0 and json.loads(text)["copied"] == [], "it is there already"
    finally:
        device.stop()


@pytest.mark.slow
@pytest.mark.parametrize("archive", [False, True])
def test_a_new_board_is_up_after_install_and_configure(tmp_path, archive):
    """All of it: a blank flash, the stack compiled for the board or from an archive, its settings,
    its address."""
    need_runtime("micropython")
    flash = tmp_path / "flash"
    with Desk(flash, settings={}) as desk:
        desk.board.running = False          # its flash is emptied while it is off
        desk.board.process.kill()
        desk.board.process.wait()
        desk.board.reader.join(5)
        for path in flash.iterdir():
            path.unlink()
        desk.board.start()
        desk.terminal.serial.close()
        time.sleep(1)
        how = ["--from", dist.archive("x64", tmp_path / "dist")] if archive else ["--mpy"]
        status, text, error = spinet("install", *how, "--port", desk.board.path, "--json",
                                     timeout=100)
        assert status == 0, text + error
        copied = json.loads(text)["copied"]
        assert {"lib/spinet/lan.mpy", "app/console.mpy", "main.py"} <= set(copied)
        assert not list(flash.glob("lib/**/*.py")) + list(flash.glob("app/*.py"))
        assert not (flash / "netcfg.json").exists()
        status, text, error = spinet("configure", "--port", desk.board.path, "hostname=fresh")
        assert status == 0, text + error + "\n".join(desk.lines)
        assert "works: 10.0.2.15/24, the gateway answers within " in text
        assert json.loads((flash / "netcfg.json").read_text()) == {"hostname": "fresh"}


def test_mpremote_itself(desk):
    def mpremote(*words):
        return subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", desk.board.path, *words],
            capture_output=True, text=True, timeout=40)

    done = mpremote("resume", "exec", "print(the_board.settings['chip'])")
    assert done.stdout.strip() == "w5500", done.stdout + done.stderr
    done = mpremote("resume", "fs", "ls")
    assert "netcfg.json" in done.stdout
    assert mpremote("resume", "eval", "6*7").stdout.strip() == "42"
    # Without `resume` it resets first: then main.py has not run.
    assert mpremote("exec", "print('the_board' in globals())").stdout.strip() == "False"


def test_one_command_after_the_other(desk):
    """What needs the MicroPython prompt ends when the board's program runs again: no command that
    follows at once finds a board that is just starting."""
    for words in (("install", "--part", "www"), ("install", "--part", "boards"), ("status",)):
        status, text, error = spinet(*words, "--port", desk.board.path, timeout=30)
        assert status == 0 or words == ("status",) and "address none" in text, text + error
        assert "safe mode" not in text + error


def test_a_board_that_hangs_is_said_to(tmp_path):
    """Nothing comes from it, to any command."""
    import pty

    master, slave = pty.openpty()
    for words in (("status",), ("install", "--part", "www")):
        status, _, error = spinet(*words, "--port", os.ttyname(slave), timeout=60)
        assert status == 3, error
        assert "answers as spinet's console does" in error or "no MicroPython prompt" in error
    os.close(master)
    os.close(slave)
