"""spinet in flash as it is once imported (tools/rom.py): what it takes of RAM, what it can do."""
import bench_pico
import frozen
import pytest
import rom
from pico import device

STAGED = device.IMAGE.parent / "work/frozen"
PROMPT = b"raw REPL; CTRL-B to exit\r\n>"


class Board(bench_pico.Bench):
    """A Pico at the raw REPL."""

    def run(self, source, ms=20000):
        """What a program prints."""
        self.pico.output.clear()
        self.pico.write(source.encode() + b"\x04")
        self.pico.until(lambda: self.pico.output.endswith(b"\x04>"), ms)
        out, error = bytes(self.pico.output)[2:-2].decode().split("\x04")
        assert not error, error
        return out.replace("\r\n", "\n")

    def up(self):
        """Have `nic`, with an address."""
        return self.run(self.source, 60000)


@pytest.fixture
def board(firmware):
    board = Board(firmware, "w5500", 12)
    yield board
    board.close()


def test_ram_of_a_lan_with_dhcp_and_four_sockets(board):
    boot, imported, driver, up, sockets, rings = board.memory()
    # docs/memory.md: 1,376, 2,288, 11,184 and 3,344 bytes; the bar for all of it is 24 KiB.
    assert boot - imported < 1600
    assert imported - driver < 2500
    assert driver - up < 12000
    assert up - sockets - 4 * rings < 4000


def test_modules_have_what_an_import_would_give_them(board):
    """Each name and each class's each name, as their sources say."""
    modules = rom.Modules({name: text for name, text in frozen.staged(STAGED).items()
                           if name.startswith("spinet/")})
    assert len(modules.loaded) > 80
    for name, module in modules.loaded.items():
        wanted = {key for key in vars(module) if key not in rom._IMPLIED}
        classes = {key: sorted(set(vars(value)) - rom._IMPLIED)
                   for key, value in vars(module).items()
                   if isinstance(value, type) and value.__module__ == name}
        out = board.run(
            f"import {name}\nm = {name}\nprint(sorted({wanted!r} - set(dir(m))), m.__name__)\n"
            f"for n, keys in sorted({classes!r}.items()):\n"
            "    print(n, getattr(m, n).__name__, [k for k in keys if k not in "
            "getattr(m, n).__dict__ and k != '__hash__'])\n")
        assert out == f"[] {name}\n" + "".join(f"{key} {key} []\n" for key in sorted(classes)), name


def test_classes_can_be_derived_from_but_not_changed(board):
    assert board.run("""
import spinet
from spinet.timers import Timer
class Mine(Timer):
    def expire(self, now):
        return "expired"
print(isinstance(Mine(), Timer), Mine().expire(0), Mine.__bases__ == (Timer,))
class Worse(spinet.Unknown):
    pass
try:
    raise Worse("why")
except OSError as error:
    print(repr(error))
for thing in spinet.Ethernet, spinet.lan.hostname, spinet.routes:
    try:
        thing.other = 1
    except AttributeError:
        print("no")
spinet.lan.hostname("mine")
print(spinet.lan.hostname())
""") == "True expired True\nWorse('why',)\nno\nno\nno\nmine\n"


def test_the_flash_comes_first(board):
    assert board.run("""
with open("spinet.py", "w") as file:
    file.write("mine = True")
import os, spinet
print(spinet.mine)
os.remove("spinet.py")
""") == "True\n"


def test_background_and_a_new_start(board):
    """Methods are wrapped in RAM, and after a soft reset what is in flash counts again."""
    method = "print(type(nic.stack).__dict__['poll'])\n"
    assert board.up() == ""
    before = board.run(method)
    assert board.run("nic.background()\n" + method) != before
    assert board.run("""
import time
pumps = nic._background.pumps
for _ in range(20):
    time.sleep_ms(50)
    gc.collect()
print(nic._background.pumps > pumps, nic.isconnected())
""") == "True True\n"
    board.run("spinet.lan.hostname('mine')")
    board.pico.write(b"import machine; machine.soft_reset()\x04")
    board.pico.expect(PROMPT)
    assert board.up() == ""
    after = "print(spinet.lan.hostname())\nnic.background()\nnic.background(False)\n"
    assert board.run(method + after + method) == f"{before}spinet\n{before}"


@pytest.fixture(scope="module")
def compiled(firmware):
    content = device.IMAGE.parent / "work/frozen_content.c"
    files = {name: text for name, text in frozen.staged(STAGED).items()
             if name.startswith("spinet/")}
    return rom.Code(content.read_text()), files


@pytest.mark.parametrize("more, why", [
    ("state = Waiter(None)", "spinet.wait: .*Waiter object.* is no constant"),
    ("buffer = bytearray(4)", "spinet.wait: .*bytearray.* is no constant"),
    ("many = 1 << 40", "spinet.wait: 1099511627776 is no constant"),
    ("def more(): pass", r"spinet/wait.py: .* its source \[.*'more'\]"),
])
def test_what_cannot_be_in_flash(compiled, more, why):
    code, files = compiled
    files = {**files, "spinet/wait.py": files["spinet/wait.py"] + more + "\n"}
    with pytest.raises(rom.Unlinkable, match=why):
        rom.Rom(rom.Modules(files), code, set(), 1, str).text()
