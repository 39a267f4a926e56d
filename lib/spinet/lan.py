"""`LAN`: a network interface as MicroPython's `network` module has them.

    nic = spinet.LAN(W5500(SPI(0, 33_000_000), cs=Pin(17)))
    nic.active(True)
    nic.ipconfig(addr4="192.168.1.20/24", gw4="192.168.1.1")
"""
from spinet import addr
from spinet.stack import Stack

_hostname = "spinet"

STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_NO_LINK = 2
STAT_GOT_IP = 3


class LAN:
    """One port with a stack of its own (`stack`), or added to a given one."""

    def __init__(self, port, stack=None):
        self.port = port
        self.stack = stack or Stack()
        self.ip = self.stack.add(port)
        self._active = False

    def active(self, on=None):
        """Switch the interface on or off; without an argument, whether it is on."""
        if on is None:
            return self._active
        self._active = bool(on)
        if on:
            self.stack.poll()

    def isconnected(self):
        """Whether the interface is on, has link and an address; keeps the stack going."""
        self.stack.poll()
        return self.status() == STAT_GOT_IP

    def status(self, what=None):
        """One of the STAT_ numbers, or by name: "link" -> bool."""
        if what == "link":
            return self.port.link()
        if what is not None:
            raise ValueError("unexpected key")
        if not self._active:
            return STAT_IDLE
        if not self.port.link():
            return STAT_NO_LINK
        return STAT_GOT_IP if self.ip.get_ipv4() != "0.0.0.0" else STAT_CONNECTING

    def ifconfig(self, config=None):
        """`(address, netmask, gateway, dns)`; set from such a tuple, all text."""
        ip = self.ip
        if config is None:
            gateways = ip.get_ipv4_gateways()
            return (ip.get_ipv4(), ip.get_ipv4_netmask(), gateways[0] if gateways else "0.0.0.0",
                    "0.0.0.0")
        address, mask, gateway, _ = config
        self.ipconfig(addr4=(address, mask), gw4=gateway)

    def ipconfig(self, *keys, **settings):
        """Read one key, `ipconfig("addr4")`, or set some, `ipconfig(addr4="10.0.0.2/24")`.

        `addr4` is "address/length" or (address, netmask) and reads as the pair; `gw4` is text.
        """
        ip = self.ip
        if keys:
            if len(keys) != 1 or settings:
                raise TypeError("one key to read, or settings by name")
            if keys[0] == "addr4":
                return ip.get_ipv4(), ip.get_ipv4_netmask()
            if keys[0] == "gw4":
                gateways = ip.get_ipv4_gateways()
                return gateways[0] if gateways else "0.0.0.0"
            raise ValueError("unexpected key")
        for key in settings:
            if key not in ("addr4", "gw4"):
                raise ValueError("unexpected key")
        if "addr4" in settings:
            value = settings["addr4"]
            if isinstance(value, str):
                address, length = addr.parse_cidr(value)
                value = addr.fmt(address), addr.fmt(addr.mask(length))
            ip.set_ipv4(value[0])
            ip.set_ipv4_netmask(value[1])
        if "gw4" in settings:
            gateway = settings["gw4"]
            ip.set_ipv4_gateways([] if gateway in (None, "0.0.0.0") else [gateway])

    def config(self, *keys, **settings):
        """Read "mac" (bytes) or "hostname", or set `hostname`."""
        global _hostname
        if keys:
            if len(keys) != 1 or settings:
                raise TypeError("one key to read, or settings by name")
            if keys[0] == "mac":
                return bytes(self.ip.id.mac)
            if keys[0] == "hostname":
                return _hostname
            raise ValueError("unexpected key")
        for key in settings:
            if key != "hostname":
                raise ValueError("unexpected key")
            _hostname = settings[key]

    def deinit(self):
        """Close the stack and give the port back."""
        self._active = False
        self.stack.close()
