"""Tests against the Linux kernel: they need root, network namespaces, and some programs."""
import shutil

import netns
import pytest


def pytest_collection_modifyitems(items):
    here = [item for item in items if item.path.parent.name == "kernel"]
    why = netns.why_not() if here else None
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
