"""Faults between the plan and the network: the attempts of one chat, some of them broken on purpose.

Made only for a chat that begins while chaos is in force. Whether a rule acts is decided for each attempt anew, so that a stop holds at
once, also for chats that are under way. What is decided is ``core/chaos``'s; here it is waited for, asked and said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sidecar.core import chaos
from sidecar.core.fact import Emit, Fault, FaultInjected
from sidecar.core.vocabulary import Attempt
from sidecar.edge.chaos import Live
from sidecar.edge.chat.upstream import Asked
from sidecar.policy.model import ChaosRule
from sidecar.wire.request import Request

Ask = Callable[[Attempt], Awaitable[Asked]]


class Injection:
    """Asks targets for one chat, as ``ask`` does but for what rules break."""

    def __init__(  # noqa: PLR0917 - all that a fault is decided by and said with
        self, ask: Ask, live: Live, seed: int, call: int, request: Request, now: Callable[[], float], emit: Emit
    ) -> None:
        self._ask = ask
        self._live = live
        self._seed = seed
        self._call = call
        self._request = request
        self._now = now
        self._emit = emit

    async def __call__(self, step: Attempt) -> Asked:
        """Raises CancelledError alone."""
        rule = chaos.met(self._now(), self._live.live, step, self._carries, seed=self._seed, call=self._call)
        return await self._ask(step) if rule is None else await self._broken(step, rule)

    async def _broken(self, step: Attempt, rule: ChaosRule) -> Asked:
        for fault in chaos.at_first(rule, step):
            self._tell(step, rule, fault)
        seconds, instead = chaos.before(rule, step)
        began = self._now()
        if seconds:
            await asyncio.sleep(seconds)
        if instead is not None:
            return Asked(instead)
        asked = await self._ask(chaos.left(step, self._now() - began))
        spoiled = chaos.after(rule, asked.outcome)
        if spoiled is asked.outcome:
            return asked
        self._tell(step, rule, chaos.at_last(rule))
        return Asked(spoiled)

    def _tell(self, step: Attempt, rule: ChaosRule, fault: Fault) -> None:
        self._emit(FaultInjected(self._now(), self._call, step.target, step.number, fault, rule.name))

    def _carries(self, name: str, value: str) -> bool:
        return self._request.field(name.encode()) == value.encode()
