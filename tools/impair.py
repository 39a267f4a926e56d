"""A bad cable: carries frames between two ports and loses, doubles, delays and damages some.

    impair.py raw:veth1 raw:veth2 --loss 1 --duplicate 1 --reorder 2 --corrupt 0.5 --delay 10
    impair.py udp:5501:5500 tap:tap0 --rate 10000 --seed 7

A port is raw:INTERFACE, tap:NAME, tun:NAME or udp:LOCAL:REMOTE (UDP ports on 127.0.0.1).  It says
"ready"; SIGINT or SIGTERM ends it, and it prints what it did.

What becomes of a direction's n-th frame depends on the seed and n only, so a run is repeatable.
"""
import argparse
import heapq
import json
import random
import select
import signal
import sys
import time
from pathlib import Path

_HOLD_S = 0.001         # before a busy port is tried again


class Direction:
    """One way of the cable: what was read from `source` goes to `sink`, later, or not at all."""

    def __init__(self, source, sink, seed):
        self.source = source
        self.sink = sink
        self.random = random.Random(seed)
        self.flying = []        # heap of (when due, order, frame)
        self.order = 0
        self.free = 0.0         # when the line has sent all it was given
        self.last = 0.0         # when the latest frame in order is due
        self.count = {"frames": 0, "delivered": 0, "lost": 0, "duplicated": 0, "reordered": 0,
                      "corrupted": 0, "queue_full": 0, "busy": 0}


