"""Measure every candidate for every primitive, on every runtime here.

    python tools/bench_prim.py            print the table
    python tools/bench_prim.py --write    and put it into docs/primitives.md

The same file runs on each runtime (`--inner`) and prints one line per measurement.  Nanoseconds
per call, the loop around it taken off, the least of several rounds.
"""
import sys
import time

MICROPYTHON = sys.implementation.name == "micropython"

# name of the operation: [(candidate, source that defines `f`, the call)]
# A candidate whose source fails does not exist on that runtime.  "prim" is what spinet.prim has.
PRELUDE = """
from spinet import prim, prim_portable
from array import array
import struct
buf = bytearray(i * 7 & 255 for i in range(1600))
dst = bytearray(4096)
view = memoryview(buf)
words = memoryview(array("H", buf))
from_bytes = int.from_bytes
"""

LOOP = """
def f(buf, start, end, acc=0):
    while start < end:
        acc += (buf[start] << 8) | buf[start + 1]
        start += 2
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc
"""
LOOP8 = """
def f(buf, start, end, acc=0):
    stop = end - 15
    while start < stop:
        acc += ((buf[start] << 8) | buf[start + 1]) + ((buf[start + 2] << 8) | buf[start + 3]) + (
            (buf[start + 4] << 8) | buf[start + 5]) + ((buf[start + 6] << 8) | buf[start + 7]) + (
            (buf[start + 8] << 8) | buf[start + 9]) + ((buf[start + 10] << 8) | buf[start + 11]) + (
            (buf[start + 12] << 8) | buf[start + 13]) + ((buf[start + 14] << 8) | buf[start + 15])
        start += 16
    while start < end:
        acc += (buf[start] << 8) | buf[start + 1]
        start += 2
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc
"""
PORTABLE = "f = prim_portable.%s"
PRIM = "f = prim.%s"
MODULO = """
def f(buf, start, end):
    x = from_bytes(buf[start:end], "big")
    return x % 65535 or (x and 65535)
"""
MODULO_VIEW = """
def f(buf, start, end):
    x = from_bytes(memoryview(buf)[start:end], "big")
    return x % 65535 or (x and 65535)
"""
SUM_CAST = """
memoryview.cast
def f(buf, start, end):
    return sum(memoryview(buf)[start:end].cast("H")) % 65535
"""
SUM_STRUCT = """
unpacks = {}
def f(buf, start, end):
    unpack = unpacks.get(end - start)
    if not unpack:
        unpack = unpacks[end - start] = struct.Struct("!%dH" % ((end - start) // 2)).unpack_from
    return sum(unpack(buf, start)) % 65535
"""
SUM_WORDS = """
def f(words, start, end):
    return sum(words[start >> 1 : end >> 1]) % 65535
"""
NATIVE = """
import micropython
@micropython.native
def f(buf, start: int, end: int):
    acc = 0
    while start < end:
        acc += (buf[start] << 8) | buf[start + 1]
        start += 2
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc
"""
VIPER8 = """
import micropython
@micropython.viper
def f(buf, start: int, end: int) -> int:
    p = ptr8(buf)
    acc = 0
    while start < end:
        acc += (p[start] << 8) | p[start + 1]
        start += 2
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return acc
"""
VIPER16 = """
import micropython
@micropython.viper
def f(buf, start: int, end: int) -> int:
    p = ptr16(buf)
    acc = 0
    start >>= 1
    end >>= 1
    while start < end:
        acc += p[start]
        start += 1
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return (acc & 0xFF) << 8 | acc >> 8
"""
VIPER32 = """
import micropython
@micropython.viper
def f(buf, start: int, end: int) -> int:
    p = ptr32(int(ptr8(buf)) + start)
    n = end - start
    acc = uint(0)
    while n >= 16:
        acc += (uint(p[0]) & 0xFFFF) + (uint(p[0]) >> 16)
        acc += (uint(p[1]) & 0xFFFF) + (uint(p[1]) >> 16)
        acc += (uint(p[2]) & 0xFFFF) + (uint(p[2]) >> 16)
        acc += (uint(p[3]) & 0xFFFF) + (uint(p[3]) >> 16)
        p = ptr32(int(p) + 16)
        n -= 16
    while acc >> 16:
        acc = (acc & 0xFFFF) + (acc >> 16)
    return int((acc & 0xFF) << 8 | acc >> 8)
"""
COPY_LOOP = """
def f(dst, i, src, j, n):
    for k in range(n):
        dst[i + k] = src[j + k]
"""
COPY_SLICE = """
def f(dst, i, src, j, n):
    dst[i : i + n] = src[j : j + n]
"""
COPY_VIEW = """
def f(dst, i, src, j, n):
    dst[i : i + n] = memoryview(src)[j : j + n]
"""
COPY_VIPER8 = """
import micropython
@micropython.viper
def f(dst, i: int, src, j: int, n: int):
    p = ptr8(int(ptr8(dst)) + i)
    q = ptr8(int(ptr8(src)) + j)
    while n > 0:
        p[0] = q[0]
        p = ptr8(int(p) + 1)
        q = ptr8(int(q) + 1)
        n -= 1
"""
STRUCT16 = """
unpack = struct.Struct("!H").unpack_from
def f(buf, i):
    return unpack(buf, i)[0]
"""
STRUCT16_MP = """
unpack_from = struct.unpack_from
def f(buf, i):
    return unpack_from("!H", buf, i)[0]
"""
STRUCT32 = """
unpack = struct.Struct("!I").unpack_from
def f(buf, i):
    return unpack(buf, i)[0]
"""
FROM_BYTES32 = """
def f(buf, i):
    return from_bytes(buf[i : i + 4], "big")
"""
EQ_STRUCT = """
unpack = struct.Struct("!I").unpack_from
def f(a, i, b, j):
    return unpack(a, i) == unpack(b, j)
"""
EQ_SLICE = """
def f(a, i, b, j):
    return a[i : i + %d] == b[j : j + %d]
"""
EQ_LAST = """
def f(a, i, b, j):
    return a[i + %d] == b[j + %d] and a[i : i + %d] == b[j : j + %d]
"""
DIFF_STRUCT = """
unpack = struct.Struct("!I").unpack_from
def f(a, i, b, j):
    d = ((unpack(a, i)[0] - unpack(b, j)[0] + 0x80000000) & 0xFFFFFFFF) - 0x80000000
    if -0x40000000 < d < 0x40000000:
        return d
    return 0x3FFFFFFF if d > 0 else -0x3FFFFFFF
"""


