"""What an operator decided by hand, for a while: a breaker held open or closed, a target switched off.

Every override has an author, a reason and an end, and none survives a restart: what should last belongs in the policy.
The engine knows only what is overridden; who said so and until when is known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from sidecar.core.engine import Engine
from sidecar.core.vocabulary import Override
from sidecar.edge.order import LONGEST_TEXT, check_order
from sidecar.edge.outlets.log import Log

LONGEST_HOURS = 24
EXPIRY_LOOK = 0.5  # seconds: how late an override may end


class Held(NamedTuple):
    """An override in force. ``until`` in monotonic seconds."""

    target: str
    kind: Override
    author: str
    reason: str
    until: float


class Overrides:
    """At most one per target; a new one replaces the old."""

    def __init__(self, engine: Engine, now: Callable[[], float], log: Log) -> None:
        self._engine = engine
        self._now = now
        self._log = log
        self._held: dict[str, Held] = {}

    def hold(self, target: str, kind: str, *, author: str, reason: str, ttl: float) -> Held:
        """Put an override in force for ``ttl`` seconds. Raises ValueError for what cannot be one."""
        if target not in self._engine.targets:
            known = ", ".join(self._engine.targets)
            raise ValueError(f"target: there is no {target[:LONGEST_TEXT]!r}, there are {known}")
        if kind not in set(Override):
            raise ValueError(f"kind: {kind[:LONGEST_TEXT]!r} is none of {', '.join(Override)}")
        check_order(author, reason, ttl, most=LONGEST_HOURS)
        override = Override(kind)
        held = Held(target, override, author, reason, self._now() + ttl)
        self._held[target] = held
        self._engine.override(self._now(), target, override)
        self._log.warning("override_set", target=target, kind=kind, author=author, reason=reason, ttl=ttl)
        return held

    def release(self, target: str, why: str) -> bool:
        """End an override; False if there is none."""
        if self._held.pop(target, None) is None:
            return False
        self._engine.override(self._now(), target, None)
        self._log.warning("override_ended", target=target, why=why)
        return True

    def active(self, kind: str) -> int:
        return sum(held.kind == kind for held in self._held.values())

    def view(self) -> list[dict[str, object]]:
        """What is in force, for people."""
        now = self._now()
        return [
            {
                "target": held.target,
                "kind": held.kind,
                "author": held.author,
                "reason": held.reason,
                "seconds_left": round(held.until - now, 1),
            }
            for held in self._held.values()
        ]

    async def expire(self) -> None:
        """End overrides whose time is over, for ever."""
        while True:
            await asyncio.sleep(EXPIRY_LOOK)
            now = self._now()
            for held in [held for held in self._held.values() if held.until <= now]:
                self.release(held.target, "expired")
