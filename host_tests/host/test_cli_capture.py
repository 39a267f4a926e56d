"""`spinet capture` into the real tshark, through a pipe, as the manual says."""
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from board import launch
from boards import need_runtime
from terminal import Desk, Terminal

CLI = [sys.executable, str(launch.REPO / "tools/spinetcli")]
FIELDS = ["-T", "fields", "-e", "frame.protocols", "-e", "frame.time_epoch", "-e", "ip.src",
          "-e", "_ws.malformed"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    need_runtime("micropython")
    if not shutil.which("tshark"):
        pytest.skip("needs the program tshark")
    with Desk(tmp_path_factory.mktemp("flash")) as desk:
        desk.wait_address()
        desk.terminal.serial.close()
        yield desk


def capture(desk, *words):
    return subprocess.Popen([*CLI, "capture", "-", "--port", desk.board.path, *map(str, words)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def tshark(source, *words):
    """What the tshark that reads a capture's output makes of it, a list of fields per frame."""
    done = subprocess.run(["tshark", "-n", "-r", "-", *words, *FIELDS], stdin=source,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def console_works(desk):
    with Terminal(desk.board.path) as term:
        term.ready()
        return term.do("hostname") == ["spinet"]


def frames_pass(desk, times=1):
    for _ in range(times):
        desk.get("/status.json")
        time.sleep(0.3)


def test_tshark_reads_it_as_it_comes(desk):
    process = capture(desk, "--count", 8, "--seconds", 20)
    time.sleep(2)
    before = time.time()
    frames_pass(desk)
    rows = tshark(process.stdout)
    assert process.wait(30) == 0, process.stderr.read()
    assert len(rows) == 8 and not any(row[3:] and row[3] for row in rows), rows
    assert any("tcp" in row[0] for row in rows)
    assert {row[2] for row in rows} >= {"10.0.2.2", "10.0.2.15"}
    times = [float(row[1]) for row in rows]
    assert times == sorted(times) and times[-1] - times[0] < time.time() - before
    assert console_works(desk)


def test_ctrl_c_ends_it_and_what_came_is_whole(desk):
    process = capture(desk)
    time.sleep(2)
    frames_pass(desk, 2)
    process.send_signal(signal.SIGINT)
    rows = tshark(process.stdout)
    assert process.wait(30) == 0, process.stderr.read()
    assert len(rows) > 10
    assert console_works(desk)


def test_a_reader_that_leaves_ends_it(desk):
    process = capture(desk, "--seconds", 60)
    time.sleep(2)
    process.stdout.close()
    begun = time.monotonic()
    frames_pass(desk)
    assert process.wait(30) == 0, process.stderr.read()
    assert time.monotonic() - begun < 10
    assert b"Traceback" not in process.stderr.read()
    assert console_works(desk)


def test_a_named_pipe_as_wireshark_takes_it(desk, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen([*CLI, "capture", str(pipe), "--count", "4", "--port",
                                desk.board.path], stdout=subprocess.DEVNULL)
    reader = subprocess.Popen(["tshark", "-n", "-i", str(pipe), "-c", "4", *FIELDS], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(2.5)
    frames_pass(desk)
    out, _ = reader.communicate(timeout=60)
    assert process.wait(30) == 0
    assert len(out.splitlines()) == 4
