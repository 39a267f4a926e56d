"""The board: its network interface, its services, and the loop that runs them."""
import time

import machine

import spinet
from app import http, status
from app import services as small
from app.server import Server
from spinet import addr

_RETRY_S = 3
_FASTEST = {"w5500": 33000000, "enc28j60": 20000000}
_ORDER = ("http", "echo", "discard", "source")


def bring_up(settings):
    """The network interface named by `settings`, as an active `spinet.LAN`.

    Tries again for ever, with a message, while the chip does not answer:
    a board may start before its wiring is right.
    """
    while True:
        try:
            port = open_port(settings)
            break
        except OSError as error:
            print("%s: %s; next try in %d s" % (settings["chip"], error, _RETRY_S))
            time.sleep(_RETRY_S)
    nic = spinet.LAN(port)
    nic.config(hostname=settings["hostname"])

    def say(address):
        mask = nic.ipconfig("addr4")[1]
        print("%s at %s/%d" % (nic.config("hostname"), address, addr.prefixlen(mask)))

    nic.on_address = say
    if settings["address"] != "dhcp":
        nic.ipconfig(addr4=settings["address"], gw4=settings["gateway"])
    nic.active(True)
    return nic


def open_port(settings):
    """The driver for the chip that `settings` describes.  Raises OSError if it does not answer."""
    chip = settings["chip"]
    if chip == "enc28j60":
        from spinet.ports.enc28j60 import ENC28J60 as Driver
    else:
        from spinet.ports.w5500 import W5500 as Driver

    pins = settings["pins"]
    bus = settings["spi"]
    spi = machine.SPI(
        bus["id"], baudrate=min(bus["baudrate"], _FASTEST[chip]), polarity=0, phase=0,
        sck=machine.Pin(bus["sck"]), mosi=machine.Pin(bus["mosi"]), miso=machine.Pin(bus["miso"]),
    )
    return Driver(
        spi,
        cs=machine.Pin(pins["cs"], machine.Pin.OUT, value=1),
        reset=machine.Pin(pins["reset"], machine.Pin.OUT, value=1),
        irq=machine.Pin(pins["irq"], machine.Pin.IN, machine.Pin.PULL_UP),
        mac=settings["mac"] or None,
    )


def services(nic, settings):
    """The services that `settings` asks for, listening; what cannot start is reported."""
    stack = nic.stack
    running = []
    wanted = settings["services"]
    for name in wanted:
        if name not in _ORDER:
            print("no such service: %r" % name)
    for name in _ORDER:
        if name not in wanted:
            continue
        port = wanted[name]
        try:
            if name == "http":
                site = http.Site("www", {"/status.json": status.document(nic, settings, running)})
                running.append(Server(stack, name, port, site.slot, limit=8, patience_ms=15000))
            else:
                running.append(Server(stack, name, port, small.TCP[name]))
            if name in small.DATAGRAM:
                running.append(small.DATAGRAM[name](stack, port))
        except (OSError, TypeError, ValueError) as error:
            print("service %s on port %r: %s" % (name, port, error))
    return running


def serve(nic, running):
    """The main loop: the stack, then each service; asleep when neither has anything to do."""
    stack = nic.stack
    while True:
        wait_ms = stack.poll()
        now = stack.timers.now
        for service in running:
            if service.step(now):
                wait_ms = 0
        if wait_ms:
            stack.wait(wait_ms)
