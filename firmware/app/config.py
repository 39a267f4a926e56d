"""Settings: defaults for a Pico with a W5500, wired as the W5500-EVB-Pico; netcfg.json over them.

`chip` may also be "enc28j60", on the same pins; the SPI clock is lowered to what it can take.

A missing file means defaults; a broken one, or a key of the wrong kind, is
reported in words and the defaults stand, so that a board always comes up.
"""
import json

from spinet import addr, lan

FILE = "netcfg.json"

DEFAULTS = {
    "hostname": "spinet",
    "chip": "w5500",                # or enc28j60
    "spi": {"id": 0, "baudrate": 33000000, "sck": 18, "mosi": 19, "miso": 16},
    "pins": {"cs": 17, "reset": 20, "irq": 21},
    "mac": "",                      # empty: made from the chip's unique id
    "address": "dhcp",              # or "192.168.1.177/24"
    "gateway": "",                  # only with an address
    "services": {"http": 80, "echo": 7, "discard": 9, "source": 19},
}


def load(path=FILE):
    """The settings as a dict with every key of DEFAULTS."""
    try:
        with open(path) as file:
            found = json.load(file)
    except OSError:
        print("%s: none, using defaults" % path)
        found = {}
    except ValueError as error:
        print("%s: not valid JSON (%s), using defaults" % (path, error))
        found = {}
    settings = overlay(DEFAULTS, found, path)
    for key, check in _CHECKS.items():
        try:
            if settings[key]:
                check(settings[key])
        except ValueError as error:
            print("%s: %r: %s, using %r" % (path, key, error, DEFAULTS[key]))
            settings[key] = DEFAULTS[key]
    return settings


def overlay(defaults, found, where):
    """`defaults` with the values of `found`; what does not fit is reported and left out.

    `services` may name any subset: only those named run.
    """
    if not isinstance(found, dict):
        print("%s: expected an object, using defaults" % where)
        found = {}
    settings = {}
    for key in defaults:
        default = defaults[key]
        value = found.get(key, default)
        if not isinstance(value, type(default)) or isinstance(value, bool):
            print("%s: %r should be %s, using %r" % (where, key, _KIND[type(default)], default))
            value = default
        elif isinstance(default, dict) and key != "services":
            value = overlay(default, value, where + " " + key)
        settings[key] = value
    for key in found:
        if key not in defaults:
            print("%s: unknown setting %r ignored" % (where, key))
    return settings


def _check_address(text):
    if text != "dhcp":
        addr.parse_cidr(text)


def _check_chip(name):
    if name not in ("w5500", "enc28j60"):
        raise ValueError("not a chip with a driver")


_CHECKS = {
    "chip": _check_chip, "address": _check_address, "gateway": addr.parse, "mac": addr.mac,
    "hostname": lan.hostname,
}
_KIND = {dict: "an object", str: "a text", int: "a whole number"}
