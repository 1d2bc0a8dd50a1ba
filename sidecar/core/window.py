"""What a breaker remembers of the calls it saw: the last N of them, or those of the last T seconds."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from sidecar.policy.model import Window as WindowPolicy

BUCKETS = 10  # a time window forgets in tenths of its length


class Tally(NamedTuple):
    """Calls in the window, and how many of them failed or were slow (a call may be both)."""

    calls: int
    failures: int
    slow: int


class Window(Protocol):
    def add(self, now: float, *, failed: bool, slow: bool) -> None: ...
    def tally(self, now: float) -> Tally: ...
    def clear(self) -> None: ...


class CountWindow:
    """The last ``size`` calls, however long ago."""

    def __init__(self, size: int) -> None:
        self._calls: deque[tuple[bool, bool]] = deque(maxlen=size)
        self._failures = 0
        self._slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 - one interface for both windows
        if len(self._calls) == self._calls.maxlen:
            old_failed, old_slow = self._calls[0]
            self._failures -= old_failed
            self._slow -= old_slow
        self._calls.append((failed, slow))
        self._failures += failed
        self._slow += slow

    def tally(self, now: float) -> Tally:  # noqa: ARG002
        return Tally(len(self._calls), self._failures, self._slow)

    def clear(self) -> None:
        self._calls.clear()
        self._failures = self._slow = 0


class TimeWindow:
    """The calls of the last ``duration`` seconds, give or take one bucket of a tenth of that."""

    def __init__(self, duration: float) -> None:
        self._width = duration / BUCKETS
        self._buckets: deque[tuple[int, Tally]] = deque()  # (index of the bucket, its tally), oldest first

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        index = self._advance(now)
        if self._buckets and self._buckets[-1][0] >= index:  # also if the clock of the caller stood still
            last, tally = self._buckets.pop()
        else:
            last, tally = index, Tally(0, 0, 0)
        self._buckets.append((last, Tally(tally.calls + 1, tally.failures + failed, tally.slow + slow)))

    def tally(self, now: float) -> Tally:
        self._advance(now)
        tallies = [tally for _, tally in self._buckets]
        return Tally(sum(t.calls for t in tallies), sum(t.failures for t in tallies), sum(t.slow for t in tallies))

    def clear(self) -> None:
        self._buckets.clear()

    def _advance(self, now: float) -> int:
        index = int(now // self._width)
        while self._buckets and self._buckets[0][0] <= index - BUCKETS:
            self._buckets.popleft()
        return index


def window_for(policy: WindowPolicy) -> Window:
    """The window a policy asks for, empty."""
    return CountWindow(policy.size) if policy.type == "count" else TimeWindow(policy.duration)
