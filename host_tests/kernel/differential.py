"""Random conversations between spinet and the Linux kernel over a bad cable: data must be equal.

    python host_tests/kernel/differential.py [FIRST [LAST]]     (root; two processes)

A seed gives the options that each side offers (timestamps, SACK, window scaling, ECN), the MTU, the
segment sizes, the buffers, what the cable does to frames, and several conversations at once, opened
from either side, with every way to end them.  The kernel sits behind a TAP device in a namespace of
its own, our stack is in this process, the cable (tools/impair.py) between the two.
"""
import errno
import multiprocessing
import os
import random
import select
import socket
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parent.parent.parent
    sys.path[:0] = [str(ROOT / folder) for folder in ("lib", "tools", "host_tests/kernel")]

import netns  # noqa: E402
from impair import Impair  # noqa: E402

from spinet import Stack  # noqa: E402
from spinet.ports import wire  # noqa: E402
from spinet.ports.tap import Tap  # noqa: E402

KERNEL, OURS = "10.57.0.1", "10.57.0.2"
PORT = 4000
LIMIT_S = 90
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)
LATER = (errno.EAGAIN, errno.ENOTCONN, errno.EINPROGRESS, errno.EALREADY)
GONE = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ETIMEDOUT)


class Plan:
    """What a seed says."""

    def __init__(self, seed):
        r = random.Random(seed)
        self.seed = seed
        self.kernel = {"timestamps": r.random() < 0.7, "sack": r.random() < 0.7,
                       "window_scaling": r.random() < 0.7, "ecn": r.random() < 0.3}
        self.ours = {"timestamps": r.random() < 0.7, "sack": r.random() < 0.7,
                     "window_scaling": r.random() < 0.7, "ecn": r.random() < 0.3}
        self.mtu = r.choice((296, 576, 1006, 1400, 1500, 1500, 1500))
        bad = r.random()
        share = r.choice((0, 0, 0.005, 0.01, 0.03, 0.08)) if bad < 0.7 else 0
        self.cable = {
            "loss": share, "duplicate": r.choice((0, share)), "reorder": r.choice((0, share * 2)),
            "corrupt": r.choice((0, 0, share / 2)), "delay_ms": r.choice((0, 0, 1, 5)),
            "jitter_ms": r.choice((0, 0, 2)), "queue": r.choice((1000, 1000, 40)), "seed": seed,
        }
        self.buffers = r.choice((1024, 2048, 4096, 16384, 65536, 200000)), r.choice(
            (1024, 2048, 4096, 16384, 65536, 200000))
        self.most = 30000 if share >= 0.03 or self.mtu < 500 else 250000
        self.talks = [Talk(r, self, i) for i in range(r.randint(1, 8))]

    def __str__(self):
        return "seed %d: kernel %s, ours %s, mtu %d, cable %s, buffers %s, %d conversations" % (
            self.seed, self.kernel, self.ours, self.mtu, self.cable, self.buffers, len(self.talks))


class Talk:
    """One conversation: which side opens it, what each side sends, how it ends."""

    def __init__(self, r, plan, i):
        self.port = PORT + i
        self.kernel_opens = r.random() < 0.5
        self.mss = r.choice((0, 0, 0, 88, 216, 536, 1000))
        self.kernel_rcvbuf = r.choice((0, 0, 2304, 8192, 65536))
        self.chunks = r.choice((1, 100, 1460, 5000, 70000)), r.choice((1, 100, 1460, 5000, 70000))
        self.blobs = [r.randbytes(min(int(plan.most ** r.random()), 1000 * chunk)
                                  if r.random() < 0.8 else 0) for chunk in self.chunks]
        self.lazy = r.choice((0, 0, 0, 3)), r.choice((0, 0, 0, 3))  # turns without a read
        # Where one side resets, -1: nowhere.
        self.aborts = [r.randrange(len(blob) + 1) if r.random() < 0.1 else -1
                       for blob in self.blobs]


class End:
    """One end of a conversation, on the sockets of either stack: they behave alike."""

    def __init__(self, sock, blob, chunk, lazy, abort_at):
        self.sock = sock
        # The peer's reset may be lost, after which nothing else would tell that it has gone.
        for level, option, value in KEEPALIVE:
            sock.setsockopt(level, option, value)
        self.blob = blob
        self.chunk = chunk
        self.lazy = lazy
        self.abort_at = abort_at
        self.sent = 0
        self.got = bytearray()
        self.turns = 0
        self.shut = self.ended = self.reset = self.aborted = False

    def turn(self):
        """Send and read what is possible; whether anything was."""
        if self.done:
            return False
        before = self.sent, len(self.got), self.shut, self.ended
        self.turns += 1
        self.attempt(self.write)
        if not self.done and not (self.lazy and self.turns % self.lazy):
            self.attempt(self.read)
        if self.shut and self.ended and not self.aborted:
            self.sock.close()
        return before != (self.sent, len(self.got), self.shut, self.ended) or self.done

    def attempt(self, action):
        try:
            action()
        except OSError as e:
            if e.errno in GONE:
                self.reset = True
                self.sock.close()
            elif e.errno not in LATER:
                raise

    def write(self):
        if self.shut:
            return
        until = len(self.blob) if self.abort_at < 0 else self.abort_at
        if self.sent < until:
            self.sent += self.sock.send(self.blob[self.sent:min(self.sent + self.chunk, until)])
        elif self.abort_at >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.sock.close()
            self.aborted = True
        else:
            self.sock.shutdown(socket.SHUT_WR)
            self.shut = True

    def read(self):
        while not self.ended:
            data = self.sock.recv(65536)
            self.got += data
            self.ended = not data

    def __repr__(self):
        return "sent %d of %d, got %d%s" % (self.sent, len(self.blob), len(self.got), "".join(
            " " + what for what in ("shut", "ended", "reset", "aborted") if getattr(self, what)))

    @property
    def done(self):
        return self.reset or self.aborted or (self.shut and self.ended)


