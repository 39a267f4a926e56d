"""`spinet status`, `doctor`, `console`, `capture`: a board as it is."""
import base64
import binascii
import json
import pathlib
import sys
import time

from spinetcli.link import Board, Prompt, choose

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
    for worry in worries:
        out.say("counted  " + worry, "yellow")
    return 0 if net["link"] and net["address"] else 1


def doctor(options, out):
    source = (pathlib.Path(__file__).parent / "probe.py").read_text()
    out.say("looking; this takes about ten seconds")
    with Prompt(choose(options.port)) as board:
        said, errors = board.exec_raw(source, timeout=60)
    lines = [line for line in said.decode().splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("spinet is not on the board, or does not start: %s" %
                         errors.decode().strip().rpartition("\n")[2])
    found = json.loads(lines[-1])
    found["advice"] = advice(found)
    out.result = found
    for good, text in found["advice"]:
        out.say(("ok   " if good else "FIX  ") + text, "green" if good else "red")
    return 0 if all(good for good, _ in found["advice"]) else 1


def advice(found):
    """(whether it is well, what it is and what to do), in the order in which to do it."""
    chip = found["chip"].upper()
    works = [hz for hz, fine in found["clocks"] if fine]
    fails = [hz for hz, fine in found["clocks"] if not fine]
    if not works:
        return [[False, "the %s does not answer at any clock (%s). Check, in this order: 3.3 V and "
                 "ground at the chip; chip select on pin %s; MISO and MOSI not exchanged; clock; "
                 "the chip in the settings is the one on the board" % (
                     chip, found["why"], found["pins"]["cs"])]]
    said = [[True, "the %s answers, and says that it is one" % chip]]
    lowest_bad = min(fails) if fails else None
    if found["baudrate"] not in works:
        good = [hz for hz in works if lowest_bad is None or hz < lowest_bad]
        said.append([False, "it fails at the %d Hz that are set. Use shorter wires, or `set "
                     "spi.baudrate %d`" % (found["baudrate"], max(good or works))])
    elif lowest_bad is not None and lowest_bad <= found["baudrate"] * 5 // 4:
        said.append([False, "at %d Hz it fails already, close to the %d Hz that are set. Use "
                     "shorter wires, or a lower clock" % (lowest_bad, found["baudrate"])])
    else:
        said.append([True, "the SPI clock of %d Hz holds; so does every other up to %d Hz" % (
            found["baudrate"], max(works))])
    if not found["link"]:
        said.append([False, "there is no link: is the cable in, and the other end switched on? "
                     "The lamps at the socket must be lit"])
        return said
    said.append([True, "there is link"])
    if not found["rx"]:
        said.append([False, "nothing is received within 8 s: is the other end a network?"])
    elif found["irq"] in (-1, ""):
        said.append([True, "no interrupt pin is set; frames are looked for instead"])
    elif not found["wakes"]:
        said.append([False, "frames come, but no interrupt: connect the chip's INT to pin %s, or "
                     "`set pins.irq -1`" % found["irq"]])
    else:
        said.append([True, "the interrupt on pin %s comes with the frames" % found["irq"]])
    if not found["address"]:
        said.append([False, "no address: no DHCP server answers here. `ip ADDRESS/LENGTH GATEWAY` "
                     "sets one"])
    else:
        said.append([True, "the address is " + found["address"]])
    return said


def console(options, out):
    """mpremote's terminal does the rest, on every system."""
    from mpremote.console import Console as Keys
    from serial import serial_for_url

    line = serial_for_url(choose(options.port), 115200, timeout=0)
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
    to = sys.stdout.buffer if options.file == "-" else open(options.file, "wb")
    frames = -1
    end = {}
    with Board(choose(options.port), options.password) as board:
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
        except (KeyboardInterrupt, BrokenPipeError):    # enough, for a person or for a reader
            board.interrupt()
            time.sleep(0.3)
    if to is not sys.stdout.buffer:
        to.close()
        out.result = {"frames": frames, "lost": end.get("lost"), "file": options.file}
        out.say("%d frames in %s, %s lost because the serial line was too slow" % (
            frames, options.file, end.get("lost", "an unknown number")))
    return 0
