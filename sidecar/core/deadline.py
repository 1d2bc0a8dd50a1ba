"""The end of the client's patience, as an absolute time, and what one attempt may take of what is left."""

from __future__ import annotations

from typing import NamedTuple

from sidecar.core.vocabulary import Binding

MIN_ATTEMPT = 0.05
"""Seconds. With less than this left a target is not asked: the answer could hardly come, and its lateness would be our fault."""

MAX_RESERVED = 0.5
"""Share of the time left that the targets below may keep back. A client with little patience still gets the primary asked."""


class Deadline(NamedTuple):
    """``at``: when the answer must leave, in monotonic seconds."""

    at: float

    def part(self, now: float, reserved: float) -> Deadline:
        """The deadline of one target that is turned to now: this one, less what is kept back for those below it.

        Taken once per target and not again for each of its retries, which would eat the reserve half by half.
        """
        left = self.at - now
        return Deadline(self.at - min(reserved, max(left, 0.0) * MAX_RESERVED))

    def left(self, now: float) -> float:
        return self.at - now

    def attempt(self, now: float, own: float | None) -> tuple[float, Binding]:
        """Seconds an attempt may take, and what bounds it: its ``own`` timeout or what is left."""
        left = self.at - now
        if own is not None and own <= left:
            return own, Binding.ATTEMPT
        return left, Binding.DEADLINE
