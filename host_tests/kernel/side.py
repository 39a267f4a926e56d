"""A namespace with real programs, and our stack beside it, which runs code of the test."""
import os
import select
import subprocess
import time

import lab
import netns

import mp_runner

THEM, US = "10.55.0.1", "10.55.0.2"
RUNTIMES = ("cpython", "micropython")


class Side:
    """`them` is the kernel's namespace, with the interface k0; ours has p0."""

    def __init__(self, runtime, link=True):
        self.runtime = runtime
        self.namespaces = []
        self.them = self.namespace("them")
        self.ours = self.namespace("ours")
        if link:
            netns.veth(self.them, "k0", self.ours, "p0")
            self.them.ip("address", "add", THEM + "/24", "brd", "+", "dev", "k0")

    def namespace(self, label):
        self.namespaces.append(netns.Namespace(label))
        return self.namespaces[-1]

    def start(self, code, address=US + "/24"):
        """Start our side; a Popen."""
        lib = str(mp_runner.ROOT / "lib")
        here = str(lab.HERE)
        environment = dict(os.environ, PYTHONPATH=lib, MICROPYPATH=":".join((lib, here, ".frozen")))
        process = self.ours.popen(
            *lab.command(self.runtime, "run.py", address, "raw:p0"),
            stdin=-1, stdout=-1, stderr=-2, text=True, env=environment)
        process.stdin.write(code)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, code, address=US + "/24", timeout_s=60):
        """What our side says while it runs `code`: a list of lines."""
        process = self.start(code, address)
        try:
            out = process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("it hangs; it said: " + process.communicate()[0])
        assert process.returncode == 0, out
        return out.splitlines()

    def daemon(self, *command, said=None, where=None, timeout_s=20, **kwargs):
        """Start a program, and wait until it says `said` if that is given."""
        process = (where or self.them).popen(*command, stdout=-1, stderr=-2, **kwargs)
        heard = []
        while said is not None:
            heard.append(line(process, timeout_s, heard))
            if said in heard[-1]:
                break
        return process

    def close(self):
        for namespace in reversed(self.namespaces):
            namespace.close()


def line(process, timeout_s=20, heard=()):
    """The next line that a process says."""
    rest = process.__dict__.setdefault("rest", b"")
    end = time.monotonic() + timeout_s
    while b"\n" not in rest:
        left = end - time.monotonic()
        more = left > 0 and select.select([process.stdout], [], [], left)[0] and os.read(
            process.stdout.fileno(), 65536)
        assert more, "%s says no more; it said %s" % (process.args[4:6], [*heard, rest])
        rest += more
    said, process.rest = rest.split(b"\n", 1)
    return said.decode().strip()


def wait_for(condition, timeout_s=15):
    """Wait until `condition()` is true; what it returned."""
    end = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)
