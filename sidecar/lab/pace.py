"""The lab's clock: every wait of the lab goes through a ``Pace``, so that one number makes the whole town faster.

All durations in the lab are written in the seconds seen on the real VX11. A ``tempo`` of 0.01 plays them a hundred
times faster: timeouts, work and windows shrink together, so what waits for what stays the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    tempo: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.tempo <= 10:
            raise ValueError(f"tempo must be above 0 and at most 10, not {self.tempo}")

    def real(self, seconds: float) -> float:
        """Wall-clock seconds of a duration of the lab."""
        return seconds * self.tempo

    def now(self) -> float:
        """Seconds of lab time; only differences mean anything."""
        return asyncio.get_running_loop().time() / self.tempo

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.tempo)

    def within(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds * self.tempo)
