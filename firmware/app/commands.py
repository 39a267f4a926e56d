"""The commands of the console: the table, and those that are done at once.

A row is (name, arguments, help, function, words that may follow).  `show.py` and `jobs.py`, with
what takes long, are imported when they are first needed.
"""
from app import board, config, log
from app.console import Wrong
from spinet import addr, lan


def network(c):
    """The network interface, or Wrong if there is none."""
    if c.board.nic is None:
        raise Wrong("no network: %s" % c.board.why)
    return c.board.nic


def at_most(words, n):
    """Wrong if more than `n` arguments were given."""
    if len(words) > n + 1:
        raise Wrong("%s is too much; see `help %s`" % (addr.quote(words[n + 1]), words[0]), n + 1)


def address_at(c, i, parse=addr.parse):
    """The address that is word `i`; Wrong says which part of it cannot be."""
    text = c.words[i]
    try:
        return parse(text)
    except ValueError as error:
        message = str(error)
        raise Wrong(message, i, fault(text, message))


def fault(text, message):
    """Where in an address that part is of which a message speaks."""
    if "prefix length" in message:
        return max(text.find("/") + 1, 0)
    at = 0
    for part in text.partition("/")[0].split("."):
        if "octet %s " % part in message or ": %s is not a decimal" % part in message:
            return at
        at += len(part) + 1
    return 0


def number_at(c, i, least, most, default):
    """The whole number that is word `i`, `default` if there is none."""
    if i >= len(c.words):
        return default
    text = c.words[i]
    try:
        n = int(text)
    except ValueError:
        raise Wrong("%s is not a whole number" % addr.quote(text), i)
    if not least <= n <= most:
        raise Wrong("%s is not within %d and %d" % (text, least, most), i)
    return n


def note_change(c, what):
    """Say that a setting is in effect, but not saved."""
    c.changed = True
    c.put("%s  (`save` keeps it)" % what, set=what)


def cmd_help(c, words):
    at_most(words, 1)
    if len(words) == 2:
        name, arguments, about, _, _ = find(words[1], 1)
        c.put("%s %s\n    %s" % (name, arguments, about.replace("; ", "\n    ")),
              command=name, arguments=arguments, help=about)
        return
    for name, arguments, about, _, _ in TABLE:
        c.put("%-14s %s" % (name, about.partition(";")[0]),
              command=name, arguments=arguments, help=about)
    if not c.json:
        c.put("Tab completes, the arrows recall; `help COMMAND` says more.")


def cmd_show(c, words):
    from app import show

    at_most(words, 1)
    if len(words) < 2:
        raise Wrong("show what? " + ", ".join(find("show")[4]))
    name = unique(words[1], find("show")[4], 1)
    show.SUBJECTS[name](c)


def cmd_ip(c, words):
    nic = network(c)
    at_most(words, 2)
    if len(words) == 1:
        from app import show

        show.interfaces(c)
        return
    settings = c.board.settings
    if words[1] == "dhcp":
        at_most(words, 1)
        settings["address"] = "dhcp"
        settings["gateway"] = ""
        board.apply_address(nic, settings)
        note_change(c, "address by DHCP")
        return
    address_at(c, 1, config.host_address)
    gateway = ""
    if len(words) == 3:
        gateway = addr.fmt(address_at(c, 2))
        try:
            config.check_gateway(gateway, words[1])
        except ValueError as error:
            raise Wrong(str(error), 2)
    settings["address"] = words[1]
    settings["gateway"] = gateway
    board.apply_address(nic, settings)
    note_change(c, "address %s%s" % (words[1], ", gateway " + gateway if gateway else ""))


def cmd_dhcp(c, words):
    from app import show

    nic = network(c)
    at_most(words, 1)
    if len(words) == 1:
        show.dhcp(c)
        return
    what = unique(words[1], ("renew", "release"), 1)
    if not nic.ipconfig("dhcp4"):
        raise Wrong("the address is a static one; `ip dhcp` changes that")
    if what == "release":
        nic.disconnect()
        c.put("the lease is given back; `dhcp renew` gets one", dhcp="released")
    else:
        nic.connect()
        c.put("asking for an address; `show dhcp` says how it stands", dhcp="asking")


