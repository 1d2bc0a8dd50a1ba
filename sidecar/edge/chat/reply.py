"""What a client gets to read from us on the chat path, in one of the shapes that VX11's clients know (``reply.shape``).

``superset`` is the eight fields of the reference and those today's UI reads, ``reference`` is the eight alone, ``stub`` is what the
backend before the reference answered. A shape chooses fields and never what they say. Errors have one shape, with what FastAPI, the
gateway and the reference each call it. Nothing of an upstream's error text is ever in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from msgspec.json import Encoder

from sidecar.core.value import Value
from sidecar.core.vocabulary import Reason
from sidecar.edge.chat.superset import UNSET, Eight, Superset
from sidecar.edge.microseconds import in_milliseconds
from sidecar.policy.model import Cors, Policy

NAME = "vx11-sidecar"
_encode = Encoder().encode

_PROXY_ERROR = {  # our reason, and the nearest error type of RFC 9209
    Reason.OPEN: "destination_unavailable",
    Reason.FAILURE: "destination_unavailable",
    Reason.TIMEOUT: "http_response_timeout",
    Reason.BUDGET: "destination_unavailable",
    Reason.LIMITED: "connection_limit_reached",
    Reason.DORMANT: "destination_unavailable",
    Reason.UNHEALTHY: "destination_unavailable",
    Reason.MISCONFIGURED: "proxy_configuration_error",
    Reason.CALLER_ERROR: "http_request_denied",
    Reason.WAITING: "http_response_incomplete",
    Reason.OFF: "destination_unavailable",
    Reason.AFFINITY: "destination_unavailable",
}


class Reply(Value):
    """A complete answer: status, body, and the fields that belong to it alone."""

    status: int
    body: bytes
    fields: dict[str, str] = {}  # noqa: RUF012 - each gets one of its own


class Caller(Value):
    """Whom an answer goes to: the id of the exchange and the Origin of the page, if a browser asks."""

    correlation_id: str
    origin: str | None = None


class Answered(Value):
    """Who answered a chat with what. ``message_id`` is unique."""

    provider: str
    text: str
    model: str
    degraded: bool
    reason: Reason | None
    message_id: str


def chat_answer(
    caller: Caller, session_id: str, answered: Answered, seconds: float, timing: str = "", *, eight: bool = False
) -> Reply:
    """The eight fields of the reference (only these if ``eight``), and those that today's UI and the gateway's tests read.

    ``seconds`` is what the client waited; in the body it is milliseconds, as the reference has it. ``timing`` says for what.
    ``status`` is ``degraded`` where the reference goes on saying ``ok``: its own schema has both words.
    """
    fields = {"Server-Timing": timing} if timing else {}
    text, model, provider, milliseconds = answered.text, answered.model, answered.provider, in_milliseconds(seconds)
    status, reason = "degraded" if answered.degraded else "ok", answered.reason
    if reason is not None:
        fields["Proxy-Status"] = proxy_status(reason)
    who, degraded = caller.correlation_id, answered.degraded
    if eight:
        body = _encode(Eight(text, model, milliseconds, who, session_id, provider, status, degraded))
    else:
        message, why = answered.message_id, UNSET if reason is None else reason.value
        body = _encode(
            Superset(
                text, model, milliseconds, who, session_id, provider, status, degraded, message, model, provider, why
            )
        )
    return Reply(200, body, fields)


def stub_answer(caller: Caller, session_id: str, answered: Answered, at: float, timing: str = "") -> Reply:
    """The envelope of the old stub; ``at`` is the time of day, in seconds since 1970. A degraded answer says so beside it."""
    data = {
        "correlation_id": caller.correlation_id,
        "session_id": session_id,
        "response": answered.text,
        "model": answered.model,
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    fields = {"Server-Timing": timing} if timing else {}
    body: dict[str, Any] = {"ok": True, "data": data}
    if answered.reason is not None:
        body.update(degraded=True, reason=answered.reason)
        fields["Proxy-Status"] = proxy_status(answered.reason)
    return Reply(200, orjson.dumps(body), fields)


Rejection = Literal["auth_required", "forbidden", "too_large", "body_timeout", "overloaded"]


def rejection(word: Rejection, caller: Caller, policy: Policy) -> Reply:
    """What is said to a chat that is turned away before anybody read it."""
    limit = policy.guards.max_body
    detail = f"Body too large (max {limit} bytes)" if word == "too_large" else word
    status, fields = _REJECTIONS[word]
    if word == "auth_required" and policy.auth.sources != ("header",):
        fields = {"WWW-Authenticate": _challenges(policy.auth.sources)}
    return _error(status, caller, detail, fields, error=detail, status_code=status)


_REJECTIONS: Mapping[Rejection, tuple[int, dict[str, str]]] = {
    "auth_required": (401, {"WWW-Authenticate": "VX11-Token"}),
    "forbidden": (403, {}),
    "too_large": (413, {}),
    "body_timeout": (408, {}),
    "overloaded": (503, {"Retry-After": "1"}),
}


def _challenges(sources: Sequence[str]) -> str:
    """A challenge for each way in that has a name (RFC 9110 11.6.1); a query has none of its own."""
    ours = ("VX11-Token",) if "header" in sources or "bearer" not in sources else ()
    return ", ".join((*ours, "Bearer") if "bearer" in sources else ours)


def message_too_long(caller: Caller, limit: int, length: int, session_id: str) -> Reply:
    words = f"Message too long (max {limit} characters)"
    return _error(413, caller, words, error=words, message_length=length, session_id=session_id)


def invalid(caller: Caller, status: int, detail: Any) -> Reply:
    return _error(status, caller, detail)


def rate_limited(caller: Caller, rate: str, retry_after: float, session_id: str) -> Reply:
    """``retry_after`` in seconds, rounded up: a client that waits as told must be let in."""
    seconds = max(int(-(-retry_after // 1)), 1)
    words = f"Rate limit exceeded ({rate})"
    fields = {"Retry-After": str(seconds)}
    return _error(429, caller, words, fields, error=words, retry_after=seconds, session_id=session_id)


def key_running(caller: Caller, retry_after: float) -> Reply:
    """``retry_after`` in seconds, rounded up: by then the first chat is over, whatever comes of it."""
    seconds = max(int(-(-retry_after // 1)), 1)
    words = "A chat with this Idempotency-Key is still being answered"
    return _error(409, caller, words, {"Retry-After": str(seconds)}, error=words, retry_after=seconds)


def key_mismatch(caller: Caller, header: str) -> Reply:
    words = "This Idempotency-Key was sent with another message, session or metadata before"
    problem = {"type": "idempotency_key_reused", "loc": ["header", header], "msg": words, "input": None}
    return _error(422, caller, [problem])


def key_invalid(caller: Caller) -> Reply:
    words = "An Idempotency-Key is one header field of 1 to 255 printable ASCII characters"
    return _error(400, caller, words, error=words)


def unavailable(caller: Caller, reason: Reason, timing: str = "") -> Reply:
    fields = {"Retry-After": "5", "Proxy-Status": proxy_status(reason)}
    if timing:
        fields["Server-Timing"] = timing
    return _error(503, caller, "Chat service unavailable", fields, reason=reason, degraded=True)


def internal(caller: Caller) -> Reply:
    return _error(500, caller, "Internal Server Error")


def _error(status: int, caller: Caller, detail: Any, fields: dict[str, str] | None = None, **more: Any) -> Reply:
    body = {"detail": detail, **more, "correlation_id": caller.correlation_id}
    return Reply(status, orjson.dumps(body), fields or {})


def common_fields(caller: Caller, cors: Cors) -> dict[str, str]:
    """The fields of every answer of ours: its id, and what a page of an allowed origin needs to read it."""
    fields = {
        "Content-Type": "application/json",
        "Server": NAME,
        "X-Correlation-Id": caller.correlation_id,
        "Vary": "Origin",
    }
    if caller.origin is not None and caller.origin in cors.origins:
        fields["Access-Control-Allow-Origin"] = caller.origin
        fields["Access-Control-Allow-Credentials"] = "true"
        fields["Access-Control-Expose-Headers"] = ", ".join(cors.expose)
    return fields


def proxy_status(reason: Reason) -> str:
    """RFC 9209: that we answered instead of the primary target, and why."""
    return f'{NAME}; error={_PROXY_ERROR[reason]}; details="{reason.value}"'
