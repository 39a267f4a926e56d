"""Writes package.json, by which `mip` installs spinet on a board: `package_json.py [--check]`."""
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "package.json"
VERSION = "0.1.0"
# No board has what these need.
HOST_ONLY = {
    "prim_cpython.py", "cpython.py", "descriptor.py", "secure.py", "selecting.py", "threaded.py",
    "datagram.py", "rawsocket.py", "tap.py", "tun.py",
}


def modules():
    """(path on the board below /lib, path in the repository) of every module a board may need."""
    core = ROOT / "lib" / "spinet"
    ports = ROOT / "ports"
    for file in [*sorted(core.glob("*.py")), *sorted(core.glob("tcp/*.py"))]:
        if file.name not in HOST_ONLY:
            yield file.relative_to(ROOT / "lib").as_posix(), file.relative_to(ROOT).as_posix()
    for file in sorted(ports.glob("*.py")):
        if file.name not in HOST_ONLY:
            yield f"spinet/ports/{file.name}", f"ports/{file.name}"


def text():
    """What package.json has to be; its URLs are relative to it."""
    lines = ",\n".join(f"    {json.dumps(pair)}" for pair in modules())
    return f'{{\n  "urls": [\n{lines}\n  ],\n  "deps": [],\n  "version": "{VERSION}"\n}}\n'


def main():
    if "--check" not in sys.argv[1:]:
        PACKAGE.write_text(text())
    elif PACKAGE.read_text() != text():
        sys.exit("package.json is out of date: run tools/package_json.py")


if __name__ == "__main__":
    main()
