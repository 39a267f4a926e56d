"""Lays out what firmware/manifest.py freezes: `stage(to, parts)`."""
import ast
from pathlib import Path

import mpy
from spinetcli import libraries

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

# Each part: the modules, below spinet, that a board can do without.  "app" is the firmware.
PARTS = {
    "w5500": ("ports/w5500", "ports/w5500_chip"),
    "enc28j60": ("ports/enc28j60", "ports/enc28j60_regs", "ports/enc28j60_tx"),
    "slip": ("ports/slip",),
    "tunnel": ("ports/tunnel",),
    "pcap": ("ports/pcap",),
    "dhcp": ("dhcp", "dhcpmsg", "dhcpstates", "lease", "leasefile", "seconds"),
    "dhcpd": ("dhcpd", "dhcpmsg"),
    "linklocal": ("linklocal",),
    "dns": ("dns", "dnsmsg", "dnstcp"),
    "mdns": ("mdns", "mdnsbrowse", "mdnsentry", "mdnsown", "dnsmsg"),
    "llmnr": ("llmnr", "dnsmsg"),
    "groups": ("igmp", "igmpside", "mcastopt"),
    "sntp": ("sntp", "seconds"),
    "sntpd": ("sntpd", "seconds"),
    "tftp": ("tftp",),
    "syslog": ("syslog",),
    "diag": ("diag",),
    "iperf": ("iperf", "iperfdata"),
    "install": ("modules", "polling", "ssl"),
    "repl": ("repl", "console"),
    "app": (),
}
# What runs as NAME.py from the image: MicroPython prefers a frozen file to one on the flash, so
# this looks for the latter.
START = '''"""The flash's own {name}.py, if it has one, else spinet's."""
try:
    with open("{name}.py") as file:
        source = file.read()
except OSError:
    from spinet_{name} import *
else:
    exec(compile(source, "{name}.py", "exec"), globals())
'''


# Modules whose functions become native code: what a frame goes through.  (Each by itself: in code
# for a Cortex-M0+ MicroPython 1.25 mistakes the names of a module after the 287th,
# an error in its `asm_thumb_add_reg_reg_offset`, and the one file of tcp/ has more.)
NATIVE = (
    "ports/spichip", "ports/w5500", "ports/w5500_chip", "ports/enc28j60", "ports/enc28j60_regs",
    "ports/enc28j60_tx", "ethernet", "loopback", "wait", "sockbase",
    "ipv4", "path", "icmp",
    "udp", "tcp/__init__", "tcp/reno", "tcp/ranges", "tcp/rto", "tcp/limit", "tcp/options",
    "tcp/output", "tcp/conn", "tcp/input", "timers", "stack", "shortcut", "sockstream",
)


# Made names of the module: else each use looks through the whole module for them in vain first.
_BUILTINS = {"len", "max", "min"}
_NOT_NATIVE = (ast.Yield, ast.YieldFrom, ast.FunctionDef, ast.Lambda)


def native(text):
    """A module's source with `@micropython.native` on all functions that can be."""
    tree = ast.parse(text)
    builtin = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _BUILTINS:
            builtin.add(node.id)
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and not any(
                isinstance(part, _NOT_NATIVE) or isinstance(part, ast.Raise) and part.exc is None
                for part in ast.walk(node) if part is not node):
            node.decorator_list = [ast.parse("micropython.native", mode="eval").body]
    at = 1 if ast.get_docstring(tree) is not None else 0
    tree.body[at:at] = ast.parse("\n".join(
        ["import micropython", *(f"{name} = {name}" for name in sorted(builtin))])).body
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def stage(to, parts=(), modules=()):
    """Write the modules below the directory `to`; (directory, file) of each.

    `modules` are further libraries, as directories.
    """
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise SystemExit("spinet has no part %s: there are %s" % (
            ", ".join(sorted(unknown)), ", ".join(sorted(PARTS))))
    wanted = set(parts or PARTS)
    target = Path(to or BUILD / "frozen")
    files = {name: text for name, text in mpy.sources(merge=False).items() if taken(name, wanted)}
    for name in NATIVE:
        name = f"spinet/{name}.py"
        if name in files:
            files[name] = native(files[name])
    if "app" in wanted:
        files.update(app())
        files.update((name, path.read_text()) for path, name in libraries.files())
    for library in modules:
        files.update((path.relative_to(library).as_posix(), path.read_text())
                     for path in sorted(Path(library).rglob("*.py")))
    before = staged(target)
    for name in before.keys() - files.keys():
        (target / name).unlink()
    for name, text in sorted(files.items()):
        if before.get(name) != text:        # what has not changed is not compiled again
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)
        yield str(target), name


def staged(target):
    """{name: source} of what `stage` wrote last into the directory `target`."""
    return {path.relative_to(target).as_posix(): path.read_text()
            for path in sorted(target.rglob("*.py"))}


def taken(name, wanted):
    """Is this module there, by the parts wanted?"""
    names = [part for part, modules in PARTS.items()
             if name[:-3].replace("spinet/", "", 1) in modules]
    return not names or any(part in wanted for part in names)


def app():
    """{name: source} of the firmware's program; its pages and board profiles as one module."""
    firmware = ROOT / "firmware"
    files = {path.relative_to(firmware).as_posix(): ast.unparse(ast.parse(path.read_text()))
             for path in sorted((firmware / "app").glob("*.py"))}
    for name in ("boot", "main"):
        files[f"spinet_{name}.py"] = (firmware / f"{name}.py").read_text()
        files[f"{name}.py"] = START.format(name=name)
    data = [path for folder in ("www", "boards") for path in sorted((firmware / folder).iterdir())]
    files["spinet_files.py"] = "FILES = {\n%s}\n" % "".join(
        f"    {path.relative_to(firmware).as_posix()!r}: {path.read_bytes()!r},\n" for path in data)
    return files
