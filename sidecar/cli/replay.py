"""Replay a journal: exactly as it was, and as it would have been under other policies.

For the recorded policies the decisions must come out the same, call by call; what differs is shown. Of a run whose first file is gone
nobody knows what was remembered before, so a call of it that comes out otherwise is counted apart. For each --policy the recorded chats
are run through the same engine on virtual time; what the record cannot know is made up from what it does, counted and said. Figures are
followed by where they are likely to lie (95 %), differences by their interval: one that includes 0 shows nothing.

Exit codes: 0 replayed, 1 calls came out otherwise than recorded, 2 nothing to replay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.serve import load_policy

if TYPE_CHECKING:
    from sidecar.policy.model import Policy
    from sidecar.replay.column import Comparison
    from sidecar.replay.study import Study

DIFFERING = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("journals", nargs="+", type=Path, metavar="JOURNAL", help="journal files, or the directory given to --journal")
    add("--policy", action="append", default=[], type=Path, metavar="FILE|DIR", help="a candidate; repeatable")
    add("--scenario", type=Path, metavar="FILE", help="outages, brownouts and floods to meet besides what was recorded")
    add("--report", type=Path, metavar="FILE", help="write a page with plots, for a browser without a network")
    add("--cores", type=_count, metavar="N", help="processes at once (default: as many as there are cores)")
    add(
        "--draws",
        type=_count,
        metavar="N",
        help="how often to draw what must be made up (default: 20 for few calls, 1 for many)",
    )
    add("--output", choices=("text", "json"), default="text")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 1000")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    from sidecar.cli.trials import Wanted, tried  # noqa: PLC0415 - not for --help
    from sidecar.replay.worlds.scenario import NOTHING, read_scenario  # noqa: PLC0415

    policies = [load_policy(path) for path in arguments.policy]
    scenario = NOTHING if arguments.scenario is None else read_scenario(arguments.scenario)
    study, comparison = tried(Wanted(arguments.journals, policies, scenario, arguments.draws, arguments.cores))
    if arguments.report is not None:
        _write(arguments.report, _page(study, comparison, arguments.journals))
    document = as_document(study, comparison)
    if arguments.output == "json":
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        from sidecar.cli.replay_text import text  # noqa: PLC0415

        sys.stdout.write("\n".join(text(document)) + "\n")
    return DIFFERING if study.fidelity.differing else 0


def as_document(study: Study, comparison: Comparison) -> dict[str, Any]:
    """The result as JSON."""
    fidelity = study.fidelity
    compared: dict[str, Any] = {
        "calls": fidelity.calls,
        "same": fidelity.same,
        "differing": fidelity.differing,
        "unfinished": fidelity.unfinished,
        "examples": list(fidelity.examples),
    }
    if study.incomplete:
        compared["incomplete"] = {"runs": study.incomplete, "incomparable_calls": fidelity.incomparable}
    recorded, *candidates = comparison.columns
    return {
        "runs": study.runs,
        "skipped_lines": study.skipped,
        "messages": list(study.messages),
        "fidelity": compared,
        "recorded": recorded.figures,
        "recorded_intervals": _intervals(recorded.intervals),
        "candidates": [
            {
                "policy": candidate.name,
                "revision": candidate.revision,
                "figures": candidate.figures,
                "intervals": _intervals(candidate.intervals),
                "assumed_attempts": candidate.assumed,
            }
            for candidate in candidates
        ],
        "differences": [{**one._asdict(), "interval": list(one.interval)} for one in comparison.differences],
        "confidence": comparison.confidence,
        "assumptions": list(comparison.assumptions) if candidates else [],
    }


def _intervals(intervals: Any) -> dict[str, list[float]]:
    return {name: [round(edge, 6) for edge in interval] for name, interval in intervals.items()}


def _page(study: Study, comparison: Comparison, journals: list[Path]) -> str:
    from sidecar import __version__  # noqa: PLC0415
    from sidecar.replay.report.page import render  # noqa: PLC0415

    named = [str(path) for path in journals]
    limits = _limits([policy for record in study.records for policy in record.policies])
    return render(comparison, title="Replay of " + ", ".join(named), made_of=named, version=__version__, limits=limits)


def _limits(policies: Sequence[Policy]) -> dict[str, float]:
    """What the recorded policy, the last one, says of times: by when an answer must have left, and what is promised."""
    if not policies:
        return {}
    deadline, promised = policies[-1].deadline, policies[-1].slo.latency
    return {
        "deadline": deadline.client - deadline.margin,
        f"objective p{promised.quantile * 100:g}": promised.threshold,
    }


def _write(path: Path, page: str) -> None:
    """Raises OSError with the name of the file."""
    path.write_text(page, encoding="utf-8")
