"""Worlds: how targets answer on virtual time.

A world is a pure function of the call, its attempt and the time; chance comes from ``draw``, so that two policies meet the same luck.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sidecar.core.draw import draw
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
NEVER = math.inf


class Behaviour(NamedTuple):
    """How a target behaves for a while. Latency is lognormal: ``median`` seconds, ``sigma`` of its logarithm.

    With probability ``failing`` the outcome is one of ``failures``, with ``hanging`` there is none ever; both 0..1, taken from one draw.
    """

    median: float = 0.02
    sigma: float = 0.3
    failing: float = 0.0
    failures: tuple[Outcome, ...] = (Outcome(error=ErrorKind.CONNECT),)
    hanging: float = 0.0


class Synthetic:
    """A made-up world: for each target what it does from which time on."""

    def __init__(self, phases: Mapping[str, Sequence[tuple[float, Behaviour]]], seed: int) -> None:
        """``phases`` by target: (from when, behaviour), in the order of time; the first holds from the beginning."""
        self._targets = {
            target: (
                seed ^ int.from_bytes(target.encode(), "big"),
                [start for start, _ in listed],
                [behaviour for _, behaviour in listed],
            )
            for target, listed in phases.items()
        }

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        seed, starts, behaviours = self._targets[step.target]
        behaviour = behaviours[max(bisect_right(starts, now) - 1, 0)]
        uncertain = behaviour.hanging or behaviour.failing  # a draw costs: none where it decides nothing
        luck = draw(seed, call, step.number, 0) if uncertain else 1.0
        if luck < behaviour.hanging:
            return NEVER, GOOD
        seconds = behaviour.median * math.exp(behaviour.sigma * _normal(seed, call, step.number))
        if luck < behaviour.hanging + behaviour.failing:
            failures = behaviour.failures
            return seconds, failures[int(draw(seed, call, step.number, 3) * len(failures))]
        return seconds, GOOD


def _normal(seed: int, call: int, number: int) -> float:
    """A standard normal number from two uniform ones (Box and Muller, 1958)."""
    u = 1.0 - draw(seed, call, number, 1)  # in (0, 1], whose logarithm exists
    v = draw(seed, call, number, 2)
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)
