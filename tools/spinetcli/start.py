"""Where the installed program `spinet` begins: with what it needs, or with words that say what."""
import sys

_NEEDED = ("serial", "mpremote", "rich", "microdot")


def main():
    """Run; the exit status."""
    try:
        from spinetcli.__main__ import main as run
        # Used by some commands only, but missed by all alike:
        import microdot  # noqa: F401
        import mpremote  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        print("spinet: the program needs pyserial, mpremote, rich and microdot, which the library "
              "does not: pip install 'spinet[tools]'   (%s is missing)" % error.name,
              file=sys.stderr)
        return 2
    return run()
