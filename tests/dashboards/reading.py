"""What rules of the lint are, and what they read out of a board."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.dashboards.expression import Known, family, selectors
from tests.dashboards.queries import Board, Panel, panels

SPARSE = "[$__range] @ end()"  # leaves out what never happened in the range


class Finding(NamedTuple):
    rule: str
    where: str
    what: str


Rule = Callable[[str, Board, Known], Iterator[tuple[str, str]]]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    RULES[check.__name__] = check
    return check


def selected(board: Board) -> set[str]:
    """The names of all series that the panels of ``board`` ask for."""
    return {s.name for panel in panels(board) for target in panel["targets"] for s in selectors(target["expr"])}


def called(panel: Panel) -> str:
    return repr(panel.get("title") or panel.get("id"))


def queries(board: Board) -> Iterator[tuple[str, str, bool]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield f"{called(panel)} {target['refId']}", target["expr"], bool(target.get("instant"))
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"], False


def values_of(target: Mapping[str, Any], known: Known) -> set[str]:
    """The values that the one label of the legend has, within what the query selects."""
    label = target["legendFormat"].strip("{}")
    found: set[str] = set()
    for selector in selectors(target["expr"]):
        chosen = {matcher.value for matcher in selector.matchers.matchers if matcher.name == label}
        wanted = set("|".join(chosen).split("|")) if chosen else family(selector.name, known).labels.get(label, set())
        found |= wanted
    return found


def legend_values(target: Mapping[str, Any], known: Known) -> dict[str, frozenset[str]]:
    """The labels of the legend with the values they may have; those that are open are left out."""
    labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
    sets = {label: frozenset(values_of({**target, "legendFormat": label}, known)) for label in labels}
    return {label: values for label, values in sets.items() if values}


def series_count(target: Mapping[str, Any], known: Known) -> int:
    """How many series there are at least; none where only those are shown that happened."""
    if SPARSE in target["expr"]:
        return 0
    return math.prod(len(values) for values in legend_values(target, known).values())


def dashes(panel: Panel) -> dict[str, list[int]]:
    """The dashed series, with their dashes."""
    return {
        override["matcher"]["options"]: prop["value"]["dash"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "custom.lineStyle"
    }


def same_bound(one: str, other: str) -> bool:
    """The same bound of two targets."""
    return one.partition(" ")[2] == other.partition(" ")[2] != ""


def painted_in(panel: Panel) -> dict[str, str]:
    return {
        override["matcher"]["options"]: prop["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"]["id"] == "byName"
        for prop in override["properties"]
        if prop["id"] == "color"
    }
