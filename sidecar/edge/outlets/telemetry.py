"""Facts to Prometheus. The only place that knows metric names, and with the admin port the only one that knows the library.

Label sets are closed: nothing a client sends ever becomes a label. Children used on the hot path are bound once. Families that
answer "since when, and why" are there from the start with zeros, so that a rate over them is never "no data".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sidecar import __version__
from sidecar.core import fact as facts
from sidecar.core.breaker import State
from sidecar.core.fact import Fact
from sidecar.core.vocabulary import Binding, ErrorKind, Override, Reason, Verdict

PREFIX = "vx11_sidecar"
CHAT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 10, 30, 60)  # edges at what clients wait
OVERHEAD_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
TARGETS = ("switch", "madre")
OUTCOMES = {  # outcome of a chat, and the statuses it can have
    "primary": (200,),
    "fallback": (200,),
    "local": (200,),
    "failed": (500, 503),
    "rejected": (400, 401, 403, 408, 413, 422, 429),
    "client_gone": (499,),
}
RELOADS = ("changed", "unchanged", "failed")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class Telemetry:
    """Takes every fact. ``registry`` is what the admin port serves."""

    def __init__(self, now: Callable[[], float]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._chat()
        self._ladder()
        self._relay()
        self._process()
        self._degraded = _Degraded(now)
        self._lost = _Lost()
        self.registry.register(self._degraded)
        self.registry.register(self._lost)
        self._take: dict[type, Callable[[Any], None]] = {
            facts.ChatServed: self._chat_served,
            facts.ChatRejected: self._chat_rejected,
            facts.CallEnded: self._call_ended,
            facts.AttemptEnded: self._attempt_ended,
            facts.Retried: lambda fact: self.retries.labels(fact.target, fact.cause).inc(),
            facts.RetryDenied: lambda fact: self.retries_denied.labels(fact.target, fact.why).inc(),
            facts.Refused: lambda fact: self.refusals.labels(fact.target, fact.reason).inc(),
            facts.BreakerMoved: self._breaker_moved,
            facts.RelayEnded: self._relay_ended,
            facts.MessageRefused: lambda fact: self.messages_refused.labels(fact.why).inc(),
            facts.DormancyHeard: self._dormancy_heard,
            facts.Overridden: self._overridden,
            facts.PolicyAdopted: self._policy_adopted,
            facts.ReloadEnded: self._reload_ended,
        }

    def __call__(self, fact: Fact) -> None:
        take = self._take.get(type(fact))
        if take is not None:
            take(fact)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Let the gauge ``name`` read ``value`` when it is scraped."""
        gauge: Gauge = getattr(self, name)
        gauge.set_function(value)

    def watch_each(self, name: str, values: Iterable[str], value: Callable[[str], float]) -> None:
        """The same for one child per value of its only label."""
        gauge: Gauge = getattr(self, name)
        for each in values:
            gauge.labels(each).set_function(partial(value, each))

    def watch_lost(self, kind: str, lines: Callable[[], int]) -> None:
        """Count the lines of ``kind`` (log or journal) that its outbox dropped."""
        self._lost.kinds[kind] = lines

    # -- the families ---------------------------------------------------------------------------------------------

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _chat(self) -> None:
        requests = self._counter("chat_requests_total", "Chats answered, by who answered and status", "outcome", "code")
        self.chats = {(o, code): requests.labels(o, str(code)) for o, codes in OUTCOMES.items() for code in codes}
        seconds = self._histogram(
            "chat_request_duration_seconds", "Time from the request to its answer", CHAT_BUCKETS, "outcome"
        )
        self.chat_seconds = {outcome: seconds.labels(outcome) for outcome in OUTCOMES}
        self.overhead = self._histogram(
            "overhead_seconds", "Time a chat spent in the sidecar itself, no target, queue or backoff", OVERHEAD_BUCKETS
        )
        self.auth_rejections = self._counter("auth_rejections_total", "Requests without a token that passes", "reason")
        for reason in _AUTH_REASONS.values():
            self.auth_rejections.labels(reason)
        self.degraded = self._gauge("degraded", "1 from an answer not by the primary until the next one by it")

    def _ladder(self) -> None:
        self.attempts = self._counter("upstream_attempts_total", "Attempts, by how they ended", "target", "result")
        self.attempt_seconds = self._histogram(
            "upstream_attempt_duration_seconds", "Time one attempt took", CHAT_BUCKETS, "target"
        )
        self.retries = self._counter("retries_total", "Retries scheduled, by what failed", "target", "reason")
        self.retries_denied = self._counter(
            "retries_denied_total",
            "Retryable failures not retried: attempts, effects, deadline or budget",
            "target",
            "reason",
        )
        self.refusals = self._counter(
            "target_refusals_total", "Times a target was not asked, and why", "target", "reason"
        )
        self.retry_budget_balance = self._gauge("retry_budget_balance", "Retries that could be paid for now", "target")
        self.fallbacks = self._counter("fallbacks_total", "Chats the primary did not answer, by why", "reason")
        self.breaker_state = self._gauge("breaker_state", "1 for the state the breaker is in", "target", "state")
        self.breaker_transitions = self._counter(
            "breaker_transitions_total", "Moves of the breaker", "target", "to", "reason"
        )
        self.deadline_exceeded = self._counter(
            "deadline_exceeded_total", "Attempts that ran out of time, by what set the time", "binding"
        )
        self.misconfigured = self._counter(
            "misconfigured_total",
            "Answers that say that our set-up is wrong, by status or kind of error",
            "target",
            "kind",
        )
        self.dormant = self._gauge("dormant", "1 while the power state says that the switch is off by policy")
        self.override_active = self._gauge("override_active", "Targets that an operator holds in this way", "kind")
        self._held: dict[str, Override] = {}  # by target
        for kind in Override:
            self.override_active.labels(kind.value)
        for reason in Reason:
            self.fallbacks.labels(reason.value)
        for binding in Binding:
            self.deadline_exceeded.labels(binding.value)
        for target in TARGETS:
            for state in State:
                self.breaker_state.labels(target, state.value).set(state is State.CLOSED)
            for to, why in _TRANSITIONS:
                self.breaker_transitions.labels(target, to, why)

    def _relay(self) -> None:
        self.relays = self._counter(
            "relay_requests_total", "Requests relayed to the gateway", "kind", "method", "status_class"
        )
        self.relay_seconds = self._histogram(
            "relay_duration_seconds", "Time from a relayed request to the end of its answer", CHAT_BUCKETS
        )
        self.relay_errors = self._counter("relay_errors_total", "Relayed requests that went wrong, and how", "error")
        self.relay_bytes = self._counter("relay_bytes_total", "Body and tunnel bytes relayed", "direction")
        self.messages_refused = self._counter("messages_refused_total", "Messages refused on the wire, and why", "why")
        self.inflight_requests = self._gauge("inflight_requests", "Requests under way", "kind")
        self.websocket_connections = self._gauge("websocket_connections", "WebSocket tunnels open")

    def _process(self) -> None:
        self.policy_info = self._gauge("policy_info", "1 for the policy in force", "revision", "version", "source")
        self.policy_reloads = self._counter(
            "policy_reloads_total", "Times the policy was read again, by result", "result"
        )
        for result in RELOADS:
            self.policy_reloads.labels(result)
        self.reload_successful = self._gauge("policy_last_reload_successful", "0 while the last reload is a failed one")
        self.reload_successful.set(1)
        self.reload_success_timestamp = self._gauge(
            "policy_last_reload_success_timestamp_seconds", "When the policy was last read without a problem"
        )
        self.reload_success_timestamp.set_to_current_time()  # the one in force at start was read, too
        build = self._gauge("build_info", "1 for this build", "version", "python")
        build.labels(__version__, ".".join(map(str, sys.version_info[:3]))).set(1)
        self.event_loop_lag_seconds = self._gauge("event_loop_lag_seconds", "How late the last tick of the loop was")
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    # -- the facts ------------------------------------------------------------------------------------------------

    def _chat_served(self, fact: facts.ChatServed) -> None:
        self.chats[fact.outcome, fact.status].inc()
        self.chat_seconds[fact.outcome].observe(fact.seconds)
        self.overhead.observe(fact.overhead)

    def _chat_rejected(self, fact: facts.ChatRejected) -> None:
        outcome = _UNJUDGED.get(fact.status, "rejected")
        self.chats[outcome, fact.status].inc()
        self.chat_seconds[outcome].observe(fact.seconds)
        if fact.reason in _AUTH_REASONS:
            self.auth_rejections.labels(_AUTH_REASONS[fact.reason]).inc()

    def _call_ended(self, fact: facts.CallEnded) -> None:
        if fact.first_reason is not None:
            self.fallbacks.labels(fact.first_reason).inc()
        if not fact.finish.abandoned:
            by_primary = not fact.finish.degraded
            self.degraded.set(not by_primary)
            self._degraded.turn(on=not by_primary)

    def _attempt_ended(self, fact: facts.AttemptEnded) -> None:
        self.attempts.labels(fact.target, _result(fact)).inc()
        self.attempt_seconds.labels(fact.target).observe(fact.seconds)
        outcome = fact.outcome
        if outcome is not None and outcome.error is ErrorKind.TIMEOUT:
            self.deadline_exceeded.labels(fact.binding).inc()
        if outcome is not None and fact.verdict is Verdict.MISCONFIGURED:
            self.misconfigured.labels(fact.target, outcome.error or str(outcome.status)).inc()

    def _breaker_moved(self, fact: facts.BreakerMoved) -> None:
        self.breaker_transitions.labels(fact.target, fact.after, fact.why).inc()
        for state in State:
            self.breaker_state.labels(fact.target, state.value).set(state.value == fact.after)

    def _relay_ended(self, fact: facts.RelayEnded) -> None:
        method = fact.method if fact.method in METHODS else "OTHER"
        status = f"{fact.status // 100}xx" if fact.status else "none"
        self.relays.labels(fact.kind, method, status).inc()
        self.relay_seconds.observe(fact.seconds)
        self.relay_bytes.labels("to_gateway").inc(fact.sent)
        self.relay_bytes.labels("to_client").inc(fact.received)
        if fact.error is not None:
            self.relay_errors.labels(fact.error).inc()

    def _dormancy_heard(self, fact: facts.DormancyHeard) -> None:
        self.dormant.set(fact.active is not None and "switch" not in fact.active)

    def _overridden(self, fact: facts.Overridden) -> None:
        self._held.pop(fact.target, None)
        if fact.override is not None:
            self._held[fact.target] = fact.override
        for kind in Override:
            self.override_active.labels(kind.value).set(list(self._held.values()).count(kind))

    def _policy_adopted(self, fact: facts.PolicyAdopted) -> None:
        self.policy_info.clear()
        self.policy_info.labels(fact.revision, str(fact.policy.version), fact.source).set(1)

    def _reload_ended(self, fact: facts.ReloadEnded) -> None:
        self.policy_reloads.labels(fact.result).inc()
        failed = fact.result == "failed"
        self.reload_successful.set(not failed)
        if not failed:
            self.reload_success_timestamp.set_to_current_time()


