"""What the tables of rules in docs/ name exists: every test, every place in the code."""
import re

import pytest

import mp_runner

ROOT = mp_runner.ROOT
TABLES = sorted([*(ROOT / "docs").glob("rfc-*.md"), ROOT / "docs/tcp-regressions.md"])
SOURCES = {file: file.read_text() for folder in ("lib/spinet", "ports")
           for file in (ROOT / folder).rglob("*.py")}
TESTS = {name for file in (ROOT / "host_tests").glob("*/test_*.py")
         for name in [file.stem, *re.findall(r"^def (test_\w+)", file.read_text(), re.M)]}


def rows(table):
    """The cells of each rule in a page's tables, by the headings of the columns."""
    header = None
    for line in table.read_text().splitlines():
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if header is None:
            header = cells
        elif not set(cells[0]) <= {"-", ":"}:
            assert len(cells) == len(header), line
            yield dict(zip(header, cells))


def exists(place):
    """Whether a file, or `module.name`, `module.Class.name`, `Class.name`, is there."""
    if place.endswith(".py"):
        return any(file.name == place for file in SOURCES)
    owner, *names = place.split(".")
    for file, text in SOURCES.items():
        if file.stem == owner or re.search(rf"^class {owner}\b", text, re.M):
            if all(re.search(rf"(def|class) {name}\b|\b{name} = ", text) for name in names):
                return True
    return False


@pytest.mark.parametrize("table", TABLES, ids=[table.stem for table in TABLES])
def test_rules_name_tests_that_exist(table):
    missing = []
    for row in rows(table):
        names = re.findall(r"`([^`]+)`", row["test"])
        if not names:
            assert "deviation" in row["where"] or "not yet" in row["where"], row["rule"]
        for name in names:
            stem = name.rstrip("…").partition(".")[2] or name.rstrip("…")
            if not any(test == stem or name.endswith("…") and test.startswith(stem)
                       for test in TESTS):
                missing.append(name)
    assert not missing


@pytest.mark.parametrize("table", TABLES, ids=[table.stem for table in TABLES])
def test_rules_name_places_that_exist(table):
    found = [place for row in rows(table) for place in re.findall(r"`([\w.]+)`", row["where"])
             if "." in place]
    assert found
    assert [place for place in found if not exists(place)] == []
