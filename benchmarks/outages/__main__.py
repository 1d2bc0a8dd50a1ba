"""Outage drills: what clients get before, during and after, and how soon all is as before, on virtual time and live.

    python -m benchmarks.outages                  # all four, live with the minute as 15 s (7 min)
    python -m benchmarks.outages --full outage    # one of them, live with the whole minute and the shipped open times
    python -m benchmarks.outages --brief          # the form of the tests
    python -m benchmarks.outages --way virtual --seeds 100

A table for each drill, and what it claims. Everything is on loopback and free ports, and ends by itself.

Exit status 1: something that is claimed did not hold.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from random import Random

from benchmarks.outages import figures, live, virtual
from benchmarks.outages.drills import DRILLS
from benchmarks.outages.setting import BUSY_WELL, MINUTE, SLACK, Drill, Form, Run, Runs, Setting, Way
from benchmarks.parts import table
from sidecar.lab.luck import LARGEST, new_seed

LIVE_MINUTE, BRIEF_MINUTE = 15.0, 6.0  # seconds that stand for a minute
SEEDS, BRIEF_SEEDS, MOST_SEEDS = 10, 1, 1000
WAYS: tuple[Way, ...] = ("virtual", "live")


def form_of(way: Way, *, brief: bool = False, full: bool = False) -> Form:
    """On virtual time a minute is a minute."""
    if way == "virtual" or full:
        return Form(MINUTE, brief)
    return Form(BRIEF_MINUTE if brief else LIVE_MINUTE, brief)


def seeds_of(seed: int, drill: Drill, count: int) -> list[int]:
    """One for each run on virtual time, the first of them for the live one as well; all follow from one number."""
    random = Random(f"{seed} {drill.name}")
    return [random.randint(0, LARGEST) for _ in range(count)]


def settings_of(drill: Drill, way: Way, form: Form) -> list[Setting]:
    brief = form.brief and way == "live"
    return [
        setting._replace(well=BUSY_WELL, slack=SLACK) if brief else setting for setting in drill.settings(form, way)
    ]


def play(drill: Drill, way: Way, form: Form, seeds: Sequence[int]) -> list[Runs]:
    """Every setting with each of the seeds."""
    settings = settings_of(drill, way, form)
    if way == "live":
        played = (live.play_all(settings, seed, together=drill.together) for seed in seeds)
    else:
        played = ([virtual.play(setting, seed) for setting in settings] for seed in seeds)
    return [{run.name: run for run in runs} for runs in played]


def missed(drill: Drill, form: Form, runs: Sequence[Runs]) -> Iterator[tuple[str, list[str]]]:
    """Each claim that was asked, with where it does not hold."""
    for claim in drill.claims:
        if not (claim.timed and form.brief and any(run.way == "live" for run in runs[0].values())):
            yield claim.words, [where for each in runs for where in claim.missed(each)]


def show(drill: Drill, ways: Sequence[Way], arguments: argparse.Namespace) -> bool:
    """Whether everything that it claims held; prints it."""
    seeds = seeds_of(arguments.seed, drill, arguments.seeds)
    columns: list[Sequence[Run]] = []
    verdicts: dict[str, list[str]] = {}
    for way in ways:
        form = form_of(way, brief=arguments.brief, full=arguments.full)
        runs = play(drill, way, form, seeds if way == "virtual" else seeds[:1])
        columns += [[each[name] for each in runs] for name in runs[0]]
        for words, where in missed(drill, form, runs):
            verdicts.setdefault(words, []).extend(where)
    print(f"\n{drill.name}: {drill.title}")
    for line in (*_played(columns), *_stated(columns)):
        print(line)
    print()
    names = list(dict.fromkeys(each[0].name for each in columns))
    table(*drill.table(sorted(columns, key=lambda each: names.index(each[0].name))))
    print()
    for words, where in verdicts.items():
        print(f"{'BROKEN' if where else 'holds '} {words}")
        for each in where[:5]:
            print(f"         {each}")
    sys.stdout.flush()
    return not any(verdicts.values())


def _played(columns: Sequence[Sequence[Run]]) -> Iterator[str]:
    """For each way: how long the trouble is, open times, seeds."""
    for way in dict.fromkeys(runs[0].way for runs in columns):
        runs = next(runs for runs in columns if runs[0].way == way)
        trouble, opens = runs[0].setting.trouble, runs[0].setting.policy.policy.ladder[0].breaker.open
        told = f"{trouble.until - trouble.since:g} s of trouble, breaker.open {opens.base:g} to {opens.max:g} s"
        yield f"  {way}: {told}, seeds {' '.join(str(run.seed) for run in runs)}"
        if way == "live":
            yield from _lateness([run for each in columns for run in each if run.way == way])


def _lateness(runs: Sequence[Run]) -> Iterator[str]:
    """How late the load itself was: where that is much, the machine had no time for the drill."""
    late = sorted(chat.late for run in runs for chat in run.chats)
    left_out = len(late) - sum(len(figures.judged(run)) for run in runs)
    yield (
        f"  live, the load was late by {1000 * late[int(0.99 * len(late))]:.0f} ms at p99, {1000 * late[-1]:.0f} at most; "
        f"{left_out} of {len(late)} chats are left out where 99 % are asked for"
    )


def _stated(columns: Sequence[Sequence[Run]]) -> Iterator[str]:
    """Every deviation from the shipped policy."""
    for way in dict.fromkeys(runs[0].way for runs in columns):
        found: dict[str, list[str]] = {}
        for runs in columns:
            if runs[0].way == way:
                found.setdefault(runs[0].setting.states, []).append(runs[0].name)
        for states, names in found.items():
            words = " ".join(states.split()) or "as shipped"
            yield f"  {way}{'' if len(found) == 1 else ' ' + '; '.join(names)}: {words}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("drills", nargs="*", metavar="DRILL", help=f"{', '.join(drill.name for drill in DRILLS)}; none: all")
    add("--brief", action="store_true", help="a few seconds each")
    add("--full", action="store_true", help="live a minute is a minute, and open times are those shipped")
    add("--way", choices=WAYS, help="one of the two ways to play; not stated: both")
    add("--seeds", type=int, metavar="N", help=f"runs on virtual time ({SEEDS})")
    add("--seed", type=int, metavar="SEED", help="all seeds follow from it (drawn and printed)")
    told = parser.parse_args(arguments)
    told.seeds = (BRIEF_SEEDS if told.brief else SEEDS) if told.seeds is None else told.seeds
    told.seed = new_seed() if told.seed is None else told.seed
    known = {drill.name: drill for drill in DRILLS}
    unknown = [name for name in told.drills if name not in known]
    if unknown:
        parser.error(f"no drill {unknown[0]!r}; there are {', '.join(known)}")
    if not 0 < told.seeds <= MOST_SEEDS:
        parser.error(f"--seeds {told.seeds}: must be above 0 and at most {MOST_SEEDS}")
    if not 0 <= told.seed <= LARGEST:
        parser.error(f"--seed {told.seed}: must be from 0 to {LARGEST}")
    began = time.monotonic()
    print(f"seed {told.seed}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before")
    good = [show(known[name], (told.way,) if told.way else WAYS, told) for name in told.drills or known]
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
