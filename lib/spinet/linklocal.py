"""IPv4 link-local addresses (RFC 3927): 169.254.x.y, for a network where nobody gives one out."""
from spinet.acd import Claim
from spinet.service import tell

_ADDRESSES = 254 << 8       # 169.254.1.0 to 169.254.254.255; the rest is reserved (2.1)


class LinkLocal:
    """Takes a link-local address for the interface `ip` that no other host has.

    The addresses tried follow from the MAC address, so that a host gets the same one each time
    (2.1). `on_change()` is called when it has one and when it has lost it, `on_conflict(mac)`
    when another host claims it; both from within `poll`. `addr` is the address, None without.
    """

    def __init__(self, ip):
        self.ip = ip
        self.claim = Claim(ip, self._free, self._conflict)
        self.on_change = self.on_conflict = None
        self.addr = None
        self.running = False
        mac = ip.id.mac
        self._at = (mac[4] << 8 | mac[5]) ^ (mac[2] << 8 | mac[3]) >> 1
        self._step = (mac[3] << 8 | mac[5]) << 1 | 1

    def start(self):
        """Begin to look for an address; takes four to seven seconds at least."""
        if not self.running:
            self.running = True
            self._probe()

    def stop(self):
        """Give the address up; idempotent."""
        self.running = False
        self.claim.drop()
        self._lose()

    def link_down(self):
        """The link is lost."""
        if self.addr is None:
            self.claim.drop()

    def link_up(self):
        """The link is there, perhaps to other hosts."""
        if not self.running:
            return
        if self.addr is not None:
            self.claim.use(self.addr)
        else:
            self._probe()

    def _probe(self):
        k = self._at % _ADDRESSES
        self.claim.probe(bytes((169, 254, 1 + (k >> 8), k & 255)))

    def _free(self):
        self.addr = self.claim.addr
        self.ip.insert_address(len(self.ip.addresses), self.addr, 16)
        self.claim.hold(self.addr)
        tell(self.on_change)

    def _conflict(self, mac):
        if self.addr is None or not self.claim.defended:
            self._lose()
            self._at += self._step
            if self.running:        # a user's function may have stopped it
                self._probe()
        tell(self.on_conflict, mac)

    def _lose(self):
        if self.addr is not None:
            if self.ip.is_own(self.addr, 0):
                self.ip.remove_address(self.addr)
            self.addr = None
            tell(self.on_change)
