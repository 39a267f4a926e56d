"""How fast a Pico is, in its own cycles: `bench_pico.py [--chip w5500] [--kib 512]`.

Real firmware on the emulated Pico, its peer in the same time: the figures do not depend on the
machine, and repeat to the cycle.  They are a lower bound of what a Pico needs: the emulator knows
nothing of flash cache misses and bus contention.  `make bench-pico` writes build/bench-pico.json.
"""
import argparse
import bisect
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "tools")]

from pico import device  # noqa: E402
from pico.emulator import Pico  # noqa: E402
from pico.peer import MAC, Peer  # noqa: E402
from spinet.ports.spichip import mac_address  # noqa: E402

BOARD = "10.0.0.15"
MHZ = 125
# Everything is imported by the program itself, in a prompt without the firmware's main.py.
BEGIN = """
import gc
def free():
    gc.collect()
    return gc.mem_free()
boot = free()
import machine
%(freq)s
import spinet
imported = free()
from machine import Pin, SPI
spi = SPI(0, %(hertz)d, sck=Pin(18), mosi=Pin(19), miso=Pin(16))
from spinet.ports.%(chip)s import %(driver)s as Driver
port = Driver(spi, Pin(17), irq=%(irq)s, reset=Pin(20))
driver = free()
nic = spinet.LAN(port)
nic.active(True)
while not nic.isconnected():
    nic.stack.wait(nic.stack.poll() or 1)
up = free()
stack = nic.stack
s = stack.socket()
s.bind(("", 5000))
s.listen(4)
"""
SOCKETS = """
made = []
for k in range(4):
    made.append(s.accept()[0])
print("FREE", boot, imported, driver, up, free(), stack.tcp.rcvbuf + stack.tcp.sndbuf)
for c in made:
    c.close()
"""
TRANSFER = """
stack.tcp.rcvbuf = stack.tcp.sndbuf = %(ring)d
print("READY")
c, _ = s.accept()
buf = bytearray(4096)
view = memoryview(buf)
n = c.readinto(buf)
while n:
    n = c.readinto(buf)
print("TURN")
left = %(total)d
while left > 0:
    left -= c.write(view[:min(4096, left)])
c.close()
print("DONE")
while True:
    stack.wait(stack.poll() or 1)
"""
# The driver by itself, one frame at a time: cycles of a call, the least of some (twice a second a
# call looks after link and registers too).
BARE = """
import time
cycles = machine.mem32
buf = bytearray(1514)
def least(work, *args):
    found = []
    for _ in range(%(rounds)d):
        print("GO")
        time.sleep_ms(20)
        before = cycles[0x400f0000]
        done = work(*args)
        found.append(cycles[0x400f0000] - before & 0xffffffff)
        assert done
    return min(found)
empty = least(lambda *args: True, buf)
found = [least(port.recv, buf) - empty for _ in %(sizes)r]
found += [least(port.send, buf, n) - empty for n in %(sizes)r]
print("BARE", *found)
"""
SIZES = (60, 1514)          # of a frame
ROUNDS = 4
PINGS = 20
DRIVERS = {"w5500": "W5500", "enc28j60": "ENC28J60"}


