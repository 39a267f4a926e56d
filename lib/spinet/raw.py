"""Raw sockets: whole IPv4 packets of one protocol in, payloads out."""
from spinet.dgram import Datagrams
from spinet.errors import EACCES, EAGAIN, EDESTADDRREQ, ENETUNREACH, os_error
from spinet.prim import BUFFER, eq4


class RawEndpoint(Datagrams):
    """Gets a copy of every packet of protocol `proto`; ports play no part."""

    port = remote_port = 0

    def __init__(self, raw, proto, rcvbuf):
        Datagrams.__init__(self, rcvbuf)
        self.raw = raw
        self.proto = proto
        self.addr = self.remote = None
        self.reuse = self.broadcast = self.df = False
        self.ttl = 64
        self.tos = 0
        self.error = 0

    def bind(self, addr, port=0):
        """Take packets to `addr` only."""
        self.addr = addr

    def connect(self, addr, port=0):
        """Exchange packets with `addr` only; None undoes it."""
        self.remote = addr and bytes(addr)

    def repath(self):
        """An option that packets carry has changed."""

    def send(self, buf, start, end):
        """Send `buf[start:end]` to the connected peer; its length."""
        if self.remote is None:
            raise os_error(EDESTADDRREQ)
        return self.sendto(buf, start, end, self.remote, 0)

    def sendto(self, buf, start, end, addr, port=0):
        """Send `buf[start:end]`, checksum included, to `addr`; its length."""
        path = self.raw.stack.path(bytes(addr), self.proto, self.addr, self.ttl, self.tos, self.df)
        if path is None:
            raise os_error(ENETUNREACH)
        if path.hop is path.ip.id.broadcast and path.ip.id.arp and not self.broadcast:
            raise os_error(EACCES)
        if not path.send_large(buf, start, end):
            raise os_error(EAGAIN)
        self.raw.count["tx"] += 1
        return end - start

    def close(self):
        """Take nothing any more; idempotent."""
        if self in self.raw.endpoints:
            self.raw.endpoints.remove(self)


class Raw:
    """The raw endpoints of one stack."""

    def __init__(self, stack):
        self.stack = stack
        self.endpoints = []
        self.count = {"rx": 0, "tx": 0, "queue_full": 0}

    def endpoint(self, proto, rcvbuf=0):
        """A new endpoint for protocol `proto`."""
        e = RawEndpoint(self, proto, rcvbuf or BUFFER)
        self.endpoints.append(e)
        return e

    def input(self, ip, buf, h, start, end):
        """A packet `buf[h:end]` of some protocol has come."""
        for e in self.endpoints:
            if e.proto == buf[h + 9] and (e.remote is None or eq4(buf, h + 12, e.remote, 0)) and (
                    e.addr is None or eq4(buf, h + 16, e.addr, 0)):
                if e.push(buf, h, h, end, 0, 0):
                    self.count["rx"] += 1
                else:
                    self.count["queue_full"] += 1
