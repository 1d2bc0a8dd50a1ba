"""A lab that plays its waits twenty times faster, and a client for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest
from yarl import URL

from sidecar.lab.town import DEFAULT_TOKEN, Lab

TEMPO = 0.05


class Answer(NamedTuple):
    status: int
    headers: Any
    text: str
    json: Any


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something another task does, for five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  the lab has no event for everything a test may want to see
            await asyncio.sleep(0.001)


class Client:
    """Sends targets as they are written; the token unless told otherwise (None: no header)."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(
        self, method: str, url: str, token: str | None = DEFAULT_TOKEN, headers: Any = None, **sent: Any
    ) -> Answer:
        fields = dict(headers or {}) if token is None else {"x-vx11-token": token, **(headers or {})}
        async with self.session.request(
            method, URL(url, encoded=True), headers=fields, allow_redirects=False, **sent
        ) as answer:
            text = (await answer.read()).decode()
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, answer.headers, text, await answer.json() if is_json and text else None)

    async def get(self, url: str, **more: Any) -> Answer:
        return await self.ask("GET", url, **more)

    async def post(self, url: str, json: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", url, json=json, **more)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(tempo=TEMPO, keep_alive=5.0 * TEMPO) as town:
        yield town


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Client(session)
