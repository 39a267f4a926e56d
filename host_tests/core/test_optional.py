"""What is optional is not loaded until it is used."""
import sys

from kit import MICROPYTHON, raises, skip

OPTIONAL = ("diag", "dns", "dnsmsg", "dnstcp", "igmp", "igmpside", "iperf", "iperfdata", "llmnr",
            "mcastopt", "mdns", "mdnsbrowse", "mdnsentry", "mdnsown", "sntp", "sntpd",
            "syslog", "task", "tftp")


def loaded():
    return [name for name in OPTIONAL if "spinet." + name in sys.modules]


def test_nothing_is_loaded_before_it_is_needed():
    if not MICROPYTHON:
        skip("other tests of this process have loaded them")
    from answering import Answering

    from spinet import socket

    n = Answering()
    s = n.stack.socket(socket.SOCK_DGRAM)
    s.bind(("", 9))
    s.sendto(b"x", ("10.0.0.2", 9))
    n.run(2000)
    assert loaded() == []
    assert raises(OSError, s.sendto, b"x", ("a.name", 9)).errno == -2
    assert loaded() == ["dns", "dnsmsg", "dnstcp"]
