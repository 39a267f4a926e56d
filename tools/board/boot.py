"""The power switch of a virtual board; runs on MicroPython's unix port and on CPython.

    boot.py FLASH BOARD_PORT OTHER_PORT CHIP [PROGRAM]

Wires a model of CHIP ("w5500", "enc28j60") to the stand-in `machine`, its cable being UDP datagrams
between two ports of 127.0.0.1, makes the directory FLASH the board's file
system, and then does what MicroPython does on a board: run `boot.py`, then
`main.py` (or PROGRAM; "-" is none), both with the globals that the prompt has afterwards.
"""
import os
import sys

HERE = sys.argv[0].rpartition("/")[0] or "."


def start(flash, board_port, other_port, chip, program):
    """Everything from power-on to the end of the board's program."""
    tools = os.getcwd() + "/" + HERE if not HERE.startswith("/") else HERE
    tools = tools.rpartition("/")[0]
    os.chdir(flash)
    if sys.implementation.name == "micropython":
        # The models need a stack where a new board has none, and a cable that no board has.
        root = tools.rpartition("/")[0]
        sys.path[:] = ["", ".frozen", "lib", tools, root + "/lib", root + "/ports"]
    else:
        sys.path[:0] = ["", "lib", tools]
    plug_in(board_port, other_port, chip)
    for name in ("boot.py", program):
        if name != "-":
            run(name)


def plug_in(board_port, other_port, name):
    """Wire the model of the chip, and replace `machine`."""
    from board import standin, wiring
    try:
        from spinet.ports.datagram import Datagram
    except ImportError:
        from datagram import Datagram

    cable = Datagram(local=("127.0.0.1", board_port), remote=("127.0.0.1", other_port))
    wiring.plug_in(cable, name)
    sys.modules["machine"] = standin


def run(path):
    """Run a file as the board's main program, if there is one."""
    try:
        with open(path) as file:
            source = file.read()
    except OSError:
        return
    exec(compile(source, path, "exec"), globals())


start(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], (sys.argv + ["main.py"])[5])
