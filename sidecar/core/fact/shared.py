"""What several replicas know together: that they ask, and whether anybody answers."""

from __future__ import annotations

from typing import Literal

from sidecar.core.value import Value

Told = Literal["answered", "late", "away"]
"""What came of a question to the shared store: an answer; none in time; or nobody was asked because the store is away."""

Trouble = Literal["connect", "timeout", "auth", "refused"]
"""Why a store is away: no connection, no answer in time, credentials, or it answers with an error (full, loading, read-only)."""


class StoreAsked(Value):
    """A chat asked what replicas share. Without an answer it is judged by this replica alone."""

    at: float
    told: Told


class StoreMoved(Value):
    """The shared store is ``up``, or it is not any more, and why."""

    at: float
    up: bool
    why: Trouble | None = None
