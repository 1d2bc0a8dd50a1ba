"""Inputs of the engine as lines of a journal, and back.

One truth for who writes a journal and who reads it. A line is a flat JSON object whose ``in`` says which input it is. Floats pass
through JSON unchanged (both directions use the shortest text that gives the same float), so a replay is exact. What a call came
to (``ended``) is no input; it stands in the journal so that a replay can be checked against it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.core.fact import (
    AttemptEnded,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    Fact,
    Overridden,
    PolicyAdopted,
)
from sidecar.core.vocabulary import Abandoned, Answered, ErrorKind, Event, Outcome, Woke
from sidecar.policy.model import Policy

SCHEMA = 1  # of the lines; a reader refuses what it does not know
HEADINGS = frozenset({"start", "continued"})  # the first lines of a run and of its further files
_LARGEST = sys.float_info.max


def to_line(fact: Fact) -> dict[str, Any] | None:
    """The line for a fact; None for a fact that is neither an input nor a result."""
    line = _LINES.get(type(fact))
    return None if line is None else line(fact)


def run_id(seed: int) -> str:
    """What tells one run from another that writes in the same directory: drawn at random as its seed is, and free of time."""
    return f"{seed:x}"


def event_from(line: Mapping[str, Any]) -> Event:
    """The event a line tells of. Raises KeyError, TypeError or ValueError for a line that is none."""
    kind, at = line["in"], number(line, "at")
    if kind == "woke":
        return Woke(at)
    if kind == "abandoned":
        return Abandoned(at)
    if kind != "answered":
        raise ValueError(f"{kind!r} is no event")
    error, status, body, text = line["error"], line["status"], line["body"], line["text"]
    if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
        raise TypeError(f"body must be words by name, found {body!r}")
    if not isinstance(text, bool):
        raise TypeError(f"text must be true or false, found {text!r}")
    outcome = Outcome(
        error=None if error is None else ErrorKind(error),
        status=None if status is None else whole(line, "status"),
        body=body,
        text=text,
        retry_after=None if line["retry_after"] is None else number(line, "retry_after"),
    )
    return Answered(at, outcome)


def number(line: Mapping[str, Any], key: str) -> float:
    """The finite number at ``key``. Raises KeyError, TypeError or ValueError: what is something else is never bent into one."""
    value = line[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key} must be a number, found {value!r}")
    if not -_LARGEST <= value <= _LARGEST:
        raise ValueError(f"{key} must be a finite number, found {value!r}")
    return float(value)


def whole(line: Mapping[str, Any], key: str) -> int:
    """The whole number at ``key``. Raises KeyError or TypeError."""
    value = line[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{key} must be a whole number, found {value!r}")
    return value


def word(line: Mapping[str, Any], key: str) -> str:
    """The text at ``key``. Raises KeyError or TypeError."""
    value = line[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} must be text, found {value!r}")
    return value


def policy_from(line: Mapping[str, Any]) -> Policy:
    """The policy an ``adopt`` line states. Raises pydantic's ValidationError for one that this version cannot read."""
    return Policy.model_validate(line["policy"])


def _heard(fact: EventHeard) -> dict[str, Any]:
    event = fact.event
    line = {"in": _NAMES[type(event)], "at": fact.at, "call": fact.call}
    if type(event) is not Answered:
        return line
    outcome = event.outcome
    line["error"] = outcome.error
    line["status"] = outcome.status
    line["body"] = dict(outcome.body)
    line["text"] = outcome.text
    line["retry_after"] = outcome.retry_after
    return line


def _judged(fact: AttemptEnded) -> dict[str, Any]:
    return {"in": "judged", "call": fact.call, "target": fact.target, "verdict": fact.verdict}


def _ended(fact: CallEnded) -> dict[str, Any]:
    finish = fact.finish
    return {
        "in": "ended", "call": fact.call, "provider": finish.provider, "degraded": finish.degraded, "reason": finish.reason,
        "first_reason": fact.first_reason, "attempts": fact.attempts,
    }  # fmt: skip


def _began(fact: CallBegan) -> dict[str, Any]:
    return {
        "in": "call", "at": fact.at, "call": fact.call, "patience": fact.patience, "correlation_id": fact.correlation_id,
        "revision": fact.revision,
    }  # fmt: skip


def _dormancy(fact: DormancyHeard) -> dict[str, Any]:
    return {"in": "dormancy", "at": fact.at, "active": None if fact.active is None else sorted(fact.active)}


def _overridden(fact: Overridden) -> dict[str, Any]:
    return {"in": "override", "at": fact.at, "target": fact.target, "override": fact.override}


def _adopted(fact: PolicyAdopted) -> dict[str, Any]:
    effective = fact.policy.model_dump(mode="json")
    return {"in": "adopt", "at": fact.at, "revision": fact.revision, "source": fact.source, "policy": effective}


_LINES: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    EventHeard: _heard,
    AttemptEnded: _judged,
    CallEnded: _ended,
    CallBegan: _began,
    DormancyHeard: _dormancy,
    Overridden: _overridden,
    PolicyAdopted: _adopted,
}
KINDS = tuple(_LINES)
"""The facts there are lines for."""

_NAMES: Mapping[type[Event], str] = {Answered: "answered", Woke: "woke", Abandoned: "abandoned"}
EVENTS = frozenset(_NAMES.values())
