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
    if name == "board" and text:
        known = sorted(path.stem for path in BOARDS.glob("*.json"))
        if text not in known:
            raise ValueError("%s: there is no such profile, but %s" % (text, ", ".join(known)))
    settings = {key: value.copy() if isinstance(value, (dict, list)) else value
                for key, value in config.DEFAULTS.items()}
    if text or name not in ("board", "gateway", "mac", "password", "dns", "ntp"):
        config.put(settings, name, text)
    else:
        config.get(settings, name)


def check_gateway(address, gateway):
    """ValueError if a static address has no gateway in its network; "" is none."""
    if not gateway:
        return
    if address == "dhcp":
        raise ValueError("%s: a gateway comes by DHCP" % gateway)
    rules()
    from spinet import addr

    host, length = addr.parse_cidr(address)
    mask = addr.mask(length)
    if [a & m for a, m in zip(host, mask)] != [
            a & m for a, m in zip(addr.parse(gateway), mask)]:
        raise ValueError("%s: the gateway is not in the network of %s" % (gateway, address))
