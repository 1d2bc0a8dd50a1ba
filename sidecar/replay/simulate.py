"""The replay driver: performs plans on a heap with virtual time.

No task, no loop, no clock: time is whatever the next entry of the heap says. The engine and its plans are those that run live; only
who answers, and after how long, comes from a *world*. Entries at the same time are served in the order they were pushed, as
an event loop would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from sidecar.core.engine import Engine, Plan
from sidecar.core.plan import Call
from sidecar.core.vocabulary import Abandoned, Answered, Attempt, Backoff, ErrorKind, Event, Finish, Outcome, Step, Woke

TIMED_OUT = Outcome(error=ErrorKind.TIMEOUT)


class World(Protocol):
    """How targets answer."""

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        """Seconds and outcome of an attempt that begins now, were it given all the time it takes."""


class Arrival(NamedTuple):
    """A chat, and after how many seconds its client leaves; None: it stays."""

    at: float
    call: Call
    leaves_after: float | None = None


class _Running:
    """One call under way. ``turn`` counts its steps, so that what was meant for an earlier one is known to be late."""

    __slots__ = ("number", "plan", "turn")

    def __init__(self, number: int, plan: Plan) -> None:
        self.number = number
        self.plan = plan
        self.turn = 0


class Simulation:
    """Drives an engine through arrivals in a world. ``at`` lets anything else happen at its time: a reload, a fault, an override."""

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._pushed = 0
        self.now = 0.0

    def at(self, when: float, happening: Callable[[float], None]) -> None:
        """Call ``happening(now)`` at that time."""
        self._pushed += 1
        heappush(self._heap, (when, self._pushed, happening))

    def run(self, arrivals: Iterable[Arrival]) -> None:
        """To the end of every call. ``arrivals`` in the order of time; only the next one is held, so a day fits in memory."""
        pending = iter(arrivals)

        def admit_next() -> None:
            arrival = next(pending, None)
            if arrival is not None:
                self.at(arrival.at, lambda now: admit(now, arrival))

        def admit(now: float, arrival: Arrival) -> None:
            self._arrive(now, arrival)
            admit_next()

        admit_next()
        heap = self._heap
        while heap:
            self.now, _, happening = heappop(heap)
            happening(self.now)

    def _arrive(self, now: float, arrival: Arrival) -> None:
        running = _Running(arrival.call.number, self._engine.begin(now, arrival.call))
        if arrival.leaves_after is not None:
            self.at(now + arrival.leaves_after, lambda then: self._leave(then, running))
        self._perform(now, running, running.plan.start())

    def _leave(self, now: float, running: _Running) -> None:
        self._tell(running, running.turn, Abandoned(now))

    def _tell(self, running: _Running, turn: int, event: Event) -> None:
        """What was meant for an earlier step than the one under way comes to nothing."""
        plan = running.plan
        if running.turn == turn and plan.finish is None:
            running.turn = turn + 1
            self._perform(event.now, running, plan.send(event))

    def _perform(self, now: float, running: _Running, step: Step) -> None:
        turn = running.turn
        if isinstance(step, Attempt):
            seconds, outcome = self._world.answer(now, running.number, step)
            ends, too_late = now + seconds, now + step.timeout
            if ends >= too_late:  # moments, not durations: two that differ may still end at the same float
                ends, outcome = too_late, TIMED_OUT
            self.at(ends, lambda then: self._tell(running, turn, Answered(then, outcome)))
        elif isinstance(step, Finish):
            return
        elif isinstance(step, Backoff):
            self.at(now + step.delay, lambda then: self._tell(running, turn, Woke(then)))
        else:
            step.ticket.wake = lambda: self.at(self.now, lambda then: self._tell(running, turn, Woke(then)))
            self.at(now + step.timeout, lambda then: self._tell(running, turn, Woke(then)))
