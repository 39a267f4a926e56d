# Runs on the board, by `spinet doctor`: what the chip says, at which SPI clocks, then a few seconds
# of network.  The last line that it prints is JSON.  `TRY` holds other pins to try as chip select.
import json
import time

import machine
from app import board, config, log

CLOCKS = (1000000, 4000000, 8000000, 12000000, 16000000, 20000000, 26000000, 33000000)
ROUNDS = 50             # of patterns, at each clock

log.printer = lambda text: None
settings = config.load()
chip, pins, bus = settings["chip"], settings["pins"], settings["spi"]
top = {"w5500": 33000000, "enc28j60": 20000000}[chip]
Pin = machine.Pin
found = {"chip": chip, "pins": pins, "lines": {name: bus[name] for name in ("sck", "mosi", "miso")},
         "baudrate": min(bus["baudrate"], top),         # as the board's program lowers it
         "address": "", "gateway": "", "static": settings["address"] != "dhcp", "why": "",
         "answers": "", "revision": 0, "clocks": [], "up": False, "reset_works": None,
         "link": False, "rx": 0, "wakes": 0, "irq_pins": [], "ping": None}


def ask(spi, cs, *words):
    """Give the chip `words`, one after the other; its answer to the last."""
    for word in words:
        said = bytearray(len(word))
        cs(0)
        spi.write_readinto(word, said)
        cs(1)
    return said


def w5500(spi, cs):
    """What its version register reads; -1 if that is no W5500's."""
    said = ask(spi, cs, b"\x00\x39\x00\x00")
    return 4 if said[3] == 4 and said[0] != 4 else -1


def enc28j60(spi, cs):
    """The revision that it reads; -1 if that is no ENC28J60's."""
    revision = ask(spi, cs, b"\xbe\x20", b"\x9f\x03", b"\x12\x00")[1]
    # The bits that select a bank follow what is written, where nothing else would.
    follows = [ask(spi, cs, b"\xbf\x03", bytes((0x9F, bank)), b"\x1f\x00")[1] & 3
               for bank in (1, 2)]
    return revision if revision in (2, 4, 5, 6) and follows == [1, 2] else -1


def who(spi, cs):
    """(name of the chip that answers or "", its version or revision); first who is expected."""
    chips = [("w5500", w5500), ("enc28j60", enc28j60)]
    for name, version in chips if chip == "w5500" else chips[::-1]:
        for _ in range(8):          # a loose wire may spoil some
            number = version(spi, cs)
            if number >= 0:
                return name, number
    return "", -1


def levels(pin, cs=None):
    """What a pin reads as it is pulled up and down, while `cs` selects."""
    said = []
    if cs is not None:
        cs(0)
    for pull in (Pin.PULL_UP, Pin.PULL_DOWN):
        line = Pin(pin, Pin.IN, pull)
        time.sleep_ms(2)
        said.append(line.value())
    if cs is not None:
        cs(1)
    return said


def look_elsewhere(cs):
    """Nobody answers where the settings say: does somebody elsewhere, and who holds MISO?"""
    wires = [bus[name] for name in ("sck", "mosi", "miso")]
    if not all(config.connected(wire) for wire in wires):
        return
    try:
        sck, mosi, miso = [Pin(wire) for wire in wires]
        soft = machine.SoftSPI(baudrate=100000, sck=sck, mosi=miso, miso=mosi)
        found["swapped"] = who(soft, cs)[0]
    except (AttributeError, ValueError):
        pass
    spi = board.open_bus(dict(bus, baudrate=1000000), top)
    tries = [] if found.get("swapped") else [pins["reset"]] + TRY  # noqa: F821
    for number in tries:
        if config.connected(number) and number not in wires + [pins["cs"]]:
            if who(spi, Pin(number, Pin.OUT, value=1))[0]:
                found["cs_at"] = number
                break
            if number != pins["reset"]:
                Pin(number, Pin.IN)
    found["idle"] = levels(bus["miso"])
    found["selected"] = levels(bus["miso"], cs)
    board.open_bus(bus, top)            # the pin belongs to the bus again


