"""The bodies of answered chats, field by field in the order in which they are written; one that is not set is left out."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

__all__ = ["UNSET", "Eight", "Superset"]


class Eight(Struct):
    """The fields of the reference."""

    response: str
    model_used: str
    latency_ms: float
    correlation_id: str
    session_id: str
    provider: str
    status: str
    degraded: bool


class Superset(Eight):
    """These, and those that today's UI reads."""

    message_id: str
    model: str
    fallback_source: str
    reason: str | UnsetType = UNSET
