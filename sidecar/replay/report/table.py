"""The tables of the page: figures with their intervals and what they are worth against another column, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.replay.column import Column, Comparison, Difference
from sidecar.replay.report.figures import (
    BETTER,
    WORSE,
    Figure,
    between,
    breakdown,
    differences_to,
    figures_of,
    judged,
    signed,
    unsigned,
    value_of,
)
from sidecar.replay.report.plot import coloured, key
from sidecar.replay.report.words import UNKNOWN, breakable, count, markup, share, short

TONES = {BETTER: "good", WORSE: "bad"}  # classes of words; what says neither is calm
CALM = "calm"


def figures_table(comparison: Comparison) -> str:
    """Every figure of every column, and how it differs from the first one."""
    columns = comparison.columns
    differences = differences_to(comparison, 0)
    rows = (
        (
            figure.label,
            [_cell(comparison, place, figure, differences.get((place, figure.name))) for place in range(len(columns))],
        )
        for figure in figures_of(comparison)
    )
    return _table(columns, "figure", rows)


def differences_table(comparison: Comparison, base: int) -> str:
    """How later columns differ from the one at ``base``, which is not the first; empty if nothing is said of that."""
    differences = differences_to(comparison, base)
    if not differences:
        return ""
    columns = comparison.columns
    rows = []
    for figure in figures_of(comparison):
        cells = [differences.get((place, figure.name)) for place in range(base + 1, len(columns))]
        if any(cells):
            rows.append((figure.label, [_difference(figure, each) if each else UNKNOWN for each in cells]))
    return _table(columns, f"against {key(base)}", rows, base + 1)


def counts_table(columns: Sequence[Column], name: str, head: str, *, of: str = "") -> str:
    """The numbers of one figure that is a table, with their shares of the figure ``of``; empty if no column has any."""
    rows = breakdown(columns, name)
    if not rows:
        return ""
    wholes = [column.figures.get(of) for column in columns]
    cells = (
        (row, [_counted(value, whole) for value, whole in zip(values, wholes, strict=True)]) for row, values in rows
    )
    return _table(columns, head, cells)


def _counted(value: float | None, whole: object) -> str:
    if value is None:
        return UNKNOWN
    part = f'<br><span class="muted">{share(value / whole)}</span>' if isinstance(whole, int) and whole else ""
    return f"<span>{count(value)}{part}</span>"


def _cell(comparison: Comparison, place: int, figure: Figure, difference: Difference | None) -> str:
    column = comparison.columns[place]
    parts = [f"<b>{figure.said(value_of(column, figure))}</b>"]
    if (interval := column.intervals.get(figure.name)) is not None:
        parts.append(f'<br><span class="muted">{between(figure, interval, unsigned)}</span>')
    if difference is not None:
        parts.append(f"<br>{_difference(figure, difference)}")
    return f"<span>{''.join(parts)}</span>"


def _difference(figure: Figure, difference: Difference) -> str:
    word = judged(figure, difference.interval)
    return (
        f'<span class="difference">{signed(figure, difference.difference)} '
        f'<span class="muted">({between(figure, difference.interval, signed)})</span> '
        f'<span class="word {TONES.get(word, CALM)}">{word}</span></span>'
    )


def _table(columns: Sequence[Column], head: str, rows: Iterable[tuple[str, Sequence[str]]], first: int = 0) -> str:
    places = range(first, len(columns))
    heads = "".join(
        f'<th scope="col" class="{coloured(place)}"><span class="letter">{key(place)}</span> '
        f'<bdi title="{markup(columns[place].name)}">{breakable(short(columns[place].name))}</bdi></th>'
        for place in places
    )
    body = "".join(
        f'<tr><th scope="row">{markup(label)}</th>'
        + "".join(
            f'<td class="{coloured(place)}" data-label="{key(place)} {markup(short(columns[place].name))}">{cell}</td>'
            for place, cell in zip(places, cells, strict=True)
        )
        + "</tr>"
        for label, cells in rows
    )
    return f'<table><thead><tr><th scope="col">{markup(head)}</th>{heads}</tr></thead><tbody>{body}</tbody></table>'