class Impair:
    """The cable between ports `a` and `b`.  All shares are from 0 to 1, each way and per frame.

    loss, duplicate     the frame is lost, or delivered twice
    reorder             it comes `reorder_ms` later, so that others pass it
    corrupt             a bit is inverted, anywhere from the IPv4 header on; frames of another
                        protocol (ARP has no checksum) are left alone
    delay_ms, jitter_ms  every frame is late by this, and up to that much more, in order
    rate_kbps           bits per second / 1000 that the line carries, in each direction
    queue               frames under way in one direction; more are dropped
    clock               seconds, `time.monotonic` by default
    """

    def __init__(self, a, b, loss=0, duplicate=0, reorder=0, corrupt=0, delay_ms=0, jitter_ms=0,
                 rate_kbps=0, reorder_ms=3, queue=1000, seed=1, clock=time.monotonic):
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.corrupt = corrupt
        self.delay = delay_ms / 1000
        self.jitter = jitter_ms / 1000
        self.rate = rate_kbps * 1000
        self.late = reorder_ms / 1000
        self.queue = queue
        self.clock = clock
        self.directions = Direction(a, b, 2 * seed), Direction(b, a, 2 * seed + 1)
        self.buf = bytearray(65536)
        self.stopped = False
        self._network = 14 if a.medium == "ethernet" else 0

    def poll(self):
        """Carry what there is; seconds until something is due, None if nothing is under way."""
        waits = []
        for way in self.directions:
            source = way.source
            for _ in range(64):
                n = source.recv(self.buf)
                if not n:
                    break
                self.take(way, bytes(self.buf[:n]))
            else:
                waits.append(0)
            self.deliver(way)
            if way.flying:
                waits.append(max(0, way.flying[0][0] - self.clock()))
        return min(waits) if waits else None

    def take(self, way, frame):
        """One frame comes in: decide what becomes of it."""
        count = way.count
        count["frames"] += 1
        # Always as many draws, so that one share does not change what another one hits.
        loss, duplicate, reorder, corrupt, where, jitter = [way.random.random() for _ in range(6)]
        if loss < self.loss:
            count["lost"] += 1
            return
        if corrupt < self.corrupt and self.is_ipv4(frame):
            count["corrupted"] += 1
            bit = int(where * (len(frame) - self._network) * 8)
            frame = bytearray(frame)
            frame[self._network + (bit >> 3)] ^= 1 << (bit & 7)
        due = now = self.clock()
        if self.rate:
            due = way.free = max(now, way.free) + len(frame) * 8 / self.rate
        due += self.delay + jitter * self.jitter
        if reorder < self.reorder:
            count["reordered"] += 1
            due += self.late
        elif self.jitter:
            # In order all the same, but for those that are to be late.
            due = way.last = max(due, way.last)
        copies = 1
        if duplicate < self.duplicate:
            count["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            if len(way.flying) >= self.queue:
                count["queue_full"] += 1
                return
            way.order += 1
            heapq.heappush(way.flying, (due, way.order, frame))

    def is_ipv4(self, frame):
        if self._network == 0:
            return True
        return len(frame) > 34 and frame[12] == 8 and frame[13] == 0

    def deliver(self, way):
        """Send on what is due."""
        flying = way.flying
        now = self.clock()
        while flying and flying[0][0] <= now:
            due, order, frame = heapq.heappop(flying)
            if not way.sink.send(frame, len(frame)):
                way.count["busy"] += 1
                # The queue keeps its order: those behind are later by as much.
                heapq.heappush(flying, (due, order, frame))
                return
            way.count["delivered"] += 1

    def run(self):
        """Carry frames until `stop`; the ports must be pollable."""
        poller = select.poll()
        for way in self.directions:
            poller.register(way.source.pollable, select.POLLIN)
        while not self.stopped:
            wait = self.poll()
            if wait is None:
                wait = 0.2
            elif wait == 0 and any(way.flying and way.flying[0][0] <= self.clock()
                                   for way in self.directions):
                wait = _HOLD_S
            if wait:
                # poll() knows whole milliseconds only.
                ready = poller.poll(int(wait * 1000))
                if not ready and 0 < wait < 0.001:
                    time.sleep(wait)

    def stop(self):
        """End `run`, from any thread or a signal handler."""
        self.stopped = True

    def counts(self):
        """What was done, each way."""
        return {"a to b": self.directions[0].count, "b to a": self.directions[1].count}


def open_port(text):
    """The port that `raw:IF`, `tap:NAME`, `tun:NAME` or `udp:LOCAL:REMOTE` says."""
    kind, _, rest = text.partition(":")
    if kind == "raw":
        from spinet.ports.rawsocket import RawSocket
        return RawSocket(rest)
    if kind == "tap":
        from spinet.ports.tap import Tap
        return Tap(rest)
    if kind == "tun":
        from spinet.ports.tun import Tun
        return Tun(rest)
    if kind == "udp" and rest.count(":") == 1:
        from spinet.ports.datagram import Datagram
        local, remote = rest.split(":")
        return Datagram(("127.0.0.1", int(local)), ("127.0.0.1", int(remote)))
    raise ValueError("%r is not raw:IF, tap:NAME, tun:NAME or udp:LOCAL:REMOTE" % text)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="A bad cable between two ports.")
    add = parser.add_argument
    add("a", help="raw:IF, tap:NAME, tun:NAME or udp:LOCAL:REMOTE")
    add("b")
    for name in ("loss", "duplicate", "reorder", "corrupt"):
        add("--" + name, type=float, default=0, metavar="PERCENT", help="of frames, each way")
    add("--delay", type=float, default=0, metavar="MS", help="each way")
    add("--jitter", type=float, default=0, metavar="MS", help="up to so much more")
    add("--reorder-by", type=float, default=3, metavar="MS", help="delay of those (default 3)")
    add("--rate", type=float, default=0, metavar="KBIT/S", help="that the line carries")
    add("--queue", type=int, default=1000, metavar="FRAMES", help="under way, each way")
    add("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        a, b = open_port(args.a), open_port(args.b)
    except (OSError, ValueError) as e:
        sys.exit("impair: %s" % e)
    cable = Impair(a, b, args.loss / 100, args.duplicate / 100, args.reorder / 100,
                   args.corrupt / 100, args.delay, args.jitter, args.rate, args.reorder_by,
                   args.queue, args.seed)
    signal.signal(signal.SIGTERM, lambda *_: cable.stop())
    signal.signal(signal.SIGINT, lambda *_: cable.stop())
    print("ready", flush=True)
    cable.run()
    print(json.dumps(cable.counts()), flush=True)
    a.close()
    b.close()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
    main()
