"""What the parts of the sidecar cost in instructions, which stay the same from hour to hour and almost from machine to machine.

Each case runs with few and with many turns, and what a turn costs is the difference, by ``perf`` where the processor counts for us and by
valgrind elsewhere. Without names all cases are counted, which by valgrind takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import parts
from benchmarks.instructions import counting, functions, report
from benchmarks.instructions.case import Case, UnknownCaseError, chosen
from benchmarks.instructions.turns import Run


def main(given: list[str] | None = None) -> int:
    """Exit status: 2 for what cannot be asked or counted, 1 for a case that failed."""
    parser = _parser()
    arguments = parser.parse_args(given)
    try:
        if arguments.profile is not None:
            return _profiled(chosen([arguments.profile]))
        cases = chosen(arguments.names)
        before = None if arguments.against is None else report.read(arguments.against)
        counter = counting.found()
    except (UnknownCaseError, report.UnreadableError, counting.UnavailableError) as error:
        parser.error(str(error))
    try:
        counted = report.Counted.now(counter.name, counting.per_turn(counter, cases, _told))
        if arguments.json is not None:
            counted.write(arguments.json)
    except (counting.FailedError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    parts.table(*report.table(cases, counted, before))
    print(f"\nInstructions in user space, thousands a turn, counted by {counted.by}; Python {counted.python}.")
    for doubt in report.doubts(counted, before) if before else ():
        print(doubt)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.instructions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a case, or a group of cases: wire, relay, core, …")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there, for --against")
    parser.add_argument("--against", type=Path, metavar="FILE", help="beside the figures that were kept there")
    parser.add_argument(
        "--profile", metavar="CASE", help="count nothing; show which functions a case spends its time in"
    )
    return parser


def _profiled(cases: list[Case]) -> int:
    for case in cases:
        print(f"{case.name}: {case.says}\n")
        parts.table(*functions.table(functions.profile(case)))
        print()
    return 0


def _told(run: Run) -> None:
    """For whoever waits at a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{run.case}", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
