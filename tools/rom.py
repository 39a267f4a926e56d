"""Puts spinet into flash as it is once it has been imported: `link(frozen_content, files)`.

A frozen module's code stays in flash, but to import it is to run it: each `def` makes an object,
each class a dictionary, each name takes a place in RAM.  Here the modules are run when the image
is built, and what they then consist of is written as constants in C, beside the code that
MicroPython's mpy-tool wrote.  Importing them takes no RAM, and no time.

What it takes of the modules: what they do as they are imported has to be the same wherever they
run (FOREIGN says what MicroPython's own modules are to them).  A module that rebinds its globals,
or has a list or an empty dictionary among them, keeps its own dictionary in RAM; other
dictionaries are constants.  Classes that background.py wraps are copied to RAM when it does
(firmware/images/rom/rom.c).  Whatever cannot be a constant ends the build.
"""
import __future__

import ast
import builtins
import errno
import inspect
import re
import sys
import types

import mpy
from micropython_tree import Failed


class Unlinkable(Failed):
    """What cannot be put into flash; the argument says what and where."""


class Foreign:
    """What is MicroPython's own: a C object, that does what `function` does while modules run."""

    def __init__(self, symbol, function=None):
        self.symbol = symbol
        self.function = function

    def __call__(self, *args):
        return self.function(*args)


