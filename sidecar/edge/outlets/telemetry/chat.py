"""Chats: how many were answered by whom, how long clients waited, and how much of that was ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core import fact as facts
from sidecar.core.vocabulary import Reason
from sidecar.edge.outlets.telemetry.family import Families
from sidecar.policy.objectives import CHAT_EDGES

OVERHEAD_EDGES = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
OUTCOMES = {  # outcome of a chat, and the statuses it can have
    "primary": (200,),
    "fallback": (200,),
    "local": (200,),
    "failed": (500, 503),
    "replayed": (200,),
    "rejected": (400, 401, 403, 408, 409, 413, 422, 429),
    "client_gone": (499,),
}
_CODES = tuple(sorted({str(code) for codes in OUTCOMES.values() for code in codes}))
_AUTH = {"auth_required": "missing", "forbidden": "wrong"}
# Nobody looked at the request, so nothing of it is the client's fault.
_UNJUDGED = {499: "client_gone", 500: "failed", 503: "failed"}


class ChatMetrics:
    def __init__(self, families: Families, now: Callable[[], float]) -> None:
        """``now`` is monotonic seconds."""
        self._requests = families.counters(
            "chat_requests_total",
            "Chats that got an answer, by who gave it and its status: primary is the first target of the ladder, fallback one "
            "below it, local our own text, failed an error of ours or too much to do, replayed an answer given before under the same "
            "Idempotency-Key, rejected a request that no target was asked about, client_gone a client that left first (499 is never sent)",
            [(outcome, str(code)) for outcome, codes in OUTCOMES.items() for code in codes],
            outcome=OUTCOMES,
            code=_CODES,
        )
        self._seconds = families.histograms(
            "chat_request_duration_seconds",
            "Seconds from a chat's head to its answer, as clients wait; with exemplars where a sampled trace came along",
            CHAT_EDGES,
            outcome=OUTCOMES,
        )
        self._overhead = families.histogram(
            "overhead_seconds",
            "Seconds of an admitted chat that were our own: waiting for targets, slots and backoffs is not in it",
            OVERHEAD_EDGES,
        )
        self._auth = families.counters(
            "auth_rejections_total",
            "Chats refused for want of a valid token: none sent, or a wrong one",
            reason=_AUTH.values(),
        )
        self._forward_auth = families.counters(
            "forward_auth_total",
            "Questions of another proxy whether a request may pass (forward auth at the admin port), by what was answered: a valid token, "
            "none sent, or a wrong one",
            result=get_args(facts.TokenJudgement),
        )
        self._fallbacks = families.counters(
            "fallbacks_total", "Chats that the primary did not answer, by the first reason for that", reason=Reason
        )
        self._degraded = families.gauge(
            "degraded",
            "1 from an answer not by the primary until the next one by it; clients that left in between change nothing",
        )
        self._since = _Degraded(families, now)
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.ChatServed: self._served,
            facts.ChatReplayed: self._replayed,
            facts.ChatRejected: self._rejected,
            facts.CallEnded: self._ended,
            facts.TokenJudged: lambda fact: self._forward_auth[fact.result,].inc(),
        }

    def _served(self, fact: facts.ChatServed) -> None:
        self._requests[fact.outcome, str(fact.status)].inc()
        exemplar = {"trace_id": fact.trace_id} if fact.trace_id and fact.sampled else None
        self._seconds[fact.outcome,].observe(fact.seconds, exemplar)
        self._overhead.observe(fact.overhead)

    def _replayed(self, fact: facts.ChatReplayed) -> None:
        self._requests["replayed", str(fact.status)].inc()
        self._seconds["replayed",].observe(fact.seconds)

    def _rejected(self, fact: facts.ChatRejected) -> None:
        outcome = _UNJUDGED.get(fact.status, "rejected")
        self._requests[outcome, str(fact.status)].inc()
        self._seconds[outcome,].observe(fact.seconds)
        if fact.reason in _AUTH:
            self._auth[_AUTH[fact.reason],].inc()

    def _ended(self, fact: facts.CallEnded) -> None:
        if fact.first_reason is not None:
            self._fallbacks[fact.first_reason,].inc()
        if not fact.finish.abandoned and fact.finish.degraded != self._since.on:
            self._degraded.set(fact.finish.degraded)
            self._since.turn()


class _Degraded(Collector):
    """Seconds spent degraded, to this very moment: a counter fed only by facts would stand still between two chats."""

    def __init__(self, families: Families, now: Callable[[], float]) -> None:
        self._now = now
        self._before = 0.0
        self._since: float | None = None
        self._text = (
            "Seconds between an answer not by the primary and the next one by it, up to the moment of the scrape"
        )
        self._name = families.declare("degraded_seconds_total", "counter", self._text)
        families.registry.register(self)

    @property
    def on(self) -> bool:
        return self._since is not None

    def turn(self) -> None:
        """From well to degraded, or back."""
        if self._since is None:
            self._since = self._now()
        else:
            self._before += self._now() - self._since
            self._since = None

    def collect(self) -> Iterator[Metric]:
        running = 0.0 if self._since is None else self._now() - self._since
        yield CounterMetricFamily(self._name, self._text, value=self._before + running)