_UNJUDGED = {499: "client_gone", 500: "failed"}  # ended before it was known whether it would be rejected
_AUTH_REASONS = {"auth_required": "missing", "forbidden": "wrong"}
_TRANSITIONS = (
    ("open", "consecutive"),
    ("open", "failure_rate"),
    ("open", "slow_rate"),
    ("open", "probe_failed"),
    ("half_open", "timer"),
    ("half_open", "window_opened"),
    ("closed", "recovered"),
    ("forced_open", "override"),
    ("forced_closed", "override"),
    ("half_open", "override_ended"),
    ("closed", "override_ended"),
)


def _result(fact: facts.AttemptEnded) -> str:
    if fact.outcome is None:
        return "client_gone"
    return fact.outcome.error.value if fact.outcome.error is not None else fact.verdict.value


class _Degraded(Collector):
    """Seconds spent degraded, to this very moment: a counter fed only by facts would stand still between two chats."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._before = 0.0
        self._since: float | None = None

    def turn(self, *, on: bool) -> None:
        if on and self._since is None:
            self._since = self._now()
        elif not on and self._since is not None:
            self._before += self._now() - self._since
            self._since = None

    def collect(self) -> Iterator[Metric]:
        running = 0.0 if self._since is None else self._now() - self._since
        text = "Seconds between an answer not by the primary and the next one by it"
        yield CounterMetricFamily(f"{PREFIX}_degraded_seconds", text, value=self._before + running)


class _Lost(Collector):
    """Lines that an outbox dropped, because nobody took them fast enough or they could not be written."""

    def __init__(self) -> None:
        self.kinds: dict[str, Callable[[], int]] = {"log": int, "journal": int}

    def collect(self) -> Iterator[Metric]:
        for kind, lines in self.kinds.items():
            yield CounterMetricFamily(f"{PREFIX}_{kind}_dropped", f"Lines of the {kind} that were lost", value=lines())
