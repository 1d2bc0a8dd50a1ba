"""Families of metrics, declared with every value their labels can have, and what of that is reference documentation.

A label is either closed or told by us. The children of a closed family are made when it is declared, all of them, with zeros: a
rate over one is never "no data", its first event is never missed, the size of a scrape does not depend on what clients do, and
the hot path looks a child up in a plain dict. A word that is in none of the sets becomes ``other``: a mistake costs a name, never memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Generic, NamedTuple, Protocol, TypeVar

from prometheus_client.metrics import Gauge
from prometheus_client.registry import CollectorRegistry

from sidecar.edge.outlets.telemetry.tally import Count, Counts, Spread, Spreads

PREFIX = "vx11_sidecar"
OTHER = "other"
TARGETS = ("switch", "madre")

Values = Iterable[str] | str
"""The closed values of a label, or a sentence that says what stands there."""


class Declared(NamedTuple):
    """What the reference says of one family. ``labels`` has all values of a closed label, or a sentence about an open one."""

    name: str
    type: str
    labels: Mapping[str, tuple[str, ...] | str]
    text: str


Child = TypeVar("Child")
Made_co = TypeVar("Made_co", covariant=True)


class Parent(Protocol[Made_co]):
    """A family: makes a child for the values of its labels."""

    def labels(self, *values: str) -> Made_co: ...


class Children(Generic[Child]):
    """The children of a closed family, by the values of its labels in their order."""

    def __init__(self, parent: Parent[Child], values: Iterable[tuple[str, ...]]) -> None:
        self._parent = parent
        self._children: dict[tuple[str, ...], Child] = {each: parent.labels(*each) for each in values}
        self._known = [frozenset(column) for column in zip(*self._children, strict=True)]

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def __getitem__(self, values: tuple[str, ...]) -> Child:
        return self._children.get(values) or self._closed(values)

    def _closed(self, values: tuple[str, ...]) -> Child:
        """A combination nobody declared, or a word nobody knows."""
        known = tuple(value if value in words else OTHER for value, words in zip(values, self._known, strict=True))
        if known not in self._children:
            self._children[known] = self._parent.labels(*known)
        return self._children[known]


class Families:
    """Declares families in one registry; ``declared`` is the reference, in order."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.declared: list[Declared] = []

    def counter(self, name: str, text: str) -> Count:
        return self._counts(self.declare(name, "counter", text), text, ()).labels()

    def counters(
        self, name: str, text: str, among: Iterable[tuple[str, ...]] | None = None, /, **labels: Iterable[str]
    ) -> Children[Count]:
        """A counter with closed labels. ``among`` names the combinations there can be; not stated: every one."""
        closed = _closed(labels)
        family = self._counts(self.declare(name, "counter", text, **closed), text, tuple(closed))
        return Children(family, product(*closed.values()) if among is None else among)

    def gauge(self, name: str, text: str) -> Gauge:
        return Gauge(self.declare(name, "gauge", text), text, registry=self.registry)

    def gauges(self, name: str, text: str, /, **labels: Iterable[str]) -> Children[Gauge]:
        closed = _closed(labels)
        family = Gauge(self.declare(name, "gauge", text, **closed), text, tuple(closed), registry=self.registry)
        return Children(family, product(*closed.values()))

    def told(self, name: str, text: str, /, **labels: Values) -> Gauge:
        """A gauge whose children we set and clear ourselves, because a label of it is told by us or a target may go."""
        return Gauge(self.declare(name, "gauge", text, **labels), text, tuple(labels), registry=self.registry)

    def histogram(self, name: str, text: str, edges: tuple[float, ...]) -> Spread:
        return self._spreads(self.declare(name, "histogram", text), text, (), edges).labels()

    def histograms(
        self, name: str, text: str, edges: tuple[float, ...], /, **labels: Iterable[str]
    ) -> Children[Spread]:
        closed = _closed(labels)
        family = self._spreads(self.declare(name, "histogram", text, **closed), text, tuple(closed), edges)
        return Children(family, product(*closed.values()))

    def _counts(self, full: str, text: str, labels: tuple[str, ...]) -> Counts:
        family = Counts(full, text, labels)
        self.registry.register(family)
        return family

    def _spreads(self, full: str, text: str, labels: tuple[str, ...], edges: tuple[float, ...]) -> Spreads:
        family = Spreads(full, text, labels, edges)
        self.registry.register(family)
        return family

    def declare(self, name: str, metric_type: str, text: str, /, **labels: Values) -> str:
        """Note a family that is collected otherwise; its full name."""
        full = f"{PREFIX}_{name}"
        told = {label: values if isinstance(values, str) else tuple(values) for label, values in labels.items()}
        self.declared.append(Declared(full, metric_type, told, text))
        return full


def _closed(labels: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {label: tuple(str(value) for value in values) for label, values in labels.items()}
