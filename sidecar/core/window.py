"""What a breaker remembers of the calls it saw: the last N of them, or those of the last T seconds.

A window holds its sums as plain numbers and brings them up to date when time or a call moves it: a breaker reads them several times
with every attempt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple

from sidecar.policy.model import Window as WindowPolicy

BUCKETS = 10  # a time window forgets in tenths of its length


class Tally(NamedTuple):
    """Calls in the window, and how many of them failed or were slow (a call may be both)."""

    calls: int
    failures: int
    slow: int


class Window(ABC):
    """The sums, right as of the last ``add`` or ``advance``. What is remembered beside them is the business of each kind."""

    __slots__ = ("calls", "failures", "slow")

    def __init__(self) -> None:
        self.calls = self.failures = self.slow = 0

    @abstractmethod
    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Remember one call more."""

    @abstractmethod
    def advance(self, now: float) -> None:
        """Forget what is too long ago by ``now``."""

    def clear(self) -> None:
        """Forget everything."""
        self.calls = self.failures = self.slow = 0

    def tally(self, now: float) -> Tally:
        self.advance(now)
        return Tally(self.calls, self.failures, self.slow)


class CountWindow(Window):
    """The last ``size`` calls, however long ago."""

    __slots__ = ("_calls",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._calls: deque[tuple[bool, bool]] = deque(maxlen=size)

    def add(self, now: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 - one interface for both windows
        if self.calls == self._calls.maxlen:
            old_failed, old_slow = self._calls[0]
            self.failures -= old_failed
            self.slow -= old_slow
        else:
            self.calls += 1
        self._calls.append((failed, slow))
        self.failures += failed
        self.slow += slow

    def advance(self, now: float) -> None:
        """Nothing is ever too long ago."""

    def clear(self) -> None:
        super().clear()
        self._calls.clear()


class TimeWindow(Window):
    """The calls of the last ``duration`` seconds, give or take one bucket of a tenth of that."""

    __slots__ = ("_buckets", "_width")

    def __init__(self, duration: float) -> None:
        super().__init__()
        self._width = duration / BUCKETS
        self._buckets: deque[tuple[int, Tally]] = deque()  # (index of the bucket, its tally), oldest first

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        self.advance(now)
        index = int(now // self._width)
        if self._buckets and self._buckets[-1][0] >= index:  # also if the clock of the caller stood still
            last, tally = self._buckets.pop()
        else:
            last, tally = index, Tally(0, 0, 0)
        self._buckets.append((last, Tally(tally.calls + 1, tally.failures + failed, tally.slow + slow)))
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def advance(self, now: float) -> None:
        index = int(now // self._width)
        while self._buckets and self._buckets[0][0] <= index - BUCKETS:
            _, gone = self._buckets.popleft()
            self.calls -= gone.calls
            self.failures -= gone.failures
            self.slow -= gone.slow

    def clear(self) -> None:
        super().clear()
        self._buckets.clear()


def window_for(policy: WindowPolicy) -> Window:
    """The window a policy asks for, empty."""
    return CountWindow(policy.size) if policy.type == "count" else TimeWindow(policy.duration)
