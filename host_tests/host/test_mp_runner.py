"""The core test runner itself: what fails on MicroPython must be seen to fail."""
import pytest

import mp_runner

SAMPLE = '''
import kit, sys

def test_passes():
    print("words of its own")

def test_fails():
    assert 1 == 2, "one is not two"

def test_skips():
    kit.skip("not today")

def test_exits():
    sys.exit()

if sys.implementation.name == "micropython":
    def test_only_here():
        pass

def test_dies():
    if sys.platform == "webassembly":
        import js
        js.process.exit(3)
    import os
    os.system("kill -9 $PPID")

def test_hangs():
    while True:
        pass

def test_runs_after_all_that():
    pass
'''


@pytest.fixture(params=mp_runner.RUNTIMES, ids=lambda runtime: runtime.id)
def runtime(request):
    if request.param.why:
        pytest.skip(f"{request.param.name} is not here: {request.param.why}")
    return request.param


@pytest.fixture
def suite(runtime, tmp_path):
    """A function that makes the Suite of a test file with this text; with all of its tests."""
    suites = []

    def make(text):
        file = tmp_path / "test_sample.py"
        file.write_text(text)
        suites.append(mp_runner.Suite(runtime, file, mp_runner.test_names(file)))
        return suites[-1]

    yield make
    for suite in suites:
        suite.close()


def test_names_are_found_in_order_and_without_importing(tmp_path):
    file = tmp_path / "test_sample.py"
    file.write_text(SAMPLE)
    assert [name[5:] for name in mp_runner.test_names(file)] == [
        "passes", "fails", "skips", "exits", "only_here", "dies", "hangs", "runs_after_all_that",
    ]


def test_every_core_file_has_tests():
    for file in mp_runner.CORE.glob("test_*.py"):
        assert mp_runner.test_names(file), file.name


def test_outcomes(suite, monkeypatch):
    suite = suite(SAMPLE)
    results = {}
    for name in suite.names:
        monkeypatch.setattr(mp_runner, "SILENCE_S", 1 if name == "test_hangs" else 30)
        results[name] = suite.result(name)
    assert {name[5:]: result.outcome for name, result in results.items()} == {
        "passes": "pass", "fails": "fail", "skips": "skip", "exits": "fail", "only_here": "pass",
        "dies": "fail", "hangs": "fail", "runs_after_all_that": "pass",
    }
    assert "words of its own" in results["test_passes"].text
    assert "one is not two" in results["test_fails"].text
    assert "in test_fails" in results["test_fails"].text, "the traceback names the place"
    assert "words of its own" not in results["test_fails"].text
    assert results["test_skips"].text == "not today"
    assert "died or hung" in results["test_dies"].text
    assert "died or hung" in results["test_hangs"].text


def test_a_file_that_cannot_be_imported_fails_all_its_tests(suite):
    suite = suite("import nowhere_to_be_found\ndef test_a(): pass\ndef test_b(): pass\n")
    a, b = suite.result("test_a"), suite.result("test_b")
    assert (a.outcome, b.outcome) == ("fail", "fail")
    assert "nowhere_to_be_found" in a.text
    assert "cannot be imported" in b.text


def test_tests_may_be_left_out(suite):
    suite = suite("def test_a(): pass\ndef test_b(): pass\ndef test_c(): print('c')\n")
    assert suite.result("test_c").text == "c\n"


def test_bits(runtime):
    out = runtime.run("import sys; print(sys.implementation.name, sys.maxsize > 2**32)")
    assert out.split() == ["micropython", str(runtime.bits == 64)]


def test_run_raises_what_went_wrong(runtime):
    with pytest.raises(RuntimeError, match="no such luck"):
        runtime.run("raise OSError('no such luck')")
