"""Performs a world: the simulator, watched, on a clock that may leap.

A leap is what a suspended machine or a starved process sees: at one moment it is later than it was, and everything that was due
meanwhile is done at once, in the order in which it was due. Whoever came meanwhile has waited and is admitted then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.core.vocabulary import Override, Queue, Step
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Arrival, Simulation

from .violation import Violation, broken
from .watch import Watch
from .world import START, Happening, Hold, Leap, Power, Reload, World, answers, arrivals

MOST_EVENTS = 500  # for each call of a world: a plan that goes round for ever is stopped


class Stage(Simulation):
    """The simulator with a watch: it learns of every step, every slot that is granted and every leap."""

    _clock = 0.0
    _floor = 0.0  # the clock has leapt so far; what was due before is done now

    def __init__(self, engine: Engine, world: World, watch: Watch) -> None:
        self._left = MOST_EVENTS * (world.calls + len(world.happenings) + 1)
        super().__init__(engine, answers(world))
        self._watch = watch

    @property
    def now(self) -> float:
        return self._clock

    @now.setter
    def now(self, due: float) -> None:
        """What is due at ``due`` is done now."""
        self._clock = max(due, self._floor)
        self._left -= 1
        if not self._left:
            broken("every call ends", "so much happened, and no end")

    def leap(self, now: float, seconds: float) -> None:
        self._floor = self._watch.landed = now + seconds
        self._watch.counts["leaps"] += 1

    def _perform(self, now: float, running: Any, step: Step) -> None:
        self._watch.step(running.number, step)
        super()._perform(now, running, step)
        if isinstance(step, Queue):
            self._listen(step, running.number)

    def _listen(self, step: Queue, number: int) -> None:
        wake = step.ticket.wake
        assert wake is not None

        def woken() -> None:
            self._watch.granted(number)
            wake()

        step.ticket.wake = woken


def policies(world: World) -> list[Any]:
    """All that are stated in it, the first first."""
    return [world.policy, *(one.policy for one in world.happenings if isinstance(one, Reload))]


def policy_of(stated: Any) -> Policy:
    """The policy that a world states. Validation costs as much as ten calls, and shrinking states the same again and again."""
    return _policy(json.dumps(stated))


@lru_cache(maxsize=256)
def _policy(text: str) -> Policy:
    return Policy.model_validate(json.loads(text))


def perform(world: World, emit: Callable[[Fact], None] | None = None) -> Watch:
    """Perform a world to its end; ``emit`` gets every fact before it is judged.

    Raises ``Violation``, whatever goes wrong, and pydantic's ValidationError, before anything happens, for a policy that is none.
    """
    watch = Watch()
    seen = watch.fact if emit is None else _both(emit, watch.fact)
    policy, *_ = [policy_of(stated) for stated in policies(world)]
    full = policy.deadline.client - policy.deadline.margin
    try:
        engine = Engine(START, policy, revision="r0", source="soak", seed=world.seed, emit=seen)
        stage = Stage(engine, world, watch)
        for number, happening in enumerate(world.happenings, 1):
            stage.at(happening.at, _happening(engine, stage, watch, happening, f"r{number}"))
        coming: Iterator[Arrival] = iter(arrivals(world, full))
        stage.run(coming)
        if len(watch.begun) != world.calls:
            broken("everybody is admitted", f"{len(watch.begun)} of {world.calls}")
        at_rest(stage.now, engine, watch)
    except Violation:
        raise
    except Exception as error:
        call = next(iter(watch.under_way), None)
        raise Violation("no exceptions", f"{type(error).__name__}: {error}", call) from error
    return watch


def _both(first: Callable[[Fact], None], then: Callable[[Fact], None]) -> Callable[[Fact], None]:
    def emit(fact: Fact) -> None:
        first(fact)
        then(fact)

    return emit


def _happening(engine: Engine, stage: Stage, watch: Watch, told: Happening, revision: str) -> Callable[[float], None]:
    """What the simulator calls when its time has come."""

    def happen(now: float) -> None:
        if isinstance(told, Leap):
            stage.leap(now, told.seconds)
        elif isinstance(told, Reload):
            engine.adopt(now, policy_of(told.policy), revision=revision, source="soak")
            watch.counts["reloads"] += 1
        elif isinstance(told, Power):
            engine.hear_dormancy(now, None if told.active is None else frozenset(told.active))
        elif isinstance(told, Hold) and told.target in watch.machines:
            engine.override(now, told.target, None if told.override is None else Override(told.override))
        watch.turn_over()

    return happen


def at_rest(now: float, engine: Engine, watch: Watch) -> None:
    """When everybody has left, nothing is held any more, and the machines stand where the models do."""
    if watch.under_way:
        broken("every call ends", f"under way for ever: {sorted(watch.under_way)}", min(watch.under_way))
    for name, models in watch.machines.items():
        machines = engine._machines[name]
        held = (machines.limiter.in_flight, machines.limiter.queued, machines.breaker.outstanding(now))
        if held != (0, 0, 0) or machines.breaker._out:
            broken("nothing is held in the end", f"{name}: in flight, queued, permits {held}, {machines.breaker._out}")
        if machines.breaker.state.value != models.breaker.state:
            broken("breaker moves", f"{name} is {machines.breaker.state}, was told to be {models.breaker.state}")
        models.budget.compare(machines.budget.balance(now))
