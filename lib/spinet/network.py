"""What MicroPython's `network` module has for a wired interface, and `WLAN` as a view of it.

Where the firmware has no such module, `sys.modules["network"] = spinet.network` gives programs one.
"""
# ruff: noqa: F401 - the names are for others to import
from spinet.lan import (
    LAN, STAT_CONNECTING, STAT_GOT_IP, STAT_IDLE, STAT_NO_LINK, hostname, ipconfig,
)
from spinet.wlan import AP_IF, STA_IF, WLAN
