"""spinet: a TCP/IP stack in pure Python, for boards with an SPI Ethernet chip and for CPython.

    nic = spinet.LAN(port)          a network interface with a stack of its own
    stack = spinet.Stack()          or the stack itself: `stack.add(port, "10.0.0.2/24")`
    spinet.socket.socket()          sockets on the default stack
    spinet.install()                for programs that `import socket`
"""
from spinet import socket
from spinet.errors import Error, Unimplemented, Unknown
from spinet.ethernet import Ethernet
from spinet.ipv4 import IPv4
from spinet.lan import LAN
from spinet.socket import use
from spinet.stack import Stack



def install(stack=None):
    """Let programs that `import socket` find spinet's (modules.py); `uninstall()` undoes it."""
    from spinet import modules

    modules.install(stack)


def uninstall():
    """Undo `install`; idempotent."""
    from spinet import modules

    modules.uninstall()


__version__ = "0.1.0"
__all__ = (
    "Error", "Ethernet", "IPv4", "LAN", "Stack", "Unimplemented", "Unknown", "install",
    "socket", "uninstall", "use",
)
