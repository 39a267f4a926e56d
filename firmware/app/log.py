"""What the board has to say: printed as it happens, and the last lines kept for `show log`."""
from spinet.prim import ticks_diff, ticks_ms

KEPT = 40

lines = []          # (seconds since the start, text), the oldest first
printer = print     # where a line goes as well; the console puts its own here
_last = ticks_ms()
_ms = 0


def seconds():
    """Whole seconds since the start.  Ask at least once in six days: ticks wrap in twelve."""
    global _last, _ms
    now = ticks_ms()
    _ms += ticks_diff(now, _last)
    _last = now
    return _ms // 1000


def say(text):
    """Keep a line and print it."""
    while len(lines) >= KEPT:
        lines.pop(0)
    lines.append((seconds(), text))
    printer(text)
