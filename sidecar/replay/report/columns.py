"""How columns are told apart: a letter, a colour, a dash and a name, and how much of each is assumed."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.replay.column import Column
from sidecar.replay.report.plot import COLOURS, coloured, key
from sidecar.replay.report.words import count, counted, known, markup, share, short

ASSUMED = {
    "censored": "cut off on record before they had ended: how they would have gone on is an estimate",
    "imputed": "never made on record: their outcome is drawn from others on the same target around the same time",
    "unknown": "on a target that was never asked on record: taken to be unreachable",
}
MUCH = 0.2  # of a column's attempts: with so much assumed it says as much about the assumptions as about the policy


def sample(place: int) -> str:
    """A piece of the line of the column at ``place``, and its letter."""
    line = f'<line class="line {coloured(place)}" x1="1" x2="39" y1="6" y2="6"/>'
    drawn = f'<svg class="sample" width="40" height="12" aria-hidden="true">{line}</svg>'
    return f'{drawn}<span class="letter">{key(place)}</span>'


def named(place: int, column: Column) -> str:
    """Its letter and its name, shortened."""
    return f'<span class="letter">{key(place)}</span> <bdi title="{markup(column.name)}">{markup(short(column.name))}</bdi>'


def legend(columns: Sequence[Column]) -> str:
    """Above a plot with a line for each column."""
    items = "".join(
        f'<li class="{coloured(place)}">{sample(place)} <bdi title="{markup(column.name)}">{markup(short(column.name))}</bdi></li>'
        for place, column in enumerate(columns)
    )
    return f'<ul class="legend">{items}</ul>'


def in_full(columns: Sequence[Column]) -> str:
    """Every column with its whole name, its revision and what is assumed for it, and a box that hides it."""
    can_hide = 1 < len(columns) <= COLOURS
    items = []
    for place, column in enumerate(columns):
        box = f'<input type="checkbox" id="show-{place}" checked aria-label="show {key(place)}">' if can_hide else ""
        revision = f" <code>{markup(column.revision)}</code>" if column.revision else ""
        said = f'<bdi class="name">{markup(column.name)}</bdi>{revision}<br>{assumed(column)}'
        items.append(f"<li><label>{box}{sample(place)}</label><div>{said}</div></li>")
    return f'<ul class="card columns">{"".join(items)}</ul>'


def assumed(column: Column) -> str:
    """How many attempts were not simply recorded, and how they were made up."""
    whole, attempts = sum(column.assumed.values()), known(column.figures.get("attempts"))
    if not whole:
        nothing = (
            "Every attempt was on record: nothing is assumed." if column.assumed else "As it was: nothing is assumed."
        )
        return f'<span class="muted">{nothing}</span>'
    of = (
        f"{count(whole)} of {counted(round(attempts), 'attempt')} ({share(whole / attempts)})"
        if attempts
        else counted(whole, "attempt")
    )
    kinds = "; ".join(
        f"{count(number)} {ASSUMED.get(kind, markup(kind))}" for kind, number in column.assumed.items() if number
    )
    much = bool(attempts) and whole >= MUCH * (attempts or 0.0)
    return f'<span class="{"much" if much else "muted"}">Assumed: {of}. {kinds}.</span>'
