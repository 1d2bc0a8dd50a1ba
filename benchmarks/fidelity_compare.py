"""A prediction beside what happened then: the figures of ``benchmarks.fidelity``, held against their bars, as a table and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fidelity_predict import FIGURES, Figure, Predicted, RunError, recorded
from benchmarks.fidelity_scenes import Scene
from benchmarks.parts import table

POINTS, SHARE = 0.01, 0.10  # the bars: of shares, and of quantiles
DISTURBED = (
    0.05  # seconds that load or event loop may be late (p99), or the run was one of a machine that had no time for it
)
ROUNDED = 1e-4  # shares of a replay have four digits


class Row(NamedTuple):
    """One figure of one scene: a share of all chats, or a quantile in seconds. ``naive`` is A's own figure, taken for a prediction of B."""

    figure: str
    naive: float
    predicted: Figure
    live: float

    @property
    def is_quantile(self) -> bool:
        return self.figure in ("p50", "p95")

    @property
    def bar(self) -> float:
        return SHARE if self.is_quantile else POINTS

    @property
    def error(self) -> float:
        """Of the prediction: of a share its difference, of a quantile the share of the true one that it is off by."""
        return self._off(self.predicted.value)

    @property
    def naive_error(self) -> float:
        return self._off(self.naive)

    @property
    def within(self) -> bool:
        return abs(self.error) <= self.bar

    @property
    def held(self) -> bool | None:
        """Whether what happened lies in the predicted interval; None where there is none."""
        return self.predicted.holds(self.live)

    def _off(self, predicted: float) -> float:
        return predicted / self.live - 1 if self.is_quantile else predicted - self.live


class Played(NamedTuple):
    """A scene, live under both policies, with journals in ``where``; ``notes`` by side are what the live runs said of themselves."""

    scene: Scene
    seeds: Mapping[str, int]
    notes: Mapping[str, Mapping[str, Any]]
    where: Path

    @property
    def disturbed(self) -> bool:
        return any(max(notes["load_late_p99"], notes["loop_late_p99"]) > DISTURBED for notes in self.notes.values())


class Compared(NamedTuple):
    """``calls`` live ones were decided again under their own policy, of which ``differing`` came out otherwise.

    The prediction took ``seconds``.
    """

    played: Played
    rows: Sequence[Row]
    predicted: Predicted
    seconds: float
    calls: int
    differing: int


def compare(played: Played, told: Predicted, seconds: float) -> Compared:
    """Raises RunError if clients and journal do not agree about what happened: one of them would be wrong."""
    was, is_ = recorded(played.where / "a"), recorded(played.where / "b")
    for side, found in (("a", was), ("b", is_)):
        for share in ("degraded", "availability"):
            seen = played.notes[side][share]
            if abs(found.figures[share].value - seen) > ROUNDED:
                told_by = f"{seen} by its clients and {found.figures[share].value} by the journal"
                raise RunError(f"scene {played.scene.key}, policy {side}: {share} is {told_by}")
    rows = [Row(name, was.figures[name].value, told.figures[name], is_.figures[name].value) for name in FIGURES]
    return Compared(played, rows, told, seconds, was.calls + is_.calls, was.differing + is_.differing)


def passed(found: Sequence[Compared]) -> bool:
    """Whether all figures of the fixed scenes are within their bars, and every live call came out the same."""
    fixed = [row for compared in found if compared.played.scene.fixed for row in compared.rows]
    return all(row.within for row in fixed) and not any(compared.differing for compared in found)


# -- told --------------------------------------------------------------------------------------------------------------

HEAD = ("scene", "figure", "A live", "B predicted", "interval", "B live", "off by", "bar", "", "held", "B as A off by")


