"""The client's side: chats with sessions and keys of their own, and what became of each by the client's clock."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp

CHAT = "/operator/api/chat"
PATIENCE = 30.0  # seconds: longer than any deadline of a policy, so that the sidecar is what ends a chat
DATA = aiohttp.ClientTimeout(total=PATIENCE)


class Chat(NamedTuple):
    """One chat. ``start`` is in seconds from the beginning of the load; ``status`` is 0 if no answer came, and ``trouble`` says why."""

    start: float
    seconds: float
    status: int
    provider: str = ""
    degraded: bool = False
    reason: str = ""
    session: str = ""
    correlation: str = ""
    fields: Mapping[str, str] = {}
    trouble: str = ""


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._token = token
        self._numbers = itertools.count(1)
        self._began = time.perf_counter()

    async def fetch(self, method: str, url: str, **sent: Any) -> bytes:
        """Anything but a chat; raises for a status that is no success."""
        async with self._session.request(method, url, timeout=DATA, **sent) as answer:
            body = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {url}: {answer.status} {body[:200]!r}")
            return body

    async def status(self, url: str) -> int:
        """What a GET comes to, whatever it is."""
        async with self._session.get(url, timeout=DATA) as answer:
            await answer.read()
            return answer.status

    async def order(self, url: str, fields: Mapping[str, str], body: object) -> int:
        """Post an order; its status."""
        async with self._session.post(url, json=body, headers=fields, timeout=DATA) as answer:
            await answer.read()
            return answer.status

    async def at(
        self, offsets: Sequence[float], session: Callable[[int], str] | None = None, **sent: Any
    ) -> list[Chat]:
        """A chat at each offset, in seconds from now, rising. Nobody waits for anybody. ``session`` names one by the chat's number."""
        self._began = time.perf_counter()
        tasks = []
        async with asyncio.TaskGroup() as group:
            for number, offset in enumerate(offsets):
                await asyncio.sleep(max(0.0, self._began + offset - time.perf_counter()))
                named = {} if session is None else {"session": session(number)}
                tasks.append(group.create_task(self.chat(**named, **sent)))
        return [task.result() for task in tasks]

    async def chat(
        self,
        message: str = "hola",
        *,
        session: str | None = None,
        key: str | None = None,
        patience: float = PATIENCE,
        headers: Mapping[str, str] | None = None,
    ) -> Chat:
        """One chat, in a session of its own unless it is named; ``key`` is its Idempotency-Key. The client leaves after ``patience``."""
        session = session or f"bench-{next(self._numbers)}"
        fields = {"X-VX11-Token": self._token} | dict(headers or {}) | ({"Idempotency-Key": key} if key else {})
        payload = {"message": message, "session_id": session}
        began = time.perf_counter()
        limit = aiohttp.ClientTimeout(total=patience)
        try:
            async with self._session.post(self._url + CHAT, json=payload, headers=fields, timeout=limit) as answer:
                said = _read(await answer.read()) | {"status": answer.status, "fields": dict(answer.headers)}
        except TimeoutError:
            said = {"status": 0, "trouble": "timeout"}
        except aiohttp.ClientError as error:
            said = {"status": 0, "trouble": type(error).__name__}
        return Chat(began - self._began, time.perf_counter() - began, session=session, **said)


def _read(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    words = {"provider": "provider", "reason": "reason", "correlation": "correlation_id"}
    return {name: str(value.get(field) or "") for name, field in words.items()} | {
        "degraded": value.get("degraded") is True
    }
