"""A setting on virtual time: the engines that decide live, as replay drives them, in a world of finite capacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from benchmarks.outages.notes import Notes
from benchmarks.outages.setting import Chat, Coming, Run, Setting
from benchmarks.outages.upstream import Upstream
from sidecar.core.draw import draw
from sidecar.core.engine import Engine, Plan
from sidecar.core.fact import CallEnded, Fact
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Attempt, Outcome
from sidecar.replay.simulate import Arrival, Simulation

_REPLICA = 0x54  # what a draw is for


class World:
    def __init__(self, **targets: Upstream) -> None:
        self._targets = targets

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        return self._targets[step.target].answer(now, call)


class Fleet:
    """Several engines on one clock: each chat begins with the one it came to."""

    def __init__(self, engines: Sequence[Engine], coming: Sequence[Coming]) -> None:
        self._engines = engines
        self._whose = {each.number: each.replica for each in coming}

    def begin(self, now: float, call: Call) -> Plan:
        return self._engines[self._whose[call.number]].begin(now, call)


def seed_of(seed: int, replica: int) -> int:
    """Every process draws a seed of its own as it starts."""
    return int(draw(seed, replica, _REPLICA) * 2**53)


def play(setting: Setting, seed: int) -> Run:
    """To the end of every chat."""
    policy = setting.policy.policy
    coming = setting.coming(seed)
    notes = [Notes(replica) for replica in range(setting.replicas)]
    ended: dict[int, CallEnded] = {}

    def teller(note: Notes) -> Engine:
        def emit(fact: Fact) -> None:
            note(fact)
            if type(fact) is CallEnded:
                ended[fact.call] = fact

        own = seed_of(seed, notes.index(note))
        return Engine(0.0, policy, revision=setting.policy.revision, source=setting.name, seed=own, emit=emit)

    engines = [teller(note) for note in notes]
    switch, madre = Upstream(setting.switch, setting.trouble, seed), Upstream(setting.madre, None, ~seed)
    # The simulation asks an engine for the plan of a chat, and for nothing else.
    simulation = Simulation(cast("Engine", Fleet(engines, coming)), World(switch=switch, madre=madre))
    patience = policy.deadline.client - policy.deadline.margin
    simulation.run(Arrival(each.at, Call(each.number, patience, "drill")) for each in coming)
    return Run(
        setting,
        "virtual",
        seed,
        [_chat(each, ended.get(each.number)) for each in coming],
        sorted(asked for note in notes for asked in note.asked),
        sorted(move for note in notes for move in note.moves),
        switch.sent,
        [held for engine in engines for held in _held(engine, simulation.now)],
    )


def _chat(coming: Coming, ended: CallEnded | None) -> Chat:
    if ended is None:
        return Chat(*coming, 0.0, "", "no end")
    finish = ended.finish
    return Chat(*coming, ended.seconds, finish.provider or "", finish.reason.value if finish.reason else "")


def _held(engine: Engine, now: float) -> list[str]:
    """What chats that are over have not given back."""
    gauges = engine.gauges(now)
    permits = {name: view["breaker"]["permits_out"] for name, view in cast("dict[str, Any]", engine.view(now)).items()}
    return [
        f"{name} keeps {each.in_flight} slots, {each.queued} places, {permits[name]} permits"
        for name, each in gauges.items()
        if each.in_flight or each.queued or permits[name]
    ]
