"""The live driver: performs the steps of a plan with sockets, a clock and tenacity.

The first attempt runs outside tenacity, which costs more than everything else of a call that succeeds; the first
``Backoff`` hands over to it. From then on tenacity owns the loop: its ``wait`` is the plan's delay, its condition is "the
plan wants to wait again". Only the callable form is used: the context-manager form swallows CancelledError.

However a call ends, its plan is told: an answer, or ``Abandoned`` when this task is cancelled because the client left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from sidecar.core.engine import Plan
from sidecar.core.vocabulary import Abandoned, Answered, Attempt, Backoff, Finish, Queue, Step, Woke
from sidecar.edge.chat.upstream import Asked

if TYPE_CHECKING:
    from tenacity import RetryCallState

Ask = Callable[[Attempt], Awaitable[Asked]]
Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Drive:
    """One call on its way. ``answers`` holds what targets said, by attempt; ``waited`` the seconds that were not ours."""

    __slots__ = ("_ask", "_now", "_plan", "_sleep", "answers", "attempts", "waited")

    def __init__(self, plan: Plan, ask: Ask, now: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._plan = plan
        self._ask = ask
        self._now = now
        self._sleep = sleep
        self.answers: dict[int, Asked] = {}
        self.attempts: list[tuple[str, float]] = []  # (target, seconds), in order
        self.waited = 0.0

    async def run(self) -> Finish:
        """Perform every step. Raises only CancelledError, after the plan has been told."""
        try:
            step = await self._until_pause(self._plan.start())
            if isinstance(step, Backoff):
                step = await self._with_retries(step)
        finally:
            if self._plan.finish is None:
                self._plan.send(Abandoned(self._now()))
        assert isinstance(step, Finish)  # noqa: S101 - the only other step that pauses is a Backoff
        return step

    async def _until_pause(self, step: Step) -> Backoff | Finish:
        """Perform steps up to the next one that waits for its own sake, or the last."""
        while True:
            if isinstance(step, Attempt):
                step = await self._attempt(step)
            elif isinstance(step, Queue):
                step = await self._queue(step)
            else:
                return step

    async def _with_retries(self, first: Backoff) -> Backoff | Finish:
        """From the first backoff on: tenacity's first call is handed that backoff, waits it out, and calls again."""
        from tenacity import AsyncRetrying, retry_if_result, stop_never  # noqa: PLC0415 - nobody waits for it at the start

        handed: list[Backoff] = [first]

        async def advance() -> Backoff | Finish:
            if handed:
                return handed.pop()
            return await self._until_pause(self._plan.send(Woke(self._now())))

        retrying = AsyncRetrying(
            retry=retry_if_result(_is_backoff), wait=_delay, stop=stop_never, sleep=self._timed_sleep
        )
        return await retrying(advance)

    async def _attempt(self, step: Attempt) -> Step:
        began = self._now()
        try:
            asked = await self._ask(step)
        finally:
            ended = self._now()
            self.waited += ended - began
            self.attempts.append((step.target, ended - began))
        self.answers[step.number] = asked
        return self._plan.send(Answered(ended, asked.outcome))

    async def _queue(self, step: Queue) -> Step:
        """Until it is granted or time is over: the plan sees from the ticket which it was."""
        began, loop = self._now(), asyncio.get_running_loop()
        woken = loop.create_future()
        step.ticket.wake = partial(_wake, woken)
        late = loop.call_later(step.timeout, _wake, woken)
        try:
            await woken
        finally:
            late.cancel()
            self.waited += self._now() - began
        return self._plan.send(Woke(self._now()))

    async def _timed_sleep(self, seconds: float) -> None:
        began = self._now()
        try:
            await self._sleep(seconds)
        finally:
            self.waited += self._now() - began


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _is_backoff(step: Step) -> bool:
    return isinstance(step, Backoff)


def _delay(state: RetryCallState) -> float:
    """The plan's own delay: it drew the jitter and paid for the retry."""
    assert state.outcome is not None  # noqa: S101 - tenacity asks after a call, never before
    step = state.outcome.result()
    return float(step.delay)