def _foreign(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    return module


class _IOBase:
    """MicroPython's, which is a class."""


_PERIOD = 1 << 30       # of the ticks where small integers have 31 bits
FOREIGN = {
    "errno": errno,
    "hashlib": _foreign("hashlib", sha256=Foreign("hashlib_sha256_type")),
    "io": _foreign("io", IOBase=_IOBase),
    "json": _foreign("json"),
    "micropython": _foreign("micropython", native=lambda f: f, viper=lambda f: f,
                            asm_thumb=lambda f: f,
                            schedule=Foreign("mp_micropython_schedule_obj")),
    "os": _foreign("os", urandom=Foreign("mp_os_urandom_obj"),
                   dupterm=Foreign("mp_os_dupterm_obj"),
                   dupterm_notify=Foreign("mp_os_dupterm_notify_obj")),
    "select": _foreign("select"),
    "spinet_rom": _foreign("spinet_rom", thaw=Foreign("spinet_rom_thaw_obj")),
    "struct": _foreign("struct"),
    "sys": _foreign("sys", byteorder="little", implementation=types.SimpleNamespace(
        name="micropython")),
    "time": _foreign("time", sleep_ms=Foreign("mp_time_sleep_ms_obj"),
                     ticks_add=Foreign("mp_time_ticks_add_obj", lambda t, d: (t + d) % _PERIOD),
                     ticks_diff=Foreign("mp_time_ticks_diff_obj"),
                     ticks_ms=Foreign("mp_time_ticks_ms_obj"),
                     gmtime=lambda s: (1970, 1, 1)),
    "tls": _foreign("tls", PROTOCOL_TLS_CLIENT=0, PROTOCOL_TLS_SERVER=1,
                    CERT_NONE=0, CERT_OPTIONAL=1, CERT_REQUIRED=2),
}
# Names that Python gives to modules and classes by itself.
_IMPLIED = {"__builtins__", "__name__", "__doc__", "__package__", "__loader__", "__spec__",
            "__annotations__", "__module__", "__dict__", "__weakref__", "__qualname__",
            "__firstlineno__", "__static_attributes__"}
_ACCESSORS = {"__get__", "__set__", "__delete__", "__set_name__", "__setattr__", "__delattr__"}
_KINDS = {"BYTECODE": ("mp_type_fun_bc", "mp_type_gen_wrap"),
          "NATIVE_PY": ("mp_type_fun_native", "mp_type_native_gen_wrap"),
          "NATIVE_VIPER": ("mp_type_fun_viper", None)}
_SLOTS = (
    ("make_new", "mp_obj_instance_make_new"), ("print", "instance_print"),
    ("call", "mp_obj_instance_call"), ("unary_op", "instance_unary_op"),
    ("binary_op", "instance_binary_op"), ("attr", "mp_obj_instance_attr"),
    ("subscr", "instance_subscr"), ("iter", "mp_obj_instance_getiter"),
    ("buffer", "instance_get_buffer"))
HEAD = """
// What tools/rom.py makes of spinet's modules.
#include "py/bc.h"
#include "py/builtin.h"
#include "py/objfun.h"
#include "py/objmodule.h"
#include "py/objtuple.h"
#include "py/objtype.h"
#include "rom.h"

#define ROM_TYPE_FLAGS (MP_TYPE_FLAG_EQ_NOT_REFLEXIVE | MP_TYPE_FLAG_EQ_CHECKS_OTHER_TYPE \\
    | MP_TYPE_FLAG_EQ_HAS_NEQ_TEST | MP_TYPE_FLAG_ITER_IS_GETITER | MP_TYPE_FLAG_INSTANCE_TYPE \\
    | MP_TYPE_FLAG_IS_SUBCLASSED)
typedef struct { mp_obj_base_t base; mp_rom_obj_t proxy[3]; } rom_property_t;
"""


class Modules:
    """The modules of `files`, {path: source}, imported, as they are on a board."""

    def __init__(self, files):
        self.files = {mpy.module_name(path): path for path in files}
        self.sources = files
        self.loaded = {}
        self._builtins = dict(vars(builtins), __import__=self._import)
        for name in sorted(self.files):
            self.load(name)

    def load(self, name):
        if name not in self.loaded:
            module = self.loaded[name] = types.ModuleType(name)
            module.__builtins__ = self._builtins
            code = compile(self.sources[self.files[name]], name, "exec",
                           __future__.annotations.compiler_flag, dont_inherit=True)
            exec(code, module.__dict__)
        return self.loaded[name]

    def _import(self, name, globals=None, locals=None, wanted=(), level=0):
        top = name.partition(".")[0]
        if top in FOREIGN:
            return FOREIGN[top]
        if name not in self.files:
            raise ImportError(name)
        package = name.rpartition(".")[0]
        if package in self.files:
            self.load(package)
        module = self.load(name)
        for other in wanted or ():
            if not hasattr(module, other) and f"{name}.{other}" in self.files:
                setattr(module, other, self.load(f"{name}.{other}"))
        return module if wanted else self.load(top)


def scopes(node):
    """What gets a code of its own directly below `node`, in the order of MicroPython's compiler."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for default in (*getattr(part, "decorator_list", ()), part.args):
                yield from scopes(default)
            yield part
        elif isinstance(part, ast.ClassDef):
            yield part
            for base in part.bases:
                yield from scopes(base)
        elif isinstance(part, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            yield part
        else:
            yield from scopes(part)


class Code:
    """What mpy-tool wrote: the C objects that hold the code of each function."""

    def __init__(self, text):
        self.text = text
        self.protos = {m[1]: (m[2], m[3], m[4]) for m in re.finditer(
            r"proto_fun_(\w+) = \{\n.*?\.kind = MP_CODE_(\w+),.*?\.fun_data = (\w+),\n"
            r" *\.children = (.*?),\n", text, re.S)}
        self.children = {m[1]: re.findall(r"&proto_fun_(\w+)", m[2]) for m in re.finditer(
            r"\*const children_(\w+)\[\] = \{(.*?)\};", text, re.S)}
        self.module = {}        # {file: C's name for it}
        for file, scope in re.findall(r"for file (\S+), scope (\w+)__lt_module_gt_\n", text):
            self.module.setdefault(file, scope)
        self.constants = {m[1]: m[2] for m in re.finditer(
            r"frozen_module_(\w+) = \{\n *\.constants = (\{.*?\}),\n", text, re.S)}
        self.qstrs = set(re.findall(r"^    MP_QSTR_(\w+)\b", text, re.M))

    def functions(self, file, source):
        """{(line, name): C's name} of the functions of a module."""
        found = {}
        if f"{self.module[file]}__lt_module_gt_" in self.protos:
            self._below(ast.parse(source), f"{self.module[file]}__lt_module_gt_", file, found)
        return found

    def _below(self, node, scope, file, found):
        children = self.children.get(scope, [])
        parts = list(scopes(node))
        names = [getattr(part, "name", None) for part in parts]
        if len(children) != len(parts) or any(
                name and self.protos[child][0] not in ("NATIVE_VIPER", "NATIVE_ASM")    # no names
                and not re.search(rf"_{name}\d*$", child)
                for name, child in zip(names, children)):
            raise Unlinkable(f"{file}: {scope} has {children}, its source {names}")
        for part, child in zip(parts, children):
            if isinstance(part, ast.ClassDef):
                self._below(ast.Module(part.body, []), child, file, found)
            elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                line = min([part.lineno] + [d.lineno for d in
                                            getattr(part, "decorator_list", ())])
                key = line, getattr(part, "name", "<lambda>")
                if found.setdefault(key, child) != child:
                    raise Unlinkable(f"{file}:{line}: two functions in one line")

    def without(self, files):
        """The text, where `files` are no frozen modules any more."""
        text = self.text
        for file in files:
            for line in (f'    "{file}\\0"\n', f"    &frozen_module_{self.module[file]},\n"):
                if text.count(line) != 1:
                    raise Unlinkable(f"{file} is not listed as expected")
                text = text.replace(line, "")
            text = re.sub(rf'^MICROPY_FROZEN_LIST_ITEM\(.*"{re.escape(file)}"\)\n', "", text,
                          flags=re.M)
        return text


class Rom:
    """Constants in C."""

    def __init__(self, modules, code, qstrs, hash_bytes, qstr_escape, types="flash"):
        self.modules = modules
        self.code = code
        self.known = qstrs | code.qstrs
        self.mask = (1 << 8 * hash_bytes) - 1
        self.escape = qstr_escape
        self.types = types
        self.contexts = []      # declarations of modules, which come first
        self.lines = []         # of C: declarations, and what needs none
        self.after = []         # definitions
        self.done = {}          # {id: expression}
        self.alive = []         # what has such an id
        self.names = 0
        self.mutable = []       # (C's name, members) of modules with globals in RAM
        self.thawable = []      # C's names of classes that may be copied to RAM
        self.functions = {}     # {(module, line, name): C's name}
        self.module_of = {id(module): name for name, module in modules.loaded.items()}
        for name, path in modules.files.items():
            for (line, function), c in code.functions(path, modules.sources[path]).items():
                self.functions[name, line, function] = c
        self.guarded = {row[0] for row in getattr(
            modules.loaded.get("spinet.background"), "GUARDED", ())}
        for name, path in modules.files.items():
            for node in ast.walk(ast.parse(modules.sources[path])):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "public":
                    self.guarded.add(vars(modules.loaded[name])[node.args[0].id])

    def qstr(self, text):
        """The qstr of `text`, or None where there is none."""
        name = self.escape(text)
        return f"MP_QSTR_{name}" if name in self.known else None

    def hash(self, data):
        """MicroPython's hash of a string's bytes."""
        found = 5381
        for byte in data:
            found = (found * 33 ^ byte) & self.mask
        return found or 1

    def name(self, kind):
        self.names += 1
        return f"rom_{kind}_{self.names}"

    def ref(self, value):
        """The expression that `value` is in C."""
        if value is None or value is True or value is False:
            return f"MP_ROM_{str(value).upper()}"
        if type(value) is int and -1 << 30 <= value < 1 << 30:
            return f"MP_ROM_INT({value})"
        if type(value) is str and self.qstr(value):
            return f"MP_ROM_QSTR({self.qstr(value)})"
        key = (type(value), value) if type(value) in (str, bytes) else id(value)
        if key not in self.done:
            self.alive.append(value)
            make = next(make for kind, make in self._MAKERS.items() if isinstance(value, kind))
            self.done[key] = f"MP_ROM_PTR({make(self, value)})"
        return self.done[key]

    def declare(self, kind, name, value):
        """Define a constant, which may be used before."""
        self.lines.append(f"static const {kind} {name};")
        self.after.append(f"static const {kind} {name} = {value};")
        return "&" + name

    def _text(self, value):
        data = value if isinstance(value, bytes) else value.encode()
        kind = "bytes" if isinstance(value, bytes) else "str"
        literal = "".join(f"\\x{byte:02x}" for byte in data)
        return self.declare("mp_obj_str_t", self.name("str"), (
            f"{{{{&mp_type_{kind}}}, {self.hash(data)}, {len(data)}, "
            f'(const byte *)"{literal}"}}'))

    def _tuple(self, value):
        if not value:
            return "&mp_const_empty_tuple_obj"
        items = ", ".join(self.ref(item) for item in value)
        name = self.name("tuple")
        self.lines.append(f"static const struct {{mp_obj_base_t base; size_t len; "
                          f"mp_rom_obj_t items[{len(value)}];}} {name} = "
                          f"{{{{&mp_type_tuple}}, {len(value)}, {{{items}}}}};")
        return "&" + name

    def map(self, items, ordered=False):
        """A map of {key: value}: a table to hash into, or one in order; its C members."""
        keys = {key: self.ref(key) for key in items}
        if not items:
            return "0, 1, 1, 0, 0, NULL"
        all_qstrs = all(ref.startswith("MP_ROM_QSTR") for ref in keys.values())
        n = len(items)
        if all_qstrs and not ordered:
            table = [None] * (n + n // 2 + 1)
            for key in items:
                at = self.hash(key.encode()) % len(table)
                while table[at] is not None:
                    at = (at + 1) % len(table)
                table[at] = key
        else:
            table = list(items)
        name = self.name("table")
        rows = ", ".join("{NULL, NULL}" if key is None else
                         f"{{{keys[key]}, {self.ref(items[key])}}}" for key in table)
        self.lines.append(f"static const mp_rom_map_elem_t {name}[{len(table)}];")
        self.after.append(f"static const mp_rom_map_elem_t {name}[{len(table)}] = {{{rows}}};")
        return (f"{int(all_qstrs)}, 1, {int(not all_qstrs or ordered)}, {n}, {len(table)}, "
                f"(mp_map_elem_t *)(mp_rom_map_elem_t *){name}")

    def _dict(self, value):
        members = self.map(value, ordered=True)
        return self.declare("mp_obj_dict_t", self.name("dict"),
                            f"{{{{&mp_type_dict}}, {{{members}}}}}")

    def _function(self, value):
        code = value.__code__
        key = code.co_filename, code.co_firstlineno, code.co_name
        if key not in self.functions or value.__closure__:
            raise Unlinkable(f"{value!r} is not a module's or a class's function")
        kind, data, children = self.code.protos[self.functions[key]]
        if kind == "NATIVE_ASM":
            return self._assembly("rom_fun_" + self.functions[key], data, code.co_argcount)
        generator = inspect.isgeneratorfunction(value) or inspect.iscoroutinefunction(value)
        extra = [self.ref(default) for default in value.__defaults__ or ()]
        if value.__kwdefaults__:
            extra.append(f"MP_ROM_PTR({self._dict(value.__kwdefaults__)})")
        name = "rom_fun_" + self.functions[key]
        if f"static const mp_obj_fun_bc_t {name};" in self.lines:
            raise Unlinkable(f"{name} is there twice")
        more = f", {{{', '.join('(mp_obj_t)' + e for e in extra)}}}" if extra else ""
        self.lines.append(f"static const mp_obj_fun_bc_t {name};")
        self.after.append(
            f"static const mp_obj_fun_bc_t {name} = {{{{&{_KINDS[kind][generator]}}}, "
            f"&{self.context(code.co_filename)}, (mp_raw_code_t *const *)({children}), "
            f"(const byte *){data}{more}}};")
        return "&" + name

    def _assembly(self, name, data, count):
        """A function in assembly, of integers: called from C, as its own type is not to be had."""
        args = [f"a{i}" for i in range(count)]
        self.lines.append(
            f"static mp_obj_t {name}_call({', '.join('mp_obj_t ' + a for a in args)}) {{\n"
            f"    return mp_obj_new_int(((mp_int_t (*)({', '.join(['mp_int_t'] * count)}))"
            f"MICROPY_MAKE_POINTER_CALLABLE({data}))("
            f"{', '.join(f'mp_obj_get_int({a})' for a in args)}));\n}}\n"
            f"static MP_DEFINE_CONST_FUN_OBJ_{count}({name}, {name}_call);")
        return "&" + name

    def _class(self, value):
        if value is _IOBase:
            return "&mp_type_iobase"
        if value.__module__ == "builtins":
            return "&mp_type_" + value.__name__
        name = "rom_type_%s_%s" % (value.__module__.replace(".", "_"), value.__name__)
        self.done[id(value)] = f"MP_ROM_PTR(&{name})"
        place = ' __attribute__((section(".data.rom_types")))' if self.types == "ram" else ""
        self.lines.append(f"extern const mp_obj_type_t {name}{place};")
        members = {key: member for key, member in vars(value).items() if key not in _IMPLIED}
        if "__eq__" in members and members.get("__hash__", 0) is None:
            del members["__hash__"]
        table = self.map(members)
        locals_dict = self.name("locals")
        thaws = value in self.guarded
        line = f"static {'' if thaws else 'const '}mp_obj_dict_t {locals_dict}"
        self.lines.append(line + ";")
        self.after.append(f"{line} = {{{{&mp_type_dict}}, {{{table}}}}};")
        if thaws:
            self.thawable.append((locals_dict, table))
        slots = [f"{slot}, {function}" for slot, function in _SLOTS]
        slots.append(f"locals_dict, &{locals_dict}")
        bases = [base for base in value.__bases__ if base is not object]
        if len(bases) == 1:
            slots.append(f"parent, {self.pointer(bases[0])}")
        elif bases:
            slots.append(f"parent, {self._tuple(bases)}")
        if any(_IOBase in base.__mro__ for base in bases[:1]):
            slots.append("protocol, &iobase_p")
        accessors = any(key in _ACCESSORS or isinstance(member, property)
                        for cls in value.__mro__ if cls is not object and
                        cls.__module__ != "builtins" for key, member in vars(cls).items())
        flags = "ROM_TYPE_FLAGS" + (" | MP_TYPE_FLAG_HAS_SPECIAL_ACCESSORS" if accessors else "")
        self.after.append(f"MP_DEFINE_CONST_OBJ_TYPE({name}, {self.qstr(value.__name__)}, "
                          f"{flags}, {', '.join(slots)});")
        return "&" + name

    def pointer(self, value):
        """As `ref`, but as a pointer."""
        return re.fullmatch(r"MP_ROM_PTR\((.*)\)", self.ref(value))[1]

    def _wrapped(self, value):
        kind = type(value).__name__
        return self.declare("mp_rom_obj_static_class_method_t", self.name("method"),
                            f"{{{{&mp_type_{kind}}}, {self.ref(value.__func__)}}}")

    def _property(self, value):
        parts = ", ".join(self.ref(part) for part in (value.fget, value.fset, value.fdel))
        return self.declare("rom_property_t", self.name("property"),
                            f"{{{{&mp_type_property}}, {{{parts}}}}}")

    def context(self, name):
        return "rom_module_" + name.replace(".", "_")

    def _module(self, value):
        if id(value) not in self.module_of:
            return "&mp_module_" + value.__name__
        return f"&{self.context(self.module_of[id(value)])}.module"

    def _foreign(self, value):
        return "&" + value.symbol

    def _object(self, value):
        if type(value) is not object:       # which is a mere mark
            raise Unlinkable(f"{value!r} is no constant")
        return self.declare("mp_obj_base_t", self.name("object"), "{&mp_type_object}")

    def _builtin(self, value):
        return f"&mp_builtin_{value.__name__}_obj"

    _MAKERS = {types.BuiltinFunctionType: _builtin, str: _text, bytes: _text, tuple: _tuple,
               dict: _dict, Foreign: _foreign,
               types.FunctionType: _function, type: _class, types.ModuleType: _module,
               staticmethod: _wrapped, classmethod: _wrapped, property: _property,
               object: _object}

    def module(self, name):
        """Write a module; submodules are members of their package."""
        module = self.modules.loaded[name]
        path = self.modules.files[name]
        tree = ast.parse(self.modules.sources[path])
        members = {key: value for key, value in vars(module).items() if key not in _IMPLIED}
        members["__name__"] = name
        for other in self.modules.files:
            if other.rpartition(".")[0] == name:
                members.setdefault(other.rpartition(".")[2], self.modules.loaded[other])
        if name == "spinet":
            members["__init__"] = Foreign("spinet_rom_init_obj")
        fresh = {key: tuple(value) for key, value in members.items()
                 if isinstance(value, list) or value == {}}
        empty = [key for key in fresh if isinstance(members[key], dict)]
        rebinds = any(isinstance(node, ast.Global) for node in ast.walk(tree))
        c = self.context(name)
        constants = self.code.constants[self.code.module[path]]
        if rebinds or fresh:
            members.update(fresh)
            members.update(dict.fromkeys(empty))
            table = self.map(members, ordered=True)
            where = table.rpartition(")")[2]
            names = ", ".join(self.ref(key) for key in fresh) or "NULL"
            kind, globals_ = "static", "NULL"
            self.after.append(f"static const mp_rom_obj_t {c}_fresh[] = {{{names}}};")
            self.mutable.append(
                f"{{&{c}.module, {where}, {len(members)}, {c}_fresh, {len(fresh)}}}")
        else:
            table = self.map(members)
            kind = "static const"
            globals_ = "(mp_obj_dict_t *)" + self.declare(
                "mp_obj_dict_t", c + "_globals", f"{{{{&mp_type_dict}}, {{{table}}}}}")
        self.contexts.append(f"{kind} mp_module_context_t {c};")
        self.after.append(f"{kind} mp_module_context_t {c} = "
                          f"{{{{{{&mp_type_module}}, {globals_}}}, {constants}}};")

    def text(self):
        """All of it in C."""
        for name in sorted(self.modules.files):
            try:
                self.module(name)
            except Unlinkable as error:
                raise Unlinkable(f"{name}: {error}") from None
        thawable = ", ".join(f"{{&{name}, {{{table}}}}}" for name, table in self.thawable)
        return "\n".join([HEAD, *self.contexts, *self.lines, *self.after,
                          "const spinet_rom_mutable_t spinet_rom_mutables[] = {%s};" % ", ".join(
                              [*self.mutable, "{NULL}"]),
                          "const spinet_rom_class_t spinet_rom_classes[] = {%s};" % ", ".join(
                              filter(None, [thawable, "{NULL}"])), ""])


def link(content, files, headers, tree, types="flash"):
    """Have the spinet of `files` in flash, not to be run, in the C file `content`.

    `headers` is where the build of MicroPython's `tree` writes its own.  `types`: where the heads
    of classes are, 50 bytes each.  When a class is derived from one, MicroPython writes a flag into
    its head, which was there before; a chip that does not ignore writes to flash wants "ram".
    """
    sys.path.insert(0, str(tree / "py"))
    from makeqstrdata import qstr_escape

    code = Code(content.read_text())
    files = {path: text for path, text in files.items() if path.startswith("spinet/")}
    own = (headers / "qstrdefs.generated.h").read_text()
    qstrs = set(re.findall(r"^QDEF[01]\(MP_QSTR_(\w+),", own, re.M))
    hash_bytes = 1 if all(int(n) < 256 for n in re.findall(r"^QDEF.*?, (\d+),", own, re.M)) else 2
    rom = Rom(Modules(files), code, qstrs, hash_bytes, qstr_escape, types)
    text = rom.text()
    unused = '#pragma GCC diagnostic ignored "-Wunused-const-variable"\n'
    content.write_text(unused + code.without(files) + text +
                       "const mp_obj_module_t spinet_rom_package = {{&mp_type_module}, "
                       f"(mp_obj_dict_t *)&{rom.context('spinet')}_globals}};\n")
