"""What the program says about itself, and what the pages say about it, is so."""
import re
import shlex

import pytest

from board import launch
from spinetcli import __main__ as program
from spinetcli import examples

PAGES = [launch.REPO / "README.md", *sorted((launch.REPO / "docs").glob("*.md"))]


def commands(text, start):
    """The words of each command line of `spinet` that begins as `start` matches."""
    for line in re.findall(start + r"spinet ([a-z].*)", text, re.M):
        line = re.split(r"\s{3,}|\s\||\s#|`", line)[0]
        yield shlex.split(line)


def in_pages():
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"^```.*?^```", text, re.M | re.S):
            for words in commands(block, r"^(?:\$ )?"):
                yield pytest.param(words, id="%s: %s" % (page.name, " ".join(words)))
        for quoted in re.findall(r"`(spinet [^`\n]+)`", text):
            for words in commands(quoted.replace("\\|", " |"), "^"):
                if words[0] in examples.EXAMPLES and not words[-1].isupper():
                    yield pytest.param(words, id="%s: %s" % (page.name, " ".join(words)))


@pytest.mark.parametrize("words", list(in_pages()))
def test_commands_of_the_pages_are_understood(words):
    if words[0] not in ("COMMAND", "at"):       # "spinet at 10.0.2.30/24" is what a board says
        program.parser().parse_args(words)


@pytest.mark.parametrize("name", sorted(examples.EXAMPLES))
def test_examples_of_the_help_are_understood(name, capsys):
    with pytest.raises(SystemExit) as end:
        program.parser().parse_args([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    found = list(commands(text, "^  "))
    assert len(found) >= 2
    for words in found:
        assert program.parser().parse_args(words).command == name
    assert max(map(len, text.splitlines())) <= 100


def test_there_are_examples_of_every_command():
    (action,) = [a for a in program.parser()._actions if a.dest == "command"]
    assert set(action.choices) == set(examples.EXAMPLES)
    assert {"ports", "install", "configure", "status", "doctor", "console", "capture",
            "provision"} <= set(examples.EXAMPLES)


def test_examples_of_settings_and_lists_are_sound(tmp_path):
    from spinetcli import checks, roster

    for words in commands(examples.EXAMPLES["configure"], "^  "):
        for setting in words[1:]:
            checks.check(*setting.split("=", 1))
    for text in [examples.EXAMPLES["provision"], (launch.REPO / "docs/console.md").read_text()]:
        (rows,) = re.findall(r"^ *port,.*\n(?: *\S+,.*\n)+", text, re.M)
        (tmp_path / "list.csv").write_text(re.sub("^ +", "", rows, flags=re.M))
        assert len(roster.read(tmp_path / "list.csv")) == 2


def test_without_a_command_it_says_which_there_are(capsys):
    assert program.main([]) == 2
    said = capsys.readouterr().err
    assert all("spinet %s" % name in said for name in examples.EXAMPLES)
