"""What a journal says, and what it is predicted to say under another policy: the one place where ``benchmarks.fidelity`` meets replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from sidecar.policy.load import Loaded
from sidecar.replay.column import Column
from sidecar.replay.study import replay

FIGURES = ("degraded", "availability", "p50", "p95")
REPEATS = 20  # draws of what had to be made up, as the command does for a journal of this length


class RunError(Exception):
    """A live run is not fit to be measured by; the text says why."""


class Figure(NamedTuple):
    """``low`` and ``high`` bound it with the confidence of the prediction; None where nothing is said about that."""

    value: float
    low: float | None = None
    high: float | None = None

    def holds(self, other: float) -> bool | None:
        """Whether ``other`` lies within the interval; None where there is none."""
        return None if self.low is None or self.high is None else self.low <= other <= self.high


class Recorded(NamedTuple):
    """``differing`` of ``calls`` came out otherwise when they were decided again under their own policy."""

    figures: Mapping[str, Figure]
    calls: int
    differing: int


class Predicted(NamedTuple):
    """``assumed`` counts attempts that were made up, by how; ``assumptions`` are the sentences of the report."""

    figures: Mapping[str, Figure]
    assumed: Mapping[str, int]
    assumptions: Sequence[str]
    confidence: float


def recorded(journal: Path) -> Recorded:
    """The figures of what happened, by exact replay. Raises RunError for a journal with gaps."""
    study, comparison = replay([journal], [])
    if study.skipped or study.incomplete or study.fidelity.unfinished:
        raise RunError(f"{journal}: the journal has gaps: {study.messages[:3]}")
    return Recorded(_figures(comparison.columns[0]), study.fidelity.calls, study.fidelity.differing)


def predict(journals: Sequence[Path], policy: Loaded) -> Predicted:
    """The figures that ``policy`` would have had on what was recorded, and what had to be assumed for them."""
    _, comparison = replay(list(journals), [policy], repeats=REPEATS)
    column = comparison.columns[1]
    return Predicted(_figures(column), column.assumed, comparison.assumptions, comparison.confidence)


def _figures(column: Column) -> Mapping[str, Figure]:
    latency = cast("Mapping[str, float]", column.figures["latency_seconds"])
    values = {
        "degraded": cast("float", column.figures["degraded_share"]),
        "availability": cast("float", column.figures["availability"]),
        "p50": latency["p50"],
        "p95": latency["p95"],
    }
    intervals = {"degraded": column.intervals.get("degraded_share")} | dict(column.intervals)
    return {name: Figure(value, *(intervals.get(name) or (None, None))) for name, value in values.items()}
