"""`spinet install`: files onto a board."""
import hashlib
import pathlib

from spinetcli.link import Prompt, choose

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Name: (from, to on the board, patterns).
PARTS = {
    "stack": ((ROOT / "lib/spinet", "lib/spinet", ("*.py", "aio/*.py", "tcp/*.py")),
              (ROOT / "ports", "lib/spinet/ports",
               ("__init__.py", "spichip.py", "w5500*.py", "enc28j60*.py", "pcap.py"))),
    "app": ((ROOT / "firmware/app", "app", ("*.py",)),),
    "boards": ((ROOT / "firmware/boards", "boards", ("*.json",)),),
    "www": ((ROOT / "firmware/www", "www", ("*",)),),
    "start": ((ROOT / "firmware", "", ("boot.py", "main.py")),),
}
# What runs at the start comes last: a copy that is cut off leaves a board as it was.
ORDER = ("stack", "app", "boards", "www", "start")
_HOST_ONLY = ("cpython.py", "prim_cpython.py", "threaded.py")


def files(parts):
    """(path here, path on the board) of every file of these parts, in the order to copy them."""
    for part in ORDER:
        if part not in parts:
            continue
        for source, target, patterns in PARTS[part]:
            for pattern in patterns:
                for path in sorted(source.glob(pattern)):
                    if path.is_file() and path.name not in _HOST_ONLY:
                        name = path.relative_to(source).as_posix()
                        yield path, "/".join(filter(None, (target, name)))


def install(options, out):
    """Copy what differs."""
    todo = list(files(options.part or ORDER))
    total = sum(path.stat().st_size for path, _ in todo)
    copied = []
    with Prompt(choose(options.port)) as board, out.progress("installing", total) as bar:
        made = set()
        for path, name in todo:
            data = path.read_bytes()
            if not same(board, name, data):
                make_folders(board, name, made)
                board.fs_writefile(name, data)
                copied.append(name)
            bar.advance(len(data))
    out.result = {"files": len(todo), "copied": copied}
    out.say("%d files, %d of them copied; the board starts anew" % (len(todo), len(copied)))
    return 0


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
