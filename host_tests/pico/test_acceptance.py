"""What a board has to do, seen from outside: its serial line, and the kernel on its network.

By itself this runs on an emulated Pico, its serial line a pty, its cable a TAP device in a network
namespace (root).  `make hil PORT=/dev/ttyACM0 IFACE=eth1` runs the same tests on a board that has
the firmware; IFACE is the interface of this machine that reaches it, for its address.  What the
board's flash holds stays, but for a directory `acceptance` while the tests run.
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import netns
import pytest
from spinetcli.link import Board

ROOT = pathlib.Path(__file__).resolve().parents[2]
UMQTT = ROOT / "build/board/micropython-umqtt.simple-1.3.4/umqtt/simple.py"
HIL = "HIL_PORT" in os.environ
HOST = "10.66.0.1"
CHIPS = ["board"] if HIL else ["w5500", pytest.param("enc28j60", marks=pytest.mark.slow)]

pytestmark = pytest.mark.timeout(240)


class Bench:
    """A board and this machine's side of its network.  `host` is our address, `port` its serial
    line."""

    where = ()                          # what a command of the kernel's side begins with
    whole = 1000000                     # bytes of a transfer

    def run(self, *words, timeout=60):
        """Run a program on the network's side; what it printed (bytes)."""
        done = subprocess.run([*self.where, *map(str, words)], capture_output=True,
                              timeout=timeout, cwd=ROOT)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def mpremote(self, *words, timeout=90):
        done = subprocess.run([sys.executable, "-m", "mpremote", "connect", self.port,
                               *map(str, words)], capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.replace("\r\n", "\n")

    def ask(self, command):
        """The records of the console's answer."""
        with Board(self.port) as board:
            return board.ask(command)

    def interface(self):
        return next(row for row in self.ask("show interfaces") if "interface" in row)

    def address(self, seconds=60):
        """The board's address, as soon as it has one; it may be starting."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Exception):
                row = self.interface()
                if row["address"] and row["link"]:
                    return row["address"].partition("/")[0]
            assert time.monotonic() < end, "the board gets no address"
            time.sleep(0.5)

    def entered(self):
        return contextlib.nullcontext()

    def socket(self, listen=False):
        with self.entered():
            s = socket.socket()
        s.settimeout(60)
        if listen:
            s.bind((self.host, 0))
            s.listen(1)
        return s


class Emulated(Bench):
    """An emulated Pico, a namespace, a TAP device, and dnsmasq."""

    whole = 200000      # its time runs slower than ours, so what takes long is in test_pico.py

    def __init__(self, firmware, chip, folder):
        from pico.device import Device
        from spinet.ports.tap import Tap

        self.host = HOST
        self.space = netns.Namespace("pico")
        self.device = None
        try:
            self.where = ["ip", "netns", "exec", self.space.name]
            with self.space.entered():
                self.tap = Tap("board")
            self.space.ip("address", "add", HOST + "/24", "dev", "board")
            self.space.ip("link", "set", "board", "up")
            self.space.popen(
                "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--no-ping",
                "--interface=board", "--bind-interfaces", "--except-interface=lo", "--user=root",
                "--dhcp-leasefile=%s" % (folder / "leases"), "--dhcp-range=10.66.0.50,10.66.0.59",
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.said = []
            self.device = Device(self.tap, chip, firmware, on_line=self.said.append,
                                 settings={"chip": chip})
            self.device.start()
            self.port = self.device.path
        except BaseException:
            self.close()
            raise

    def entered(self):
        return self.space.entered()

    def cable(self, plugged):
        self.device.wish(lambda pico: pico.chip.cable(plugged))

    def close(self):
        if self.device:
            self.device.stop()
        self.space.close()


class Real(Bench):
    """A board at HIL_PORT, on the network of the interface HIL_IFACE."""

    def __init__(self, port, iface):
        self.port, self.iface = port, iface
        if iface:
            words = subprocess.run(["ip", "-4", "-o", "address", "show", "dev", iface],
                                   capture_output=True, text=True).stdout.split()
            assert "inet" in words, "%s has no IPv4 address: IFACE=" % iface
            self.host = words[words.index("inet") + 1].partition("/")[0]
        else:                           # the way to the board says which address is ours
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect((self.address(), 7))
                self.host = s.getsockname()[0]

    def cable(self, plugged):
        if not self.iface or os.geteuid():
            pytest.skip("the board's cable: needs IFACE=, wired to it directly, and root")
        self.run("ip", "link", "set", self.iface, "up" if plugged else "down")

    def close(self):
        pass


@pytest.fixture(scope="module", params=CHIPS)
def bench(request, tmp_path_factory):
    if HIL:
        if not os.environ["HIL_PORT"]:
            pytest.skip("no board: make hil PORT=/dev/ttyACM0 IFACE=eth1")
        made = Real(os.environ["HIL_PORT"], os.environ.get("HIL_IFACE"))
    else:
        why = netns.why_not() or (not shutil.which("dnsmasq") and "needs the program dnsmasq")
        if why:
            pytest.skip("the emulated Pico on a kernel's network: " + why)
        made = Emulated(request.getfixturevalue("firmware"), request.param,
                        tmp_path_factory.mktemp("bench"))
    try:
        made.address()
        yield made
    finally:
        made.close()


def test_its_console_says_what_it_is(bench):
    row = bench.interface()
    assert row["link"] and row["chip"] in ("w5500", "enc28j60")
    assert row["address"].partition("/")[0] == bench.address()
    assert row["rx"] > 0 and row["tx"] > 0
    assert {"name": "http/tcp", "port": 80}.items() <= bench.ask("show services")[0].items()


def test_it_answers_pings(bench):
    said = bench.run("ping", "-c", 10, "-i", "0.2", "-s", 1000, bench.address())
    assert b" 10 received" in said, said


def test_curl_gets_the_page(bench):
    page = bench.run("curl", "-sS", "-m", 30, "http://%s/" % bench.address())
    assert page == (ROOT / "firmware/www/index.html").read_bytes()


def test_mpremote_copies_and_runs(bench, tmp_path):
    data = hashlib.sha256(b"x").digest() * 200
    (tmp_path / "there").write_bytes(data)
    assert bench.mpremote("resume", "eval", "6*7").strip() == "42"
    with folder(bench):
        bench.mpremote("resume", "fs", "cp", tmp_path / "there", ":acceptance/data")
        assert "6400 data" in bench.mpremote("resume", "fs", "ls", ":acceptance")
        bench.mpremote("resume", "fs", "cp", ":acceptance/data", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    # While the prompt has the board the network goes on, and console() leads back.
    bench.run("ping", "-c", 3, "-i", "0.2", bench.address())


@contextlib.contextmanager
def folder(bench):
    """A directory `acceptance` on the board's flash."""
    bench.mpremote("resume", "fs", "mkdir", ":acceptance")
    try:
        yield
    finally:
        bench.mpremote("resume", "fs", "rm", "-r", ":acceptance")


TRANSFER = """
import hashlib
s = the_board.nic.stack.socket()
s.settimeout(60)
s.connect((%r, %d))
buf = bytearray(2048)
view = memoryview(buf)
sha = hashlib.sha256()
n = s.readinto(buf)
while n:
    sha.update(view[:n])
    n = s.readinto(buf)
for k in range(2048):
    buf[k] = k * 7 & 255
left = %d
while left:
    left -= s.write(view[:min(2048, left)])
s.close()
print(sha.digest().hex())
"""


def test_bytes_both_ways_arrive_as_they_were(bench, tmp_path):
    data = hashlib.sha256(b"y").digest() * (bench.whole // 32)
    wanted = (bytes(k * 7 & 255 for k in range(2048)) * (bench.whole // 2048 + 1))[:bench.whole]
    listener = bench.socket(listen=True)
    got = bytearray()

    def serve():
        s, _ = listener.accept()
        with s:
            s.settimeout(60)
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                got.extend(piece)

    with listener:
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        (tmp_path / "transfer.py").write_text(
            TRANSFER % (bench.host, listener.getsockname()[1], bench.whole))
        said = bench.mpremote("resume", "run", tmp_path / "transfer.py", timeout=120)
        server.join(30)
    assert said.split()[-1] == hashlib.sha256(data).hexdigest()
    assert bytes(got) == wanted


MQTT = """
import sys, spinet
sys.path.append("acceptance")
spinet.install(the_board.nic.stack)
from simple import MQTTClient
c = MQTTClient("board", %r, port=%d, keepalive=60)
c.connect()
c.publish("from/board", b"x" * 3000, qos=1)
c.disconnect()
print("published")
"""


def test_it_publishes_by_mqtt(bench, tmp_path):
    if not shutil.which("mosquitto") or not UMQTT.exists():
        pytest.skip("needs the program mosquitto, and umqtt.simple of tools/requirements.txt")
    mqtt = pytest.importorskip("paho.mqtt.client")
    with bench.socket(listen=True) as s:
        port = s.getsockname()[1]
    (tmp_path / "conf").write_text("user root\nallow_anonymous true\nlistener %d %s\n"
                                   % (port, bench.host))
    broker = subprocess.Popen([*bench.where, "mosquitto", "-c", str(tmp_path / "conf")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    got = []
    watcher = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    watcher.on_message = lambda client, _, message: got.append((message.topic, message.payload))
    ready = threading.Event()
    watcher.on_subscribe = lambda *_: ready.set()
    try:
        with bench.entered():
            for _ in range(50):
                with contextlib.suppress(OSError):
                    watcher.connect(bench.host, port)
                    break
                time.sleep(0.1)
        watcher.subscribe("from/#", 1)
        watcher.loop_start()
        assert ready.wait(10)
        (tmp_path / "publish.py").write_text(MQTT % (bench.host, port))
        with folder(bench):
            bench.mpremote("resume", "fs", "cp", UMQTT, ":acceptance/simple.py")
            said = bench.mpremote("resume", "run", tmp_path / "publish.py")
        assert said.split()[-1] == "published", said
        end = time.monotonic() + 10
        while not got and time.monotonic() < end:
            time.sleep(0.05)
        assert got == [("from/board", b"x" * 3000)]
    finally:
        watcher.loop_stop()
        broker.terminate()
        broker.wait()


@pytest.mark.parametrize("how", ["soft-reset", "reset"])
def test_it_comes_back_after_a_reset(bench, how):
    bench.mpremote("resume", "exec", "marker = 1")
    if how == "reset":
        bench.mpremote("resume", "reset")
    else:
        # mpremote's own leaves the board without its program, at the prompt: Ctrl-D starts it.
        bench.mpremote("soft-reset")
        with contextlib.closing(serial_line(bench)) as line:
            line.write(b"\x02\x04")
            line.flush()
            time.sleep(0.5)
    address = bench.address()
    assert bench.mpremote("resume", "eval", "'marker' in globals()").strip() == "False"
    page = bench.run("curl", "-sS", "-m", 30, "--retry", 3, "http://%s/status.json" % address)
    assert b'"uptime_s"' in page


def serial_line(bench):
    import serial

    return serial.serial_for_url(bench.port, 115200, timeout=1)


def test_the_cable_is_pulled_and_put_back(bench):
    bench.cable(False)
    try:
        wait_for(lambda: not bench.interface()["link"])
    finally:
        bench.cable(True)
    wait_for(lambda: bench.interface()["link"])
    bench.run("ping", "-c", 3, "-i", "0.2", "-W", 5, bench.address())


@pytest.mark.skipif(HIL, reason="a board's settings are its user's")
def test_a_person_configures_it_at_its_console(bench):
    """With a password and another address; what was set is so after a reboot, and forgotten after
    `factory-reset`."""
    from terminal import PROMPT, Terminal

    given, (chip,) = bench.address(), {row["value"] for row in bench.ask("get chip")}
    with Terminal(bench.port, timeout=60) as term:
        term.ready()
        assert any("DHCP" in line for line in term.do("show interfaces"))
        for command in ("set hostname bench-7", "set address 10.66.0.40/24", "set password tulip"):
            term.do(command)
        assert "saved in netcfg.json" in str(term.do("save"))
        bench.run("ping", "-c", 1, "-W", 5, given)
        reboot(term, "reboot")
        term.see("password: ")          # before that it says nothing, and answers pings
        bench.run("ping", "-c", 5, "-W", 5, "10.66.0.40")
        term.key("tulip\r")
        term.see(PROMPT)
        assert "10.66.0.40/24" in str(term.do("show interfaces"))
        bench.device.wish(lambda pico: setattr(pico.chip, "strict", False))
        reboot(term, "factory-reset yes")
        term.ready()
        for command in ("set chip " + chip, "save"):    # defaults, with which it looks for a W5500
            term.do(command)
        reboot(term, "reboot")
        term.see(" at %s/24" % given)
        bench.device.wish(lambda pico: setattr(pico.chip, "strict", True))
    bench.run("ping", "-c", 2, "-W", 5, given)


def reboot(term, command):
    term.key(command + "\r")
    term.see("restarting")


@pytest.mark.skipif(HIL, reason="this is what it starts")
def test_make_hil_runs_these_tests_on_a_serial_port(bench):
    """The same, as for a board: all that is told is a serial port and an interface."""
    said = bench.run("make", "-s", "hil", "PORT=" + bench.port, "IFACE=board", "PYTHON=true",
                     "ARGS=-q -k 'console or pings or curl or copies'", timeout=120)
    assert b"4 passed" in said, said


@pytest.mark.skipif(HIL, reason="this is what it starts")
def test_make_hil_without_a_board_skips_by_name(bench):
    said = bench.run("make", "-s", "hil", "PORT=", "PYTHON=true", "ARGS=-q -k pings")
    assert b"1 skipped" in said and b"no board: make hil PORT=" in said, said


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
