"""Our side of the tests of names, time, groups and tools: runs what a test says.

    run.py ADDRESS/LEN[,GATEWAY] PORT... < CODE
    run.py none < CODE

`stack` is a host with an interface on each PORT (see peer.py), the first with the address, `ip`;
with "none" it has no interface, and the code opens the port.
CODE prints what the test wants to know.
"""
import sys

from peer import open_port, say

from spinet import Stack
from spinet.prim import ticks_diff, ticks_ms


def pump(stack, ms, until=None):
    """Keep the stack going for `ms`, or until `until()` holds; whether it does."""
    began = ticks_ms()
    while ticks_diff(ticks_ms(), began) < ms:
        if until is not None and until():
            return True
        stack.idle(20)
    return False


def main(args):
    address, _, gateway = args[0].partition(",")
    stack = Stack()
    ip = None
    for spec in args[1:] if address != "none" else ():
        added = stack.add(open_port(spec), None if ip else address,
                          None if ip else gateway or None)
        ip = ip or added
    names = {"stack": stack, "ip": ip, "say": say,
             "pump": lambda ms, until=None: pump(stack, ms, until)}
    exec(sys.stdin.read(), names)


if __name__ == "__main__":
    main(sys.argv[1:])
