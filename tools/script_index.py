"""Writes docs/tcp-scripts-index.md, the list of TCP's scripts: `script_index.py [--check]`."""
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tcp-scripts-index.md"
HEAD = """\
# TCP's scripts, by topic

Written by `tools/script_index.py` from the tests themselves; [tcp-scripts](tcp-scripts.md) says
how to read and how to write one. Each is a test of that name in `host_tests/core/`, and runs on
all runtimes.
"""


def scripts(file):
    """(topic, [(name of a test, its rule)]) of one file of scripts, in order."""
    module = ast.parse(file.read_text())
    topic = " ".join(ast.get_docstring(module).split()).partition("Scripts: ")[2]
    tests = [(node.name, " ".join(ast.get_docstring(node).split())) for node in module.body
             if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return topic, tests


def text():
    """What the page has to be."""
    total = 0
    body = ""
    for file in sorted((ROOT / "host_tests" / "core").glob("test_script_*.py")):
        topic, tests = scripts(file)
        total += len(tests)
        body += f"\n## {topic.partition('.')[0][0].upper()}{topic.partition('.')[0][1:]}\n\n"
        body += f"`{file.name}`, {len(tests)} scripts\n\n"
        body += "| script | rule |\n|---|---|\n"
        for name, rule in tests:
            rule = rule.replace("|", "\\|").replace("<", "&lt;")
            body += f"| `{name[5:]}` | {rule} |\n"
    return f"{HEAD}\n{total} scripts.\n{body}"


def main():
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text())
    elif PAGE.read_text() != text():
        sys.exit("docs/tcp-scripts-index.md is out of date: run tools/script_index.py")


if __name__ == "__main__":
    main()
