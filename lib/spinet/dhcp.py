"""DHCP client (RFC 2131) for one interface, driven by timers; nothing in it waits.

The states, and what is sent and heard in each, are in dhcpstates.py. An address is checked
before it is used (RFC 5227), and declined if somebody has it.

A lease outlives the link: when that is back the server is asked whether all is as it was, the
address being in use meanwhile, so that connections stay. If no server answers, the lease is
good until it ends (RFC 2131, 3.2).

Time is counted in seconds since the message that the present lease is the answer to, so
that leases may be longer than ticks can count (seconds.py).
"""
from spinet import dhcpmsg as m
from spinet.acd import Claim, between
from spinet.dhcpstates import (
    BOUND, CHECKING, IDLE, INFORMING, INIT, INIT_REBOOT, REBINDING, REBOOTING, RELEASING, RENEWING,
    REQUESTING, ROWS, SELECTING,
)
from spinet.errors import EADDRNOTAVAIL, ENETUNREACH, EOPNOTSUPP, os_error
from spinet.lease import FOREVER, Lease
from spinet.seconds import Alarm
from spinet.service import tell

_ASKED_FOR = bytes((m.MASK, m.ROUTES, m.ROUTERS, m.STATIC_ROUTES, m.DNS, m.DOMAIN, m.SEARCH,
                    m.MTU, m.BROADCAST, m.NTP, m.HOSTNAME, m.VENDOR, m.LEASE_TIME, m.SERVER_ID,
                    m.T1, m.T2))
_TRIES = 4              # of a request, before something else is done: about half a minute
_QUIET = 3              # the discovery with which `on_silence` is called
_LONGEST_WAIT_S = 64    # between discoveries (RFC 2131, 4.1)
_LEAST_WAIT_S = 60      # between requests to renew (4.4.5)
_DECLINED_S = 10        # to wait after an address was in use (3.1)
_PATIENCE = 20          # times 50 ms that a release may wait for the server's MAC address
_CHECK_S = 120          # by when a check has ended, but for want of memory
_ANY = b"\0\0\0\0"


