"""A virtual-time event loop whose clock, when it jumps, is exactly the time a timer was set for: floats can be compared as they are."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import selectors
from collections.abc import Coroutine
from typing import Any


class _Jump(selectors.SelectSelector):
    """Asked to wait, moves the clock to the next timer. There is no I/O in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.loop: Any = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set: a deadlock")
        if timeout > 0:
            self.now = self.loop._scheduled[0]._when  # not now + timeout: that sum may be another float
        return []


class _Timer(asyncio.TimerHandle):
    """Timers for one moment are due in the order in which they were set; asyncio's own are in no order."""

    __slots__ = ("turn",)

    def __lt__(self, other: Any) -> bool:
        return (self._when, self.turn) < (other._when, other.turn)


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` is virtual seconds since start; a timer runs at the float it was set for, never a little earlier or later."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._jump.loop = self  # not its list of timers: asyncio makes a new one when many were cancelled
        self._turns = itertools.count()

    @property
    def _clock_resolution(self) -> float:
        """As little as there is: asyncio runs whatever is due before now and one resolution more."""
        return math.ulp(self._jump.now)

    @_clock_resolution.setter
    def _clock_resolution(self, _: float) -> None:
        """The base class measures the real clock."""

    def time(self) -> float:
        return self._jump.now

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        timer.turn = next(self._turns)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
