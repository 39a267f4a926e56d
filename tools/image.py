"""Builds an image of MicroPython with spinet frozen in: `image.py BOARD [--parts ...] [--micropython DIR]`.

`make firmware BOARD=pico` does it.  BOARD is a directory of firmware/images; what comes out is
build/firmware/BOARD/firmware.uf2, to be copied to the drive that a Pico is while BOOTSEL is held,
firmware.bin, and sizes.json.

MicroPython is the tree that `--micropython` names, or 1.25.0 from Debian's source packages, with
the Pico's SDK, TinyUSB and Mbed TLS from there, which works on any Debian.  Nothing in a tree is
changed.  The same input gives the same image to the byte, wherever it is built.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "firmware/images"
BUILD = ROOT / "build"
SUITE = "trixie"
PROGRAMS = {"arm-none-eabi-gcc": "gcc-arm-none-eabi", "cmake": "cmake", "ninja": "ninja-build",
            "make": "make", "gcc": "gcc"}
PACKAGES = ["libnewlib-arm-none-eabi", "libc6-dev", "xz-utils", "bzip2", "dpkg-dev"]
NEWLIB = Path("/usr/lib/arm-none-eabi/newlib/thumb/v6-m/nofp/libc.a")
EPOCH = "1750000000"        # what __DATE__ is, so that an image does not depend on the day
FAMILY = {"pico2": "0xe48bff59"}        # of the chip, in a UF2 file; others: RP2040
RP2040 = "0xe48bff56"


class Failed(Exception):
    """No image; the argument says why, to a person."""


def boards():
    """The boards there are images for."""
    return sorted(path.parent.name for path in IMAGES.glob("*/mpconfigboard.h"))


def build(board, parts="", micropython=None, to=None, say=print):
    """Build the image of `board`; the directory with firmware.uf2, firmware.bin, sizes.json."""
    if board not in boards():
        raise Failed(f"there is no board {board}, but: {', '.join(boards())}")
    compilers(say)
    tree = Path(micropython).resolve() if micropython else debian_tree(say)
    if not (tree / "ports/rp2/CMakeLists.txt").exists():
        raise Failed(f"{tree} is no source tree of MicroPython")
    to = Path(to) if to else BUILD / "firmware" / board
    work = to / "work"
    work.mkdir(parents=True, exist_ok=True)
    manifest = work / "manifest.py"
    manifest.write_text(MANIFEST.format(root=ROOT, parts=parts, modules=" ".join(libraries(parts))))
    say(f"building the image for {board}, from {tree}")
    library = work / "micropython-lib"      # a manifest may not ask for what is not there
    library.mkdir(exist_ok=True)
    (library / "README.md").write_text("Not part of Debian's source package.\n")
    env = dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, MICROPY_GIT_HASH="spinet",
               MICROPY_GIT_TAG="v" + version(tree))
    env["CFLAGS"] = f"-ffile-prefix-map={tree}=micropython -ffile-prefix-map={work.resolve()}=build " \
                    f"-ffile-prefix-map={ROOT}=spinet"
    log = work / "log.txt"
    with open(log, "w") as out:
        for command in (
            ["cmake", "-S", tree / "ports/rp2", "-B", work, "-G", "Ninja", "-DPICO_BUILD_DOCS=0",
             f"-DMICROPY_BOARD={board}", f"-DMICROPY_BOARD_DIR={IMAGES / board}",
             f"-DMICROPY_LIB_DIR={library}", f"-DMICROPY_FROZEN_MANIFEST={manifest}",
             f"-DPython3_EXECUTABLE={sys.executable}"],
            ["ninja", "-C", work, f"-j{os.cpu_count()}"],
        ):
            if subprocess.run([str(word) for word in command], stdout=out, stderr=out,
                              env=env).returncode:
                out.flush()
                raise Failed(f"{command[0]} failed, see {log}:\n{what_failed(log)}")
    shutil.copy(work / "firmware.bin", to / "firmware.bin")
    subprocess.run([sys.executable, str(tree / "tools/uf2conv.py"), "-f", FAMILY.get(board, RP2040),
                    "-b", "0x10000000", "-c", "-o", str(to / "firmware.uf2"),
                    str(to / "firmware.bin")], check=True, stdout=subprocess.DEVNULL)
    sizes = measure(board, tree, work, to / "firmware.bin")
    (to / "sizes.json").write_text(json.dumps(sizes, indent=2) + "\n")
    for name, value in sizes.items():
        say(f"  {name.replace('_', ' '):24} {value:,}" if isinstance(value, int) else
            f"  {name.replace('_', ' '):24} {value}")
    say(f"{to / 'firmware.uf2'}")
    return to


MANIFEST = """freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
include("{root}/firmware/manifest.py", parts="{parts}", modules="{modules}")
"""


def libraries(parts):
    """Directories of libraries that the firmware's program uses."""
    return []


