"""Hedging: where an attempt is late, a second one on the same target, and the first good answer of the two.

Theory
------
Dean and Barroso, "The tail at scale" (2013): of a target whose lateness is bad luck (a pause, a lost packet, one slow worker), a second
request after the time that all but a few answers take has the latency of an ordinary one, at the price of those few requests more. Of
a target that is late because it has too much to do, every second request makes it later. Four things keep the second case harmless:

* *Load.* ``HedgeBudget``: each first attempt saves ``max_extra_load`` of a hedge, none are saved at the start. Since start hedges
  ≤ max_extra_load·calls, in any n calls in a row ≤ max_extra_load·n + ``MOST_SAVED``.
* *Budget.* A hedge withdraws from the retry budget as a retry does: retries and hedges together stay what that allows.
* *Room.* Only a slot that is free at that moment is taken, never one that somebody waits for, and only while the breaker is closed.
* *Delay.* Where it is a quantile, it is one of the target's own last answers. An attempt that lost the race is recorded at the length it
  had until then: left out, the slowest answers would vanish from the record and the delay with them.

Only a target that may be asked twice (``effects: none`` or ``dedup``) is hedged, and only the first attempt on it, so a call makes one
attempt more at most. The loser is cancelled and settled IGNORED: it says nothing about the target, but that it was slow, if it was.
A failure of the one is not the end while the other is under way; where the request itself or our set-up is wrong, it is.
"""

from __future__ import annotations

from collections.abc import Generator

from sidecar.core.attempt import LOST_RACE, Flight, Landed, Tried, begin, land, settle
from sidecar.core.breaker import State
from sidecar.core.classify import Judged
from sidecar.core.course import LEFT, Course
from sidecar.core.deadline import MIN_ATTEMPT
from sidecar.core.fact import Hedged, HedgeDenied, HedgeEnded
from sidecar.core.scene import Rung
from sidecar.core.vocabulary import (
    ANSWERS,
    Answered,
    Binding,
    ErrorKind,
    Event,
    Finish,
    Race,
    Step,
    Ticket,
    Verdict,
    Woke,
)

_LOST = Judged(Verdict.IGNORED, LOST_RACE)
_DECIDED = ANSWERS | {Verdict.CALLER_ERROR, Verdict.MISCONFIGURED}  # the other one could not say anything else

_Both = Generator[Step, Event, "tuple[Landed | Finish, str]"]


def race(course: Course, rung: Rung, until: float, ticket: Ticket, *, turn: int, waited: float) -> Tried:
    """One request to the target, and a second one if the first is late."""
    first = begin(course, rung, until, ticket, turn=turn, waited=waited)
    if not isinstance(first, Flight):
        return first
    rung.machines.hedges.deposit(course.now)
    delay = rung.hedge_delay()
    in_time = delay is not None and delay + MIN_ATTEMPT <= first.step.timeout
    event = yield Race((first.step,), delay) if in_time else first.step
    course.now = event.now
    if not isinstance(event, Woke):
        return land(course, rung, first, event)
    second = _hedge(course, rung, until, first)
    if second is None:
        event = yield Race((first.step,), None)
        course.now = event.now
        return land(course, rung, first, event, raced=True)
    result, won = yield from _both(course, rung, [first, second])
    course.emit(HedgeEnded(course.now, course.call.number, rung.name, won))
    return result


def _hedge(course: Course, rung: Rung, until: float, first: Flight) -> Flight | None:
    """The second attempt, paid for; None where something forbids it."""
    machines, now, call = rung.machines, course.now, course.call.number
    late, load, balance = now - first.began, machines.hedges.saved, machines.budget.balance(now)
    place = _place(rung, until, now)
    if isinstance(place, str):
        course.emit(HedgeDenied(now, call, rung.name, place, late))
        return None
    course.emit(Hedged(now, call, rung.name, course.attempts + 1, late, load, balance))
    second = begin(course, rung, until, place, turn=first.step.turn + 1, waited=0.0)
    assert isinstance(second, Flight)  # noqa: S101 - the breaker is closed, and there is time
    return second


def _place(rung: Rung, until: float, now: float) -> Ticket | str:
    """A slot for a hedge, and both prices paid; or what forbids it, and nothing taken."""
    machines = rung.machines
    if machines.breaker.state is not State.CLOSED:
        return "open"
    if until - now < MIN_ATTEMPT:
        return "deadline"
    if not machines.hedges.affords(now):
        return "load"
    ticket = machines.limiter.enter(now)
    if ticket is not None and ticket.granted and machines.budget.withdraw(now):
        machines.hedges.spend(now)
        return ticket
    if ticket is None:
        return "limited"
    machines.limiter.leave(now, ticket)
    return "budget" if ticket.granted else "limited"


def _both(course: Course, rung: Rung, flights: list[Flight]) -> _Both:
    """Until one of two attempts has an answer or both have failed; and who won, in the words of ``HedgeEnded``."""
    first = flights[0]
    while True:
        event = yield Race(tuple(flight.step for flight in flights), None)
        course.now = event.now
        if not isinstance(event, Answered):
            for flight in flights:
                settle(course, rung, flight, None, raced=True)
            return LEFT, "left"
        over = next(flight for flight in flights if flight.step.number == event.attempt)
        flights.remove(over)
        verdict = settle(course, rung, over, event.outcome, raced=True)
        if event.outcome.error is ErrorKind.TIMEOUT and over.step.binding is Binding.DEADLINE:
            # Both had until then. Which timer is heard of first would be luck, and in between others may come.
            while flights:
                settle(course, rung, flights.pop(), event.outcome, raced=True)
        if verdict in _DECIDED or not flights:
            for loser in flights:
                _lose(course, rung, loser, observed=loser is first)
            won = ("first" if over is first else "hedge") if verdict in ANSWERS else "none"
            return Landed(event.outcome, verdict, over.step.number), won


def _lose(course: Course, rung: Rung, loser: Flight, *, observed: bool) -> None:
    """Cancel who came second. How long a first attempt had been silent is ``observed``; a hedge began too late to say anything."""
    if observed:
        rung.machines.latency.observe(course.now - loser.began)
    settle(course, rung, loser, None, _LOST, raced=True)
