"""How long answers take: for each column the share of its answers that are not slower than a time.

Times are logarithmic and shares are spread as percentiles, because what people ask of latency is both what is usual and how bad the worst
one in a hundred is, and neither a plain histogram nor a plain cumulative share shows the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sidecar.replay.column import Column
from sidecar.replay.report.plot import across, box, coloured, drawn, key, line, number, percent, spread, upward
from sidecar.replay.report.scale import SHORTEST, Scale, durations, percentiles
from sidecar.replay.report.words import counted, exact, known, markup, seconds, shown

HEIGHT = 320
MARKED = (0.5, 0.95, 0.99)
_APART = 0.045  # of the width: two letters side by side in a narrow window
_EVENLY = 1e-9

Points = tuple[tuple[float, float], ...]


def latencies(columns: Sequence[Column], limits: Mapping[str, float]) -> str | None:
    """The plot; None where nothing was answered. ``limits``: seconds by what they are, drawn as upright lines."""
    curves = {place: points for place, column in enumerate(columns) if (points := _points(column))}
    if not curves:
        return None
    bounds = {name: limit for name, limit in limits.items() if known(limit) is not None and limit > 0}
    times = [at for points in curves.values() for at, _ in points] + [*bounds.values()]
    x, y = durations(min(times), max(times)), percentiles(max(map(_answers, columns)))
    inside = [
        across(x, HEIGHT),
        upward(y, HEIGHT, y.unit),
        *(
            _limit(name, limit, x, row)
            for row, (name, limit) in enumerate(sorted(bounds.items(), key=lambda each: each[1]))
        ),
        drawn(HEIGHT, (_curve(columns[place], place, points, x, y) for place, points in reversed(curves.items()))),
        *(_dots(place, points, x, y) for place, points in reversed(curves.items())),
        *_letters(curves, x),
    ]
    return box(HEIGHT, inside, "; ".join(_said(columns[place], points) for place, points in curves.items()), "latency")


def _points(column: Column) -> Points:
    """What can be drawn of a distribution."""
    points = ((known(at), known(share)) for at, share in column.latencies)
    return tuple((max(at, SHORTEST), share) for at, share in points if at is not None and share is not None)


def _answers(column: Column) -> int:
    """From how many answers the distribution is; at least as many as it has points."""
    outcomes = column.figures.get("outcomes")
    told = outcomes if isinstance(outcomes, Mapping) else {}
    numbers = [known(value) or 0.0 for outcome, value in told.items() if outcome != "client_gone"]
    return max(round(sum(numbers)), len(column.latencies), 1)


def _curve(column: Column, place: int, points: Points, x: Scale, y: Scale) -> str:
    path = line(((x.at(at), y.at(share)) for at, share in points), HEIGHT)
    return f'<path class="line {coloured(place)}" d="{path}"><title>{markup(_said(column, points))}</title></path>'


def quantile(points: Points, share: float) -> float:
    """The time that ``share`` of the answers do not exceed."""
    return next((at for at, reached in points if reached >= share - _EVENLY), points[-1][0])


def _said(column: Column, points: Points) -> str:
    figures = ", ".join(f"p{share * 100:g} {seconds(quantile(points, share))}" for share in MARKED)
    return f"{shown(column.name)}: {figures}, {counted(_answers(column), 'answer')}"


def _dots(place: int, points: Points, x: Scale, y: Scale) -> str:
    places = ((percent(x.at(quantile(points, share))), number(HEIGHT * (1 - y.at(share)))) for share in MARKED)
    return "".join(f'<circle class="dot {coloured(place)}" cx="{cx}" cy="{cy}" r="3.5"/>' for cx, cy in places)


def _limit(name: str, limit: float, x: Scale, row: int) -> str:
    place = x.at(limit)
    side, shift = ("end", -5) if place > 0.5 else ("", 5)
    return (
        f'<line class="limit" x1="{percent(place)}" x2="{percent(place)}" y1="0" y2="{HEIGHT}"/>'
        f'<text class="limit {side}" x="{percent(place)}" dx="{shift}" y="{HEIGHT - 10 - 16 * row}">{markup(name)} {exact(limit)}</text>'
    )


def _letters(curves: Mapping[int, Points], x: Scale) -> Iterator[str]:
    """Each curve leaves the plot at its slowest answer; its letter stands above, moved aside where several leave together."""
    ends = [x.at(points[-1][0]) for points in curves.values()]
    places = spread(ends, _APART, 0.0, 1.0)
    for place, end, at in zip(curves, ends, places, strict=True):
        yield (
            f'<g class="{coloured(place)}"><line class="leader" x1="{percent(end)}" x2="{percent(at)}" y1="0" y2="-7"/>'
            f'<text class="letter middle" x="{percent(at)}" y="-11">{key(place)}</text></g>'
        )
