"""One chat as a line of a list: what it came to, and each attempt with its place on the clock of the chat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sidecar.core.attempt import LOST_RACE
from sidecar.core.fact import AttemptEnded, AttemptStarted, CallEnded, ChatServed, Fact, FaultInjected, Refused, Retried


def summary(served: ChatServed, facts: Sequence[Fact], now: float) -> dict[str, Any]:
    """``facts`` are those of the call, its begin first. All times are seconds; ``after_seconds`` counts from the begin."""
    began = facts[0].at
    ended = next((fact for fact in facts if isinstance(fact, CallEnded)), None)
    finish = ended.finish if ended else None
    return {
        "call": served.call,
        "correlation_id": served.correlation_id,
        "seconds_ago": round(now - served.at, 1),
        "outcome": served.outcome,
        "status": served.status,
        "provider": finish.provider if finish else None,
        "reason": finish.reason if finish else None,
        "first_reason": ended.first_reason if ended else None,
        "seconds": round(served.seconds, 4),
        "attempts": list(_attempts(facts, began)),
        "not_asked": [_told(fact, began, reason=fact.reason) for fact in facts if isinstance(fact, Refused)],
        "waits": [_told(fact, began, seconds=round(fact.delay, 4)) for fact in facts if isinstance(fact, Retried)],
    }


def _attempts(facts: Iterable[Fact], began: float) -> Iterable[dict[str, Any]]:
    """In the order in which they began; one that has no end here (the client left) has neither seconds nor result."""
    ends = {fact.number: fact for fact in facts if isinstance(fact, AttemptEnded)}
    broken = {fact.number: fact.rule for fact in facts if isinstance(fact, FaultInjected)}
    for fact in facts:
        if isinstance(fact, AttemptStarted):
            end = ends.get(fact.number)
            yield _told(
                fact,
                began,
                seconds=round(end.seconds, 4) if end else None,
                timeout=round(fact.timeout, 4),
                verdict=end.verdict if end else None,
                result=_result(end) if end else None,
                broken_by=broken.get(fact.number),
            )


def _told(fact: AttemptStarted | Refused | Retried, began: float, **more: object) -> dict[str, Any]:
    return {"target": fact.target, "after_seconds": round(fact.at - began, 4), **more}


def _result(end: AttemptEnded) -> str:
    """In few words: an error kind, the status of the answer, or why there is none."""
    outcome = end.outcome
    if outcome is None:
        return LOST_RACE if end.rule == LOST_RACE else "client left"
    return outcome.error.value if outcome.error else f"HTTP {outcome.status}"
