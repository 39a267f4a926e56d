"""A small JSON file that outlives a power failure at any moment of its being written.

    netcfg.json         what is in effect
    netcfg.json.new     while it is written: complete, or not JSON
    netcfg.json.old     the one before, the last good copy

`save` writes the new file whole, reads it back, and only then renames: the present one to ".old",
the new one in its place.  An object's text is JSON only with its last brace, so a file that was cut
off is known by that.  A file system like FAT deletes the target of a rename first; here that is
never the only copy.
"""
import json
import os

OLD = ".old"
NEW = ".new"


def save(path, value):
    """Replace the file by `value`, a dict.  OSError if that failed: then the file is as it was."""
    _finish(path)
    try:
        _write(path + NEW, text(value))
    except OSError:
        _remove(path + NEW)     # of no use, and may fill the flash
        raise
    # A broken file must not take the place of the last good copy.
    if read(path)[0] is not None:
        os.rename(path, path + OLD)
        _sync()
    os.rename(path + NEW, path)
    _sync()


def load(path):
    """(value, complaints): what is in the file or the best there is instead, None without any."""
    try:
        _finish(path)
    except OSError:
        pass                    # what can be read is read, also where nothing can be written
    value, complaint = read(path)
    if value is not None:
        return value, []
    old, _ = read(path + OLD)
    if old is None:
        return None, ["%s: %s, using defaults" % (path, complaint)]
    return old, ["%s: %s, using the last good copy, %s" % (path, complaint, path + OLD)]


def read(path, opener=None):
    """(the dict in one file, None), or (None, what is wrong with it)."""
    try:
        with (opener or open)(path) as file:
            value = json.loads(file.read())
    except OSError:
        return None, "none"
    except (ValueError, RuntimeError, MemoryError) as error:
        return None, "not valid JSON (%s)" % error
    return (value, None) if isinstance(value, dict) else (None, "expected an object")


def erase(path):
    """Remove the file and its copies, the file itself last."""
    for name in (path + NEW, path + OLD, path):
        _remove(name)
    _sync()


def text(value):
    """JSON with a line for each key, for people."""
    rows = ['  %s: %s' % (json.dumps(key), json.dumps(value[key])) for key in sorted(value)]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _write(path, data):
    """Write a file and read it back.  OSError if it is not on the medium then."""
    with open(path, "w") as file:
        file.write(data)
        file.flush()
        _sync(file)
    with open(path) as file:
        if file.read() != data:
            raise OSError("%s: what was read back is not what was written" % path)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _finish(path):
    """Do what a `save` between its two renames did not come to."""
    try:
        os.stat(path)
    except OSError:
        if read(path + NEW)[0] is not None:
            os.rename(path + NEW, path)
            _sync()


def _sync(file=None):
    """See to it that what was written is on the medium."""
    if hasattr(os, "fsync"):
        if file is not None:
            os.fsync(file.fileno())
    elif hasattr(os, "sync"):
        os.sync()
