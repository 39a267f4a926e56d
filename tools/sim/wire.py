"""What must hold of every segment on the wire, whoever sent it: `Wire` is a simulation's tap.

It knows only what it sees: what each end was granted by the segments that
reached the other (damaged ones do not count), and what it then sends.
"""
from spinet.prim import diff32

from sim.check import Broken

SYN = 2
RST = 4
ACK = 16


class Flow:
    """The segments from one end of a connection to the other."""

    def __init__(self, seq):
        self.isn = bytearray(seq)   # of this end
        self.other = None           # the flow the other way
        self.shift = -1             # the window scale that this end offered, -1: none
        self.edge = 0               # how far the other end has let it send, from its isn
        self.most = 0               # how far it has
        self.granted = 0            # the right edge it has itself announced, from the other's isn
        self.beyond = 0             # bytes of probes sent beyond the window


class Wire:
    """Follows all connections; `Broken` if one sends beyond its peer's window.

    `segments` and `bytes` count the TCP segments sent and their data.
    """

    def __init__(self):
        self.flows = {}
        self.segments = self.bytes = 0

    def sent(self, pipe, frame):
        """A frame is being sent into `pipe`."""
        h = 14 if pipe.ethernet else 0
        if h and (frame[12] != 8 or frame[13]) or frame[h + 9] != 6 or not pipe.first:
            return
        n = frame[h + 2] << 8 | frame[h + 3]
        s = h + 20
        p = s + (frame[s + 12] >> 4 << 2)
        n += h - p
        flags = frame[s + 13]
        self.segments += 1
        key = bytes(frame[h + 12:h + 24])
        if flags & SYN:
            self._syn(key, frame, s, p)
        flow = self.flows.get(key)
        if flow is None or flags & RST or n <= 0:
            return
        self.bytes += n
        end = diff32(frame, s + 4, flow.isn, 0) - 1 + n
        if end > flow.most:
            flow.most = end
            if end > flow.edge:
                # A probe is one byte, and none is new until the window opens.
                if n > 1 or end > flow.edge + 1:
                    raise Broken("%d bytes up to %d were sent into a window up to %d" % (
                        n, end, flow.edge))
                flow.beyond += 1

    def _syn(self, key, frame, s, p):
        flow = self.flows.get(key)
        seq = frame[s + 4:s + 8]
        if flow is not None and flow.isn == seq:
            return
        self.flows[key] = flow = Flow(seq)
        at = s + 20
        while at < p and frame[at]:
            if frame[at] == 3:
                flow.shift = min(frame[at + 2], 14)
            at += 1 if frame[at] == 1 else frame[at + 1]
        there = self.flows.get(key[4:8] + key[:4] + key[10:12] + key[8:10])
        if there is not None:
            flow.other = there
            there.other = flow

    def got(self, pipe, frame):
        """A frame is about to reach the end of `pipe` unharmed."""
        h = 14 if pipe.ethernet else 0
        if h and (frame[12] != 8 or frame[13]) or frame[h + 9] != 6 or not pipe.last:
            return
        if frame[h + 6] & 31 or frame[h + 7]:
            return      # not the first fragment
        flow = self.flows.get(bytes(frame[h + 12:h + 24]))
        s = h + 20
        flags = frame[s + 13]
        if flow is None or flow.other is None or not flags & ACK or flags & RST:
            if flow is not None and flow.other is not None and flags & SYN:
                wnd = frame[s + 14] << 8 | frame[s + 15]
                if wnd > flow.other.edge:
                    flow.other.edge = wnd
            return
        other = flow.other
        wnd = frame[s + 14] << 8 | frame[s + 15]
        if flow.shift > 0 and other.shift >= 0 and not flags & SYN:
            wnd <<= flow.shift
        edge = diff32(frame, s + 8, other.isn, 0) - 1 + wnd
        if edge > other.edge:
            other.edge = edge

    def lost(self, pipe, frame, why):
        """A frame was dropped or damaged."""
