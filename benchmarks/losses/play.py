"""Playing a case: on a loop of its own, in a directory of its own, with a seed that follows from one."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random

import uvloop

from benchmarks.losses.case import Case, Figures
from benchmarks.losses.stage import Stage

LONGEST = 90.0  # seconds of one case


def seed_of(seed: int, case: Case) -> int:
    return Random(f"{seed} {case.name}").getrandbits(31)


def play(case: Case, seed: int, *, brief: bool) -> Figures:
    """What the case came to."""
    with (
        tempfile.TemporaryDirectory(prefix="losses-") as where,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_bounded(case, Stage(seed_of(seed, case), brief, Path(where))))


async def _bounded(case: Case, stage: Stage) -> Figures:
    async with asyncio.timeout(LONGEST):
        return await case.play(stage)
