"""Traffic from worlds whose figures are known: what is found in its record can be held against them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapreplace
from pathlib import Path
from typing import Any

from sidecar.core.engine import Engine
from sidecar.core.fact import Emit, Fact
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Attempt, Outcome
from sidecar.policy.load import Loaded, revision_of
from sidecar.replay.record import Record
from sidecar.replay.simulate import Arrival, Simulation, World
from sidecar.replay.world import Behaviour, Synthetic
from sidecar.replay.worlds.past import Past
from tests.replay.worlds import journal_of, policy, write

QUICK = Behaviour(median=0.06, sigma=0.3)
Phases = Mapping[str, Sequence[tuple[float, Behaviour]]]


class Serial:
    """A target of ``world`` that works on ``servers`` at once and lets the others wait, in the order in which they come."""

    def __init__(self, world: World, target: str, servers: int = 1) -> None:
        self._world = world
        self._target = target
        self._free = [0.0] * servers

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        seconds, outcome = self._world.answer(now, call, step)
        if step.target != self._target:
            return seconds, outcome
        ends = max(now, self._free[0]) + seconds
        heapreplace(self._free, ends)
        return ends - now, outcome


def loaded(source: str = "today.yaml", **sections: Any) -> Loaded:
    rules = policy(**sections)
    return Loaded(rules, revision_of(rules), source, {})


def arrivals(calls: int, rate: float, seed: int = 1, *, leaving: float = 0.0, hurried: float = 0.0) -> list[Arrival]:
    """``leaving`` of the clients leave within a second and a half, ``hurried`` of them wait for half a second."""
    luck = random.Random(seed)
    at, found = 100.0, []
    for number in range(1, calls + 1):
        at += luck.expovariate(rate)
        patience = 0.5 if luck.random() < hurried else 4.75
        leaves = luck.uniform(0.01, 1.5) if luck.random() < leaving else None
        found.append(Arrival(at, Call(number, patience, f"c{number}"), leaves))
    return found


def simulate(
    world: World, rules: Loaded, coming: Iterable[Arrival], emit: Emit, *, seed: int = 7, outside: Any = ()
) -> None:
    """``outside``: (when, what is done with the engine)."""
    engine = Engine(99.0, rules.policy, revision=rules.revision, source=rules.source, seed=seed, emit=emit)
    simulation = Simulation(engine, world)
    for at, does in outside:
        simulation.at(at, lambda now, does=does: does(now, engine))
    simulation.run(coming)


def past(world: World, rules: Loaded, coming: Iterable[Arrival], seed: int = 7, outside: Any = ()) -> Past:
    record = Record(seed)
    simulate(world, rules, coming, record, seed=seed, outside=outside)
    record.settle()
    return Past(record)


def journal(path: Path, world: World, rules: Loaded, coming: Iterable[Arrival], seed: int = 7) -> Path:
    facts: list[Fact] = []
    simulate(world, rules, coming, facts.append, seed=seed)
    return write(path, journal_of(facts, seed))


def steady(seed: int = 3, **targets: Behaviour) -> Synthetic:
    """The same behaviour from the first chat to the last."""
    phases = {"switch": QUICK, "madre": QUICK} | targets
    return Synthetic({name: [(0.0, behaviour)] for name, behaviour in phases.items()}, seed)
