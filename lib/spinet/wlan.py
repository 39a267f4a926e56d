"""`WLAN`: the wire, for programs that know Wi-Fi only.

Such a program joins its network, and asks `isconnected()` and `ifconfig()` from then on.  Here that
is the first interface of the default stack, which was set up elsewhere (`boot.py`): what `WLAN`
says of it is true, and what concerns a radio alone is taken and changes nothing.
"""
from spinet import addr, socket
from spinet.errors import ENODEV, EPERM, os_error
from spinet.lan import STAT_CONNECTING, STAT_GOT_IP, STAT_NO_LINK, hostname

STA_IF = 0
AP_IF = 1


class WLAN:
    """A station that is always joined to its network.  As an access point it is never active."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __init__(self, which=STA_IF):
        if which not in (STA_IF, AP_IF):
            raise ValueError("unknown interface")
        self._station = which == STA_IF

    def active(self, on=None):
        """True for a station, whatever it is told; OSError(ENODEV) to switch a radio on."""
        if on and not self._station:
            raise os_error(ENODEV)
        return self._station

    def connect(self, ssid=None, key=None, **how):
        """Nothing: a wire is plugged in."""

    def disconnect(self):
        """Nothing: a wire stays where it is, and other programs' connections with it."""

    def scan(self):
        """No networks."""
        return []

    def status(self, what=None):
        """One of the STAT_ numbers of a LAN that is on."""
        if what is not None:
            raise ValueError("unexpected key")
        ip = self._ip()
        if ip is None or not ip.id.port.link():
            return STAT_NO_LINK
        return STAT_GOT_IP if ip.addresses else STAT_CONNECTING

    def isconnected(self):
        """Whether the interface has link and an address; keeps the stack going."""
        socket.default().poll()
        return self.status() == STAT_GOT_IP

    def ifconfig(self, config=None):
        """`(address, netmask, gateway, dns)`, all text.

        OSError(EPERM) to change it: that is for whom the interface belongs to.
        """
        ip = self._ip()
        if config is not None:
            raise os_error(EPERM)
        if ip is None:
            return ("0.0.0.0",) * 4
        gateways = ip.get_ipv4_gateways()
        dns = ip.stack.dns_servers
        return (ip.get_ipv4(), ip.get_ipv4_netmask(), gateways[0] if gateways else "0.0.0.0",
                addr.fmt(dns[0]) if dns else "0.0.0.0")

    def config(self, *keys, **settings):
        """`mac` and `hostname` as of a LAN; settings of a radio are taken, and read as None."""
        if "hostname" in settings:
            hostname(settings["hostname"])
        if keys == ("hostname",):
            return hostname()
        ip = self._ip()
        if keys == ("mac",) and ip is not None:
            return bytes(ip.id.mac or 6)
        return None

    def _ip(self):
        """The interface; None for an access point, or where there is none yet."""
        interfaces = socket.default().interfaces
        return interfaces[1] if self._station and len(interfaces) > 1 else None
