"""Where golden files are, and what is in them."""

from __future__ import annotations

from difflib import unified_diff
from itertools import islice
from pathlib import Path

from sidecar.policy.load import Loaded, load

from .again import facts_under, recorded
from .told import lines

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
POLICIES = ("default", "patient", "solo_madre")
MOST_SHOWN = 30  # lines of a difference

_HEAD = """\
# What policies/{name}.yaml makes of the calls in {name}.journal.jsonl, a line for each fact. Written by `make golden`; how to read a change
# of it: docs/policy-tests.md, "Golden journals".
"""


def policy_of(name: str) -> Path:
    return ROOT / "policies" / f"{name}.yaml"


def journal_of(name: str) -> Path:
    return HERE / f"{name}.journal.jsonl"


def facts_of(name: str) -> Path:
    return HERE / f"{name}.facts"


def told(name: str, loaded: Loaded | None = None) -> str:
    """The facts of a golden journal as its file has them, under the shipped policy or another."""
    record, _ = recorded(journal_of(name))
    facts = facts_under(record, load(policy_of(name)) if loaded is None else loaded)
    return _HEAD.format(name=name) + "\n".join(lines(facts)) + "\n"


def stale(name: str, kept: str, loaded: Loaded | None = None) -> str | None:
    """What is to be done where ``kept`` is not what the policy makes of the journal, with the first lines of the difference."""
    now = told(name, loaded)
    if now == kept:
        return None
    file = f"tests/golden/{name}.facts"
    difference = list(
        unified_diff(kept.splitlines(), now.splitlines(), file, "under the policy as it is now", n=0, lineterm="")
    )
    more = [f"… and {len(difference) - MOST_SHOWN} lines more"] * (len(difference) > MOST_SHOWN)
    ask = f"{file} is not what policies/{name}.yaml does now. If that is meant, write it anew: make golden"
    return "\n".join([ask, *islice(difference, MOST_SHOWN), *more])
