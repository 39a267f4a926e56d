"""How much of a lossy link TCP fills in virtual time: congestion controls and recoveries compared.

    goodput.py [--seeds N] [--seconds S] [--loss 0,0.1,1,3,5] [--window BYTES] [CONFIGURATION ...]

Two stacks on a full-duplex link with a rate, a delay and a queue, which loses frames of both
directions at random.  A CONFIGURATION is CONGESTION[+OPTION][-OPTION...], as `cubic+rack` or
`reno-timestamps`.  Each figure is the median over the seeds, in per cent of what the link could
carry; behind it how many timeouts there were in all runs together.  A run depends on its seed
alone, not on the speed or the load of the machine.
"""
import argparse
import heapq
import random
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "host_tests" / "core")]

import net  # noqa: E402
from kit import Clock, Random  # noqa: E402

from spinet import Stack  # noqa: E402

OVERHEAD = 24       # preamble, frame check sequence and gap, in bytes on the wire of each frame


class Link:
    """Hosts 10.0.0.1 and 10.0.0.2 on a link; time is in microseconds.

    `mark` is the queue length from which ECN-capable datagrams are marked rather than queued on.
    """

    def __init__(self, seed, loss, rate_bps=10_000_000, rtt_ms=20, queue=64, mark=None):
        self.clock = Clock()
        self.now = 0
        self.events = []
        self.order = 0
        self.rand = random.Random(seed)
        self.loss = loss
        self.per_byte = 8e6 / rate_bps
        self.delay = rtt_ms * 500
        self.queue = queue
        self.mark = mark
        self.idle_at = [0, 0]
        self.overflows = self.marks = 0
        self.ends = net.End(b"\x02\0\0\0\0\x01"), net.End(b"\x02\0\0\0\0\x02")
        self.hosts = []
        for i, end in enumerate(self.ends):
            end.send_to = lambda frame, i=i: self.carry(i, frame)
            self.hosts.append(Stack(clock=self.clock, random=Random(seed + i), wait=self.wait))
            self.hosts[i].add(end, "10.0.0.%d/24" % (i + 1))

    def carry(self, i, frame):
        begin = max(self.now, self.idle_at[i])
        queued = (begin - self.now) / (1500 * self.per_byte)
        if queued > self.queue:
            self.overflows += 1
            return
        if self.mark is not None and queued > self.mark and frame[15] & 3:
            self.marks += 1
            frame = bytearray(frame)
            frame[15] |= 3
            frame[24:26] = b"\0\0"
            frame[24:26] = net.checksum(frame[14:34]).to_bytes(2, "big")
        self.idle_at[i] = end = begin + int((len(frame) + OVERHEAD) * self.per_byte)
        if self.rand.random() >= self.loss:
            self.order += 1
            heapq.heappush(self.events, (end + self.delay, self.order, 1 - i, bytes(frame)))

    def step(self, limit=1000000):
        """Deliver what is due, poll, and let time pass to what comes next."""
        self.clock.now = self.clock_at(self.now)
        while self.events and self.events[0][0] <= self.now:
            _, _, i, frame = heapq.heappop(self.events)
            self.ends[i].waiting.append(frame)
        wait = limit
        for host in self.hosts:
            ms = host.poll()
            wait = min(wait, ms * 1000 - self.now % 1000 if ms else 0)
        if wait > 0 and not any(end.waiting for end in self.ends):
            due = self.now + wait
            if self.events:
                due = min(due, self.events[0][0])
            self.now = max(due, self.now)

    def clock_at(self, now):
        return (Clock().now + now // 1000) & 0x3FFFFFFF

    def wait(self, ms):
        self.step(max(ms, 1) * 1000)


def configure(stack, name):
    """Make `stack` do as the configuration `name` says."""
    first, *off = name.split("-")
    for option in off:
        setattr(stack.tcp, option, False)
    congestion, _, recovery = first.partition("+")
    if congestion != "reno":
        stack.tcp.congestion = congestion
    if recovery:
        setattr(stack.tcp, recovery, True)


def run(name, seed, loss, seconds=10, window=65535, **link):
    """Send for so long; (share of the link in per cent, the sender's counters)."""
    link = Link(seed, loss, **link)
    a, b = link.hosts
    for host in link.hosts:
        configure(host, name)
        host.tcp.rcvbuf = host.tcp.sndbuf = window
    server = b.socket()
    server.bind(("", 80))
    server.listen(1)
    client = a.socket()
    client.connect(("10.0.0.2", 80))
    accepted, _ = server.accept()
    client.setblocking(False)
    accepted.setblocking(False)
    chunk = bytes(8192)
    buf = bytearray(8192)
    got = 0
    began = link.now
    end = began + seconds * 1000000
    while link.now < end:
        while client.conn.writable() > 4096:
            client.write(chunk)
        while accepted.conn.readable() > 0:
            got += accepted.recv_into(buf)
        link.step(end - link.now)
    mss = client.conn.mss
    most = seconds * 1e6 / link.per_byte * mss / (1514 + OVERHEAD)
    return 100 * got / most, dict(a.tcp.count, overflows=link.overflows, marks=link.marks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--loss", default="0,0.1,1,3,5")
    parser.add_argument("--window", type=int, default=65535)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--rtt", type=int, default=20)
    parser.add_argument("configurations", nargs="*", default=["reno"])
    args = parser.parse_args()
    losses = [float(text) for text in args.loss.split(",")]
    print("%-24s" % "loss, %" + "".join("%16g" % loss for loss in losses))
    for name in args.configurations:
        row = "%-24s" % name
        for loss in losses:
            runs = [run(name, seed, loss / 100, args.seconds, args.window, queue=args.queue,
                        rtt_ms=args.rtt) for seed in range(1, args.seeds + 1 if loss else 2)]
            row += "%9.1f (%4d)" % (
                statistics.median(share for share, _ in runs),
                sum(count["timeout"] for _, count in runs))
        print(row, flush=True)


if __name__ == "__main__":
    main()
