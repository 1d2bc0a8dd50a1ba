"""The fault suite, as a table: ``python -m benchmarks.faults [--seeds 20] [--pair-seeds 3] [--brief] [NAME…]``.

Each fault alone, live, with so many seeds; every pair of faults on virtual time; every pair live. Exits with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.faults.catalogue import FAULTS, pairs
from benchmarks.faults.suite import Suite, named
from benchmarks.parts import table

MOST_SHOWN = 10
BRIEF_PAIRS = 24  # live, drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of faults; none: all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--pair-seeds", type=int, default=3)
    parser.add_argument(
        "--brief", action="store_true", help="two seeds, each pair once on virtual time, some pairs live"
    )
    told = parser.parse_args()
    faults = [fault for fault in FAULTS if not told.names or fault.name in told.names]
    if not faults:
        parser.error(f"no such fault; there are: {', '.join(fault.name for fault in FAULTS)}")
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        suite = Suite(pool)
        rows = suite.alone(faults, range(2 if told.brief else told.seeds))
        table(
            ("fault", "runs", "chats", "answered by", "reason", "attempts a chat", "slowest, of the deadline", "wrong"),
            rows,
        )
        if not told.names:
            on_virtual = suite.virtual(range(1 if told.brief else 20))
            work = [named(pair, seed) for pair in pairs() for seed in range(told.pair_seeds)]
            if told.brief:
                work = random.Random(0).sample(work, BRIEF_PAIRS)
            live = suite.live_pairs(work)
            print(f"\n{len(pairs())} pairs: {on_virtual} runs on virtual time, {live} live", end="")
    print(f"\n{len(suite.wrong)} wrong; {time.monotonic() - began:.0f} s")
    for said in suite.wrong[:MOST_SHOWN]:
        print(f"  {said}")
    return 1 if suite.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
