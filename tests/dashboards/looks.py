"""What a panel must look like: nothing hidden, nothing that misleads, and colours that mean what they mean elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from dashboards import colours
from tests.dashboards.expression import Known
from tests.dashboards.queries import Board, panels
from tests.dashboards.reading import (
    called,
    dashes,
    legend_values,
    painted_in,
    rule,
    same_bound,
    series_count,
    values_of,
)

LETTERS = 5  # of a title, per column of the grid, on a screen of 1600 pixels
ROW = 38  # pixels of one row of the grid, gap included
HEAD = 56  # pixels of a panel that are its title and edges
ENTRY = 24  # pixels of one row of a legend that is a table
ACROSS = 3  # columns of the grid that one entry of a legend takes that is a line
LINES = 2  # of such a legend
EVENTS = "offset $__interval"  # what a counter was one step ago
MEANINGS = {
    "{{outcome}}": colours.OUTCOMES,
    "{{reason}}": colours.REASONS,
    "{{result}}": {**colours.RESULTS, **colours.RELOADS},
    "{{status_class}}": colours.STATUS_CLASSES,
    "{{target}}": colours.TARGETS,
    "{{code}}": colours.REJECTED,
    "{{why}}": {**colours.REFUSED, **colours.SHED},
    "{{error}}": colours.RELAY_ERRORS,
}
ALWAYS = {"primary": "green", "fallback": "yellow", "local": "orange", "failed": "red"}  # whatever the code believes


@rule
def legend_has_figures(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if panel["type"] == "timeseries":
            legend = panel["options"].get("legend") or {}
            if not legend.get("showLegend") or not legend.get("calcs"):
                yield called(panel), "its legend shows no values with their unit"


@rule
def legend_hides_nothing(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if panel["type"] != "timeseries":
            continue
        legend, at = panel["options"]["legend"], panel["gridPos"]
        count = sum(series_count(target, known) for target in panel["targets"])
        if legend["displayMode"] == "list":
            room = LINES * (at["w"] // ACROSS)
        else:
            share = 1.0 if legend["placement"] == "right" else 0.35
            room = math.floor((at["h"] * ROW - HEAD) * share / ENTRY) - 1
        if count > room:
            yield called(panel), f"{count} series, and its legend has room for {room}"


@rule
def title_fits(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if len(panel["title"]) > LETTERS * panel["gridPos"]["w"]:
            yield called(panel), f"its title is cut off at a width of {panel['gridPos']['w']}"


@rule
def gaps_are_gaps(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if panel["fieldConfig"]["defaults"].get("custom", {}).get("spanNulls"):
            yield called(panel), "draws a line through times without data"


@rule
def stacks_add_up(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    """Bars are whole numbers of events and lie side by side; what is stacked otherwise is per second."""
    for panel in panels(board):
        custom, defaults = panel["fieldConfig"]["defaults"].get("custom", {}), panel["fieldConfig"]["defaults"]
        exprs = [target["expr"] for target in panel["targets"]]
        if custom.get("drawStyle") == "bars":
            if not all(EVENTS in expr for expr in exprs) or any("$__rate_interval" in expr for expr in exprs):
                yield called(panel), "its bars do not count from one step to the next"
            if defaults.get("decimals") != 0 or custom.get("axisSoftMax") != 1:
                yield called(panel), "counts events on an axis of fractions, or up to 100 where there are none"
            if panel["options"]["legend"]["calcs"] != ["sum"]:
                yield called(panel), "does not say how many in all"
        elif custom.get("stacking", {}).get("mode", "none") != "none" and not all("rate(" in expr for expr in exprs):
            yield called(panel), "stacks what is no rate"


@rule
def stacks_are_painted(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    """Grafana's palette begins with green, whatever a series means."""
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        if "stacking" in defaults.get("custom", {}) and defaults["color"]["mode"] != "shades":
            words = {word for painted in painted_in(panel) for word in re.findall(r"[^ :]+", painted)}
            for target in panel["targets"]:
                for values in legend_values(target, known).values():
                    for value in sorted(values - words):
                        yield called(panel), f"{value} has no colour"


@rule
def bounds_are_told_apart(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        painted = painted_in(panel)
        for series, dash in dashes(panel).items():
            target = series.partition(" ")[0]
            if target in colours.TARGETS and painted.get(series) != colours.TARGETS[target]:
                yield called(panel), f"{series} has not the colour of {target}"
            if any(
                dash == other for each, other in dashes(panel).items() if each < series and same_bound(each, series)
            ):
                yield called(panel), f"{series} hides another where both are the same"


@rule
def coloured_by_meaning(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        painted = painted_in(panel)
        for target in panel["targets"]:
            meant = MEANINGS.get(target["legendFormat"])
            values = values_of(target, known) if meant else set()
            for value in sorted(values & set(meant or ())):
                if painted.get(value) != meant[value]:
                    yield called(panel), f"{value} is {painted.get(value)}, not {meant[value]}"
        for value, colour in ALWAYS.items():
            if value in painted and painted[value] != colour:
                yield called(panel), f"{value} is {painted[value]}, not {colour}"