def cmd_dns(c, words):
    settings = c.board.settings
    if len(words) > 1:
        nic = network(c)
        if words[1] == "auto":
            at_most(words, 1)
            servers = []
        else:
            at_most(words, 3)
            servers = [addr.fmt(address_at(c, i)) for i in range(1, len(words))]
        settings["dns"] = servers
        board.apply_dns(nic, settings)
        note_change(c, "name servers: %s" % (" ".join(servers) or "those of DHCP"))
        return
    servers = [addr.fmt(server) for server in network(c).stack.dns_servers]
    c.put("name servers: %s" % (" ".join(servers) or "none"), dns=servers)


def cmd_hostname(c, words):
    at_most(words, 1)
    if len(words) == 1:
        c.put(lan.hostname(), hostname=lan.hostname())
        return
    try:
        config.check("hostname", words[1])
    except ValueError as error:
        raise Wrong(str(error), 1)
    c.board.settings["hostname"] = words[1]
    lan.hostname(words[1])
    if c.board.nic is not None:
        c.board.nic.config(hostname=words[1])
    note_change(c, "hostname " + words[1])


def cmd_get(c, words):
    at_most(words, 1)
    settings = c.board.settings
    names = [words[1]] if len(words) == 2 else sorted(config.DEFAULTS)
    for name in names:
        try:
            value = config.get(settings, name)
        except ValueError as error:
            raise Wrong(str(error), 1)
        if name == "password":
            value = "(set)" if value else ""
        c.put("%-12s %s" % (name, config.show(value)), setting=name, value=value)


def cmd_set(c, words):
    if len(words) < 3:
        raise Wrong("a setting and its value are needed, such as `set spi.baudrate 20000000`")
    name = words[1]
    try:
        config.get(c.board.settings, name)
    except ValueError as error:
        raise Wrong(str(error), 1)
    try:
        config.put(c.board.settings, name, " ".join(words[2:]))
    except ValueError as error:
        raise Wrong(str(error), 2)
    c.changed = True
    c.put("%s is set; it is in effect after `save` and `reboot`" % name, set=name)


def cmd_save(c, words):
    at_most(words, 0)
    config.save(c.board.settings)
    c.changed = False
    c.put("saved in " + config.FILE, saved=config.FILE)


def cmd_load(c, words):
    at_most(words, 1)
    if len(words) == 2:
        unique(words[1], ("old",), 1)
        found = config.load_old()
    else:
        found = config.load()
    c.board.settings.update(found)
    c.changed = len(words) == 2
    lan.hostname(found["hostname"])
    if c.board.nic is not None:
        board.apply_address(c.board.nic, found)
    c.put("loaded; address and name are in effect, the rest after `%sreboot`" % (
        "save` and `" if c.changed else ""), loaded=True)


def cmd_reset(c, words):
    from app import store

    at_most(words, 1)
    if len(words) < 2 or words[1] != "yes":
        raise Wrong("this forgets all settings, also the password: `factory-reset yes`")
    store.erase(config.FILE)
    c.put("all settings are forgotten; restarting with defaults", reset=True)
    return restart(c)


def cmd_reboot(c, words):
    at_most(words, 1)
    if len(words) == 2:
        unique(words[1], ("now",), 1)
    elif c.changed:
        raise Wrong("there are changes that are not saved: `save`, or `reboot now`")
    c.put("restarting", reboot=True)
    return restart(c)


def restart(c):
    """Reset the board, a moment after the answer has gone."""
    from machine import reset

    c.finish()
    yield 100
    reset()


def cmd_log(c, words):
    at_most(words, 1)
    what = unique(words[1], ("clear", "on", "off"), 1) if len(words) == 2 else ""
    if what == "clear":
        del log.lines[:]
    elif what:
        c.follow = what == "on"
    else:
        from app import show

        show.log_lines(c)


def cmd_json(c, words):
    at_most(words, 1)
    c.json = (unique(words[1], ("on", "off"), 1) if len(words) == 2 else "on") == "on"


def cmd_repl(c, words):
    at_most(words, 0)
    if c.stream.pollable is None:
        raise Wrong("the MicroPython prompt is on USB, not here")
    c.leave()


def cmd_logout(c, words):
    at_most(words, 0)
    if not c.board.settings["password"]:
        raise Wrong("there is no password; `set password ...` makes one")
    c.locked = True
    c.json = False


