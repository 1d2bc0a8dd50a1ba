"""What the engine remembers of each target, read at the moment of the scrape: limiter, breaker window, retry budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core.engine import Gauges
from sidecar.edge.outlets.telemetry.family import TARGETS, Families

Read = Callable[[], Mapping[str, Gauges]]


class MachineMetrics(Collector):
    """``read`` gives the gauges of the ladder in force by target; nothing is shown of a target that is not in it."""

    def __init__(self, families: Families) -> None:
        self.read: Read = dict
        self._names = [families.declare(name, "gauge", text, target=TARGETS) for name, text, _ in _FIGURES]
        self._ratio = families.declare(
            "breaker_window_ratio", "gauge", _RATIO, target=TARGETS, kind=("failure", "slow")
        )
        families.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        now = self.read()
        for name, (_, text, value) in zip(self._names, _FIGURES, strict=True):
            family = GaugeMetricFamily(name, text, labels=("target",))
            for target, gauges in now.items():
                family.add_metric((target,), value(gauges))
            yield family
        ratios = GaugeMetricFamily(self._ratio, _RATIO, labels=("target", "kind"))
        for target, gauges in now.items():
            ratios.add_metric((target, "failure"), gauges.failure_ratio)
            ratios.add_metric((target, "slow"), gauges.slow_ratio)
        yield ratios


_RATIO = (
    "Share of the calls in the breaker's window that failed or were slow (a call may be both), 0 where it is empty; "
    "policy_limit has the shares that trip it"
)

_FIGURES: tuple[tuple[str, str, Callable[[Gauges], float]], ...] = (
    ("limiter_inflight", "Requests to a target under way now: slots of its limiter in use", lambda it: it.in_flight),
    ("limiter_queued", "Chats that wait for a slot of a target's limiter now", lambda it: it.queued),
    ("breaker_window_calls", "Calls in the window that a target's breaker reads its rates from", lambda it: it.calls),
    (
        "breaker_consecutive_failures",
        "Failures in a row that a target's breaker has counted; 0 after any answer and after any move",
        lambda it: it.failures_in_row,
    ),
    (
        "retry_budget_balance",
        "Retries that a target's retry budget could pay for now; below 1 none is made",
        lambda it: it.balance,
    ),
)
