"""A plugin for pytest: the fixture `lan`.

Where spinet is installed pytest finds it by itself; elsewhere `-p spinet.testing.plugin`.
"""
import re
from pathlib import Path

import pytest

from spinet.testing.lan import Lan


def pytest_addoption(parser):
    group = parser.getgroup("spinet", "networks in virtual time (spinet.testing)")
    group.addoption("--lan-seed", type=int, default=1, metavar="N",
                    help="what all chance in a test's network comes from (1)")
    group.addoption("--lan-pcap", default="lan-pcap", metavar="DIR",
                    help="where captures of failed tests go (lan-pcap)")


def pytest_configure(config):
    config.addinivalue_line("markers", "lan(seed=N): chance in this test's network")


@pytest.fixture
def lan(request):
    """A network of this test's own: `a, b = lan.hosts(2)`."""
    mark = request.node.get_closest_marker("lan")
    seed = mark.kwargs.get("seed") if mark else None
    made = Lan(request.config.getoption("--lan-seed", 1) if seed is None else seed)
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Of a test that fails: a capture, and the last lines of what was on the wire."""
    outcome = yield
    report = outcome.get_result()
    lan = getattr(item, "funcargs", {}).get("lan")
    if report.when != "call" or not report.failed or not isinstance(lan, Lan):
        return
    folder = Path(item.config.getoption("--lan-pcap", "lan-pcap"))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (re.sub(r"[^\w.-]+", "-", item.nodeid).strip("-") + ".pcap")
    file.write_bytes(lan.pcap())
    lines = ["seed %d, %g s of virtual time, capture: %s" % (lan.seed, lan.time, file)]
    report.sections.append(("network", "\n".join(lines + lan.trace.lines())))
