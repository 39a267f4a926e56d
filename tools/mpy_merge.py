"""Merges the modules of a package into its `__init__`, for boards.

Each .mpy file has a table of all the names in it, and each module a dictionary in RAM: where
modules talk of the same things, as those of TCP do, one file says everything once.  `push` of
`output.py` is `push` still; `ack` becomes `output_ack`, because that name is something else
elsewhere in the package.  Other modules import from the package what they imported from a part of
it; a module that is used as an object cannot be such a part.
"""
import ast
import copy
import sys


def bound(tree):
    """The names that a module binds anywhere, as a list, one entry for each place; no imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.append(node.id)
        elif isinstance(node, ast.arg):
            found.append(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.append(node.name)
        elif isinstance(node, ast.Global):
            found += node.names * 2
    return found


def top_level(tree):
    """The names that a module defines for others to use."""
    found = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return found


def imported(tree):
    """{(module, name): name in this module} of the imports at the top of a module."""
    return {(node.module, a.name): a.asname or a.name for node in tree.body
            if isinstance(node, ast.ImportFrom) for a in node.names}


class Merger:
    """Merges `parts`, names without the package's, into `package`; `trees` are {module: tree}."""

    def __init__(self, trees, package, parts):
        self.package = package
        self.trees = {module: copy.deepcopy(tree) for module, tree in trees.items()}
        self.parts = [f"{package}.{part}" for part in parts] + [package]
        times = {}
        for part in self.parts:
            tree = self.trees[part]
            for name in bound(tree):
                times[name] = times.get(name, 0) + 1
        outside = {}            # {name: what it is, of another package's}
        for part in self.parts:
            for what, name in imported(self.trees[part]).items():
                if what[0] not in self.parts and outside.setdefault(name, what) != what:
                    sys.exit(f"{package}: {name} is imported from two modules")
        for name in outside:
            times[name] = times.get(name, 0) + 1
        self.names = {      # {part: {its name: its name in the package}}
            part: {name: name if times[name] == 1 or part == package else
                   part.rpartition(".")[2] + "_" + name.lstrip("_")
                   for name in top_level(self.trees[part])} for part in self.parts}
        names = [name for part in self.parts for name in self.names[part].values()]
        if len(set(names)) < len(names):
            sys.exit(f"{package}: two things of one name")

    def merged(self):
        """{module: tree} with the parts in the package."""
        body = []
        for part in self.parts:
            body += _Rename(self, part).visit(self.trees.pop(part)).body
        imports = {}
        rest = []
        for node in body:
            if isinstance(node, ast.ImportFrom):
                imports.setdefault(node.module, {}).update((a.name, a) for a in node.names)
            else:
                rest.append(node)
        body = [ast.ImportFrom(module, list(names.values()), 0)
                for module, names in imports.items()]
        found = {module: _Rename(self, module).visit(tree) for module, tree in self.trees.items()}
        found[self.package] = ast.Module(body + rest, [])
        return {module: ast.fix_missing_locations(tree) for module, tree in found.items()}


class _Rename(ast.NodeTransformer):
    """Makes one module say what things are called after the merger."""

    def __init__(self, merger, module):
        self.merger = merger
        self.inside = module in merger.parts
        self.module = module
        self.local = set()
        self.modules = {}       # names of parts that were imported
        self.map = dict(merger.names.get(module, {}))
        tree = merger.trees[module]
        self.top = set(tree.body)
        self.bound = set(bound(tree))
        self.used = {}          # {part: names of it that are used by attribute}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for a in node.names:
                    self._import(node.module, a)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                part = self.modules.get(node.value.id)
                if part and node.attr in merger.names[part]:
                    self.used.setdefault(part, []).append(node.attr)

    def _import(self, module, a):
        merger = self.merger
        part = f"{module}.{a.name}"
        if part in merger.parts:
            if (a.asname or a.name) in self.bound - set(merger.names.get(self.module, ())):
                sys.exit(f"{self.module}: {a.name} is a module and something else")
            self.modules[a.asname or a.name] = part
        elif self.inside and a.name in merger.names.get(module, ()):
            self.map[a.asname or a.name] = merger.names[module][a.name]

    def _as(self, part, name):
        """What `name` of `part` is called in this module."""
        new = self.merger.names[part][name]
        if not self.inside and new in self.bound:
            new = part.rpartition(".")[2] + "_" + name
        return new

    def visit_ImportFrom(self, node):
        merger = self.merger
        kept, found = [], []
        for a in node.names:
            part = f"{node.module}.{a.name}"
            if part in merger.parts:
                found += [(merger.names[part][name], self._as(part, name))
                          for name in sorted(set(self.used.get(part, ())))]
            elif node.module in merger.parts and a.name in merger.names[node.module]:
                found.append((merger.names[node.module][a.name], a.asname or a.name))
            else:
                kept.append(a)
        nodes = []
        if kept:
            nodes.append(ast.ImportFrom(node.module, kept, 0))
        if found and not self.inside:
            names = [ast.alias(new, None if new == here else here) for new, here in found]
            nodes.append(ast.ImportFrom(merger.package, names, 0))
        return nodes

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            part = self.modules[node.value.id]
            if node.attr not in self.merger.names[part]:
                sys.exit(f"{self.module}: {part} has no {node.attr}")
            return ast.Name(self._as(part, node.attr), node.ctx)
        self.generic_visit(node)
        return node

    def visit_Name(self, node):
        if node.id in self.modules and node.id not in self.local:
            sys.exit(f"{self.module}: {node.id} is used as an object")
        if node.id in self.map and node.id not in self.local:
            node.id = self.map[node.id]
        return node

    def visit_FunctionDef(self, node):
        outer = self.local
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        if node in self.top:
            node.name = self.map.get(node.name, node.name)
        self.local = outer | {"self"} | set(bound(ast.Module(node.body, []))) | {
            a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
        node.args = self.visit(node.args)
        node.body = [part for n in node.body for part in self._many(n)]
        self.local = outer
        return node

    def visit_ClassDef(self, node):
        if node in self.top:
            node.name = self.map.get(node.name, node.name)
        self.generic_visit(node)
        return node

    def _many(self, node):
        new = self.visit(node)
        return new if isinstance(new, list) else [new]