def _job(name):
    """A function of jobs.py, imported when it is called."""
    def run(c, words):
        from app import jobs

        return getattr(jobs, name)(c, words)

    return run


TABLE = (
    ("help", "[COMMAND]", "this list, or what a command does", cmd_help, ()),
    ("show", "SUBJECT", "how things stand;"
     " interfaces, arp, routes, sockets, counters, dhcp, log, services, memory, board", cmd_show,
     ("interfaces", "arp", "routes", "sockets", "counters", "dhcp", "log", "services", "memory",
      "board")),
    ("ip", "[ADDRESS/LENGTH [GATEWAY] | dhcp]", "the address, or a new one;"
     " such as `ip 192.168.1.20/24 192.168.1.1`", cmd_ip, ("dhcp",)),
    ("dhcp", "[renew | release]", "the lease; a new one; give it back", cmd_dhcp,
     ("renew", "release")),
    ("dns", "[SERVER... | auto]", "the name servers, or others; auto: those of DHCP", cmd_dns,
     ("auto",)),
    ("hostname", "[NAME]", "the name of this board, or a new one", cmd_hostname, ()),
    ("ntp", "[SERVER]", "ask a time server, and set the clock", _job("ntp"), ()),
    ("ping", "HOST [COUNT [SIZE]]", "is a host there?; without COUNT 4 times", _job("ping"), ()),
    ("traceroute", "HOST", "by what way is a host reached?", _job("traceroute"), ()),
    ("resolve", "NAME", "the addresses of a name, or the name of an address", _job("resolve"), ()),
    ("iperf", "HOST[:PORT] [SECONDS] [udp] [reverse] | server", "how fast is it?;"
     " against iperf3 at the other end; server: serve one", _job("iperf"),
     ("server", "udp", "reverse")),
    ("capture", "[COUNT [SECONDS]]", "the frames that pass;"
     " after `json on` as pcap, see docs/console.md", _job("capture"), ()),
    ("get", "[SETTING]", "all settings, or one", cmd_get, ()),
    ("set", "SETTING VALUE", "change a setting;"
     " such as `set services.http 8080`, `set services.echo off`", cmd_set, ()),
    ("save", "", "keep the settings", cmd_save, ()),
    ("load", "[old]", "back to the settings that were saved; old: those before", cmd_load,
     ("old",)),
    ("factory-reset", "yes", "forget all settings and restart", cmd_reset, ()),
    ("reboot", "[now]", "restart; now: also with unsaved changes", cmd_reboot, ("now",)),
    ("log", "[clear | on | off]", "what the board had to say; on, off: as it happens", cmd_log,
     ("clear", "on", "off")),
    ("json", "[on | off]", "answer programs instead of people", cmd_json, ("on", "off")),
    ("repl", "", "the MicroPython prompt (also Ctrl-C); `console()` leads back", cmd_repl, ()),
    ("logout", "", "ask for the password again", cmd_logout, ()),
)


def unique(text, names, at):
    """The one of `names` that `text` is, or begins."""
    found = [name for name in names if name.startswith(text)]
    if text in names:
        return text
    if len(found) == 1:
        return found[0]
    if found:
        raise Wrong("%s may be %s" % (text, ", ".join(found)), at)
    if at:
        raise Wrong("%s: not %s%s" % (
            addr.quote(text), "one of " if len(names) > 1 else "", ", ".join(names)), at)
    raise Wrong("no such command; `help` lists them", at)


def find(word, at=0):
    """The row of a command, which may be cut short as long as it is clear."""
    names = [row[0] for row in TABLE]
    if at and word not in names and not [n for n in names if n.startswith(word)]:
        raise Wrong("%s: no such command" % addr.quote(word), at)
    return TABLE[names.index(unique(word, names, at))]


def complete(c, line):
    """What may stand in place of the last word of a line."""
    words = line.split(" ")
    if len(words) == 1:
        return [row[0] for row in TABLE]
    if words[0] == "help":
        return [row[0] for row in TABLE] if len(words) == 2 else []
    if words[0] == "set" and len(words) == 3:
        return config.choices(words[1])
    if words[0] in ("get", "set"):
        return list(config.keys()) if len(words) == 2 else []
    for row in TABLE:
        if row[0] == words[0]:
            return list(row[4])
    return []


