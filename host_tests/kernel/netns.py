"""Network namespaces for tests, and the kernel's own sockets in them.

Names are unique to the process; `close` removes a namespace and all that was started in it.
"""
import contextlib
import ctypes
import itertools
import os
import signal
import socket
import subprocess

CLONE_NEWNET = 0x40000000
OFFLOADS = ("rx", "tx", "sg", "tso", "gso", "gro", "txvlan", "rxvlan")
_serial = itertools.count(1)


def why_not():
    """Why there can be no namespaces here, None if there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root"
    for tool in ("ip", "ethtool"):
        if not any(os.access(os.path.join(d, tool), os.X_OK)
                   for d in os.environ.get("PATH", "").split(":")):
            return "needs the program %s" % tool
    probe = subprocess.run(["unshare", "-n", "true"], stderr=subprocess.PIPE, text=True)
    if probe.returncode:
        return "cannot make a network namespace: %s" % probe.stderr.strip()
    return None


def run(*command, **kwargs):
    """Run a command; what it printed.  RuntimeError with what it said if it failed."""
    done = subprocess.run([str(part) for part in command], capture_output=True,
                          text=True, **kwargs)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(map(str, command)), done.stderr or done.stdout))
    return done.stdout


def sweep():
    """Remove what a test run that was killed has left, with the processes in it."""
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        parts = name.split("-")
        if parts[0] != "spinet" or len(parts) != 4 or not parts[1].isdigit():
            continue
        if os.path.exists("/proc/" + parts[1]):
            continue
        for pid in run("ip", "netns", "pids", name).split():
            with contextlib.suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)


class Namespace:
    """One network namespace, with its loopback interface up and without IPv6."""

    def __init__(self, label):
        self.name = "spinet-%d-%d-%s" % (os.getpid(), next(_serial), label)
        self.processes = []
        run("ip", "netns", "add", self.name)
        try:
            self.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1",
                     "net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.icmp_ratelimit=0")
            run("ip", "-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def run(self, *command, **kwargs):
        return run("ip", "netns", "exec", self.name, *command, **kwargs)

    def ip(self, *args):
        return run("ip", "-n", self.name, *args)

    def popen(self, *command, **kwargs):
        """Start a command here; it ends with the namespace."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *map(str, command)], **kwargs)
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace; what it opens stays there."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            ctypes.CDLL(None).setns(before, CLONE_NEWNET)
            os.close(before)
            os.close(there)

    def socket(self, type=socket.SOCK_STREAM, proto=0, timeout=10):
        """A kernel socket of this namespace."""
        with self.entered():
            sock = socket.socket(socket.AF_INET, type, proto)
        sock.settimeout(timeout)
        return sock

    def connect(self, address, timeout=10):
        """A kernel TCP socket connected to `address`."""
        sock = self.socket(timeout=timeout)
        try:
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def listen(self, port=0, address="", backlog=64):
        sock = self.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(backlog)
        return sock

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        self.processes.clear()
        subprocess.run(["ip", "netns", "delete", self.name], stderr=subprocess.DEVNULL)


def veth(a, a_name, b, b_name, a_mac=None, b_mac=None):
    """Join two namespaces by a veth pair without offloads, both ends up."""
    a.ip("link", "add", a_name, "type", "veth", "peer", "name", b_name, "netns", b.name)
    for namespace, name, mac in ((a, a_name, a_mac), (b, b_name, b_mac)):
        if mac:
            namespace.ip("link", "set", name, "address", mac)
        without_offloads(namespace, name)
        namespace.ip("link", "set", name, "up")


def without_offloads(namespace, name):
    for feature in OFFLOADS:
        # One that cannot be changed is no reason to fail.
        subprocess.run(["ip", "netns", "exec", namespace.name, "ethtool", "-K", name, feature,
                        "off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
