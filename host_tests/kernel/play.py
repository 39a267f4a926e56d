"""Programs that know nothing of spinet, run behind the lines that install it, beside a kernel."""
import shutil
import subprocess
import sys
import textwrap
import time

import certificates
import lab as lab_module
import netns
import pytest

import mp_runner

KERNEL, OURS = "10.59.0.1", "10.59.0.2"
BESIDE = "10.59.0.3"    # a stack beside the kernel's, on the kernel's end of the cable
_BEGIN = """
import sys
import spinet
from spinet import Stack
from spinet.ports.rawsocket import RawSocket
stack = Stack()
stack.add(RawSocket("%s"), "%s/24")
spinet.install(stack)
"""
BEGIN = _BEGIN % ("p0", OURS)
UNTIL_OPEN = """
import socket, time
for _ in range(200):
    try:
        socket.create_connection((%r, %d), 1).close()
        print("open")
        break
    except OSError:
        time.sleep(0.1)
"""
BOARD = mp_runner.ROOT / "build/board"


class Pair:
    """Namespaces `kernel`, with KERNEL, and `ours`, for scripts; `folder` is theirs to write in.

    `folder` has `both.pem`, `ca.pem` and `ca.der` of "board.test" and all three addresses.
    """

    def __init__(self, folder):
        self.folder = folder
        self.kernel, self.ours = netns.Namespace("kernel"), netns.Namespace("ours")
        self.beside = []    # scripts with the stack at BESIDE
        netns.veth(self.kernel, "k0", self.ours, "p0")
        self.kernel.ip("address", "add", KERNEL + "/24", "dev", "k0")
        certificates.make(folder, KERNEL, OURS, BESIDE)

    def serve(self, port, code, *arguments):
        """Start `code`, a server of the kernel's, and wait until it listens."""
        self.program(port, sys.executable, "-c", textwrap.dedent(code), *arguments)

    def serve_beside(self, port, code):
        """Start `code` behind the lines that install spinet, on CPython with a stack at BESIDE, and
        wait until it listens to `port`."""
        file = self.folder / "beside.py"
        file.write_text(_BEGIN % ("k0", BESIDE) + textwrap.dedent(code))
        with open(self.folder / "beside.log", "wb") as log:
            process = self.kernel.popen(sys.executable, file, cwd=self.folder, stdout=log,
                                        stderr=log, env=lab_module.environment())
        self.beside.append(process)
        is_open = self.play("cpython", UNTIL_OPEN % (BESIDE, port)) == ["open"]
        assert is_open and process.poll() is None, (self.folder / "beside.log").read_text()

    def program(self, port, *command):
        """Start a program in the kernel's namespace, and wait until it listens to `port`."""
        with open(self.folder / "server.log", "ab") as log:
            process = self.kernel.popen(*command, cwd=self.folder, stdout=log, stderr=log)
        for _ in range(200):
            try:
                return self.kernel.connect((KERNEL, port), timeout=1).close()
            except OSError:
                assert process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.1)
        raise AssertionError("nothing listens to port %d" % port)

    def until_open(self, port):
        """Wait until a script listens to `port`."""
        for _ in range(300):
            try:
                return self.kernel.connect((OURS, port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
        raise AssertionError("no script listens to port %d" % port)

    def ask(self, code):
        """Run `code` with the kernel's sockets; the words that it printed."""
        process = self.kernel.popen(sys.executable, "-c", textwrap.dedent(code), cwd=self.folder,
                                    stdout=-1, stderr=-2, text=True)
        out = process.communicate(timeout=60)[0]
        assert process.returncode == 0, out
        return out.split()

    def close(self):
        self.kernel.close()
        self.ours.close()

    def end(self):
        """End all scripts: two at once would be two hosts with one address."""
        for process in self.ours.processes + self.beside:
            if process.poll() is None:
                process.kill()
                process.wait()

    def library(self, *names):
        """Put libraries of tools/requirements.txt where the scripts find them, as on a board."""
        for name in names:
            found = sorted(BOARD.glob(name + "-[0-9]*"))
            if not found:
                pytest.skip("needs %s, of tools/requirements.txt" % name)
            for file in found[-1].rglob("*.py"):
                if not file.is_symlink():
                    to = self.folder / file.relative_to(found[-1])
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, to)

    def start(self, runtime, code):
        """Start `code` behind the lines that install spinet."""
        file = self.folder / ("play-%s.py" % runtime)
        file.write_text(BEGIN + textwrap.dedent(code))
        command = [str(part) for part in lab_module.command(runtime, file)]
        return self.ours.popen(*command, stdout=-1, stderr=-2, text=True, cwd=self.folder,
                               env=lab_module.environment())

    def play(self, runtime, code):
        """Run `code` behind the lines that install spinet; the words that it printed."""
        process = self.start(runtime, code)
        try:
            out = process.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("hangs after " + process.communicate()[0])
        assert process.returncode == 0, out
        return out.split()
