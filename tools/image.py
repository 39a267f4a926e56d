"""Builds an image of MicroPython with spinet frozen in: `image.py BOARD [--parts ...]`.

`make firmware BOARD=pico` does it.  BOARD is a directory of firmware/images; what comes out is
build/firmware/BOARD/firmware.uf2, to be copied to the drive that a Pico is while BOOTSEL is held,
firmware.bin, and sizes.json.

MicroPython is the tree that `--micropython` names, or that of micropython_tree.py; nothing in it is
changed.  The same input gives the same image to the byte, wherever it is built.
"""
import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import frozen
import micropython_tree
import rom
from micropython_tree import Failed, Missing

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "firmware/images"
BUILD = ROOT / "build"
PROGRAMS = {"arm-none-eabi-gcc": "gcc-arm-none-eabi", "cmake": "cmake", "ninja": "ninja-build",
            "make": "make", "gcc": "gcc"}
PACKAGES = ["libnewlib-arm-none-eabi", "libc6-dev", "xz-utils", "bzip2", "dpkg-dev"]
NEWLIB = Path("/usr/lib/arm-none-eabi/newlib/thumb/v6-m/nofp/libc.a")
EPOCH = "1750000000"        # what __DATE__ is, so that an image does not depend on the day
ALIKE = {"w5500-evb-pico": "pico", "w5500-evb-pico2": "pico2"}     # boards with another's image
FAMILY = {"pico2": "0xe48bff59"}        # of the chip, in a UF2 file; others: RP2040
RP2040 = "0xe48bff56"


def boards():
    """The boards there are images for."""
    return sorted([path.parent.name for path in IMAGES.glob("*/mpconfigboard.h")] + list(ALIKE))


