"""A case over several seeds: it holds if all of its expectations hold in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sidecar.policy.load import Loaded
from sidecar.policy.problem import Place
from sidecar.replay.cases.case import Case
from sidecar.replay.cases.judge import Failure, judge, misfit
from sidecar.replay.cases.play import play


class Missed(NamedTuple):
    """An expectation that failed: the first failure, in the first seed that shows it, and how many there are.

    ``seeds`` is the number of seeds in which it failed, ``more`` of further chats in that first one.
    """

    place: Place
    failure: Failure
    seed: int
    seeds: int
    more: int


class Trial(NamedTuple):
    case: Case
    missed: tuple[Missed, ...]

    @property
    def held(self) -> bool:
        return not self.missed


def try_case(case: Case, loaded: Loaded, seeds: Sequence[int]) -> Trial:
    """Play ``case`` once for each seed; ``missed`` in the order of the file."""
    missed: dict[Place, Missed] = {}
    for seed in seeds:
        played = play(case, loaded, seed)
        found = [(event.place, [misfit(event)]) for event in played.missed]
        found += [(expectation.place, judge(expectation, played)) for expectation in case.expect]
        for place, failures in found:
            if place in missed and failures:
                missed[place] = missed[place]._replace(seeds=missed[place].seeds + 1)
            elif failures:
                missed[place] = Missed(place, failures[0], seed, 1, len(failures) - 1)
    return Trial(case, tuple(missed[place] for place in sorted(missed)))
