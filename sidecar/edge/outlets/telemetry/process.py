"""The process itself: which build, how late its loop runs, what its outlets lost, and what the system says of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sidecar import __version__
from sidecar.edge.outlets.telemetry.family import Families
from sidecar.sources import running

STALL = 0.25  # seconds a tick of the loop may be late before that counts


class ProcessMetrics:
    def __init__(self, families: Families) -> None:
        build = families.told(
            "build_info",
            "1 for the build that runs, and what it runs on",
            version="of the sidecar",
            python="of the interpreter",
            code="compiled or sources: which form of the modules that a request passes through",
        )
        build.labels(__version__, ".".join(map(str, sys.version_info[:3])), running()).set(1)
        self._lag = families.gauge(
            "event_loop_lag_seconds",
            "Seconds by which a tick of the event loop was late at most, in the last half second; everybody waits that long",
        )
        self._stalls = families.counter(
            "event_loop_stalls_total",
            f"Half seconds in which a tick of the event loop came more than {STALL * 1000:.0f} ms late; each is a line loop_stalled in "
            "the log",
        )
        self.exhausted = families.gauge(
            "descriptors_exhausted",
            "1 while the process can have no further file descriptor: no connection is accepted or made, and process_open_fds cannot "
            "be read",
        )
        self.restarts = families.counter(
            "worker_restarts_total",
            "Times that the worker of this number was started before; 0 where there is one process alone",
        )
        self.lines = Lines(families)
        ProcessCollector(registry=families.registry)
        GCCollector(registry=families.registry)

    def lagged(self, seconds: float) -> bool:
        """Note how late a tick was; whether that was a stall."""
        self._lag.set(seconds)
        stalled = seconds > STALL
        if stalled:
            self._stalls.inc()
        return stalled


class Lines(Collector):
    """Lines that were lost on their way out, or left out on purpose. Each figure is read when it is scraped."""

    def __init__(self, families: Families) -> None:
        self.read: dict[str, Callable[[], int]] = dict.fromkeys(_LINES, int)
        self._names = {kind: families.declare(kind, "counter", text) for kind, text in _LINES.items()}
        families.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        for kind, count in self.read.items():
            yield CounterMetricFamily(self._names[kind], _LINES[kind], value=count())


_LINES = {
    "log_dropped_total": "Lines of the log that were lost: nobody took them fast enough, or they could not be written",
    "log_suppressed_total": "Lines of the log left out because too many of their kind came within one second; the line "
    "suppressed says which",
    "journal_dropped_total": "Lines of the journal that were lost; a journal with a gap says so itself",
}
