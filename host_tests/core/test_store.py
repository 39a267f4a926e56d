"""Settings that outlive the power failing while they are written: firmware/app/store.py, config.py.

The flash here is in memory and loses its power before any byte or step that a test names; a rename
onto a file that exists takes two steps, as on FAT.  A lazy one also has nothing yet of what was
written to a file since it was last synchronised, though names change at once: the worst that a
file system with a cache may do.
"""
import errno

from app import config, log, files, store

PATH = "netcfg.json"
ENOSPC = 28         # errno has it not on every runtime
EROFS = 30


class PowerCut(Exception):
    """The board is dark."""


class Flash:
    """Stands in for the module `os` and for `open`.  `left`: steps until the power fails, or -1;
    `room`: bytes that fit, or -1."""

    def __init__(self, files, lazy=False, room=-1):
        self.files = dict(files)
        self.lazy = lazy
        self.room = room
        self.left = -1
        self.steps = 0
        self.cached = {}        # what is not yet on the medium, by the names of files

    def step(self):
        if not self.left:
            raise PowerCut()
        self.left -= 1
        self.steps += 1

    def dark(self):
        """After a power failure: what was only in the cache is gone, and power is back."""
        if self.lazy:
            for name in self.cached:
                if name in self.files:
                    self.files[name] = self.cached[name]
        self.cached = {}
        self.left = -1

    def open(self, name, mode="r"):
        if mode == "w":
            self.step()
            self.cached[name] = self.files[name] = ""
        elif name not in self.files:
            raise OSError(errno.ENOENT)
        return File(self, name)

    def stat(self, name):
        if name not in self.files:
            raise OSError(errno.ENOENT)

    def remove(self, name):
        self.step()
        self.cached.pop(name, None)
        if self.files.pop(name, None) is None:
            raise OSError(errno.ENOENT)

    def rename(self, old, new):
        if new in self.files:
            self.step()
            del self.files[new]
        self.step()
        self.files[new] = self.files.pop(old)
        if old in self.cached:
            self.cached[new] = self.cached.pop(old)

    def sync(self):
        self.step()
        self.cached = {}


class File:
    def __init__(self, flash, name):
        self.flash = flash
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, data):
        for c in data:
            self.flash.step()
            if not self.flash.room:
                raise OSError(ENOSPC)
            self.flash.room -= 1
            self.flash.files[self.name] += c

    def flush(self):
        pass

    def read(self):
        return self.flash.files[self.name]


def on(flash):
    """Have store.py and files.py use `flash`."""
    store.os = flash
    store.open = files.open = flash.open


A = {"hostname": "first", "services": {"http": 80}}
B = {"hostname": "second", "address": "10.0.0.2/24", "services": {}}


def cuts(files, value):
    """For each moment: the files after a power failure there in a save of `value`, or in an `erase`
    if it is None; of flash that is not lazy, then of one that is."""
    for lazy in (False, True):
        whole = Flash(files, lazy)
        on(whole)
        do(value)
        assert whole.cached == {}, "all is on the medium at the end"
        assert store.read(PATH)[0] == value
        for n in range(whole.steps):
            flash = Flash(files, lazy)
            flash.left = n
            on(flash)
            try:
                do(value)
                assert False, "step %d was never reached" % n
            except PowerCut:
                flash.dark()
                yield n, flash


def do(value):
    if value is None:
        store.erase(PATH)
    else:
        store.save(PATH, value)


def test_a_power_failure_at_any_byte_of_a_save_leaves_the_old_or_the_new_settings():
    n = 0
    for n, _flash in cuts({PATH: store.text(A)}, B):
        value, complaints = store.load(PATH)
        assert value in (A, B), (n, value)
        assert complaints == [], (n, complaints)
    assert n > len(store.text(B)), "the write was cut at every byte, and the renames"


def test_the_same_with_older_copies_there_and_a_broken_new_one():
    old = {"hostname": "old"}
    files = {PATH: store.text(A), PATH + ".old": store.text(old), PATH + ".new": "{"}
    for n, _flash in cuts(files, B):
        assert store.load(PATH)[0] in (A, B), n


