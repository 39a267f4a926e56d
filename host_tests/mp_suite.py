"""The part of the core test runner that runs on MicroPython: one test file, some of its tests.

Each line that begins with RS (0x1e) is for `mp_runner.py`: `run NAME`, then `pass`, `skip WHY`
or `fail`, which follows the traceback.  `broken`: the file cannot be imported.
"""
import gc
import sys

tests = Skip = None


def load(module):
    """Import the test file."""
    global tests, Skip
    try:
        from kit import Skip

        tests = __import__(module)
    except BaseException as e:
        sys.print_exception(e)
        print("\x1ebroken")
        sys.exit(1)


def run(name):
    """Run one test."""
    print("\x1erun", name)
    try:
        getattr(tests, name)()
    except Skip as e:
        print("\x1eskip", e)
    except BaseException as e:
        sys.print_exception(e)
        print("\x1efail")
    else:
        print("\x1epass")
    gc.collect()
