"""`spinet configure`: settings into a board, and the proof that they work."""
import json
import time

from spinetcli import checks
from spinetcli.link import Board, Refused, choose, ports

_UP_S = 25


def profiles():
    """{name: what it is} of all board profiles."""
    return {path.stem: json.loads(path.read_text())["about"]
            for path in sorted(checks.BOARDS.glob("*.json"))}


def configure(options, out):
    """Ask, or take what the command line says; set, save, restart, and look whether it works."""
    wanted = dict(pair(text) for text in options.settings)
    port = choose(options.port) if wanted else choose_by_asking(options.port, out)
    if not wanted:
        with Board(port, options.password) as board:
            now = {row["setting"]: row["value"] for row in board.ask("get")}
        wanted = questions(now, out)
    out.result = apply(port, options.password, wanted, out)
    return 0 if out.result["works"] else 1


def choose_by_asking(port, out):
    """The port to use: asks where several boards are here."""
    from rich.prompt import Prompt

    likely = [found for found in ports() if found["likely"]]
    if port or len(likely) < 2:
        port = choose(port)
        out.say("the board on %s" % port)
        return port
    out.table(likely, ("port", "serial", "maker", "about"))
    names = [found["port"] for found in likely]
    return Prompt.ask("Port", choices=names, show_choices=False, console=out.text,
                      default=names[0])


def pair(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("%s: a setting is NAME=VALUE, such as hostname=desk" % text)
    return name, value


def questions(now, out):
    """Ask a person; only what differs from what is set."""
    from rich.prompt import Confirm

    known = profiles()
    out.table([{"board": name, "what it is": about} for name, about in known.items()],
              ("board", "what it is"))
    answers = {
        "board": ask(out, "board", "Board", now["board"] or "w5500-evb-pico"),
        "hostname": ask(out, "hostname", "Name", now["hostname"]),
    }
    if Confirm.ask("Address by DHCP", console=out.text, default=now["address"] == "dhcp"):
        answers["address"] = "dhcp"
        answers["gateway"] = ""
    else:
        had = now["address"] != "dhcp"
        address = answers["address"] = ask(
            out, "address", "Address, such as 192.168.1.20/24", now["address"] if had else None)
        answers["gateway"] = ask(
            out, "gateway", "Gateway, - for none", now["gateway"] if had else None,
            lambda text: checks.check_gateway(address, text))
        answers["dns"] = ask(out, "dns", "Name servers, - for none", answers["gateway"] or "-")
    return {name: value for name, value in answers.items() if value != now.get(name)}


def ask(out, name, text, default, more=None):
    """What a setting is to be; asked again, with the reason, while it cannot be that."""
    from rich.prompt import Prompt

    while True:
        answer = Prompt.ask(text, console=out.text, default=default)
        answer = "" if answer in (None, "-") else answer.strip()
        try:
            if not answer and name in ("board", "hostname", "address"):
                raise ValueError("something must be said here")
            if name == "address" and answer == "dhcp":
                raise ValueError("an address such as 192.168.1.20/24 is wanted here")
            checks.check(name, answer)
            if more:
                more(answer)
            return answer
        except ValueError as error:
            out.say(str(error), "red")


def assign(board, name, value):
    """Set a setting.  Refused, with its name, if the board does not take the value."""
    try:
        board.ask('set %s "%s"' % (name, value))        # what is empty stands in quotes
    except Refused as error:
        why = str(error).partition("set: ")[2] or str(error)
        raise Refused(why if why.startswith(name + ": ") else "%s: %s" % (name, why)) from None


def apply(port, password, wanted, out):
    """Set and save, restart the board, wait for its address and ping the gateway.

    What is cut short, or refused, before it is saved leaves the board as it was.
    """
    with Board(port, password) as board:
        try:
            for name, value in wanted.items():
                assign(board, name, value)
            board.ask("save")
        except (Refused, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):
                board.interrupt()
                board.read_until((b"}\r\n",), 0.5)
            board.ask("load")
            raise
        board.ask("reboot")
        out.say("saved: " + (", ".join("%s=%s" % item for item in wanted.items()
                                       if item[0] != "password") or "no change"))
    time.sleep(1.5)
    if wanted.get("password"):
        password = wanted["password"]
    result = {"port": port, "settings": wanted, "works": False, "address": "", "why": ""}
    with Board(port, password) as board:
        end = time.monotonic() + _UP_S
        while True:
            try:
                net = board.ask("show interfaces")[0]
            except Refused as error:
                net = {"address": "", "link": False, "gateway": "", "mac": ""}
                result["why"] = str(error)
            if net["address"] or time.monotonic() > end:
                break
            time.sleep(0.5)
        result.update(address=net["address"], mac=net["mac"])
        if not net["address"]:
            result["why"] = result["why"] or (
                "no address: no DHCP server answers" if net["link"]
                else "no link: is the cable in?")
        elif not net["gateway"]:
            result["works"] = True
        else:
            try:
                last = board.ask("ping %s 3" % net["gateway"])[-1]
                result["works"] = True
                result["ping_ms"] = last["ms_max"]
            except Refused as error:
                result["why"] = "the gateway: %s" % error
    if result["works"]:
        out.say("works: %s%s" % (result["address"], ", the gateway answers within %d ms" %
                                 result["ping_ms"] if "ping_ms" in result else ""), "green")
    else:
        out.say("saved, but it does not work: %s" % result["why"], "red")
    return result
