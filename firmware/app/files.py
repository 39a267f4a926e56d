"""Opens the firmware's own files: those on the flash, or else those frozen into the image."""
import io

try:
    from spinet_files import FILES     # {path: bytes}, made by manifest.py
except ImportError:
    FILES = {}


def opened(path, mode="rb"):
    """The file at `path`, to read; OSError if there is none."""
    try:
        return open(path, mode)
    except OSError:
        data = FILES.get(path)
        if data is None:
            raise
        return io.BytesIO(data)
