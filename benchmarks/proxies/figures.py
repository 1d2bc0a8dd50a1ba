"""What was measured, by proxy, figure and round; medians and ratios of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple


class Spread(NamedTuple):
    """Median, least, most."""

    median: float
    least: float
    most: float


class Figures:
    """A figure is a word such as ``unique`` (microseconds a request) or ``unique share`` (0 to 1); ``rounds`` says all of them."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], dict[int, float]] = {}

    def add(self, number: int, proxy: str, figure: str, value: float) -> None:
        self._samples.setdefault((proxy, figure), {})[number] = value

    def has(self, proxy: str, figure: str) -> bool:
        return (proxy, figure) in self._samples

    def samples(self, proxy: str, figure: str) -> list[float]:
        return list(self._samples.get((proxy, figure), {}).values())

    def median(self, proxy: str, figure: str) -> float | None:
        samples = self.samples(proxy, figure)
        return statistics.median(samples) if samples else None

    def least(self, proxy: str, figure: str) -> float | None:
        return min(self.samples(proxy, figure), default=None)

    def most(self, proxy: str, figure: str) -> float | None:
        return max(self.samples(proxy, figure), default=None)

    def ratio(self, proxy: str, figure: str, beside: str) -> Spread | None:
        """To another proxy in the same round, which the machine's other work touches least."""
        return _spread([one / other for one, other in self._pairs(proxy, beside, figure) if other > 0])

    def beyond(self, proxy: str, figure: str, beside: str) -> Spread | None:
        """The difference to another proxy, or to none, in the same round."""
        return _spread([one - other for one, other in self._pairs(proxy, beside, figure)])

    def _pairs(self, proxy: str, beside: str, figure: str) -> Iterator[tuple[float, float]]:
        others = self._samples.get((beside, figure), {})
        for number, value in self._samples.get((proxy, figure), {}).items():
            if number in others:
                yield value, others[number]


def _spread(samples: list[float]) -> Spread | None:
    return Spread(statistics.median(samples), min(samples), max(samples)) if samples else None
