"""The course of figures over time, slice by slice: the degraded share, attempts per call, and how many calls came.

All plots of time have the same axis, the one of the whole comparison, so that what is above each other happened together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from sidecar.replay.column import Column, Slice
from sidecar.replay.report.plot import (
    Step,
    across,
    area,
    box,
    coloured,
    drawn,
    key,
    number,
    percent,
    readouts,
    spread,
    steps,
    upward,
)
from sidecar.replay.report.scale import Scale, clock, linear, plain
from sidecar.replay.report.scale import percent as per_cent
from sidecar.replay.report.words import counted, figures, seconds, share, shown

HEIGHT, LOW = 230, 90
_APART = 14.0  # pixels between two letters above each other

Value = Callable[[Slice], float | None]


def span(columns: Sequence[Column]) -> float:
    """Seconds from the first call to the last thing known."""
    ends = [slice_.start + slice_.seconds for column in columns for slice_ in timed(column)]
    ends += [
        held.until for column in columns for each in column.held.values() for held in each if math.isfinite(held.until)
    ]
    return max(ends, default=0.0)


def timed(column: Column) -> tuple[Slice, ...]:
    """Its slices that have a place in time; figures that were made without a course have one slice without bounds."""
    return tuple(slice_ for slice_ in column.slices if math.isfinite(slice_.start) and math.isfinite(slice_.seconds))


def degraded(each: Slice) -> float | None:
    """Of the answered calls of a slice, the share that the primary did not answer."""
    answered = each.primary + each.fallback + each.local + each.failed
    return 1 - each.primary / answered if answered else None


def amplification(each: Slice) -> float | None:
    """Attempts per call."""
    return each.attempts / each.calls if each.calls else None


def frequency(each: Slice) -> float | None:
    """Calls per second."""
    return each.calls / each.seconds if each.seconds > 0 else None


def degraded_share(columns: Sequence[Column]) -> str | None:
    """None where no answered call has a place in time."""
    top = max(_values(columns, degraded), default=None)
    if top is None:
        return None
    y = linear(0.0, min(max(top, 0.05), 1.0), per_cent)
    return _lines(columns, degraded, y, "degraded share of answers", share)


def attempts_per_call(columns: Sequence[Column]) -> str | None:
    """None where no call has a place in time. The axis shows one attempt per call; it begins at 0 unless all is far from it."""
    values = [*_values(columns, amplification), 1.0]
    if len(values) == 1:
        return None
    low, high = min(values), max(values)
    y = linear(0.0 if low < high / 2 else low, max(high, low + 0.05), plain)
    return _lines(columns, amplification, y, "attempts per call", figures)


def calls_per_second(columns: Sequence[Column]) -> str | None:
    """The first column as an area, others only where other calls came."""
    top = max(_values(columns, frequency), default=0.0)
    if not top:
        return None
    x, y = clock(span(columns)), linear(0.0, top, plain, most=2)
    first = list(_steps(columns[0], x, y, frequency))
    curves = []
    for place, column in reversed(list(enumerate(columns))):
        values = list(_steps(column, x, y, frequency))
        if place == 0:
            curves.append(f'<path class="traffic" d="{area(values, LOW)}"/>')
        elif values != first:
            curves.append(_path(place, values, LOW))
    total = f"{shown(columns[0].name)}: {counted(sum(each.calls for each in timed(columns[0])), 'call')} in {seconds(x.high)}"
    inside = [across(x, LOW), upward(y, LOW, "calls per second"), drawn(LOW, curves)]
    return box(LOW, [*inside, _readout(columns, frequency, x, LOW, figures)], total, "calls")


def _lines(columns: Sequence[Column], value: Value, y: Scale, unit: str, said: Callable[[float], str]) -> str:
    x, height = clock(span(columns)), HEIGHT
    curves = {place: list(_steps(column, x, y, value)) for place, column in enumerate(columns)}
    curves = {place: values for place, values in curves.items() if any(step.height is not None for step in values)}
    inside = [
        across(x, height),
        upward(y, height, unit),
        drawn(height, (_path(place, values, height) for place, values in reversed(curves.items()))),
        *_letters(curves, height),
        _readout(columns, value, x, height, said),
    ]
    most = ((place, max(found, default=None)) for place in curves if (found := _values([columns[place]], value)))
    heard = "; ".join(f"{shown(columns[place].name)}: at most {said(top)}" for place, top in most if top is not None)
    return box(height, inside, f"{unit} over time. {heard}")


def _values(columns: Sequence[Column], value: Value) -> list[float]:
    found = (value(each) for column in columns for each in timed(column))
    return [each for each in found if each is not None]


def _steps(column: Column, x: Scale, y: Scale, value: Value) -> Iterator[Step]:
    for each in timed(column):
        height = value(each)
        yield Step(x.at(each.start), x.at(each.start + each.seconds), None if height is None else y.at(height))


def _path(place: int, values: Sequence[Step], height: int) -> str:
    return f'<path class="line {coloured(place)}" d="{steps(values, height)}"/>'


def _letters(curves: dict[int, list[Step]], height: int) -> Iterator[str]:
    """At the right edge, as high as the last that is known of each line."""
    ends = [next(step for step in reversed(values) if step.height is not None) for values in curves.values()]
    tops = [height * (1 - (end.height or 0.0)) for end in ends]
    for place, end, top, y in zip(curves, ends, tops, spread(tops, _APART, 0.0, float(height)), strict=True):
        yield (
            f'<g class="{coloured(place)}"><line class="leader" x1="{percent(end.until)}" x2="100%" y1="{number(top)}" y2="{number(top)}"/>'
            f'<svg x="100%" overflow="visible"><line class="leader" x2="7" y1="{number(top)}" y2="{number(y)}"/></svg>'
            f'<text class="letter" x="100%" dx="10" y="{number(y)}" dy="4">{key(place)}</text></g>'
        )


def _readout(columns: Sequence[Column], value: Value, x: Scale, height: int, said: Callable[[float], str]) -> str:
    """For each slice of the first column what all columns have there."""
    tables = [{each.start: value(each) for each in timed(column)} for column in columns]
    parts = []
    for each in max(map(timed, columns), key=len):
        here = [(key(place), table.get(each.start)) for place, table in enumerate(tables)]
        known = ", ".join(f"{letter} {said(found)}" for letter, found in here if found is not None)
        end = each.start + each.seconds
        parts.append((x.at(each.start), x.at(end), f"{seconds(each.start)} to {seconds(end)}: {known or 'no calls'}"))
    return readouts(parts, height)
