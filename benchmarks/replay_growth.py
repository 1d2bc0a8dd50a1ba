"""How a replay grows: calls decided in a second, of the clock and of processor time, with more calls, more policies, more cores.

Each row is what ``sidecar replay`` does, in a process of its own, from the journal's first byte to the comparison. All rows take turns, up
to three times, and the best counts. A call is decided once as it was and once under each policy, and each of these is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.memory import resident
from benchmarks.parts import ROOT, table
from benchmarks.proxies.measure import tree
from benchmarks.replay_day import write
from sidecar.cli.trials import Wanted, tried
from sidecar.policy.load import parse
from sidecar.replay.worlds.scenario import NOTHING

LOOK = 0.2  # seconds between two looks at memory
ROUNDS = 3
LIMIT = 230.0  # seconds, journals included


class Row(NamedTuple):
    calls: int
    policies: int
    cores: int

    @property
    def decided(self) -> int:
        return self.calls * (self.policies + 1)


ROWS = (
    Row(1_000, 1, 1),
    Row(1_000, 8, 2),
    Row(10_000, 1, 1),  # and not on two cores: one policy is not shared out
    *(Row(10_000, policies, cores) for policies in (2, 4, 8) for cores in (1, 2)),
    Row(100_000, 1, 1),
    Row(100_000, 2, 2),
)


class Took(NamedTuple):
    """Seconds by the clock, seconds of processor time of all processes together, and MiB at most, what is shared counted once."""

    seconds: float
    cpu: float
    peak: float


Measure = Callable[[Row], Took]


def rounds(
    rows: Sequence[Row], measure: Measure, limit: float, now: Callable[[], float] = time.monotonic
) -> dict[Row, list[Took]]:
    """Each row up to ``ROUNDS`` times, as long as it is to be expected that it ends before ``limit``, on the clock of ``now``."""
    took: dict[Row, list[Took]] = {row: [] for row in rows}
    for _ in range(ROUNDS):
        for row in rows:
            if now() + max((one.seconds for one in took[row]), default=0.0) <= limit:
                took[row].append(measure(row))
    return took


def growth(took: Mapping[Row, Sequence[Took]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows, without those for which there was no time; the worst memory counts, and of all else the best."""
    head = ["calls", "policies", "cores", "calls/s", "relative", "per CPU second", "relative", "peak MiB", "rounds"]
    rates = {
        row: (rate(row, [one.seconds for one in each]), rate(row, [one.cpu for one in each]))
        for row, each in took.items()
        if each
    }
    first = next(iter(rates.values()), (1.0, 1.0))
    rows = []
    for row, mine in rates.items():
        figures = [text for own, its in zip(mine, first, strict=True) for text in (f"{own:,.0f}", f"{own / its:.2f}")]
        peak = max(one.peak for one in took[row])
        rows.append([f"{row.calls:,}", str(row.policies), str(row.cores), *figures, f"{peak:.0f}", str(len(took[row]))])
    return head, rows


def rate(row: Row, seconds: Iterable[float]) -> float:
    """Calls decided in a second, in the best round."""
    return row.decided / max(min(seconds), 1e-9)


# -- one row, in a process of its own -----------------------------------------------------------------------------------


def replayed(row: Row, journal: Path) -> Took:
    command = [sys.executable, "-m", "benchmarks.replay_growth", "--row", *map(str, row), "--journal", str(journal)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, held(process.pid))
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{row} failed")
    own = Took(**json.loads(said))
    return own._replace(peak=max(peak, own.peak))


def held(pid: int) -> float:
    """MiB of the process and its children, what they share counted once."""
    total = 0.0
    for each in tree(pid):
        with suppress(OSError, KeyError):  # it ended just now
            total += resident(each)[1]
    return total


def here(row: Row, journal: Path) -> Took:
    """The replay itself; ``peak`` is that of this process alone, which is all of it where the row ends before anybody looks."""
    policies = [parse(f"timeouts: {{attempt: {2000 + 100 * each}ms}}\n", f"p{each}") for each in range(row.policies)]
    began, before = time.perf_counter(), processor()
    tried(Wanted([journal], policies, NOTHING, draws=1, cores=row.cores))
    seconds, spent = time.perf_counter() - began, processor() - before
    return Took(seconds, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def processor() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=LIMIT, help="no row begins that would end later (%(default)s)")
    parser.add_argument("--row", type=int, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row is not None:
        print(json.dumps(here(Row(*arguments.row), arguments.journal)._asdict()))
        return
    limit = time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory(prefix="replay-growth-") as directory:
        journals = {
            calls: Path(directory) / str(calls) / "journal-000001.jsonl" for calls in {row.calls for row in ROWS}
        }
        for calls, path in journals.items():
            path.parent.mkdir()
            write(path, calls)
        table(*growth(rounds(ROWS, lambda row: replayed(row, journals[row.calls]), limit)))
    print(f"\nThe best of {ROUNDS} rounds, or of as many as there was time for; memory at its worst.")


if __name__ == "__main__":
    main()