def build(board, parts="", micropython=None, to=None, say=print, in_ram=False, more=None,
          types=None):
    """Build the image of `board`; the directory with firmware.uf2, firmware.bin, sizes.json.

    `more`: a manifest of the user's, whose modules are frozen too.
    `in_ram`: modules are imported into RAM, as MicroPython does it by itself.
    `types`: where the heads of their classes are, "flash" or "ram"; else where the chip wants them.
    """
    if board not in boards():
        raise Failed(f"there is no board {board}, but: {', '.join(boards())}")
    name = board
    board = ALIKE.get(name, name)
    compilers(say)
    tree = Path(micropython).resolve() if micropython else micropython_tree.unpacked(say)
    if not (tree / "ports/rp2/CMakeLists.txt").exists():
        raise Failed(f"{tree} is no source tree of MicroPython")
    to = Path(to) if to else BUILD / "firmware" / name
    work = to / "work"
    if configured(work) not in (None, (work.resolve(), tree / "ports/rp2")):
        shutil.rmtree(work)         # for another tree, or in another place
    work.mkdir(parents=True, exist_ok=True)
    manifest = work / "manifest.py"
    staged = work.resolve() / "frozen"
    manifest.write_text(MANIFEST.format(root=ROOT, parts=parts, staged=staged) + (
        f'include("{Path(more).resolve()}")\n' if more else ""))
    say(f"building the image for {name}, from {tree}")
    library = work / "micropython-lib"      # a manifest may not ask for what is not there
    library.mkdir(exist_ok=True)
    (library / "README.md").write_text("Not part of Debian's source package.\n")
    env = dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, MICROPY_GIT_HASH="spinet",
               MICROPY_GIT_TAG="v" + version(tree))
    env["CFLAGS"] = " ".join(f"-ffile-prefix-map={path}={name}" for path, name in (
        (tree, "micropython"), (work.resolve(), "build"), (ROOT, "spinet")))
    log = work / "log.txt"
    types = types or ("ram" if board in FAMILY else "flash")    # an RP2040 ignores writes to flash
    content = work / "frozen_content.c"
    content.unlink(missing_ok=True)
    with open(log, "w") as out:
        def run(*command):
            if subprocess.run([str(word) for word in command], stdout=out, stderr=out,
                              env=env).returncode:
                out.flush()
                raise Failed(f"{command[0]} failed, see {log}:\n{what_failed(log)}")

        # One for all images of a tree.
        cross = BUILD / "mpy-cross" / hashlib.sha256(bytes(tree)).hexdigest()[:16]
        cross.mkdir(parents=True, exist_ok=True)
        with open(cross / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            run("make", "-C", tree / "mpy-cross", f"BUILD={cross}", f"-j{os.cpu_count()}")
        env["MICROPY_MPYCROSS"] = str(cross / "mpy-cross")
        run("cmake", "-S", tree / "ports/rp2", "-B", work, "-G", "Ninja", "-DPICO_BUILD_DOCS=0",
            f"-DMICROPY_BOARD={board}", f"-DMICROPY_BOARD_DIR={IMAGES / board}",
            f"-DMICROPY_LIB_DIR={library}", f"-DMICROPY_FROZEN_MANIFEST={manifest}",
            f"-DUSER_C_MODULES={IMAGES / 'rom/micropython.cmake' if not in_ram else ''}",
            f"-DPython3_EXECUTABLE={sys.executable}")
        if not in_ram:
            run("ninja", "-C", work, content.name)
            rom.link(content, frozen.staged(staged), work / "genhdr", tree, types)
        run("ninja", "-C", work, f"-j{os.cpu_count()}")
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


def configured(work):
    """(directory, sources) that CMake was last told in `work`; None if it never was."""
    try:
        cache = (work / "CMakeCache.txt").read_text()
    except OSError:
        return None
    return tuple(Path(re.search(rf"^{name}:INTERNAL=(.*)$", cache, re.M)[1])
                 for name in ("CMAKE_CACHEFILE_DIR", "CMAKE_HOME_DIRECTORY"))


MANIFEST = """freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
include("{root}/firmware/manifest.py", parts="{parts}", to="{staged}")
"""


def measure(board, tree, work, image):
    """What the image takes."""
    text = subprocess.run(["arm-none-eabi-size", "-A", str(work / "firmware.elf")],
                          capture_output=True, text=True, check=True).stdout
    sections = {m[1]: int(m[2]) for m in re.finditer(r"^(\.\S+)\s+(\d+)", text, re.M)}
    config = (IMAGES / board / "mpconfigboard.h").read_text()
    storage = re.search(r"STORAGE_BYTES\s+\((.*?)\)", config)
    flash = 4 * 1024 * 1024 if board == "pico2" else 2 * 1024 * 1024
    size = image.stat().st_size
    disk = eval(storage[1], {})
    return {"micropython": version(tree), "flash_used": size,
            "flash_left": flash - disk - size, "file_system": disk,
            "ram_static": sections.get(".data", 0) + sections.get(".bss", 0),
            "sha256": hashlib.sha256(image.read_bytes()).hexdigest()}


def version(tree):
    text = (tree / "py/mpconfig.h").read_text()
    return ".".join(re.search(rf"VERSION_{part} (\d+)", text)[1]
                    for part in ("MAJOR", "MINOR", "MICRO"))


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
        raise Missing("an image needs an ARM compiler with newlib, cmake and ninja: as root, "
                      "apt-get install " + " ".join(packages))
    say("installing " + " ".join(packages))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "-qq", "update"], env=env)
    install = ["apt-get", "-qq", "-y", "-o=Dpkg::Use-Pty=0", "install", "--no-install-recommends"]
    done = subprocess.run([*install, *packages], env=env, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise Missing("apt-get could not install the cross compiler")


def main():
    parser = argparse.ArgumentParser(description="Build an image with spinet frozen in.")
    parser.add_argument("board", help=", ".join(boards()))
    parser.add_argument("--parts", default="", help="what to freeze; empty: all of " +
                        " ".join(frozen.PARTS))
    parser.add_argument("--micropython", metavar="DIR", help="a source tree of MicroPython")
    parser.add_argument("--in-ram", action="store_true",
                        help="import modules into RAM, not when the image is built (rom.py)")
    parser.add_argument("--manifest", type=Path, metavar="FILE",
                        help="a manifest of your own, for what is to be frozen beside spinet")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to")
    options = parser.parse_args()
    try:
        build(options.board, options.parts, options.micropython, options.to,
              in_ram=options.in_ram, more=options.manifest)
    except Failed as error:
        sys.exit(f"spinet: {error}")


if __name__ == "__main__":
    main()
