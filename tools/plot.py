"""Draws a TCP transfer: sequence numbers, congestion window and round-trip times over time.

    plot.py --loss 1 cubic+rack                      a transfer in the simulator
    plot.py --loss 0 --queue 20000 --seconds 3 reno
    plot.py --drop 40,41,42 --seconds 1 cubic        these data segments are lost
    plot.py capture.pcap                             of tcpdump, or a stack's own

Of a capture the connection with the most data is drawn, as it looks from where it was recorded:
best at the sender.  The image is build/plot.png, or what -o says (.png, .svg, .pdf).
"""
import argparse
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "tools")]

BLUE, RED, GREEN, ORANGE, GREY = "#1f5fa8", "#d1342b", "#2b8a3e", "#e08600", "#9aa0a6"


class Transfer:
    """One direction of a connection, as seen by its sender.  Times in seconds, offsets in bytes.

    sent        [(time, from, to, whether it was sent before)]
    acks        [(time, up to)]
    sacks       [(time, from, to)]
    edges       [(time, right edge of the window)]
    flight      [(time, bytes under way)]
    rtts        [(time, seconds)] of segments that were sent once
    samples     [(time, cwnd, ssthresh, srtt, rto)] of the stack itself, where it was asked
    """

    def __init__(self):
        self.sent = []
        self.acks = []
        self.sacks = []
        self.edges = []
        self.flight = []
        self.rtts = []
        self.samples = []
        self.isn = self.shift = None
        self.other_shift = None
        self._una = 0
        self._max = 0
        self._open = []     # what was sent once and is unacknowledged: (to, time)

    def data(self, t, seg):
        """A segment of the sender's."""
        if seg.flags & 2:
            self.isn = seg.seq + 1
            self.shift = seg.shift
            return
        if self.isn is None:
            self.isn = seg.seq      # the capture began later
        if not seg.n:
            return
        start = seg.seq - self.isn & 0xFFFFFFFF
        end = start + seg.n
        again = start < self._max
        self.sent.append((t, start, end, again))
        if again:
            self._open = [(to, at) for to, at in self._open if not start < to <= end]
        else:
            self._open.append((end, t))
        self._max = max(self._max, end)
        self.flight.append((t, self._max - self._una))

    def answer(self, t, seg):
        """A segment of the receiver's."""
        if seg.flags & 2:
            self.other_shift = seg.shift
        if not seg.flags & 16 or self.isn is None:
            return
        ack = seg.ack - self.isn & 0xFFFFFFFF
        if ack > 1 << 31:
            return
        wnd = seg.wnd
        if not seg.flags & 2 and self.other_shift is not None and (
                self.shift is not None):
            wnd <<= self.other_shift
        self.edges.append((t, ack + wnd))
        for start, end in seg.sacks:
            start = start - self.isn & 0xFFFFFFFF
            if start >= ack:
                self.sacks.append((t, start, end - self.isn & 0xFFFFFFFF))
        if ack >= self._una:
            if ack > self._una:
                done = [at for to, at in self._open if to <= ack]
                if done:
                    self.rtts.append((t, t - done[-1]))
                self._open = [(to, at) for to, at in self._open if to > ack]
            self._una = ack
            self.acks.append((t, ack))
            self.flight.append((t, max(self._max - ack, 0)))


class Segment:
    """What is drawn of a TCP segment; None from `of` if the packet is none."""

    @classmethod
    def of(cls, frame, h):
        if len(frame) < h + 40 or frame[h] >> 4 != 4 or frame[h + 9] != 6:
            return None
        self = cls()
        s = h + ((frame[h] & 15) << 2)
        length = h + (frame[h + 2] << 8 | frame[h + 3])
        p = s + (frame[s + 12] >> 4 << 2)
        self.key = bytes(frame[h + 12:h + 20]) + bytes(frame[s:s + 4])
        self.seq, self.ack = struct.unpack_from("!II", frame, s + 4)
        self.flags = frame[s + 13]
        self.wnd = frame[s + 14] << 8 | frame[s + 15]
        self.n = length - p
        self.shift = None
        self.sacks = []
        i = s + 20
        while i < p and frame[i]:
            if frame[i] == 1:
                i += 1
                continue
            if frame[i] == 3:
                self.shift = frame[i + 2]
            elif frame[i] == 5:
                for k in range(i + 2, i + frame[i + 1] - 7, 8):
                    self.sacks.append(struct.unpack_from("!II", frame, k))
            i += max(frame[i + 1], 2)
        return self

    def back(self):
        """The key of the other direction."""
        k = self.key
        return k[4:8] + k[:4] + k[10:12] + k[8:10]


