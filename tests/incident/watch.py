"""Looks at Prometheus and Alertmanager all the time, and remembers when which alert fired and when it was over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.dashboards.prometheus import Prometheus
from tests.incident.alertmanager import Alertmanager

PAUSE = 0.25  # seconds between two looks
COMMON = ("alertname", "severity", "service", "job", "instance")


class Key(NamedTuple):
    """An alert; ``of`` is what tells it from others of its name: a target, say."""

    name: str
    of: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return " ".join((self.name, *(f"{name}={value}" for name, value in self.of)))


def key(labels: Mapping[str, str]) -> Key:
    """The alert with these labels."""
    rest = sorted(item for item in labels.items() if item[0] not in COMMON and not item[0].startswith("sloth_"))
    return Key(labels["alertname"], tuple(rest))


class Span(NamedTuple):
    """When an alert was seen firing: Unix seconds of the first and of the last look. The moments are those of the looks."""

    first: float
    last: float


class Watch:
    """``spans`` are by alert and in order: an alert may fire several times. ``passed_on`` is what Alertmanager had of them."""

    def __init__(self, prometheus: Prometheus, alertmanager: Alertmanager) -> None:
        self._prometheus = prometheus
        self._alertmanager = alertmanager
        self.spans: dict[Key, list[Span]] = {}
        self.passed_on: dict[Key, set[str]] = {}
        """The states in Alertmanager: active, suppressed, unprocessed."""
        self.firing: frozenset[Key] = frozenset()
        self.looks = 0

    async def run(self) -> None:
        """For ever. Raises what a server says if it does not answer."""
        while True:
            alerts = (await asyncio.to_thread(self._prometheus.get, "/api/v1/alerts"))["data"]["alerts"]
            self._take(time.time(), frozenset(_firing(alerts)))
            for each in await asyncio.to_thread(self._alertmanager.alerts):
                self.passed_on.setdefault(key(each["labels"]), set()).add(each["status"]["state"])
            self.looks += 1
            await asyncio.sleep(PAUSE)

    def _take(self, now: float, firing: frozenset[Key]) -> None:
        for each in firing:
            spans = self.spans.setdefault(each, [])
            if each in self.firing:
                spans[-1] = Span(spans[-1].first, now)
            else:
                spans.append(Span(now, now))
        self.firing = firing

    async def until(self, condition: Callable[[frozenset[Key]], bool], within: float, what: str) -> None:
        """Until a look that began after this call sees what is meant. AssertionError after ``within`` seconds."""
        deadline, since = time.monotonic() + within, self.looks
        while self.looks < since + 2 or not condition(self.firing):
            assert time.monotonic() < deadline, f"{what}: firing now: {', '.join(map(str, sorted(self.firing)))}"
            await asyncio.sleep(0.05)


def _firing(alerts: Sequence[Mapping[str, Any]]) -> Iterator[Key]:
    return (key(each["labels"]) for each in alerts if each["state"] == "firing")
