"""An event loop without waiting: its clock stands still while anything is ready, then jumps to the next timer."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Coroutine
from typing import Any


class _Jump(selectors.SelectSelector):
    """Asked to wait for ``timeout`` seconds, moves the clock on by as many. There is no I/O in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set: a deadlock")
        self.now += max(timeout, 0.0)
        return []


class _Timer(asyncio.TimerHandle):
    """Timers for one moment are due in the order in which they were set; asyncio's own are in no order."""

    __slots__ = ("turn",)

    def __lt__(self, other: Any) -> bool:
        return (self._when, self.turn) < (other._when, other.turn)


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` is virtual seconds since start. Threads and sockets have no place in it."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-9
        self._turns = itertools.count()

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
