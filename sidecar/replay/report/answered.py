"""Who answered over time: for each column the calls of each slice by what became of them, as shares on top of each other."""

from __future__ import annotations

from sidecar.replay.column import Column
from sidecar.replay.report.course import timed
from sidecar.replay.report.plot import Step, across, area, box, drawn, upward
from sidecar.replay.report.scale import Scale, linear, percent
from sidecar.replay.report.words import share, shown

HEIGHT = 110
OUTCOMES = {  # from the bottom: class, what it is called
    "primary": "by the primary",
    "fallback": "by a fallback",
    "local": "by the sidecar itself",
    "failed": "by nobody",
    "client_gone": "client left before",
}


def answered_by(column: Column, x: Scale) -> str:
    """Who answered the calls of one column, as shares of the calls of each slice, on top of each other."""
    slices = timed(column)
    layers = []
    present = [word for word in OUTCOMES if any(getattr(each, word) for each in slices)]
    for word in reversed(present):  # the whole stack first, then the lower ones in front of it
        below = [*OUTCOMES][: [*OUTCOMES].index(word) + 1]
        tops = (
            Step(
                x.at(each.start),
                x.at(each.start + each.seconds),
                sum(getattr(each, name) for name in below) / each.calls if each.calls else None,
            )
            for each in slices
        )
        layers.append(f'<path class="{word}" d="{area(tops, HEIGHT)}"/>')
    y = linear(0.0, 1.0, percent, most=2)
    calls = sum(each.calls for each in slices)
    parts = (f"{share(sum(getattr(each, word) for each in slices) / calls)} {OUTCOMES[word]}" for word in present)
    said = f"{shown(column.name)}: {', '.join(parts) if calls else 'no calls'}"
    return box(HEIGHT, [across(x, HEIGHT), upward(y, HEIGHT, ""), drawn(HEIGHT, layers)], said, "stack")