def checksums(what, start, end):
    call = "f(buf, %d, %d)" % (start, end)
    return (
        what,
        [
            ("bytecode, a word at a time", LOOP, call),
            ("bytecode, unrolled by 8", LOOP8, call),
            ("portable: unrolled, high and low bytes apart", PORTABLE % "cksum", call),
            ("from_bytes(slice) % 65535 (allocates)", MODULO, call),
            ("from_bytes(view) % 65535 (allocates)", MODULO_VIEW, call),
            ("sum(view.cast('H'))", SUM_CAST, call),
            ("sum(struct.unpack)", SUM_STRUCT, call),
            ("sum(16-bit view[a:b]), even offsets (allocates)", SUM_WORDS,
             "f(words, %d, %d)" % (start, end)),
            ("native, a word at a time", NATIVE, call),
            ("viper ptr8", VIPER8, call),
            ("viper ptr16, even offsets", VIPER16, call),
            ("viper ptr32 unrolled, aligned", VIPER32, "f(buf, %d, %d)" % (start - 2, end - 2)),
            ("spinet.prim", PRIM % "cksum", call),
        ],
    )


def copies(what, i, j, n):
    call = "f(dst, %d, buf, %d, %d)" % (i, j, n)
    return (
        what,
        [
            ("bytecode, a byte at a time", COPY_LOOP, call),
            ("portable: unrolled by 8", PORTABLE % "copy", call),
            ("dst[a:b] = src[c:d] (allocates)", COPY_SLICE, call),
            ("dst[a:b] = memoryview(src)[c:d] (allocates)", COPY_VIEW, call),
            ("viper ptr8", COPY_VIPER8, call),
            ("spinet.prim", PRIM % "copy", call),
        ],
    )


def small(name, call, *others):
    return (
        name,
        [("portable", PORTABLE % name, call)]
        + [(label, source, call) for label, source in others]
        + [("spinet.prim", PRIM % name, call)],
    )


OPERATIONS = [
    checksums("cksum of 1480 bytes", 34, 1514),
    checksums("cksum of 20 bytes", 34, 54),
    copies("copy of 1460 bytes, 16-bit aligned", 0, 54, 1460),
    copies("copy of 1460 bytes, aligned", 0, 56, 1460),
    copies("copy of 1460 bytes, odd", 1, 54, 1460),
    copies("copy of 64 bytes", 0, 54, 64),
    copies("copy of 8 bytes", 0, 54, 8),
    (
        "get16",
        [
            ("in place, no call", "f = None", "(buf[34] << 8) | buf[35]"),
            ("portable", PORTABLE % "get16", "f(buf, 34)"),
            ("struct.Struct('!H')", STRUCT16, "f(buf, 34)"),
            ("struct.unpack_from (allocates)", STRUCT16_MP, "f(buf, 34)"),
            ("spinet.prim", PRIM % "get16", "f(buf, 34)"),
        ],
    ),
    small("get32", "f(buf, 3)", ("struct.Struct('!I')", STRUCT32), ("from_bytes", FROM_BYTES32)),
    small("put16", "f(dst, 34, 4660)"),
    small("put32", "f(dst, 34, 305419896)"),
    small("add32", "f(dst, 1, buf, 3, 1460)"),
    small("diff32", "f(buf, 35, buf, 35)", ("struct.Struct('!I')", DIFF_STRUCT)),
    small("eq4", "f(buf, 5, view, 5)", ("struct.Struct('!I')", EQ_STRUCT),
          ("slices", EQ_SLICE % (4, 4)), ("last byte, then slices", EQ_LAST % (3, 3, 3, 3))),
    small("eq4, unequal", "f(buf, 5, view, 6)", ("struct.Struct('!I')", EQ_STRUCT),
          ("slices", EQ_SLICE % (4, 4)), ("last byte, then slices", EQ_LAST % (3, 3, 3, 3))),
    small("eq6", "f(buf, 5, view, 5)", ("slices", EQ_SLICE % (6, 6)),
          ("last byte, then slices", EQ_LAST % (5, 5, 5, 5))),
    ("ticks_diff", [("spinet.prim", PRIM % "ticks_diff", "f(1234, 1200)")]),
    ("ticks_ms", [("spinet.prim", PRIM % "ticks_ms", "f()")]),
]