class Bench:
    """A Pico at `mhz` of SPI clock, and what it did."""

    def __init__(self, image, chip, mhz, irq=True, ring=11680, profile=None):
        self.peer = peer = Peer()
        self.pico = pico = Pico(image, chip, peer.cable, [peer], time=peer.time)
        strict, pico.chip.strict = pico.chip.strict, False
        pico.expect(b"spinet> ")
        pico.write(b"\x03")
        pico.expect(b">>> ")
        pico.exec("open('main.py', 'w').close()")
        pico.reset()
        pico.chip.strict = strict
        pico.expect(b">>> ")
        pico.write(b"\r\x03\x01")
        pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
        self.source = BEGIN % {
            "chip": chip, "driver": DRIVERS[chip], "hertz": mhz * 1000000,
            "irq": "Pin(21)" if irq else "None",
            # The SPI's clock is half the peripheral's, at most: 24 MHz unless that is raised.
            "freq": "machine.freq(125000000, 125000000)" if mhz != 24 and mhz != 12 else ""}
        self.ring = ring
        self.profile = profile

    def close(self):
        self.pico.close()

    def memory(self):
        """Bytes free at boot, after import, with the driver, up, with 4 sockets; and of rings."""
        self.pico.write((self.source + SOCKETS).encode() + b"\x04")
        self.pico.until(lambda: self.peer.dhcp.leases(), 20000)
        self.pico.run(9000)         # it makes sure that nobody else has the address
        self.peer.drive(self.pico)
        for _ in range(4):
            s = self.peer.stack.socket()
            s.settimeout(20)
            s.connect((BOARD, 5000))
        self.pico.expect(b"FREE ")
        return [int(word) for word in self.pico.expect(b"\r\n").split()]

    def transfer(self, total):
        """[(KB/s, cycles per frame of data, busy share)] in and out; of a ping (us, cycles)."""
        pico, peer = self.pico, self.peer
        program = self.source + TRANSFER % {"total": total, "ring": self.ring}
        pico.write(program.encode() + b"\x04")
        pico.expect(b"READY", 30000)
        peer.drive(pico)
        peer.stack.tcp.sndbuf = peer.stack.tcp.rcvbuf = 65535
        ping = self.pings(PINGS)
        s = peer.stack.socket()
        s.settimeout(60)
        s.connect((BOARD, 5000))
        found = []
        for title, name, work in (("in:", "to_chip", lambda: self.send(s, total)),
                                  ("out:", "to_host", lambda: self.receive(s))):
            if self.profile:
                pico.profile()
            before = pico.nanos, pico.cycles, pico.asleep, peer.cable.count[name]
            n = work()
            nanos, cycles, asleep, frames = (
                b - a for a, b in zip(before, (pico.nanos, pico.cycles, pico.asleep,
                                               peer.cable.count[name])))
            if self.profile:
                print(title)
                show(pico.profile(), self.profile)
            found.append((n * 1e6 / nanos, (cycles - asleep) / frames, 1 - asleep / cycles))
        return found, ping

    def bare(self):
        """Cycles in the driver to receive a frame of each of SIZES, and to send one."""
        pico, peer = self.pico, self.peer
        pico.write((self.source + BARE % {"rounds": ROUNDS, "sizes": SIZES}).encode() + b"\x04")
        for n in (0,) + SIZES:
            for _ in range(ROUNDS):
                pico.expect(b"GO\r\n", 30000)
                if n:
                    frame = mac_address(peer.dhcp.leases()[0][1]) + MAC + b"\x88\xb5"
                    peer.cable.put(peer.cable.to_chip, frame + bytes(n - 14), "to_chip")
                    pico.chip.service()
        pico.expect(b"BARE ", 30000)
        found = [int(word) for word in pico.expect(b"\r\n").split()]
        return found[:len(SIZES)], found[len(SIZES):]

    def pings(self, count):
        """The shortest in microseconds, and the cycles that each took, all the Pico did counted."""
        pico = self.pico
        self.ping()
        if self.profile:
            pico.profile()
        before = pico.cycles - pico.asleep
        times = []
        for _ in range(count):
            times.append(self.ping())
            end = pico.nanos + 5000000
            while pico.nanos < end:
                pico.run_to(end)
        cycles = pico.cycles - pico.asleep - before
        if self.profile:
            print("a ping:")
            show(pico.profile(), self.profile)
        return min(times) / 1000, cycles / count

    def send(self, s, total):
        s.sendall(bytes(total))
        s.shutdown(1)
        self.peer.pump(lambda: b"TURN" in self.pico.output, 60000)
        return total

    def receive(self, s):
        n = 0
        piece = s.recv(65535)
        while piece:
            n += len(piece)
            piece = s.recv(65535)
        return n

    def ping(self):
        """Nanoseconds from an echo request's last bit at the chip to the answer's."""
        from spinet.diag import Ping

        moments = {}
        self.peer.cable.on_frame = lambda inward, frame: moments.setdefault(
            inward, self.pico.nanos) if frame[23] == 1 else None
        ping = Ping(self.peer.stack, BOARD, count=1)
        until_done(self.peer.stack, ping)
        self.peer.cable.on_frame = None
        return moments[False] - moments[True]


