"""Safe mode: at the start, before anything else, was it asked for that nothing shall start?

By a pin that is held low (`safe_pin` in the settings), or by Ctrl-C within half a second.
"""
import time

from app import config, log

WINDOW_MS = 500


def asked(settings, stream):
    """Why safe mode was asked for, in words, or None.  `stream` is where a person types."""
    number = settings["safe_pin"]
    if config.connected(number):
        from machine import Pin

        try:
            if not config.pin("safe_pin", number, Pin.IN, Pin.PULL_UP)():
                return "the pin %s is held low" % number
        except ValueError as error:
            log.say(str(error))
    try:
        for _ in range(WINDOW_MS // 10):
            if stream is not None and b"\x03" in (stream.read() or b""):
                return "Ctrl-C at the start"
            time.sleep(0.01)
    except KeyboardInterrupt:
        return "Ctrl-C at the start"
    return None
