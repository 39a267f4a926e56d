"""What the board does: network, services, and the console on the serial line.

The same file runs on a board and on the virtual board.  Settings come from
`netcfg.json` beside it (see `app/config.py`).  Ctrl-C at the console leads to
the MicroPython prompt, and the network goes on; `console()` leads back.
"""
from app import board, config, log, safe, serial
from app.console import Console


def console():
    """The console, until it is left."""
    the_board.beside(False)
    stream.open(True)
    log.printer = line.log
    try:
        the_board.run()
    except KeyboardInterrupt:
        pass
    finally:
        log.printer = print
        stream.open(False)
    the_board.beside(True)
    print("\r\nThe network goes on. console() leads back.\r")


settings = config.load()
stream = serial.stream(settings["console"])
why = safe.asked(settings, stream)
if why:
    log.say("safe mode, because %s: nothing was started" % why)
the_board = board.Board(settings, network=not why)
if stream is None:
    try:
        the_board.run()
    except KeyboardInterrupt:
        the_board.beside(True)
else:
    line = the_board.console = Console(the_board, stream)
    console()
