"""Where facts go: the sinks one by one, and a scrape."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from prometheus_client.openmetrics.exposition import generate_latest

from benchmarks.instructions import sinks
from benchmarks.instructions.case import Case, Turn
from benchmarks.instructions.facts import of_one_chat
from benchmarks.scrape import full
from sidecar.core.fact import Fact
from sidecar.edge.outlets.telemetry import Telemetry


def told(sink: Callable[[Fact], None]) -> Turn:
    facts = of_one_chat()

    def turn() -> None:
        for fact in facts:
            sink(fact)

    return turn


def telemetry(_: ExitStack) -> Turn:
    return told(Telemetry(sinks.clock()))


def journal(rest: ExitStack) -> Turn:
    return told(sinks.journal(rest))


def log(rest: ExitStack) -> Turn:
    """A second between lines, or most of them would be left out."""
    return told(sinks.log(rest, sinks.clock(1.0)))


def everybody(rest: ExitStack) -> Turn:
    return told(sinks.everybody(rest, sinks.clock(1.0)))


def scrape(_: ExitStack) -> Turn:
    return partial(generate_latest, full().registry)


CASES = (
    Case("outlets.telemetry", "all facts of a good chat, into the metrics", telemetry),
    Case("outlets.journal", "all facts of a good chat, into the journal", journal),
    Case("outlets.log", "all facts of a good chat, into the log", log),
    Case("outlets.everybody", "all facts of a good chat, to everybody who takes facts", everybody),
    Case("outlets.scrape", "a scrape with every label child that there can be, as OpenMetrics", scrape, turns=3),
)
