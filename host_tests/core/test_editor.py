"""The line editor of the console: firmware/app/editor.py, key by key, on a screen of one line."""
from app.editor import CANCEL, HISTORY, LONGEST, Editor

WORDS = ("show", "save", "set", "ping")


class Screen:
    """What a terminal shows of what is written: its last line, and where the cursor is."""

    def __init__(self):
        self.line = ""
        self.at = 0
        self.bells = 0
        self.rest = ""

    def write(self, text):
        text = self.rest + text
        self.rest = ""
        while text:
            if text[0] == "\x1b":
                end = 2
                while end < len(text) and not text[end].isalpha():
                    end += 1
                if text[end] == "K":
                    self.line = self.line[:self.at]
                elif text[end] == "D":
                    self.at -= int(text[2:end])
                else:
                    self.line, self.at = "", 0
                text = text[end + 1:]
                continue
            c, text = text[0], text[1:]
            if c == "\r":
                self.at = 0
            elif c == "\n":
                self.line, self.at = "", 0
            elif c == "\x07":
                self.bells += 1
            else:
                self.line = self.line[:self.at] + c + self.line[self.at + 1:]
                self.at += 1


def typed(*keys):
    """(screen, editor, lines that came) after these keys."""
    screen = Screen()
    editor = Editor(screen.write, lambda line: list(WORDS))
    editor.start("> ")
    lines = []
    for text in keys:
        for byte in text.encode():
            got = editor.feed(byte)
            # What is seen is what is there, at every key.
            if got is None:
                assert screen.line == "> " + editor.line, (screen.line, editor.line)
                assert screen.at == 2 + editor.at, (screen.at, editor.at)
            else:
                lines.append(got)
                if got == CANCEL:
                    screen.write("\r\n")
                editor.start("> ")
    return screen, editor, lines


LEFT, RIGHT, UP, DOWN = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"


def test_lines_end_with_cr_lf_or_both():
    assert typed("a\rb\nc\r\nd\r\r")[2] == ["a", "b", "c", "d", ""]


def test_moving_and_changing():
    for keys, line in (
        ("abc\x7f\x08d", "ad"), ("bc\x01a", "abc"), ("ac" + LEFT + "b", "abc"),
        ("abc" + LEFT + LEFT + "\x7f", "bc"), ("abc\x01\x04", "bc"), ("abc\x1b[H\x1b[3~", "bc"),
        ("abc\x02\x02\x0b", "a"), ("abc\x02\x15", "c"), ("one two  \x17x", "one x"),
        ("abc\x1b[1~x\x1b[4~y", "xabcy"), ("a" + RIGHT + LEFT + LEFT + "b", "ba"),
        ("\x7f\x04\x17\x0ba", "a"), ("a\x1b[20;5~b", "ab"), ("a\x1bxb", "ab"),
    ):
        assert typed(keys + "\r")[2] == [line], (keys, typed(keys + "\r")[2])


def test_history():
    for keys, line in (
        (UP, "two"), (UP + UP, "one"), (UP + UP + UP, "one"), (UP + UP + DOWN, "two"),
        ("new" + UP + DOWN, "new"), (UP + "x", "twox"), ("\x10\x10\x0e", "two"),
    ):
        assert typed("one\r", "two\r", "two\r", keys + "\r")[2][-1] == line, keys
    _, editor, _ = typed(*["line %d\r" % i for i in range(40)])
    assert len(editor.history) == HISTORY


def test_completion():
    assert typed("pi\t\r")[2] == ["ping "]
    assert typed("sh\t\r")[2] == ["show "]
    assert typed("s\th\t\r")[2] == ["show "]
    screen, editor, _ = typed("x\t")
    assert screen.bells == 1 and editor.line == "x"


def test_ctrl_c_is_told_even_within_an_escape():
    assert typed("ab\x03")[2] == [CANCEL]
    assert typed("ab\x1b[\x03")[2] == [CANCEL]


def test_what_is_not_ascii_is_left_out_and_length_is_bounded():
    assert typed("a\u00e9b\r")[2] == ["ab"]
    assert len(typed("x" * (LONGEST + 50) + "\r")[2][0]) == LONGEST


def test_any_bytes_do_no_harm():
    seed = 1
    for _ in range(40):
        text = ""
        for _ in range(60):
            seed = (seed * 1103 + 12345) & 0xFFFF
            text += chr(seed % 127) if seed & 512 else "\x1b[" + chr(48 + seed % 60)
        typed(text.replace("\x0c", "").replace("\t", ""))


def test_a_password_is_not_shown():
    out = []
    editor = Editor(out.append, lambda line: [])
    editor.show = "stars"
    editor.start("password: ")
    got = None
    for byte in b"tulip\x7fp\r":
        got = editor.feed(byte)
    assert got == "tulip"
    assert "t" not in "".join(out).replace("password: ", "") and "*" in "".join(out)
    assert editor.history == []
