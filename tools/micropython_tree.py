"""MicroPython's sources with all that an image for a Pico takes, from Debian's source packages.

1.25.0, with the Pico's SDK, TinyUSB and Mbed TLS, of one suite that no longer moves; works on any
Debian whose mirror has that suite.  What the package leaves out is micropython-lib.
"""
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
SUITE = "trixie"


class Failed(Exception):
    """No image; the argument says why, to a person."""


class Missing(Failed):
    """What an image takes is not to be had on this machine."""


def unpacked(say):
    """MicroPython's sources with what they build on, unpacked from Debian's packages."""
    tree = BUILD / "micropython"
    if (tree / ".complete").exists():
        return tree
    if not shutil.which("apt-get"):
        raise Missing("without Debian's packages name a tree of MicroPython: MICROPY_DIR=")
    say(f"fetching MicroPython and the Pico's SDK from Debian {SUITE}")
    packages = BUILD / "packages"
    apt = apt_of(packages)
    sources = [f"{name}/{SUITE}" for name in ("micropython", "mbedtls")]
    for command in (["update"], ["source", "--download-only", *sources],
                    ["download", "pico-sdk-source", "tinyusb-source"]):
        done = subprocess.run([*apt, *command], cwd=packages, capture_output=True, text=True)
        if done.returncode:
            raise Missing(f"apt-get {command[0]} failed:\n{done.stderr[-800:]}")
    shutil.rmtree(tree, ignore_errors=True)
    unpack(packages.glob("micropython_*.orig.tar.*"), tree)
    for name in ("pico-sdk", "tinyusb", "mbedtls"):
        shutil.rmtree(tree / "lib" / name, ignore_errors=True)
    unpack(packages.glob("mbedtls_*.orig.tar.*"), tree / "lib/mbedtls")
    for name in ("pico-sdk", "tinyusb"):
        whole = packages / name
        archive = next(packages.glob(f"{name}-source_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(whole)], check=True)
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
    apt = Path("/etc/apt")
    text = "".join(path.read_text() for path in
                   [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
                   if path.is_file())
    mirror = re.search(r"^URIs: *(\S+)|^deb (?:\[[^]]*\] )?(\S+)", text, re.M)
    if not mirror:
        raise Missing("no mirror of Debian is among apt's sources")
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    sources = folder / "sources.list"
    sources.write_text("".join(f"{kind} {signed} {mirror[1] or mirror[2]} {SUITE} main\n"
                               for kind in ("deb", "deb-src")))
    options = {"Dir::State::status": "/var/lib/dpkg/status", "Dir::Etc::sourcelist": sources,
               "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": folder / "lists",
               "Dir::Cache": folder / "cache", "APT::Get::List-Cleanup": "0",
               "APT::Sandbox::User": "root"}
    return ["apt-get", "-qq", *(f"-o={name}={value}" for name, value in options.items())]