def test_a_second_failure_while_saving_again_loses_nothing_either():
    for n, first in cuts({PATH: store.text(A)}, B):
        before = Flash(first.files)
        on(before)
        had = store.load(PATH)[0]
        for m, _second in cuts(first.files, {"hostname": "third"}):
            found = store.load(PATH)[0]
            assert found in (had, {"hostname": "third"}), (n, m, found)


def test_a_first_save_that_is_cut_leaves_none_or_the_new_settings():
    for n, _flash in cuts({}, A):
        assert store.load(PATH)[0] in (None, A), n


def test_a_broken_file_gives_the_last_good_copy_and_says_so():
    flash = Flash({PATH: store.text(B)[:-9], PATH + ".old": store.text(A)})
    on(flash)
    value, complaints = store.load(PATH)
    assert value == A
    assert "not valid JSON" in complaints[0] and "last good copy" in complaints[0]


def test_saving_over_a_broken_file_keeps_the_last_good_copy():
    for n, _flash in cuts({PATH: "{", PATH + ".old": store.text(A)}, B):
        assert store.load(PATH)[0] in (A, B), n
    flash = Flash({PATH: "{", PATH + ".old": store.text(A)})
    on(flash)
    store.save(PATH, B)
    assert store.read(PATH + ".old")[0] == A


def test_the_copy_is_what_was_saved_before():
    flash = Flash({})
    on(flash)
    store.save(PATH, A)
    store.save(PATH, B)
    assert store.load(PATH) == (B, [])
    assert store.read(PATH + ".old")[0] == A


def test_flash_that_reads_back_something_else_is_not_trusted():
    flash = Flash({})
    on(flash)
    store.save(PATH, A)
    write = File.write

    def bad(self, data):
        write(self, data)
        flash.files[self.name] = flash.files[self.name].replace("second", "secund")

    File.write = bad
    try:
        for had in (A, None):       # the second time it would be the first file of all
            try:
                store.save(PATH, B)
                assert False, "it was trusted"
            except OSError:
                pass
            assert store.load(PATH)[0] == had
            store.erase(PATH)
    finally:
        File.write = write


def test_a_power_failure_while_the_last_good_copy_is_taken_loses_nothing():
    """Loading changes the flash where a save was cut between its renames."""
    files = {PATH + ".old": store.text(A), PATH + ".new": store.text(B)}
    for lazy in (False, True):
        for n in range(2):
            flash = Flash(files, lazy)
            flash.left = n
            on(flash)
            try:
                store.load(PATH)
                assert False, "step %d was never reached" % n
            except PowerCut:
                flash.dark()
            assert store.load(PATH) == (B, []), n


def test_a_power_failure_in_a_factory_reset_leaves_the_settings_or_none_never_older_ones():
    files = {PATH: store.text(B), PATH + ".old": store.text(A), PATH + ".new": store.text(A)}
    found = [store.load(PATH)[0] for _ in cuts(files, None)]
    assert len(found) == 8 and B in found and None in found and A not in found


def test_flash_without_room_keeps_what_it_has_and_no_rubbish():
    for room in range(len(store.text(B))):
        flash = Flash({PATH: store.text(A), PATH + ".old": store.text(A)}, room=room)
        before = dict(flash.files)
        on(flash)
        try:
            store.save(PATH, B)
            assert False, "it did not fit"
        except OSError as error:
            assert error.args[0] == ENOSPC
        assert flash.files == before, room


def test_flash_that_cannot_be_written_can_be_read():
    flash = Flash({PATH + ".old": store.text(A), PATH + ".new": store.text(B)})

    def rename(old, new):
        raise OSError(EROFS)

    flash.rename = rename
    on(flash)
    value, complaints = store.load(PATH)
    assert value == A and "last good copy" in complaints[0]


def test_erase_leaves_nothing():
    flash = Flash({PATH: store.text(A), PATH + ".old": store.text(A), PATH + ".new": "x"})
    on(flash)
    store.erase(PATH)
    assert flash.files == {} and store.load(PATH)[0] is None


