"""`spinet configure` and `provision`: settings into boards, and the proof that they work."""
import csv
import json
import pathlib
import time

from spinetcli.deploy import FIRMWARE
from spinetcli.link import Board, NoBoard, Refused, choose

BOARDS = FIRMWARE / "boards"
_UP_S = 25


def profiles():
    """{name: what it is} of all board profiles."""
    return {path.stem: json.loads(path.read_text())["about"]
            for path in sorted(BOARDS.glob("*.json"))}


def configure(options, out):
    """Ask, or take what the command line says; set, save, restart, and look whether it works."""
    wanted = dict(pair(text) for text in options.settings)
    port = choose(options.port)
    if not wanted:
        with Board(port, options.password) as board:
            now = {row["setting"]: row["value"] for row in board.ask("get")}
        wanted = questions(now, out)
    out.result = apply(port, options.password, wanted, out)
    return 0 if out.result["works"] else 1


def pair(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("%s: a setting is NAME=VALUE, such as hostname=desk" % text)
    return name, value


def questions(now, out):
    """Ask a person; only what differs from what is set."""
    from rich.prompt import Confirm, Prompt

    known = profiles()
    out.table([{"board": name, "what it is": about} for name, about in known.items()],
              ("board", "what it is"))
    answers = {
        "board": Prompt.ask("Board", choices=list(known), console=out.text, show_choices=False,
                         default=now["board"] or "w5500-evb-pico"),
        "hostname": Prompt.ask("Name", console=out.text, default=now["hostname"]),
    }
    if Confirm.ask("Address by DHCP", console=out.text, default=now["address"] == "dhcp"):
        answers["address"] = "dhcp"
        answers["gateway"] = ""
    else:
        answers["address"] = Prompt.ask("Address, such as 192.168.1.20/24", console=out.text)
        answers["gateway"] = Prompt.ask("Gateway", console=out.text)
        answers["dns"] = Prompt.ask("Name server", console=out.text, default=answers["gateway"])
    return {name: value for name, value in answers.items() if value != now.get(name)}


def apply(port, password, wanted, out):
    """Set and save, restart the board, wait for its address and ping the gateway."""
    with Board(port, password) as board:
        for name, value in wanted.items():
            # (What is empty is given in quotes.)
            board.ask('set %s "%s"' % (name, value))
        board.ask("save")
        board.ask("reboot")
        out.say("saved: " + (", ".join("%s=%s" % item for item in wanted.items()) or "no change"))
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


def read(path):
    """The rows of a list, dicts of text with `port` and the settings by name."""
    path = pathlib.Path(path)
    if path.suffix == ".toml":
        try:
            import tomllib
        except ImportError:
            import tomli as tomllib
        boards = tomllib.loads(path.read_text()).get("board", [])
        rows = [{name: text_of(value) for name, value in board.items()} for board in boards]
    else:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    rows = [{name: value for name, value in row.items() if name and value is not None}
            for row in rows]
    for n, row in enumerate(rows, 1):
        if not row.get("port"):
            raise ValueError("%s: board %d has no port" % (path, n))
    return rows


def text_of(value):
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def provision(options, out):
    """Each board of a list, one after the other; what works is not done again."""
    rows = read(options.list)
    noted = pathlib.Path(options.list + ".done")
    done = {} if options.again or not noted.exists() else json.loads(noted.read_text())
    results = []
    for row in rows:
        key = json.dumps(row, sort_keys=True)
        wanted = {name: value for name, value in row.items()
                  if name not in ("port", "login") and value != ""}
        name = row.get("hostname") or row["port"]
        if key in done:
            out.say("%s: done before" % name)
            results.append(dict(done[key], skipped=True))
            continue
        out.say("%s on %s" % (name, row["port"]))
        try:
            result = apply(row["port"], row.get("login") or options.password, wanted, out)
        except (NoBoard, Refused) as error:
            result = {"port": row["port"], "settings": wanted, "works": False, "why": str(error)}
            out.say(str(error), "red")
        result["settings"].pop("password", None)
        results.append(result)
        if result["works"]:
            done[key] = result
            part = noted.with_suffix(".part")
            part.write_text(json.dumps(done, indent=2))
            part.replace(noted)
    out.result = results
    bad = [result for result in results if not result["works"]]
    out.say("%d boards: %d work, %d do not" % (len(results), len(results) - len(bad), len(bad)))
    out.table([dict(result, state="works" if result["works"] else result["why"])
               for result in results], ("port", "address", "mac", "state"))
    return 1 if bad else 0
