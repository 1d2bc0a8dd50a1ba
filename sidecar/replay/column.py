"""What a run of traffic under one policy comes to, as values that tables, JSON and the report read.

A *column* is one policy's side of a comparison: figures, how sure they are, and their course over time. Times are seconds; those in
``slices`` and ``held`` count from the first arrival of the first run, and runs follow each other without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Slice(NamedTuple):
    """The calls that arrived within one stretch of time, and what became of them. ``attempts`` are those of these calls."""

    start: float
    seconds: float
    calls: int
    primary: int
    fallback: int
    local: int
    failed: int
    client_gone: int
    attempts: int


class Held(NamedTuple):
    """A breaker was in ``state`` (open, half_open, forced_open, forced_closed) from ``since`` to ``until``; else it was closed."""

    state: str
    since: float
    until: float


class Interval(NamedTuple):
    """Between ``low`` and ``high`` with the confidence that the comparison states."""

    low: float
    high: float


class Column(NamedTuple):
    """``figures`` as ``Summary.figures`` gives them. ``intervals`` by the name of a figure: where it is likely to lie.

    ``latencies`` is the distribution of the time to the answer, as (seconds, share of answers not slower), rising, at most a few hundred
    points. ``assumed`` counts attempts that were not simply recorded, by how they were made up; it is empty for what was recorded.
    """

    name: str
    revision: str
    figures: Mapping[str, object]
    intervals: Mapping[str, Interval]
    latencies: tuple[tuple[float, float], ...]
    slices: tuple[Slice, ...]
    held: Mapping[str, tuple[Held, ...]]
    assumed: Mapping[str, int]


class Difference(NamedTuple):
    """How a figure of ``column`` differs from the same of ``base``, paired; an ``interval`` that excludes 0 is a real difference."""

    base: str
    column: str
    figure: str
    difference: float
    interval: Interval


class Comparison(NamedTuple):
    """The columns beside each other, what was recorded first; ``assumptions`` are sentences, most important first."""

    columns: tuple[Column, ...]
    differences: tuple[Difference, ...]
    assumptions: tuple[str, ...]
    confidence: float
