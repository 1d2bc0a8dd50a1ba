"""Propose values for a policy from a journal, each with its evidence, and say whether they would have been better.

Attempt timeouts, reserves, breaker thresholds and limiter sizes come from what was seen of each target while it was well, how often and how
long it was not, and how many requests it works on at once. Each proposal is replayed alone and all of them together against --policy,
the policy of today. Where the journal does not hold enough to say anything, that is said.

Exit codes: 0 something is proposed, 1 nothing is, 2 it could not be read, or written.

With --output json one object is printed: "calls", "policy", "calls_of_single_trials", "proposals" (each with "kept", "left_out" and what it
does "alone"), "missing" (with "enough": data there is, and the policy's own value is as good), "hedge_seconds", "proposed_revision",
"figures" (recorded, today, proposed), "verdict" and "replay" (as "replay --output json" has it). Keys are only ever added.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.serve import load_policy

if TYPE_CHECKING:
    from sidecar.policy.load import Loaded
    from sidecar.replay.recommend import Advice, Tried
    from sidecar.replay.recommend.quantiles import Quantile
    from sidecar.replay.study import Study

NOTHING = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("journals", nargs="+", type=Path, metavar="JOURNAL", help="journal files, or the directory given to --journal")
    add("--policy", type=Path, metavar="FILE|DIR", help="the policy of today (default: built in)")
    add(
        "--write",
        type=Path,
        metavar="FILE",
        help="write what is proposed as a policy file that extends the one of today",
    )
    add("--cores", type=_cores, metavar="N", help="processes at once (default: as many as there are cores)")
    add("--output", choices=("text", "json"), default="text")


def _cores(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 1000")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Read, try and print; the exit code. Raises ValueError or OSError for what cannot be read or written."""
    from sidecar.cli.trials import on_cores, studied  # noqa: PLC0415 - not for --help
    from sidecar.replay.recommend import advise  # noqa: PLC0415

    present = load_policy(arguments.policy)
    if arguments.write is not None:
        _may_write(arguments.write, arguments.journals, present)
        extends = _extends(arguments.policy, arguments.write)
    found = studied(arguments.journals)
    advice = advise(found, present, on_cores(arguments.cores))
    if arguments.write is not None:
        from sidecar.replay.recommend.file import policy_file  # noqa: PLC0415

        made_of = ", ".join(map(str, arguments.journals))
        arguments.write.write_text(policy_file(advice, extends=extends, made_of=made_of), encoding="utf-8")
    if arguments.output == "json":
        sys.stdout.write(json.dumps(as_document(found, advice), indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_text(found, advice)) + "\n")
    return 0 if any(one.kept for one in advice.tried) else NOTHING


def _may_write(file: Path, journals: list[Path], present: Loaded) -> None:
    """Said before minutes of work, and before anything is lost. Raises ValueError."""
    if not file.parent.is_dir():
        raise ValueError(f"--write {file}: there is no directory {file.parent}")
    if file.is_dir():
        raise ValueError(f"--write {file}: is a directory: name a file")
    from sidecar.replay.journal import within  # noqa: PLC0415

    read = (kept for path in journals for kept in (within(path) if path.is_dir() else [path]))
    if file.exists() and any(file.samefile(kept) for kept in (*present.files, *read) if kept.exists()):
        raise ValueError(f"--write {file}: is what is to be read: name another file")


def _extends(policy: Path | None, written: Path) -> str | None:
    """How a file at ``written`` names today's policy; None for the built-in one. Raises ValueError."""
    if policy is None:
        return None
    file = policy / "policy.yaml" if policy.is_dir() else policy
    name = os.path.relpath(file.parent.resolve() / file.name, written.parent.resolve())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"--write: the name of {file.name!a} is not UTF-8, and no policy file can name it") from None
    return name


# -- output ------------------------------------------------------------------------------------------------------------


def as_document(found: Study, advice: Advice) -> dict[str, Any]:
    """The advice as JSON."""
    from sidecar.cli.replay import as_document as replayed  # noqa: PLC0415

    columns = zip(("recorded", "today", "proposed"), advice.comparison.columns, strict=True)
    return {
        "calls": found.calls,
        "policy": {"source": advice.present.source, "revision": advice.present.revision},
        "calls_of_single_trials": advice.alone,
        "proposals": [
            {
                **one.proposal._asdict(),
                "kept": one.kept,
                "left_out": one.left_out,
                "alone": {part.figure: [part.difference, *part.interval] for part in one.differences},
            }
            for one in advice.tried
        ],
        "missing": [one._asdict() for one in advice.missing],
        "hedge_seconds": {target: _finite(quantile) for target, quantile in advice.hedge.items()},
        "proposed_revision": advice.proposed.revision,
        "figures": {name: column.figures for name, column in columns},
        "verdict": advice.verdict,
        "replay": replayed(found, advice.comparison),
    }


def _finite(quantile: Quantile) -> dict[str, float | None]:
    """JSON has no infinity."""
    return {name: value if isfinite(value) else None for name, value in quantile._asdict().items()}


def _text(found: Study, advice: Advice) -> Iterator[str]:
    from sidecar.cli.replay import as_document as replayed  # noqa: PLC0415
    from sidecar.cli.replay_text import text  # noqa: PLC0415
    from sidecar.cli.status_text import clean  # noqa: PLC0415

    yield f"{found.calls} calls; the policy of today is {clean(advice.present.source)} ({advice.present.revision})."
    if advice.alone < found.calls:
        yield f"Single trials are out of {advice.alone} of them, in stretches spread evenly; both policies together out of all."
    for one in advice.tried:
        yield ""
        yield from _proposal(one)
    for target, quantile in advice.hedge.items():
        yield ""
        told = "not in the file: whether the target may be asked twice is for you to say (effects, hedge.enabled)"
        yield f"{target} hedge.delay: {quantile.seconds:.3g} s  [n = {quantile.n}], {told}"
    if advice.missing:
        yield ""
    for missing in advice.missing:
        yield f"{missing.target} {missing.path}: nothing proposed: {missing.why}"
    yield from ("", advice.verdict, "")
    yield from text(replayed(found, advice.comparison))


def _proposal(one: Tried) -> Iterator[str]:
    proposal = one.proposal
    sure = f"[{proposal.confidence}, n = {proposal.n}]"
    left_out = f"  LEFT OUT: {one.left_out}" if one.left_out else ""
    yield f"{proposal.target} {proposal.path}: {proposal.present} → {proposal.value}  {sure}{left_out}"
    yield f"    {proposal.evidence}"
    told = [part for part in one.differences if not part.interval.low <= 0 <= part.interval.high]
    parts = (
        f"{part.figure.replace('_', ' ')} {part.difference:+.4g} ({part.interval.low:+.4g} … {part.interval.high:+.4g})"
        for part in told
    )
    yield f"    {f'with the others of its {proposal.group}' if proposal.group else 'alone'}: {', '.join(parts) or 'no clear difference'}"
