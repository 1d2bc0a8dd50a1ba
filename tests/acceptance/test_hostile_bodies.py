"""Bodies made to hurt a JSON parser end in an allowed status, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running import CHAT, Answer, Standing, standing

CORPUS = Path(__file__).parent.parent / "corpus" / "json_bodies.json"
CASES: list[dict[str, Any]] = json.loads(CORPUS.read_text())["cases"]
LONGEST_BLOCK = 0.25
TICK = 0.005


class Watch:
    longest = 0.0


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """How long the event loop, which is the sidecar's as well, did not come round."""
    watch = Watch()

    async def tick() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            watch.longest, before = max(watch.longest, now - before - TICK), now

    ticking = asyncio.create_task(tick())
    try:
        yield watch
    finally:
        await asyncio.sleep(2 * TICK)  # the tick that would have been late comes now
        ticking.cancel()


async def send(town: Standing, body: bytes) -> Answer:
    fields = {"X-VX11-Token": town.lab.token, "Content-Type": "application/json"}
    return await town.ask("POST", town.url + CHAT, data=body, headers=fields)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_a_body_ends_in_an_allowed_status_and_blocks_nobody(case: dict[str, Any]) -> None:
    body = case["body"].encode()
    blocked = []
    async with standing() as town:
        for _ in range(3):  # a busy machine may be late now and then; a parser that blocks is late each time
            async with watched() as watch:
                answer = await send(town, body)
            blocked.append(watch.longest)
            assert answer.status in case["expect"], answer.raw[:500]
        assert answer.headers["Content-Type"] == "application/json"
        assert isinstance(answer.json, dict)
        assert "X-Evil" not in answer.headers
        assert (await town.chat()).status == 200
    assert min(blocked) < LONGEST_BLOCK, blocked


async def test_all_of_them_at_once_block_nobody(figures: list[str]) -> None:
    blocked = []
    async with standing() as town:
        for _ in range(3):
            async with watched() as watch:
                answers = await asyncio.gather(*(send(town, case["body"].encode()) for case in CASES * 4))
            blocked.append(watch.longest)
            assert 500 not in {answer.status for answer in answers}
    figures.append(
        f"{4 * len(CASES)} hostile bodies at once: the loop was blocked for {min(blocked) * 1000:.0f} ms at most"
    )
    assert min(blocked) < LONGEST_BLOCK, blocked


async def test_the_watch_sees_a_blocked_loop() -> None:
    async with watched() as watch:
        await asyncio.sleep(2 * TICK)
        time.sleep(LONGEST_BLOCK + 0.05)  # noqa: ASYNC251 - to be seen
    assert watch.longest > LONGEST_BLOCK
