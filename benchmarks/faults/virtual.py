"""Every pair of faults, the switch's and madre's, on virtual time: the engine alone, as replay drives it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from functools import cache

from benchmarks.faults.catalogue import Fault
from benchmarks.faults.model import Model, Must
from sidecar.core.engine import Engine
from sidecar.core.fact import BreakerMoved, CallEnded, Fact
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Attempt, Outcome
from sidecar.policy.load import Loaded, parse
from sidecar.replay.simulate import Arrival, Simulation

POLICY = """\
deadline: {client: 1300ms, margin: 250ms}
guards: {rate_limit: 100000 per 1s, anonymous_rate_limit: 100000 per 1s}
timeouts: {connect: 200ms, attempt: 400ms}
targets: [{name: switch}, {name: madre, reserve: 450ms}, {name: local}]
dormant: {mode: ignore}
"""
PATIENCE = 1.05  # seconds: the deadline less its margin
APART = 1.1  # seconds between chats: one after the other
MOST_CHATS = 8


class World:
    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = faults
        self.asked: Counter[str] = Counter()

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:  # noqa: ARG002 - the same at any time
        comes = self._faults[step.target].comes(self.asked[step.target])
        self.asked[step.target] += 1
        return comes.seconds, comes.outcome


@cache
def policy() -> Loaded:
    return parse(POLICY, "faults.yaml")


def play(faults: Mapping[str, Fault], seed: int) -> list[str]:
    """What is wrong with a run of chats one after the other; nothing if all is well."""
    ended: list[CallEnded] = []
    moved: list[BreakerMoved] = []

    def emit(fact: Fact) -> None:
        if isinstance(fact, CallEnded):
            ended.append(fact)
        elif isinstance(fact, BreakerMoved):
            moved.append(fact)

    engine = Engine(0.0, policy().policy, revision="faults", source="here", seed=seed, emit=emit)
    world, model = World(faults), Model(faults)
    count = random.Random(seed).randint(1, MOST_CHATS)
    # No breaker opens again in time: it is left alone for 3.5 seconds at least, and what comes after that is another question.
    apart = min(APART, 3.0 / count) if count > 3 and all(map(_quick, faults.values())) else APART
    count = min(count, int(3.4 / apart) + 1) if apart == APART else count
    Simulation(engine, world).run(
        Arrival(1 + number * apart, Call(number, PATIENCE, "c")) for number in range(1, count + 1)
    )
    due = zip(ended, (model.chat() for _ in ended), strict=True)
    wrong = [f"chat {fact.call}: {_told(fact)} where {must} was due" for fact, must in due if _told(fact) != must]
    wrong += [f"chat {fact.call} took {fact.seconds:.3f} s" for fact in ended if fact.seconds > PATIENCE + 1e-9]
    if len(ended) != count:
        wrong.append(f"{count - len(ended)} chats without an end")
    asked = {name: world.asked[name] for name in faults}
    if asked != model.asked:
        wrong.append(f"attempts {asked} where {model.asked} were due")
    opened = {name: any(move.target == name and move.after == "open" for move in moved) for name in faults}
    if opened != model.open:
        wrong.append(f"open {opened} where {model.open} was due")
    gauges = engine.gauges(1e6)
    wrong += [
        f"{name} keeps {gauge.in_flight} slots" for name, gauge in gauges.items() if gauge.in_flight or gauge.queued
    ]
    return wrong


def _quick(fault: Fault) -> bool:
    return all(fault.comes(turn).seconds < 1 for turn in range(MOST_CHATS))


def _told(fact: CallEnded) -> Must:
    finish = fact.finish
    return Must(finish.provider or "", finish.degraded, finish.reason.value if finish.reason else "")
