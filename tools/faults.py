"""A fault campaign on a modelled chip: `make faults CHIP=w5500 SEEDS=100 MINUTES=120`.

Each seed is hours of virtual time with traffic through the whole stack while faults of all kinds
come and go (`host_tests/core/fault_campaign.py`).  A seed that fails repeats with FIRST=seed
SEEDS=1 LOG=1, which tells what happened when.
"""
import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for name in ("host_tests/core", "tools", "lib"):
    sys.path.insert(0, str(ROOT / name))

from chips.rig import CHIPS  # noqa: E402
from fault_campaign import campaign  # noqa: E402


def one(job):
    """A seed: (seed, its result, None) or (seed, None, what went wrong)."""
    name, seed, minutes, log = job
    try:
        return seed, campaign(name, seed, minutes, print if log else None), None
    except Exception as error:
        return seed, None, repr(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--chip", choices=sorted(CHIPS), default="w5500")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--log", action="store_true")
    args = parser.parse_args()
    jobs = [(args.chip, seed, args.minutes, args.log)
            for seed in range(args.first, args.first + args.seeds)]
    began = time.monotonic()
    total = {"ms": 0, "bytes": 0, "rx": 0, "tx": 0}
    met, counts, failed = {}, {}, []
    with multiprocessing.Pool(args.jobs) as pool:
        for done, (seed, result, error) in enumerate(pool.imap_unordered(one, jobs), 1):
            if error:
                failed.append(seed)
                print("seed %d: %s" % (seed, error), flush=True)
            else:
                add(total, {key: result[key] for key in total})
                add(met, result["met"])
                add(counts, result["count"])
            if done % 100 == 0:
                print("%d seeds, %d failed, %.0f s" % (
                    done, len(failed), time.monotonic() - began), flush=True)
    print("%s: %d seeds, %.0f hours of virtual time, %.1f MB over one connection each, "
          "%d frames in, %d out" % (args.chip, args.seeds, total["ms"] / 3.6e6,
                                    total["bytes"] / 1e6, total["rx"], total["tx"]))
    print("faults: " + ", ".join("%s %d" % item for item in sorted(met.items())))
    print("counters: " + ", ".join("%s %d" % item for item in sorted(counts.items()) if item[1]))
    print("failed: %s" % (" ".join(map(str, sorted(failed))) or "none"))
    return 1 if failed else 0


def add(total, more):
    for key, n in more.items():
        total[key] = total.get(key, 0) + n


if __name__ == "__main__":
    sys.exit(main())
