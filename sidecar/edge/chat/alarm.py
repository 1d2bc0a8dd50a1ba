"""One timer for all that wait: set for the first whose time is over, since most have what they wait for long before.

It rings when the first of those it was set for is due, whether that still waits or not, and is then set for the first that does. uvloop
has timers before what has come on sockets: where the process was held up, what has come is read first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from sidecar.edge.chat.eager import Promise

HELD_UP = 0.05  # seconds by which an alarm is late only if we were held up ourselves
READING = 0.001  # seconds, at least one look of the loop at what has come


class Alarm:
    """For the life of the process. Moments are those of the loop's clock, in seconds."""

    __slots__ = ("_due", "_handle", "_waiting", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: dict[Promise[Any], tuple[float, Callable[[], None]]] = {}
        self._handle: asyncio.Handle | None = None
        self._due = 0.0  # when it rings: uvloop's handle of a moment that is here already cannot say

    def watch(self, promise: Promise[Any], until: float, late: Callable[[], None]) -> None:
        """Call ``late`` if the promise is not settled, nor forgotten, by then."""
        self._waiting[promise] = (until, late)
        if self._handle is None or until < self._due:
            if self._handle is not None:
                self._handle.cancel()
            self._set(until)

    def forget(self, promise: Promise[Any]) -> None:
        self._waiting.pop(promise, None)

    def _set(self, due: float) -> None:
        self._due = due
        self._handle = self.loop.call_at(due, self._ring, due)

    def _ring(self, now: float, *, read: bool = False) -> None:
        if not read and self.loop.time() - now > HELD_UP:
            self._handle = self.loop.call_later(READING, partial(self._ring, now, read=True))
            return
        self._handle = None
        over = [(promise, late) for promise, (until, late) in self._waiting.items() if until <= now]
        for promise, late in over:
            self._waiting.pop(promise, None)
            if not promise.settled:  # by what somebody did who heard before
                late()
        later = [until for promise, (until, _) in self._waiting.items() if not promise.settled]
        if later and (self._handle is None or min(later) < self._due):
            if self._handle is not None:
                self._handle.cancel()
            self._set(min(later))
