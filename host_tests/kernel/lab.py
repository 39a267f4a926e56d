"""A kernel and our stack on one link, as the tests want them."""
import hashlib
import json
import os
import select
import signal
import sys
import threading

import netns
import peer
import pytest

import mp_runner

KERNEL, OURS = "10.55.0.1", "10.55.0.2"                 # the link our servers are on
KERNEL_CLIENT, OURS_CLIENT = "10.55.1.1", "10.55.1.2"   # the one our clients are on
HERE = mp_runner.ROOT / "host_tests/kernel"
HEAP = 4 << 20      # on MicroPython every frame is allocated, which takes longer in a larger heap
SETUPS = ("veth-cpython", "veth-micropython", "tap-cpython", "tun-cpython")


def command(runtime, script, *args):
    """What starts a script of this directory on a runtime; skips where the runtime is missing."""
    if runtime == "cpython":
        return [sys.executable, HERE / script, *args]
    micropython = mp_runner.RUNTIMES[0]
    if micropython.why:
        pytest.skip("%s is not here: %s" % (micropython.name, micropython.why))
    # The binary of its command line, with a heap of our own.
    binary = micropython._command("", HEAP, ())[0]
    return [binary, "-X", "heapsize=%d" % HEAP, HERE / script, *args]


def environment():
    paths = "%s:%s" % (mp_runner.ROOT / "lib", mp_runner.ROOT / "tools")
    return dict(os.environ, PYTHONPATH=paths, MICROPYPATH=paths + ":.frozen")


class Lab:
    """A link of `kind` ("veth", "tap", "tun") to our stack on `runtime`, with servers running.

    With the name of a chip for `kind` it is a veth link that ends in the model of that chip.

    `impairments` (arguments of tools/impair.py) put a bad cable in the middle of a veth link.
    """

    def __init__(self, kind, runtime, impairments=(), buffer=0):
        self.kind = kind
        self.runtime = runtime
        self.impairments = [str(word) for word in impairments]
        self.buffer = buffer
        self.namespaces = []
        self.cables = []
        self.server = None
        self.kernel = self.namespace("kernel")
        self.ours = self.namespace("ours") if kind not in ("tap", "tun") else self.kernel
        try:
            self.link(0, KERNEL)
            self.link(1, KERNEL_CLIENT)
            self.start()
        except BaseException:
            self.close()
            raise

    def namespace(self, label):
        self.namespaces.append(netns.Namespace(label))
        return self.namespaces[-1]

    def link(self, i, address):
        """The i-th link: interface k0 or k1 of the kernel's, p0 or p1 ours."""
        k, p = "k%d" % i, "p%d" % i
        if self.kind in ("tap", "tun"):
            self.kernel.ip("tuntap", "add", "dev", k, "mode", self.kind)
            self.kernel.ip("link", "set", k, "up")
            self.specs = ["%s:k0" % self.kind, "%s:k1" % self.kind]
        else:
            port = "raw" if self.kind == "veth" else self.kind
            self.specs = [port + ":p0", port + ":p1"]
            if not self.impairments:
                netns.veth(self.kernel, k, self.ours, p)
            else:
                middle = self.namespace("middle")
                netns.veth(self.kernel, k, middle, "left")
                netns.veth(middle, "right", self.ours, p)
                cable = middle.popen(
                    sys.executable, mp_runner.ROOT / "tools/impair.py", "raw:left", "raw:right",
                    *self.impairments, stdout=-1, text=True, env=environment())
                self.cables.append(cable)
                assert cable.stdout.readline() == "ready\n"
        self.kernel.ip("address", "add", address + "/24", "dev", k)

    def popen(self, link, address, *args):
        options = ["--buffer", self.buffer] if self.buffer else []
        return self.ours.popen(
            *command(self.runtime, "peer.py", self.specs[link], address + "/24", *options, *args),
            stdout=-1, stderr=-2, text=True, env=environment())

    def start(self):
        self.server = self.popen(0, OURS, "serve")
        self.said = []
        line = self.server.stdout.readline()
        if line != "ready\n":
            raise RuntimeError("no server: " + line + self.server.communicate()[0])

    def line(self, timeout_s=5):
        """The next line that the server says."""
        assert select.select([self.server.stdout], [], [], timeout_s)[0], "the server says nothing"
        return self.server.stdout.readline().strip()

    def client(self, *args, timeout_s=60):
        """Run a client; its result."""
        process = self.popen(1, OURS_CLIENT, *args)
        try:
            out = process.communicate(timeout=timeout_s)[0]
        except BaseException:
            process.kill()
            out = process.communicate()[0]
            raise AssertionError("client %s hangs; it said: %s" % (args, out))
        assert process.returncode == 0, out
        return out.strip()

    def end_of_cable(self, i):
        """End the bad cable of the i-th link; what it did, each way."""
        self.cables[i].send_signal(signal.SIGTERM)
        return json.loads(self.cables[i].communicate(timeout=5)[0])

    def check(self):
        """The server still runs."""
        assert self.server.poll() is None, self.server.communicate()[0]

    def close(self):
        for namespace in reversed(self.namespaces):
            namespace.close()


def pattern(n):
    """The first n bytes of the pattern that the peer sends."""
    period = bytes(peer.PATTERN[:peer.PERIOD])
    return (period * (n // peer.PERIOD + 1))[:n]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def read_all(sock, limit=1 << 30):
    """All until the end of the stream."""
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
        limit -= len(data)
        if limit <= 0:
            break
    return b"".join(parts)


class Server:
    """A kernel server for our clients: `handle(sock)` for each connection, in threads."""

    def __init__(self, lab, handle, address=KERNEL_CLIENT):
        self.sock = lab.kernel.listen(0, address, backlog=128)
        self.port = self.sock.getsockname()[1]
        self.handle = handle
        self.errors = []
        self.served = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            sock.settimeout(30)
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    def one(self, sock):
        try:
            with sock:
                self.handle(sock)
        except Exception as e:
            self.errors.append(e)
        self.served += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()
