"""Wire cases against proxies that run: each in a lane, which is one proxy in front of one recording upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from tests.corpus.judge import Case, enough_for, spelling, statuses, wrong, wrong_spelling
from tests.corpus.raw import OK, Gateway, serving, talk

PATIENCE = 0.8  # seconds, with a proxy in a process of its own
LONGER = 3.0  # seconds, where the proxy shares its process with everything else that a case needs
SETTLED = 0.02  # seconds for bytes on their way to reach upstream
GIANT = 4_096  # bytes from which a request is not sent one by one, but in pieces that end nowhere in particular
PIECE = 997

T = TypeVar("T")


class Lane:
    """``port`` is the proxy's; ``patience`` the seconds until an open connection on which nothing comes counts as silent."""

    def __init__(self, upstream: Gateway, port: int = 0, patience: float = PATIENCE) -> None:
        self.upstream = upstream
        self.port = port
        self.patience = patience

    def renew(self, case: Case | None = None) -> None:
        """Forget what was seen. Connections that the proxy keeps stay: what one case leaves behind, the next one finds."""
        upstream, case = self.upstream, case or {}
        upstream.raw, upstream.done, upstream.framing_bad = b"", [], False
        upstream.reply = case["up_reply"].encode("latin1") if "up_reply" in case else OK
        upstream.replies = [reply.encode("latin1") for reply in case.get("up_replies", ())]
        upstream.close = case.get("up_close", False)

    async def judge(self, case: Case, *, piecemeal: bool) -> list[str]:
        """Run one case, and say what is wrong."""
        out, closed = await self.ask(case, piecemeal=piecemeal)
        await asyncio.sleep(SETTLED)
        return wrong(case, out, self.upstream, closed=closed)

    async def ask(self, case: Case, *, piecemeal: bool) -> tuple[bytes, bool]:
        """Run one case; what the client got, and whether its connection was ended."""
        self.renew(case)
        request = case["request"].encode("latin1")
        step = (1 if len(request) <= GIANT else PIECE) if piecemeal else 0
        half_close = case.get("half_close", False)
        return await talk(
            self.port, request, patience=self.patience, half_close=half_close, step=step, enough=enough_for(case)
        )

    async def judge_spelling(self, case: dict[str, str], token: str, body: bytes) -> list[str]:
        """One spelling of a path, without a token and with a valid one."""
        self.renew()
        bare, _ = await talk(self.port, spelling(case["target"], body, None), patience=self.patience)
        reached_bare = len(self.upstream.done)
        full, _ = await talk(self.port, spelling(case["target"], body, token), patience=4 * self.patience)
        reached = len(self.upstream.done) - reached_bare
        seen = ((statuses(bare) or [0])[0], reached_bare, (statuses(full) or [0])[0], reached)
        return wrong_spelling(case, seen, self.upstream.done[-1][0] if self.upstream.done else None)


@asynccontextmanager
async def recording(number: int) -> AsyncIterator[tuple[list[Lane], list[int]]]:
    """So many lanes, whose proxies are yet to be started, and the ports of their upstreams."""
    async with AsyncExitStack() as stack:
        lanes = [Lane(Gateway()) for _ in range(number)]
        yield lanes, [await stack.enter_async_context(serving(lane.upstream)) for lane in lanes]


async def over(
    lanes: Sequence[Lane], cases: Sequence[T], judge: Callable[[Lane, T], Awaitable[list[str]]]
) -> list[list[str]]:
    """Each case in the next free lane. What is wrong, in the order of the cases."""
    free: asyncio.Queue[Lane] = asyncio.Queue()
    for lane in lanes:
        free.put_nowait(lane)

    async def one(case: T) -> list[str]:
        lane = await free.get()
        try:
            return await judge(lane, case)
        finally:
            free.put_nowait(lane)

    return await asyncio.gather(*map(one, cases))