def show(found: Sequence[Compared]) -> None:
    table(HEAD, [line for compared in found for line in _lines(compared)])
    print()
    for compared in found:
        print("\n   ".join(_notes(compared)))
    print()
    fixed = [compared for compared in found if compared.played.scene.fixed]
    for name, part in (("fixed scenes", fixed), ("where it does worst", [c for c in found if c not in fixed])):
        if part:
            print(f"{name}: {counts(part)}")
    calls, differing = sum(c.calls for c in found), sum(c.differing for c in found)
    print(f"decided again under their own policy: {calls} live calls, {differing} differ")


def counts(found: Sequence[Compared]) -> str:
    """How many figures were within their bars, and how often the interval held."""
    rows = [row for compared in found for row in compared.rows]
    held = [row.held for row in rows if row.held is not None]
    naive = sum(abs(row.naive_error) <= row.bar for row in rows)
    disturbed = [compared.played.scene.key for compared in found if compared.played.disturbed]
    return (
        f"{sum(row.within for row in rows)} of {len(rows)} figures within their bars (B as A was: {naive}), "
        f"the interval held {sum(held)} of {len(held)} times"
        + (f"; the machine was too busy for {', '.join(disturbed)}" if disturbed else "")
    )


def _lines(compared: Compared) -> Iterator[list[object]]:
    scene = compared.played.scene
    for number, row in enumerate(compared.rows):
        written = _seconds if row.is_quantile else _percent
        unit = "%" if row.is_quantile else "pt"
        off, naive_off = (f"{value * 100:+.1f} {unit}" for value in (row.error, row.naive_error))
        low, high = row.predicted.low, row.predicted.high
        yield [
            f"{scene.key} {scene.name}" if number == 0 else "",
            row.figure,
            written(row.naive),
            written(row.predicted.value),
            "-" if low is None or high is None else f"{written(low)} … {written(high)}",
            written(row.live),
            off,
            f"{row.bar * 100:g} {unit}",
            "ok" if row.within else "MISSED",
            {True: "yes", False: "no", None: "-"}[row.held],
            naive_off,
        ]


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _seconds(value: float) -> str:
    return f"{value:.3f} s"


def _notes(compared: Compared) -> Iterator[str]:
    played, told = compared.played, compared.predicted
    yield f"{played.scene.key} {played.scene.name}" + (f": {played.scene.why}" if played.scene.why else "")
    for side, notes in played.notes.items():
        load, loop = (notes[name] * 1000 for name in ("load_late_p99", "loop_late_p99"))
        yield (
            f"{side.upper()}: {notes['calls']} calls in {notes['seconds']:g} s, cpu {notes['cpu']:.0%}, load average "
            f"{notes['load_average']:g}, late (p99): load {load:.1f} ms, loop {loop:.1f} ms"
        )
    yield "seeds: " + " ".join(f"{name}={value}" for name, value in played.seeds.items())
    assumed = ", ".join(f"{count} {name}" for name, count in told.assumed.items())
    yield f"predicted in {compared.seconds:.1f} s with {told.confidence:.0%} intervals; attempts made up: {assumed or 'none'}"


def as_json(seed: int | None, found: Sequence[Compared]) -> str:
    """``seed`` is None where kept journals were predicted from."""
    scenes = [
        {
            "scene": compared.played.scene.key,
            "name": compared.played.scene.name,
            "fixed": compared.played.scene.fixed,
            "disturbed": compared.played.disturbed,
            "seeds": compared.played.seeds,
            "live": compared.played.notes,
            "figures": [_row(row) for row in compared.rows],
            "confidence": compared.predicted.confidence,
            "assumed": compared.predicted.assumed,
            "assumptions": compared.predicted.assumptions,
            "predicted_in_seconds": round(compared.seconds, 3),
            "exact": {"calls": compared.calls, "differing": compared.differing},
        }
        for compared in found
    ]
    return json.dumps({"seed": seed, "cores": os.cpu_count(), "passed": passed(found), "scenes": scenes}, indent=1)


def _row(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure,
        "a": row.naive,
        "predicted": row.predicted._asdict(),
        "b": row.live,
        "error": row.error,
        "bar": row.bar,
        "within": row.within,
        "held": row.held,
        "naive_error": row.naive_error,
    }
