"""The policy: one frozen tree that says how the sidecar behaves. An empty file is this tree with its defaults.

Field descriptions are the reference documentation. Names and defaults come from the field (Envoy, Linkerd, Finagle,
resilience4j, gRPC, the RFCs). What is said about targets stands in ``targets`` and is importable from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sidecar.policy.chaos import MOST_CHAOS, ChaosRule
from sidecar.policy.chaos import check as check_chaos
from sidecar.policy.objectives import LatencyObjective, Slo
from sidecar.policy.section import (
    Count,
    FieldNames,
    HeaderName,
    Listed,
    Name,
    Names,
    Networks,
    Origins,
    PathPatterns,
    Paths,
    Section,
    Written,
    disagree,
    unset,
)
from sidecar.policy.targets import (
    BUILTIN,
    PER_TARGET,
    QUANTILES,
    Backoff,
    BreakerPolicy,
    ErrorName,
    HalfOpen,
    HealthPolicy,
    HedgePolicy,
    LimiterPolicy,
    OpenTime,
    OutcomeRules,
    Retry,
    RetryBudgetPolicy,
    Rule,
    SlowCall,
    Target,
    TargetName,
    Timeouts,
    Window,
    complete,
)
from sidecar.policy.units import CallRate, Duration, DurationOrZero, Rate, Share, Size, Unbounded

__all__ = [
    "BUILTIN", "PER_TARGET", "QUANTILES", "Admin", "Affinity", "Auth", "Backoff", "BreakerPolicy", "ChaosRule", "Cors",
    "DeadlinePolicy", "Dormant", "ErrorName", "Fallback", "FallbackCause", "Guards", "HalfOpen", "HealthPolicy", "HedgePolicy",
    "Idempotency", "Intercept", "Journal", "LatencyObjective", "LimiterPolicy", "OpenTime", "OutcomeRules", "Overload", "Policy",
    "Relay", "RelayLimits", "RelayTimeouts", "Reply", "Retry", "RetryBudgetPolicy", "Rule", "Section", "Slo", "SlowCall", "Target",
    "TargetName", "Timeouts", "Window",
]  # fmt: skip

FallbackCause = Literal["open", "failure", "timeout", "budget", "limited", "dormant", "unhealthy", "misconfigured"]


TokenSource = Literal["header", "bearer", "query"]


def _each_once(sources: tuple[TokenSource, ...]) -> tuple[TokenSource, ...]:
    if len(set(sources)) < len(sources):
        raise ValueError("must name each source once")
    return sources


class Auth(Section):
    mode: Literal["token", "off"] = Field(
        "token", description="token: demand it · off: let everybody chat, said in the log at start"
    )
    header: HeaderName = Field("x-vx11-token", description="the header that carries the token, lower case")
    sources: Annotated[tuple[TokenSource, ...], Listed, AfterValidator(_each_once)] = Field(
        ("header",),
        min_length=1,
        description="where a token is looked for, in this order; the first that holds one decides: header (auth.header) · bearer "
        "(Authorization: Bearer T) · query (?token=T)",
        json_schema_extra={"uniqueItems": True},
    )


class Intercept(Section):
    paths: Paths = Field(
        ("/operator/api/chat", "/operator/api/v1/chat"), description="decoded paths whose POST is ours to answer"
    )
    commands: Literal["relay", "intercept"] = Field(
        "relay",
        description="/operator/api/chat/commands reaches chat inside the gateway where its command is message; a token is demanded in "
        "any case · relay: all of it goes to the gateway · intercept: such a message is answered as a chat, the rest goes there",
    )


class DeadlinePolicy(Section):
    client: Duration = Field(5.0, description="how long the client waits")
    header: HeaderName = Field("x-request-timeout-ms", description="a client may shorten it here, in milliseconds")
    margin: Duration = Field(0.25, description="the answer leaves this long before the client gives up")

    @model_validator(mode="after")
    def _margin_fits(self) -> Self:
        if self.margin >= self.client:
            raise disagree("deadline.margin must be shorter than deadline.client", "margin", "client")
        return self


class Guards(Section):
    # fmt: off
    max_message_chars: Count = Field(4000, description="code points; 413 beyond")
    max_body: Size = Field(64 << 10, description="bytes of the chat request; 413 beyond, before all of it is read")
    rate_limit: CallRate = Field(Rate(10, 60.0), description="per session_id, sliding window, exact; 429 with Retry-After beyond")
    anonymous_rate_limit: CallRate = Field(Rate(10, 1.0), description="per peer address, for requests without a session_id")
    max_sessions: Count = Field(10_000, description="sessions and peers remembered; the one idle longest is forgotten first")
    metadata_allow: Names = Field((), description="metadata keys passed on to the switch; task_type, provider_hint and such steer it")
    # fmt: on


class Shared(Section):
    timeout: Duration = Field(0.05, description="how long a chat waits for Redis; beyond, this replica counts alone")
    pause: Duration = Field(1.0, description="after Redis failed, until it is tried again; meanwhile nobody asks it")


class Overload(Section):
    chats: Count = Field(256, description="chats under way at once")
    relays: Count = Field(512, description="relayed requests at once whose answer has not begun, or is not read")
    wait: Duration = Field(0.5, description="how late the event loop may be; beyond, every new request is turned away")


_LOCAL_TEXT = {
    "en": "The assistant cannot answer right now. "
    "Your message was received, but no model is available; please try again in a moment.",
    "es": "El asistente no puede responder ahora mismo. "
    "Tu mensaje llegó, pero no hay ningún modelo disponible; inténtalo de nuevo en un momento.",
}


class Fallback(Section):
    on: Annotated[tuple[FallbackCause, ...], Listed] = Field(
        ("open", "failure", "timeout", "budget", "limited", "dormant", "unhealthy", "misconfigured"),
        description="what sends a call to the next target",
    )
    local: Literal["answer", "error"] = Field(
        "answer", description="last rung: an honest degraded answer (200) or an error (503)"
    )
    local_text: dict[
        Annotated[str, Written(r"[a-z]{2}", "a language of two letters, as in en")],
        Annotated[str, Written(r"[\s\S]*\S[\s\S]*", "a text that says something")],
    ] = Field(
        default_factory=lambda: dict(_LOCAL_TEXT),
        min_length=1,
        description="the local answer by language; the first one where Accept-Language names none",
    )


class Affinity(Section):
    stick: DurationOrZero = Field(
        0.0, description="how long a session stays with the target it fell back to; 0: it does not"
    )


class Reply(Section):
    shape: Literal["superset", "reference", "stub"] = Field(
        "superset",
        description="superset: the fields of the reference and those today's UI reads · reference: its eight fields alone · stub: "
        "ok and data, for clients of the stub before it",
    )


class Idempotency(Section):
    mode: Literal["off", "on"] = Field(
        "off", description="on: a chat with a key is answered once, and its repetitions get the same answer again"
    )
    header: HeaderName = Field("idempotency-key", description="the header that carries the key, lower case")
    ttl: Duration = Field(600.0, description="how long an answer is kept for repetitions")
    degraded_ttl: DurationOrZero = Field(
        0.0, description="the same for a degraded answer; 0: it is not kept, and a repetition is a new chat"
    )
    max: Count = Field(1024, description="answers kept, and keys of chats under way; the oldest answer goes first")
    max_size: Size = Field(8 << 20, description="bytes of all answers kept; the oldest goes first")
    repeats: CallRate = Field(
        Rate(30, 60.0), description="repetitions of one key that are let in beside guards.rate_limit; 429 beyond"
    )

    @model_validator(mode="after")
    def _degraded_goes_first(self) -> Self:
        if self.degraded_ttl > self.ttl:
            words = "idempotency.degraded_ttl must not be longer than idempotency.ttl: an answer of the primary is worth more"
            raise disagree(words, "degraded_ttl", "ttl")
        return self


class Dormant(Section):
    mode: Literal["explain", "obey", "ignore"] = Field(
        "explain", description="what madre's power state means for the ladder"
    )
    poll: Duration = Field(5.0, description="how often madre is asked, in the background")


class RelayTimeouts(Section):
    connect: Duration = Field(1.0, description="until the connection to the gateway stands")
    head: Duration = Field(10.0, description="a client's time to send a head")
    response_head: Duration = Field(30.0, description="the gateway really takes 22 s for some answers")
    idle: Duration = Field(75.0, description="a kept-alive client connection without a request")
    stall: Duration = Field(
        60.0, description="a client or gateway that neither sends what it owes nor reads what waits for it"
    )
    stream: Unbounded = Field(
        None, description="longest silence within a body or tunnel; none: SSE and WebSockets may be silent for ever"
    )


class RelayLimits(Section):
    head: Size = Field(64 << 10, description="431 beyond")
    fields: Count = Field(100, description="header fields; 431 beyond")
    connections: Count = Field(10_000, description="client connections; 503 beyond")


class Relay(Section):
    deny: PathPatterns = Field(("/debug/*",), description="paths never relayed: 403; a trailing * matches the rest")
    timeouts: RelayTimeouts = Field(RelayTimeouts(), description="patience on the relayed path")
    limits: RelayLimits = Field(RelayLimits(), description="what a client may ask for at most")
    trusted_proxies: Networks = Field(
        (), description="peers whose X-Forwarded-* are kept and appended to; others' are replaced"
    )


_UI_PORTS = (3000, 5173, 5174, 8000, 8011, 8020)


class Cors(Section):
    origins: Origins = Field(
        tuple(f"http://{host}:{port}" for host in ("localhost", "127.0.0.1") for port in _UI_PORTS),
        description="the gateway's own allow-list",
    )
    expose: FieldNames = Field(
        ("X-Correlation-Id", "Server-Timing", "Proxy-Status", "Retry-After", "Idempotent-Replayed"),
        description="headers a browser script may read",
    )


class Admin(Section):
    hosts: Names = Field(
        ("localhost", "127.0.0.1", "::1"),
        min_length=1,
        description="Host names the admin port answers to, /metrics and probes excepted",
    )


class Journal(Section):
    dir: Name | None = Field(
        None,
        exclude_if=unset,
        description="where the journal is written; the flag --journal comes first; not stated: not written",
    )
    max_file: Size = Field(64 << 20, description="a file is closed beyond this size")
    keep: Count = Field(8, description="closed files kept, the oldest goes first")
    sample: Share = Field(1.0, description="share of calls recorded; below 100% a replay can no longer be exact")


def _version(value: object) -> object:
    if type(value) is not int or value != 1:
        raise ValueError("must be 1, the only version of the schema there is")
    return value


class Policy(Section):
    """The whole of it."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(1, description="version of the schema")
    mode: Literal["enforce", "shadow", "off"] = Field(
        "enforce",
        description="enforce: answer chat · shadow: relay it, and record what we would have said and what the gateway gave · off: "
        "relay only",
    )
    auth: Auth = Field(Auth(), description="who may chat")
    intercept: Intercept = Field(Intercept(), description="which requests are ours to answer")
    deadline: DeadlinePolicy = Field(DeadlinePolicy(), description="when the answer must have left")
    guards: Guards = Field(Guards(), description="what is refused before any target is asked")
    shared: Shared = Field(
        Shared(), description="limits and keys that replicas keep together, where VX11_SIDECAR_REDIS_URL names a Redis"
    )
    overload: Overload = Field(
        Overload(), description="too much to do: 503 at once, so that the rest is served in time"
    )
    targets: Annotated[tuple[Target, ...], Listed] = Field(
        (),  # never seen: `_complete` fills it in
        min_length=1,
        description="the ladder, primary first",
        json_schema_extra={"default": [{"name": name} for name in BUILTIN]},
    )
    timeouts: Timeouts = Field(Timeouts(), description="of one attempt, for every target")
    outcome: OutcomeRules = Field(OutcomeRules(), description="what an answer means, for every target")
    retry: Retry = Field(Retry(), description="further attempts on the same target, for every target")
    retry_budget: RetryBudgetPolicy = Field(
        RetryBudgetPolicy(), description="bounds retries as a share of calls, for every target"
    )
    hedge: HedgePolicy = Field(HedgePolicy(), description="a second request beside a late one, for every target")
    breaker: BreakerPolicy = Field(BreakerPolicy(), description="leaves a failing target alone, for every target")
    limiter: LimiterPolicy = Field(LimiterPolicy(), description="bounds concurrency, for every target")
    health: HealthPolicy = Field(HealthPolicy(), description="active health checks, for every target")
    fallback: Fallback = Field(Fallback(), description="the way down the ladder")
    affinity: Affinity = Field(Affinity(), description="sessions that stay where they fell")
    reply: Reply = Field(Reply(), description="what an answer looks like")
    dormant: Dormant = Field(Dormant(), description="a switch that is off on purpose")
    idempotency: Idempotency = Field(
        Idempotency(), description="a chat that is sent again under the same key is answered once"
    )
    relay: Relay = Field(Relay(), description="everything that is not chat")
    cors: Cors = Field(Cors(), description="for browsers, on answers we make ourselves")
    admin: Admin = Field(Admin(), description="the admin port")
    journal: Journal = Field(Journal(), description="what replay reads")
    slo: Slo = Field(Slo(), description="what is promised, and what alert rules are made from")
    chaos: Annotated[tuple[ChaosRule, ...], Listed, Field(max_length=MOST_CHAOS)] = Field(
        (),
        description="faults to inject, where the sidecar was started with --allow-chaos or an operator switched them on",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        return complete(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _ladder(self) -> Self:
        names = [target.name for target in self.targets]
        if len(set(names)) != len(names):
            raise disagree(f"each target may stand once, found {', '.join(names)}", "targets")
        if "local" in names[:-1]:
            raise disagree("local always answers, so nothing below it is ever asked: put it last", "targets")
        check_chaos(self.chaos, self.auth.header)
        return self

    @cached_property
    def ladder(self) -> tuple[Target, ...]:
        """The targets that are asked over the network, primary first; the local answer below them is implied."""
        return tuple(target for target in self.targets if target.name != "local")
