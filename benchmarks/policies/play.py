"""A scene played: every side with every seed, interleaved, and what that says of the claims."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import uvloop

from benchmarks.policies.scene import Claim, Figures, Scene, Sides
from benchmarks.policies.stage import Setting, stage


class Played(NamedTuple):
    """``runs`` has, seed by seed, the figures of each side."""

    scene: Scene
    seeds: Sequence[int]
    runs: Sequence[Sides]

    @property
    def medians(self) -> Sides:
        return {
            side: {name: statistics.median(run[side][name] for run in self.runs) for name in self.names(side)}
            for side in self.scene.sides
        }

    def names(self, side: str) -> tuple[str, ...]:
        return tuple(self.runs[0][side])

    def values(self, side: str, name: str) -> list[float]:
        return [run[side][name] for run in self.runs]

    def broken(self, *, timed: bool = True) -> list[Claim]:
        """The claims that do not hold. Without ``timed`` those on times are left out: a test does not ask how fast a machine is."""
        return [claim for claim in self.scene.claims if (timed or not claim.timed) and not self._holds(claim)]

    def _holds(self, claim: Claim) -> bool:
        return claim.holds(self.medians) if claim.timed else all(map(claim.holds, self.runs))


def play(scene: Scene, seeds: Sequence[int], *, heard: Callable[[str], None] = lambda _: None) -> Played:
    """Each side meets the same lab and the same load of a seed, one after the other; which goes first changes from seed to seed.

    ``heard`` is told before each run. Raises what a run raises.
    """
    runs = []
    for turn, seed in enumerate(seeds):
        found: dict[str, Figures] = {}
        for side in _order(scene.sides, turn):
            heard(f"{scene.key}, seed {seed}, {side}")
            found[side] = run(scene, side, seed)
        runs.append(found)
    return Played(scene, tuple(seeds), tuple(runs))


def play_briefly(scene: Scene, seed: int) -> Played:
    """A few calls, and all sides at once: enough for counts and shares, and no time that is measured would mean anything."""

    async def together() -> Sides:
        async with asyncio.TaskGroup() as group:
            tasks = {side: group.create_task(_run(scene, side, seed, brief=True)) for side in scene.sides}
        return {side: task.result() for side, task in tasks.items()}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return Played(scene, (seed,), (runner.run(together()),))


def run(scene: Scene, side: str, seed: int) -> Figures:
    """One side, once."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(scene, side, seed, brief=False))


async def _run(scene: Scene, side: str, seed: int, *, brief: bool) -> Figures:
    async with stage(Setting(scene.base + scene.sides[side], scene.faults, seed, brief, scene.flags)) as here:
        return await scene.play(here)


def _order(sides: Mapping[str, str], turn: int) -> Iterator[str]:
    return reversed(sides) if turn % 2 else iter(sides)
