"""What a run's lines say by themselves, without an engine: for a run that begins in the middle, whose machines nobody knows.

A step is performed from the event before it to the event that answers it, so the lines of a call hold when each of its attempts began and
ended and what became of it. What they do not hold is why: moves of breakers, refusals, retries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.core.fact import (
    AttemptEnded,
    CallBegan,
    CallEnded,
    DormancyHeard,
    Emit,
    Overridden,
    PolicyAdopted,
)
from sidecar.core.line import EVENTS, event_from, fault_from, number, policy_from, probe_from, whole, word
from sidecar.core.vocabulary import Answered, Binding, Event, Finish, Override, Reason, Verdict
from sidecar.replay.journal import Journal

RESULTS = ("judged", "ended")


def tell(journal: Journal, emit: Emit) -> None:
    """Emit what is known of every call that began in ``journal``, and what was heard from outside."""
    teller = _Teller(emit)
    for line in journal.lines:
        kind = line.fields["in"]
        told = teller.told.get(kind)
        if told is None:
            continue
        try:
            told(line.fields)
        except KeyError as error:
            why = f"there is no {error.args[0]!r} in it"
        except (TypeError, ValueError) as error:
            why = str(error)
        else:
            continue
        if kind in RESULTS:  # of an input that cannot be read the exact replay has said so
            journal.skip(line.file, line.number, why)


class _Course:
    """A call so far: when its step under way began, and the event that ended the one before."""

    def __init__(self, began: float) -> None:
        self.began = self.turned = self.at = began
        self.event: Event | None = None
        self.attempts = 0

    def hear(self, event: Event) -> None:
        self.turned, self.at, self.event = self.at, event.now, event


class _Teller:
    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._courses: dict[int, _Course] = {}
        self.told: dict[str, Callable[[Any], None]] = {
            "call": self._call,
            "judged": self._judged,
            "ended": self._ended,
            "fault": lambda fields: emit(fault_from(fields)),
            "dormancy": self._dormancy,
            "health": self._health,
            "override": self._override,
            **dict.fromkeys(("adopt", "continued"), self._adopt),
            **dict.fromkeys(EVENTS, self._event),
        }

    def _call(self, fields: Any) -> None:
        at, call, patience = number(fields, "at"), whole(fields, "call"), number(fields, "patience")
        session = word(fields, "session") if "session" in fields else ""
        told = CallBegan(at, call, patience, word(fields, "correlation_id"), word(fields, "revision"), session=session)
        self._emit(told)
        self._courses[call] = _Course(at)

    def _event(self, fields: Any) -> None:
        course = self._courses.get(whole(fields, "call"))
        if course is not None:
            course.hear(event_from(fields))

    def _judged(self, fields: Any) -> None:
        call, target, verdict = whole(fields, "call"), word(fields, "target"), Verdict(word(fields, "verdict"))
        course = self._courses.get(call)
        if course is None:
            return
        course.attempts += 1
        place, seconds, event = course.attempts, course.at - course.turned, course.event
        raced = "attempt" in fields
        if raced:
            place, seconds = whole(fields, "attempt"), number(fields, "seconds")
        # In a race the event may tell of another attempt: then this one was cancelled.
        heard = isinstance(event, Answered) and event.attempt in (None, place)
        outcome = event.outcome if isinstance(event, Answered) and heard else None
        bound = Binding.ATTEMPT  # or the deadline: it is not in the lines, and nobody asks
        self._emit(AttemptEnded(course.at, call, target, place, seconds, outcome, verdict, bound, raced=raced))

    def _ended(self, fields: Any) -> None:
        call = whole(fields, "call")
        course = self._courses.pop(call, None)
        if course is None:
            return
        provider, degraded = fields["provider"], fields["degraded"] is True
        if provider is not None:
            provider = word(fields, "provider")
        gone = provider is None and not degraded
        finish = Finish(provider, None, degraded, _reason(fields["reason"]), abandoned=gone)
        first, attempts = _reason(fields["first_reason"]), whole(fields, "attempts")
        self._emit(CallEnded(course.at, call, course.at - course.began, finish, first, attempts))

    def _dormancy(self, fields: Any) -> None:
        active = fields["active"]
        self._emit(DormancyHeard(number(fields, "at"), None if active is None else frozenset(active)))

    def _health(self, fields: Any) -> None:
        self._emit(probe_from(fields))

    def _override(self, fields: Any) -> None:
        override = fields["override"]
        held = None if override is None else Override(override)
        self._emit(Overridden(number(fields, "at"), word(fields, "target"), held))

    def _adopt(self, fields: Any) -> None:
        policy = policy_from(fields)
        self._emit(PolicyAdopted(number(fields, "at"), word(fields, "revision"), word(fields, "source"), policy))


def _reason(value: Any) -> Reason | None:
    return None if value is None else Reason(value)
