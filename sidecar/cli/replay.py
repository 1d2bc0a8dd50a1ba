"""Replay a journal: exactly as it was, and as it would have been under other policies.

For the recorded policies the decisions must come out the same, call by call; what differs is shown. Of a run whose first file is gone
nobody knows what was remembered before, so a call of it that comes out otherwise is counted apart. For each --policy the recorded chats
are run through the same engine on virtual time, and what the record cannot know is counted.

Exit codes: 0 replayed, 1 calls came out otherwise than recorded, 2 nothing to replay.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.serve import load_policy

if TYPE_CHECKING:
    from sidecar.replay.replay import Replayed

DIFFERING = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("journals", nargs="+", type=Path, metavar="JOURNAL", help="journal files, or the directory given to --journal")
    add("--policy", action="append", default=[], type=Path, metavar="FILE|DIR", help="a candidate; repeatable")
    add("--output", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    from sidecar.replay.replay import replay  # noqa: PLC0415 - not for --help

    result = replay(arguments.journals, [load_policy(path) for path in arguments.policy])
    document = as_document(result)
    if arguments.output == "json":
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_text(document)) + "\n")
    return DIFFERING if result.fidelity.differing else 0


def as_document(result: Replayed) -> dict[str, Any]:
    """The result as JSON."""
    fidelity = result.fidelity
    compared: dict[str, Any] = {
        "calls": fidelity.calls,
        "same": fidelity.same,
        "differing": fidelity.differing,
        "unfinished": fidelity.unfinished,
        "examples": list(fidelity.examples),
    }
    if result.incomplete:
        compared["incomplete"] = {"runs": result.incomplete, "incomparable_calls": fidelity.incomparable}
    return {
        "runs": result.runs,
        "skipped_lines": result.skipped,
        "messages": list(result.messages),
        "fidelity": compared,
        "recorded": result.recorded,
        "candidates": [
            {
                "policy": candidate.source,
                "revision": candidate.revision,
                "figures": candidate.figures,
                "assumed_attempts": candidate.assumed._asdict(),
            }
            for candidate in result.candidates
        ],
    }


def _text(document: dict[str, Any]) -> list[str]:
    fidelity, skipped, messages = document["fidelity"], document["skipped_lines"], document["messages"]
    outcome = (
        f"{fidelity['same']} came out the same, {fidelity['differing']} differ, {fidelity['unfinished']} were not over"
    )
    if not fidelity["calls"]:
        outcome = "nothing to compare, for the end of no call was recorded"
    lines = [f"{_counted(fidelity['calls'], 'call')} in {_counted(document['runs'], 'run')}: {outcome}"]
    if incomplete := fidelity.get("incomplete"):
        verb = "is" if incomplete["runs"] == 1 else "are"
        lines.append(
            f"{_counted(incomplete['runs'], 'run')} {verb} incomplete (begins in the middle, or a sample): what was remembered "
            f"is not known, {_counted(incomplete['incomparable_calls'], 'call')} cannot be compared"
        )
    if skipped:
        lines += [f"{_counted(skipped, 'line')} skipped:", *messages]
        lines += ["and more"] * (skipped > len(messages))
    lines += [*fidelity["examples"], *_table(document)]
    for candidate in document["candidates"]:
        assumed = ", ".join(f"{count} {word}" for word, count in candidate["assumed_attempts"].items())
        lines.append(f"assumed for {candidate['policy']}: {assumed} attempts")
    return lines


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _table(document: dict[str, Any]) -> list[str]:
    columns = [("recorded", document["recorded"])]
    columns += [(candidate["policy"], candidate["figures"]) for candidate in document["candidates"]]
    providers = sorted({name for _, figures in columns for name in figures["providers"]})
    reasons = sorted({name for _, figures in columns for name in figures["reasons"]})
    rows = [["", *(name for name, _ in columns)]]
    rows += [[f"by {name}", *(str(figures["providers"].get(name, 0)) for _, figures in columns)] for name in providers]
    rows += [[f"reason {name}", *(str(figures["reasons"].get(name, 0)) for _, figures in columns)] for name in reasons]
    rows.append(["attempts per call", *(str(figures["attempts_per_call"]) for _, figures in columns)])
    for name in document["recorded"]["latency_seconds"]:
        rows.append([f"{name} seconds", *(str(figures["latency_seconds"][name]) for _, figures in columns)])
    for target in sorted({name for _, figures in columns for name in figures["breaker_open_seconds"]}):
        seconds = (figures["breaker_open_seconds"].get(target, 0.0) for _, figures in columns)
        rows.append([f"{target} open seconds", *map(str, seconds)])
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns) + 1)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
