"""What happened at the edge: requests that are no calls, answers, policies read, faults switched on."""

from __future__ import annotations

from typing import Literal

from sidecar.core.value import Value


class ReloadEnded(Value):
    """Somebody wanted the policy read again: ``trigger`` is file, signal or admin, ``result`` changed, unchanged or failed."""

    at: float
    trigger: str
    result: str


class RateLimited(Value):
    """A chat was refused by the sliding window of its session or peer."""

    at: float
    retry_after: float
    anonymous: bool


class ChatRejected(Value):
    """A chat got an answer before any plan was made: 401, 403, 413, 422, 429, … ``reason`` is a closed word.

    Here as in the other facts about requests, ``template`` is the known path that was asked for and ``client`` the kind of program
    that asked: words of the inventory in ``wire``, ``other`` where it has none.
    """

    at: float
    status: int
    reason: str
    seconds: float
    template: str = "other"
    client: str = "other"


class ChatReplayed(Value):
    """A chat was sent again under its Idempotency-Key, and got the answer that the first one had got: no call, no plan, no target.

    ``first`` is the correlation id of that one.
    """

    at: float
    correlation_id: str
    first: str
    status: int
    seconds: float
    template: str = "other"
    client: str = "other"


KeyUse = Literal["claimed", "full", "kept", "freed", "evicted"]
"""What became of an Idempotency-Key: claimed by a chat, or not because too many are; its answer kept, or the key freed because there
is none to keep; or its answer gone before its time, to make room."""


class KeyUsed(Value):
    """An Idempotency-Key changed its state. Which one is nobody's business."""

    at: float
    use: KeyUse


class KeySent(Value):
    """A target that honours it (effects dedup) gets an Idempotency-Key with this call, ``made`` where the client sent none."""

    at: float
    call: int
    target: str
    made: bool


class ChatServed(Value):
    """The answer to an admitted chat left. ``overhead`` is our own part of ``seconds``: no target, queue or backoff.

    ``outcome`` is primary, fallback, local, failed or client_gone; ``status`` is 499 when the client left. ``trace_id`` is that of the
    trace this chat is part of, in 32 hexadecimal digits, and ``sampled`` whether anybody keeps that trace.
    """

    at: float
    call: int
    correlation_id: str
    outcome: str
    status: int
    seconds: float
    overhead: float
    template: str = "other"
    client: str = "other"
    trace_id: str | None = None
    sampled: bool = False


class RelayEnded(Value):
    """One relayed request is over. ``kind`` is http, sse or websocket; ``status`` None when there was no answer.

    ``error`` is a closed word (connect, timeout, reset, protocol, truncated, client-gone, loop, denied, unauthorised) or None.
    """

    at: float
    kind: str
    method: str
    status: int | None
    seconds: float
    sent: int
    received: int
    error: str | None
    template: str = "other"
    client: str = "other"


class MessageRefused(Value):
    """A message on the data port was not HTTP as we accept it. ``why`` is one of the closed words of ``wire``."""

    at: float
    status: int
    why: str


class RequestShed(Value):
    """A request was answered 503 at once because there is too much to do: ``why`` is chats or relays (too many at once) or lag."""

    at: float
    why: str


TokenJudgement = Literal["passed", "missing", "wrong"]
"""What became of a token that another proxy asked about."""


class TokenJudged(Value):
    """Another proxy asked whether a request may pass, and was told."""

    at: float
    result: TokenJudgement


Would = Literal[
    "pass", "auth_required", "forbidden", "too_large", "invalid", "message_too_long", "rate_limited", "target", "undecided"
]  # fmt: skip
"""What we would have said to a chat that was relayed: pass, or why we would have refused it."""

Gave = Literal["answered", "degraded", "rejected", "error", "unreadable", "client_gone"]
"""What a chat got from the gateway instead."""


class ChatObserved(Value):
    """A chat was relayed under ``mode: shadow`` and looked at, and that is over.

    ``route`` is chat; alias or commands for what looks like it and would need a token; reject for what we would not pass on at all.
    ``status`` is that of the answer the client got, None where none began; ``seconds`` go from the request's head to the end of the
    answer, and are ``late`` where an answer of ours would have left before, whoever ended it.
    """

    at: float
    route: str
    would: Would
    gateway: Gave
    status: int | None
    seconds: float
    late: bool


class ChaosSwitched(Value):
    """From now on rules of chaos break attempts, or none does any more.

    ``why`` is flag or operator (on); expired, stopped, ended (the operator's time is over) or policy (off).
    """

    at: float
    active: bool
    why: str
