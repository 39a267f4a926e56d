"""The libraries that the firmware's program uses, as they are published and installed here."""
import importlib.util
import pathlib

# What of each a board needs.
FILES = {"microdot": ("__init__.py", "microdot.py")}


def folders():
    """(name, folder here) of each library; ImportError where one is missing."""
    for name in FILES:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ImportError("the board's page needs %s: pip install %s" % (name, name))
        yield name, pathlib.Path(spec.origin).parent


def files():
    """(path here, path on the board below /lib) of each file that a board needs."""
    for name, folder in folders():
        for file in FILES[name]:
            yield folder / file, "%s/%s" % (name, file)