# -- config.py -----------------------------------------------------------------

def quietly(function, *args):
    """(result, lines that were said)."""
    del log.lines[:]
    printer = log.printer
    log.printer = lambda text: None
    try:
        return function(*args), [text for _, text in log.lines]
    finally:
        log.printer = printer


def load(text):
    on(Flash({PATH: text} if text is not None else {}))
    return quietly(config.load)


def test_no_file_gives_defaults_and_says_so():
    settings, said = load(None)
    assert settings == config.DEFAULTS
    assert said == ["netcfg.json: none, using defaults"]


def test_each_fault_is_said_and_only_its_default_stands():
    for text, complaint in (
        ('{"hostname": 5, "ntp": ["a.b"]}', "'hostname': not a text"),
        ('{"address": "10.0.0.0/24", "ntp": ["a.b"]}', "the address of the network itself"),
        ('{"address": "10.0.0.255/24", "ntp": ["a.b"]}', "broadcast"),
        ('{"address": "10.0.0.1", "ntp": ["a.b"]}', "prefix length is missing"),
        ('{"spi": {"id": "x"}, "ntp": ["a.b"]}', "'spi.id': not a whole number"),
        ('{"dns": ["10.0.0.300"], "ntp": ["a.b"]}', "octet 300 is over 255"),
        ('{"watchdog_ms": 5, "ntp": ["a.b"]}', "not within 1000 and 8388"),
        ('{"colour": 1, "ntp": ["a.b"]}', "unknown setting 'colour' ignored"),
        ('{"board": "nothing", "ntp": ["a.b"]}', "nothing: there is no such profile, but "),
        ('{"console": {"on": "yes"}, "ntp": ["a.b"]}', "yes: not one of stdio, uart, off"),
        ('{"chip": "", "ntp": ["a.b"]}', "not a chip with a driver (w5500, enc28j60)"),
        ('{"chip": "rtl8139", "ntp": ["a.b"]}', "rtl8139: not a chip with a driver"),
        ('{"hostname": "", "ntp": ["a.b"]}', "1 to 32 characters"),
        ('{"address": "", "ntp": ["a.b"]}', "four numbers with dots"),
        ('{"mac": "01:00:00:00:00:01", "ntp": ["a.b"]}', "no single host has such an address"),
        ('{"spi": {"baudrate": 0}, "ntp": ["a.b"]}', "'spi.baudrate': 0 is not within"),
        ('{"pins": {"cs": [1]}, "ntp": ["a.b"]}', "'pins.cs': not the number or name of a pin"),
        ('{"spi": 5, "ntp": ["a.b"]}', "'spi': not an object, using defaults"),
    ):
        settings, said = load(text)
        assert len(said) == 1 and complaint in said[0], said
        assert settings["ntp"] == ["a.b"], "the rest holds"
        for key in config.DEFAULTS:
            if key not in ("ntp", "board"):
                assert settings[key] == config.DEFAULTS[key], key


def test_services_are_looked_at_one_by_one():
    settings, said = load('{"services": {"http": 70000, "echo": 8007, "gopher": 70}}')
    assert settings["services"] == {"http": 80, "echo": 8007}
    assert sorted(said) == [
        "netcfg.json: 'services.http': 70000 is not within 1 and 65535, using 80",
        "netcfg.json: unknown setting 'services.gopher' ignored"]


def test_a_gateway_outside_the_network_is_no_gateway():
    for gateway, complaint in (("10.0.9.1", "not in the network"), ("10.0.2.15", "another host")):
        settings, said = load('{"address": "10.0.2.15/24", "gateway": "%s"}' % gateway)
        assert settings["address"] == "10.0.2.15/24" and settings["gateway"] == ""
        assert len(said) == 1 and complaint in said[0]


