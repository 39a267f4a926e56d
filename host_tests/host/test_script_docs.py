"""docs/tcp-scripts.md and its index: the examples play, the list is that of the tests."""
import ast
import re
import textwrap

import pytest

import mp_runner
import script
import script_index

PAGE = (mp_runner.ROOT / "docs" / "tcp-scripts.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_the_index_is_up_to_date():
    assert script_index.PAGE.read_text() == script_index.text(), "run tools/script_index.py"


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_play(example):
    names = {"play": script.play, "each": script.each}
    exec(textwrap.dedent(example), names)
    for name, value in names.items():
        if name.startswith("test_"):
            value()


def test_the_failure_that_is_shown_is_what_one_looks_like():
    wrong = EXAMPLES[0].replace("+0.2 > P. 1:101(100) ack 1", "+0.2 > P. 1:101(100) ack 2")
    names = {"play": script.play}
    exec(wrong, names)
    with pytest.raises(script.ScriptFailed) as failed:
        names["test_a_lost_segment_is_sent_again"]()
    shown = textwrap.dedent(re.search(r"```\n( line 5.*?)```", PAGE, re.S)[1])
    lines = str(failed.value).splitlines()
    shown = [line for line in shown.splitlines() if line.strip() != "..."]
    assert [line for line in shown if line not in lines] == []


def test_every_script_says_which_rule_it_is_about():
    for file in mp_runner.CORE.glob("test_script_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = ast.get_docstring(node) or ""
                assert said.endswith((".", ")")) and len(said) > 15, f"{file.name}: {node.name}"
