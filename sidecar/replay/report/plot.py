"""What plots are drawn with: a box with its axes, and in it steps, areas and lines. SVG as text.

The box is as wide as its place on the page and has a height in pixels. ``drawn`` is stretched to it from ``ACROSS`` units; all else
stands at per cent of the width, so that letters are never stretched. Text beside the box is drawn beyond its edge, where the page keeps
room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sidecar.replay.report.scale import Scale
from sidecar.replay.report.words import markup

ACROSS = 1000
COLOURS = 8  # columns that have a colour and a dash of their own


class Step(NamedTuple):
    """``height`` (0 to 1 of the plot) from ``since`` to ``until`` (0 to 1 across); None where there is nothing."""

    since: float
    until: float
    height: float | None


def coloured(place: int) -> str:
    """The class of what belongs to the column at ``place``."""
    return f"c{place % COLOURS}"


def key(place: int) -> str:
    """The letter of the column at ``place``."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def box(height: int, inside: Iterable[str], label: str, more: str = "") -> str:
    """A plot of ``height`` pixels; ``label`` is what somebody hears who cannot see it."""
    return f'<svg class="plot {more}" width="100%" height="{height}" role="img" aria-label="{markup(label)}">{"".join(inside)}</svg>'


def drawn(height: int, inside: Iterable[str]) -> str:
    """Paths in units of ``ACROSS`` by ``height``, stretched to the width of the box."""
    return f'<svg width="100%" height="{height}" viewBox="0 0 {ACROSS} {height}" preserveAspectRatio="none">{"".join(inside)}</svg>'


def across(scale: Scale, height: int, *, labels: bool = True) -> str:
    """The axis at the bottom, its lines through the plot, and its unit."""
    parts = []
    for tick in scale.ticks:
        fine = " fine" if tick.fine else ""
        place = percent(tick.at)
        parts.append(f'<line class="grid{fine}" x1="{place}" x2="{place}" y1="0" y2="{height}"/>')
        if labels:
            parts.append(f'<text class="tick middle{fine}" x="{place}" y="{height + 17}">{markup(tick.label)}</text>')
    parts.append(f'<line class="edge" x1="0" x2="100%" y1="{height}" y2="{height}"/>')
    if labels:
        parts.append(f'<text class="unit end" x="100%" y="{height + 34}">{markup(scale.unit)}</text>')
    return "".join(parts)


def upward(scale: Scale, height: int, unit: str) -> str:
    """The axis at the left, its lines through the plot, and above it its unit."""
    parts = [f'<text class="unit" x="0" y="-9">{markup(unit)}</text>'] if unit else []
    for tick in scale.ticks:
        y = number(height * (1 - tick.at))
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="-7" y="{y}" dy="4">{markup(tick.label)}</text>')
    return "".join(parts)


def line(points: Iterable[tuple[float, float]], height: int) -> str:
    """The path of a rising share: across to the next point, then up to it."""
    path, before = [], None
    for x, y in points:
        if before is None:
            path.append(f"M{number(x * ACROSS)} {height}")
        path.append(f"H{number(x * ACROSS)}V{number(height * (1 - y))}")
        before = x
    return "".join(path)


def steps(values: Iterable[Step], height: int) -> str:
    """The path along the tops of steps, with a gap where there is nothing."""
    path, pen = [], False
    for step in values:
        if step.height is None:
            pen = False
            continue
        y = number(height * (1 - step.height))
        path.append(f"V{y}" if pen else f"M{number(step.since * ACROSS)} {y}")
        path.append(f"H{number(step.until * ACROSS)}")
        pen = True
    return "".join(path)


def area(values: Iterable[Step], height: int) -> str:
    """The path around what lies under steps. Neighbours that are as high are one."""
    path: list[str] = []
    end, top = -1.0, 0.0
    for step in values:
        if not step.height:
            continue
        if step.since > end + 1e-9:  # after a gap
            path.append(f"{f'V{height}Z' if path else ''}M{number(step.since * ACROSS)} {height}")
            top = 0.0
        if step.height == top:
            path.pop()  # goes on, to another end
        else:
            path.append(f"V{number(height * (1 - step.height))}")
        path.append(f"H{number(step.until * ACROSS)}")
        end, top = step.until, step.height
    return "".join([*path, f"V{height}Z"]) if path else ""


def readouts(parts: Iterable[tuple[float, float, str]], height: int) -> str:
    """Strips across the plot that say what there is when they are pointed at."""
    strips = [
        f'<rect x="{percent(since)}" width="{percent(until - since)}" height="{height}"><title>{markup(said)}</title></rect>'
        for since, until, said in parts
    ]
    return f'<g class="readout">{"".join(strips)}</g>'


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near ``wanted`` that are at least ``gap`` apart and within ``low`` and ``high``, as far as there is room; in its order."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed: list[float] = []
    for index in order:
        placed.append(max(wanted[index], low, placed[-1] + gap if placed else low))
    limit = high
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], limit)
        limit = placed[place] - gap
    found = dict(zip(order, placed, strict=True))
    return [found[index] for index in range(len(wanted))]


def percent(place: float) -> str:
    return f"{place * 100:.2f}".rstrip("0").rstrip(".") + "%"


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