def test_no_setting_of_any_kind_keeps_a_board_from_its_settings():
    """Each setting, each of many values: what comes out is as it must be; what is not is said."""
    values = (None, True, 0, -1, 1.5, 1 << 70, "", "x y", "\u00e9" * 50, [], [5], {}, {"x": 1})
    names = list(config.keys()) + ["spi", "pins", "services", "console", "x"]
    for name in names:
        group, dot, part = name.partition(".")
        for value in values:
            found = {group: {part: value} if dot else value}
            settings, said = quietly(config.complete, found)
            for key in config.keys():
                if config.get(settings, key) != "off":
                    config.check(key, config.get(settings, key))
            try:
                config.check(name, value)
            except (KeyError, ValueError):
                assert len(said) == 1 and repr(name) in said[0], (name, value, said)
            assert sorted(settings) == sorted(config.DEFAULTS)


def test_a_bad_profile_has_no_say_either():
    on(Flash({PATH: '{"board": "mine"}',
              "boards/mine.json": '{"chip": "rtl8139", "spi": {"baudrate": 0}, "mac": "x"}'}))
    settings, said = quietly(config.load)
    assert len(said) == 3
    assert settings == dict(config.DEFAULTS, board="mine")


def test_a_password_written_by_hand_is_hashed():
    settings, said = load('{"password": "tulip"}')
    assert said == [] and "tulip" not in settings["password"]
    assert config.matches("tulip", settings["password"])
    again, _ = quietly(config.complete, {"password": settings["password"]})
    assert again["password"] == settings["password"]


def test_a_profile_stands_between_defaults_and_settings():
    on(Flash({PATH: '{"board": "mine", "pins": {"irq": -1}}',
              "boards/mine.json": '{"about": "x", "chip": "enc28j60", "pins": {"cs": "D4"}}'}))
    settings, said = quietly(config.load)
    assert said == []
    assert settings["chip"] == "enc28j60"
    assert settings["pins"] == {"cs": "D4", "reset": 20, "irq": -1}
    config.put(settings, "hostname", "desk")
    config.save(settings)
    assert store.read(PATH)[0] == {"board": "mine", "hostname": "desk", "pins": {"irq": -1}}


def test_naming_a_profile_takes_its_wiring():
    on(Flash({PATH: "{}", "boards/mine.json": '{"chip": "enc28j60", "pins": {"cs": 9}}'}))
    settings, _ = quietly(config.load)
    config.put(settings, "board", "mine")
    assert settings["chip"] == "enc28j60" and settings["pins"]["cs"] == 9
    config.save(settings)
    assert store.read(PATH)[0] == {"board": "mine"}
    try:
        config.put(settings, "board", "yours")
        assert False, "there is none"
    except ValueError as error:
        assert "yours: there is no such profile, but " in str(error)


def test_settings_by_name():
    settings, _ = load(None)
    config.put(settings, "services.http", "8080")
    config.put(settings, "services.echo", "off")
    config.put(settings, "pins.cs", "D5")
    config.put(settings, "dns", "10.0.0.1, 10.0.0.2")
    assert settings["services"] == {"http": 8080, "discard": 9, "source": 19}
    assert config.get(settings, "pins.cs") == "D5"
    assert settings["dns"] == ["10.0.0.1", "10.0.0.2"]
    assert config.DEFAULTS["services"]["http"] == 80, "defaults stay"
    for name, text, complaint in (
        ("nothing", "1", "no such setting"), ("spi.nothing", "1", "no such setting"),
        ("spi.baudrate", "fast", "not a whole number"), ("address", "10.0.0.300/24", "octet 300"),
        ("spi", "1", "name one of its parts"), ("chip", "rtl8139", "not a chip with a driver"),
    ):
        try:
            config.put(settings, name, text)
            assert False, name
        except ValueError as error:
            assert complaint in str(error), error


def test_a_password_is_kept_as_its_hash():
    settings, _ = load(None)
    config.put(settings, "password", "tulip")
    kept = settings["password"]
    assert "tulip" not in kept
    assert config.matches("tulip", kept) and not config.matches("Tulip", kept)
    config.put(settings, "password", "")
    assert settings["password"] == ""
