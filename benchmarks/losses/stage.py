"""What every case has: its seed, whether it is brief, a directory of its own, and what waits until something is so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

LOOK = 0.02  # seconds between two looks at what another process does
LONGEST = 20.0  # seconds


class Stage(NamedTuple):
    seed: int
    brief: bool
    where: Path

    @property
    def random(self) -> Random:
        return Random(self.seed)

    def seconds(self, usual: float, brief: float) -> float:
        return brief if self.brief else usual


async def until(holds: Callable[[], Awaitable[bool]], longest: float = LONGEST) -> float:
    """Until it holds; how many seconds that took. Raises TimeoutError after ``longest``."""
    began = time.perf_counter()
    async with asyncio.timeout(longest):
        while not await holds():  # noqa: ASYNC110 - another process says it, when asked
            await asyncio.sleep(LOOK)
    return time.perf_counter() - began


async def until_or_never(holds: Callable[[], Awaitable[bool]], longest: float = LONGEST) -> float:
    """The same; ``longest`` where it does not come to that, so that a claim can say so."""
    with contextlib.suppress(TimeoutError):
        return await until(holds, longest)
    return longest
