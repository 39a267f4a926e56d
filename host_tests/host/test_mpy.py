"""What `make mpy` writes for boards is the same program."""
import ast

import mp_runner
import mpy
import pytest

UNIX, WASM = mp_runner.RUNTIMES
FILES = "test_socket", "test_script_close"


def inlined(**sources):
    sources = {"spinet." + name: source for name, source in sources.items()}
    constants = mpy.Constants(sources)
    return {name[7:]: constants.inlined(name) for name in sources}


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


@pytest.mark.skipif(not mpy.MPY_CROSS.exists(), reason="mpy-cross is not here")
@pytest.mark.parametrize("runtime, options", [(UNIX, ["-march=x64"]),
                                              (WASM, ["-msmall-int-bits=31"])])
def test_core_tests_pass_with_the_compiled_modules(runtime, options, tmp_path):
    if runtime.why:
        pytest.skip(runtime.why)
    mpy.compile_all(tmp_path, "-O3", *options)
    paths = (str(tmp_path), "host_tests/core", "host_tests", "tools")
    for file in FILES:
        names = mp_runner.test_names(mp_runner.CORE / (file + ".py"))
        code = [f"import mp_suite\nmp_suite.load({file!r})"]
        code += [f"mp_suite.run({name!r})" for name in names]
        out = runtime.run(mp_runner.CUT.join(code), paths=paths)
        assert out.count("\x1epass") == len(names), out