def show(samples, elf, most=40):
    """Where the core was, by the symbols of the image."""
    lines = subprocess.run(["arm-none-eabi-nm", "-n", elf], capture_output=True, text=True).stdout
    symbols = [(int(line.split()[0], 16), line.split()[2]) for line in lines.splitlines()
               if len(line.split()) == 3]
    starts = [address for address, _ in symbols]
    found = {}
    for address, count in samples.items():
        at = bisect.bisect(starts, address) - 1
        name = symbols[at][1] if at >= 0 else "ROM"
        found[name] = found.get(name, 0) + count
    total = sum(found.values())
    for name, count in sorted(found.items(), key=lambda pair: -pair[1])[:most]:
        print("  %5.1f %% %s" % (100 * count / total, name))


def until_done(stack, thing):
    from spinet.wait import until

    until(stack, thing, 5000)


def main():
    parser = argparse.ArgumentParser(description="Cycles and throughput of an emulated Pico.")
    parser.add_argument("--chip", choices=DRIVERS, action="append")
    parser.add_argument("--kib", type=int, default=512, help="of a transfer")
    parser.add_argument("--image", help="another image than the one that is built")
    parser.add_argument("--profile", action="store_true", help="show where the cycles go")
    options = parser.parse_args()
    elf = str(device.IMAGE.parent / "work/firmware.elf") if options.profile else None
    image = options.image or device.firmware()
    result = {"image": json.loads((device.IMAGE.parent / "sizes.json").read_text()),
              "rows": [], "drivers": []}
    print("chip       SPI MHz     in: KB/s  cycles  busy    out: KB/s  cycles  busy   ping ms"
          "  cycles")
    for chip, mhz, irq in (("w5500", 24, True), ("w5500", 12, True), ("w5500", 33, True),
                           ("w5500", 24, False), ("enc28j60", 12, True), ("enc28j60", 20, True)):
        if options.chip and chip not in options.chip:
            continue
        bench = Bench(image, chip, mhz, irq, profile=elf)
        (into, out), (ping, ping_cycles) = bench.transfer(options.kib * 1024)
        bench.close()
        print("%-9s %5d %-5s %10.0f %8.0f %4.0f %% %10.0f %8.0f %4.0f %%  %7.2f %8.0f" % (
            chip, mhz, "" if irq else "poll", into[0], into[1], 100 * into[2],
            out[0], out[1], 100 * out[2], ping / 1000, ping_cycles), flush=True)
        result["rows"].append({
            "chip": chip, "spi_mhz": mhz, "irq": irq, "in_kb_s": into[0], "out_kb_s": out[0],
            "in_cycles": into[1], "out_cycles": out[1], "ping_us": ping,
            "ping_cycles": ping_cycles})
    for chip, mhz in (("w5500", 24), ("enc28j60", 12)):
        if options.chip and chip not in options.chip:
            continue
        bench = Bench(image, chip, mhz)
        received, sent = bench.bare()
        bench.close()
        print("%s at %d MHz, the driver alone, cycles a frame of %r bytes: received %r, sent %r" % (
            chip, mhz, SIZES, received, sent), flush=True)
        result["drivers"].append({"chip": chip, "spi_mhz": mhz, "bytes": SIZES,
                                  "recv_cycles": received, "send_cycles": sent})
    bench = Bench(image, (options.chip or ["w5500"])[0], 12)
    stages = bench.memory()
    bench.close()
    names = ("boot", "imported", "driver", "up", "four_sockets", "rings_of_a_socket")
    result["ram_free"] = dict(zip(names, stages))
    print("RAM free: " + ", ".join("%s %d" % pair for pair in zip(names, stages)))
    (ROOT / "build/bench-pico.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
