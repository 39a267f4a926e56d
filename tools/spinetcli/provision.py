"""`spinet provision`: many boards from a list, unattended, and on where it was cut off."""
import csv
import hashlib
import json
import os
import pathlib
import time

from spinetcli import roster
from spinetcli.link import Board, NoBoard, Refused, choose
from spinetcli.setup import apply

_REPORT = ("hostname", "port", "id", "address", "mac", "works", "why", "ping_ms", "at")


def provision(options, out):
    """Each board of a list, one after the other; what works is not done again."""
    rows = roster.read(options.list)
    noted = pathlib.Path(options.list + ".done")
    done = {} if options.again else read_done(noted)
    results = []
    with out.progress("boards", len(rows), "count") as bar:
        for row in rows:
            # What a row said, without the passwords that may be in it.
            key = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
            if key in done:
                out.say("%s: done before" % row.name)
                results.append(dict(done[key], skipped=True))
            else:
                out.say("%s on %s" % (row.name, row["port"]))
                results.append(one(row, options, out))
                if results[-1]["works"]:
                    done[key] = results[-1]
                    replace(noted, json.dumps(done, indent=2) + "\n")
            if options.report:
                report(options.report, results)
            bar.advance(1)
    out.result = results
    bad = [result for result in results if not result["works"]]
    out.say("%d boards: %d work, %d do not" % (len(results), len(results) - len(bad), len(bad)))
    out.table([dict(result, state="works" if result["works"] else result["why"])
               for result in results], ("hostname", "port", "address", "mac", "state"))
    return 1 if bad else 0


def one(row, options, out):
    """Set up the board of a row; its result, whatever happens."""
    wanted = row.wanted
    shown = {name: value for name, value in wanted.items() if name != "password"}
    result = {"hostname": row.get("hostname", ""), "port": row["port"], "id": "", "settings": shown,
              "works": False, "address": "", "mac": "", "why": ""}
    try:
        port = choose(row["port"])
        password = row.get("login") or options.password
        result["id"] = identity(port, password, row.get("id"))
        result.update(apply(port, password, wanted, out), port=row["port"], settings=shown)
    except (NoBoard, Refused, OSError) as error:
        result["why"] = str(error)
        out.say(result["why"], "red")
    result["at"] = time.strftime("%Y-%m-%d %H:%M:%S")
    return result


def identity(port, password, wanted):
    """The unique id of the board there.  Refused if another one is wanted; nothing is changed."""
    with Board(port, password) as board:
        found = board.ask("show board")[0].get("id", "")
    if wanted and found.lower() != wanted.lower():
        raise Refused("another board is on %s: its id is %s, not %s" % (
            port, found or "unknown", wanted))
    return found


def read_done(path):
    """What was done before."""
    if not path.exists():
        return {}
    try:
        done = json.loads(path.read_text())
        if isinstance(done, dict):
            return done
    except ValueError:
        pass
    raise ValueError("%s is damaged: delete it, or give --again, and all boards are set up anew" %
                     path)


def report(path, results):
    """Write a table (CSV), or JSON where the name ends so; whole at any time."""
    path = pathlib.Path(path)
    if path.suffix.lower() == ".json":
        replace(path, json.dumps(results, indent=2) + "\n")
        return
    with open(path.with_name(path.name + ".part"), "w", newline="") as file:
        table = csv.DictWriter(file, _REPORT, extrasaction="ignore")
        table.writeheader()
        table.writerows([dict(result, works="yes" if result["works"] else "no")
                         for result in results])
    os.replace(file.name, path)


def replace(path, text):
    """A file that is there as a whole or as it was, whenever this is cut off."""
    part = path.with_name(path.name + ".part")
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