def measure(board, tree, work, image):
    """What the image takes."""
    text = subprocess.run(["arm-none-eabi-size", "-A", str(work / "firmware.elf")],
                          capture_output=True, text=True, check=True).stdout
    sections = {m[1]: int(m[2]) for m in re.finditer(r"^(\.\S+)\s+(\d+)", text, re.M)}
    storage = re.search(r"STORAGE_BYTES\s+\((.*?)\)", (IMAGES / board / "mpconfigboard.h").read_text())
    flash = 4 * 1024 * 1024 if board == "pico2" else 2 * 1024 * 1024
    size = image.stat().st_size
    disk = eval(storage[1], {})
    return {"micropython": version(tree), "flash_used": size,
            "flash_left": flash - disk - size, "file_system": disk,
            "ram_static": sections.get(".data", 0) + sections.get(".bss", 0),
            "sha256": hashlib.sha256(image.read_bytes()).hexdigest()}


def version(tree):
    text = (tree / "py/mpconfig.h").read_text()
    return ".".join(re.search(rf"VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "MICRO"))


def what_failed(log):
    lines = log.read_text(errors="replace").splitlines()
    at = next((i for i, line in enumerate(lines) if "FAILED" in line or "CMake Error" in line),
              len(lines) - 10)
    return "\n".join(line[:300] for line in lines[at:at + 12])


def compilers(say):
    """See to it that the cross compiler is there."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if not absent and NEWLIB.exists():
        return
    packages = sorted({PROGRAMS[name] for name in absent} | set(PACKAGES))
    if os.geteuid() or not shutil.which("apt-get"):
        raise Failed("an image needs an ARM compiler with newlib, cmake and ninja: as root, "
                     "apt-get install " + " ".join(packages))
    say("installing " + " ".join(packages))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "-qq", "update"], env=env)
    done = subprocess.run(["apt-get", "-qq", "-y", "-o=Dpkg::Use-Pty=0", "install",
                           "--no-install-recommends", *packages], env=env, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise Failed("apt-get could not install the cross compiler")


def debian_tree(say):
    """MicroPython's sources with what they build on, unpacked from Debian's packages."""
    tree = BUILD / "micropython"
    if (tree / ".complete").exists():
        return tree
    if not shutil.which("apt-get"):
        raise Failed("without Debian's packages name a tree of MicroPython: MICROPY_DIR=")
    say(f"fetching MicroPython and the Pico's SDK from Debian {SUITE}")
    packages = BUILD / "packages"
    apt = apt_of(packages)
    for command in (["update"], ["source", "--download-only", f"micropython/{SUITE}", f"mbedtls/{SUITE}"],
                    ["download", "pico-sdk-source", "tinyusb-source"]):
        done = subprocess.run([*apt, *command], cwd=packages, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"apt-get {command[0]} failed:\n{done.stderr[-800:]}")
    shutil.rmtree(tree, ignore_errors=True)
    unpack(packages.glob("micropython_*.orig.tar.*"), tree)
    for name in ("pico-sdk", "tinyusb", "mbedtls"):
        shutil.rmtree(tree / "lib" / name, ignore_errors=True)
    unpack(packages.glob("mbedtls_*.orig.tar.*"), tree / "lib/mbedtls")
    for name in ("pico-sdk", "tinyusb"):
        whole = packages / name
        subprocess.run(["dpkg-deb", "-x", str(next(packages.glob(f"{name}-source_*.deb"))), str(whole)],
                       check=True)
        shutil.move(str(whole / "usr/src" / name), str(tree / "lib" / name))
    (tree / ".complete").touch()
    return tree


def unpack(archives, to):
    """Unpack the one archive, without its top directory."""
    whole = to.with_name(to.name + ".new")
    with tarfile.open(next(archives)) as archive:
        archive.extractall(whole)
    inside, = whole.iterdir()
    shutil.move(str(inside), str(to))
    whole.rmdir()


def apt_of(folder):
    """apt-get with lists of its own: the system's first mirror, another suite."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = "".join(path.read_text() for path in
                   [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
                   if path.is_file())
    mirror = re.search(r"^URIs: *(\S+)|^deb (?:\[[^]]*\] )?(\S+)", text, re.M)
    if not mirror:
        raise Failed("no mirror of Debian is among apt's sources")
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    sources = folder / "sources.list"
    sources.write_text("".join(f"{kind} {signed} {mirror[1] or mirror[2]} {SUITE} main\n"
                               for kind in ("deb", "deb-src")))
    options = {"Dir::State::status": "/var/lib/dpkg/status", "Dir::Etc::sourcelist": sources,
               "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": folder / "lists",
               "Dir::Cache": folder / "cache", "APT::Get::List-Cleanup": "0",
               "APT::Sandbox::User": "root"}
    return ["apt-get", "-qq", *(f"-o={name}={value}" for name, value in options.items())]


def main():
    parser = argparse.ArgumentParser(description="Build an image with spinet frozen in.")
    parser.add_argument("board", help=", ".join(boards()))
    parser.add_argument("--parts", default="", help="what to freeze, see tools/frozen.py; empty: all")
    parser.add_argument("--micropython", metavar="DIR", help="a source tree of MicroPython")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to")
    options = parser.parse_args()
    try:
        build(options.board, options.parts, options.micropython, options.to)
    except Failed as error:
        sys.exit(f"spinet: {error}")


if __name__ == "__main__":
    main()
