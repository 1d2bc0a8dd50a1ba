"""One request to a target: a permit and a slot held exactly as long as it lasts, and what its outcome means."""

from __future__ import annotations

from collections.abc import Generator

from sidecar.core.breaker import Permit, Refusal
from sidecar.core.classify import Judged
from sidecar.core.course import LEFT, Course, limited, refuse, tell
from sidecar.core.deadline import MIN_ATTEMPT, bounded
from sidecar.core.fact import AttemptEnded, AttemptStarted
from sidecar.core.scene import RESERVE_MOST, Rung
from sidecar.core.value import Value, replace
from sidecar.core.vocabulary import (
    ANSWERS,
    Answered,
    Attempt,
    Binding,
    ErrorKind,
    Event,
    Finish,
    Outcome,
    Reason,
    Step,
    Ticket,
    Verdict,
)

SUSPICIOUS = 0.5  # share of a slow call after which silence counts against a target even if the client was impatient

# What judges an attempt before its classifier is asked, in words beside those of the classifier.
_GONE = Judged(Verdict.IGNORED, "client left")
_DORMANT = Judged(Verdict.IGNORED, "dormant")
_IMPATIENT = Judged(Verdict.IGNORED, "short patience")
LOST_RACE = "lost the race"
"""The rule by which one of two attempts is ignored because the other has answered."""


class Flight(Value, gc=True):
    """An attempt under way, with what it holds."""

    step: Attempt
    began: float
    permit: Permit
    ticket: Ticket


class Landed(Value):
    """What came of an attempt: ``number`` says of which one of the call."""

    outcome: Outcome
    verdict: Verdict
    number: int


Tried = Generator[Step, Event, Landed | Finish | Reason]


def attempt(course: Course, rung: Rung, until: float, ticket: Ticket, *, turn: int, waited: float) -> Tried:
    """One request to the target, from the permit to its verdict."""
    flight = begin(course, rung, until, ticket, turn=turn, waited=waited)
    if not isinstance(flight, Flight):
        return flight
    event = yield flight.step
    course.now = event.now
    return land(course, rung, flight, event)


def land(course: Course, rung: Rung, flight: Flight, event: Event, *, raced: bool = False) -> Landed | Finish:
    """The end of an attempt that was alone: its answer, or its client left."""
    outcome = event.outcome if isinstance(event, Answered) else None
    verdict = settle(course, rung, flight, outcome, raced=raced)
    return LEFT if outcome is None else Landed(outcome, verdict, flight.step.number)


def begin(course: Course, rung: Rung, until: float, ticket: Ticket, *, turn: int, waited: float) -> Flight | Reason:
    """Take a permit for whoever has a slot; or why there is none, and the slot given back."""
    machines, now = rung.machines, course.now
    timeout, binding = bounded(until, now, rung.timeout)
    permit = machines.breaker.admit(now) if until - now >= MIN_ATTEMPT else Reason.TIMEOUT
    if not isinstance(permit, Permit):  # the breaker moved, or the time ran out, while this call was queued
        machines.limiter.leave(now, ticket)
        if isinstance(permit, Refusal):
            return refuse(course, rung, until, Reason.OPEN, permit.retry_after, waited=waited)
        return refuse(course, rung, until, permit, waited=waited)
    if turn == 1:
        machines.budget.deposit(now)
    course.attempts += 1
    number, call = course.attempts, course.call.number
    left, reserved, state = course.deadline - now, course.deadline - until, machines.breaker.state
    course.emit(AttemptStarted(now, call, rung.name, number, timeout, binding, left, reserved, waited, state))
    return Flight(Attempt(rung.name, number, timeout, rung.connect_timeout, binding, turn), now, permit, ticket)


def settle(
    course: Course,
    rung: Rung,
    flight: Flight,
    outcome: Outcome | None,
    judged: Judged | None = None,
    *,
    raced: bool,
) -> Verdict:
    """Give back what the attempt held, and say what became of it. Without an ``outcome`` it is ``judged`` by whoever ended it."""
    now, permit, step = course.now, flight.permit, flight.step
    breaker, limiter = rung.machines.breaker, rung.machines.limiter
    limiter.leave(now, flight.ticket)
    seconds, number, binding = now - flight.began, step.number, step.binding
    meant = judged or _judge(course, rung, outcome, seconds, binding)
    verdict, rule = meant.verdict, meant.rule
    heeded = breaker.heeds(now, permit)
    moved = breaker.settle(now, permit, verdict)
    counts = moved.counts if moved else breaker.counts(now)
    call, name = course.call.number, rung.name
    course.emit(AttemptEnded(now, call, name, number, seconds, outcome, verdict, binding, rule, counts, heeded, raced))
    if moved:
        tell(course, moved)
        if moved.why == "recovered":
            limited(course, limiter.recover(now))
    if limiter.moving:
        limited(course, limiter.observe(now, flight.began, verdict, outcome))
    if rung.health is not None and verdict in ANSWERS:
        alive = rung.health.answered(now)
        if alive:
            course.emit(replace(alive, call=call))
            limited(course, limiter.recover(now))
    return verdict


def _judge(course: Course, rung: Rung, outcome: Outcome | None, seconds: float, binding: Binding) -> Judged:
    """Classify, with what only the plan knows: dormancy, and how much patience this client had."""
    if outcome is None:
        return _GONE
    if course.scene.dormancy.explains(rung.name, course.scene.dormant, outcome):
        return _DORMANT
    judged = rung.classify.judge(outcome)
    timed_out = outcome.error is ErrorKind.TIMEOUT
    cut_short = course.shortened and binding is Binding.DEADLINE
    if timed_out and cut_short and seconds < rung.target.breaker.slow_call.duration * SUSPICIOUS:
        # A client may shorten its patience; that the target missed it must not open the breaker for everybody else.
        return _IMPATIENT
    if judged.verdict in ANSWERS:
        rung.machines.latency.observe(seconds)
    elif timed_out:
        # How long it would have taken nobody knows. Recorded at its own length, an attempt cut off by a small reserve would
        # keep that reserve small and so be cut off again, for ever.
        rung.machines.latency.observe(max(seconds, RESERVE_MOST))
    return judged
