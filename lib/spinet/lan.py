"""`LAN`: a network interface as MicroPython's `network` module has them.

    nic = spinet.LAN(W5500(SPI(0, 33_000_000), cs=Pin(17)))
    nic.active(True)                    # DHCP starts; nothing blocks
    while not nic.isconnected():
        pass

or with an address of your own, before `active(True)` or after:

    nic.ipconfig(addr4="192.168.1.20/24", gw4="192.168.1.1")

What is optional is imported when it is first needed: a board whose address is static never
loads the DHCP client.
"""
from spinet import addr, socket
from spinet.acd import Claim
from spinet.errors import ETIMEDOUT, os_error
from spinet.prim import ticks_diff
from spinet.service import tell
from spinet.stack import Stack
from spinet.tcp.resume import resume
from spinet.timers import Timer

STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_NO_LINK = 2
STAT_GOT_IP = 3

_LINK_MS = 500          # between looks at the link
_DHCP_MS = 20000        # that `ifconfig("dhcp")` waits at most

_hostname = "spinet"


def hostname(name=None):
    """Set the name of this host, at most 32 letters, digits, "-" and "."; or read it."""
    global _hostname
    if name is None:
        return _hostname
    if not 0 < len(name) <= 32:
        raise ValueError("a host's name is 1 to 32 characters")
    for label in name.split("."):
        good = label and label[0] != "-" and label[-1] != "-"
        for c in label:
            good = good and ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c == "-")
        if not good:
            raise ValueError("%s: a host's name is letters, digits and, between them, -"
                             % addr.quote(name))
    _hostname = name
    return None


def ipconfig(*keys, **settings):
    """Settings of the default stack: `dns`, its server of names (text), and `prefer`, always 4.

    `dns` may be set to several, in a list.
    """
    stack = socket.default()
    if _queries(keys, settings):
        if keys[0] == "dns":
            return addr.fmt(stack.dns_servers[0]) if stack.dns_servers else "0.0.0.0"
        if keys[0] == "prefer":
            return 4
        raise ValueError("unexpected key")
    for key in settings:
        if key not in ("dns", "prefer"):
            raise ValueError("unexpected key")
    if settings.get("prefer", 4) != 4:
        raise ValueError("there is only IPv4")
    if "dns" in settings:
        dns = settings["dns"]
        stack.dns_servers = [addr.parse(a) for a in ((dns,) if isinstance(dns, str) else dns)]
    return None


def _queries(keys, settings):
    """Whether one key is read; TypeError unless it is that or settings by name."""
    if not settings:
        if len(keys) != 1:
            raise TypeError("must query one param")
        return True
    if keys:
        raise TypeError("can't specify pos and kw args")
    return False


class _Off:
    """In the port's place while the interface is not active: silence."""

    pads = True
    pollable = False

    def __init__(self, port):
        self.mtu = port.mtu
        self.close = port.close
        if hasattr(port, "filter"):
            self.filter = port.filter       # for when it is on

    def recv(self, buf):
        return 0

    def send(self, buf, n):
        return True

    def link(self):
        return False


class _LinkWatch(Timer):
    """Looks at the link of a LAN twice a second."""

    def __init__(self, nic):
        Timer.__init__(self)
        self.nic = nic

    def expire(self, now):
        nic = self.nic
        nic.stack.timers.arm(self, _LINK_MS)
        nic._look()


