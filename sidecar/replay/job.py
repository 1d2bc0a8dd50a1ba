"""Trials still to be made, as values: who makes them one after the other, or on several cores, is not for whoever wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sidecar.policy.load import Loaded
from sidecar.replay.study import Progress, Trial, trial
from sidecar.replay.worlds.past import Past
from sidecar.replay.worlds.scenario import NOTHING, Scenario


class Job(NamedTuple):
    """One policy, once, in the ``repeat``-th draw of a world."""

    past: Sequence[Past]
    loaded: Loaded
    scenario: Scenario = NOTHING
    repeat: int = 0

    @property
    def calls(self) -> int:
        """How many chats it goes through, without those that a scenario adds."""
        return sum(len(each.record.chats) for each in self.past)

    def run(self, progress: Progress = lambda _: None) -> Trial:
        return trial(self.past, self.loaded, self.scenario, self.repeat, progress)


Runs = Callable[[str, Sequence[Job]], list[Trial]]
"""Makes all trials, in this order; the text says to people what they are for."""


def one_by_one(_what: str, jobs: Sequence[Job]) -> list[Trial]:
    """In this process."""
    return [job.run() for job in jobs]
