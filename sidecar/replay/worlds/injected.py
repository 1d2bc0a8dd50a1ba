"""A world in which a candidate's chaos rules are in force: the faults that they would inject live, laid over another world.

The decisions are those of ``core/chaos``, with the seed of the run, so a policy meets in a replay the faults that it would have met with
that seed. Its gates and ``expires_at`` say when something may be broken for real and hold nothing back here, where nothing can break: a
rule acts from the first attempt to the last. A rule with a ``header`` never does: a journal holds no header.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sidecar.core import chaos
from sidecar.core.vocabulary import Attempt, Outcome
from sidecar.policy.model import ChaosRule
from sidecar.replay.simulate import World


class Injected:
    """``world`` as ``rules`` break it. ``faults`` counts the attempts that were broken."""

    def __init__(self, world: World, rules: Sequence[ChaosRule], seed: int) -> None:
        self._world = world
        self._armed = [chaos.Armed(rule, index, math.inf) for index, rule in enumerate(rules) if not rule.header]
        self._seed = seed
        self.faults = 0

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        rule = chaos.met(now, self._armed, step, _carries_nothing, seed=self._seed, call=call)
        if rule is None:
            return self._world.answer(now, call, step)
        waited, instead = chaos.before(rule, step)
        if instead is not None:
            self.faults += 1
            return waited, instead
        seconds, outcome = self._world.answer(now + waited, call, chaos.left(step, waited))
        spoiled = chaos.after(rule, outcome)
        self.faults += bool(waited) or spoiled is not outcome
        return waited + seconds, spoiled


def _carries_nothing(_name: str, _value: str) -> bool:
    return False


def said(name: str, rules: Sequence[ChaosRule], faults: int) -> str:
    """What a comparison takes for granted where a candidate has chaos rules."""
    broke = "1 attempt" if faults == 1 else f"{faults} attempts"
    text = (
        f"The chaos rules of {name} acted from the first chat to the last, whatever their expires_at, and broke {broke}"
    )
    left_out = [rule.name for rule in rules if rule.header]
    if left_out:
        text += f"; {', '.join(left_out)} did not, for a journal holds no header fields"
    return f"{text}."
