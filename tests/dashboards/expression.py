"""What a query consists of: its selectors, the labels they have, and what its result is grouped by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import promql_parser as promql

from tests.dashboards.queries import LIVE, substitute
from tests.dashboards.registry import Family

ALERTS = Family("gauge", {name: frozenset() for name in ("alertname", "alertstate", "severity", "service")})


class Known(NamedTuple):
    """Series by name, with their labels."""

    series: Mapping[str, Family]


def selectors(expr: str, values: Mapping[str, str] | None = None) -> list[Any]:
    parsed = promql.parse(substitute(expr, {**LIVE, **(values or {})}))
    return [node for node, _ in walk(parsed) if isinstance(node, promql.VectorSelector)]


def walk(node: Any, above: str = "") -> Iterator[tuple[Any, str]]:
    """Every node, with the name of the function right above it."""
    yield node, above
    if isinstance(node, promql.MatrixSelector):
        yield from walk(node.vector_selector, above)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from walk(argument, node.func.name)
    elif isinstance(node, promql.BinaryExpr):
        yield from walk(node.lhs)
        yield from walk(node.rhs)
    elif isinstance(node, promql.AggregateExpr):
        yield from walk(node.expr)
        if node.param is not None:
            yield from walk(node.param)
    elif isinstance(node, promql.ParenExpr | promql.SubqueryExpr | promql.UnaryExpr):
        yield from walk(node.expr, above)


def family(name: str, known: Known) -> Family:
    return ALERTS if name == "ALERTS" else known.series.get(name, Family("unknown", {}))


def labels_in(expr: str, known: Known) -> set[str]:
    return {label for selector in selectors(expr) for label in family(selector.name, known).labels}


def grouped_by(expr: str) -> set[str]:
    return {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expr) for label in group.split(",")}


def labels_joined(expr: str, known: Known) -> set[str]:
    return labels_in(expr, known) if "group_left" in expr else set()
