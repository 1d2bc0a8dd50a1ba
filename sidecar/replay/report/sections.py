"""What stands on the page, from the top: the columns, what differs, the figures, the plots, what they are made of, what is assumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sidecar.replay.column import Column, Comparison
from sidecar.replay.report import breakers, course
from sidecar.replay.report.answered import OUTCOMES, answered_by
from sidecar.replay.report.columns import in_full, legend, named
from sidecar.replay.report.figures import settled, signed, value_of
from sidecar.replay.report.latency import latencies
from sidecar.replay.report.plot import across, box, coloured, key
from sidecar.replay.report.scale import Scale, clock
from sidecar.replay.report.table import CALM, TONES, counts_table, differences_table, figures_table
from sidecar.replay.report.words import listed, markup

READING = (
    "Every column is the same traffic: the same chats at the same times, unless a scenario adds some. The first one is what the others "
    "are compared with. A figure is only as good as what is assumed for it, so look at that first, then at what clearly differs, then "
    "at when it happened. All plots of time show the same stretch of time."
)
LATENCY = (
    "Height is the share of answers that are not slower than a time; percentiles are spread so that the middle and the slow end can both "
    "be read. Further left is faster. Dots are p50, p95 and p99. Clients that left have no answer and are not in it."
)
DEGRADED = "Of the answered calls of a slice of time, those that the primary target did not answer. No line: no answered calls."
ANSWERED = "The calls of each slice of time by what became of them, as shares, one plot for each column."
AMPLIFICATION = (
    "What targets bear: 1 is one attempt for each call. Below it stands how many calls came, in other columns only where "
    "that differs."
)
BREAKERS = (
    "A breaker that is open refuses: its target is not asked. Each spot shows the share of its time in each state, what was short as at "
    "least a fifth of the height. A dark mark on top: it opened more than once within that spot."
)
NO_COURSE = "No call has a place in time."
BREAKDOWNS = (  # figure, what it is called, what its numbers are shares of
    ("outcomes", "calls answered by", "calls"),
    ("providers", "provider", "calls"),
    ("reasons", "why not the first target", "calls"),
    ("verdicts", "attempts and their verdict", "attempts"),
)


def sections(comparison: Comparison, limits: Mapping[str, float]) -> Iterator[str]:
    """As HTML."""
    columns = comparison.columns
    yield _section("columns", "Columns", f"{_lead(READING)}{in_full(columns)}")
    if len(columns) > 1:
        yield _section("short", "In short", _in_short(comparison))
    yield _section("figures", "Figures", _figures(comparison))
    curves = latencies(columns, limits)
    yield _chart("latency", "How long answers take", LATENCY, columns, plots=curves, without="No call was answered.")
    x = clock(course.span(columns))
    yield _chart("degraded", "Degraded share over time", DEGRADED, columns, plots=course.degraded_share(columns))
    yield _answered(columns, x)
    yield _breakers(columns, x)
    plots = "".join(plot or "" for plot in (course.attempts_per_call(columns), course.calls_per_second(columns)))
    yield _chart("amplification", "Attempts per call over time", AMPLIFICATION, columns, plots=plots)
    yield _section("parts", "What the figures are made of", _parts(columns))
    sentences = "".join(f"<li>{markup(sentence)}</li>" for sentence in comparison.assumptions)
    yield _section("assumptions", "What is assumed", f'<ul class="card said">{sentences or "<li>Nothing.</li>"}</ul>')


def _section(name: str, title: str, inside: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>{inside}</section>\n'


def _lead(text: str) -> str:
    return f'<p class="lead">{text}</p>'


def _chart(
    name: str, title: str, about: str, columns: Sequence[Column], *, plots: str | None, without: str = NO_COURSE
) -> str:
    if not plots:
        return _section(name, title, f'<p class="card">{without}</p>')
    return _section(
        name, title, f'{_lead(about)}<div class="card">{legend(columns)}<div class="axes">{plots}</div></div>'
    )


def _in_short(comparison: Comparison) -> str:
    columns = comparison.columns
    cards = []
    for place in range(1, len(columns)):
        lines = _settled(comparison, place) or "<p>There are too few calls to say what differs.</p>"
        head = f"<h3>{named(place, columns[place])} <small>against {key(0)}</small></h3>"
        cards.append(f'<div class="card {coloured(place)}">{head}{lines}</div>')
    return f'<div class="cards">{"".join(cards)}</div>'


def _settled(comparison: Comparison, place: int) -> str:
    column = comparison.columns[place]
    lines = []
    for word, differing in settled(comparison, place).items():
        said = [
            markup(figure.label)
            + (f" {figure.said(value_of(column, figure))} ({signed(figure, each.difference)})" if word in TONES else "")
            for figure, each in differing
        ]
        if said:
            lines.append(f'<dt><span class="word {TONES.get(word, CALM)}">{word}</span></dt><dd>{listed(said)}</dd>')
    return f"<dl>{''.join(lines)}</dl>" if lines else ""


def _figures(comparison: Comparison) -> str:
    about = "Shares are of answered calls; an answer by the sidecar itself, or by nobody, is unavailability."
    if comparison.differences or any(column.intervals for column in comparison.columns):
        about += (
            " Below a figure stands where it is likely to lie if traffic like this came once more, then its difference to "
            f"{key(0)}, with its interval ({comparison.confidence * 100:g} % each). A difference whose interval contains 0 is not "
            "clear: chance may have made it."
        )
    else:
        about += " There are no intervals, for there are too few calls."
    parts = [_lead(about), f'<div class="card wide">{figures_table(comparison)}</div>']
    for base in range(1, len(comparison.columns)):
        if table := differences_table(comparison, base):
            parts.append(_lead(f"The same against {named(base, comparison.columns[base])}:"))
            parts.append(f'<div class="card wide">{table}</div>')
    return "".join(parts)


def _answered(columns: Sequence[Column], x: Scale) -> str:
    shown = [(place, column) for place, column in enumerate(columns) if course.timed(column)]
    if not shown:
        return _section("answered", "Who answered, over time", f'<p class="card">{NO_COURSE}</p>')
    words = "".join(f'<li><span class="swatch {word}"></span> {said}</li>' for word, said in OUTCOMES.items())
    plots = "".join(
        f'<div class="{coloured(place)}"><h3>{named(place, column)}</h3><div class="axes">{answered_by(column, x)}</div></div>'
        for place, column in shown
    )
    return _section(
        "answered",
        "Who answered, over time",
        f'{_lead(ANSWERED)}<div class="card"><ul class="legend">{words}</ul><div class="cards">{plots}</div></div>',
    )


def _breakers(columns: Sequence[Column], x: Scale) -> str:
    title = "When breakers refused"
    targets = breakers.targets_of(columns)
    if not targets:
        return _section("breakers", title, '<p class="card">Every breaker was closed throughout.</p>')
    states = {"closed": "closed", **dict(reversed(breakers.STATES.items())), "often": "opened more than once"}
    words = "".join(f'<li><span class="swatch {state}"></span> {said}</li>' for state, said in states.items())
    rows = "".join(
        f'<div class="band {coloured(place)}"><p>{named(place, column)} · <b>{markup(band.target)}</b> '
        f'<span class="muted">{markup(band.said)}</span></p>{band.picture}</div>'
        for place, column in enumerate(columns)
        for band in breakers.bands(column, targets, x)
    )
    axis = f'<div class="axis">{box(1, [across(x, 1)], x.unit)}</div>'
    return _section(
        "breakers",
        title,
        f'{_lead(BREAKERS)}<div class="card"><ul class="legend">{words}</ul><div class="bands">{rows}{axis}</div></div>',
    )


def _parts(columns: Sequence[Column]) -> str:
    tables = (counts_table(columns, name, head, of=of) for name, head, of in BREAKDOWNS)
    found = "".join(f'<div class="card wide">{table}</div>' for table in tables if table)
    return (
        f"<details><summary>Outcomes, providers, reasons and verdicts</summary>{found}</details>"
        if found
        else '<p class="card">Nothing.</p>'
    )
