"""A scene that was played, in Markdown: what its policies state, a row for each figure and a column for each side, what is claimed.

A cell has the median of the seeds, and in brackets the least and the most.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.policies.play import Played


def lines(played: Played) -> Iterator[str]:
    scene = played.scene
    yield f"## {scene.key}: {scene.title}"
    yield ""
    yield from (f"- {side}: {_policy(text)}" for side, text in scene.sides.items())
    yield ""
    yield from table(played)
    yield ""
    yield f"{scene.shows[0].upper()}{scene.shows[1:]}."
    yield ""
    broken = played.broken()
    yield from (f"- {'BROKEN' if claim in broken else 'holds'}: {claim.words}" for claim in scene.claims)


def _policy(text: str) -> str:
    """What a side states beyond what all of them do, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"`{' · '.join(lines)}`" if lines else "nothing beyond what all state"


def table(played: Played) -> Iterator[str]:
    sides = list(played.scene.sides)
    names = list(dict.fromkeys(name for side in sides for name in played.names(side)))
    rows = [["", *sides]]
    rows += [[name, *(_cell(name, played.values(side, name)) for side in sides)] for name in names]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield "| " + " | ".join(_padded(row, widths)) + " |"
        if number == 0:
            yield (
                "|" + "|".join("-" * (width + 1) + (":" if place else "-") for place, width in enumerate(widths)) + "|"
            )


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    first, *rest = zip(row, widths, strict=True)
    yield first[0].ljust(first[1])
    yield from (cell.rjust(width) for cell, width in rest)


def _cell(name: str, values: Sequence[float]) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    if least == most:
        return _number(name, middle)
    return f"{_number(name, middle)} ({_number(name, least)} … {_number(name, most)})"


def _number(name: str, value: float) -> str:
    if name.endswith("ms"):
        return f"{value:.0f}"
    if name.endswith("%"):
        return f"{value:.1f}"
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"