def read_pcap(path):
    """Yield (time in seconds, frame, where IPv4 begins) of a classic pcap file."""
    data = Path(path).read_bytes()
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (0xA1B2C3D4, 0xA1B23C4D):
            break
    else:
        raise SystemExit("%s is no pcap file (pcapng: convert it with `editcap -F pcap`)" % path)
    unit = 1e-9 if magic == 0xA1B23C4D else 1e-6
    kind = struct.unpack_from(order + "I", data, 20)[0]
    h = {1: 14, 101: 0, 113: 16}.get(kind)
    if h is None:
        raise SystemExit("link type %d is not known" % kind)
    at = 24
    while at + 16 <= len(data):
        second, part, n, _ = struct.unpack_from(order + "IIII", data, at)
        yield second + part * unit, data[at + 16:at + 16 + n], h
        at += 16 + n


def transfer_of(frames):
    """The Transfer with the most data in an iterable of (time, frame, where IPv4 begins)."""
    flows = {}
    first = None
    for t, frame, h in frames:
        seg = Segment.of(frame, h)
        if seg is None:
            continue
        first = t if first is None else first
        flows.setdefault(seg.key, Transfer()).data(t - first, seg)
        flows.setdefault(seg.back(), Transfer()).answer(t - first, seg)
    if not flows:
        raise SystemExit("there is no TCP in it")
    return max(flows.values(), key=lambda flow: flow._max)


class AtSender:
    """A tap that keeps what passes the port of the host that sends."""

    def __init__(self, there, back):
        self.there = there
        self.back = back
        self.frames = []

    def sent(self, pipe, frame):
        if pipe is self.there:
            self.frames.append((pipe.sim.now / 1e6, bytes(frame), 14))

    def got(self, pipe, frame):
        if pipe is self.back:
            self.frames.append((pipe.sim.now / 1e6, bytes(frame), 14))

    def lost(self, pipe, frame, why):
        pass


def simulate(name="cubic+rack", seed=1, percent=0, drop=(), seconds=3, rate=10_000_000,
             rtt_ms=20, queue=65536, window=65536):
    """A transfer in the simulator, as a Transfer."""
    from goodput import settings_of
    from sim import Sim, cable, loss
    from sim.users import Sink, Source

    sim = Sim(seed)
    a, b = [sim.host(n, rcvbuf=window, sndbuf=window, **settings_of(name)) for n in "ab"]
    ports = a.port(), b.port()
    there, back = cable(sim, *ports, rate=rate, delay_us=rtt_ms * 500, queue=queue)
    sim.tap = AtSender(there, back)
    a.up(ports[0], "10.0.0.1/24")
    b.up(ports[1], "10.0.0.2/24")
    if drop:
        there.lose(loss.Nth(drop, loss.data))
    elif percent:
        there.lose(loss.Random(sim.rand.fork(), round(percent * 10000)))
    Sink(b, 80)
    source = Source(a, "10.0.0.2", 80)
    c = source.sock.conn
    samples = []

    def watch(host):
        if host is a and c.cwnd:
            now = (c.cwnd, c.loss.ssthresh if c.loss else 0x3FFFFFFF, c.srtt / 8000, c.rto / 1000)
            if not samples or samples[-1][1:] != now:
                samples.append((sim.now / 1e6, *now))

    sim.watch = watch
    a.poll()
    sim.run(int(seconds * 1000))
    found = transfer_of(sim.tap.frames)
    first = sim.tap.frames[0][0]
    found.samples = [(t - first, *rest) for t, *rest in samples]
    return found


