"""ARP (RFC 826): which MAC address has an IPv4 address of the network.

A neighbour is unresolved until its answer comes: frames for it wait, at most
four, and it is asked once a second, three times, as RFC 1122, 2.3.2.1 wants.
Then the senders of what waits are told (host unreachable), and it is left
alone for a second.  A resolved one that is in use is asked again, by unicast,
before its entry grows old (RFC 1122, 2.3.2.1, method 2); one that is not is
forgotten.

Only packets that are meant for us teach us anything: a request for one of our
addresses, an answer to us; an announcement changes what is known already.
"""
from spinet.prim import MANY, copy, eq4, eq6, ticks_diff
from spinet.timers import Timer

BROADCAST = b"\xff\xff\xff\xff\xff\xff"
TRIES = 3
RETRY_MS = 1000
REACHABLE_MS = 60000
_WAITING = 4        # frames that wait for a neighbour

# States of a neighbour.
FREE = 0            # not in the table
UNRESOLVED = 1      # asked for, frames may wait
REACHABLE = 2
PROBED = 3          # reachable until proved otherwise: asked again
SILENT = 4          # did not answer: not asked again yet


class Neighbour(Timer):
    """A host of the network: `addr` (4 bytes), `mac`, and `ok` while `mac` may be used.

    Whoever keeps one may send through it for as long as he likes: one that
    was dropped from the table enters it again when it is used.
    """

    def __init__(self, arp, addr, mac=None):
        Timer.__init__(self)
        self.arp = arp
        self.addr = addr
        self.mac = bytearray(mac or 6)
        self.ok = mac is not None
        self.used = False
        self.state = FREE
        self.tries = 0
        self.seen = 0
        self.queue = []

    def expire(self, now):
        """The timer of the present state has expired."""
        self.arp.expired(self)


