"""The lines of a journal, as they are written: one type for each input of the engine, and for what a call came to.

A line is a flat JSON object whose ``in`` says which it is, with these fields in this order; one that is not set is left out.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

__all__ = [
    "UNSET", "Abandoned", "Adopt", "Answered", "Call", "Dormancy", "Ended", "Fault", "Health", "Judged", "Line", "Override", "Woke",
]  # fmt: skip


class Line(Struct, tag_field="in", tag=str.lower, gc=False):
    """Any of them."""


class Call(Line):
    at: float
    call: int
    patience: float
    correlation_id: str
    revision: str
    session: str | UnsetType = UNSET


class Answered(Line):
    at: float
    call: int
    error: str | None
    status: int | None
    body: dict[str, str]
    text: bool
    retry_after: float | None
    attempt: int | UnsetType = UNSET


class Woke(Line):
    at: float
    call: int


class Abandoned(Line):
    at: float
    call: int


class Judged(Line):
    """Of attempts side by side the events do not say which it was, and since when: ``attempt`` and ``seconds`` do."""

    call: int
    target: str
    verdict: str
    attempt: int | UnsetType = UNSET
    seconds: float | UnsetType = UNSET


class Ended(Line):
    call: int
    provider: str | None
    degraded: bool
    reason: str | None
    first_reason: str | None
    attempts: int


class Dormancy(Line):
    at: float
    active: list[str] | None


class Health(Line):
    at: float
    target: str
    error: str | None
    status: int | None
    busy: bool
    seconds: float
    verdict: str


class Override(Line):
    at: float
    target: str
    override: str | None


class Fault(Line):
    at: float
    call: int
    target: str
    number: int
    fault: str
    rule: str


class Adopt(Line):
    at: float
    revision: str
    source: str
    policy: dict[str, Any]
