"""What is written down of a run: taps, which see each frame at its way into a pipe, at its end,
and where it is lost."""
import struct
from hashlib import sha256

FLAGS = "FSRPAU"


class Taps:
    """Several taps as one."""

    def __init__(self, *taps):
        self.taps = taps

    def sent(self, pipe, frame):
        for tap in self.taps:
            tap.sent(pipe, frame)

    def got(self, pipe, frame):
        for tap in self.taps:
            tap.got(pipe, frame)

    def lost(self, pipe, frame, why):
        for tap in self.taps:
            tap.lost(pipe, frame, why)


class Digest:
    """A digest of all frames with their times and places: equal for equal runs only."""

    def __init__(self):
        self._hash = sha256()

    def sent(self, pipe, frame):
        now = pipe.sim.now
        self._hash.update(struct.pack("<II", now >> 20, now & 0xFFFFF))
        self._hash.update(pipe.name.encode())
        self._hash.update(frame)

    got = sent

    def lost(self, pipe, frame, why):
        self._hash.update(why.encode())

    def hex(self):
        """The digest of all so far; ends it."""
        return "".join(["%02x" % b for b in self._hash.digest()])


class Trace:
    """The last `size` things that happened to frames, as lines of text."""

    def __init__(self, size=200):
        self.size = size
        self._kept = []
        self._isn = {}

    def _note(self, pipe, frame, what):
        kept = self._kept
        kept.append((pipe.sim.now, pipe.name, pipe.ethernet, what, bytes(frame)))
        if len(kept) > 2 * self.size:
            self._kept = kept[-self.size:]

    def sent(self, pipe, frame):
        # Sequence numbers are shown from the first that each end has used.
        h = 14 if pipe.ethernet else 0
        if _is_tcp(frame, h) and frame[h + 33] & 2:
            self._isn[bytes(frame[h + 12:h + 24])] = _u32(frame, h + 24)
        self._note(pipe, frame, "sent")

    def got(self, pipe, frame):
        self._note(pipe, frame, "got")

    def lost(self, pipe, frame, why):
        self._note(pipe, frame, "LOST " + why)

    def watch(self, host):
        """Note the changes of state of the host's connections too."""
        def changed(event, c, before, after):
            self._kept.append((host.sim.now, host.name, None, "%d %s -> %s" % (
                c.lport(), before, after), b""))

        host.stack.tcp.trace = changed

    def lines(self):
        """The lines, oldest first."""
        return [self._line(*entry) for entry in self._kept[-self.size:]]

    def _line(self, now, name, ethernet, what, frame):
        text = "%4d.%06d %-14s %-14s " % (now // 1000000, now % 1000000, name, what)
        if ethernet is None:
            return text
        return text + summary(frame, 14 if ethernet else 0, self._isn)


def _is_tcp(frame, h):
    return len(frame) >= h + 40 and (not h or frame[12] == 8 and not frame[13]) and (
        frame[h] == 0x45 and frame[h + 9] == 6 and not frame[h + 6] & 0x3F)


def _u32(b, i):
    return b[i] << 24 | b[i + 1] << 16 | b[i + 2] << 8 | b[i + 3]


def summary(frame, h=14, isn=None):
    """One line about a frame whose IPv4 header begins at `frame[h]`; numbers relative to `isn`."""
    if h and bytes(frame[12:14]) == b"\x08\x06":
        return "ARP %s" % ("?", "who has", "is at")[min(frame[21], 2)]
    if not _is_tcp(frame, h):
        return "protocol %d, %d bytes" % (frame[h + 9], len(frame) - h)
    key = bytes(frame[h + 12:h + 24])
    s = h + 20
    p = min(s + (frame[s + 12] >> 4 << 2), len(frame))
    n = h + (frame[h + 2] << 8 | frame[h + 3]) - p
    flags = "".join([FLAGS[i] for i in range(6) if frame[s + 13] >> i & 1])
    isn = isn or {}
    seq = _u32(frame, s + 4) - isn.get(key, 0) & 0xFFFFFFFF
    text = "%d>%d %-3s %d:%d(%d)" % (frame[s] << 8 | frame[s + 1], frame[s + 2] << 8 | frame[s + 3],
                                     flags, seq, seq + n, n)
    if frame[s + 13] & 16:
        back = key[4:8] + key[:4] + key[10:12] + key[8:10]
        text += " ack %d" % (_u32(frame, s + 8) - isn.get(back, 0) & 0xFFFFFFFF)
    else:
        back = None
    text += " win %d" % (frame[s + 14] << 8 | frame[s + 15])
    i = s + 20
    while i + 1 < p and frame[i]:
        if frame[i] == 1:
            i += 1
            continue
        kind, size = frame[i], frame[i + 1]
        if size < 2 or i + size > p:
            return text + " ..."    # damaged
        if kind == 5 and back:
            base = isn.get(back, 0)
            for k in range(i + 2, i + size - 7, 8):
                text += " sack %d-%d" % (_u32(frame, k) - base & 0xFFFFFFFF,
                                         _u32(frame, k + 4) - base & 0xFFFFFFFF)
        elif kind == 8 and size == 10:
            text += " ts %d/%d" % (_u32(frame, i + 2) & 0xFFFFFF, _u32(frame, i + 6) & 0xFFFFFF)
        elif kind == 2 and size == 4:
            text += " mss %d" % (frame[i + 2] << 8 | frame[i + 3])
        elif kind == 3 and size == 3:
            text += " wscale %d" % frame[i + 2]
        elif kind == 4:
            text += " sackOK"
        i += size
    return text


class Capture:
    """A pcap of every frame that is sent into `pipes` (all by default), with the virtual time."""

    def __init__(self, file, medium="ethernet", pipes=None):
        self.file = file
        self.pipes = pipes
        self.medium = medium
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535,
                               1 if medium == "ethernet" else 101))

    def sent(self, pipe, frame):
        if (self.pipes is None or pipe in self.pipes) and pipe.ethernet == (
                self.medium == "ethernet"):
            now = pipe.sim.now
            n = len(frame)
            self.file.write(struct.pack("<IIII", now // 1000000, now % 1000000, n, n))
            self.file.write(frame)

    def got(self, pipe, frame):
        pass

    def lost(self, pipe, frame, why):
        pass
