"""The last half hour of chats in steps of ten seconds: how many, how many of them degraded, and how long they took.

Durations are counted in bins whose edges grow by a constant factor (as in DDSketch), so a quantile is off by ``ERROR`` at most and
a step holds at most ``MOST_BINS`` numbers whatever the traffic. Chats whose client left are not counted: nobody knows what
they would have come to.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from math import ceil, log
from typing import Any

from sidecar.core.fact import ChatServed
from sidecar.edge.outlets.sink import Sink

STEP = 10.0  # seconds
STEPS = 180  # half an hour
ERROR = 0.02  # of a quantile, relative

_GROWTH = (1 + ERROR) / (1 - ERROR)
_LEAST, _MOST = 0.0005, 120.0  # seconds; what is beyond counts as that
MOST_BINS = ceil(log(_MOST / _LEAST) / log(_GROWTH)) + 1
_NOT_COUNTED = "client_gone"
_UNDEGRADED = "primary"


class _Step:
    """What was counted in one step; ``index`` counts steps of the clock."""

    __slots__ = ("_quantiles", "bins", "degraded", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.bins: Counter[int] = Counter()
        self.degraded = 0
        self._quantiles: tuple[float | None, float | None] | None = None

    def add(self, seconds: float, *, degraded: bool) -> None:
        self.bins[_bin(seconds)] += 1
        self.degraded += degraded
        self._quantiles = None

    def quantiles(self) -> tuple[float | None, float | None]:
        """Median and 95th percentile, worked out once for a step that is over."""
        if self._quantiles is None:
            self._quantiles = _quantile(self.bins, 0.5), _quantile(self.bins, 0.95)
        return self._quantiles


class Trend(Sink):
    """Counts answered chats."""

    def __init__(self, now: Callable[[], float]) -> None:
        """``now`` is the clock of the facts, in seconds."""
        self._now = now
        self._steps: deque[_Step] = deque()  # oldest first; none for a step without a chat
        self.takes = {ChatServed: (self._count,)}

    def _count(self, fact: ChatServed) -> None:
        if fact.outcome != _NOT_COUNTED:
            self._step(fact.at).add(fact.seconds, degraded=fact.outcome != _UNDEGRADED)

    def view(self) -> dict[str, object]:
        """Columns of ``STEPS`` values, oldest first, the last one of the step that is not over yet; null where nobody chatted."""
        now = self._now()
        newest = int(now // STEP)
        self._forget(newest)
        known = {step.index: step for step in self._steps}
        steps = [known.get(index) for index in range(newest - STEPS + 1, newest + 1)]
        total = Counter[int]()
        for step in self._steps:
            total.update(step.bins)
        return {
            "step_seconds": STEP,
            "newest_for_seconds": round(now - newest * STEP, 3),
            "calls": [each.bins.total() if each else 0 for each in steps],
            "degraded": [each.degraded if each else 0 for each in steps],
            "p50_seconds": [each.quantiles()[0] if each else None for each in steps],
            "p95_seconds": [each.quantiles()[1] if each else None for each in steps],
            "whole": {
                "calls": total.total(),
                "degraded": sum(step.degraded for step in self._steps),
                "p50_seconds": _quantile(total, 0.5),
                "p95_seconds": _quantile(total, 0.95),
            },
        }

    def steps(self) -> list[tuple[int, int, dict[str, int]]]:
        """What was counted, so that it can be added to what another process counted by the same clock."""
        return [
            (step.index, step.degraded, {str(bin_): many for bin_, many in step.bins.items()}) for step in self._steps
        ]

    def add(self, steps: Iterable[Sequence[Any]]) -> None:
        """Add the ``steps`` of another one, as JSON has them: a list in place of each tuple."""
        known = {step.index: step for step in self._steps}
        for index, degraded, bins in steps:
            step = known.setdefault(index, _Step(index))
            step.bins.update({int(bin_): many for bin_, many in bins.items()})
            step.degraded += degraded
        self._steps = deque(known[index] for index in sorted(known))

    def _step(self, at: float) -> _Step:
        index = int(at // STEP)
        if not self._steps or self._steps[-1].index < index:
            self._steps.append(_Step(index))
            self._forget(index)
        return self._steps[-1]  # also for a fact that comes a little late

    def _forget(self, newest: int) -> None:
        while self._steps and self._steps[0].index <= newest - STEPS:
            self._steps.popleft()


def _bin(seconds: float) -> int:
    return ceil(log(min(max(seconds, _LEAST), _MOST) / _LEAST) / log(_GROWTH))


def _quantile(bins: Counter[int], share: float) -> float | None:
    """The duration that ``share`` of the chats did not exceed; None of none."""
    rank = max(ceil(share * bins.total()), 1)
    for number in sorted(bins):
        rank -= bins[number]
        if rank <= 0:
            return float(f"{_LEAST * 2 * _GROWTH**number / (_GROWTH + 1):.3g}")
    return None
