"""The board: its network interface, its services, its console, and the loop that runs them."""
import time

import machine

import spinet
from app import config, log, status
from app import services as small
from app.server import Server
from spinet import addr
from spinet.prim import ticks_add, ticks_diff, ticks_ms
from spinet.timers import Timer

_RETRY_S = 3
_FASTEST = {"w5500": 33000000, "enc28j60": 20000000}
_ORDER = ("http", "echo", "discard", "source")
_REST_MS = 20           # without a network: between looks at the console
_BESIDE_MS = 20         # between steps of the services beside the prompt


class Board:
    """A board with these settings.  `nic` is None until its chip has answered, `why` is what it
    said instead.

    Nothing here waits: the chip is looked for between looks at the console, for at most 0.6 s
    every 3 s.  `network` False is safe mode: the console and nothing else.
    """

    def __init__(self, settings, network=True):
        self.settings = settings
        self.network = network
        self.nic = None
        self.why = "safe mode" if not network else "not yet up"
        self.running = []
        self.console = None
        self.dog = None
        self.clock = None       # the client of time servers
        self.leave = False      # the loop is to end
        self._retry_at = ticks_ms()
        self._beside = None
        if hides_image():
            log.say("%s is used, not the image's own spinet, which takes less RAM" %
                    spinet.__file__)

    def open(self):
        """Look for the chip; with it comes everything that the settings ask for."""
        try:
            self.nic = nic = activate(open_port(self.settings), self.settings)
        except Exception as error:      # whatever it is, the console stays and says it
            known = isinstance(error, (OSError, ValueError))
            why = "%s: %s" % (self.settings["chip"], error if known else repr(error))
            if why != self.why:
                self.why = why
                log.say("%s; looking again every %d s" % (why, _RETRY_S))
            self._retry_at = ticks_add(ticks_ms(), _RETRY_S * 1000)
            return
        self.running = services(nic, self.settings)
        if self.settings["ntp"]:
            from spinet.sntp import Client

            self.clock = Client(nic.stack, tuple(self.settings["ntp"]), set_clock)
        if self.console is not None:
            self.console.wakes(True)

    def step(self):
        """One turn of everything; how many ms may pass before the next."""
        now = ticks_ms()
        wait_ms = _REST_MS
        if self.nic is not None:
            wait_ms = self.nic.stack.poll()
            for service in self.running:
                if service.step(now):
                    wait_ms = 0
        elif self.network and ticks_diff(now, self._retry_at) >= 0:
            self.open()
        if self.console is not None:
            wait_ms = min(wait_ms, self.console.step(now))
        self.feed()
        return wait_ms

    def run(self):
        """The main loop, until the console or Ctrl-C says to leave."""
        self.leave = False
        if self.settings["watchdog_ms"] and self.dog is None and self.network:
            try:
                self.dog = machine.WDT(timeout=self.settings["watchdog_ms"])
            except Exception as error:
                log.say("no watchdog: %s" % error)
        while not self.leave:
            wait_ms = self.step()
            if not wait_ms:
                continue
            if self.nic is not None:
                self.nic.stack.wait(wait_ms)
            else:
                time.sleep(wait_ms / 1000)

    def feed(self):
        """Tell the watchdog that all is well."""
        if self.dog is not None:
            self.dog.feed()

    def beside(self, on):
        """Network, services and watchdog go on while the MicroPython prompt has the board."""
        if self.nic is None:
            return
        if self.console is not None:
            self.console.wakes(not on)
        if on:
            self._beside = Beside(self)
        elif self._beside is not None:
            self.nic.stack.timers.remove(self._beside)
            self._beside = None
        self.nic.background(on)


class Beside(Timer):
    """Steps the services and feeds the watchdog from within `poll`."""

    def __init__(self, board):
        Timer.__init__(self)
        self.board = board
        stack = board.nic.stack
        stack.timers.now = stack.clock()
        stack.timers.arm(self, 0)

    def expire(self, now):
        board = self.board
        for service in board.running:
            service.step(now)
        if board.console is not None and board.console.stream.pollable is None:
            board.console.step(now)     # a console on a UART stays while the prompt is used
        board.feed()
        board.nic.stack.timers.arm(self, _BESIDE_MS)


def hides_image():
    """Whether a spinet on the flash is used though the image has one."""
    try:
        import spinet_rom  # noqa: F401
    except ImportError:
        return False
    return hasattr(spinet, "__file__")


def bring_up(settings):
    """The network interface named by `settings`, as an active `spinet.LAN`; for other programs.

    Waits, with a message, while the chip does not answer.
    """
    while True:
        try:
            return activate(open_port(settings), settings)
        except OSError as error:
            log.say("%s: %s; next try in %d s" % (settings["chip"], error, _RETRY_S))
            time.sleep(_RETRY_S)


