"""The load: chats and relayed requests as they come, of which nobody waits for another, and what became of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import NamedTuple

from benchmarks.endurance.town import DEADLINE
from benchmarks.policies.client import PATIENCE, Chat, Client

RELAYED = 0.2  # of all requests
KEYED = 0.05  # of the chats have an Idempotency-Key; one in four of those is sent twice
AGAIN = "again"  # begins the texts of chats that are sent twice, and may so be asked twice
LEAVING = 0.03  # of the chats: the client goes
# 503, because the event loop is late (overload.wait)
CHATS_AWAY, RELAYS_AWAY = "chats turned away", "relays turned away"
SLACK = 0.25  # seconds beyond the deadline, and what our own loop was late by
AT_ONCE = 16  # chats, to find what it can do


class Told(NamedTuple):
    """What came of the requests of some time: counts by word, the seconds that chats took, and by how many we came late to one at most."""

    counts: Counter[str]
    seconds: list[float]
    lateness: float = 0.0


class Load:
    """``rate`` requests a second; those that are no chats go to ``relayed``."""

    def __init__(self, client: Client, relayed: str, rate: float, seed: int) -> None:
        self._client = client
        self._relayed = relayed
        self._rate = rate
        self._luck = random.Random(f"load {seed}")
        self._counts: Counter[str] = Counter()
        self._seconds: list[float] = []
        self._number = 0
        self.total: Counter[str] = Counter()
        self._lateness = 0.0

    async def run(self, lasts: float) -> None:
        """A Poisson process. Ends when all that it sent is answered."""
        over, due = time.perf_counter() + lasts, time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while due < over:
                await asyncio.sleep(due - time.perf_counter())
                self._lateness = max(self._lateness, time.perf_counter() - due)
                group.create_task(self._relay() if self._luck.random() < RELAYED else self._chat())
                due += self._luck.expovariate(self._rate)

    def taken(self) -> Told:
        """All since it was taken last."""
        told = Told(self._counts, self._seconds, self._lateness)
        self._counts, self._seconds, self._lateness = Counter(), [], 0.0
        return told

    async def _relay(self) -> None:
        try:
            status = await self._client.status(self._relayed)
            self._note("relayed" if status == 200 else RELAYS_AWAY if status == 503 else f"relay: {status}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            self._note(f"relay: {type(error).__name__}")

    async def _chat(self) -> None:
        luck, self._number = self._luck, self._number + 1
        leaves = luck.uniform(0.02, 0.6) if luck.random() < LEAVING else None
        key = f"key-{self._number}" if luck.random() < KEYED else None
        again = key is not None and luck.random() < 0.25
        text = f"{AGAIN if again else self._number} " + "hola " * luck.randint(0, 100)
        await self._one(text, key, leaves)
        if again:
            await self._one(text, key, None)

    async def _one(self, text: str, key: str | None, leaves: float | None) -> None:
        session = f"soak-{self._number}" if key is None else f"soak-{key}"
        patience = PATIENCE if leaves is None else leaves
        got = await self._client.chat(text, session=session, key=key, patience=patience)
        self._note(self._word(got, leaves))
        if got.status == 200:
            self._seconds.append(got.seconds)
        if got.seconds > DEADLINE + SLACK + self._lateness:
            self._note("late")

    def _word(self, got: Chat, leaves: float | None) -> str:
        if got.status == 200:
            return f"by {got.provider}"
        if got.status == 503:
            return CHATS_AWAY
        if got.status == 409:
            return "under way"  # the same key, and the client that left was not seen to
        return "left" if leaves is not None and got.trouble == "timeout" else f"failed: {got.status} {got.trouble}"

    def _note(self, word: str) -> None:
        self._counts[word] += 1
        self.total[word] += 1


async def capacity(client: Client, lasts: float) -> float:
    """Chats a second with so many at once, one after the other on each; what load, targets and sidecar can do together on this machine."""
    over, done = time.perf_counter() + lasts, 0

    async def one(number: int) -> None:
        nonlocal done
        while time.perf_counter() < over:
            got = await client.chat(session=f"before-{number}-{done}")
            if got.status != 200:
                raise RuntimeError(f"a chat in peace came to {got.status} {got.trouble}")
            done += 1

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(one(number))
    return done / lasts
