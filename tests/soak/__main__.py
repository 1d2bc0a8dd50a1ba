"""``python -m tests.soak``: generated worlds until there were enough calls, on every core, then a table of what happened in them.

    --calls N       how many at least (1 000 000); --seconds N ends it earlier (1 800)
    --seed N        the number of the first world; drawn anew where it is not stated, and always printed
    --processes N   one for every core
    --world N       only the world with this number: what is broken in it, and the smallest world in which it still is
    --mutants [N]   instead: N of the deliberate faults (all), each until it is found

Exits with 1 when a promise was broken, or a mutant survived; the first world of each promise is shrunk and printed as Python.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from .campaign import Tally, campaign, try_world
from .generate import generate
from .mutants import MUTANTS, Outdated, hunt
from .shrink import shrink, story

EVERY = 60.0  # seconds between signs of life
SHOWN = 3  # promises whose worlds are shrunk
COLUMNS = (
    "worlds", "calls", "attempts", "retries", "queued", "refused", "trips", "reloads", "overrides", "power states", "leaps", "left",
    "told twice", "violations",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1_800.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(40))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--world", type=int)
    parser.add_argument("--mutants", type=int, nargs="?", const=len(MUTANTS))
    options = parser.parse_args(arguments)
    if options.world is not None:
        return one_world(options.world)
    print(f"seed {options.seed}", flush=True)
    if options.mutants is not None:
        return mutants(options.seed, options.mutants)
    return soak(options.seed, options.calls, options.seconds, options.processes)


def soak(seed: int, calls: int, seconds: float, processes: int) -> int:
    began = told = time.monotonic()
    tally = Tally()
    for tally in campaign(seed, calls, seconds=seconds, processes=processes):
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            print(f"{tally.calls:>12,} calls, {len(tally.found)} violations", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    counts = {**tally.counts, "worlds": tally.worlds, "violations": len(tally.found)}
    for name in COLUMNS:
        print(f"{name:<14}{counts.get(name, 0):>12,}")
    used = sum(os.times()[:4])  # of the processes that are over as well
    print(
        f"{'seconds':<14}{took:>12,.1f}  {tally.calls / took:,.0f} calls/s on {processes} processes, {used:,.1f} s of CPU"
    )
    first = {found.promise: found for found in reversed(tally.found)}
    for found in list(first.values())[:SHOWN]:
        print(f"\nworld {found.number}: {found.promise}: {found.text}")
        print(story(shrink(generate(found.number), found.promise)))
    return 1 if tally.found else 0


def one_world(number: int) -> int:
    tally = try_world(number)
    print(dict(tally.counts))
    for found in tally.found:
        print(story(shrink(generate(number), found.promise)))
    return 1 if tally.found else 0


def mutants(seed: int, many: int) -> int:
    """Each of the deliberate faults until it is found. In this process: they are put into the code that is loaded here."""
    luck = random.Random(seed)
    bad = 0
    print(f"{'mutant':<46}{'found after':>12}  promise")
    for mutant in luck.sample(MUTANTS, min(many, len(MUTANTS))):
        try:
            found, calls = hunt(mutant, seed)
            result = f"{calls:>12,}  {'SURVIVED' if found is None else found.promise}"
            bad += found is None
        except Outdated as error:
            result = f"{'OUTDATED':>12}  {error}"
            bad += 1
        print(f"{mutant.name:<46}{result}", flush=True)
    print(f"{bad} survived")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
