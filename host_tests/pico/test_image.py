"""What an image has in it, run on the emulated Pico."""
import json
import re
import socket
import ssl
import struct
import subprocess
import sys

import certificates
import frozen
import image
import mpy
import pytest
from pico.device import Device, configure
from pico.emulator import USB, Fault, Pico
from pico.peer import Peer
from spinet import secure

FAMILIES = {"pico": 0xE48BFF56, "pico-uart": 0xE48BFF56, "pico2": 0xE48BFF59}

HTTPS = """
import gc, machine, spinet
machine.RTC().datetime(%(now)r)
from app import board, config
nic = board.bring_up(config.load())
spinet.install(nic.stack)
import socket, ssl
gc.collect()
before = gc.mem_free()
s = socket.socket()
s.connect(("10.0.0.1", 443))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ssl.CERT_REQUIRED
context.load_verify_locations(cadata=%(der)r)
s = context.wrap_socket(s, server_hostname="board.test")
s.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
gc.collect()
print("TOOK", before - gc.mem_free())
print("GOT", s.read())
"""


def at_the_prompt(pico):
    """No program runs, and the raw REPL takes another."""
    pico.expect(b"spinet> ")
    pico.write(b"\r\x03\x01")
    pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
    pico.write(b"import machine\nmachine.soft_reset()\n\x04")
    pico.expect(b"raw REPL; CTRL-B to exit\r\n>")


