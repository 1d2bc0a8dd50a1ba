"""What is said about targets: the sections that stand at the top for all and within a target for that one.

``complete`` lays them over each other, so that a ``Target`` is complete and nothing downstream asks twice. For one
field the order is: what the target states, what the top states, what is built in for that target (``BUILTIN``), the
default of the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema, model_validator

from sidecar.policy.section import (
    HOST,
    Count,
    Listed,
    Name,
    Path,
    Section,
    Written,
    disagree,
    unset,
)
from sidecar.policy.units import AutoDuration, Duration, DurationOrZero, HedgeDelay, Share

TargetName = Literal["switch", "madre", "local"]
ErrorName = Literal[
    "connect",
    "dns",
    "connect-timeout",
    "no-socket",
    "timeout",
    "reset",
    "truncated",
    "protocol",
    "too-large",
    "not-json",
]

PER_TARGET = ("timeouts", "outcome", "retry", "retry_budget", "hedge", "breaker", "limiter", "health")
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95}
BUILTIN: Mapping[str, Mapping[str, Any]] = {
    "switch": {"path": "/switch/chat", "limiter": {"max_concurrent": 4, "queue": 8}},
    "madre": {"path": "/madre/chat", "limiter": {"max_concurrent": 2, "queue": 4}, "health": {"timeout": "3s"}},
    "local": {},
}


class Timeouts(Section):
    connect: Duration = Field(0.3, description="until the connection stands, name resolution included")
    attempt: AutoDuration = Field(
        None, description="one attempt from start to end; auto: time left minus the reserves of the targets below"
    )


Status = Annotated[int, Field(ge=100, le=599)]
BodyValues = Annotated[tuple[str, ...], Listed]


TEXT = frozenset({"reply", "content", "response", "message", "messages", "actions", "reasoning"})
"""Members of answers that hold what people or models wrote."""


class Rule(Section):
    """Matches an outcome when every part it states matches. At least one part must be stated."""

    status: Annotated[tuple[Status, ...], Listed] = Field((), description="HTTP status is one of these")
    error: Annotated[tuple[ErrorName, ...], Listed] = Field((), description="the error kind is one of these")
    body: dict[Name, BodyValues] = Field(
        default_factory=dict, description="the JSON value at this dotted path, as text, is one of these"
    )

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if not (self.status or self.error or self.body):
            raise disagree("a rule must state status, error or body", "status", "error", "body")
        for path in self.body:
            if TEXT.intersection(path.split(".")):
                raise disagree("this is the text of an answer: rules, and with them the journal, never see it", "body")
        return self


Rules = Annotated[tuple[Rule, ...], Listed]


class OutcomeRules(Section):
    """Rules asked before the built-in ones, in this order; the first that matches decides."""

    # fmt: off
    misconfigured: Rules = Field((), description="our set-up is wrong: no retry, no breaker penalty, next target, own metric")
    caller_error: Rules = Field((), description="the request itself is wrong: no retry, no breaker penalty, no further target")
    failure: Rules = Field((), description="the target failed")
    degraded: Rules = Field((), description="an answer, but not a full one")
    # fmt: on


class Backoff(Section):
    base: Duration = Field(0.025, description="cap of the first delay; doubles with each retry")
    max: Duration = Field(
        0.25, description="cap of any delay; the delay is drawn uniformly from 0 to the cap (full jitter)"
    )
    respect_retry_after: bool = Field(
        default=True, description="wait as long as the target asks, where that fits the time left"
    )


_RETRY_WORDS = ("connect-failure", "reset-before-headers")


def _retry_cause(value: object) -> object:
    if value in _RETRY_WORDS or (type(value) is int and 400 <= value <= 599):
        return value
    raise ValueError(f"must be {', '.join(_RETRY_WORDS)} or an HTTP status from 400 to 599")


RetryCause = Annotated[
    Literal["connect-failure", "reset-before-headers"] | int,
    PlainValidator(_retry_cause),
    WithJsonSchema({"anyOf": [{"enum": list(_RETRY_WORDS)}, {"type": "integer", "minimum": 400, "maximum": 599}]}),
]


class Retry(Section):
    max_attempts: Annotated[int, Field(ge=1, le=10)] = Field(2, description="attempts on one target, the first counted")
    on: Annotated[tuple[RetryCause, ...], Listed] = Field(
        ("connect-failure", "reset-before-headers", 502, 503, 504, 429),
        description="what may be tried again, where effects allow it",
    )
    # fmt: off
    on_timeout: bool = Field(default=False, description="ask a silent target again; off: leave it for the next one")
    only_if_unsent: bool = Field(default=True, description="a target with effects unsafe is asked again only if nothing was sent")
    # fmt: on
    backoff: Backoff = Field(Backoff(), description="the wait before a retry")


class RetryBudgetPolicy(Section):
    ratio: Share = Field(0.2, description="each call deposits this much of a retry")
    burst: Annotated[float, Field(ge=0, le=1000)] = Field(3.0, description="the balance at start and at most")


class HedgePolicy(Section):
    enabled: bool = Field(
        default=False,
        description="send a second request where the first is late; never to a target with effects unsafe",
    )
    delay: HedgeDelay = Field(
        "p95", description="how late: a duration, or this quantile of the target's last answers, from 20 on"
    )
    max_extra_load: Share = Field(
        0.01, description="hedges are at most this share of the calls; the retry budget bounds them, too"
    )


class Window(Section):
    type: Literal["count", "time"] = Field(
        "count", description="the last `size` calls, or the calls of the last `duration`"
    )
    size: Count = Field(20, description="calls, for type count")
    duration: Duration = Field(60.0, description="for type time")


class SlowCall(Section):
    duration: Duration = Field(3.0, description="a call that takes at least this long is slow, even if it succeeds")
    rate: Share = Field(0.8, description="trip at this share of slow calls")


class OpenTime(Section):
    base: Duration = Field(5.0, description="first open time")
    max: Duration = Field(15.0, description="no open time is longer")
    multiplier: Annotated[float, Field(ge=1, le=10)] = Field(2.0, description="growth per trip in a row")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="spread around the open time, as a share of it"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.base > self.max:
            raise disagree("breaker.open.base must not be longer than breaker.open.max", "base", "max")
        return self


class HalfOpen(Section):
    permits: Annotated[int, Field(ge=1, le=100)] = Field(1, description="probes under way at once")
    close_after: Annotated[int, Field(ge=1, le=100)] = Field(
        2, description="successful probes in a row that close the breaker"
    )


class BreakerPolicy(Section):
    window: Window = Field(Window(), description="what the rates are read from")
    min_calls: Count = Field(5, description="the rates are read from this many calls on")
    failure_rate: Share = Field(0.5, description="trip at this share of failures")
    consecutive: Annotated[int, Field(ge=0, le=10_000)] = Field(
        3, description="trip at this many failures in a row; 0: never"
    )
    slow_call: SlowCall = Field(SlowCall(), description="slow calls count although they succeed")
    open: OpenTime = Field(OpenTime(), description="how long an open breaker refuses")
    half_open: HalfOpen = Field(HalfOpen(), description="how it finds out that the target is back")

    @model_validator(mode="after")
    def _can_arm(self) -> Self:
        if self.window.type == "count" and self.min_calls > self.window.size:
            words = "breaker.min_calls must not be larger than breaker.window.size, or the rates are never read"
            raise disagree(words, "min_calls", "window.size")
        return self


class LimiterPolicy(Section):
    max_concurrent: Count = Field(4, description="attempts under way at once on one target; built in for madre: 2")
    queue: Annotated[int, Field(ge=0, le=100_000)] = Field(
        8, description="calls that may wait for a slot; built in for madre: 4"
    )
    queue_timeout: DurationOrZero = Field(0.2, description="how long one may wait")
    adaptive: Literal["off", "gradient"] = Field(
        "off", description="gradient: as many at once as the target answers without making them wait, within the bounds"
    )
    min_concurrent: Count = Field(
        1, description="the lower bound of an adaptive limit; max_concurrent is the upper one"
    )
    tolerance: Annotated[float, Field(ge=1, le=10)] = Field(
        1.5, description="an adaptive limit falls where answers take this many times what they take alone"
    )
    slow_start: DurationOrZero = Field(
        0.0, description="after the target has recovered its slots grow from 1 to the limit over this time; 0: at once"
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min_concurrent > self.max_concurrent:
            words = "limiter.min_concurrent must not be larger than limiter.max_concurrent"
            raise disagree(words, "min_concurrent", "max_concurrent")
        return self


class HealthPolicy(Section):
    # fmt: off
    mode: Literal["off", "probe"] = Field("off", description="probe: ask its path in the background, and leave out a target that is down")
    path: Path = Field("/health", description="asked with GET, without a token; 2xx is good, 5xx and no answer are failures")
    interval: Duration = Field(5.0, description="from the begin of a probe to the begin of the next")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(0.2, description="spread around the interval, as a share of it")
    timeout: Duration = Field(1.0, description="until the whole answer is there; built in for madre: 3s")
    rise: Annotated[int, Field(ge=1, le=100)] = Field(2, description="good probes in a row that bring a target back")
    fall: Annotated[int, Field(ge=1, le=100)] = Field(3, description="failed ones in a row that take it away; silence in a chat is none")
    # fmt: on


Url = Annotated[str, Written(rf"http://{HOST}", "http://host:port, without user, path and query")]
TokenFrom = Annotated[str, Written(r"(env|file) \S+", "env NAME or file PATH, never the token itself")]


class Target(Section):
    """One rung of the ladder, complete: the sections are merged from the top of the policy and the target's own."""

    name: TargetName = Field(description="switch, madre or local")
    # fmt: off
    url: Url | None = Field(None, exclude_if=unset, description="http://host:port; flag and environment come first")
    path: Path | None = Field(None, exclude_if=unset, description="where the target takes a chat; built in for switch and madre")
    token_from: TokenFrom | None = Field(
        None, exclude_if=unset, description="env NAME or file PATH; default: the gateway's link token, never the client's"
    )
    shield: bool = Field(
        default=True, description="switch only: the first message is a fixed sentence, so that its shell lane never runs user text"
    )
    effects: Literal["none", "dedup", "unsafe"] = Field("unsafe", description="may a request that was sent be sent again?")
    reserve: AutoDuration = Field(
        None,
        description="time the targets above keep back for this one; auto: its p95 within 300ms..1500ms, 1500ms before 20 observations",
    )
    # fmt: on
    timeouts: Timeouts = Field(Timeouts(), description="for this target alone")
    outcome: OutcomeRules = Field(OutcomeRules(), description="for this target alone")
    retry: Retry = Field(Retry(), description="for this target alone")
    retry_budget: RetryBudgetPolicy = Field(RetryBudgetPolicy(), description="for this target alone")
    hedge: HedgePolicy = Field(HedgePolicy(), description="for this target alone")
    breaker: BreakerPolicy = Field(BreakerPolicy(), description="for this target alone")
    limiter: LimiterPolicy = Field(LimiterPolicy(), description="for this target alone")
    health: HealthPolicy = Field(HealthPolicy(), description="for this target alone")


def complete(data: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what is built in, what the top states and what a target states into each target."""
    targets = data.get("targets", [{"name": name} for name in BUILTIN])
    if not isinstance(targets, list | tuple):
        return dict(data)
    top = {section: _stated(data[section]) for section in PER_TARGET if section in data}
    return {**data, "targets": [_completed(_stated(entry), top) for entry in targets]}


def _completed(entry: Any, top: Mapping[str, Any]) -> Any:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or name == "local":
        return entry  # nothing is asked over the network there, or it is no target at all
    sections = {section: stated for section, stated in top.items() if isinstance(stated, Mapping)}
    return merge(merge(BUILTIN.get(name, {}), sections), entry)


def _stated(value: Any) -> Any:
    """A section that was built in Python, as the file would have stated it."""
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``; mappings are merged key by key, anything else is replaced."""
    merged = dict(below)
    for key, stated in above.items():
        value, under = _stated(stated), _stated(merged.get(key))
        merged[key] = merge(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return merged
