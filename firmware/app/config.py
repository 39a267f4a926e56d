"""Settings: defaults for a Pico with a W5500, wired as the W5500-EVB-Pico; netcfg.json over them.

Between the two comes a board's profile, `boards/NAME.json`, if `board` names one.  A pin is a
number, or a name where the board has names; -1 or "" means that nothing is connected.

A missing file means defaults; a broken one its last good copy (see store.py); a key of the wrong
kind is reported in words and its default stands, so that a board always comes up.
"""
from app import log, store
from app.files import opened
from spinet import addr, lan

FILE = "netcfg.json"
BOARDS = "boards/"

DEFAULTS = {
    "board": "",                    # a profile: "pico-w5500" ...
    "hostname": "spinet",
    "chip": "w5500",                # or enc28j60
    "spi": {"id": 0, "baudrate": 33000000, "sck": 18, "mosi": 19, "miso": 16},
    "pins": {"cs": 17, "reset": 20, "irq": 21},
    "mac": "",                      # empty: made from the chip's unique id
    "address": "dhcp",              # or "192.168.1.177/24"
    "gateway": "",                  # only with an address
    "dns": [],                      # servers of names; none: those that DHCP gives
    "ntp": [],                      # servers of time, addresses or names; none: no clock is set
    "services": {"http": 80, "echo": 7, "discard": 9, "source": 19},
    "console": {"on": "stdio", "uart": 0, "baudrate": 115200, "tx": 0, "rx": 1},
    "password": "",                 # of the console, as `hashed` makes it
    "watchdog_ms": 0,               # 0: none
    "safe_pin": -1,                 # held low at the start: safe mode
}

# Replaced by the names of others, not filled up with defaults.
_OPEN = ("services",)
_PINS = ("sck", "mosi", "miso", "cs", "reset", "irq", "tx", "rx", "safe_pin")


def load(path=FILE):
    """The settings as a dict with every key of DEFAULTS."""
    found, complaints = store.load(path)
    for complaint in complaints:
        log.say(complaint)
    return complete(found or {}, path)


def load_old(path=FILE):
    """The settings of the last good copy.  OSError if there is none."""
    found, complaint = store.read(path + store.OLD)
    if found is None:
        raise OSError("%s: %s" % (path + store.OLD, complaint))
    return complete(found, path + store.OLD)


def complete(found, path=FILE):
    """All settings: `found` over its profile over DEFAULTS; what does not fit is reported."""
    profile = found.get("board")
    base = DEFAULTS
    if isinstance(profile, str) and profile:
        try:
            base = overlay(DEFAULTS, read_profile(profile), BOARDS + profile)
        except ValueError as error:
            log.say("%s: 'board': %s" % (path, error))
    settings = overlay(base, found, path)
    for key in _CHECKS:
        try:
            check(key, settings[key])
        except ValueError as error:
            log.say("%s: %r: %s, using %r" % (path, key, error, base[key]))
            settings[key] = base[key]
    return settings


def read_profile(name):
    """The settings of a board's profile, without its description.  ValueError if there is none."""
    if "/" in name or "." in name:
        raise ValueError("%s: not the name of a profile" % addr.quote(name))
    profile, complaint = store.read(BOARDS + name + ".json", opened)
    if profile is None:
        raise ValueError("no profile %s.json in %s (%s)" % (addr.quote(name), BOARDS, complaint))
    profile.pop("about", None)
    profile["board"] = name
    return profile


def save(settings, path=FILE):
    """Write what differs from the defaults and the profile.  OSError if that failed."""
    base = DEFAULTS
    if settings["board"]:
        try:
            base = overlay(DEFAULTS, read_profile(settings["board"]), BOARDS)
        except ValueError:
            pass
    store.save(path, difference(base, settings))


def difference(base, settings):
    """What of `settings` is not as in `base`, and always the name of the board."""
    changed = {}
    for key in DEFAULTS:
        value = settings[key]
        if key == "board" or value != base[key]:
            if isinstance(value, dict) and key not in _OPEN:
                value = {k: value[k] for k in value if value[k] != base[key][k]}
            changed[key] = value
    if not changed["board"]:
        del changed["board"]
    return changed


def overlay(defaults, found, where):
    """`defaults` with the values of `found`; what does not fit is reported and left out.

    `services` may name any subset: only those named run.
    """
    if not isinstance(found, dict):
        log.say("%s: expected an object, using defaults" % where)
        found = {}
    settings = {}
    for key in defaults:
        default = defaults[key]
        value = found.get(key, default)
        if not fits(key, value, default):
            log.say("%s: %r should be %s, using %r" % (where, key, _KIND[type(default)], default))
            value = default
        elif isinstance(default, dict) and key not in _OPEN:
            value = overlay(default, value, where + " " + key)
        settings[key] = value.copy() if isinstance(value, (dict, list)) else value
    for key in found:
        if key not in defaults:
            log.say("%s: unknown setting %r ignored" % (where, key))
    return settings


def fits(key, value, default):
    """Whether `value` is of the kind that `key` has."""
    if key in _PINS and isinstance(value, (int, str)) and not isinstance(value, bool):
        return True
    return isinstance(value, type(default)) and not isinstance(value, bool)


def check(key, value):
    """ValueError, in words, if the setting `key` of the first level cannot be `value`."""
    if value and key in _CHECKS:
        _CHECKS[key](value)


