"""A server that does as an ``Upstream`` says, on a port of loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from benchmarks.faults.target import Manner, Request, Target, says, well
from benchmarks.outages.upstream import Upstream
from sidecar.core.vocabulary import Outcome

UNAVAILABLE = says(503, {"detail": "Service Unavailable"})


class _Dropping(Target):
    def drop(self) -> None:
        """Every connection, and whatever is done there, as when a process ends."""
        for task in self._tasks:
            task.cancel()


class Server:
    """``time`` tells the seconds since the begin of the drill. As an async context, within which ``follow`` plays its trouble."""

    def __init__(self, role: str, upstream: Upstream, time: Callable[[], float]) -> None:
        self.target = _Dropping(role)
        self.target.turn = lambda _: self._manner
        self._upstream = upstream
        self._time = time

    async def __aenter__(self) -> Self:
        await self.target.__aenter__()
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.target.__aexit__(*ended)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.target.port}"

    async def follow(self) -> None:
        """What its trouble does to the listener and its connections, each at its time."""
        trouble = self._upstream.trouble
        if trouble is None or trouble.kind not in ("hung", "refusing"):
            return
        await asyncio.sleep(trouble.since - self._time())
        if trouble.kind == "refusing":
            await self.target.shut()
            self.target.drop()
        await asyncio.sleep(trouble.until - self._time())
        if trouble.kind == "hung":  # it is restarted: nothing stays connected
            self.target.drop()
        await self.target.open()

    async def _manner(self, request: Request) -> None:
        seconds, outcome = self._upstream.answer(self._time(), int(request.text))
        await asyncio.sleep(seconds)
        manner = _speaks(outcome)
        if manner is None:
            request.writer.transport.abort()
        else:
            await manner(request)


def _speaks(outcome: Outcome) -> Manner | None:
    """None: the connection ends without a word."""
    if outcome.status is None:
        return None
    return well if outcome.status == 200 else UNAVAILABLE
