"""Ports, and what lies between two of them: a cable, made of a pipe each way.

A pipe sends one frame after the other at its rate (those that wait are its
queue, of so many bytes; what does not fit is dropped at the tail), and each
arrives after the delay.  Faults come in this order: link down, loss,
corruption, jitter, reordering, duplication.  What is lost has used the line.

All shares are in millionths (ppm), all times in microseconds.
"""
from spinet.prim import cksum


class Port:
    """A host's network interface.  `out` is the pipe that it sends into."""

    pads = True
    pollable = None
    plugged = True

    def __init__(self, host, mac, mtu, medium):
        self.host = host
        self.mac = mac
        self.mtu = mtu
        self.medium = medium
        self.count = {}
        self.out = None
        self._waiting = []

    def recv(self, buf):
        """Take the next frame into `buf`; its length, 0: none waits."""
        if not self._waiting:
            return 0
        frame = self._waiting.pop(0)
        n = len(frame)
        buf[:n] = frame
        return n

    def send(self, buf, n):
        """Send the frame `buf[:n]`; False if the port is busy."""
        out = self.out
        if out.holds and out.full():
            out.sim.at(out.free, self.host.poll, None)
            return False
        out.carry(bytearray(buf[:n]))    # a slice of a memoryview is no copy
        return True

    def arrive(self, frame):
        """A frame has come down the cable."""
        self._waiting.append(frame)
        self.host.poll()

    def link(self):
        """Whether there is a cable that works."""
        return self.plugged

    def close(self):
        """The port carries nothing any more."""
        self._waiting = []


class Pipe:
    """One direction of a cable, which ends in `sink(frame)`.

    rate        bits per second, 0: frames take no time
    delay_us    from the last bit sent to the last bit received
    jitter_us   up to so much more, without change of order
    queue       bytes that may wait, 0: any number
    mark        from so many on, packets of ECN's are marked (RFC 3168, 5), 0: none is
    loss        what of it is lost (`loss.py`): a callable, True for a frame that is
    corrupt     share of IPv4 packets in which a bit is inverted
    reorder     share of frames that come up to `reorder_us` late and let others pass
    duplicate   share that come twice, the second up to `duplicate_us` later
    down        intervals [(from, to), ...] in which nothing passes
    holds       a full queue makes the port busy, instead of dropping
    """

    def __init__(self, sim, sink, rate=0, delay_us=0, jitter_us=0, queue=0, loss=None, corrupt=0,
                 reorder=0, reorder_us=3000, duplicate=0, duplicate_us=3000, down=(), holds=False,
                 mark=0, medium="ethernet"):
        self.sim = sim
        self.sink = sink
        self.rate = rate
        self.delay = delay_us
        self.jitter = jitter_us
        self.loss = loss
        self.corrupt = corrupt
        self.reorder = reorder
        self.reorder_us = reorder_us
        self.duplicate = duplicate
        self.duplicate_us = duplicate_us
        self.down = down
        self.holds = holds and rate and queue
        self.name = ""
        self.first = self.last = True   # whether it begins, and ends, at a host
        self.ethernet = medium == "ethernet"
        self.rand = sim.rand.fork()
        # Of one byte, in 1024ths of a microsecond.
        self._byte = (8 * 1024 * 1000000 + rate - 1) // rate if rate else 0
        self._queue = queue * self._byte >> 10      # as time on the line
        self._mark = mark * self._byte >> 10
        self.drops = self._queue and not self.holds
        self._faulty = bool(loss or corrupt or reorder or duplicate or down or jitter_us)
        self.free = 0       # when the line has sent all that it was given
        self._last = 0      # when the latest frame in order arrives
        self.frames = self.bytes = 0
        self.dropped = {"queue": 0, "loss": 0, "down": 0}

    def lose(self, loss):
        """From now on what `loss` says is lost."""
        self.loss = loss
        self._faulty = True

    def full(self):
        """Whether another frame would find no place in the queue."""
        return self._queue and self.free - self.sim.now > self._queue

    def carry(self, frame):
        """Take a frame from the sender."""
        sim = self.sim
        self.frames += 1
        self.bytes += len(frame)
        due = sim.now
        if sim.tap:
            sim.tap.sent(self, frame)
        if self._byte:
            free = self.free
            if free > due:
                if self._queue and free - due > self._queue:
                    self._drop("queue", frame)
                    return
                if self._mark and free - due > self._mark:
                    frame = _marked(frame, 14 if self.ethernet else 0)
                due = free
            self.free = due = due + (len(frame) * self._byte >> 10)
        due += self.delay
        if self._faulty:
            self._mistreat(frame, due)
        else:
            sim.at(due, self._deliver, frame)

    def _drop(self, why, frame):
        self.dropped[why] += 1
        if self.sim.tap:
            self.sim.tap.lost(self, frame, why)

    def _mistreat(self, frame, due):
        sim = self.sim
        rand = self.rand
        for start, end in self.down:
            if start <= sim.now < end:
                self._drop("down", frame)
                return
        if self.loss and self.loss(frame):
            self._drop("loss", frame)
            return
        deliver = self._deliver
        if self.corrupt and rand.chance(self.corrupt):
            # ARP has no checksum: it is left alone.
            first = 14 if self.ethernet else 0
            if not first or frame[12] == 8 and frame[13] == 0:
                i = first + rand.below(len(frame) - first)
                frame = bytearray(frame)
                frame[i] ^= 1 << rand.below(8)
                deliver = self._deliver_corrupt
        if self.jitter:
            due += rand.below(self.jitter)
        if self.reorder and rand.chance(self.reorder):
            due += 1 + rand.below(self.reorder_us)
        else:
            if due < self._last:
                due = self._last
            self._last = due
        sim.at(due, deliver, frame)
        if self.duplicate and rand.chance(self.duplicate):
            sim.at(due + rand.below(self.duplicate_us), deliver, frame)

    def _deliver(self, frame):
        if self.sim.tap:
            self.sim.tap.got(self, frame)
        self.sink(frame)

    def _deliver_corrupt(self, frame):
        if self.sim.tap:
            self.sim.tap.lost(self, frame, "corrupt")
        self.sink(frame)


def _marked(frame, h):
    """The frame, with "congestion experienced" if it is of an ECN-capable transport."""
    if h and (frame[12] != 8 or frame[13]) or not frame[h + 1] & 3:
        return frame
    frame = bytearray(frame)
    frame[h + 1] |= 3
    frame[h + 10] = frame[h + 11] = 0
    k = cksum(frame, h, h + 20) ^ 0xFFFF
    frame[h + 10] = k >> 8
    frame[h + 11] = k & 255
    return frame


def cable(sim, a, b, back=None, **qualities):
    """Join the ports `a` and `b`; qualities as of `Pipe`, `back` (a dict) those from b to a
    that differ.  The two pipes, there and back."""
    there = Pipe(sim, b.arrive, medium=a.medium, **qualities)
    qualities.update(back or {})
    again = Pipe(sim, a.arrive, medium=b.medium, **qualities)
    a.out = there
    b.out = again
    there.name = "%s>%s" % (a.host.name, b.host.name)
    again.name = "%s>%s" % (b.host.name, a.host.name)
    there.first = again.last = isinstance(a, Port)
    again.first = there.last = isinstance(b, Port)
    return there, again
