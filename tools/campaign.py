"""Plays many random networks (tools/sim), on all cores; explains those that fail.

    campaign.py --seeds 20000
    campaign.py --first 12345 --seeds 1 --trace     one seed, and what happened in it

A seed that fails is played once more with everything written down: build/sim/SEED.txt ends with
the trace, build/sim/SEED.pcap has all frames.  Seeds mean the same on every runtime and machine.
"""
import argparse
import multiprocessing
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "tools")]
KEPT = ROOT / "build/sim"
PIECE = 25      # seeds that a worker takes at once
TAIL = 30       # lines of an explanation that are shown


def explained(seed, error):
    """Write down what happened in a seed; the explanation."""
    from sim import campaign

    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / f"{seed}.pcap", "wb") as pcap:
        text = campaign.explain(seed, error, lines=2000, pcap=pcap)
    (KEPT / f"{seed}.txt").write_text(text + "\n")
    return text


def play(seeds):
    """What became of some seeds: (failures, totals, counters)."""
    from sim import scenario

    failures = []
    totals = {"events": 0, "segments": 0, "bytes": 0, "connections": 0, "virtual_s": 0, "gentle": 0}
    counters = {}
    for seed in seeds:
        try:
            played = scenario.run(seed)
        except Exception as e:
            failures.append((seed, explained(seed, e)))
            continue
        totals["events"] += played.sim.events
        totals["segments"] += played.wire.segments
        totals["bytes"] += played.wire.bytes
        totals["connections"] += len(played.conversations)
        totals["virtual_s"] += played.sim.now // 1000000
        totals["gentle"] += played.gentle
        for host in played.hosts:
            for key, n in host.stack.tcp.count.items():
                counters[key] = counters.get(key, 0) + n
    return failures, totals, counters


def pieces(first, count):
    return [range(at, min(at + PIECE, first + count)) for at in range(first, first + count, PIECE)]


def add(into, more):
    for key, n in more.items():
        into[key] = into.get(key, 0) + n


def run(first, count, jobs):
    """Play `count` seeds from `first`; the number of failures."""
    began = time.monotonic()
    totals, counters = {}, {}
    failed = done = 0
    with multiprocessing.Pool(jobs) as pool:
        for failures, more, counts in pool.imap_unordered(play, pieces(first, count)):
            add(totals, more)
            add(counters, counts)
            for seed, text in failures:
                failed += 1
                lines = text.splitlines()
                print("\n".join([*lines[:40], "    ...", *lines[-TAIL:]] if len(lines) > 70
                                else lines))
                print(f"seed {seed} FAILED: all of it is in {KEPT}/{seed}.txt and .pcap\n")
            done += PIECE
            if sys.stderr.isatty():
                print(f"\r{min(done, count)} seeds, {failed} failed ", end="", file=sys.stderr)
    took = time.monotonic() - began
    print(f"{count} seeds from {first}, {failed} failed; {took:.0f} s "
          f"({1000 * took / count:.1f} ms each, {jobs} at a time)")
    print(", ".join(f"{key.replace('_', ' ')} {n:,}" for key, n in totals.items()))
    print(", ".join(f"{key} {n:,}" for key, n in sorted(counters.items())))
    return failed


def main():
    parser = argparse.ArgumentParser(description="Play many random networks.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--trace", action="store_true", help="play one, and show all of it")
    args = parser.parse_args()
    if args.trace:
        print(explained(args.first, None))
        return 0
    return 1 if run(args.first, args.seeds, args.jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
