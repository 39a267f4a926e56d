"""`spinet doctor`: what is wrong with the wiring of a board, and what to do about it, in words.

`probe.py` looks, on the board; `advice` makes sentences of what it found.  Each has a name, by
which programs may tell them apart; faults that look the same from the board share one, and its text
says so.
"""
import json
import pathlib

from spinetcli.link import Prompt, choose

_REVISIONS = {2: "B1", 4: "B4", 5: "B5", 6: "B7"}
_A = {"w5500": "a W5500", "enc28j60": "an ENC28J60"}
_ROUNDS = 50            # as in probe.py


def doctor(options, out):
    """Look, and say; 1 if there is something to fix."""
    source = (pathlib.Path(__file__).parent / "probe.py").read_text()
    out.say("looking; this takes about fifteen seconds")
    with Prompt(choose(options.port)) as board:
        said, errors = board.exec_raw("TRY = %r\n%s" % (options.try_pins, source), timeout=90)
    lines = [line for line in said.decode().splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("spinet is not on the board, or does not start: %s" %
                         errors.decode().strip().rpartition("\n")[2])
    found = json.loads(lines[-1])
    found["advice"] = [dict(zip(("ok", "name", "text"), row)) for row in advice(found)]
    out.result = found
    for row in found["advice"]:
        out.say(("ok   " if row["ok"] else "FIX  ") + row["text"], "green" if row["ok"] else "red")
    return 0 if all(row["ok"] for row in found["advice"]) else 1


def advice(found):
    """(whether it is well, its name, what it is and what to do), in the order in which to do it."""
    said = [chip(found)]
    if said[0][0]:
        said += reset(found)
    if found["clocks"]:
        said += clock(found)
        if found["up"] and said[-1][1] not in ("loose", "clock-too-fast"):
            said += network(found)
    return said


def chip(found):
    """Who answers by SPI?"""
    name = found["chip"].upper()
    other = found["answers"]
    pins, lines = found["pins"], found["lines"]
    if other == found["chip"]:
        if not found["up"] and not (found["clocks"] and any(bad for _, bad in found["clocks"])):
            return (False, "no-start", "the %s says who it is, but does not start (%s): it is held "
                    "in reset (its RST must be at 3.3 V), or its crystal does not run, or bits are "
                    "lost by a loose wire or a weak supply. These look the same from here" % (
                        name, found["why"]))
        if other == "enc28j60":
            return (True, "chip", "the ENC28J60 answers: silicon revision %s" %
                    _REVISIONS[found["revision"]])
        return True, "chip", "the %s answers, and says that it is one" % name
    if other:
        return (False, "other-chip", "the settings say %s, but %s answers: `set chip %s`, "
                "`save`, `reboot`" % (name, _A[other], other))
    if found.get("swapped"):
        return (False, "swapped", "MISO and MOSI are exchanged: the %s answers with pins %s and %s "
                "the other way round. MISO, SO or DO of the chip goes to pin %s, its MOSI, SI or "
                "DI to pin %s" % (found["swapped"].upper(), lines["miso"], lines["mosi"],
                                  lines["miso"], lines["mosi"]))
    if "cs_at" in found:
        text = "the chip is selected by pin %s, not by pin %s: " % (found["cs_at"], pins["cs"])
        if found["cs_at"] == pins["reset"]:
            return (False, "cs-reset", text + "the wires of chip select and reset are exchanged")
        return (False, "cs-pin", text + "move its wire CS to pin %s, or `set pins.cs %s`, `save`, "
                "`reboot`" % (pins["cs"], found["cs_at"]))
    return silent(found, name)


def silent(found, name):
    """Nobody answers; what the pull of a pin moves tells who holds MISO."""
    cs, miso = found["pins"]["cs"], found["lines"]["miso"]
    if "idle" not in found:
        return (False, "no-answer", "the %s does not answer. Check, in this order: 3.3 V and "
                "ground at the chip; chip select on pin %s; MISO and MOSI not exchanged; the "
                "clock's wire; reset not held low. These look the same from here" % (name, cs))
    if found["idle"][0] == found["idle"][1]:
        return (False, "miso-held", "MISO, pin %s, is held at %s V even while no chip is selected: "
                "it touches %s, or another chip on the bus drives it" % (
                    miso, "3.3" if found["idle"][0] else "0",
                    "the supply" if found["idle"][0] else "ground"))
    if found["selected"][0] == found["selected"][1]:
        return (False, "held-in-reset", "a chip drives MISO when pin %s selects it, but says "
                "nothing that %s says: it is held in reset (its RST must be at 3.3 V), or the wire "
                "of the clock or of MOSI is not connected, or its crystal does not run. These look "
                "the same from here" % (cs, _A[found["chip"]]))
    return (False, "nobody", "nobody drives MISO, pin %s, when pin %s selects the chip. Check, in "
            "this order: 3.3 V and ground at the chip; CS on pin %s; MISO on pin %s. These look "
            "the same from here; `spinet doctor --try-pins 5,6` tries others as chip select" % (
                miso, cs, cs, miso))


def reset(found):
    """Does the reset pin reach the chip?"""
    if found["reset_works"] is False:
        return [(False, "reset-wire", "pin %s does not reset the chip: connect it to the chip's "
                 "RST, or `set pins.reset -1`, `save`, `reboot`" % found["pins"]["reset"])]
    return []


def clock(found):
    """At which SPI clocks do all bits arrive?"""
    now = found["baudrate"]
    bad = {hz: count for hz, count in found["clocks"] if count}
    good = [hz for hz, count in found["clocks"] if not count]
    slowest = min(bad) if bad else None
    safe = [hz for hz in good if slowest is None or hz < slowest]
    if bad and not safe:
        return [(False, "loose", "bits are lost even at %d Hz (%d of %d patterns): it is not the "
                 "clock. Look for a loose wire or a bad contact, of ground too, and for a supply "
                 "that breaks down; 0.1 uF close to the chip" % (slowest, bad[slowest], _ROUNDS))]
    if slowest is not None and slowest <= now:
        return [(False, "clock-too-fast", "bits are lost at %d Hz (%d of %d patterns), and %d Hz "
                 "are set. Use shorter wires with a ground beside them, or `set spi.baudrate %d`, "
                 "`save`, `reboot`" % (slowest, bad[slowest], _ROUNDS, now, max(safe)))]
    if found["answers"] == "enc28j60" and found["revision"] in (2, 4) and now < 8000000:
        return [(False, "erratum-1", "this revision of the ENC28J60 is misread at clocks below 8 "
                 "MHz, and %d Hz are set: `set spi.baudrate 8000000`, `save`, `reboot`" % now)]
    if slowest is not None and slowest * 4 <= now * 5:
        return [(False, "clock-margin", "at %d Hz bits are lost already (%d of %d patterns), close "
                 "to the %d Hz that are set. Use shorter wires, or `set spi.baudrate %d`, `save`, "
                 "`reboot`" % (slowest, bad[slowest], _ROUNDS, now,
                               max([hz for hz in safe if hz * 5 < slowest * 4] or safe[:1])))]
    runs_at = found["runs_at"]
    return [(True, "clock", "the SPI clock of %d Hz holds%s; so does every other up to %d Hz" % (
        runs_at, ", which the board makes of %d" % now if runs_at != now else "", max(safe)))]


def network(found):
    """Link, frames, interrupt, address, gateway."""
    if not found["link"]:
        return [(False, "no-link", "there is no link: is the cable in, and the other end switched "
                 "on? The lamps at the socket must be lit")]
    said = [(True, "link", "there is link")]
    irq = found["pins"]["irq"]
    if not found["rx"]:
        said.append((False, "silence", "nothing is received within 8 s, not from %s either: is the "
                     "other end a network, and in the right VLAN?" % (
                         found["gateway"] and "the gateway " + found["gateway"]
                         or "a DHCP server")))
        return said
    if irq in (-1, ""):
        said.append((True, "irq", "no interrupt pin is set; frames are looked for instead"))
    elif found["wakes"]:
        said.append((True, "irq", "the interrupt on pin %s comes with the frames" % irq))
    elif found["irq_pins"]:
        other = found["irq_pins"][0]
        said.append((False, "irq-pin", "the chip's INT is at pin %s, not at pin %s: move its wire, "
                     "or `set pins.irq %s`, `save`, `reboot`" % (other, irq, other)))
    else:
        said.append((False, "irq-wire", "frames come, but no interrupt: connect the chip's INT to "
                     "pin %s, or `set pins.irq -1`, `save`, `reboot`" % irq))
    if not found["address"]:
        said.append((False, "no-address", "frames come, but no address: no DHCP server answers "
                     "here. `ip ADDRESS/LENGTH GATEWAY` sets one"))
    else:
        said.append((True, "address", "the address is " + found["address"]))
    if found["ping"] == 0:
        said.append((False, "gateway", "the gateway %s does not answer a ping: is it in this "
                     "network, and switched on? (Some never answer one)" % found["gateway"]))
    elif found["ping"]:
        said.append((True, "gateway", "the gateway %s answers" % found["gateway"]))
    return said
