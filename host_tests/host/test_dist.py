"""The archives of .mpy files."""
import subprocess
import zipfile

import dist
import mpy
import pytest

import mp_runner
from spinetcli import deploy


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    if not mpy.MPY_CROSS.exists():
        pytest.skip("no mpy-cross here")
    folder = tmp_path_factory.mktemp("dist")
    return {arch: dist.archive(arch, folder) for arch in ("any", "armv6m", "x64")}


def test_what_is_in_them(made):
    for arch, path in made.items():
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            assert {"README.txt", "LICENSE", "main.py", "app/board.mpy", "www/index.html",
                    "lib/microdot/microdot.mpy", "lib/spinet/__init__.mpy",
                    "lib/spinet/ports/w5500.mpy", "lib/spinet/tcp/__init__.mpy"} <= names
            # Native code is only for a processor that is named.
            assert ("lib/spinet/prim_viper.mpy" in names) == (arch != "any")
            head = archive.read("lib/spinet/__init__.mpy")[:2]
        assert head == b"M\x06"


def test_the_same_bytes_each_time(made, tmp_path):
    assert dist.archive("any", tmp_path).read_bytes() == made["any"].read_bytes()


@pytest.mark.parametrize("arch, kind", [("any", "portable"), ("x64", "viper")])
def test_it_runs_from_an_archive(made, arch, kind, tmp_path):
    runtime = next(r for r in mp_runner.RUNTIMES if r.id == "micropython64")
    if runtime.why:
        pytest.skip(f"{runtime.name} is not here: {runtime.why}")
    with zipfile.ZipFile(made[arch]) as archive:
        archive.extractall(tmp_path)
    program = ("import sys; sys.path[:] = ['%s/lib']; import spinet; s = spinet.Stack(); s.poll(); "
               "from spinet.prim import IMPLEMENTATION; print(IMPLEMENTATION)" % tmp_path)
    interpreter = mpy.MPY_CROSS.with_name("micropython")
    done = subprocess.run([interpreter, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == kind, done.stdout + done.stderr


def test_what_a_board_can_load():
    head = bytes((77, 6, 4 << 2, 31))       # armv6m
    for arch in (4, 5, 7, 8):
        deploy.fits(head, 6 | arch << 10)
    deploy.fits(bytes((77, 6, 0, 31)), 6)
    for loads, why in ((6 | 9 << 10, "for armv6m, the board's processor is xtensa"),
                       (6 | 3 << 10, "is armv6"), (6, "of another kind"),
                       (5 | 4 << 10, "version 6, the board loads version 5")):
        with pytest.raises(ValueError, match=why):
            deploy.fits(head, loads)
    with pytest.raises(ValueError, match="for armv7m, the board's processor is armv6m"):
        deploy.fits(bytes((77, 6, 5 << 2, 31)), 6 | 4 << 10)
