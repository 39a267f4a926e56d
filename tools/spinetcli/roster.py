"""A list of boards, CSV or TOML: rows of settings by name, checked before any board is touched."""
import csv
import difflib
import pathlib
import re

from spinetcli import checks

# Columns that are no settings: where the board is, its console's present password, its unique id.
OWN = ("port", "login", "id")
_UNIQUE = ("port", "id", "hostname", "address", "mac")


class Row(dict):
    """The fields of one board; `line` is where it stands in the list."""

    def __init__(self, fields, line):
        super().__init__(fields)
        self.line = line

    @property
    def wanted(self):
        """The settings to make."""
        return {name: value for name, value in self.items() if name not in OWN and value != ""}

    @property
    def name(self):
        """What to call it."""
        return self.get("hostname") or self["port"]


def read(path):
    """The `Row`s of a list.  ValueError lists all that is wrong, with file, line and column."""
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")     # as spreadsheets write it
    except OSError as error:
        raise ValueError("%s cannot be read: %s" % (path, error.strerror)) from None
    except UnicodeDecodeError as error:
        raise ValueError("%s: not a text in UTF-8 (%s)" % (path, error.reason)) from None
    wrong = []
    rows = (from_toml if path.suffix.lower() == ".toml" else from_csv)(path, text, wrong)
    for row in rows:
        look(row, path, wrong)
    unique(rows, path, wrong)
    if not rows and not wrong:
        wrong.append("%s: there is no board in it" % path)
    if wrong:
        raise ValueError("\n".join(wrong))
    return rows


def from_csv(path, text, wrong):
    lines = text.splitlines()
    delimiter = ";" if lines and ";" in lines[0] and "," not in lines[0] else ","
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    heads, rows = None, []
    try:
        for fields in reader:
            fields = [field.strip() for field in fields]
            if not any(fields) or fields[0].startswith("#"):
                continue
            if heads is None:
                heads = fields
                for head in sorted({head for head in heads if heads.count(head) > 1}):
                    wrong.append("%s:%d: two columns are called %r" % (path, reader.line_num, head))
                strange = {head: unknown(head) for head in heads}
                for head in filter(strange.get, strange):
                    wrong.append("%s:%d, %s: %s" % (path, reader.line_num, head, strange[head]))
            elif len(fields) != len(heads):
                wrong.append("%s:%d: %d fields, where the first line names %d" % (
                    path, reader.line_num, len(fields), len(heads)))
            else:
                rows.append(Row({head: field for head, field in zip(heads, fields)
                                 if not strange[head]}, reader.line_num))
    except csv.Error as error:
        wrong.append("%s:%d: %s" % (path, reader.line_num, error))
    return rows


def from_toml(path, text, wrong):
    try:
        import tomllib
    except ImportError:
        import tomli as tomllib
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+)", str(error))
        wrong.append("%s:%s: %s" % (path, at[1] if at else "end", error))
        return []
    boards = document.get("board", [])
    if not isinstance(boards, list) or not all(isinstance(board, dict) for board in boards):
        wrong.append("%s: each board begins with [[board]]" % path)
        return []
    for name in document:
        if name != "board":
            wrong.append("%s: %r means nothing here; each board begins with [[board]]" % (
                path, name))
    starts = [n for n, line in enumerate(text.splitlines(), 1)
              if re.match(r"\s*\[\[\s*board\s*\]\]", line)]
    starts += [0] * len(boards)
    return [Row(flat(board), line) for board, line in zip(boards, starts)]


def flat(table, prefix=""):
    """Texts by names with dots, of a table with tables in it."""
    fields = {}
    for name, value in table.items():
        if isinstance(value, dict):
            fields.update(flat(value, prefix + name + "."))
        else:
            fields[prefix + name] = (" ".join(map(str, value)) if isinstance(value, list)
                                     else str(value))
    return fields


def unknown(name):
    """Why there is no column `name`; "" if there is."""
    try:
        if name not in OWN:
            checks.rules().get(checks.rules().DEFAULTS, name)
    except ValueError as error:
        near = difflib.get_close_matches(name, [*checks.rules().keys(), *OWN], 1)
        return str(error)[len(name) + 2:] + (", perhaps %s is meant" % near[0] if near else "")
    return ""


def look(row, path, wrong):
    """Is each field of a row what it may be?"""
    where = "%s:%d" % (path, row.line)
    if not row.get("port"):
        wrong.append("%s, port: there is none; `spinet ports` lists them" % where)
    before = len(wrong)
    for name, value in row.items():
        if name in OWN:
            continue
        said = unknown(name)
        try:
            if not said:
                checks.check(name, value)
        except ValueError as error:
            said = str(error)
        if said:
            wrong.append("%s, %s: %s" % (where, name, said))
    if len(wrong) == before and row.get("address"):
        try:
            checks.check_gateway(row["address"], row.get("gateway"))
        except ValueError as error:
            wrong.append("%s, gateway: %s" % (where, error))


def unique(rows, path, wrong):
    """No two boards at one port, or of one name or address."""
    first = {}
    for row in rows:
        for name in _UNIQUE:
            value = row.get(name, "").lower()
            if name == "address":
                value = value.partition("/")[0]
            if value in ("", "dhcp"):
                continue
            if (name, value) in first:
                wrong.append("%s:%d, %s: %s is that of line %d already" % (
                    path, row.line, name, row[name], first[name, value]))
            first.setdefault((name, value), row.line)
