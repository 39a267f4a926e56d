"""Settings: defaults for a Pico with a W5500, wired as the W5500-EVB-Pico; netcfg.json over them.

Between the two comes a board's profile, `boards/NAME.json`, if `board` names one.  A pin is a
number, or a name where the board has names; -1 or "" means that nothing is connected.

A missing file means defaults; a broken one its last good copy (see store.py); a key of the wrong
kind is reported in words and its default stands, so that a board always comes up.
"""
from app import log, store
from app.files import FILES, opened
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

# Those that are named hold, without the others' defaults.
_OPEN = ("services",)
_PINS = ("sck", "mosi", "miso", "cs", "reset", "irq", "tx", "rx", "safe_pin")
_CHIPS = ("w5500", "enc28j60")
_PLACES = ("stdio", "uart", "off")
_MAY_BE_NONE = ("mac", "gateway", "dns", "ntp", "watchdog_ms")


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
        raise OSError("no last good copy: %s: %s" % (path + store.OLD, complaint))
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
    if settings["address"] != "dhcp":
        try:
            check_gateway(settings["gateway"], settings["address"])
        except ValueError as error:
            log.say("%s: 'gateway': %s, using ''" % (path, error))
            settings["gateway"] = ""
    if settings["password"] and not _is_hash(settings["password"]):
        settings["password"] = hashed(settings["password"])     # someone wrote it by hand
    return settings


def read_profile(name):
    """The settings of a board's profile, without its description.  ValueError if there is none."""
    if "/" in name or "." in name:
        raise ValueError("%s: not the name of a profile" % addr.quote(name))
    profile, complaint = store.read(BOARDS + name + ".json", opened)
    if profile is None:
        raise ValueError("%s: %s" % (addr.quote(name), "there is no such profile, but %s" % (
            ", ".join(profiles()) or "none") if complaint == "none" else complaint))
    profile.pop("about", None)
    profile["board"] = name
    return profile


def profiles():
    """The names of the profiles that there are."""
    import os

    try:
        names = os.listdir(BOARDS)
    except OSError:
        names = []
    names = names + [path[len(BOARDS):] for path in FILES if path.startswith(BOARDS)]
    return sorted(set([name[:-5] for name in names if name.endswith(".json")]))


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


def overlay(base, found, where, group=""):
    """`base` with the values of `found`; what does not fit is reported and left out."""
    settings = {}
    for key in base:
        name = group + key
        value = found.get(key, base[key])
        try:
            check(name, value)
        except ValueError as error:
            instead = "defaults" if isinstance(base[key], dict) else repr(base[key])
            log.say("%s: %r: %s, using %s" % (where, name, error, instead))
            value = base[key]
        if isinstance(value, dict):
            below = base[key]
            if key in _OPEN:
                below = {part: DEFAULTS[key][part] for part in DEFAULTS[key] if part in value}
            value = overlay(below, value, where, key + ".")
        settings[key] = value.copy() if isinstance(value, list) else value
    for key in found:
        if key not in base:
            log.say("%s: unknown setting %r ignored" % (where, group + key))
    return settings


