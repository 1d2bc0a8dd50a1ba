"""Inputs of the engine as lines of a journal, and back.

One truth for who writes a journal and who reads it. A line is a flat JSON object whose ``in`` says which input it is. Floats pass
through JSON unchanged (both directions use the shortest text that gives the same float), so a replay is exact. What a call came
to (``ended``) is no input; it stands in the journal so that a replay can be checked against it. That an attempt was
broken on purpose (``fault``) is no input either: its outcome is, and the line says that it is not the target's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, get_args

from msgspec import to_builtins

from sidecar.core import written
from sidecar.core.fact import (
    AttemptEnded,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    Fact,
    Fault,
    FaultInjected,
    HealthHeard,
    Overridden,
    PolicyAdopted,
)
from sidecar.core.vocabulary import Abandoned, Answered, ErrorKind, Event, Outcome, Verdict, Woke
from sidecar.core.written import UNSET, Line
from sidecar.policy.model import Policy

SCHEMA = 1  # of the lines; a reader refuses what it does not know
HEADINGS = frozenset({"start", "continued"})  # the first lines of a run and of its further files
_LARGEST = sys.float_info.max


def line_of(fact: Fact) -> Line | None:
    """The line for a fact; None for a fact that is neither an input nor a result."""
    line = _LINES.get(type(fact))
    return None if line is None else line(fact)


def to_line(fact: Fact) -> dict[str, Any] | None:
    """The line for a fact, as whoever reads it has it."""
    line = line_of(fact)
    return None if line is None else to_builtins(line)


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
    return Answered(at, outcome, whole(line, "attempt") if "attempt" in line else None)


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


def probe_from(line: Mapping[str, Any]) -> HealthHeard:
    """The probe a line tells of; its verdict is no input: an engine comes to it by itself. Raises KeyError, TypeError or ValueError."""
    error, busy = line["error"], line["busy"]
    status = None if line["status"] is None else whole(line, "status")
    if (error is None) is (status is None):
        raise ValueError("a probe has either an error or a status")
    if not isinstance(busy, bool):
        raise TypeError(f"busy must be true or false, found {busy!r}")
    outcome = Outcome(error=None if error is None else ErrorKind(error), status=status)
    return HealthHeard(
        number(line, "at"), word(line, "target"), outcome, busy, number(line, "seconds"), Verdict(word(line, "verdict"))
    )


def policy_from(line: Mapping[str, Any]) -> Policy:
    """The policy an ``adopt`` line states. Raises pydantic's ValidationError for one that this version cannot read."""
    return Policy.model_validate(line["policy"])


def fault_from(line: Mapping[str, Any]) -> FaultInjected:
    """The injected fault a line tells of. Raises KeyError, TypeError or ValueError."""
    fault = word(line, "fault")
    if fault not in get_args(Fault):
        raise ValueError(f"{fault!r} is no fault")
    at, call, target = number(line, "at"), whole(line, "call"), word(line, "target")
    return FaultInjected(at, call, target, whole(line, "number"), fault, word(line, "rule"))  # type: ignore[arg-type]


def _heard(fact: EventHeard) -> Line:
    event = fact.event
    if type(event) is Answered:
        outcome = event.outcome
        return written.Answered(
            fact.at, fact.call, outcome.error, outcome.status, dict(outcome.body), outcome.text, outcome.retry_after,
            UNSET if event.attempt is None else event.attempt,
        )  # fmt: skip
    return written.Woke(fact.at, fact.call) if type(event) is Woke else written.Abandoned(fact.at, fact.call)


def _judged(fact: AttemptEnded) -> Line:
    if fact.raced:
        return written.Judged(fact.call, fact.target, fact.verdict, fact.number, fact.seconds)
    return written.Judged(fact.call, fact.target, fact.verdict)


def _ended(fact: CallEnded) -> Line:
    finish = fact.finish
    return written.Ended(fact.call, finish.provider, finish.degraded, finish.reason, fact.first_reason, fact.attempts)


def _began(fact: CallBegan) -> Line:
    session = fact.session or UNSET
    return written.Call(fact.at, fact.call, fact.patience, fact.correlation_id, fact.revision, session)


def _dormancy(fact: DormancyHeard) -> Line:
    return written.Dormancy(fact.at, None if fact.active is None else sorted(fact.active))


def _health(fact: HealthHeard) -> Line:
    outcome = fact.outcome
    return written.Health(fact.at, fact.target, outcome.error, outcome.status, fact.busy, fact.seconds, fact.verdict)


def _overridden(fact: Overridden) -> Line:
    return written.Override(fact.at, fact.target, fact.override)


def _injected(fact: FaultInjected) -> Line:
    return written.Fault(fact.at, fact.call, fact.target, fact.number, fact.fault, fact.rule)


def _adopted(fact: PolicyAdopted) -> Line:
    return written.Adopt(fact.at, fact.revision, fact.source, fact.policy.model_dump(mode="json"))


_LINES: Mapping[type, Callable[[Any], Line]] = {
    EventHeard: _heard,
    AttemptEnded: _judged,
    CallEnded: _ended,
    CallBegan: _began,
    DormancyHeard: _dormancy,
    HealthHeard: _health,
    Overridden: _overridden,
    PolicyAdopted: _adopted,
    FaultInjected: _injected,
}
KINDS = tuple(_LINES)
"""The facts there are lines for."""

EVENTS = frozenset({"answered", "woke", "abandoned"})
