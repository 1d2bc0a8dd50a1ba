"""Facts to spans: one server span per admitted chat, one client span per request to a target, the rest as events on them.

Importing this module imports OpenTelemetry: only ``tracing`` does, and only where traces are wanted. Where they go, how they are sampled
and what the service is called is said by OpenTelemetry's own environment variables. Spans are queued, bounded, and leave in
batches from a thread of the library's: a collector that is slow, gone or wrong costs spans and never a chat. No message text, no
token, no query string and no session is in them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from sidecar import __version__
from sidecar.core import fact as facts
from sidecar.core.attempt import LOST_RACE
from sidecar.core.fact import Fact
from sidecar.core.vocabulary import FAILURES
from sidecar.edge.outlets.sink import Sink
from sidecar.wire import trace
from sidecar.wire.trace import Context

logger = logging.getLogger(__name__)

NAME = "vx11-sidecar"
MOST_OPEN = 10_000  # calls under way that are kept: none should be left over, and if one is, not for good
PATIENCE = 2.0  # seconds that the end waits for what is queued

_Value = str | bool | int | float


class Traces(Sink):
    """A sink of facts that also says what targets are told. One per process."""

    def __init__(self, now: Callable[[], float], exporter: SpanExporter | None = None) -> None:
        """``now`` is the clock of the facts. Raises ValueError for OpenTelemetry variables that cannot be followed."""
        self._now = now
        resource = Resource({SERVICE_NAME: NAME, SERVICE_VERSION: __version__}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = exporter or OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(NAME, __version__)
        self._calls: dict[int, _Traced] = {}
        self._heard_of: _Traced | None = None  # the call that the last fact was about
        self._take: dict[type, Callable[[Any], None]] = {
            facts.CallBegan: self._began,
            facts.AttemptStarted: self._attempt_started,
            facts.AttemptEnded: self._attempt_ended,
            facts.CallEnded: self._ended,
            facts.ChatServed: self._served,
            facts.BreakerMoved: self._moved,
            facts.Overridden: self._overridden,
            facts.Retried: lambda fact: self._event(fact, "retry", cause=fact.cause, delay=fact.delay),
            facts.RetryDenied: lambda fact: self._event(fact, "retry_denied", why=fact.why),
            facts.Hedged: lambda fact: self._event(fact, "hedge", waited=fact.waited),
            facts.HedgeDenied: lambda fact: self._event(fact, "hedge_denied", why=fact.why),
            facts.Refused: lambda fact: self._event(fact, "refused", reason=fact.reason, retry_after=fact.retry_after),
            facts.FaultInjected: lambda fact: self._event(fact, "fault_injected", fault=fact.fault, rule=fact.rule),
            facts.FellBack: lambda fact: self._event(fact, "fallback", reason=fact.reason),
        }
        self.takes = dict.fromkeys(get_args(Fact), (self._hear,))

    def _hear(self, fact: Fact) -> None:
        call = getattr(fact, "call", None)
        # Facts come as they happen, on one thread: a breaker that moves is moved by the call whose fact came before.
        if not isinstance(fact, facts.BreakerMoved):
            self._heard_of = self._calls.get(call) if call is not None else None
        take = self._take.get(type(fact))
        if take is not None:
            take(fact)

    def begin(self, call: int, came: Context | None) -> Context | None:
        """Start the server span of a call, before its first fact; the context it makes. Never raises: no chat hangs on its trace."""
        try:
            return self._begin(call, came)
        except Exception:
            logger.exception("no span for this chat")
            return came

    def outgoing(self, call: int, attempt: int) -> Mapping[str, str] | None:
        """The header fields that name the span of an attempt under way. Never raises."""
        traced = self._calls.get(call)
        span = traced.attempts.get(attempt) if traced is not None else None
        return None if span is None else _context(span).fields

    def close(self) -> None:
        """Send what is queued, for at most ``PATIENCE`` seconds; a collector that is gone must not keep us from ending."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(PATIENCE)
        if ending.is_alive():  # it would try again for as long as half a minute
            self._exporter.shutdown()

    # -- spans ----------------------------------------------------------------------------------------------------

    def _begin(self, call: int, came: Context | None) -> Context:
        now = self._now()
        offset = time.time_ns() - _nanoseconds(now)
        parent = api.set_span_in_context(NonRecordingSpan(_remote(came))) if came is not None else None
        span = self._tracer.start_span("chat", parent, SpanKind.SERVER, start_time=_nanoseconds(now) + offset)
        self._calls[call] = _Traced(span, offset)
        if len(self._calls) > MOST_OPEN:
            del self._calls[next(iter(self._calls))]
        return _context(span)

    def _began(self, fact: facts.CallBegan) -> None:
        if traced := self._heard_of:
            told = {"correlation_id": fact.correlation_id, "policy.revision": fact.revision, "patience": fact.patience}
            traced.span.set_attributes(_named(told))

    def _attempt_started(self, fact: facts.AttemptStarted) -> None:
        if traced := self._heard_of:
            told = {"target": fact.target, "attempt": fact.number, "timeout": fact.timeout, "binding": fact.binding}
            traced.attempts[fact.number] = self._tracer.start_span(
                f"ask {fact.target}",
                api.set_span_in_context(traced.span),
                SpanKind.CLIENT,
                {"http.request.method": "POST", **_named(told)},
                start_time=traced.at(fact.at),
            )

    def _attempt_ended(self, fact: facts.AttemptEnded) -> None:
        traced = self._heard_of
        span = traced.attempts.pop(fact.number, None) if traced is not None else None
        if traced is None or span is None:
            return
        span.set_attributes(_named({"verdict": fact.verdict}))
        if fact.outcome is None:
            span.set_attribute("error.type", "lost-race" if fact.rule == LOST_RACE else "client-gone")
        elif fact.outcome.error is not None:
            span.set_attribute("error.type", fact.outcome.error.value)
        elif fact.outcome.status is not None:
            span.set_attribute("http.response.status_code", fact.outcome.status)
        if fact.verdict in FAILURES:
            span.set_status(Status(StatusCode.ERROR))
        span.end(traced.at(fact.at))

    def _ended(self, fact: facts.CallEnded) -> None:
        if traced := self._heard_of:
            finish = fact.finish
            told = {"provider": finish.provider, "degraded": finish.degraded, "reason": finish.reason}
            why = {"first_reason": fact.first_reason, "attempts": fact.attempts}
            traced.span.set_attributes(_named({**told, **why}))

    def _served(self, fact: facts.ChatServed) -> None:
        traced = self._calls.pop(fact.call, None)
        if traced is None:
            return
        span = traced.span
        span.set_attributes({"http.request.method": "POST", "http.route": fact.template})
        span.set_attributes({"http.response.status_code": fact.status, **_named({"outcome": fact.outcome})})
        if fact.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(traced.at(fact.at))
        self._heard_of = None

    # -- events ---------------------------------------------------------------------------------------------------

    def _event(self, fact: Any, name: str, **told: object) -> None:
        if traced := self._heard_of:
            traced.span.add_event(name, _named({"target": fact.target, **told}), traced.at(fact.at))

    def _moved(self, fact: facts.BreakerMoved) -> None:
        self._event(fact, "breaker_moved", before=fact.before, after=fact.after, why=fact.why, open_for=fact.open_for)

    def _overridden(self, fact: facts.Overridden) -> None:
        """An operator decided: every call under way may be what it is because of that."""
        told = _named({"target": fact.target, "override": fact.override or "ended"})
        for traced in self._calls.values():
            traced.span.add_event("override", told, traced.at(fact.at))


class _Traced:
    """A call under way: its span, those of its attempts under way, and what to add to a fact's time to get the time of day."""

    __slots__ = ("_offset", "attempts", "span")

    def __init__(self, span: Span, offset: int) -> None:
        self.span = span
        self.attempts: dict[int, Span] = {}
        self._offset = offset

    def at(self, seconds: float) -> int:
        return _nanoseconds(seconds) + self._offset


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _named(told: Mapping[str, object]) -> dict[str, _Value]:
    """Attributes under our own prefix; OpenTelemetry has no word for nothing."""
    return {f"vx11.{name}": _plain(value) for name, value in told.items() if value is not None}


def _plain(value: object) -> _Value:
    return value if isinstance(value, bool | int | float) else str(value)


def _remote(came: Context) -> SpanContext:
    state = came.fields.get(trace.TRACESTATE)
    return SpanContext(
        int(came.trace_id, 16),
        int(came.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if came.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([state]) if state else TraceState(),
    )


def _context(span: Span) -> Context:
    made = span.get_span_context()
    ids = api.format_trace_id(made.trace_id), api.format_span_id(made.span_id)
    return trace.written(*ids, made.trace_state.to_header(), sampled=made.trace_flags.sampled)
