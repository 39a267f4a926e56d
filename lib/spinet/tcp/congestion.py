"""Congestion controls by name: found, and changed on an open connection.  Imported when needed."""
from spinet.errors import ENOENT, os_error

NAMES = ("reno", "cubic", "none")


def named(control):
    """The module of the congestion control `control`: text, or bytes as TCP_CONGESTION has it.

    OSError(ENOENT) if there is none of that name.
    """
    if not isinstance(control, str):
        control = bytes(control).rstrip(b"\0").decode()
    if control not in NAMES:
        raise os_error(ENOENT)
    return __import__("spinet.tcp." + control, None, None, ("start",))


def use(c, control):
    """Put the connection `c` under the congestion control `control`, a module."""
    if c.cc is control:
        return
    c.cc = control
    cwnd = c.cwnd
    if cwnd:
        # It is open already: what is known of the path stays known.
        control.start(c)
        if cwnd < c.cwnd:
            c.cwnd = cwnd


def name(control):
    """The name of the module `control`, as bytes."""
    return control.__name__.split(".")[-1].encode()