class Dhcp(Alarm):
    """The DHCP client of the interface `ip`, which must be an Ethernet's.

    `client_id` is option 61, by default the MAC address (see `rfc4361`). `state` is one of those
    of dhcpstates.py, `lease` the Lease in effect, None without.

    `on_change()` is called when the address, or what came with it, has changed;
    `on_silence()` when two discoveries in a row were not answered; `on_conflict(mac)` when
    another host claims the address. All are called from within `poll`.
    """

    def __init__(self, ip, hostname="", client_id=None):
        if ip.id.arp is None:
            raise os_error(EOPNOTSUPP)
        Alarm.__init__(self, ip.timers)
        self.ip = ip
        self.stack = ip.stack
        self.mac = ip.id.mac
        self._name = None
        self.set_hostname(hostname)
        self.client_id = client_id or b"\x01" + self.mac
        self.on_change = self.on_silence = self.on_conflict = None
        self.claim = Claim(ip, self._free, self._conflict)
        self.state = IDLE
        self.lease = None
        self.offer = None       # a Lease offered or acknowledged, but not in effect
        self.wanted = _ANY      # the address to ask for
        self.up = False         # whether the link is
        self.xid = bytes(4)
        self.tries = 0          # messages of the present state that were sent
        self.refused = 0        # addresses refused by NAK since the last lease
        self._changed = False   # `on_change` is to be called, once all is in order
        self._since = 0         # the clock's age when the present exchange began
        self._asked = 0         # ticks of the request
        self.count = {
            "tx": 0, "not_for_us": 0, "unexpected": 0, "malformed": 0, "unusable": 0,
            "other_client": 0, "other_server": 0, "offer": 0, "ack": 0, "nak": 0, "decline": 0,
            "expired": 0, "tx_failed": 0, "no_memory": 0,
        }

    # -- from outside -------------------------------------------------------

    def set_hostname(self, name):
        """Tell servers this name from now on, "" none; with a dot it is a fully qualified one."""
        if "." in name:
            # RFC 4702: in DNS's form (E), and the server shall update the name (S).
            self._name = m.FQDN, b"\x05\0\0" + m.name_in_dns_form(name)
        else:
            self._name = (m.HOSTNAME, name.encode()) if name else None

    def start(self, wanted=None):
        """Get an address; `wanted` (4 bytes) is asked for first, as after a reboot."""
        self.timers.now = self.stack.clock()
        if self.state == RELEASING:
            self._idle()
        if self.state != IDLE:
            return
        m.listen(self.stack.udp, m.CLIENT_PORT, self)
        self.wanted = wanted or self.wanted
        self.refused = 0
        self.state = INIT_REBOOT if wanted else INIT
        self.up = True
        self.link_up()

    def stop(self):
        """Give the lease back (RELEASE) and be idle, RELEASING until the server is resolved."""
        if self.state in (IDLE, RELEASING):
            return
        self.timers.now = self.stack.clock()
        self.claim.drop()
        if self.lease is not None and self.up:
            self._once(RELEASING)
            self._act(self.lease)
        else:
            self._idle()

    def inform(self):
        """Ask for everything but an address, which the interface has (RFC 2131, 3.4); once."""
        if not self.ip.addresses:
            raise os_error(EADDRNOTAVAIL)
        self.timers.now = self.stack.clock()
        if self.state == IDLE:
            m.listen(self.stack.udp, m.CLIENT_PORT, self)
            self._begin(INFORMING)

    def link_down(self):
        """The link is lost: nothing is sent, the lease is kept."""
        self.up = False
        if self.state == IDLE:
            return
        if self.state in (RELEASING, INFORMING):
            self._idle()
            return
        self.ip.asking = False
        lease = self.lease
        if lease is not None:
            self.state = INIT_REBOOT
            if lease.time == FOREVER:
                self.timers.cancel(self)
            else:
                self.wait_until(lease.time)
        else:
            self.claim.drop()
            self.state = INIT if self.state in (INIT, SELECTING) else INIT_REBOOT
            self.timers.cancel(self)
        self.offer = None

    def link_up(self):
        """The link is there, perhaps to another network."""
        self.up = True
        if self.state == INIT:
            # RFC 2131, 4.4.1 would have a board wait up to ten seconds, lest many that are
            # switched on together speak at once.
            self._rest(0)
        elif self.state == INIT_REBOOT:
            if self.lease is not None:
                self.wanted = self.lease.addr
            self._begin(REBOOTING)

    @property
    def state_name(self):
        """The state in words."""
        return ROWS[self.state][0]

    # -- time ---------------------------------------------------------------

    def _restart_clock(self):
        """Count from now, unless a lease counts."""
        if self.lease is None or self.lease.time == FOREVER:
            self.clock.restart(self.timers.now)

    def _back_off(self):
        """Wait 4, 8, 16, 32, 64, 64 ... seconds, give or take one (RFC 2131, 4.1)."""
        wait = 2 << self.tries if self.tries < 6 else _LONGEST_WAIT_S
        if wait > _LONGEST_WAIT_S:
            wait = _LONGEST_WAIT_S
        self.wait(wait - 1, between(self.stack.random, 0, 2000))

    def ring(self):
        """The lease has ended, or the wait of the present state."""
        lease = self.lease
        if lease is not None and 0 <= lease.time <= self.clock.age:
            self.count["expired"] += 1
            self._lose()
            if self.up:
                self._rest(0)
        else:
            try:
                self._act(lease)
            except MemoryError:
                self.count["no_memory"] += 1
                self.wait(1)
        self._tell()

    def _tell(self):
        """Last of all, as a user's function may well call `stop`."""
        if self._changed:
            self._changed = False
            tell(self.on_change)

    def _act(self, lease):
        """The wait of the present state is over."""
        state = self.state
        if state == INIT or state == CHECKING:
            self._begin(SELECTING)
        elif state == RELEASING:
            path = self.ip.path(lease.server, 17, lease.addr)
            if path is None or path.hop.ok or self.tries == _PATIENCE:
                self._idle()
            else:
                self.tries += 1
                self.wait(0, 50)
        elif state == INFORMING and self.tries == _TRIES:
            self._idle()
        elif state == SELECTING or state == INFORMING:
            self._send()
            self._back_off()
            if self.tries == _QUIET and state == SELECTING:
                tell(self.on_silence)
        elif state == REQUESTING or state == REBOOTING:
            if self.tries < _TRIES:
                self._send()
                self._back_off()
            elif lease is not None:
                self._hold_on()
            else:
                self._begin(SELECTING)
        elif state == BOUND:
            self._renew(RENEWING)
        elif state == RENEWING and self.clock.age >= lease.t2:
            self._renew(REBINDING)
        elif state == RENEWING or state == REBINDING:
            self._send()
            self._wait_for_renewal()

    # -- out ----------------------------------------------------------------

    def _enter(self, state):
        self.state = state
        self.tries = 0
        self.ip.asking = bool(ROWS[state][6])

    def _once(self, state):
        """Enter a state and send its message, as a new exchange."""
        self.xid = self.stack.random(4)     # first: without memory for it the state stays
        self._enter(state)
        self._restart_clock()
        self._since = self.clock.count(self.timers.now)
        self._send()

    def _begin(self, state):
        """The same for a state that waits for an answer."""
        self._once(state)
        self._back_off()

    def _rest(self, seconds):
        """Begin anew after so long."""
        self._enter(INIT)
        self.offer = None
        self._restart_clock()
        self.wait(seconds)

    def _renew(self, state):
        self._enter(state)
        self._since = self.clock.age
        self._send()
        self._wait_for_renewal()

    def _wait_for_renewal(self):
        """Half of what is left until T2, or until the lease ends, but a minute (4.4.5)."""
        lease = self.lease
        end = lease.t2 if self.state == RENEWING else lease.time
        age = self.clock.age
        self.wait_until(min(age + max(end - age >> 1, _LEAST_WAIT_S), end))

    def _send(self):
        """Send the message of the present state; what fails is repeated in time."""
        self.tries += 1
        try:
            self._send_row(ROWS[self.state])
            self.count["tx"] += 1
        except MemoryError:
            self.count["no_memory"] += 1
        except OSError:
            self.count["tx_failed"] += 1

    def _send_row(self, row):
        _, kind, own, wanted, server, to, _ = row
        lease = self.lease
        if self.state in (RENEWING, REBINDING):
            self.xid = self.stack.random(4)
            self._asked = self.timers.now       # an answer is to this very request
        elif self.tries == 1:
            self._asked = self.timers.now
        message = m.begin(m.REQUEST_OP, kind, self.xid, self.mac)
        secs = min(self.clock.count(self.timers.now) - self._since, 0xFFFF)
        message[m.SECS] = secs >> 8
        message[m.SECS + 1] = secs & 255
        # An answer to the address that we do not have yet is taken; from the third try on, in
        # case it does not get through, one to all is asked for.
        if not own and self.tries > 2:
            message[m.FLAGS] = 0x80
        source = _ANY
        if own:
            source = lease.addr if lease is not None else self.ip.source(_ANY)
            message[m.CIADDR:m.CIADDR + 4] = source
            to = to or lease.server
        self._options(message, kind, wanted, server)
        m.finish(message)
        path = self.ip.path(to, 17, source)
        if path is None:
            raise os_error(ENETUNREACH)
        self.stack.udp.send(path, m.CLIENT_PORT, m.SERVER_PORT, message, 0, len(message))

    def _options(self, message, kind, wanted, server):
        m.put(message, m.CLIENT_ID, self.client_id)
        if wanted and self.wanted != _ANY:
            m.put(message, m.WANTED_ADDRESS, self.wanted)
        if server:
            m.put(message, m.SERVER_ID, (self.offer or self.lease).server)
        if kind == m.DECLINE or kind == m.RELEASE:
            return
        most = min(max(self.ip.id.mtu, 576), m.LONGEST)
        m.put(message, m.MOST, bytes((most >> 8, most & 255)))
        m.put(message, m.VENDOR_CLASS, b"spinet")
        m.put(message, m.WANTED_OPTIONS, _ASKED_FOR)
        if self._name:
            m.put(message, self._name[0], self._name[1])

    # -- in -----------------------------------------------------------------

    def heard(self, buf, start, end):
        """A datagram to our port is `buf[start:end]`."""
        count = self.count
        answers = ROWS[self.state][6]
        if not answers or not m.is_for(buf, start, end, m.REPLY_OP, self.xid, self.mac):
            count["not_for_us"] += 1
            return
        try:
            options = m.parse(buf, start, end)
            if options is None:
                count["malformed"] += 1
            elif options[m.TYPE][0] not in answers:
                count["unexpected"] += 1
            # RFC 6842: who sends the identifier back sends back ours.
            elif options.get(m.CLIENT_ID, self.client_id) != self.client_id:
                count["other_client"] += 1
            elif self._from_another_server(options):
                count["other_server"] += 1
            elif options[m.TYPE][0] == m.NAK:
                count["nak"] += 1
                self._refused()
            else:
                lease = Lease(bytes(buf[start + m.YIADDR:start + m.YIADDR + 4]), options)
                self._answered(lease, options)
        except MemoryError:
            count["no_memory"] += 1
        self._tell()

    def _from_another_server(self, options):
        """Whether the message is not from whom we asked; who is asked all takes any."""
        server = options.get(m.SERVER_ID)
        if self.state == REQUESTING:
            return server != self.offer.server
        if self.state == RENEWING:
            return server is not None and server != self.lease.server
        return False

    def _answered(self, lease, options):
        """An OFFER or ACK that is for us."""
        count = self.count
        state = self.state
        if state == INFORMING:
            count["ack"] += 1
            lease.tell(self.stack)
            self._changed = True
            self._idle()
        elif not lease.usable() or len(lease.server) != 4 or (
                not m.is_host(lease.server) or self._collides(lease.addr)):
            count["unusable"] += 1
        elif state == SELECTING:
            count["offer"] += 1
            self.offer = lease
            self.wanted = lease.addr
            self._enter(REQUESTING)
            self._send()
            self._back_off()
        elif state in (RENEWING, REBINDING) and lease.addr != self.lease.addr:
            count["unusable"] += 1
        else:
            count["ack"] += 1
            same = self.lease is not None and self.lease.addr == lease.addr
            if not same:
                self._lose()
            self.clock.restart(self._asked)
            self._since = 0
            if same:
                self._renewed(lease)
            else:
                self._check(lease)

    def _collides(self, addr):
        """Whether another address of this host's is the same."""
        own = self.lease
        return (own is None or own.addr != addr) and self.ip.is_own(addr, 0)

    # -- the lease ----------------------------------------------------------

    def _check(self, lease):
        self._enter(CHECKING)
        self.offer = lease
        self.wanted = lease.addr
        self.wait(_CHECK_S)
        self.claim.probe(lease.addr)

    def _free(self):
        """Nobody has the address that we were given."""
        lease = self.offer
        if 0 <= lease.time <= self.clock.count(self.timers.now):
            self._rest(0)
            return
        self.offer = None
        self.lease = lease
        self.limit = lease.time
        self.refused = 0
        lease.apply(self.ip)
        self.claim.hold(lease.addr)
        self._bind()
        self._changed = True
        self._tell()

    def _renewed(self, new):
        """The lease in effect goes on."""
        lease = self.lease
        was_lost = self.state == REBOOTING
        changed = lease.settings() != new.settings()
        if changed:
            new.apply(self.ip, lease)
            self.lease = lease = new
        else:
            lease.renew(new)
        self.limit = lease.time
        if was_lost:
            self.claim.use(lease.addr)
        self.refused = 0
        self._bind()
        if changed:
            self._changed = True

    def _bind(self):
        lease = self.lease
        self._enter(BOUND)
        self.clock.count(self.timers.now)
        if lease.time == FOREVER:
            self.timers.cancel(self)
        else:
            self.wait_until(lease.t1)

    def _hold_on(self):
        """Nobody answers after the link was lost: go on as the lease says."""
        lease = self.lease
        self.claim.use(lease.addr)
        if lease.time != FOREVER and self.clock.age >= lease.t2:
            self._renew(REBINDING)
        else:
            self._bind()

    def _refused(self):
        """NAK: the address is not ours (any more)."""
        had = self.lease is not None
        self._lose()
        self.wanted = _ANY
        # At once after a lease, then ever more slowly, so that a confused server is not flooded.
        self._rest(0 if had else min(1 << self.refused, _LONGEST_WAIT_S))
        if self.refused < 6:
            self.refused += 1

    def _conflict(self, mac):
        """Another host claims the address that we check, or have."""
        if self.lease is not None and self.claim.defended:
            tell(self.on_conflict, mac)
            return
        self.count["decline"] += 1
        self.offer = self.offer or self.lease
        self.wanted = self.offer.addr
        self._lose()
        self._once(CHECKING)
        self.wanted = _ANY
        self._rest(_DECLINED_S)
        self._tell()
        tell(self.on_conflict, mac)

    def _lose(self):
        """The lease, if any, is no longer in effect."""
        lease = self.lease
        self.claim.drop()
        if lease is not None:
            self.lease = None
            self.limit = -1
            lease.withdraw(self.ip)
            self._restart_clock()
            self.state = INIT
            self.timers.cancel(self)
            self._changed = True

    def _idle(self):
        self._lose()
        self._enter(IDLE)
        self.offer = None
        self.timers.remove(self)
        m.unlisten(self.stack.udp, m.CLIENT_PORT, self)
        self._tell()


def rfc4361(mac):
    """A client identifier after RFC 4361: the interface, and a DUID made from the MAC address."""
    return b"\xff" + mac[2:] + b"\0\3\0\1" + mac