def check(name, value):
    """ValueError, in words, if the setting `name` cannot be `value`."""
    group, dot, part = name.partition(".")
    default = DEFAULTS[group][part] if dot else DEFAULTS[group]
    kind = (int, str) if (part or group) in _PINS else type(default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError("not " + _KIND[kind])
    rule = _RULES.get(name) or _RULES.get(group + dot)
    if rule is None or not value and name in _MAY_BE_NONE:
        return
    if not isinstance(rule, tuple):
        rule(value)
    elif not rule[0] <= value <= rule[1]:
        raise ValueError("%d is not within %d and %d" % (value, rule[0], rule[1]))


def connected(number):
    """Whether a pin's setting names a pin."""
    return number != "" and number != -1


def pin(name, number, *how, **value):
    """The `machine.Pin` of the setting `name`.  ValueError, in words, if the board has no such."""
    from machine import Pin

    try:
        return Pin(number, *how, **value)
    except (ValueError, TypeError) as error:
        raise ValueError("%s: there is no pin %s here (%s)" % (name, number, error))


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


def choices(name):
    """What the setting may be, where that can be listed."""
    if name == "board":
        return profiles()
    return list({"chip": _CHIPS, "console.on": _PLACES}.get(name, ()))


def get(settings, name):
    """The value of a setting.  ValueError if there is no such setting."""
    key, dot, part = name.partition(".")
    default = DEFAULTS.get(key)
    if default is None or dot and not (isinstance(default, dict) and part in default):
        raise ValueError("%s: there is no such setting" % addr.quote(name))
    return settings[key].get(part, "off") if dot else settings[key]


def put(settings, name, text):
    """Set a setting to what `text` says.  ValueError, in words, if that cannot be."""
    default = get(DEFAULTS, name)
    if isinstance(default, dict):
        raise ValueError("%s: name one of its parts, such as %s.%s" % (
            name, name, sorted(default)[0]))
    key, dot, part = name.partition(".")
    group = settings[key].copy() if dot else settings
    if key in _OPEN and text == "off":
        group.pop(part, None)
    else:
        value = hashed(text) if key == "password" else value_of(part or key, text, default)
        check(name, value)
        if (part or key) in _PINS and connected(value):
            try:
                pin(name, value)
            except ImportError:
                pass                # this is no board
        if key == "board" and value:
            profile = read_profile(value)
            base = overlay(DEFAULTS, profile, BOARDS + value)
            for taken in profile:
                settings[taken] = base[taken]
        group[part or key] = value
    if dot:
        settings[key] = group


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


def _is_hash(kept):
    return len(kept) == 81 and kept[16] == "$"


# -- what a value must be ------------------------------------------------------

def _check_address(text):
    if text != "dhcp":
        host_address(text)


def check_gateway(gateway, address):
    """ValueError if the gateway, "" for none, is not another host in the network of an address."""
    if not gateway:
        return
    octets = addr.parse(gateway)
    host, length = addr.parse_cidr(address)
    mask = addr.mask(length)
    if [a & m for a, m in zip(octets, mask)] != [a & m for a, m in zip(host, mask)]:
        raise ValueError("%s: the gateway is not in the network of %s" % (gateway, address))
    if octets == host:
        raise ValueError("%s: the gateway is another host, not this one" % gateway)


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
    if name not in _CHIPS:
        raise ValueError("%s: not a chip with a driver (%s)" % (
            addr.quote(name), ", ".join(_CHIPS)))


def _check_hostname(name):
    before = lan.hostname()
    lan.hostname(name)
    lan.hostname(before)


def _check_dns(servers):
    if len(servers) > 3:
        raise ValueError("at most three servers are asked")
    for server in servers:
        addr.parse(server)


def _check_mac(text):
    octets = addr.mac(text)
    if octets[0] & 1 or not any(octets):
        raise ValueError("%s: no single host has such an address" % text)


def _check_ntp(servers):
    for server in servers:
        check_host(server)


def check_host(text):
    """ValueError if it is neither an address nor, as far as can be seen, a name."""
    if not isinstance(text, str) or not text:
        raise ValueError("a server is an address or a name")
    if not [letter for letter in text if letter not in "0123456789.:/"]:
        addr.parse(text)
    elif " " in text or ".." in text or text[0] == ".":
        raise ValueError("%s: not a name" % addr.quote(text))


def _check_console(on):
    if on not in _PLACES:
        raise ValueError("%s: not one of %s" % (addr.quote(on), ", ".join(_PLACES)))


_RULES = {
    "chip": _check_chip, "address": _check_address, "gateway": addr.parse, "mac": _check_mac,
    "hostname": _check_hostname, "dns": _check_dns, "ntp": _check_ntp, "console.on": _check_console,
    # A number, from, to: of Hz, bit/s, ms, and of any service's port.
    "spi.baudrate": (100000, 100000000), "console.baudrate": (300, 4000000),
    "watchdog_ms": (1000, 8388), "services.": (1, 65535),
}
_KIND = {dict: "an object", str: "a text", int: "a whole number", list: "a list",
         (int, str): "the number or name of a pin"}


def show(value):
    """A value as a person would type it."""
    if isinstance(value, list):
        return " ".join(value) or "(none)"
    if isinstance(value, dict):
        return " ".join(["%s=%s" % (name, value[name]) for name in sorted(value)]) or "(none)"
    return str(value) if value != "" else "(none)"