class LAN:
    """The interface that `port` is, with a stack of its own (`stack`) or added to a given one.

    Functions may be set that are called from within `poll`: `on_link(up)`,
    `on_address(address)` with the text of the address that is now in use ("0.0.0.0": none), and
    `on_conflict(mac)` when another host claims it. What they raise is printed.
    """

    def __init__(self, port, stack=None):
        self.port = port
        self._own_stack = stack is None
        self.stack = stack or Stack()
        self.ip = self.stack.add(port)
        self.on_link = self.on_address = self.on_conflict = None
        self.dhcp = None            # the DHCP client, once there was a use for one
        self.linklocal = None       # the same
        self._background = None
        self._wants_dhcp = self.ip.id.arp is not None
        self._claim = Claim(self.ip, _nothing, self._conflict)
        self._watch = _LinkWatch(self)
        self._resting = _Off(port)      # of the port and this, the one that is not in use
        self._active = self._up = False
        self._told = "0.0.0.0"
        self._trace = 0
        self._swap()

    # -- on and off ---------------------------------------------------------

    def active(self, on=None):
        """Switch the interface on or off; without an argument, whether it is on.

        Switched on it gets its address by DHCP, in the background, unless it has been given one.
        Switched off it gives the lease back, which may take a moment.
        """
        if on is None:
            return self._active
        if on and not self._active:
            self._active = True
            self._swap()
            self.stack.timers.now = self.stack.clock()
            self._up = False
            if self._wants_dhcp:
                self._start_dhcp()
            self._watch.expire(self.stack.timers.now)
            self.stack.poll()
        elif not on and self._active:
            self._stop_dhcp()
            self._active = False
            self.stack.timers.remove(self._watch)
            self._claim.drop()
            if self.ip.id.arp is not None:
                self.ip.id.arp.clear()
            self._swap()
        return None

    def _swap(self):
        link = self.ip.id
        self._resting, link.port = link.port, self._resting

    def connect(self):
        """Switch on if need be, and get an address anew if it comes by DHCP."""
        self.active(True)
        if self._wants_dhcp:
            self._stop_dhcp()
            self._start_dhcp()

    def disconnect(self):
        """Give the lease back and get no other until `connect()`."""
        self._stop_dhcp()

    def deinit(self):
        """Switch off, close the sockets and give the port back."""
        self.background(False)
        self.active(False)
        if self.ip.id.port is not None:
            self._swap()
        if self._own_stack:
            self.stack.close()
        elif self.ip in self.stack.interfaces:
            self.stack.remove(self.ip)

    def background(self, on=True, period_ms=0):
        """Keep the stack going while the program does something else; see background.py.

        Where there is no `machine.Timer` it takes a thread (threaded.py).
        """
        if self._background is not None:
            self._background.stop()
            self._background = None
        if on:
            try:
                from machine import Timer

                from spinet.background import Background

                self._background = Background(self.stack, period_ms, Timer(-1), [self.port])
            except ImportError:
                from spinet.threaded import Threaded

                self._background = Threaded(self.stack, period_ms)

    # -- what it is doing ---------------------------------------------------

    def isconnected(self):
        """Whether the interface is on, has link and an address; keeps the stack going."""
        self.stack.poll()
        return self.status() == STAT_GOT_IP

    def status(self, what=None):
        """One of the STAT_ numbers, or by name: "link" -> bool, "dhcp" -> the client's state."""
        if what == "link":
            return self.port.link()
        if what == "dhcp":
            return self.dhcp.state_name if self.dhcp else "idle"
        if what is not None:
            raise ValueError("unexpected key")
        if not self._active:
            return STAT_IDLE
        if not self.port.link():
            return STAT_NO_LINK
        return STAT_GOT_IP if self.ip.addresses else STAT_CONNECTING

    # -- addresses ----------------------------------------------------------

    def ifconfig(self, config=None):
        """`(address, netmask, gateway, dns)`, all text; set from such a tuple, or by "dhcp".

        With "dhcp" it waits for an address, OSError(ETIMEDOUT) if there is none after 20 s.
        """
        if config is None:
            dns = self.stack.dns_servers
            return (self.ip.get_ipv4(), self.ip.get_ipv4_netmask(), self._gateway(),
                    addr.fmt(dns[0]) if dns else "0.0.0.0")
        if config == "dhcp":
            self.ipconfig(dhcp4=True)
            self._wait_for_lease()
        elif isinstance(config, str):
            raise ValueError("an address is a tuple of four, or 'dhcp'")
        else:
            address, mask, gateway, dns = config
            dns = addr.parse(dns)
            self.ipconfig(addr4=(address, mask), gw4=gateway)
            self.stack.dns_servers = [dns] if any(dns) else []
        return None

    def _wait_for_lease(self):
        stack = self.stack
        began = stack.clock()
        while self._active and self.dhcp.lease is None:
            if ticks_diff(stack.clock(), began) > _DHCP_MS:
                raise os_error(ETIMEDOUT)
            stack.idle(100)

    def _gateway(self):
        gateways = self.ip.get_ipv4_gateways()
        return gateways[0] if gateways else "0.0.0.0"

    def ipconfig(self, *keys, **settings):
        """Read one key, `ipconfig("addr4")`, or set some, `ipconfig(addr4="10.0.0.2/24")`.

        `dhcp4`: whether the address comes by DHCP; `has_dhcp4` (to read): whether it has come.
        `addr4` is "address/length" or (address, netmask) and reads as the pair; setting it ends
        DHCP. `gw4` is text.
        """
        if _queries(keys, settings):
            key = keys[0]
            if key == "dhcp4":
                return self._wants_dhcp
            if key == "has_dhcp4":
                return self.dhcp is not None and self.dhcp.lease is not None
            if key == "addr4":
                return self.ip.get_ipv4(), self.ip.get_ipv4_netmask()
            if key == "gw4":
                return self._gateway()
            raise ValueError("unexpected key")
        for key in settings:
            if key not in ("dhcp4", "addr4", "gw4"):
                raise ValueError("unexpected key")
        address = _network(settings["addr4"]) if "addr4" in settings else None
        gateway = settings.get("gw4") or "0.0.0.0"
        gateway = [] if gateway == "0.0.0.0" else [addr.parse(gateway)]
        self.stack.timers.now = self.stack.clock()
        if "dhcp4" in settings:
            self._set_dhcp(bool(settings["dhcp4"]))
        if address is not None:
            self._set_address(address)
        if "gw4" in settings:
            self.ip.set_ipv4_gateways(gateway)
        return None

    def _set_dhcp(self, on):
        if on == self._wants_dhcp:
            return
        self._wants_dhcp = on
        if not on:
            self._stop_dhcp()
            return
        self._claim.drop()
        self.ip.set_ipv4("0.0.0.0")
        self.ip.set_ipv4_gateways([])
        self._changed()
        if self._active:
            self._start_dhcp()

    def _set_address(self, network):
        self._set_dhcp(False)
        self._claim.drop()
        address, length = network
        ip = self.ip
        ip.set_ipv4("0.0.0.0")
        if any(address):
            ip.set_ipv4_netmask(addr.mask(length))
            ip.set_ipv4(address)
            if self._active and self._up:
                self._claim.use(address)
        self._changed()

    # -- other settings -----------------------------------------------------

    def config(self, *keys, **settings):
        """Read one parameter by name, or set some.

        `mac` (to read): bytes. `hostname`: see the function. `trace`: 1 prints what happens to
        link and address, 2 frames sent, 4 frames received, or the sum of some. `promiscuous`:
        whether frames to other hosts are taken, where the port can.
        """
        if _queries(keys, settings):
            key = keys[0]
            if key == "mac":
                return bytes(self.ip.id.mac)
            if key == "hostname":
                return hostname()
            if key == "trace":
                return self._trace
            if key == "promiscuous" and hasattr(self.port, "set_promiscuous"):
                return self.port.promiscuous
            raise ValueError("unknown config param")
        for key in settings:
            if key not in ("hostname", "trace") and (
                    key != "promiscuous" or not hasattr(self.port, "set_promiscuous")):
                raise ValueError("unknown config param")
        if "hostname" in settings:
            hostname(settings["hostname"])
            if self.dhcp is not None:
                self.dhcp.set_hostname(_hostname)
        if "trace" in settings:
            self._set_trace(settings["trace"])
        if "promiscuous" in settings:
            self.port.set_promiscuous(bool(settings["promiscuous"]))
        return None

    def _set_trace(self, flags):
        self._trace = flags
        port = self.ip.id.port if self._active else self._resting
        port = getattr(port, "traced", port)
        if flags & 6:
            from spinet.trace import Trace

            port = Trace(port, flags)
        if self._active:
            self.ip.id.port = port
        else:
            self._resting = port

    # -- what happens -------------------------------------------------------

    def _start_dhcp(self):
        if self.dhcp is None:
            from spinet.dhcp import Dhcp

            self.dhcp = Dhcp(self.ip)
            self.dhcp.on_change = self._changed
            self.dhcp.on_silence = self._silence
            self.dhcp.on_conflict = self._conflict
            i = self.stack.interfaces.index(self.ip)
            self.stack.services[self.stack.names[i] + ".dhcp"] = self.dhcp
        self.dhcp.set_hostname(_hostname)
        self.dhcp.start()
        if not self._up:
            self.dhcp.link_down()

    def _stop_dhcp(self):
        if self.linklocal is not None:
            self.linklocal.stop()
        dhcp = self.dhcp
        if dhcp is None:
            return
        dhcp.stop()
        # The release may have to wait for the server's MAC address: a second at most.
        for _ in range(1000):
            if not dhcp.state or self.stack.polling:
                break
            self.stack.idle(10)

    def _silence(self):
        """No DHCP server answers."""
        if self.linklocal is None:
            from spinet.linklocal import LinkLocal

            self.linklocal = LinkLocal(self.ip)
            self.linklocal.on_change = self._changed
            self.linklocal.on_conflict = self._conflict
        self.linklocal.start()

    def _changed(self):
        """Something about addresses has changed."""
        if self.linklocal is not None and self.dhcp.lease is not None:
            self.linklocal.stop()
        address = self.ip.get_ipv4()
        if address != self._told:
            self._told = address
            if self._trace & 1:
                print("spinet: address", address)
            tell(self.on_address, address)

    def _conflict(self, mac):
        if self._trace & 1:
            print("spinet: address also used by", addr.fmt_mac(mac))
        tell(self.on_conflict, mac)

    def _look(self):
        """Has the link come or gone?"""
        up = self.port.link()
        if up == self._up:
            return
        self._up = up
        if self._trace & 1:
            print("spinet: link", "up" if up else "down")
        parts = [part for part in (self.dhcp, self.linklocal) if part is not None]
        if up:
            for part in parts:
                part.link_up()
            resume(self.stack.tcp, self.ip)
            if not self._wants_dhcp and self.ip.addresses:
                self._claim.use(self.ip.addresses[0].addr)
        else:
            for part in parts:
                part.link_down()
            # The neighbours of the next network are others.
            if self.ip.id.arp is not None:
                self.ip.id.arp.clear()
        tell(self.on_link, up)


def _network(value):
    """(4 bytes, prefix length) of "address/length" or (address, netmask)."""
    if isinstance(value, str):
        return addr.parse_cidr(value)
    address, mask = value
    return addr.parse(address), addr.prefixlen(mask)


def _nothing():
    pass