class Arp:
    """ARP on one Ethernet link.

    `claims` are the addresses that we have, or are about to take, and watch over (acd.py).
    """

    def __init__(self, link):
        self.link = link
        self.timers = link.timers
        self.table = {}
        self.most = MANY >> 2
        self.claims = []
        self._out = bytearray(64)
        self.count = {
            "rx_request": 0, "rx_reply": 0, "tx_request": 0, "tx_reply": 0, "malformed": 0,
            "not_for_us": 0, "bad_sender": 0, "conflict": 0, "queue_full": 0, "unreachable": 0,
            "evicted": 0, "no_memory": 0,
        }

    # -- from IPv4 ----------------------------------------------------------

    def hop(self, addr):
        """The neighbour with the address `addr` (4 bytes); made if it is not known."""
        hop = self.table.get(_key(addr, 0))
        if hop is not None and hop.addr == addr:
            return hop
        hop = Neighbour(self, bytes(addr))
        self._enter(hop)
        return hop

    def hold(self, hop, n):
        """Keep a copy of the frame in the link's `tx` for an unresolved neighbour; ask for it."""
        if hop.state == FREE:
            if self.table.get(_key(hop.addr, 0)) is not hop:
                self._enter(hop)
            hop.state = UNRESOLVED
            hop.tries = 0
            self._ask(hop)
        link = self.link
        try:
            queue = hop.queue
            if len(queue) >= _WAITING:
                queue.pop(0)
                self.count["queue_full"] += 1
            # With room to be padded in.
            frame = bytearray(max(link.header_len + n, 60))
            copy(frame, 0, link.tx, 0, link.header_len + n)
            queue.append(frame)
        except MemoryError:
            self.count["no_memory"] += 1
        return True

    def announce(self, addr):
        """Gratuitous ARP for our address `addr` (4 bytes) (RFC 5227, 2.3)."""
        self._send(1, BROADCAST, addr, addr)

    def probe(self, addr):
        """Ask whether anybody has `addr` (4 bytes), without claiming it (RFC 5227, 2.1)."""
        self._send(1, BROADCAST, b"\0\0\0\0", addr)

    # -- from the network ---------------------------------------------------

    def input(self, buf, p, end):
        """An ARP packet at `buf[p:end]`."""
        count = self.count
        op = buf[p + 7] if end - p >= 28 else 0
        if (not 1 <= op <= 2 or buf[p] or buf[p + 1] != 1 or buf[p + 2] != 8 or buf[p + 3]
                or buf[p + 4] != 6 or buf[p + 5] != 4 or buf[p + 6]):
            count["malformed"] += 1
            return
        count["rx_request" if op == 1 else "rx_reply"] += 1
        if buf[p + 8] & 1 or buf[p + 14] >= 224 or buf[p + 14] == 127:
            count["bad_sender"] += 1
            return
        ip = self.link.ip
        if ip is None or eq6(buf, p + 8, self.link.mac, 0):
            count["not_for_us"] += 1    # our own, come back
            return
        if self._contested(buf, p) or ip.is_own(buf, p + 14):
            count["conflict"] += 1
            return
        for_us = ip.is_own(buf, p + 24)
        hop = self.table.get(_key(buf, p + 14))
        if hop is not None and eq4(buf, p + 14, hop.addr, 0):
            if for_us or eq4(buf, p + 14, buf, p + 24):
                self._learn(hop, buf, p + 8)
        elif for_us and op == 1 and buf[p + 14] and ip.on_link(buf, p + 14):
            try:
                hop = Neighbour(self, bytes(buf[p + 14:p + 18]))
                self._enter(hop)
                self._learn(hop, buf, p + 8)
            except MemoryError:
                count["no_memory"] += 1
        if not for_us:
            count["not_for_us"] += 1
        elif op == 1:
            out = self._out
            # What they asked for is our address, and where they are is the target.
            self._fill(2, buf, p + 8, buf, p + 24, buf, p + 14)
            if _link_local(buf, p + 24):
                copy(out, 0, BROADCAST, 0, 6)
            count["tx_reply"] += 1
            self.link.send(out, self.link.header_len + 28)

    def _contested(self, buf, p):
        """Whether another host claims what we claim too."""
        for claim in self.claims:
            if claim.heard(buf, p):
                return True
        return False

    def _learn(self, hop, buf, i):
        """The neighbour has the MAC address at `buf[i]`: send what waited for it."""
        copy(hop.mac, 0, buf, i, 6)
        hop.ok = True
        hop.state = REACHABLE
        hop.used = False
        hop.seen = self.timers.now
        self.timers.arm(hop, REACHABLE_MS)
        queue = hop.queue
        while queue:
            frame = queue.pop(0)
            n = len(frame)
            copy(frame, 0, hop.mac, 0, 6)
            self.link.send(frame, n)
        self.link.ip.alive(hop)

    # -- timers -------------------------------------------------------------

    def expired(self, hop):
        """The timer of a neighbour's state has expired."""
        state = hop.state
        if state == UNRESOLVED:
            if hop.tries < TRIES:
                self._ask(hop)
            else:
                self._fail(hop)
        elif state == REACHABLE:
            if hop.used:
                hop.state = PROBED
                hop.tries = 0
                self._ask(hop)
            else:
                self._drop(hop)
        elif state == PROBED:
            if hop.tries < TRIES:
                self._ask(hop)
            else:
                hop.ok = False
                self._fail(hop)
        elif hop.queue:
            hop.state = UNRESOLVED
            hop.tries = 0
            self._ask(hop)
        else:
            self._drop(hop)

    def _ask(self, hop):
        hop.tries += 1
        source = self.link.ip.source(hop.addr)
        self._send(1, hop.mac if hop.state == PROBED and not _link_local(source, 0) else BROADCAST,
                   source, hop.addr)
        self.timers.arm(hop, RETRY_MS)

    def _fail(self, hop):
        """No answer: tell whoever waits, and let the neighbour be for a while."""
        hop.state = SILENT
        self.timers.arm(hop, RETRY_MS)
        ip = self.link.ip
        ip.dead(hop)
        queue = hop.queue
        hop.queue = []
        for frame in queue:
            self.count["unreachable"] += 1
            h = self.link.header_len
            ip.unreachable(frame, h, h + (frame[h + 2] << 8 | frame[h + 3]))

    # -- the table ----------------------------------------------------------

    def _enter(self, hop):
        key = _key(hop.addr, 0)
        other = self.table.get(key)
        if other is None and len(self.table) >= self.most:
            other = self._oldest()
        if other is not None:
            self.count["evicted"] += 1
            self._drop(other)
        self.table[key] = hop

    def _oldest(self):
        oldest = None
        now = self.timers.now
        for key in self.table:
            hop = self.table[key]
            if hop.state in (FREE, UNRESOLVED, SILENT):
                return hop
            if oldest is None or ticks_diff(now, hop.seen) > ticks_diff(now, oldest.seen):
                oldest = hop
        return oldest

    def _drop(self, hop):
        self.timers.remove(hop)
        hop.state = FREE
        hop.ok = False
        hop.queue = []
        key = _key(hop.addr, 0)
        if self.table.get(key) is hop:
            del self.table[key]

    def clear(self):
        """Forget every neighbour."""
        for hop in list(self.table.values()):
            self._drop(hop)

    # -- packets ------------------------------------------------------------

    def _send(self, op, mac, source, target):
        self.count["tx_request" if op == 1 else "tx_reply"] += 1
        self._fill(op, mac, 0, source, 0, target, 0)
        self.link.send(self._out, self.link.header_len + 28)

    def _fill(self, op, mac, i, source, j, target, k):
        """A packet to `mac[i:]`, from our address `source[j:]`, about or to `target[k:]`."""
        out = self._out
        link = self.link
        p = link.header_len
        copy(out, 0, mac, i, 6)
        if not out[p - 2]:
            link.fill_header(out, 0x0806)
            copy(out, p, b"\0\1\x08\0\6\4\0", 0, 7)
            copy(out, p + 8, link.mac, 0, 6)
        out[p + 7] = op
        copy(out, p + 14, source, j, 4)
        if op == 1:
            copy(out, p + 18, b"\0\0\0\0\0\0", 0, 6)
        else:
            copy(out, p + 18, mac, i, 6)
        copy(out, p + 24, target, k, 4)


def _link_local(buf, i):
    """Whether the sender's address at `buf[i]` makes an ARP packet one to all (RFC 3927, 2.5)."""
    return buf[i] == 169 and buf[i + 1] == 254


def _key(buf, i):
    """A small integer that is different for all addresses of one network."""
    return buf[i] << 22 ^ buf[i + 1] << 16 ^ buf[i + 2] << 8 ^ buf[i + 3]