def connected(pin):
    """Whether a pin's setting names a pin."""
    return pin != "" and pin != -1


# -- one setting by its name in dots, as a person types it -------------------

def keys():
    """The names of all settings: "hostname", "spi.id", "services.http" ..."""
    for key in sorted(DEFAULTS):
        default = DEFAULTS[key]
        if isinstance(default, dict):
            for name in sorted(default):
                yield key + "." + name
        else:
            yield key


def get(settings, name):
    """The value of a setting.  ValueError if there is no such setting."""
    key, dot, part = name.partition(".")
    value = settings.get(key)
    if key not in DEFAULTS or dot and not isinstance(value, dict):
        raise ValueError("%s: there is no such setting" % addr.quote(name))
    if not dot:
        return value
    if key in _OPEN:
        return value.get(part, "off")
    if part not in value:
        raise ValueError("%s: there is no such setting" % addr.quote(name))
    return value[part]


def put(settings, name, text):
    """Set a setting to what `text` says.  ValueError, in words, if that cannot be."""
    get(settings, name)
    key, dot, part = name.partition(".")
    if dot:
        group = settings[key].copy()
        if key in _OPEN and text == "off":
            group.pop(part, None)
        else:
            default = DEFAULTS[key].get(part, 0)
            group[part] = value_of(part, text, default)
        check(key, group)
        settings[key] = group
        return
    if isinstance(DEFAULTS[key], dict):
        raise ValueError("%s: name one of its parts, such as %s.%s" % (
            name, name, sorted(DEFAULTS[key])[0]))
    value = hashed(text) if key == "password" else value_of(key, text, DEFAULTS[key])
    check(key, value)
    if key == "board" and value:
        profile = read_profile(value)
        base = overlay(DEFAULTS, profile, BOARDS + value)
        for part in profile:
            settings[part] = base[part]
    settings[key] = value


def value_of(key, text, default):
    """The value that `text` stands for, of the kind of `default`."""
    if isinstance(default, list):
        return text.replace(",", " ").split()
    if isinstance(default, str):
        return text
    try:
        return int(text)
    except ValueError:
        if key in _PINS:
            return text
        raise ValueError("%s is not a whole number" % addr.quote(text))


# -- the password --------------------------------------------------------------

def hashed(password, salt=None):
    """What is kept of a password: "salt$hash", "" of none."""
    import binascii
    import hashlib

    from spinet.prim import urandom

    if not password:
        return ""
    salt = salt or binascii.hexlify(urandom(8)).decode()
    digest = (salt + password).encode()
    for _ in range(500):
        digest = hashlib.sha256(digest).digest()
    return salt + "$" + binascii.hexlify(digest).decode()


def matches(password, kept):
    """Whether `password` is the one of which `kept` was kept."""
    return hashed(password, kept.partition("$")[0]) == kept


# -- what a value must be ------------------------------------------------------

def _check_address(text):
    if text != "dhcp":
        host_address(text)


def host_address(text):
    """(4 bytes, prefix length) of an address that a host on a network may have, or ValueError."""
    address, length = addr.parse_cidr(text)
    if "/" not in text:
        raise ValueError("%s: the prefix length is missing, such as %s/24" % (text, text))
    if not 1 <= length <= 31:
        raise ValueError("%s: a network's prefix length is 1 to 31" % text)
    mask = addr.mask(length)
    host = [a & ~m & 255 for a, m in zip(address, mask)]
    if address[0] in (0, 127) or address[0] >= 224:
        raise ValueError("%s: no host has such an address" % text)
    if length < 31 and not any(host):
        raise ValueError("%s: this is the address of the network itself" % text)
    if length < 31 and host == [~m & 255 for m in mask]:
        raise ValueError("%s: this is the network's broadcast address" % text)
    return address, length


def _check_chip(name):
    if name not in ("w5500", "enc28j60"):
        raise ValueError("%s: not a chip with a driver (w5500, enc28j60)" % addr.quote(name))


def _check_hostname(name):
    before = lan.hostname()
    lan.hostname(name)
    lan.hostname(before)


def _check_dns(servers):
    if len(servers) > 3:
        raise ValueError("at most three servers are asked")
    for server in servers:
        addr.parse(server)


def _check_ntp(servers):
    for server in servers:
        if not isinstance(server, str) or not server:
            raise ValueError("a server is an address or a name")


def _check_console(console):
    if console["on"] not in ("stdio", "uart", "off"):
        raise ValueError("on is stdio, uart or off")


def _check_watchdog(ms):
    if not 1000 <= ms <= 8388:
        raise ValueError("a watchdog's time is 1000 to 8388 ms, 0 for none")


_CHECKS = {
    "chip": _check_chip, "address": _check_address, "gateway": addr.parse, "mac": addr.mac,
    "hostname": _check_hostname, "dns": _check_dns, "ntp": _check_ntp,
    "console": _check_console, "watchdog_ms": _check_watchdog,
}
_KIND = {dict: "an object", str: "a text", int: "a whole number", list: "a list"}


def show(value):
    """A value as a person would type it."""
    if isinstance(value, list):
        return " ".join(value) or "(none)"
    if isinstance(value, dict):
        return " ".join(["%s=%s" % (name, value[name]) for name in sorted(value)]) or "(none)"
    return str(value) if value != "" else "(none)"
