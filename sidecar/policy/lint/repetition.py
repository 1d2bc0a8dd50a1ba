"""Idempotency-Keys: a memory that forgets too early or too late, that is too small, or that nobody fills."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.lint.finding import Found
from sidecar.policy.model import Idempotency, Policy
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import size_text

LARGEST_ANSWER = 1 << 20  # bytes that are read of a target's answer
_READ = (
    "content-type",
    "content-length",
    "host",
    "origin",
    "accept-language",
    "x-correlation-id",
    "traceparent",
    "tracestate",
)


def of_the_policy(policy: Policy) -> Iterator[Found]:
    own = policy.idempotency
    if own.mode == "off":
        yield from _idle(own)
    else:
        yield from _time(policy)
        yield from _room(policy)
        yield from _header(policy)


def _idle(own: Idempotency) -> Iterator[Found]:
    """The header is read for targets that honour keys, whatever the mode."""
    for field, value in own:
        if field not in ("mode", "header") and value != getattr(Idempotency(), field):
            yield Found(
                "idempotency-idle",
                "nothing is remembered while idempotency.mode is off: write mode: on, or leave it out",
                (f"idempotency.{field}", "idempotency.mode"),
            )


def _time(policy: Policy) -> Iterator[Found]:
    own, patience = policy.idempotency, policy.deadline.client
    if own.ttl < patience:
        yield Found(
            "idempotency-forgets-early",
            f"a client waits {t(patience)} for an answer before it asks again, and by then one of {t(own.ttl)} ago is forgotten: the "
            f"chat is carried out twice; write {t(patience)} or more",
            ("idempotency.ttl", "deadline.client"),
        )
    shortest = min((target.breaker.open.base for target in policy.ladder[:1]), default=own.degraded_ttl)
    if own.degraded_ttl > shortest:
        yield Found(
            "idempotency-keeps-degraded",
            f"{policy.ladder[0].name} may be back after {t(shortest)}, and who asks again would go on getting the degraded answer: "
            f"write {t(shortest)} or less",
            ("idempotency.degraded_ttl",),
        )


def _room(policy: Policy) -> Iterator[Found]:
    own, chats = policy.idempotency, policy.overload.chats
    if own.max < chats:
        yield Found(
            "idempotency-too-few",
            f"{chats} chats may be under way at once, and beyond {own.max} they are answered without being remembered: write {chats} "
            "or more",
            ("idempotency.max", "overload.chats"),
        )
    if own.max_size < 2 * LARGEST_ANSWER:
        yield Found(
            "idempotency-too-small",
            f"one answer may have {size_text(LARGEST_ANSWER)}: in {size_text(own.max_size)} it finds no room, or drives all others out; "
            f"write {size_text(2 * LARGEST_ANSWER)} or more",
            ("idempotency.max_size",),
        )


def _header(policy: Policy) -> Iterator[Found]:
    header = policy.idempotency.header
    if header in (policy.auth.header, policy.deadline.header, *_READ):
        yield Found(
            "idempotency-header-taken",
            f"{header} says something else already, so every chat would have a key, and often the same one: write idempotency-key",
            ("idempotency.header", "auth.header", "deadline.header"),
        )