def clock_ns():
    return time.ticks_us() * 1000 if MICROPYTHON else time.perf_counter_ns()


def measure(source, call):
    """Nanoseconds per call, or None where this runtime cannot run it."""
    env = {}
    exec(PRELUDE, env)
    try:
        exec(source, env)
        exec("def run(n, f, buf, dst, view, words):\n    for _ in range(n):\n        " + call, env)
        exec("def idle(n, f, buf, dst, view, words):\n    for _ in range(n):\n        pass", env)
        args = (env["f"], env["buf"], env["dst"], env["view"], env["words"])
        env["run"](2, *args)
    except Exception:
        return None
    n = 8
    while True:
        start = clock_ns()
        env["run"](n, *args)
        if clock_ns() - start > 20000000:       # WebAssembly's clock is coarse
            break
        n *= 2
    best = None
    for _ in range(5):
        start = clock_ns()
        env["idle"](n, *args)
        middle = clock_ns()
        env["run"](n, *args)
        took = clock_ns() - middle - (middle - start)
        if best is None or took < best:
            best = took
    return max(best, 0) / n


def inner():
    for operation, candidates in OPERATIONS:
        for candidate, source, call in candidates:
            source = source.replace("eq4, unequal", "eq4")
            ns = measure(source, call)
            print("%s|%s|%s" % (operation, candidate, "-" if ns is None else "%.0f" % ns))


WASM = """
import fs from 'node:fs';
const root = process.argv[2];
const {loadMicroPython} = await import(root + '/build/node/node_modules/@micropython/'
  + 'micropython-webassembly-pyscript/micropython.mjs');
const mp = await loadMicroPython({heapsize: 8 << 20, stdout: l => console.log(l)});
function put(from, to) {
  if (!fs.statSync(from).isDirectory()) return mp.FS.writeFile(to, fs.readFileSync(from));
  mp.FS.mkdir(to);
  for (const f of fs.readdirSync(from)) if (f !== '__pycache__') put(from + '/' + f, to + '/' + f);
}
put(root + '/lib', '/lib');
mp.FS.writeFile('/bench_prim.py', fs.readFileSync(root + '/tools/bench_prim.py'));
mp.runPython("import sys; sys.path.append('/lib'); sys.path.append('/')\\n"
  + "import bench_prim; bench_prim.inner()");
"""

FIRST = "<!-- begin table (tools/bench_prim.py --write) -->\n"
LAST = "<!-- end table -->\n"


def host(write):
    import os
    import pathlib
    import platform
    import shutil
    import subprocess

    root = pathlib.Path(__file__).resolve().parent.parent
    runtimes = [("CPython " + platform.python_version(), [sys.executable, __file__, "--inner"])]
    micropython = root / "build/venv/bin/micropython"
    if micropython.exists():
        runtimes.append(("MicroPython unix, 64-bit", [str(micropython), __file__, "--inner"]))
    if shutil.which("node") and (root / "build/node/node_modules/@micropython").exists():
        command = ["node", "--input-type=module", "-e", WASM, "bench", str(root)]
        runtimes.append(("MicroPython WebAssembly, 32-bit", command))
    lib = str(root / "lib")
    env = dict(os.environ, PYTHONPATH=lib, MICROPYPATH=lib + ":.frozen")
    table = {}
    for runtime, command in runtimes:
        print("measuring on", runtime, "...", file=sys.stderr)
        out = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
        for line in out.splitlines():
            operation, candidate, ns = line.split("|")
            table.setdefault((operation, candidate), {})[runtime] = ns
    names = [name for name, _ in runtimes]
    text = "| operation | candidate | " + " | ".join(names) + " |\n"
    text += "|---|---|" + "--:|" * len(names) + "\n"
    previous = None
    for (operation, candidate), row in table.items():
        if set(row.values()) == {"-"}:
            continue
        cells = [row.get(name, "-") for name in names]
        if candidate == "spinet.prim":
            candidate = "**spinet.prim**"
            cells = ["**%s**" % cell for cell in cells]
        text += "| %s | %s | %s |\n" % (
            "" if operation == previous else operation, candidate, " | ".join(cells))
        previous = operation
    print(text)
    if write:
        page = root / "docs/primitives.md"
        before, rest = page.read_text().split(FIRST)
        after = rest.split(LAST)[1]
        page.write_text(before + FIRST + text + LAST + after)


if __name__ == "__main__":
    if MICROPYTHON or "--inner" in sys.argv:
        inner()
    else:
        host("--write" in sys.argv)
