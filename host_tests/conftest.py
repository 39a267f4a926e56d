"""Core tests run here on CPython, and once more on each MicroPython there is.

To pytest, `core/test_x.py` holds the module's own tests and, for each runtime, the same names
below a node of that runtime: `core/test_x.py::micropython64::test_y`.
"""
import pytest

import mp_runner

CPYTHON = "CPython"


def is_core(path):
    return path.parent == mp_runner.CORE and path.name.startswith("test_")


def pytest_collect_file(file_path, parent):
    if is_core(file_path) and file_path.suffix == ".py":
        return RuntimesOfFile.from_parent(parent, path=file_path)
    return None


class RuntimesOfFile(pytest.File):
    def collect(self):
        for runtime in mp_runner.RUNTIMES:
            yield SuiteNode.from_parent(self, name=runtime.id, runtime=runtime)


class SuiteNode(pytest.Collector):
    def __init__(self, runtime, **kwargs):
        super().__init__(**kwargs)
        self.runtime = runtime
        self.suite = None
        self.selected = []
        self.add_marker(runtime.id)

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
            runtime = self.parent.runtime
            pytest.skip(f"{runtime.name} is not here: {runtime.why}")
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
        return self.path, None, f"{self.path.stem}.{self.name} on {self.parent.runtime.name}"


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
    """The id of the runtime the core test of `report` ran on, or None if it is no core test."""
    parts = report.nodeid.split("::")
    if not parts[0].startswith("host_tests/core/"):
        return None
    return parts[1] if len(parts) == 3 else CPYTHON


def pytest_terminal_summary(terminalreporter):
    ran = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            counts = ran.setdefault(runtime_of(report), {})
            counts[outcome] = counts.get(outcome, 0) + 1
    ran.pop(None, None)
    if not ran:
        return
    terminalreporter.section("core tests on each runtime")
    names = {CPYTHON: CPYTHON}
    names.update((runtime.id, runtime.name) for runtime in mp_runner.RUNTIMES)
    for runtime, name in names.items():
        counts = [f"{n} {outcome}" for outcome, n in ran.get(runtime, {}).items()]
        terminalreporter.write_line(f"{name + ':':16} {', '.join(counts) or 'none ran'}")