def activate(port, settings):
    """A `spinet.LAN` of `port`, switched on, with the address that the settings say."""
    nic = spinet.LAN(port)
    nic.config(hostname=settings["hostname"])
    nic.on_address = lambda address: _tell_address(nic, address)
    nic.on_link = lambda up: log.say("link %s" % ("up" if up else "down"))
    nic.on_conflict = lambda mac: log.say(
        "%s is also used by %s" % (nic.ipconfig("addr4")[0], addr.fmt_mac(mac)))
    apply_address(nic, settings)
    nic.active(True)
    return nic


def _tell_address(nic, address):
    if address == "0.0.0.0":
        if nic.ipconfig("dhcp4"):       # a static one goes because someone said so, or a conflict
            log.say("no address")
    else:
        mask = nic.ipconfig("addr4")[1]
        log.say("%s at %s/%d" % (nic.config("hostname"), address, addr.prefixlen(mask)))


def apply_address(nic, settings):
    """Address, gateway and name servers, as the settings say, from now on."""
    if settings["address"] == "dhcp":
        nic.ipconfig(dhcp4=True)
    else:
        nic.ipconfig(addr4=settings["address"], gw4=settings["gateway"])
    apply_dns(nic, settings)


def apply_dns(nic, settings):
    """The name servers of the settings; none: those that DHCP gave."""
    servers = [addr.parse(server) for server in settings["dns"]]
    if not servers and nic.dhcp is not None and nic.dhcp.lease is not None:
        servers = list(nic.dhcp.lease.dns)
    nic.stack.dns_servers = servers


def open_port(settings):
    """The driver for the chip that `settings` describes.  Raises OSError if it does not answer."""
    chip = settings["chip"]
    if chip == "enc28j60":
        from spinet.ports.enc28j60 import ENC28J60 as Driver
    else:
        from spinet.ports.w5500 import W5500 as Driver

    pins = settings["pins"]
    if not config.connected(pins["cs"]):
        raise ValueError("pins.cs: the chip needs one")
    return Driver(
        open_bus(settings["spi"], _FASTEST[chip]),
        cs=_pin(pins, "cs", machine.Pin.OUT, value=1),
        reset=_pin(pins, "reset", machine.Pin.OUT, value=1),
        irq=_pin(pins, "irq", machine.Pin.IN, machine.Pin.PULL_UP),
        mac=settings["mac"] or None,
    )


def open_bus(bus, fastest):
    """The SPI bus of the settings `bus`, at their clock or at `fastest` Hz."""
    # Where the firmware chooses the pins of a bus it takes none.
    lines = {name: config.pin("spi." + name, bus[name]) for name in ("sck", "mosi", "miso")
             if config.connected(bus[name])}
    return machine.SPI(bus["id"], baudrate=min(bus["baudrate"], fastest), polarity=0, phase=0,
                       **lines)


def clock(spi, asked):
    """The Hz at which `spi` runs, where it says so: a bus takes the next below what was `asked`."""
    said = str(spi).partition("baudrate=")[2]
    n = 0
    while said[n:n + 1].isdigit():
        n += 1
    return int(said[:n] or asked)


def _pin(pins, name, *how, **value):
    number = pins[name]
    return config.pin("pins." + name, number, *how, **value) if config.connected(number) else None


def set_clock(t):
    """Set the board's clock by an answer of a time server, where it has one."""
    from spinet import sntp

    try:
        sntp.set_rtc(t)
    except (ImportError, AttributeError):
        pass


def services(nic, settings):
    """The services that `settings` asks for, listening; what cannot start is reported."""
    stack = nic.stack
    running = []
    wanted = settings["services"]
    for name in _ORDER:
        if name not in wanted:
            continue
        port = wanted[name]
        try:
            if name == "http":
                document = status.document(nic, settings, running)
                running.append(pages(stack, port, document))
            else:
                running.append(Server(stack, name, port, small.TCP[name]))
            if name in small.DATAGRAM:
                running.append(small.DATAGRAM[name](stack, port))
        except (ImportError, MemoryError, OSError) as error:
            from app.console import why

            log.say("service %s on port %d: %s" % (
                name, port, why(error) if isinstance(error, OSError) else error))
    return running


def pages(stack, port, document):
    """The web server.  Raises ImportError where its library is not."""
    from app import http

    site = http.site("www", {"status.json": document})
    return Server(stack, "http", port, lambda: http.Client(site), limit=8, patience_ms=15000)