def clocks(port):
    """How many of ROUNDS patterns come back wrong, at each clock."""
    todo = sorted(set([hz for hz in CLOCKS if hz <= top] + [found["baudrate"]]))
    for hz in todo:
        port._spi.init(baudrate=hz)
        if hz == found["baudrate"]:
            found["runs_at"] = board.clock(port._spi, hz)
        found["clocks"].append((hz, sum([not port._wires() for _ in range(ROUNDS)])))
    port._spi.init(baudrate=todo[0])


def reset_works(spi, cs):
    """Does the reset pin clear what was written?"""
    if chip == "w5500":
        words = (b"\x00\x09\x04\x55\xaa\x55\xaa\x55\xaa", b"\x00\x09\x00" + bytes(6))
    else:
        words = (b"\xbf\x03", b"\x9f\x01", b"\x48\x5a", b"\x08\x00")
    before = ask(spi, cs, *words)[-1]
    pin = Pin(pins["reset"], Pin.OUT, value=0)
    time.sleep_ms(2)
    pin(1)
    time.sleep_ms(100)
    after = ask(spi, cs, *([words[-1]] if chip == "w5500" else words[:2] + words[-1:]))[-1]
    return before != 0 and after == 0


def irq_pins(nic):
    """The pins that are low while an answer of the gateway waits, and high when none does."""
    from spinet.diag import Ping

    names = list(range(30))
    for _ in range(3):
        Ping(nic.stack, found["gateway"], 1)
        nic.stack.idle(0)
        time.sleep_ms(300)          # nobody takes what comes
        names = [number for number in names if reads(number) == 0]
        nic.stack.idle(0)
        nic.stack.idle(0)
        names = [number for number in names if reads(number) == 1]
    return names


def reads(number):
    """The level of a pin, left as it is; -1 if there is none."""
    try:
        return Pin(number).value()
    except (ValueError, TypeError):
        return -1


def network(port):
    """What comes by the cable, within 8 s."""
    wakes = [0]

    def wake(pin):
        wakes[0] += 1

    nic = board.activate(port, settings)
    port.wake = wake
    until = time.time() + 8
    while time.time() < until and not (nic.isconnected() and port.count["rx"]):
        nic.stack.idle(20)
    found["link"] = bool(nic.status("link"))
    found["rx"] = port.count["rx"]
    if nic.isconnected():
        found["address"] = nic.ipconfig("addr4")[0]
        gateway = nic.ipconfig("gw4")
        if gateway not in ("", "0.0.0.0", None):
            from spinet.diag import ping

            found["gateway"] = gateway
            found["ping"] = ping(nic.stack, gateway, 3, interval_ms=200).received
    found["rx"] = port.count["rx"]
    found["wakes"] = wakes[0]
    if found["ping"] and not wakes[0] and config.connected(pins["irq"]):
        found["irq_pins"] = irq_pins(nic)
    nic.deinit()


def look():
    """All of it, until something stands in the way of the rest."""
    if config.connected(pins["reset"]):
        Pin(pins["reset"], Pin.OUT, value=1)
    time.sleep_ms(100)
    cs = Pin(pins["cs"], Pin.OUT, value=1)
    spi = board.open_bus(dict(bus, baudrate=1000000), top)
    found["answers"], found["revision"] = who(spi, cs)
    if not found["answers"]:
        look_elsewhere(cs)
    if found["answers"] == chip and config.connected(pins["reset"]):
        found["reset_works"] = reset_works(spi, cs)
        if not found["reset_works"]:
            settings["pins"] = dict(pins, reset=-1)         # then by command
    if found["answers"] not in ("", chip):
        return
    for hz in (1000000, 8000000, found["baudrate"]):     # a bad one makes the driver give up
        try:
            hz = min(hz, found["baudrate"])
            port = board.open_port(dict(settings, spi=dict(bus, baudrate=hz)))
            break
        except (OSError, ValueError, TypeError) as error:
            found["why"] = str(error)
    else:
        return
    clocks(port)
    port.close()
    try:
        port = board.open_port(settings)
    except (OSError, ValueError, TypeError) as error:
        found["why"] = str(error)
        return
    found["up"] = True
    network(port)


look()
print(json.dumps(found))
