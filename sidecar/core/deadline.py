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

    def share(self, now: float, reserved: float) -> float:
        """Seconds a target may take of what is left, be it in its queue, between its attempts or for an answer."""
        left = self.at - now
        return left - min(reserved, left * MAX_RESERVED)

    def attempt(self, now: float, own: float | None, reserved: float) -> tuple[float, Binding]:
        """Seconds an attempt may take, and what bounds it: its ``own`` timeout or what is left minus ``reserved``."""
        shared = self.share(now, reserved)
        if own is not None and own <= shared:
            return own, Binding.ATTEMPT
        return shared, Binding.DEADLINE
