"""`make run`: tools/run.py as a person starts and stops it."""
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from board.launch import REPO
from boards import RUNTIMES, need_runtime


# Root in name only: a process without any capability.
WITHOUT_ROOT = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


class Started:
    """tools/run.py in a process, its output in `text`."""

    def __init__(self, flash, *options, terminal=False, root=True):
        self.text = ""
        command = [] if root else WITHOUT_ROOT
        command = command + [
            sys.executable, str(REPO / "tools/run.py"), "--flash", str(flash), *options]
        environment = {k: v for k, v in os.environ.items() if k not in ("PORT", "RUNTIME", "TAP")}
        if terminal:
            ours, theirs = pty.openpty()
            self.process = subprocess.Popen(
                command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
                start_new_session=True)
            os.close(theirs)
        else:
            ours, theirs = os.pipe()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment)
            os.close(theirs)
        self.reader = threading.Thread(target=self.read, args=(ours,), daemon=True)
        self.reader.start()

    def read(self, fd):
        while True:
            try:
                part = os.read(fd, 4096)
            except OSError:         # a pty without a writer
                part = b""
            if not part:
                os.close(fd)
                return
            self.text += part.decode(errors="replace")

    def wait_for(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.text)
            if found:
                return found
            if self.process.poll() is not None:
                self.reader.join(2)
                found = re.search(pattern, self.text)
                if found:
                    return found
                break
            time.sleep(0.05)
        pytest.fail("%r did not appear in:\n%s" % (pattern, self.text))

    def url(self):
        return self.wait_for(r"http://127\.0\.0\.1:\d+/").group()

    def children(self):
        """Process ids of its children."""
        try:
            with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as file:
                return [int(word) for word in file.read().split()]
        except OSError:
            pytest.skip("needs /proc/PID/task/TID/children")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        status = self.process.wait(15)
        self.reader.join(5)
        return status


@pytest.fixture
def start(tmp_path):
    runs = []

    def start(*options, **more):
        runs.append(Started(tmp_path / "flash", *options, **more))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(15)


def need_setpriv():
    if WITHOUT_ROOT and not shutil.which("setpriv"):
        pytest.skip("needs setpriv (util-linux) to run without root")


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_starts_serves_and_stops_cleanly(start, runtime, number):
    need_runtime(runtime)
    run = start("--runtime", runtime)
    url = run.url()
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert b"<title>spinet" in answer.read()
    for hint in ("curl " + url + "status.json", "nc 127.0.0.1", "ping"):
        assert hint in run.text
    run.wait_for(r"up \d+ s; ")
    children = run.children()
    assert len(children) == 1
    assert run.end(number) == 0
    assert "Stopped." in run.text and "Traceback" not in run.text
    assert not any(running(pid) for pid in children)


def test_shows_live_counters_in_a_terminal(start):
    run = start("--runtime", "cpython", terminal=True)
    run.url()
    run.wait_for("frames/s.*\\d+ in, \\d+ out")
    assert run.end() == 0
    assert "Stopped." in run.text and "Traceback" not in run.text


def test_a_port_asked_for_is_used_and_complained_about_when_taken(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start("--port", str(port))
        assert run.process.wait(15) == 1
        run.wait_for("port %d of 127.0.0.1 cannot be used.*make run PORT=" % port)
        assert "Traceback" not in run.text
    run = start("--runtime", "cpython", "--port", str(port))
    assert run.url() == "http://127.0.0.1:%d/" % port


def test_restarts_a_board_that_died(start):
    run = start("--runtime", "cpython")
    url = run.url()
    run.wait_for(r"up \d+ s; ")
    os.kill(run.children()[0], signal.SIGKILL)
    run.wait_for("the board ended with status -9; starting it again")
    end = time.monotonic() + 15
    while True:
        try:
            with urllib.request.urlopen(url + "status.json", timeout=2) as answer:
                assert json.load(answer)["name"] == "spinet"
                break
        except OSError:
            assert time.monotonic() < end, run.text


def test_needs_no_root(start):
    need_setpriv()
    run = start("--runtime", "cpython", root=False)
    with urllib.request.urlopen(run.url(), timeout=10) as answer:
        assert answer.status == 200
    assert run.end() == 0


def test_tap_without_root_says_so(start):
    need_setpriv()
    run = start("--tap", "spinettest0", root=False)
    assert run.process.wait(15) == 1
    run.wait_for("root")
    assert "Traceback" not in run.text


def test_a_port_that_is_none_is_refused_in_words(start):
    run = start("--port", "99999")
    assert run.process.wait(15) == 2
    run.wait_for("a port is 1 to 65535")


def test_tap_puts_the_board_on_a_real_interface(start):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        pytest.skip("needs root and /dev/net/tun")
    run = start("--tap", "spinettest0", "--runtime", "cpython")
    run.wait_for("http://10.0.2.15/")
    with urllib.request.urlopen("http://10.0.2.15/status.json", timeout=10) as answer:
        assert json.load(answer)["interface"]["address"] == "10.0.2.15/24"
    ping = subprocess.run(["ping", "-c1", "-W3", "10.0.2.15"], capture_output=True)
    assert ping.returncode == 0, ping.stdout
    assert run.end() == 0


def test_three_boards_on_one_switch(start, tmp_path):
    """Each has a page; one's own program would reach another by its name."""
    pcap, forwards = tmp_path / "all.pcap", tmp_path / "forwards"
    run = start("--boards", "3", "--pcap", str(pcap), "--forwards", str(forwards))
    run.wait_for(r"Ctrl-C stops it", 60)
    urls = sorted(set(re.findall(r"http://127\.0\.0\.1:\d+/", run.text)))
    assert len(urls) == 3
    seen = set()
    for url in urls:
        with urllib.request.urlopen(url + "status.json", timeout=20) as answer:
            assert answer.status == 200
            seen.add(answer.read())
    assert len(seen) == 3
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    forwards.write_text("tcp:%d:10.0.2.17:7\n" % port)
    run.wait_for(r"forward tcp:%d\S+: port %d" % (port, port))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(b"to the third")
        assert sock.recv(100) == b"to the third"
    assert run.end() == 0
    assert pcap.read_bytes().startswith(b"\n\r\r\n")
    for name in (b"board1", b"board2", b"board3", b"gateway"):
        assert name in pcap.read_bytes()


def test_several_boards_need_the_switch(start):
    run = start("--boards", "2", "--tap", "none")
    run.wait_for("BOARDS= without TAP=")
    assert run.process.wait(15) == 1
