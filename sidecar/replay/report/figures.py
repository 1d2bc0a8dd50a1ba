"""What of a column is compared, which way is better, and what a difference is worth: the judgement that the page puts into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sidecar.replay.column import Column, Comparison, Difference, Interval
from sidecar.replay.report import words
from sidecar.replay.report.words import GAP, MINUS, known

LESS, MORE, NEITHER = "less", "more", "neither"
BETTER: Final = "better"
WORSE: Final = "worse"
UNCLEAR: Final = "no clear difference"
OPEN: Final = "breaker_open_seconds."


class Figure(NamedTuple):
    """``name`` as in differences and intervals. ``good``: which way is better, as far as a figure alone can tell."""

    name: str
    label: str
    good: str
    said: Callable[[object], str]


def _points(value: object) -> str:
    return words.share(value).replace("%", "points")


FIGURES = (
    Figure("degraded_share", "degraded share", LESS, words.share),
    Figure("availability", "availability", MORE, words.share),
    Figure("p50", "p50", LESS, words.seconds),
    Figure("p95", "p95", LESS, words.seconds),
    Figure("p99", "p99", LESS, words.seconds),
    Figure("attempts_per_call", "attempts per call", LESS, words.ratio),
    Figure("deadline_misses", "deadline misses", LESS, words.count),
    Figure("calls", "calls", NEITHER, words.count),
)


def figures_of(comparison: Comparison) -> list[Figure]:
    """The known ones, how long breakers were open, and whatever else a difference or an interval is stated for."""
    known_ones = {figure.name for figure in FIGURES}
    opened, others = set[str](), set[str]()
    for column in comparison.columns:
        opened |= {str(target) for target in _nested(column.figures.get("breaker_open_seconds"))}
        others |= set(column.intervals)
    others |= {each.figure for each in comparison.differences}
    found = [
        *FIGURES[:-1],
        *(Figure(OPEN + target, f"{target} open", NEITHER, words.seconds) for target in sorted(opened)),
    ]
    found.append(FIGURES[-1])
    names = known_ones | {figure.name for figure in found}
    return found + [Figure(name, name, NEITHER, words.ratio) for name in sorted(others - names)]


def value_of(column: Column, figure: Figure) -> float | None:
    """None where it is not known, or not a number."""
    if figure.name.startswith(OPEN):
        opened = _nested(column.figures.get("breaker_open_seconds"))
        return known(opened.get(figure.name.removeprefix(OPEN), 0.0))
    if figure.name in column.figures:
        return known(column.figures[figure.name])
    return known(_nested(column.figures.get("latency_seconds")).get(figure.name))


def _nested(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def differences_to(comparison: Comparison, base: int) -> dict[tuple[int, str], Difference]:
    """By the place of a column and the name of a figure, those to the column at ``base``.

    Differences name their columns. Of columns with the same name the first gets the first difference, and so on.
    """
    columns = comparison.columns
    waiting: dict[tuple[str, str], list[Difference]] = {}
    for each in comparison.differences:
        if each.base == columns[base].name:
            waiting.setdefault((each.column, each.figure), []).append(each)
    found = {}
    for place in range(base + 1, len(columns)):
        for (column, figure), listed in waiting.items():
            if column == columns[place].name and listed:
                found[place, figure] = listed.pop(0)
    return found


def judged(figure: Figure, interval: Interval) -> str:
    """What a difference with this interval is, in a word or three."""
    low, high = known(interval.low), known(interval.high)
    if low is None or high is None or low <= 0 <= high:
        return UNCLEAR
    if figure.good == NEITHER:
        return "more" if low > 0 else LESS
    return BETTER if (low > 0) == (figure.good == MORE) else WORSE


def signed(figure: Figure, value: float) -> str:
    """A difference, with its sign; shares differ by points of per cent."""
    if known(value) is None:
        return words.UNKNOWN
    said = _points(abs(value)) if figure.said is words.share else figure.said(abs(value))
    return said if not value else f"{'+' if value > 0 else MINUS}{said}"


def between(figure: Figure, interval: Interval, said: Callable[[Figure, float], str]) -> str:
    """``8 to 12 ms``: both ends, the unit once if it is the same."""
    low, high = (said(figure, edge) for edge in interval)
    unit = high.rpartition(GAP)[2] if GAP in high else ""
    if unit and not unit.isdigit() and low.endswith(f"{GAP}{unit}"):
        low = low.removesuffix(f"{GAP}{unit}")
    return f"{low} to {high}"


def unsigned(figure: Figure, value: float) -> str:
    """A figure as it is."""
    return figure.said(value)


def settled(comparison: Comparison, place: int, base: int = 0) -> dict[str, list[tuple[Figure, Difference]]]:
    """What is better, worse and unclear about the column at ``place``."""
    found: dict[str, list[tuple[Figure, Difference]]] = {BETTER: [], WORSE: [], UNCLEAR: []}
    differences = differences_to(comparison, base)
    for figure in figures_of(comparison):
        each = differences.get((place, figure.name))
        if each is not None and (word := judged(figure, each.interval)) in found:
            found[word].append((figure, each))
    return found


def breakdown(columns: Sequence[Column], name: str) -> list[tuple[str, list[float | None]]]:
    """Rows of a figure that is a table by itself, such as ``providers``: all names that any column has, with its numbers."""
    tables = [_flat(column.figures.get(name)) for column in columns]
    rows: dict[str, None] = {}
    for table in tables:
        rows.update(dict.fromkeys(table))
    return [(row, [table.get(row) for table in tables]) for row in rows]


def _flat(value: object, before: str = "") -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, each in _nested(value).items():
        if isinstance(each, Mapping):
            found |= _flat(each, f"{before}{name}: ")
        else:
            found[f"{before}{name}"] = known(each)
    return found