def test_https_with_the_certificate_checked(firmware, tmp_path):
    certificates.make(tmp_path, "10.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    now = ssl_time(tmp_path)
    peer = Peer()
    with Pico(firmware, "w5500", peer.cable, [peer], time=peer.time) as pico:
        configure(pico, {"address": "10.0.0.15/24"})
        at_the_prompt(pico)
        listener = peer.stack.socket()
        listener.bind(("", 443))
        listener.listen()
        listener.settimeout(30)
        der = (tmp_path / "ca.der").read_bytes()
        pico.write((HTTPS % {"now": now, "der": der}).encode() + b"\x04")
        pico.until(lambda: b"OK" in pico.output)
        peer.drive(pico)
        try:
            conn, _ = listener.accept()
        except OSError:
            raise AssertionError(bytes(pico.output)) from None
        conn.settimeout(60)
        conn = secure.wrap(context, conn, server_side=True)
        assert conn.recv(100).startswith(b"GET / ")
        conn.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello from the peer")
        conn.close()
        peer.pump(lambda: b"\x04>" in pico.output, 30000)
        said = bytes(pico.output).decode()
        assert "hello from the peer" in said, said
        took = int(re.search(r"TOOK (-?\d+)", said)[1])
        print("TLS takes %d bytes of heap" % took)
        assert 0 < took < 60000


def ssl_time(folder):
    """A moment at which the certificate holds, for an RTC."""
    import datetime

    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    return (now.year, now.month, now.day, now.weekday(), now.hour, now.minute, now.second, 0)


def test_the_flash_own_programs_come_first(firmware):
    with Pico(firmware, None) as pico:
        pico.expect(b"spinet> ")
        pico.exec("for n in ('boot', 'main'):\n"
                  "    with open(n + '.py', 'w') as f:\n"
                  "        f.write('print(\"my own ' + n + '\")')")
        pico.reset()
        assert b"spinet>" not in pico.expect(b"my own boot") + pico.expect(b"my own main")
        assert "start" in pico.exec("import os\nos.remove('main.py')\nprint('start')")
        pico.reset()
        pico.expect(b"spinet> ")


def test_profiles_and_pages_come_from_the_image(firmware):
    with Pico(firmware, None) as pico:
        pico.expect(b"spinet> ")
        assert pico.exec("import os; print(os.listdir())") == "[]\n"
        pico.write(b"\x04")
        pico.expect(b"spinet> ")
        pico.run(200)
        pico.write(b"set board pico-enc28j60\r")
        pico.run(500)
        pico.output.clear()
        pico.write(b"get chip\r")
        pico.run(500)
        assert b"enc28j60" in pico.output


def test_parts_by_name(tmp_path):
    names = {name for _, name in frozen.stage(tmp_path, ["w5500", "dhcp"])}
    assert {"spinet/tcp/input.py", "spinet/ports/w5500.py", "spinet/dhcp.py"} <= names
    assert not {"spinet/ports/enc28j60.py", "spinet/mdns.py", "main.py"} & names
    everything = {name for _, name in frozen.stage(tmp_path)}
    assert names < everything and {"main.py", "boot.py", "app/board.py"} <= everything
    with pytest.raises(SystemExit, match="no part wifi: there are app,"):
        list(frozen.stage(tmp_path, ["wifi"]))


def test_every_part_is_a_module_that_there_is(tmp_path):
    modules = {name[len("spinet/"):-3] for _, name in frozen.stage(tmp_path)
               if name.startswith("spinet/")}
    for part, names in frozen.PARTS.items():
        assert set(names) <= modules, part
    assert set(frozen.NATIVE) <= modules


def test_native_code_is_what_can_be():
    text = frozen.native('"""Doc."""\ndef a():\n    return 1\ndef b():\n    yield 1\n'
                         'def c():\n    try:\n        a()\n    except OSError:\n        raise\n')
    assert text.count("@micropython.native") == 1
    assert text.startswith('"""Doc."""\nimport micropython\n\n@micropython.native\ndef a')


def test_no_native_module_has_more_names_than_the_emitter_takes(tmp_path):
    """MicroPython's for the Cortex-M0+ gets wrong what is behind the 287th."""
    if not mpy.MPY_CROSS.exists():
        pytest.skip("no mpy-cross here")
    for folder, name in frozen.stage(tmp_path / "frozen"):
        if name[:-3].replace("spinet/", "", 1) in frozen.NATIVE:
            out = tmp_path / "module.mpy"
            subprocess.run([mpy.MPY_CROSS, "-march=armv6m", "-o", out, folder + "/" + name],
                           check=True)
            data = out.read_bytes()     # M, version, features, bits of integers, number of names
            count = at = 0
            while data[4 + at] & 0x80:
                count, at = (count | data[4 + at] & 0x7F) << 7, at + 1
            assert count | data[4 + at] <= 287, name


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("board", ["pico", "pico2"])
def test_images_for_boards(firmware, board, tmp_path):
    """They build; the UF2 file is for that chip and begins where its flash does."""
    folder = image.build(board, to=tmp_path / board, say=lambda text: None)
    data = (folder / "firmware.uf2").read_bytes()
    assert len(data) % 512 == 0
    for at in range(0, len(data), 512):
        first, second, flags, address, size, number, count, family = struct.unpack_from(
            "<8I", data, at)
        assert (first, second, flags) == (0x0A324655, 0x9E5D5157, 0x2000)
        assert (number, count, family) == (at // 512, len(data) // 512, FAMILIES[board])
        assert address == 0x10000000 + 256 * number and size == 256
    sizes = json.loads((folder / "sizes.json").read_text())
    assert sizes["flash_left"] > 0 and sizes["file_system"] >= 1 << 20
    said = re.search(r"^\| `%s` \| ([\d,]+) bytes .* ([\d,]+) bytes \|$" % board,
                     (image.ROOT / "docs/firmware-image.md").read_text(), re.M)
    for text, size in zip(said.groups(), (sizes["flash_used"], sizes["ram_static"])):
        assert abs(int(text.replace(",", "")) / size - 1) < 0.02, (text, size)
    if board == "pico":
        runs_on_usb(folder / "firmware.uf2")


def runs_on_usb(image):
    """Console, REPL and network with the serial line on USB, through resets; idle, it sleeps."""
    peer = Peer()
    with Pico(image, "w5500", peer.cable, [peer], time=peer.time, console=USB) as pico:
        pico.expect(b"spinet at 10.0.0.15", 20000)
        pico.write(b"show interfaces\r")
        pico.expect(b"address  10.0.0.15/24 (DHCP, bound)")
        pico.run(1000)
        cycles, asleep = pico.cycles, pico.asleep
        pico.run(5000)
        assert (pico.asleep - asleep) / (pico.cycles - cycles) > 0.98
        told = "x" * 3000               # more than a packet, and than the buffers hold
        assert pico.exec("a = %r\nprint(a)" % told) == told + "\n"
        pico.write(b"\x04")
        pico.expect(b"soft reboot")
        pico.expect(b"spinet at 10.0.0.15", 20000)
        pico.write(b"reboot\r")
        pico.until(lambda: pico.resets)
        pico.expect(b"spinet at 10.0.0.15", 20000)
        peer.drive(pico)
        s = peer.stack.socket()
        s.connect(("10.0.0.15", 7))
        s.sendall(b"echo")
        assert s.recv(10) == b"echo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        device = Device((0, wire.getsockname()[1]), image=image, console="usb")
        device.start()
        try:
            words = [sys.executable, "-m", "mpremote", "connect", device.path]
            done = subprocess.run([*words, "exec", "print('mpremote', 6 * 7)"],
                                  capture_output=True, text=True, timeout=60)
        finally:
            device.stop()
    assert done.stdout.strip() == "mpremote 42", done


DERIVED = """
import spinet, asyncio
from spinet.lan import LAN
class Mine(LAN):
    def config(self, *keys, **settings):
        return LAN.config(self, *keys, **settings)
spinet.install(the_board.nic.stack)
import socket
s = socket.socket()
s.connect(("10.0.0.1", 7))
s.send(b"there and back")
print(s.recv(100), Mine)
s.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_written_to_flash_where_the_chip_refuses_it(firmware, tmp_path):
    """As an image for an RP2350 is made: classes can be derived from, wrapped, and unwrapped."""
    folder = image.build("pico-uart", to=tmp_path, say=lambda text: None, types="ram")
    peer = Peer()
    listener = peer.stack.socket()
    listener.bind(("", 7))
    listener.listen()
    listener.setblocking(False)
    served = []

    def echo():
        if not served and listener.ready() & 1:
            served.append(listener.accept()[0])
            served[0].setblocking(False)
        if served:
            data = served[0].read(100)
            if data:
                served[0].write(data)

    peer.tasks.append(echo)
    with Pico(folder / "firmware.bin", "w5500", peer.cable, [peer], time=peer.time,
              strict=True) as pico:
        for _ in range(2):
            pico.expect(b"spinet at 10.0.0.15", 20000)
            assert "b'there and back' <class 'Mine'>" in pico.exec(DERIVED, 20000)
            served.clear()
            pico.write(b"\x04")
            pico.expect(b"soft reboot")
    with Pico(firmware, None, strict=True) as pico:     # and where that was not done, it is seen
        with pytest.raises(Fault, match="write to flash"):
            pico.expect(b"spinet> ")        # app/ derives from classes of spinet


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_image_wherever_it_is_built(firmware, tmp_path):
    folder = image.build("pico-uart", to=tmp_path / "elsewhere", say=lambda text: None)
    assert (folder / "firmware.bin").read_bytes() == firmware.read_bytes()


def listing(tree):
    """What files there are in a directory, and when they were changed."""
    return {path.relative_to(tree): path.lstat().st_mtime_ns for path in tree.rglob("*")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_image_of_few_parts_and_a_module_of_the_users(firmware, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/blinker.py").write_text("import spinet\nPIN = 25\n")
    (tmp_path / "mine/manifest.py").write_text('module("blinker.py")\n')
    tree = image.micropython_tree.unpacked(print)
    before = listing(tree)
    folder = image.build("pico-uart", "w5500 dhcp", to=tmp_path / "few", say=lambda text: None,
                         more=tmp_path / "mine/manifest.py")
    assert listing(tree) == before, "nothing in MicroPython's tree is changed"
    assert (folder / "firmware.bin").stat().st_size < firmware.stat().st_size - 100000
    with Pico(folder / "firmware.bin", None) as pico:
        pico.expect(b">>> ")
        pico.exec("import spinet\nfrom spinet.ports.w5500 import W5500")
        pico.exec("import blinker\nassert blinker.PIN == 25 and blinker.spinet is spinet")
        with pytest.raises(RuntimeError, match="no module named 'spinet.mdns'"):
            pico.exec("import spinet.mdns")


def test_what_was_configured_elsewhere_is_begun_anew(tmp_path):
    """CMake refuses a directory that was moved, or is of another tree."""
    assert image.configured(tmp_path) is None
    (tmp_path / "CMakeCache.txt").write_text(
        "CMAKE_CACHEFILE_DIR:INTERNAL=/a/work\nCMAKE_HOME_DIRECTORY:INTERNAL=/b/ports/rp2\n")
    assert [str(path) for path in image.configured(tmp_path)] == ["/a/work", "/b/ports/rp2"]


def test_a_board_that_there_is_none_for():
    with pytest.raises(image.Failed, match="no board esp32, but: pico, pico-uart, pico2, w5"):
        image.build("esp32")


def test_a_tree_that_is_none(tmp_path):
    if not image.NEWLIB.exists():
        pytest.skip("no cross compiler")
    with pytest.raises(image.Failed, match="no source tree of MicroPython"):
        image.build("pico", micropython=tmp_path, to=tmp_path / "out", say=lambda text: None)
