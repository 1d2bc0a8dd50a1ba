"""The replay driver: performs plans on a heap with virtual time.

No task, no loop, no clock: time is whatever the next entry of the heap says. The engine and its plans are those that run live; only
who answers, and after how long, comes from a *world*. Entries at the same time are served in the order they were pushed, as
an event loop would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Any, Protocol

from msgspec import Struct

from sidecar.core.engine import Engine, Plan
from sidecar.core.scene import Call
from sidecar.core.value import Value
from sidecar.core.vocabulary import (
    Abandoned,
    Answered,
    Attempt,
    Backoff,
    ErrorKind,
    Event,
    Outcome,
    Queue,
    Race,
    Step,
    Woke,
)

TIMED_OUT = Outcome(error=ErrorKind.TIMEOUT)


class World(Protocol):
    """How targets answer."""

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        """Seconds and outcome of an attempt that begins now, were it given all the time it takes."""


class Arrival(Value):
    """A chat, and after how many seconds its client leaves; None: it stays."""

    at: float
    call: Call
    leaves_after: float | None = None


class _Running(Struct, eq=False):
    """One call under way. ``turn`` counts its steps, so that what was meant for an earlier one is known to be late.

    ``race`` holds, by the number of the attempt, when those of a race end and with what.
    """

    number: int
    plan: Plan
    turn: int = 0
    race: dict[int, tuple[float, Outcome]] | None = None


class Simulation:
    """Drives an engine through arrivals in a world. ``at`` lets anything else happen at its time: a reload, a fault, an override."""

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world
        # When, which push (no two are alike, so nothing behind is ever compared), whose turn, and what is due then: the outcome
        # of an attempt, in a race with its number, or None to wake; of nobody's turn an arrival, or a happening. Events are made
        # when they are due: the clock may leap, and what was meant for an earlier step than the one under way comes to nothing.
        self._heap: list[tuple[float, int, _Running | None, int, Any]] = []
        self._pushed = 0
        self.now = 0.0

    def at(self, when: float, happening: Callable[[float], None]) -> None:
        """Call ``happening(now)`` at that time."""
        self._push(when, None, 0, happening)

    def run(self, arrivals: Iterable[Arrival]) -> None:
        """To the end of every call. ``arrivals`` in the order of time; only the next one is held, so a day fits in memory."""
        heap, pending = self._heap, iter(arrivals)
        self._expect(pending)
        while heap:
            self.now, _, running, turn, due = heappop(heap)
            now = self.now
            if running is not None:
                if running.turn == turn:
                    self._tell(running, _event(now, due))
            elif type(due) is Arrival:
                self._arrive(now, due)
                self._expect(pending)
            else:
                due(now)

    def _push(self, when: float, running: _Running | None, turn: int, due: Any) -> None:
        self._pushed += 1
        heappush(self._heap, (when, self._pushed, running, turn, due))

    def _expect(self, pending: Iterator[Arrival]) -> None:
        arrival = next(pending, None)
        if arrival is not None:
            self._push(arrival.at, None, 0, arrival)

    def _arrive(self, now: float, arrival: Arrival) -> None:
        running = _Running(arrival.call.number, self._engine.begin(now, arrival.call))
        if arrival.leaves_after is not None:
            self.at(now + arrival.leaves_after, lambda then: self._tell(running, Abandoned(then)))
        self._perform(now, running, running.plan.start())

    def _tell(self, running: _Running, event: Event) -> None:
        plan = running.plan
        if plan.finish is None:
            running.turn += 1
            self._perform(event.now, running, plan.send(event))

    def _perform(self, now: float, running: _Running, step: Step) -> None:
        turn = running.turn
        if type(step) is Attempt:
            ends, outcome = self._answer(now, running.number, step)
            self._push(ends, running, turn, outcome)
        elif type(step) is Race:
            self._race(now, running, step)
        elif type(step) is Queue:
            step.ticket.wake = lambda: self._push(self.now, running, turn, None)
            self._push(now + step.timeout, running, turn, None)
        elif type(step) is Backoff:
            self._push(now + step.delay, running, turn, None)

    def _race(self, now: float, running: _Running, step: Race) -> None:
        """Everybody who is in it ends as was known when it began; who is not named any more is forgotten."""
        before = running.race or {}
        running.race = {
            attempt.number: before.get(attempt.number) or self._answer(now, running.number, attempt)
            for attempt in step.attempts
        }
        if step.wake is not None:
            self._push(now + step.wake, running, running.turn, None)
        for number, (ends, outcome) in running.race.items():
            self._push(ends, running, running.turn, (number, outcome))

    def _answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        """When an attempt that begins now ends, and with what."""
        seconds, outcome = self._world.answer(now, call, step)
        ends, too_late = now + seconds, now + step.timeout
        # Moments, not durations: two that differ may still end at the same float.
        return (too_late, TIMED_OUT) if ends >= too_late else (ends, outcome)


def _event(now: float, due: Outcome | tuple[int, Outcome] | None) -> Event:
    if due is None:
        return Woke(now)
    return Answered(now, due[1], due[0]) if isinstance(due, tuple) else Answered(now, due)
