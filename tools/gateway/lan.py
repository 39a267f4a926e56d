"""Several boards and the gateway on one switch: links in UDP datagrams, a port for the gateway.

    lan = Lan([(our_port, board_port), ...])        # of 127.0.0.1
    gateway = Gateway(lan)

The switch learns which station is at which link (in a table of fixed size), and repeats
broadcasts, multicasts and what it does not know to all others.  It works while the gateway takes
frames: `recv` carries what boards send each other on the way.
"""
from spinet.ports.datagram import Datagram
from spinet.ports.wire import Switch

TURN = 64           # frames carried in one call, at most: the gateway has other work
SLOTS = 64          # frames that wait for the gateway
STATIONS = 256


class Lan:
    """A port for the gateway.  `record` is a Recorder for everything, `records` has a Recorder or
    None for each link; they are closed with it."""

    pads = False
    medium = "ethernet"

    def __init__(self, links, mtu=1500, record=None, records=None, names=None):
        self.mtu = mtu
        self.switch = Switch(mtu, SLOTS, STATIONS)
        self.own = self.switch.port()
        self.mac = self.own.mac
        self.links = []
        self.frame = bytearray(mtu + 18)
        self.view = memoryview(self.frame)
        self.record = record
        self.records = records or [None] * len(links)
        self.names = names or ["board%d" % (i + 1) for i in range(len(links))]
        self.turn = 0
        try:
            for our_port, board_port in links:
                self.links.append(Datagram(("127.0.0.1", our_port), ("127.0.0.1", board_port),
                                           mtu=mtu))
        except OSError:
            self.close()
            raise
        self.cables = [self.cable(i) for i in range(len(links))]

    def cable(self, i):
        """The switch's port for link `i`: what comes to it leaves at once."""
        port = self.switch.port()
        link = self.links[i]
        record = self.records[i]
        frame = bytearray(len(self.frame))
        view = memoryview(frame)

        def deliver():
            n = port.recv(frame)
            while n:
                if record:
                    record.frame("to " + self.names[i], view[:n])
                link.send(frame, n)
                n = port.recv(frame)

        port.on_frame = deliver
        return port

    def recv(self, buf):
        """Take the next frame for the gateway into `buf`; its length, 0 if none waits."""
        n = self.own.recv(buf)
        links = self.links
        idle = 0
        for _ in range(TURN):
            if n or idle >= len(links):
                break
            # From each link in turn, so that none can keep the others out.
            i = self.turn = (self.turn + 1) % len(links)
            got = links[i].recv(self.frame)
            if not got:
                idle += 1
                continue
            idle = 0
            if self.record:
                self.record.frame(self.names[i], self.view[:got])
            if self.records[i]:
                self.records[i].frame("from " + self.names[i], self.view[:got])
            self.cables[i].send(self.frame, got)
            n = self.own.recv(buf)
        return n

    def send(self, buf, n):
        """Send the frame buf[0:n] of the gateway."""
        if self.record:
            self.record.frame("gateway", memoryview(buf)[:n])
        return self.own.send(buf, n)

    def link(self):
        """True until `close`."""
        return self.own.plugged

    def filenos(self):
        """The descriptors at which something may come."""
        return [link.fileno() for link in self.links]

    def fileno(self):
        """-1: there are several, see `filenos`."""
        return -1

    def close(self):
        """Close links and records.  Idempotent."""
        self.own.plugged = False
        for link in self.links:
            link.close()
        for record in [self.record, *self.records]:
            if record:
                record.close()