class Bench:
    """The kernel, the cable and our stack, for one plan."""

    def __init__(self, plan):
        self.plan = plan
        self.namespace = netns.Namespace("differential")
        try:
            self.open(plan)
        except BaseException:
            self.namespace.close()
            raise

    def open(self, plan):
        kernel = self.namespace
        kernel.run("sysctl", "-qw", *("net.ipv4.tcp_%s=%d" % item
                                      for item in plan.kernel.items()))
        with kernel.entered():
            self.tap = Tap("d0")
        kernel.ip("link", "set", "d0", "mtu", plan.mtu, "up")
        kernel.ip("address", "add", KERNEL + "/24", "dev", "d0")
        near, far = wire.pair()
        near.mtu = plan.mtu
        self.stack = Stack()
        self.stack.add(near, OURS + "/24")
        for name, value in plan.ours.items():
            setattr(self.stack.tcp, name, value)
        self.stack.tcp.rcvbuf, self.stack.tcp.sndbuf = plan.buffers
        self.cable = Impair(self.tap, far, **plan.cable)
        self.listeners = []
        self.talking = []       # (Talk, end of the kernel's, end of ours)
        self.waiting = []       # (Talk, listener, end of the other side)
        for talk in plan.talks:
            self.begin(talk)

    def kernel_socket(self, talk):
        s = self.namespace.socket()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        if talk.mss:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, talk.mss)
        if talk.kernel_rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, talk.kernel_rcvbuf)
        s.setblocking(False)
        return s

    def begin(self, talk):
        kernel, ours = self.kernel_socket(talk), self.stack.socket()
        ours.setblocking(False)
        listener, client, address = ((ours, kernel, OURS) if talk.kernel_opens
                                     else (kernel, ours, KERNEL))
        listener.bind(("", talk.port))
        listener.listen(2)
        try:
            client.connect((address, talk.port))
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                raise
        self.waiting.append((talk, listener, self.end(talk, client, talk.kernel_opens)))

    def end(self, talk, sock, kernel):
        i = 0 if kernel else 1
        return End(sock, talk.blobs[i], talk.chunks[i], talk.lazy[i], talk.aborts[i])

    def accept(self):
        for entry in list(self.waiting):
            talk, listener, client = entry
            try:
                sock = listener.accept()[0]
            except BlockingIOError:
                continue
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    raise
                continue
            sock.setblocking(False)
            listener.close()
            self.waiting.remove(entry)
            server = self.end(talk, sock, not talk.kernel_opens)
            self.talking.append((talk, *((client, server) if talk.kernel_opens
                                         else (server, client))))

    def run(self):
        """Play the plan to its end and check it."""
        poller = select.poll()
        poller.register(self.tap.fileno(), select.POLLIN)
        deadline = time.monotonic() + LIMIT_S
        while self.waiting or not all(a.done and b.done for _, a, b in self.talking):
            due = self.cable.poll()
            wait = self.stack.poll()
            moved = False
            if self.waiting:
                self.accept()
                for entry in list(self.waiting):
                    moved |= entry[2].turn()
                    if entry[2].done:       # it has reset before it could be accepted
                        entry[1].close()
                        self.waiting.remove(entry)
            for _, kernel, ours in self.talking:
                moved |= kernel.turn()
                moved |= ours.turn()
            if not moved:
                due = 1000 if due is None else due * 1000
                poller.poll(min(due, wait, 20))
            assert time.monotonic() < deadline, "not done after %d s: %s" % (
                LIMIT_S, [(t.port, a, b) for t, a, b in self.talking])
        for talk, kernel, ours in self.talking:
            self.check(talk, kernel, ours)
        self.settle()

    def check(self, talk, kernel, ours):
        for sender, reader in ((kernel, ours), (ours, kernel)):
            assert reader.got == sender.blob[:len(reader.got)], (talk.port, "data differ")
            if not (sender.aborted or reader.aborted):
                assert not reader.reset and len(reader.got) == len(sender.blob), (
                    talk.port, "cut short")

    def settle(self):
        """Everything comes to rest: nothing is left of a connection but its TIME-WAIT."""
        deadline = time.monotonic() + LIMIT_S
        while self.stack.tcp.connections:
            self.cable.poll()
            wait = self.stack.poll()
            time.sleep(min(wait, 5) / 1000)
            assert time.monotonic() < deadline, [c.info() for c in self.stack.tcp.all()]

    def close(self):
        self.stack.close()
        self.tap.close()
        for _, kernel, _ in self.talking:
            kernel.sock.close()
        self.namespace.close()


def play(seed):
    """Play one seed; AssertionError with the plan if something is wrong."""
    plan = Plan(seed)
    bench = Bench(plan)
    try:
        bench.run()
        return len(plan.talks), bench.cable.counts()
    except Exception as e:
        raise AssertionError("%s\n%s: %s" % (plan, type(e).__name__, e)) from e
    finally:
        bench.close()


def attempt(seed):
    try:
        return seed, play(seed)[0], None
    except AssertionError as e:
        return seed, 0, str(e)


def main():
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    last = int(sys.argv[2]) if len(sys.argv) > 2 else first + 99
    why = netns.why_not()
    if why:
        sys.exit("differential: %s: skipped" % why)
    began = time.monotonic()
    talks = failed = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for _, n, error in pool.imap_unordered(attempt, range(first, last + 1)):
            talks += n
            if error:
                failed += 1
                print(error, flush=True)
    print("%d seeds, %d conversations, %d failed, %.0f s" % (
        last - first + 1, talks, failed, time.monotonic() - began))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
