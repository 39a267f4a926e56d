"""Core tests run here on CPython, and once more on each MicroPython there is.

To pytest, `core/test_x.py` holds the module's own tests and, for each runtime, the same names
below a node of that runtime: `core/test_x.py::MicroPython 64::test_y`.
"""
from pathlib import Path

import pytest

import mp_runner

CPYTHON = "CPython"
HERE = Path(__file__).parent


def is_core(path):
    return path.parent == mp_runner.CORE and path.name.startswith("test_")


def pytest_collect_file(file_path, parent):
    if is_core(file_path) and file_path.suffix == ".py":
        return RuntimesOfFile.from_parent(parent, path=file_path)
    return None


class RuntimesOfFile(pytest.File):
    def collect(self):
        for runtime in mp_runner.RUNTIMES:
            yield SuiteNode.from_parent(self, name=runtime.name, runtime=runtime)


class SuiteNode(pytest.Collector):
    def __init__(self, runtime, **kwargs):
        super().__init__(**kwargs)
        self.runtime = runtime
        self.suite = None
        self.selected = []
        self.add_marker(f"micropython{runtime.bits}")

    def collect(self):
        for name in mp_runner.test_names(self.path):
            yield RuntimeItem.from_parent(self, name=name)

    def result(self, name):
        if self.suite is None:
            self.suite = mp_runner.Suite(self.runtime, self.path, self.selected)
        return self.suite.result(name)

    def teardown(self):
        if self.suite:
            self.suite.close()


class RuntimeItem(pytest.Item):
    def runtest(self):
        if self.parent.runtime.why:
            pytest.skip(f"{self.parent.name} is not here: {self.parent.runtime.why}")
        result = self.parent.result(self.name)
        if result.outcome == "skip":
            pytest.skip(result.text)
        if result.outcome != "pass":
            raise TestFailed(result.text)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, TestFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}.{self.name} on {self.parent.name}"


class TestFailed(Exception):
    """A core test failed on MicroPython; the message is what it printed."""


def pytest_collection_modifyitems(items):
    for item in items:
        if not is_core(item.path):
            continue
        item.add_marker("core")
        if item.name in getattr(getattr(item, "module", None), "SLOW", ()):
            item.add_marker("slow")


def pytest_collection_finish(session):
    """Only now is it known which tests were selected: a process is asked for no others."""
    for item in session.items:
        if isinstance(item, RuntimeItem):
            item.parent.selected.append(item.name)


def runtime_of(report):
    """The runtime on which the core test of `report` ran, or None if it is no core test."""
    parts = report.nodeid.split("::")
    if not parts[0].startswith("host_tests/core/"):
        return None
    return parts[1] if len(parts) == 3 else CPYTHON


def pytest_terminal_summary(terminalreporter):
    ran = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            runtime = runtime_of(report)
            if runtime and (report.when == "call" or report.skipped):
                ran.setdefault(runtime, {}).setdefault(outcome, []).append(report)
    if not ran:
        return
    terminalreporter.section("core tests on each runtime")
    for runtime in (CPYTHON, *(runtime.name for runtime in mp_runner.RUNTIMES)):
        counts = [f"{len(reports)} {outcome}" for outcome, reports in ran.get(runtime, {}).items()]
        terminalreporter.write_line(f"{runtime + ':':16} {', '.join(counts) or 'none ran'}")
