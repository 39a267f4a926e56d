"""`spinet status`, `console`, `capture`: a board as it is."""
import base64
import binascii
import os
import sys
import time

from spinetcli.link import Board, choose, open_line

MANY = 1000000          # frames: no end in sight
_ERRORS = ("bad", "lost", "failed", "full", "stuck", "error", "malformed", "absent", "conflict")


def status(options, out):
    with Board(choose(options.port), options.password) as board:
        found = {name: board.ask("show " + name)
                 for name in ("board", "interfaces", "dhcp", "services", "counters")}
    info, net = found["board"][0], found["interfaces"][0]
    worries = [
        "%s %s: %d" % (row["layer"], name, count)
        for row in found["counters"] for name, count in row["counters"].items()
        if isinstance(count, int) and any(word in name for word in _ERRORS)]
    out.result = dict(found, worries=worries)
    out.say("%s on %s, up %d s" % (info["runtime"], info["profile"] or "a board", info["up_s"]))
    out.say("%s, link %s, %s" % (net["chip"].upper(), "up" if net["link"] else "down", net["mac"]),
            None if net["link"] else "red")
    out.say("address %s (%s), gateway %s" % (
        net["address"] or "none", net["how"], net["gateway"] or "none"),
        "green" if net["address"] else "red")
    for row in found["services"]:
        out.say("service %s on port %d: %d served" % (row["name"], row["port"], row["served"]))
    if info.get("hides_image"):
        out.say("%s is used, not the spinet of the board's image" % info["hides_image"], "yellow")
    for worry in worries:
        out.say("counted  " + worry, "yellow")
    return 0 if net["link"] and net["address"] else 1


def console(options, out):
    """mpremote's terminal does the rest, on every system."""
    from mpremote.console import Console as Keys
    line = open_line(choose(options.port), 0)
    keys = Keys()
    out.notes.print("Ctrl-] leaves", style="dim")
    keys.enter()
    try:
        line.write(b"\x15\r")
        while True:
            keys.waitchar(line)
            key = keys.readchar()
            if key == b"\x1d":
                return 0
            if key:
                line.write(key)
            data = line.read(line.in_waiting or 0)
            if data:
                keys.write(data)
            else:
                time.sleep(0.005)
    finally:
        keys.exit()
        line.close()


def capture(options, out):
    """Frames into a file, until there are enough, the time is over, or Ctrl-C."""
    frames = -1             # what comes first is the head of the file
    end = {}
    with Board(choose(options.port), options.password) as board:
        to = sys.stdout.buffer if options.file == "-" else open(options.file, "wb")
        total = options.count if options.count < MANY else None
        with out.progress("frames", total, "count") as bar:
            try:
                for record in board.stream("capture %d %d" % (options.count, options.seconds),
                                           options.seconds + 30):
                    if "pcap" not in record:
                        end = record
                        continue
                    data = base64.b64decode(record["pcap"])
                    if binascii.crc32(data) != record["crc"] & 0xFFFFFFFF:
                        out.error("a frame was damaged on the serial line, and left out")
                        continue
                    to.write(data)
                    to.flush()
                    frames += 1
                    if frames:
                        bar.advance(1)
            except (KeyboardInterrupt, BrokenPipeError) as error:       # or Wireshark is closed
                board.interrupt()
                time.sleep(0.3)
                if isinstance(error, BrokenPipeError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if to is not sys.stdout.buffer:
        to.close()
        out.result = {"frames": max(frames, 0), "lost": end.get("lost"), "file": options.file}
        out.say("%d frames in %s, %s lost because the serial line was too slow" % (
            max(frames, 0), options.file, end.get("lost", "an unknown number")))
    return 0
