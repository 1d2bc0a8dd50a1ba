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
        self._tally = Tally(0, 0, 0)

    def add(self, now: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 - one interface for both windows
        calls, failures, slow_ones = self._tally
        if calls == self._calls.maxlen:
            old_failed, old_slow = self._calls[0]
            calls, failures, slow_ones = calls - 1, failures - old_failed, slow_ones - old_slow
        self._calls.append((failed, slow))
        self._tally = Tally(calls + 1, failures + failed, slow_ones + slow)

    def tally(self, now: float) -> Tally:  # noqa: ARG002
        return self._tally

    def clear(self) -> None:
        self._calls.clear()
        self._tally = Tally(0, 0, 0)


class TimeWindow:
    """The calls of the last ``duration`` seconds, give or take one bucket of a tenth of that."""

    def __init__(self, duration: float) -> None:
        self._width = duration / BUCKETS
        self._buckets: deque[tuple[int, Tally]] = deque()  # (index of the bucket, its tally), oldest first
        self._whole = Tally(0, 0, 0)  # of all buckets: it is asked for with every attempt

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        index = self._advance(now)
        if self._buckets and self._buckets[-1][0] >= index:  # also if the clock of the caller stood still
            last, tally = self._buckets.pop()
        else:
            last, tally = index, Tally(0, 0, 0)
        self._buckets.append((last, Tally(tally.calls + 1, tally.failures + failed, tally.slow + slow)))
        whole = self._whole
        self._whole = Tally(whole.calls + 1, whole.failures + failed, whole.slow + slow)

    def tally(self, now: float) -> Tally:
        self._advance(now)
        return self._whole

    def clear(self) -> None:
        self._buckets.clear()
        self._whole = Tally(0, 0, 0)

    def _advance(self, now: float) -> int:
        index = int(now // self._width)
        while self._buckets and self._buckets[0][0] <= index - BUCKETS:
            _, gone = self._buckets.popleft()
            whole = self._whole
            self._whole = Tally(whole.calls - gone.calls, whole.failures - gone.failures, whole.slow - gone.slow)
        return index


def window_for(policy: WindowPolicy) -> Window:
    """The window a policy asks for, empty."""
    return CountWindow(policy.size) if policy.type == "count" else TimeWindow(policy.duration)
