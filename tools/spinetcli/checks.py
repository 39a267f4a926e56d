"""The board's own rules for settings, on the host: what it would refuse is refused at once."""
import sys

from spinetcli.deploy import _STACK, FIRMWARE


BOARDS = FIRMWARE / "boards"


def rules():
    """The module `app.config` of the firmware."""
    for folder in (FIRMWARE, _STACK.parent):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    from app import config

    config.BOARDS = str(BOARDS) + "/"
    return config


def check(name, text):
    """ValueError, in the board's words, if the setting `name` cannot be `text`."""
    config = rules()
    settings = {key: value.copy() if isinstance(value, (dict, list)) else value
                for key, value in config.DEFAULTS.items()}
    config.put(settings, name, text)


def check_gateway(address, gateway):
    """ValueError if a static address has no gateway in its network; "" is none."""
    if gateway and address == "dhcp":
        raise ValueError("%s: a gateway comes by DHCP" % gateway)
    rules().check_gateway(gateway, address)
