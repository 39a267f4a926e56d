"""What the board does: bring the network up, serve the status page, echo, and speed tests.

The same file runs on a board and on the virtual board.  Settings come from
`netcfg.json` beside it (see `app/config.py`); every service is off or on there.
Ctrl-C stops it and leaves the prompt.
"""
from app import board, config


def main():
    """Run the board; returns on Ctrl-C only."""
    settings = config.load()
    nic = board.bring_up(settings)
    try:
        board.serve(nic, board.services(nic, settings))
    except KeyboardInterrupt:
        print("stopped")
    finally:
        nic.active(False)


main()
