"""Tests against the Linux kernel: they need root, network namespaces, and some programs."""
import shutil

import lab as lab_module
import netns
import play
import pytest


def pytest_collection_modifyitems(items):
    here = [item for item in items if item.path.parent.name == "kernel"]
    why = netns.why_not() if here else None
    if here and not why:
        netns.sweep()
    for item in here:
        if why:
            item.add_marker(pytest.mark.skip(reason="tests against the kernel: " + why))


@pytest.fixture(scope="session")
def need():
    """`need("tcpdump")` skips the test, by name, where the program is missing."""

    def need(*programs):
        for program in programs:
            if not shutil.which(program):
                pytest.skip("needs the program %s" % program)

    return need


@pytest.fixture
def namespaces():
    """`namespaces("a", "b")` makes namespaces that are removed after the test."""
    made = []

    def make(*labels):
        for label in labels:
            made.append(netns.Namespace(label))
        return made[-len(labels):]

    yield make
    for namespace in made:
        namespace.close()


@pytest.fixture(scope="module", params=lab_module.SETUPS)
def lab(request):
    """Our servers on each kind of link and each runtime."""
    made = lab_module.Lab(*request.param.split("-"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory, request):
    """Two namespaces for programs, those over spinet in one (play.py)."""
    made = play.Pair(tmp_path_factory.mktemp(request.module.__name__))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_runs_on(request):
    """What a test has started over spinet ends with it."""
    pair = request.getfixturevalue("pair") if "pair" in request.fixturenames else None
    yield
    if pair:
        pair.end()


@pytest.fixture(autouse=True)
def servers_survive(request):
    """No test ends with our server dead."""
    lab = request.getfixturevalue("lab") if "lab" in request.fixturenames else None
    yield
    if lab:
        lab.check()
