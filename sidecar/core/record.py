"""How long a target takes: its last answers, and a quantile of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from math import ceil

SIZE = 128  # answers remembered: enough for a 95th percentile, little enough to follow a change within minutes
ENOUGH = 20  # answers below which a 95th percentile means nothing: one in twenty lies beyond it
_ROUNDING = 1e-9  # 0.07 · 100 is a little more than 7


class LatencyRecord:
    """The durations of the last answers of a target, in seconds.

    A timeout is recorded too, at a length its plan chooses: the true one is larger than the timeout, but leaving it out would let
    a target that answers some calls fast and others never look fast.
    """

    def __init__(self) -> None:
        self._in_order: deque[float] = deque()
        self._sorted: list[float] = []
        self._asked: dict[
            float, float
        ] = {}  # quantiles since the last answer: a target that is not asked is asked for its reserve

    def __len__(self) -> int:
        return len(self._in_order)

    def __iter__(self) -> Iterator[float]:
        """Oldest first."""
        return iter(self._in_order)

    def observe(self, seconds: float) -> None:
        if len(self._in_order) == SIZE:
            del self._sorted[bisect_left(self._sorted, self._in_order.popleft())]
        self._asked.clear()
        self._in_order.append(seconds)
        insort(self._sorted, seconds)

    def quantile(self, share: float) -> float | None:
        """The smallest recorded duration that at least ``share`` of them do not exceed; None before ``ENOUGH``."""
        if len(self._sorted) < ENOUGH:
            return None
        if share not in self._asked:
            rank = ceil(share * len(self._sorted) - _ROUNDING)
            self._asked[share] = self._sorted[max(rank, 1) - 1]
        return self._asked[share]
