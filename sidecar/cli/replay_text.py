"""A replay as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sidecar.cli.status_text import clean

Document = Mapping[str, Any]

_OUTCOMES = (
    ("primary", "answered by the primary"),
    ("fallback", "answered by a fallback"),
    ("local", "answered by us (local)"),
    ("failed", "failed"),
    ("client_gone", "client left"),
)


def text(document: Document) -> list[str]:
    """Line by line: how exact it was, what was skipped, the table, the differences, what was assumed."""
    lines = [*_exactness(document), *_table(document)]
    differences = list(_differences(document))
    if differences:
        lines += ["", f"Differences, with the interval of {document['confidence']:.0%} confidence:", *differences]
    lines += [""] * bool(document["candidates"])
    for candidate in document["candidates"]:
        assumed = ", ".join(f"{count} {word}" for word, count in candidate["assumed_attempts"].items())
        lines.append(f"Made up for {candidate['policy']}: {assumed} of {candidate['figures']['attempts']} attempts")
    if document["assumptions"]:
        lines += ["Taken for granted:", *(f"- {sentence}" for sentence in document["assumptions"])]
    return [clean(line) for line in lines]


def _exactness(document: Document) -> Iterator[str]:
    fidelity, skipped, messages = document["fidelity"], document["skipped_lines"], document["messages"]
    outcome = (
        f"{fidelity['same']} came out the same, {fidelity['differing']} differ, {fidelity['unfinished']} were not over"
    )
    if not fidelity["calls"]:
        outcome = "nothing to compare, for the end of no call was recorded"
    yield f"{_counted(fidelity['calls'], 'call')} in {_counted(document['runs'], 'run')}: {outcome}"
    if incomplete := fidelity.get("incomplete"):
        verb = "is" if incomplete["runs"] == 1 else "are"
        yield (
            f"{_counted(incomplete['runs'], 'run')} {verb} incomplete (begins in the middle, or a sample): what was remembered "
            f"is not known, {_counted(incomplete['incomparable_calls'], 'call')} cannot be compared"
        )
    if skipped:
        yield f"{_counted(skipped, 'line')} skipped:"
        yield from messages
        if skipped > len(messages):
            yield "and more"
    yield from fidelity["examples"]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


# -- the table ---------------------------------------------------------------------------------------------------------


class _Column:
    def __init__(self, name: str, figures: Document, intervals: Mapping[str, Sequence[float]]) -> None:
        self.name = name
        self.figures = figures
        self._intervals = intervals

    def count(self, section: str, word: str) -> str:
        return str(self.figures[section].get(word, 0))

    def sure(self, name: str, value: float | None, words: Callable[[float], str]) -> str:
        """A figure with the interval in which it is likely to lie."""
        if value is None:
            return "-"
        interval = self._intervals.get(name)
        return words(value) + (f" [{words(interval[0])} … {words(interval[1])}]" if interval else "")


def _table(document: Document) -> list[str]:
    columns = [_Column("recorded", document["recorded"], document["recorded_intervals"])]
    columns += [_Column(one["policy"], one["figures"], one["intervals"]) for one in document["candidates"]]
    rows = [["", *(column.name for column in columns)], *_rows(columns)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns) + 1)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rows(columns: Sequence[_Column]) -> Iterator[list[str]]:
    def row(title: str, cell: Callable[[_Column], str]) -> list[str]:
        return [title, *map(cell, columns)]

    for word, title in _OUTCOMES:
        if any(column.figures["outcomes"][word] for column in columns) or word != "client_gone":
            yield row(title, lambda column, word=word: column.count("outcomes", word))  # type: ignore[misc]
    for title, name in (("degraded", "degraded_share"), ("available", "availability")):
        yield row(title, lambda column, name=name: column.sure(name, column.figures[name], _percent))  # type: ignore[misc]
    for section, prefix in (("providers", "by"), ("reasons", "reason")):
        for word in sorted({word for column in columns for word in column.figures[section]}):
            yield row(f"{prefix} {word}", lambda column, s=section, word=word: column.count(s, word))  # type: ignore[misc]
    attempts = "attempts_per_call"
    yield row("attempts per call", lambda column: column.sure(attempts, column.figures[attempts], "{:.4g}".format))
    for name in ("p50", "p95", "p99"):
        yield row(name, lambda c, name=name: c.sure(name, c.figures["latency_seconds"].get(name), _seconds))  # type: ignore[misc]
    for target in sorted({target for column in columns for target in column.figures["breaker_open_seconds"]}):
        yield row(f"{target} open", lambda c, t=target: f"{c.figures['breaker_open_seconds'].get(t, 0.0):.3f} s")  # type: ignore[misc]
    yield row("deadlines missed", lambda column: str(column.figures["deadline_misses"]))


def _percent(share: float) -> str:
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.4g} s"


# -- the differences ---------------------------------------------------------------------------------------------------

_FIGURES = {
    "degraded_share": ("degraded", 100.0, " points"),
    "availability": ("available", 100.0, " points"),
    "attempts_per_call": ("attempts per call", 1.0, ""),
    "p50": ("p50", 1000.0, " ms"),
    "p95": ("p95", 1000.0, " ms"),
    "p99": ("p99", 1000.0, " ms"),
}


def _differences(document: Document) -> Iterator[str]:
    before = None
    for one in document["differences"]:
        pair = (one["column"], one["base"])
        if pair != before:
            yield f"  {one['column']} against {one['base']}:"
            before = pair
        title, scale, unit = _FIGURES[one["figure"]]
        low, high = (edge * scale for edge in one["interval"])
        verdict = "no clear difference" if low <= 0 <= high else "more" if low > 0 else "less"
        measured = f"{one['difference'] * scale:+.4g}{unit}"
        yield f"    {title:<18}{measured} ({low:+.4g} … {high:+.4g}): {verdict}"
