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
from typing import TYPE_CHECKING, NamedTuple

from sidecar.core.engine import Plan
from sidecar.core.vocabulary import Abandoned, Answered, Attempt, Backoff, Finish, Queue, Race, Step, Woke
from sidecar.edge.chat.alarm import Alarm
from sidecar.edge.chat.eager import Promise
from sidecar.edge.chat.upstream import Asked

if TYPE_CHECKING:
    from tenacity import RetryCallState

Ask = Callable[[Attempt], Awaitable[Asked]]
Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


def fetch() -> None:
    """Import what retries take, beside whoever is served: when the first is due there may be no descriptor left to read it with."""
    import tenacity  # noqa: F401, PLC0415 - nobody waits for it at the start


class Drive:
    """One call on its way. ``answers`` holds what targets said, by attempt; ``waited`` the seconds that were not ours."""

    __slots__ = ("_alarm", "_ask", "_flights", "_now", "_plan", "_sleep", "answers", "attempts", "waited")

    def __init__(
        self,
        plan: Plan,
        ask: Ask,
        now: Clock,
        sleep: Sleep = asyncio.sleep,
        alarm: Alarm | None = None,
    ) -> None:
        """``alarm`` is that of many calls, on the loop that runs."""
        self._alarm = alarm
        self._plan = plan
        self._ask = ask
        self._now = now
        self._sleep = sleep
        self._flights: dict[int, _Flight] = {}  # the attempts of a race
        self.answers: dict[int, Asked] = {}
        self.attempts: list[tuple[str, float]] = []  # (target, seconds), in order
        self.waited = 0.0

    async def run(self) -> Finish:
        """Perform every step. Raises only CancelledError, after the plan has been told."""
        try:
            step = await self._until_pause(self._plan.start())
            if isinstance(step, Backoff):
                step = await self._with_retries(step)
        except BaseException:
            # Not in a ``finally``: mypyc raises ever after what came through one in which something is awaited.
            await self._abandon()
            raise
        assert isinstance(step, Finish)  # noqa: S101 - the only other step that pauses is a Backoff
        return step

    async def _abandon(self) -> None:
        if self._plan.finish is None:
            self._plan.send(Abandoned(self._now()))
        if self._flights:
            await self._end_race()

    async def _until_pause(self, step: Step) -> Backoff | Finish:
        """Perform steps up to the next one that waits for its own sake, or the last."""
        while True:
            if self._flights and not isinstance(step, Race):
                await self._end_race()
            if isinstance(step, Attempt):
                step = await self._attempt(step)
            elif isinstance(step, Queue):
                step = await self._queue(step)
            elif isinstance(step, Race):
                step = await self._race(step)
            else:
                return step

    async def _with_retries(self, first: Backoff) -> Backoff | Finish:
        """From the first backoff on: tenacity's first call is handed that backoff, waits it out, and calls again."""
        from tenacity import AsyncRetrying, retry_if_result, stop_never  # noqa: PLC0415 - ``fetch`` has been there before

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

    async def _race(self, step: Race) -> Step:
        """Until one of its attempts has ended or it is time to wake. Each is a task of this call, which ends them all."""
        began, loop = self._now(), self._alarm.loop if self._alarm else asyncio.get_running_loop()
        woken = loop.create_future()
        for attempt in step.attempts:
            if attempt.number not in self._flights:
                self._flights[attempt.number] = _Flight(loop.create_task(_asked(self._ask(attempt))), began)
        flights = [self._flights[attempt.number] for attempt in step.attempts]
        for flight in flights:
            flight.task.add_done_callback(partial(_landed, woken))
        late = None if step.wake is None else loop.call_later(step.wake, _wake, woken)
        try:
            await woken
        finally:
            if late is not None:
                late.cancel()
            self.waited += self._now() - began
        return self._plan.send(self._heard(step))

    def _heard(self, step: Race) -> Answered | Woke:
        """The first attempt that has ended, if one has."""
        now = self._now()
        for attempt in step.attempts:
            flight = self._flights[attempt.number]
            if flight.task.done():
                del self._flights[attempt.number]
                asked = self.answers[attempt.number] = flight.task.result()
                self.attempts.append((attempt.target, now - flight.began))
                return Answered(now, asked.outcome, attempt.number)
        return Woke(now)

    async def _end_race(self) -> None:
        """Cancel who lost, and see it end: its connection is closed, and nothing of it outlives the call."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._flights.clear()

    async def _queue(self, step: Queue) -> Step:
        """Until it is granted or time is over: the plan sees from the ticket which it was.

        Granted it is while another call gives its slot back: this one goes on when that one has come to where it waits.
        """
        began, woken, alarm = self._now(), Promise[None](), self._alarm or Alarm(asyncio.get_running_loop())
        step.ticket.wake = partial(woken.settle_later, None)
        alarm.watch(woken, alarm.loop.time() + step.timeout, partial(woken.settle, None))
        try:
            await woken
        finally:
            alarm.forget(woken)
            self.waited += self._now() - began
        return self._plan.send(Woke(self._now()))

    async def _timed_sleep(self, seconds: float) -> None:
        began = self._now()
        try:
            await self._sleep(seconds)
        finally:
            self.waited += self._now() - began


class _Flight(NamedTuple):
    """An attempt of a race, and when it began."""

    task: asyncio.Task[Asked]
    began: float


async def _asked(asking: Awaitable[Asked]) -> Asked:
    return await asking


def _landed(woken: asyncio.Future[None], _: asyncio.Task[Asked]) -> None:
    _wake(woken)


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
