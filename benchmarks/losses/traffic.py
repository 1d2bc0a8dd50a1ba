"""Chats at a steady pace while something is done to the sidecar: nobody waits for anybody, and each has a session of its own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.parts import quantile
from benchmarks.policies.client import Chat, Client

MOST = 4000  # chats of one block


class Sent(NamedTuple):
    """A chat with when it was sent and when its answer was there, by ``time.perf_counter``."""

    begun: float
    ended: float
    chat: Chat

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


class Traffic:
    """Sends ``rate`` chats a second, as a Poisson process of ``luck``, while the block runs; ``sent`` has those that are over."""

    def __init__(self, client: Client, rate: float, luck: Random) -> None:
        self._client = client
        self._rate = rate
        self._luck = luck
        self._tasks: list[asyncio.Task[None]] = []
        self._sender: asyncio.Task[None] | None = None
        self.sent: list[Sent] = []

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sender is not None:
            self._sender.cancel()
        await asyncio.gather(*self._tasks)

    async def _send(self) -> None:
        due = time.perf_counter()
        while len(self._tasks) < MOST:
            due += self._luck.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._tasks.append(asyncio.create_task(self._one()))

    async def _one(self) -> None:
        begun = time.perf_counter()
        chat = await self._client.chat()
        self.sent.append(Sent(begun, time.perf_counter(), chat))

    @property
    def under_way(self) -> int:
        return len(self._tasks) - len(self.sent)

    def between(self, since: float, until: float) -> list[Sent]:
        """Those sent then."""
        return [each for each in self.sent if since <= each.begun < until]


def failed(sent: list[Sent]) -> int:
    return sum(each.chat.status != 200 for each in sent)


def degraded(sent: list[Sent]) -> int:
    return sum(each.chat.degraded for each in sent)


def slowest(sent: list[Sent]) -> float:
    """Seconds; 0 where nothing was sent."""
    return max((each.seconds for each in sent), default=0.0)


def median(sent: list[Sent]) -> float:
    """Seconds; 0 where nothing was sent."""
    return quantile([each.seconds for each in sent], 0.5) if sent else 0.0


def troubles(sent: list[Sent]) -> str:
    """What became of those that got no 200."""
    found = Counter(str(each.chat.status or each.chat.trouble) for each in sent if each.chat.status != 200)
    return ", ".join(f"{count} {word}" for word, count in found.most_common())
