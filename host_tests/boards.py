"""For tests: a virtual board behind a gateway, and small servers of the host to talk to."""
import contextlib
import errno
import json
import pathlib
import random
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import pytest

from board import launch
from gateway import Forward, Gateway
from spinet.ports.datagram import Datagram

BOARD = launch.ADDRESS.split("/")[0]
RUNTIMES = ("micropython", "cpython")
SERVICES = (("tcp", 80), ("tcp", 7), ("udp", 7), ("tcp", 9), ("tcp", 19))


def need_runtime(runtime):
    """Skip, by name, where this machine has no such runtime."""
    try:
        launch.interpreter(runtime)
    except FileNotFoundError as error:
        pytest.skip(str(error))


class Lab:
    """A virtual board behind a gateway, in a `with`; `port(7)` is where the host has its port 7."""

    def __init__(self, flash, runtime, settings=None, program=None, forwards=SERVICES,
                 chip="w5500", serial=False):
        self.lines = []
        link = launch.free_ports(2)
        launch.make_flash(flash, dict(launch.STATIC, **settings or {}, chip=chip))
        if program:
            (pathlib.Path(flash) / "program.py").write_text(program)
        self.gateway = Gateway(
            Datagram(local=("127.0.0.1", link[1]), remote=("127.0.0.1", link[0])),
            forwards=[Forward(protocol, 0, BOARD, number) for protocol, number in forwards],
            servers=[("127.0.0.1", 53)])        # no name is asked for outside this machine
        if serial:
            from board.device import Device

            self.board = Device(flash, link, runtime, on_line=self.lines.append, chip=chip)
        else:
            self.board = launch.Board(flash, link, runtime, on_line=self.lines.append,
                                      main="program.py" if program else None, chip=chip)
        self.thread = threading.Thread(target=self.gateway.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.board.start()
        return self

    def __exit__(self, *_):
        self.board.stop()
        self.gateway.stop()
        self.thread.join(5)
        self.gateway.close()

    def port(self, number, protocol="tcp"):
        """The port of 127.0.0.1 that leads to the board's port `number`."""
        for forward in self.gateway.opened:
            if (forward.protocol, forward.board_port) == (protocol, number):
                return forward.host_port
        raise KeyError(number)

    def connect(self, number):
        """A TCP connection to the board's port `number`, with a time-out."""
        return socket.create_connection(("127.0.0.1", self.port(number)), timeout=20)

    def get(self, path="/", method="GET"):
        """(status, headers, body) of one request to the board's web server."""
        request = urllib.request.Request(
            "http://127.0.0.1:%d%s" % (self.port(80), path), method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def status(self):
        """The board's status.json."""
        return json.loads(self.get("/status.json")[2])

    def wait_up(self, seconds=20):
        """Wait until the page answers; fails with what the board printed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                return self.status()
            if not self.board.alive():
                break
            time.sleep(0.1)
        pytest.fail("the board does not come up:\n" + "\n".join(self.lines))

    def wait_line(self, text, seconds=30):
        """The first line with `text` in it that the board prints."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.lines):
                if text in line:
                    return line
            if not self.board.alive() and not any(text in line for line in self.lines):
                time.sleep(0.2)
                break
            time.sleep(0.02)
        found = [line for line in self.lines if text in line]
        return found[0] if found else pytest.fail(
            "the board never said %r:\n%s" % (text, "\n".join(self.lines)))


class HostServer:
    """A TCP server on a free port of 127.0.0.1, in a `with`; a thread per client: `serve(sock)`."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.errors = []

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    def one(self, sock):
        sock.settimeout(30)
        with sock:
            try:
                self.serve(sock)
            except OSError as error:
                self.errors.append(error)

    def __exit__(self, *_):
        # A blocked accept is not ended by close alone.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def echo(sock):
    """Send back what comes until the end, then end too."""
    while True:
        data = sock.recv(65536)
        if not data:
            return
        sock.sendall(data)


def exchange(sock, data):
    """Send `data`, end our side, and read all that comes back at the same time."""
    answer = bytearray()

    def read():
        while True:
            part = sock.recv(65536)
            if not part:
                return
            answer.extend(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    reader.join(60)
    return bytes(answer)


def pattern(n):
    """`n` bytes in which a lost, doubled or moved piece shows."""
    return random.Random(n).randbytes(n)


@contextlib.contextmanager
def udp_server(port, answer):
    """A UDP server of this host on a port of the system's; skips where that is not to be had."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(0.1)            # a close would not end who waits in it, and so free no port
    end = time.monotonic() + 60
    while True:                     # another worker's test may have it
        try:
            sock.bind(("127.0.0.1", port))
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                pytest.skip("UDP port %d of 127.0.0.1 is not to be had: %s" % (port, error))
            time.sleep(0.1)
    over = threading.Event()

    def serve():
        while not over.is_set():
            with contextlib.suppress(socket.timeout):
                data, peer = sock.recvfrom(2000)
                sock.sendto(answer(data), peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)
        sock.close()


def name_answer(query):
    """An A or PTR record for whatever is asked."""
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack(">H", query[end - 4:end - 2])[0]
    data = bytes((192, 0, 2, 7)) if kind == 1 else b"\4desk\7example\0"
    return (query[:2] + b"\x85\x80\0\1\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c"
            + struct.pack(">HHIH", kind, 1, 60, len(data)) + data)


def time_answer(query):
    """SNTP: it is 2027-01-15 08:00:00 UTC."""
    stamp = struct.pack(">II", 1800000000 + 2208988800, 0)
    return b"\x24\x02\0\0" + bytes(12) + stamp + query[40:48] + stamp + stamp
