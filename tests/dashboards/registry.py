"""What can be asked for: the metrics of the sidecar with the values of their labels, as it declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.edge.outlets.telemetry import Telemetry

FOREIGN = ("process_", "python_")  # what comes with the client library is not declared by us
SUFFIXES = ("_bucket", "_count", "_sum")  # of the series of a histogram


class Family(NamedTuple):
    """``labels`` by name, with the values they have; no values: the label is open."""

    kind: str
    labels: Mapping[str, frozenset[str]]


def families() -> dict[str, Family]:
    """By name: that of a counter ends in ``_total``, that of a histogram is without the suffixes of its series."""
    telemetry = Telemetry(lambda: 0.0)
    found = {each.name: Family(each.type, _closed(each.labels)) for each in telemetry.declared}
    for metric in telemetry.registry.collect():
        if metric.name.startswith(FOREIGN):
            labels: dict[str, set[str]] = {}
            for sample in metric.samples:
                for name, value in sample.labels.items():
                    labels.setdefault(name, set()).add(value)
            suffix = "_total" if metric.type == "counter" else ""
            found[metric.name + suffix] = Family(metric.type, {name: frozenset(each) for name, each in labels.items()})
    return found


def series(known: Mapping[str, Family]) -> dict[str, Family]:
    """By the names that a query can ask for."""
    return {
        name + suffix: family
        for name, family in known.items()
        for suffix in (SUFFIXES if family.kind == "histogram" else ("",))
    }


def family_of(name: str) -> str:
    """The family that a series of a query belongs to."""
    return name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")


def _closed(labels: Mapping[str, tuple[str, ...] | str]) -> dict[str, frozenset[str]]:
    return {name: frozenset(values if isinstance(values, tuple) else ()) for name, values in labels.items()}
