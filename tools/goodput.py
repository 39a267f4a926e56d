"""How much of a lossy link TCP fills, and how fairly flows share it; the kernel beside it.

    goodput.py [--seeds N] [--seconds S] [--loss 0,0.1,1,3,5] [CONFIGURATION ...]
    goodput.py --board                       rings of 4 KiB
    goodput.py --fair                        two flows and eight over one bottleneck
    goodput.py --kernel [--seeds N]          Linux on both ends, in real time (root)

The link (lib/spinet/testing/link.py) has 10 Mbit/s, a round trip of 20 ms and a queue of 64 KiB,
and loses frames of both directions at random.  A CONFIGURATION is
CONGESTION[+OPTION...][-OPTION...], as `cubic+rack` or `reno-timestamps`.  Figures are medians over
the seeds, in Mbit/s of user's data, with the quartiles.  Ours are of virtual time: they depend on
the seeds alone.  The kernel's go through the same link in real time, between two network
namespaces.
"""
import argparse
import json
import multiprocessing
import os
import select
import signal
import socket
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "tools"), str(ROOT / "host_tests/kernel")]

from sim import Sim, cable, loss  # noqa: E402
from spinet.testing.boxes import Switch  # noqa: E402
from sim.users import Sink, Source  # noqa: E402

RATE = 10_000_000
DELAY_US = 10_000
QUEUE = 65536
WINDOW = 65536
MOST = RATE * 1460 / 1514       # bits of user's data per second that full frames can carry


def settings_of(name):
    """What a configuration sets of `stack.tcp`."""
    first, *off = name.split("-")
    congestion, *on = first.split("+")
    settings = {"congestion": congestion}
    settings.update(dict.fromkeys(on, True))
    settings.update(dict.fromkeys(off, False))
    return settings


def bulk(job):
    """One flow over the link: (bits per second, the sender's timeouts)."""
    name, seed, percent, seconds, window = job
    sim = Sim(seed)
    hosts = [sim.host(n, rcvbuf=window, sndbuf=window, **settings_of(name)) for n in "ab"]
    ports = [host.port() for host in hosts]
    pipes = cable(sim, *ports, rate=RATE, delay_us=DELAY_US, queue=QUEUE)
    for i in (0, 1):
        hosts[i].up(ports[i], f"10.0.0.{i + 1}/24")
    # The handshake is not what is measured: it meets no loss.
    sink = Sink(hosts[1], 80)
    Source(hosts[0], "10.0.0.2", 80)
    hosts[0].poll()
    sim.until(lambda: sink.sock)
    for pipe in pipes:
        pipe.lose(loss.Random(sim.rand.fork(), round(percent * 10000)))
    sim.run(seconds * 1000)
    return sink.got * 8 / seconds, hosts[0].stack.tcp.count["timeout"]


def fair(job):
    """Flows of as many hosts over one bottleneck, each begun within a second: bits per second."""
    name, seed, flows, seconds = job
    sim = Sim(seed)
    left, right = Switch("left"), Switch("right")
    cable(sim, left.port(), right.port(), rate=RATE, delay_us=DELAY_US, queue=QUEUE)
    sinks = []
    for i in range(flows):
        pair = []
        for side, box in ((1, left), (2, right)):
            host = sim.host(f"{side}.{i}", rcvbuf=WINDOW, sndbuf=WINDOW, **settings_of(name))
            port = host.port()
            cable(sim, port, box.port(), rate=10 * RATE, delay_us=50)
            host.up(port, f"10.0.{side}.{i + 1}/16")
            pair.append(host)
        sinks.append(Sink(pair[1], 80))
        sim.after(sim.rand.below(1000000), begin, (pair[0], f"10.0.2.{i + 1}"))
    sim.run(1000 + seconds * 100)
    before = [sink.got for sink in sinks]
    sim.run(seconds * 1000)
    return [(sink.got - start) * 8 / seconds for sink, start in zip(sinks, before)]


def begin(what):
    host, address = what
    Source(host, address, 80)
    host.poll()


def jain(shares):
    """Jain's index: 1 when all get the same, 1/n when one gets everything."""
    return sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))


# -- the kernel ---------------------------------------------------------------

def kernel(job):
    """One flow between two kernels over the same link in real time: bits per second."""
    import netns

    seed, percent, seconds, window, control = job
    spaces = [netns.Namespace(label) for label in ("left", "middle", "right")]
    left, middle, right = spaces
    link = None
    try:
        netns.veth(left, "l0", middle, "m0")
        netns.veth(middle, "m1", right, "r0")
        for space, name, address in ((left, "l0", "10.0.0.1/24"), (right, "r0", "10.0.0.2/24")):
            space.ip("address", "add", address, "dev", name)
            space.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
        ready = multiprocessing.Event()
        said, says = multiprocessing.Pipe(False)
        link = multiprocessing.Process(target=link_of, args=(middle, seed, percent, ready, says))
        link.start()
        assert ready.wait(10)
        listener = right.listen(80)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        # A buffer of so many bytes would hold more: the kernel reckons with its overhead.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, window)
        sender = left.socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, window)
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
        sender.connect(("10.0.0.2", 80))
        receiver, _ = listener.accept()
        os.kill(link.pid, signal.SIGUSR1)       # the loss begins
        at_once(5)
        rate = flow(sender, receiver, seconds)
        at_once(0)
        link.terminate()
        return (rate, *said.recv())
    finally:
        if link:
            link.terminate()
            link.join()
        for space in spaces:
            space.close()


