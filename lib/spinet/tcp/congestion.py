"""Congestion controls by name: found, and changed on an open connection.  Imported when needed."""
from spinet.errors import ENOENT, os_error

NAMES = ("reno", "cubic", "none")


def named(name):
    """The module of the congestion control `name`; OSError(ENOENT) if there is none."""
    if name not in NAMES:
        raise os_error(ENOENT)
    return __import__("spinet.tcp." + name, None, None, ("start",))


def use(c, name):
    """Put the connection `c` under the control `name` (text, or bytes as TCP_CONGESTION has it)."""
    if not isinstance(name, str):
        name = bytes(name).rstrip(b"\0").decode()
    c.cc = control = named(name)
    if c.cwnd:
        # It is open already: what is known of the path stays known.
        cwnd = c.cwnd
        ssthresh = c.ssthresh
        control.start(c)
        if name != "none":
            c.cwnd = min(cwnd, c.snd_max + 10 * c.mss)
            c.ssthresh = ssthresh


def name(c):
    """The name of the connection's congestion control, as bytes."""
    return c.cc.__name__.split(".")[-1].encode()
