"""Whether the policy's chaos rules are in force: the gates, the end, and who has opened them.

A policy alone breaks nothing. Its rules act while somebody who may start processes has said ``--allow-chaos``, or an operator with the
admin token has switched them on for a while; never after their own ``expires_at``, and not after an operator's stop, which holds until
somebody switches them on again. An order is for the rules that its author saw: it survives a reload that leaves them as they are, and ends
with one that changes them. None survives a restart.

The wall clock is read here alone. Rules get a monotonic moment from it, anew at every look, so that a clock that is set is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from sidecar.core.chaos import Armed
from sidecar.core.fact import ChaosSwitched, Emit
from sidecar.edge.order import check_order
from sidecar.edge.outlets.log import Log
from sidecar.policy.model import ChaosRule

LONGEST_HOURS = 4
LOOK = 0.5  # seconds: how late it may be noticed that a wall clock was set, or said that something has ended


class Live(Protocol):
    """What the answerer sees of it. ``live`` is empty while no rule is in force."""

    @property
    def live(self) -> tuple[Armed, ...]: ...


class Quiet(NamedTuple):
    """No chaos, ever."""

    live: tuple[Armed, ...] = ()


class Ordered(NamedTuple):
    """An operator's order to break attempts. ``until`` in monotonic seconds."""

    author: str
    reason: str
    until: float


class Chaos:
    """One for the life of the process."""

    def __init__(
        self, now: Callable[[], float], wall: Callable[[], float], emit: Emit, log: Log, *, allowed: bool
    ) -> None:
        """``now`` is monotonic seconds, ``wall`` seconds since 1970; ``allowed``: the process was started with --allow-chaos."""
        self._now, self._wall = now, wall
        self._emit, self._log = emit, log
        self._allowed = allowed
        self._stopped = False
        self._order: Ordered | None = None
        self._rules: tuple[ChaosRule, ...] = ()
        self.live: tuple[Armed, ...] = ()

    def adopt(self, rules: tuple[ChaosRule, ...]) -> None:
        """Take the rules of the policy that comes into force."""
        same, self._rules = rules == self._rules, rules
        if not same:
            self._order = None
        self._look("policy")
        unexpired = len(self._unexpired())
        if unexpired and not same and not self.live:
            self._log.warning(
                "chaos_not_armed", rules=unexpired, note="the policy has chaos rules, and nothing is broken"
            )

    def order(self, *, author: str, reason: str, ttl: float) -> None:
        """Switch the rules on for ``ttl`` seconds. Raises ValueError for what cannot be ordered, LookupError where no rule could act."""
        check_order(author, reason, ttl, most=LONGEST_HOURS)
        if not self._unexpired():
            raise LookupError(
                "the policy in force has no chaos rule that has not expired: there is nothing to switch on"
            )
        self._stopped = False
        self._order = Ordered(author, reason, self._now() + ttl)
        self._log.warning("chaos_ordered", author=author, reason=reason, ttl=ttl)
        self._look("operator")

    def stop(self) -> bool:
        """Break nothing any more, whoever allowed it; False if nothing was broken."""
        on, self._stopped, self._order = bool(self.live), True, None
        self._look("stopped")
        return on

    async def watch(self) -> None:
        """Notice what has ended, for ever."""
        while True:
            await asyncio.sleep(LOOK)
            if self.live:
                self._look("expired")

    def view(self) -> dict[str, object] | None:
        """How it stands, for people; None where the policy has no rule."""
        if not self._rules:
            return None
        now, order = self._now(), self._order
        return {
            "active": bool(self._acting()),
            "allowed_by": self._by(),
            "author": order.author if order else None,
            "reason": order.reason if order else None,
            "seconds_left": round(order.until - now, 1) if order else None,
            "rules": [dict(self._told(rule)) for rule in self._rules],
        }

    def notes(self) -> Iterator[str]:
        """What an operator should know of it."""
        acting, unexpired = self._acting(), self._unexpired()
        if acting:
            names = ", ".join(one.rule.name for one in acting)
            yield f"CHAOS is on: attempts on targets are broken on purpose ({names}), allowed by {self._by()}"
        elif unexpired:
            yield f"{_many(len(unexpired))} of the policy; nothing is broken, for nobody has switched them on"

    # -- how it stands --------------------------------------------------------------------------------------------

    def _look(self, why: str) -> None:
        """Work out what is in force now, and say what has changed; ``why`` it may have."""
        before, now = self.live, self._now()
        self.live = tuple(self._armed(now))
        gone = {one.rule.name for one in before} - {one.rule.name for one in self.live}
        if self.live:
            for name in sorted(gone):
                self._log.warning("chaos_rule_ended", rule=name)
        order = self._order
        if order is not None and order.until <= now:
            self._order, why = None, "ended" if why == "expired" else why
        if not self.live:
            self._order = None
        if bool(before) == bool(self.live):
            return
        if self.live:
            why = "operator" if self._order else "flag"
            self._log.warning("chaos_on", why=why, rules=[one.rule.name for one in self.live])
        else:
            self._log.warning("chaos_off", why=why)
        self._emit(ChaosSwitched(now, bool(self.live), why))

    def _armed(self, now: float) -> Iterator[Armed]:
        """The rules that are in force, in their order, each until it ends or whoever allowed it takes that back."""
        permitted = self._permitted(now)
        ahead = now - self._wall()
        for index, rule in enumerate(self._rules):
            until = min(rule.expires_at.epoch + ahead, permitted)
            if now < until:
                yield Armed(rule, index, until)

    def _permitted(self, now: float) -> float:
        """Until when rules may act."""
        if self._allowed and not self._stopped:
            return float("inf")
        return self._order.until if self._order is not None else now

    def _by(self) -> str | None:
        if self._allowed and not self._stopped:
            return "--allow-chaos"
        return self._order.author if self._order is not None else None

    def _acting(self) -> list[Armed]:
        now = self._now()
        return [one for one in self.live if now < one.until]

    def _unexpired(self) -> list[ChaosRule]:
        wall = self._wall()
        return [rule for rule in self._rules if wall < rule.expires_at.epoch]

    def _told(self, rule: ChaosRule) -> Iterator[tuple[str, object]]:
        yield "name", rule.name
        yield "target", rule.target
        yield "percentage", rule.percentage
        yield "expires_at", rule.expires_at.text
        yield "expired", self._wall() >= rule.expires_at.epoch


def _many(count: int) -> str:
    return (
        "1 chaos rule that has not expired is part"
        if count == 1
        else f"{count} chaos rules that have not expired are part"
    )