def at_once(priority):
    """Do not wait for the processor, whatever else goes on; 0: as usual."""
    os.sched_setscheduler(0, os.SCHED_FIFO if priority else os.SCHED_OTHER,
                          os.sched_param(priority))


def link_of(space, seed, percent, ready, says):
    """The process that is the link; says by how many us its frames were late, on average and
    at most."""
    from sim.realtime import Realtime
    from spinet.ports.rawsocket import RawSocket

    with space.entered():
        ports = RawSocket("m0"), RawSocket("m1")
    link = Realtime(*ports, seed=seed, rate=RATE, delay_us=DELAY_US, queue=QUEUE)

    def lossy(*_):
        for _, pipe in link.ways:
            pipe.lose(loss.Random(link.rand.fork(), round(percent * 10000)))

    signal.signal(signal.SIGUSR1, lossy)
    signal.signal(signal.SIGTERM, link.stop)
    at_once(10)
    ready.set()
    link.carry()
    says.send((link.late_us // max(link.carried, 1), link.latest_us))


def flow(sender, receiver, seconds):
    """Bits per second that arrive."""
    data = bytes(65536)
    got = 0
    sender.setblocking(False)
    receiver.setblocking(False)
    poller = select.poll()
    poller.register(sender, 4)
    poller.register(receiver, 1)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for fd, _ in poller.poll(left * 1000):
            if fd == sender.fileno():
                sender.send(data)
            else:
                got += len(receiver.recv(262144))
    return got * 8 / seconds


# -- tables -------------------------------------------------------------------

def spread(rates):
    """"median (lower to upper quartile)" in Mbit/s."""
    if len(rates) < 2:
        return "%.2f" % (rates[0] / 1e6)
    low, middle, high = statistics.quantiles(rates, n=4, method="inclusive")
    return "%.2f (%.2f to %.2f)" % (middle / 1e6, low / 1e6, high / 1e6)


def table(names, losses, seeds, run):
    """Print one row per name and one column per loss; all figures, by name and loss."""
    print("%-22s" % "loss, %" + "".join("%24g" % percent for percent in losses))
    found = {}
    for name in names:
        row = "%-22s" % name
        for percent in losses:
            rates, timeouts = run(name, percent, range(1, seeds + 1 if percent else 2))
            found.setdefault(name, {})[percent] = rates
            row += "%24s" % spread(rates)
            if timeouts:
                row += " %5d" % timeouts
        print(row, flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--loss", default="0,0.1,1,3,5")
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--board", action="store_true")
    parser.add_argument("--fair", action="store_true")
    parser.add_argument("--kernel", action="store_true")
    parser.add_argument("--control", default="cubic", help="the kernel's congestion control")
    parser.add_argument("configurations", nargs="*", default=["reno", "reno+rack", "cubic",
                                                              "cubic+rack"])
    args = parser.parse_args()
    losses = [float(text) for text in args.loss.split(",")]
    with multiprocessing.Pool(args.jobs) as pool:
        if args.fair:
            for name in args.configurations:
                for flows in (2, 8):
                    runs = pool.map(fair, [(name, seed, flows, 3 * args.seconds)
                                           for seed in range(1, args.seeds + 1)])
                    indexes = sorted(jain(run) for run in runs)
                    print("%-14s %d flows: Jain's index %.3f (least %.3f), together %.2f Mbit/s" % (
                        name, flows, statistics.median(indexes), indexes[0],
                        statistics.median(sum(run) for run in runs) / 1e6), flush=True)
            return
        if args.kernel:
            load = os.getloadavg()[0]

            late = []

            def run(name, percent, seeds):
                runs = [kernel((seed, percent, args.seconds, args.window, name))
                        for seed in seeds]
                late.extend(runs)
                return [rate for rate, _, _ in runs], 0

            found = table([args.control], losses, args.seeds, run)
            print("frames were %d us late on average (median of the runs), %d at worst" % (
                statistics.median(mean for _, mean, _ in late), max(worst for *_, worst in late)))
            print("load average %.1f before, %.1f after" % (load, os.getloadavg()[0]))
        else:
            if args.board:
                args.window = 4096
                losses = [0.0]
                # A window, then the time until its first segment is acknowledged.
                allowed = 4096 * 8e6 / (2 * DELAY_US + (1514 + 54) * 8e6 / RATE)
                print("a window of 4096 bytes allows %.2f Mbit/s" % (allowed / 1e6))

            def run(name, percent, seeds):
                runs = pool.map(bulk, [(name, seed, percent, args.seconds, args.window)
                                       for seed in seeds])
                return [rate for rate, _ in runs], sum(n for _, n in runs)

            found = table(args.configurations, losses, args.seeds, run)
    path = ROOT / "build" / ("goodput-kernel.json" if args.kernel else "goodput.json")
    path.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
