"""What is counted on the way of requests: plain numbers, added up on the loop's thread, and read there at a scrape.

The library's own counters and histograms are made for many threads: each addition takes a lock, and a histogram adds to a list of
such values. A relayed request makes five additions and a chat ten; these cost a fifth of that. What leaves at a scrape is
the library's: families, samples, exemplars, formats.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from math import inf

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount


class Spread:
    """How values lie between ``edges``, which increase and belong to the bucket below them; what is above the last one is counted, too."""

    __slots__ = ("_edges", "counts", "exemplars", "sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.exemplars: dict[int, Exemplar] = {}  # the last one of each bucket
        self.sum = 0.0

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None) -> None:
        bucket = bisect_left(self._edges, value)
        self.counts[bucket] += 1
        self.sum += value
        if exemplar:
            self.exemplars[bucket] = Exemplar(dict(exemplar), value, time.time())


class Counts(Collector):
    """One family of counters; ``children`` are by the values of their labels."""

    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self._declared = (name, text)
        self._labels = labels
        self.children: dict[Labels, Count] = {}

    def labels(self, *values: str) -> Count:
        """A further child."""
        child = self.children[values] = Count()
        return child

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(*self._declared, labels=self._labels)
        for values, child in self.children.items():
            family.add_metric(values, child.value)
        yield family


class Spreads(Collector):
    """One family of histograms with the same edges."""

    def __init__(self, name: str, text: str, labels: Labels, edges: tuple[float, ...]) -> None:
        self._declared = (name, text)
        self._labels = labels
        self._edges = edges
        self._named: list[str] = [floatToGoString(edge) for edge in (*edges, inf)]  # type: ignore[no-untyped-call]
        self.children: dict[Labels, Spread] = {}

    def labels(self, *values: str) -> Spread:
        child = self.children[values] = Spread(self._edges)
        return child

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(*self._declared, labels=self._labels)
        for values, child in self.children.items():
            buckets = zip(self._named, accumulate(child.counts), strict=True)
            told = [(*bucket, child.exemplars.get(at)) for at, bucket in enumerate(buckets)]
            # None is no exemplar: the library's own histogram says so, too.
            family.add_metric(values, told, child.sum)  # type: ignore[arg-type]
        yield family
