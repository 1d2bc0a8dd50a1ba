"""Inputs of the engine as lines of a journal, and back.

One truth for who writes a journal and who reads it. A line is a flat JSON object whose ``in`` says which input it is. Floats pass
through JSON unchanged (both directions use the shortest text that gives the same float), so a replay is exact. What a call came
to (``ended``) is no input; it stands in the journal so that a replay can be checked against it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
    match fact:
        case EventHeard(at, call, event):
            return {"in": _NAMES[type(event)], "at": at, "call": call, **_outcome_fields(event)}
        case AttemptEnded():
            return {"in": "judged", "call": fact.call, "target": fact.target, "verdict": fact.verdict}
        case CallEnded():
            finish = fact.finish
            ended = {"in": "ended", "call": fact.call, "provider": finish.provider, "degraded": finish.degraded}
            return {**ended, "reason": finish.reason, "first_reason": fact.first_reason, "attempts": fact.attempts}
        case CallBegan(at, call, patience, correlation_id, revision):
            line = {"in": "call", "at": at, "call": call, "patience": patience}
            return {**line, "correlation_id": correlation_id, "revision": revision}
        case DormancyHeard(at, active):
            return {"in": "dormancy", "at": at, "active": None if active is None else sorted(active)}
        case Overridden(at, target, override):
            return {"in": "override", "at": at, "target": target, "override": override}
        case PolicyAdopted(at, revision, source, policy):
            effective = policy.model_dump(mode="json")
            return {"in": "adopt", "at": at, "revision": revision, "source": source, "policy": effective}
    return None


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


def _outcome_fields(event: Event) -> dict[str, Any]:
    if not isinstance(event, Answered):
        return {}
    outcome = event.outcome
    return {
        "error": outcome.error,
        "status": outcome.status,
        "body": dict(outcome.body),
        "text": outcome.text,
        "retry_after": outcome.retry_after,
    }


KINDS = (CallBegan, EventHeard, AttemptEnded, CallEnded, DormancyHeard, Overridden, PolicyAdopted)
"""The facts there are lines for."""

_NAMES: Mapping[type[Event], str] = {Answered: "answered", Woke: "woke", Abandoned: "abandoned"}
EVENTS = frozenset(_NAMES.values())
