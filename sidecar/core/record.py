"""How long a target takes: its last answers, and a quantile of them."""

from __future__ import annotations

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

    They are put in order when a quantile is asked for, and that is kept until the next answer: nobody asks about the primary target, whose
    answers are the most, and everybody about the one below it, which is hardly ever asked.
    """

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=SIZE)
        self._quantiles: dict[float, float | None] = {}

    def __len__(self) -> int:
        return len(self._last)

    def __iter__(self) -> Iterator[float]:
        """Oldest first."""
        return iter(self._last)

    def observe(self, seconds: float) -> None:
        self._last.append(seconds)
        self._quantiles.clear()

    def quantile(self, share: float) -> float | None:
        """The smallest recorded duration that at least ``share`` of them do not exceed; None before ``ENOUGH``."""
        if share not in self._quantiles:
            self._quantiles[share] = self._found(share)
        return self._quantiles[share]

    def _found(self, share: float) -> float | None:
        if len(self._last) < ENOUGH:
            return None
        rank = ceil(share * len(self._last) - _ROUNDING)
        return sorted(self._last)[max(rank, 1) - 1]
