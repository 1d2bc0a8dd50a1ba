"""What the engine remembers of each target, read at the moment of the scrape: limiter, breaker window, retry budget, health."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core.engine import Gauges
from sidecar.core.health import HealthState
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
        self._drops = families.declare("limiter_drops_total", "counter", _DROPS, target=TARGETS)
        self._health = families.declare("health_state", "gauge", _HEALTH, target=TARGETS, state=HealthState)
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
        drops = CounterMetricFamily(self._drops, _DROPS, labels=("target",))
        for target, gauges in now.items():
            drops.add_metric((target,), gauges.drops)
        yield drops
        health = GaugeMetricFamily(self._health, _HEALTH, labels=("target", "state"))
        for target, gauges in now.items():
            for state in HealthState:
                health.add_metric((target, state.value), state is gauges.health)
        yield health


_RATIO = (
    "Share of the calls in the breaker's window that failed or were slow (a call may be both), 0 where it is empty; "
    "policy_limit has the shares that trip it"
)

_DROPS = "Times an adaptive limit was lowered because chats that had company on a target timed out; a burst of timeouts is one"

_HEALTH = (
    "1 for what health probes say of a target, 0 for the others: down is not asked, unknown (no probe counted lately) counts as up; "
    "0 for all of a target that is not probed"
)

_FIGURES: tuple[tuple[str, str, Callable[[Gauges], float]], ...] = (
    ("limiter_inflight", "Requests to a target under way now: slots of its limiter in use", lambda it: it.in_flight),
    ("limiter_queued", "Chats that wait for a slot of a target's limiter now", lambda it: it.queued),
    (
        "limiter_limit",
        "Slots of a target's limiter in force: limiter.max_concurrent, unless an adaptive limit or a slow start moves it",
        lambda it: it.slots,
    ),
    (
        "limiter_baseline_seconds",
        "Seconds that a target takes for a chat that has it to itself, as its adaptive limit has learnt; 0 until ten were measured",
        lambda it: it.baseline or 0.0,
    ),
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
