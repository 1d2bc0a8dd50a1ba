"""The boards as they are committed, and every query in them, with the variables filled in as Grafana would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Board = dict[str, Any]
Panel = dict[str, Any]

WHERE = Path(__file__).parent.parent.parent / "dashboards" / "json"
ANYTHING = ".+"
LIVE = {  # the variables for a Prometheus that scrapes every second and has seen a minute or two
    "${datasource}": "prometheus",
    "$job": ANYTHING,
    "$instance": ANYTHING,
    "$__rate_interval": "5s",
    "$__interval": "1s",
    "$__range": "5m",
    "$slo_window": "5m",
}


class Asked(NamedTuple):
    """One query of one panel; ``expr`` has its variables filled in. ``panel`` is the title."""

    board: str
    panel: str
    ref: str
    expr: str
    instant: bool


def boards(where: Path = WHERE) -> dict[str, Board]:
    """By name of file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(where.glob("*.json"))}


def panels(board: Board) -> list[Panel]:
    """What shows something: rows are headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def substitute(expr: str, values: Mapping[str, str] = LIVE) -> str:
    """``expr`` with its variables filled in; the longest names first, for one may begin like another."""
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(name, values[name])
    return expr


def panel_queries(values: Mapping[str, str] = LIVE, where: Path = WHERE) -> list[Asked]:
    """Every query of every panel of every board."""
    return list(_asked(boards(where), values))


def annotation_queries(values: Mapping[str, str] = LIVE, where: Path = WHERE) -> list[Asked]:
    """Those behind the annotations, which are the same on every board but asked for each."""
    return [
        Asked(name, f"annotation: {annotation['name']}", "", substitute(annotation["expr"], values), instant=False)
        for name, board in boards(where).items()
        for annotation in board["annotations"]["list"]
    ]


def _asked(every: Mapping[str, Board], values: Mapping[str, str]) -> Iterator[Asked]:
    for name, board in every.items():
        for panel in panels(board):
            for target in panel["targets"]:
                expr = substitute(target["expr"], values)
                yield Asked(name, panel["title"], target["refId"], expr, bool(target.get("instant")))
