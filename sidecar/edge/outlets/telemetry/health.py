"""Health probes of targets: what came of them, and how long they took. What they led to is read at the scrape, in ``machines``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sidecar.core import fact as facts
from sidecar.core.vocabulary import ErrorKind, Verdict
from sidecar.edge.outlets.telemetry.family import OTHER, TARGETS, Families

OK, SERVER_ERROR, BUSY, DORMANT = "2xx", "5xx", "busy", "dormant"
# Seconds; the switch answers within milliseconds, and madre takes 2.1 s while the switch hangs.
EDGES = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ERRORS = tuple(kind.value for kind in ErrorKind if kind is not ErrorKind.NOT_JSON)  # what it says is not read
RESULTS = (OK, SERVER_ERROR, OTHER, BUSY, DORMANT, *_ERRORS)


class HealthMetrics:
    def __init__(self, families: Families) -> None:
        self._probes = families.counters(
            "health_probes_total",
            "Health probes of a target that have ended: 2xx is good; 5xx and kinds of error are failures; other (any further status), busy "
            "(silence while a chat was in flight) and dormant (a switch that is off refuses) say nothing about it",
            target=TARGETS,
            result=RESULTS,
        )
        self._seconds = families.histograms(
            "health_probe_duration_seconds",
            "Seconds that one health probe of a target took, connecting included, whatever came of it",
            EDGES,
            target=TARGETS,
        )
        self.takes: Mapping[type, Callable[[Any], None]] = {facts.HealthHeard: self._heard}

    def _heard(self, fact: facts.HealthHeard) -> None:
        self._probes[fact.target, _result(fact)].inc()
        self._seconds[fact.target,].observe(fact.seconds)


def _result(fact: facts.HealthHeard) -> str:
    error = fact.outcome.error
    if error is None:
        return {2: OK, 5: SERVER_ERROR}.get((fact.outcome.status or 0) // 100, OTHER)
    if fact.verdict is not Verdict.IGNORED or error is ErrorKind.NO_SOCKET:
        return error.value
    return DORMANT if error in (ErrorKind.CONNECT, ErrorKind.DNS) else BUSY
