"""What is installed is what is here: wheel and sdist by pip, package.json by mip."""
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

import mp_runner
import package_json

ROOT = mp_runner.ROOT
PARTS = ("pyproject.toml", "README.md", "LICENSE", "lib", "ports", "firmware", "tools/spinetcli")
BACKEND = "import sys, setuptools.build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"


def here():
    """The modules of the tree, as an installed package has them."""
    lib = ROOT / "lib"
    files = [file for folder in ("spinet", "spinet/aio", "spinet/tcp", "spinet/testing")
             for file in lib.glob(folder + "/*.py")]
    names = {file.relative_to(lib).as_posix() for file in files}
    names |= {f"spinet/ports/{file.name}" for file in (ROOT / "ports").glob("*.py")}
    return names | program()


def program():
    """The files of the program `spinet`, and those that it copies to boards."""
    names = {f"spinetcli/{file.name}" for file in (ROOT / "tools/spinetcli").glob("*.py")}
    for pattern in ("*.py", "app/*.py", "boards/*.json", "www/*"):
        names |= {"spinetcli/firmware/" + file.relative_to(ROOT / "firmware").as_posix()
                  for file in (ROOT / "firmware").glob(pattern)}
    return names


def build(kind, source, to):
    """Build a "wheel" or "sdist" of the tree `source` into the directory `to`; the file."""
    subprocess.run([sys.executable, "-c", BACKEND, kind, str(to)], cwd=source, check=True,
                   stdout=subprocess.DEVNULL)
    (built,) = to.iterdir()
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is packaged: setuptools writes into the tree it builds."""
    source = tmp_path_factory.mktemp("source")
    for name in PARTS:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source)
    return source


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


def modules_in(wheel):
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_wheel_holds_every_module_and_nothing_else(wheel):
    assert modules_in(wheel) == here()


def test_wheel_tells_pytest_of_its_plugin(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        assert b"[pytest11]\nspinet = spinet.testing.plugin" in archive.read(name)


def test_sdist_makes_the_same_wheel(source, wheel, tmp_path):
    for name in ("sdist", "unpacked", "wheel"):
        (tmp_path / name).mkdir()
    sdist = build("sdist", source, tmp_path / "sdist")
    with tarfile.open(sdist) as tar:
        assert not [member.name for member in tar if member.issym()], "a link may not survive"
        tar.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert (unpacked / "LICENSE").exists()
    again = build("wheel", unpacked, tmp_path / "wheel")
    assert modules_in(again) == modules_in(wheel)


def test_installed_wheel_imports(wheel, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path), str(wheel)], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import spinet, spinet.tcp, spinet.socket, spinet.ports.wire\n"
        "print(spinet.__file__, spinet.ports.wire.__file__, sep='\\n')"
    )
    out = subprocess.check_output([sys.executable, "-I", "-c", code], text=True, cwd=tmp_path)
    for line in out.splitlines():
        assert line.startswith(str(tmp_path)), line


def test_package_json_is_up_to_date():
    assert package_json.PACKAGE.read_text() == package_json.text(), "run tools/package_json.py"


def test_package_json_covers_the_tree():
    listed = {to for to, _ in json.loads(package_json.PACKAGE.read_text())["urls"]}
    left_out = {name for name in here() - listed - program()
                if name.split("/")[1] not in ("aio", "testing")}
    assert {Path(name).name for name in left_out} <= package_json.HOST_ONLY


def test_versions_agree():
    assert f'version = "{package_json.VERSION}"' in (ROOT / "pyproject.toml").read_text()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    """The URL of the repository, served on this machine."""
    handler = functools.partial(Quiet, directory=str(ROOT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_mip_installs_what_imports_on_micropython(web, tmp_path):
    micropython = mp_runner.RUNTIMES[0]
    if micropython.why:
        pytest.skip(f"{micropython.name} is not here: {micropython.why}")
    out = micropython.run(
        f"import mip; mip.install({web + '/package.json'!r}, target={str(tmp_path)!r}, mpy=False)",
        paths=(),
    )
    installed = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.py")}
    assert installed == {to for to, _ in package_json.modules()}, out
    out = micropython.run(
        "import spinet, spinet.socket, spinet.ports.w5500; print(spinet.__file__)",
        paths=(str(tmp_path),),
    )
    assert out.strip() == f"{tmp_path}/spinet/__init__.py"


def installed(wheel, tmp_path, extra):
    """The program `spinet` of a new environment that has the wheel, and what this one has if
    `extra` (there may be no registry to ask)."""
    import venv

    venv.create(tmp_path, with_pip=False)
    (site,) = tmp_path.glob("lib/python*/site-packages")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(tmp_path / "bin/python"),
                    "install", "-q", "--no-index", "--no-deps", str(wheel)], check=True)
    if extra:
        import rich

        (site / "extra.pth").write_text(str(Path(rich.__file__).parents[1]))
    return tmp_path / "bin/spinet", site


def test_the_program_runs_from_the_wheel(wheel, tmp_path):
    spinet, site = installed(wheel, tmp_path, extra=True)
    done = subprocess.run([spinet, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "exit status" in done.stdout, done.stderr
    code = ("from spinetcli import deploy, setup\n"
            "for path, name in deploy.files(deploy.ORDER): print(path, name, sep='|')\n"
            "assert 'pico-w5500' in setup.profiles()")
    out = subprocess.check_output([tmp_path / "bin/python", "-I", "-c", code], text=True)
    rows = [line.split("|") for line in out.splitlines()]
    assert all(path.startswith(str(site.resolve())) for path, name in rows
               if not name.startswith("lib/microdot/"))     # which is where this environment has it
    from spinetcli import deploy
    assert [name for _, name in rows] == [name for _, name in deploy.files(deploy.ORDER)]


def test_the_program_says_what_it_needs(wheel, tmp_path):
    spinet, _ = installed(wheel, tmp_path, extra=False)
    done = subprocess.run([spinet, "ports"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "pip install 'spinet[tools]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
