"""What is to happen by itself, in the order of time: a heap, and the time it has come to."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import NamedTuple

_STALE = 1024  # entries that may have lost their meaning before the heap is cleared of them


class Entry(NamedTuple):
    """``holds`` says whether the entry still means anything."""

    when: float
    number: int  # of those at the same moment the one that was pushed first comes first
    holds: Callable[[], bool]
    happening: Callable[[], None]


class Agenda:
    def __init__(self, now: float) -> None:
        self.now = now
        self._heap: list[Entry] = []
        self._pushed = 0
        self._least = _STALE

    def at(self, when: float, holds: Callable[[], bool], happening: Callable[[], None]) -> None:
        """Let ``happening`` come at ``when``, if it ``holds`` then."""
        self._pushed += 1
        heappush(self._heap, Entry(when, self._pushed, holds, happening))
        if len(self._heap) > self._least:
            self._heap[:] = [entry for entry in self._heap if entry.holds()]
            heapify(self._heap)
            self._least = 2 * len(self._heap) + _STALE

    def after(self, when: float, holds: Callable[[], bool], happening: Callable[[], None]) -> None:
        """The same at the first moment after ``when``: what else happens at that moment comes before."""
        self.at(math.nextafter(when, math.inf), holds, happening)

    def advance(self, now: float) -> None:
        """Let everything happen that is due at ``now`` or before."""
        heap = self._heap
        while heap and heap[0].when <= now:
            entry = heappop(heap)
            if entry.holds():
                self.now = entry.when
                entry.happening()
        self.now = now
