"""What the program shows: text for people, one JSON document for programs."""
import json
import os
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Out:
    """`result` is what `--json` prints at the end; everything for people goes by unprinted then."""

    def __init__(self, as_json, plain, quiet=False):
        self.json = as_json
        self.quiet = quiet or as_json
        plain = plain or bool(os.environ.get("NO_COLOR"))
        colours = None if plain else "auto"
        self.text = Console(color_system=colours, highlight=False, quiet=self.quiet, soft_wrap=True)
        self.notes = Console(color_system=colours, highlight=False, stderr=True, soft_wrap=True)
        self.result = None
        self.bar = None

    def say(self, text, style=None):
        """A line for people."""
        # Lines for a terminal go above the bar on it.
        above = self.bar and self.bar.shown and self.text.is_terminal and not self.quiet
        (self.notes if above else self.text).print(text, style=style, markup=False)

    def error(self, text):
        """What went wrong."""
        if self.json:
            self.result = {"error": text}
        else:
            self.notes.print("spinet: " + text, style="red", markup=False)

    def table(self, rows, heads):
        """Dicts in columns; the last one is folded where the terminal is narrow, none is cut."""
        table = Table(box=None, pad_edge=False)
        for head in heads:
            table.add_column(head, no_wrap=head != heads[-1], overflow="fold")
        for row in rows:
            table.add_row(*[escape(str(row.get(head, ""))) for head in heads])
        self.text.print(table, width=None if self.text.is_terminal else 200)

    def progress(self, what, total, unit="bytes"):
        """A bar on standard error, in a `with`: call `advance(n)` on it.

        `total` None: unknown.  `unit`: "bytes" or "count".  Only at a terminal.
        """
        self.bar = Bar(what, total, unit, self.notes, self.quiet)
        return self.bar

    def finish(self):
        """Print the JSON document."""
        if self.json:
            json.dump(self.result, sys.stdout, indent=2)
            sys.stdout.write("\n")


class Bar:
    """A progress bar; hidden, or where there is no terminal, it shows nothing."""

    def __init__(self, what, total, unit, console, hidden):
        from rich import progress as rich

        amount = rich.DownloadColumn() if unit == "bytes" else rich.MofNCompleteColumn()
        self.shown = False
        self.progress = rich.Progress(
            rich.TextColumn("{task.description}"), rich.BarColumn(), amount,
            rich.TimeElapsedColumn(), console=console,
            disable=hidden or not console.is_terminal)
        self.task = self.progress.add_task(what, total=total)

    def __enter__(self):
        self.progress.start()
        self.shown = not self.progress.disable
        return self

    def __exit__(self, *_):
        self.progress.stop()
        self.shown = False

    def advance(self, n):
        """So much more is done."""
        self.progress.advance(self.task, n)
