"""What the incident showed, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.dashboards.prometheus import Series
from tests.dashboards.queries import Asked
from tests.incident.run import Row
from tests.incident.watch import Watch

PREFIX = "VX11Sidecar"


def alerts(rows: Sequence[Row], silent: Iterable[str]) -> list[str]:
    """Alert, when it fired after its cause, for how long, who was told, and why. And what rightly stayed silent."""
    head = f"{'alert':47}{'fired after':>11}{'for':>9}  {'told':9}because"
    lines, act = [head], ""
    for row in rows:
        if row.act != act:
            act = row.act
            lines.append(f"-- {act}")
        alert = str(row.expected.alert).removeprefix(PREFIX)
        lasted = "still" if row.lasted is None else f"{row.lasted:.1f} s"
        told = ", ".join(sorted(row.told)) or ("withheld" if row.expected.withheld else "nobody")
        lines.append(f"{alert:47}{row.after:9.1f} s{lasted:>9}  {told:9}{row.expected.why}")
    return [*lines, f"silent, as they should be: {', '.join(sorted(each.removeprefix(PREFIX) for each in silent))}"]


def panels(asked: Sequence[Asked], found: Sequence[Sequence[Series]]) -> list[str]:
    """Panel and the samples of each of its queries."""
    lines = [f"{'board':10}{'panel':47}samples, of each query"]
    counts: dict[tuple[str, str], list[int]] = {}
    for each, series in zip(asked, found, strict=True):
        counts.setdefault((each.board, each.panel), []).append(samples(series))
    return lines + [_panel(board, panel, numbers) for (board, panel), numbers in counts.items()]


def empty(asked: Sequence[Asked], found: Sequence[Sequence[Series]]) -> list[str]:
    """The queries that showed nothing."""
    return [
        f"{each.board} > {each.panel} {each.ref}" for each, got in zip(asked, found, strict=True) if not samples(got)
    ]


def samples(found: Sequence[Series]) -> int:
    return sum(len(series.samples) for series in found)


def acts(marks: Mapping[str, float], ended: float) -> list[str]:
    """When what began, in seconds since the first."""
    began = min(marks.values())
    return [f"{at - began:7.1f} s  {what}" for what, at in marks.items()] + [f"{ended - began:7.1f} s  the end"]


def spans(watch: Watch, began: float) -> list[str]:
    """Everything that fired and when, whatever was expected: for a run that went wrong."""
    return [
        f"{span.first - began:7.1f} to {span.last - began:5.1f} s  {alert}"
        for alert, spans in sorted(watch.spans.items())
        for span in spans
    ]


def _panel(board: str, panel: str, numbers: Sequence[int]) -> str:
    return f"{board:10}{panel[:45]:47}{' '.join(map(str, numbers))}"
