"""When breakers refused: a band of time for each target of each column.

A day of flapping has more moves than a picture has pixels. A band is cut into cells of about a pixel; each shows how much of its time
the breaker spent in each state, stacked, and a state that it was in for a moment only is still a fifth of the height. A cell in which it
opened more than once has a mark above it, so that flapping is never mistaken for one long outage, nor left out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sidecar.replay.column import Column, Held
from sidecar.replay.report.plot import Step, across, area, box, drawn
from sidecar.replay.report.scale import Scale
from sidecar.replay.report.words import counted, seconds, shown

HEIGHT, MARK = 22, 4
CELLS = 1000
LEAST = 0.2  # of the height: so much is seen of a state, however short
STATES = {  # from the bottom
    "forced_open": "held open",
    "open": "open",
    "half_open": "half-open",
    "forced_closed": "held closed",
}
_GRAIN = 20  # heights within a cell, so that cells that look alike are one


class Band(NamedTuple):
    """One target of one column; ``said`` sums it up in words."""

    target: str
    said: str
    picture: str


def bands(column: Column, targets: Sequence[str], x: Scale) -> Iterator[Band]:
    """``targets`` of all columns, so that the same ones stand above each other."""
    asked = column.figures.get("verdicts")
    for target in targets:
        held = column.held.get(target, ())
        unasked = not held and isinstance(asked, Mapping) and bool(asked) and target not in asked
        said = "never asked" if unasked else _said(held)
        yield Band(target, said, _picture(held, x, f"{shown(column.name)}, {shown(target)}: {said}"))


def targets_of(columns: Iterable[Column]) -> list[str]:
    """The targets whose breakers moved in any column."""
    return sorted({target for column in columns for target, held in column.held.items() if held})


def _said(held: Sequence[Held]) -> str:
    spent: defaultdict[str, float] = defaultdict(float)
    times: Counter[str] = Counter()
    for state, since, until in held:
        spent[state] += max(until - since, 0.0)
        times[state] += 1
    parts = [
        f"{word} {seconds(spent[state])}" + (f" in {counted(times[state], 'stretch', 'stretches')}")
        for state, word in STATES.items()
        if times[state] and state != "half_open"
    ]
    return ", ".join(parts) or "closed throughout"


def _picture(held: Sequence[Held], x: Scale, said: str) -> str:
    cells = cut(held, x.high)
    layers = []
    for depth, state in reversed(list(enumerate(STATES))):
        below = [*STATES][: depth + 1]
        if any(cell.spent.get(state) for cell in cells.values()):
            tops = (Step(at / CELLS, (at + 1) / CELLS, _height(cell, below)) for at, cell in sorted(cells.items()))
            layers.append(f'<path class="{state}" d="{area(tops, HEIGHT)}"/>')
    often = (Step(at / CELLS, (at + 1) / CELLS, 1.0) for at, cell in sorted(cells.items()) if cell.opened > 1)
    if marks := area(often, MARK):
        layers.append(f'<path class="often" d="{marks}"/>')
    return box(
        HEIGHT,
        [
            f'<rect class="closed" width="100%" height="{HEIGHT}"/>',
            across(x, HEIGHT, labels=False),
            drawn(HEIGHT, layers),
        ],
        said,
        "band",
    )


class Cell:
    """What a breaker did in one cell: the share of its time in each state but closed, and how often it opened."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.opened = 0


def cut(held: Iterable[Held], span: float) -> dict[int, Cell]:
    """The cells in which a breaker was not simply closed."""
    cells: defaultdict[int, Cell] = defaultdict(Cell)
    width = span / CELLS
    for state, since, until in held:
        if state not in STATES or not (math.isfinite(since) and math.isfinite(until)):
            continue
        begin = max(since, 0.0)
        end = min(max(until, begin), span)
        first, last = min(int(begin / width), CELLS - 1), min(int(end / width), CELLS - 1)
        for at in range(first, last + 1):
            inside = min(end, (at + 1) * width) - max(begin, at * width)
            if inside > 0 or first == last:
                cells[at].spent[state] += max(inside / width, 1e-9)
        cells[first].opened += state in {"open", "forced_open"}
    return cells


def _height(cell: Cell, states: Sequence[str]) -> float:
    """How high ``states`` reach together: their shares of the time, none below ``LEAST``, all together no more than the whole."""
    tall = {state: max(share, LEAST) for state, share in cell.spent.items()}
    whole = max(sum(tall.values()), 1.0)
    return math.ceil(sum(tall.get(state, 0.0) for state in states) / whole * _GRAIN - 1e-6) / _GRAIN
