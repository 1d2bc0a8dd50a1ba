"""The end of the client's patience, and what a target and one attempt may take of what is left.

A deadline is a moment, in monotonic seconds: what is left of it at another moment is their difference.
"""

from __future__ import annotations

from sidecar.core.vocabulary import Binding

MIN_ATTEMPT = 0.05
"""Seconds. With less than this left a target is not asked: the answer could hardly come, and its lateness would be our fault."""

MAX_RESERVED = 0.5
"""Share of the time left that the targets below may keep back. A client with little patience still gets the primary asked."""


def part(deadline: float, now: float, reserved: float) -> float:
    """The deadline of one target that is turned to now: the call's, less what is kept back for those below it.

    Taken once per target and not again for each of its retries, which would eat the reserve half by half.
    """
    return deadline - min(reserved, max(deadline - now, 0.0) * MAX_RESERVED)


def bounded(until: float, now: float, own: float | None) -> tuple[float, Binding]:
    """Seconds an attempt may take, and what bounds it: its ``own`` timeout or what is left."""
    left = until - now
    if own is not None and own <= left:
        return own, Binding.ATTEMPT
    return left, Binding.DEADLINE
