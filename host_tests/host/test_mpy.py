"""What `make mpy` writes for boards is the same program."""
import ast
import shutil

import mp_runner
import mpy
import mpy_merge
import pytest

UNIX, WASM = mp_runner.RUNTIMES
FILES = "test_tcp_alloc", "test_tcp_undo", "test_tcp_cookies", "test_tcp_options"


def inlined(**sources):
    sources = {"spinet." + name: source for name, source in sources.items()}
    constants = mpy.Constants(sources)
    return {name[7:]: ast.unparse(constants.inlined(name)) + "\n" for name in sources}


def test_constants_stand_where_they_are_used():
    found = inlined(a="A = 1 << 4\n_B = A | 1\nC = (A, _B)\n",
                    b="from spinet.a import A, C\nfrom spinet import a\nprint(A, a.A, C)\n")
    assert found["a"] == "A = 1 << 4\nC = (16, 17)\n"
    assert found["b"] == "from spinet.a import C\nfrom spinet import a\nprint(16, 16, C)\n"


def test_what_is_no_constant_keeps_its_name():
    source = "x = 1\ny = 2\n\ndef f(y):\n    global x\n    x = y\n\nclass K:\n    z = 3\nz = 4\n"
    found = inlined(a=source, b="from spinet.a import x, y\nprint(x, y)\nfor y in ():\n    pass\n")
    assert found["a"] == ast.unparse(ast.parse(source)) + "\n"
    assert "print(x, y)" in found["b"]


def test_parts_of_a_package_become_one():
    constants = mpy.Constants({
        "p": "from p.a import go\nfrom p import b\n"
             "def run(ack):\n    return go(ack) + b.ack(ack)\n",
        "p.a": "from p import b\ndef go(n):\n    return b.size(n) + b._least()\n",
        "p.b": "from q import f\nK = 2\ndef ack(n):\n    return size(n) * K\n"
               "def size(n):\n    return f(n)\ndef _least():\n    least = 1\n    return least\n",
        "p.c": "from p import b\nfrom p.a import go\n"
               "def f(ack):\n    return go(b.ack(ack), b.size)\n",
        "q": "def f(n):\n    return n\n"})
    trees = {name: constants.inlined(name) for name in constants.trees}
    found = mpy_merge.Merger(trees, "p", ("a", "b")).merged()
    assert sorted(found) == ["p", "p.c", "q"]
    assert "    return go(ack) + b_ack(ack)" in ast.unparse(found["p"])
    assert "def b_ack(n):\n    return size(n) * 2\n" in ast.unparse(found["p"])
    assert ast.unparse(found["p.c"]).split("\n") == [
        "from p import b_ack, size", "from p import go", "", "def f(ack):",
        "    return go(b_ack(ack), size)"]


@pytest.mark.skipif(not mpy.MPY_CROSS.exists(), reason="mpy-cross is not here")
@pytest.mark.parametrize("runtime, options", [(UNIX, ["-march=x64"]),
                                              (WASM, ["-msmall-int-bits=31"])])
def test_core_tests_pass_with_the_compiled_modules(runtime, options, tmp_path):
    if runtime.why:
        pytest.skip(runtime.why)
    mpy.compile_all(tmp_path, "-O3", *options)
    # The tests have to know the names of states.
    shutil.copy(mp_runner.ROOT / "lib/spinet/tcp/states.py", tmp_path / "spinet/tcp")
    paths = (str(tmp_path), "host_tests/core", "host_tests", "tools")
    for file in FILES:
        names = mp_runner.test_names(mp_runner.CORE / (file + ".py"))
        code = [f"import mp_suite\nmp_suite.load({file!r})"]
        code += [f"mp_suite.run({name!r})" for name in names]
        out = runtime.run(mp_runner.CUT.join(code), paths=paths)
        assert out.count("\x1epass") == len(names), out
