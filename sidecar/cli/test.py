"""Test a policy: given these answers at these times, expect this reply, these attempts, this reason, within this time.

Each case in a CASES file is played by the code that serves, on virtual time: no network, no waiting. What is left to chance (backoff,
the jitter of open times) is drawn from a seed, and a case must hold in all of --seeds of them, which are the same in every run.
docs/policy-tests.md has the format.

Exit codes: 0 every case holds, 1 some do not, 2 a file cannot be read or is wrong; then nothing is played.

With --output json one object is printed: "seeds" ("first", "count"), "files", a list with for each "file", "policy", "revision" and
"cases", each with "name", "line", "passed" and "failures" ("file", "line", "column", "about", "expected", "got", "how", "seed",
"failing_seeds", "more_chats"); and "summary", the number of "cases" and "failed". Keys are only ever added.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sidecar.policy.load import Loaded
    from sidecar.policy.problem import Problem
    from sidecar.replay.cases.case import Cases
    from sidecar.replay.cases.trial import Missed, Trial

HOLDS, FAILED = 0, 1
MOST_SEEDS = 100_000


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="CASES", help="file with cases (YAML)")
    add(
        "--policy",
        type=Path,
        metavar="FILE|DIR",
        help="try the cases on this policy instead of the one their file names",
    )
    add("--run", dest="names", metavar="REGEX", help="only cases in whose name this is found")
    add("--seeds", default="20", metavar="N", help="how many seeds each case is played with (default 20)")
    add("--seed", default="1", metavar="N", help="the first of them (default 1)")
    add("-v", "--verbose", action="store_true", help="name every case, also those that hold")
    add("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Play and print; the exit code. Raises ValueError for what is wrong with files and options."""
    first = _whole("--seed", arguments.seed, 0, 2**63)
    seeds = range(first, first + _whole("--seeds", arguments.seeds, 1, MOST_SEEDS))
    reports = [_Report(cases, _tried(cases, seeds)) for cases in _selected(arguments)]
    if arguments.output == "json":
        sys.stdout.write(_json(reports, seeds))
    else:
        sys.stdout.write("\n".join(_text(reports, seeds, arguments)) + "\n")
    return HOLDS if all(trial.held for report in reports for trial in report.trials) else FAILED


class _Report(NamedTuple):
    cases: Cases
    trials: tuple[Trial, ...]


def _whole(option: str, text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    raise ValueError(f"{option} {text!r}: must be a whole number from {least} to {most}")


def _tried(cases: Cases, seeds: Sequence[int]) -> tuple[Trial, ...]:
    from sidecar.replay.cases.trial import try_case  # noqa: PLC0415 - not for --help

    return tuple(try_case(case, cases.loaded, seeds) for case in cases.cases)


def _selected(arguments: argparse.Namespace) -> list[Cases]:
    """All files, read, each with the cases that --run selects. Raises ValueError: one wrong file, and nothing is played."""
    instead = _instead(arguments.policy)
    wanted = _pattern(arguments.names)
    read = _read(arguments.files, instead)
    chosen = [file._replace(cases=tuple(case for case in file.cases if wanted.search(case.name))) for file in read]
    if not any(file.cases for file in chosen):
        raise ValueError(f"--run {arguments.names!r}: no case has such a name")
    return [file for file in chosen if file.cases]


def _instead(path: Path | None) -> Loaded | None:
    from sidecar.policy.load import load  # noqa: PLC0415

    return None if path is None else load(path)


def _pattern(text: str | None) -> re.Pattern[str]:
    try:
        return re.compile(text or "")
    except re.error as error:
        raise ValueError(f"--run {text!r}: no regular expression: {error}") from None


def _read(files: Sequence[Path], instead: Loaded | None) -> list[Cases]:
    from sidecar.policy.problem import PolicyError  # noqa: PLC0415
    from sidecar.replay.cases.document import read_cases  # noqa: PLC0415

    read: list[Cases] = []
    problems: list[Problem] = []
    for file in files:
        try:
            read.append(read_cases(file, instead))
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
    return read


# -- printed -----------------------------------------------------------------------------------------------------------


def _text(reports: list[_Report], seeds: range, arguments: argparse.Namespace) -> Iterator[str]:
    for report in reports:
        instead = f", with {arguments.policy}" if arguments.policy else ""
        yield f"Unit Testing:  {report.cases.file}{instead}"
        if arguments.verbose:
            yield from (f"    {'holds ' if trial.held else 'FAILED'}  {trial.case.name}" for trial in report.trials)
        failed = sum(not trial.held for trial in report.trials)
        said = f"{_counted(len(report.trials), 'case')}, {_spanned(seeds)}"
        yield f"  FAILED ({failed} of {said}):" if failed else f"  SUCCESS ({said})"
        for trial in report.trials:
            for missed in trial.missed:
                yield from _failure(trial.case.name, missed, len(seeds))


def _failure(name: str, missed: Missed, seeds: int) -> Iterator[str]:
    failure = missed.failure
    also = [f"{missed.seeds} of {seeds} seeds"] if seeds > 1 else []
    also += [_counted(missed.more, "more chat")] if missed.more else []
    notes = f" ({', '.join(also)})" if also else ""
    yield f"    {missed.place}: {name}"
    yield f"      {failure.about}, seed {missed.seed}{notes}:"
    rows = [("expected", failure.expected), ("got", failure.got)]
    rows += [(failure.how, failure.course)] if failure.how else []
    yield from (f"        {f'{word}:':<10}{text}" for word, text in rows)


def _spanned(seeds: range) -> str:
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _json(reports: list[_Report], seeds: range) -> str:
    import json  # noqa: PLC0415

    trials = [trial for report in reports for trial in report.trials]
    whole = {
        "seeds": {"first": seeds[0], "count": len(seeds)},
        "files": [
            {
                "file": report.cases.file,
                "policy": report.cases.loaded.source,
                "revision": report.cases.loaded.revision,
                "cases": [_as_object(trial) for trial in report.trials],
            }
            for report in reports
        ],
        "summary": {"cases": len(trials), "failed": sum(not trial.held for trial in trials)},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _as_object(trial: Trial) -> dict[str, Any]:
    return {
        "name": trial.case.name,
        "line": trial.case.place.line,
        "passed": trial.held,
        "failures": [
            {
                **missed.place._asdict(),
                "about": missed.failure.about,
                "expected": missed.failure.expected,
                "got": missed.failure.got,
                "how": {missed.failure.how: missed.failure.course} if missed.failure.how else {},
                "seed": missed.seed,
                "failing_seeds": missed.seeds,
                "more_chats": missed.more,
            }
            for missed in trial.missed
        ],
    }