def draw(transfer, title, path, width=9.0):
    """Draw the three panels into the image file `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.color": "#e8eaed", "axes.axisbelow": True, "axes.edgecolor": GREY,
        "legend.frameon": False, "legend.fontsize": 8, "svg.fonttype": "none"})
    figure, (top, middle, bottom) = pyplot.subplots(
        3, 1, sharex=True, figsize=(width, width * 0.78),
        gridspec_kw={"height_ratios": (2.4, 1.2, 1), "hspace": 0.12})
    figure.suptitle(title, x=0.07, y=0.965, ha="left", fontsize=11, fontweight="bold")
    _sequence(top, transfer)
    _window(middle, transfer)
    _times(bottom, transfer)
    bottom.set_xlabel("seconds")
    bottom.set_xlim(left=0)
    for axis in (top, middle, bottom):
        axis.yaxis.set_label_coords(-0.065, 0.5)
        axis.set_ylim(bottom=0)
        axis.margins(x=0.01)
    figure.subplots_adjust(left=0.085, right=0.985, top=0.93, bottom=0.075)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _sequence(axis, transfer):
    axis.vlines([part[0] for part in transfer.sent], [part[1] / 1000 for part in transfer.sent],
                [part[2] / 1000 for part in transfer.sent], BLUE, label="sent", linewidth=1.4,
                zorder=3)
    again = [part for part in transfer.sent if part[3]]
    if again:
        # A segment is too small to be seen in red.
        axis.plot([part[0] for part in again], [part[1] / 1000 for part in again], "v", color=RED,
                  markersize=4, markeredgewidth=0, label="sent again", zorder=5)
    if transfer.sacks:
        axis.vlines([t for t, _, _ in transfer.sacks], [a / 1000 for _, a, _ in transfer.sacks],
                    [b / 1000 for _, _, b in transfer.sacks], ORANGE, linewidth=0.8, alpha=0.35,
                    label="reported by SACK", zorder=1)
    for label, colour, line, style in (("acknowledged", GREEN, transfer.acks, "-"),
                                       ("edge of the window", GREY, transfer.edges, ":")):
        axis.step([t for t, _ in line], [y / 1000 for _, y in line], colour, where="post",
                  label=label, linewidth=1.1, linestyle=style, zorder=2)
    axis.set_ylabel("sequence number, kB")
    axis.legend(loc="upper left")


def _window(axis, transfer):
    axis.step([t for t, _ in transfer.flight], [y / 1000 for _, y in transfer.flight], BLUE,
              where="post", linewidth=0.7, alpha=0.6, label="not acknowledged")
    if transfer.samples:
        times = [sample[0] for sample in transfer.samples]
        axis.step(times, [sample[1] / 1000 for sample in transfer.samples], RED, where="post",
                  linewidth=1.2, label="cwnd")
        most = max(sample[1] for sample in transfer.samples)
        axis.step(times, [sample[2] / 1000 if sample[2] < 4 * most else float("nan")
                          for sample in transfer.samples], GREY, where="post", linewidth=1,
                  linestyle="--", label="ssthresh")
    axis.set_ylabel("kB")
    axis.legend(loc="upper right", ncol=3)


def _times(axis, transfer):
    axis.plot([t for t, _ in transfer.rtts], [1000 * y for _, y in transfer.rtts], ".",
              color=BLUE, markersize=2.5, label="measured on the wire")
    if transfer.samples:
        timed = [sample for sample in transfer.samples if sample[3]]
        axis.step([s[0] for s in timed], [1000 * s[3] for s in timed], RED, where="post",
                  linewidth=1.1, label="srtt")
    axis.set_ylabel("round trip, ms")
    axis.legend(loc="upper right", ncol=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", default="cubic+rack",
                        help="a pcap file, or a configuration to simulate (default cubic+rack)")
    parser.add_argument("-o", "--output", default=str(ROOT / "build/plot.png"))
    parser.add_argument("--loss", type=float, default=0, help="per cent of the data segments")
    parser.add_argument("--drop", default="", help="data segments that are lost, counted from 0")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=10_000_000, help="bits per second")
    parser.add_argument("--rtt", type=int, default=20, help="ms")
    parser.add_argument("--queue", type=int, default=65536, help="bytes")
    parser.add_argument("--window", type=int, default=65536, help="bytes")
    parser.add_argument("--title")
    args = parser.parse_args()
    if Path(args.what).is_file():
        transfer = transfer_of(read_pcap(args.what))
        title = Path(args.what).name
    else:
        drop = [int(n) for n in args.drop.split(",") if n]
        transfer = simulate(args.what, args.seed, args.loss, drop, args.seconds, args.rate,
                            args.rtt, args.queue, args.window)
        title = "%s, %g Mbit/s, %d ms, queue %d kB%s" % (
            args.what, args.rate / 1e6, args.rtt, args.queue // 1000,
            ", loss %g %%" % args.loss if args.loss else "")
    draw(transfer, args.title or title, args.output)
    print(args.output)


if __name__ == "__main__":
    main()
