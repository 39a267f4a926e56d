"""Which frames a link loses: callables that say of each frame whether it is lost."""


class Random:
    """Each frame with the same chance, `ppm` in a million."""

    def __init__(self, rand, ppm):
        self.rand = rand
        self.ppm = ppm

    def __call__(self, frame):
        return self.rand.chance(self.ppm)


class Gilbert:
    """Bursts (Gilbert 1960): the link is good, or bad and loses `bad` ppm of what it carries.

    Before each frame it turns bad with a chance of `to_bad` ppm, good again with `to_good`.
    """

    def __init__(self, rand, to_bad, to_good, bad=1000000):
        self.rand = rand
        self.to_bad = to_bad
        self.to_good = to_good
        self.bad = bad
        self.is_bad = False

    def __call__(self, frame):
        rand = self.rand
        if rand.chance(self.to_good if self.is_bad else self.to_bad):
            self.is_bad = not self.is_bad
        return self.is_bad and rand.chance(self.bad)


class Nth:
    """The frames with these numbers, counted from 0, of those that `match` (all by default)."""

    def __init__(self, numbers, match=None):
        self.numbers = numbers
        self.match = match
        self.seen = 0

    def __call__(self, frame):
        if self.match and not self.match(frame):
            return False
        self.seen += 1
        return self.seen - 1 in self.numbers


class Either:
    """What one of several would lose."""

    def __init__(self, *losses):
        self.losses = losses

    def __call__(self, frame):
        lost = False
        for loss in self.losses:
            lost = loss(frame) or lost
        return lost


def tcp(frame, flags=0, data=None):
    """A match: TCP on Ethernet with all of `flags` set, with (True) or without (False) data."""
    if len(frame) < 54 or frame[12:14] != b"\x08\0" or frame[23] != 6 or (
            frame[20] & 0x1F or frame[21]):
        return False        # a fragment but the first has no header
    s = 14 + ((frame[14] & 15) << 2)
    p = s + (frame[s + 12] >> 4 << 2)
    has = (frame[16] << 8 | frame[17]) + 14 > p
    return frame[s + 13] & flags == flags and (data is None or data == has)


def syn(frame):
    """A match: SYN or SYN,ACK."""
    return tcp(frame, 2)


def fin(frame):
    """A match: FIN."""
    return tcp(frame, 1)


def pure_ack(frame):
    """A match: an acknowledgement without data, SYN, FIN or RST."""
    return tcp(frame, 16, False) and not tcp(frame, 1) and not tcp(frame, 2) and not tcp(frame, 4)


def data(frame):
    """A match: a segment with data."""
    return tcp(frame, 16, True)
