"""IGMPv3 (RFC 9776) for a host: the groups that sockets are in, with source filters.

    s.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, inet_aton("239.1.2.3") + inet_aton("0.0.0.0"))

imports it.  A `Membership` is what one endpoint wants of one group on one interface; what all of
them want together is the state of a `Group` (igmpside.py), which is what routers are told.
"""
from spinet.errors import EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV, os_error
from spinet.igmpside import (
    ALL_HOSTS, ANY, MERGED, PROTO, QUERY, REPORT_V1, REPORT_V2, SOURCES, Side,
)
from spinet.prim import MANY, cksum, eq4
from spinet.service import public


class Membership:
    """That an endpoint is in `group` (4 bytes) on the interface `ip`.

    It takes datagrams from all hosts but `sources` if `exclude`, else from `sources` only.
    """

    def __init__(self, ip, group, exclude):
        self.ip = ip
        self.group = group
        self.exclude = exclude
        self.sources = []

    def wants(self, buf, i):
        """Whether a datagram from the address at `buf[i]` is wanted."""
        for source in self.sources:
            if eq4(buf, i, source, 0):
                return not self.exclude
        return self.exclude


class Igmp:
    """IGMP of one stack."""

    def __init__(self, stack):
        public(Igmp, "join", "leave", "block", "forget")
        self.stack = stack
        self.sides = []
        r = stack.random(2)
        self._seed = r[0] << 8 | r[1]
        self.count = {
            "rx": 0, "runt": 0, "bad_checksum": 0, "bad_ttl": 0, "malformed": 0, "ignored": 0,
            "no_memory": 0, "tx": 0, "port_busy": 0,
        }
        stack.protocols[PROTO] = self

    def below(self, ms):
        """A number below `ms`, at random enough for hosts not to answer all at once."""
        self._seed = seed = (self._seed * 75 + 74) % 65537
        if ms < 16384:
            return (seed >> 1) * ms >> 15
        return (seed >> 6) * (ms >> 10)

    def input(self, ip, buf, h, s, end):
        """A message `buf[s:end]` whose IPv4 header begins at `buf[h]`."""
        count = self.count
        if end - s < 8:
            count["runt"] += 1
        elif cksum(buf, s, end) != 0xFFFF:
            count["bad_checksum"] += 1
        elif buf[h + 8] != 1:
            count["bad_ttl"] += 1       # from beyond the link
        elif buf[s] == QUERY:
            try:
                count["rx" if self.side(ip).query(buf, s, end) else "malformed"] += 1
            except MemoryError:
                count["no_memory"] += 1
        elif buf[s] == REPORT_V1 or buf[s] == REPORT_V2:
            count["rx"] += 1
            self.side(ip).heard(buf, s)
        else:
            count["ignored"] += 1

    def error(self, ip, type, code, info, buf, h, s, end):
        """An ICMP error about a message of ours: nobody waits for it."""

    def side(self, ip):
        """The state of one interface."""
        for side in self.sides:
            if side.ip is ip:
                return side
        side = Side(self, ip)
        self.sides.append(side)
        return side

    def interface(self, group, addr=ANY):
        """The interface that has the address `addr`; if any will do, that of the route."""
        for ip in self.stack.interfaces:
            if addr != ANY and ip.is_own(addr, 0):
                return ip
        if addr == ANY:
            path = self.stack.path(group, 17)
            if path is not None:
                return path.ip
            for ip in self.stack.interfaces:
                if not ip.id.loopback:
                    return ip
        raise os_error(ENODEV)

    # -- memberships --------------------------------------------------------

    def find(self, endpoint, ip, group):
        """The membership of an endpoint, or None."""
        for m in endpoint.groups:
            if m.group == group and m.ip is ip:
                return m
        return None

    def join(self, endpoint, ip, group, source=None):
        """Put an endpoint into a group; with `source`, add this one to those it hears."""
        if not 224 <= group[0] < 240:
            raise os_error(EINVAL)
        m = self.find(endpoint, ip, group)
        if m is None:
            if len(endpoint.groups) >= MANY:
                raise os_error(ENOBUFS)
            state = self.side(ip).group(group)
            m = Membership(ip, group, source is None)
            state.members.append(m)
            if len(state.members) == 1:
                ip.groups.append(group)
                self.stack.lo.groups.append(group)
                ip.id.join(state.hop.mac)
            endpoint.groups = list(endpoint.groups) + [m]
        elif source is None:
            raise os_error(EADDRINUSE)
        elif m.exclude:
            raise os_error(EINVAL)
        if source is not None:
            try:
                self._add(m, source)
            except OSError:
                if not m.sources:
                    self.leave(endpoint, ip, group)
                raise
        self._update(m)

    def leave(self, endpoint, ip, group, source=None):
        """Take an endpoint out of a group, or `source` from those it hears."""
        m = self.find(endpoint, ip, group)
        if m is None:
            raise os_error(EADDRNOTAVAIL)
        if source is not None:
            if m.exclude:
                raise os_error(EINVAL)
            self._take(m, source)
        if source is None or not m.sources:
            endpoint.groups = [other for other in endpoint.groups if other is not m]
            state = self.side(ip).group(group)
            state.members.remove(m)
            if not state.members:
                ip.groups.remove(group)
                self.stack.lo.groups.remove(group)
                ip.id.leave(state.hop.mac)
                state.answer.cancel()
                if group == ALL_HOSTS:
                    state.side.gone(state)
        self._update(m)

    def block(self, endpoint, ip, group, source, blocked):
        """Of a group that is heard from all: do not hear `source`, or do so again."""
        m = self.find(endpoint, ip, group)
        if m is None or not m.exclude:
            raise os_error(EINVAL)
        if blocked:
            self._add(m, source)
        else:
            self._take(m, source)
        self._update(m)

    def _add(self, m, source):
        if source in m.sources:
            raise os_error(EADDRNOTAVAIL)
        if len(m.sources) >= SOURCES or not m.exclude and len(
                self.side(m.ip).group(m.group).merge()[1]) >= MERGED:
            raise os_error(ENOBUFS)
        m.sources.append(source)

    def _take(self, m, source):
        if source not in m.sources:
            raise os_error(EADDRNOTAVAIL)
        m.sources.remove(source)

    def _update(self, m):
        if m.group != ALL_HOSTS:        # RFC 9776, 6: nobody is told of this one
            self.stack.timers.now = self.stack.clock()
            self.side(m.ip).group(m.group).update()

    def forget(self, endpoint):
        """The endpoint is closed: it is in no group any more."""
        for m in list(endpoint.groups):
            self.leave(endpoint, m.ip, m.group)

    def close(self):
        """Leave all groups."""
        for side in self.sides:
            for timer in (side,) + side.older:
                self.stack.timers.remove(timer)
            for group in list(side.groups):
                side.gone(group)


def igmp(stack):
    """IGMP of `stack`, begun when first asked for."""
    found = stack.services.get("igmp")
    if found is None:
        found = stack.services["igmp"] = Igmp(stack)
    return found
