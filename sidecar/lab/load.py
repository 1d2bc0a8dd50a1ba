"""Chats at given times, whatever the answers do: an open-loop load for demos, benchmarks and acceptance tests.

Arrivals never wait for earlier answers, so a slow target is seen as the clients of a real system would see it. They are regular, or a
Poisson process drawn from a seed, as people who know nothing of each other come. Each chat has its own session; the gateway's limit of ten
per minute never interferes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import aiohttp

MOST_CALLS = 100_000
LONGEST = 3600.0


class ChatRecord(NamedTuple):
    """One chat. ``start`` is when it was sent, in seconds from the beginning of the load; ``status`` is 0 if no answer came, and
    ``reason`` then names the trouble.
    """

    start: float
    status: int
    provider: str
    degraded: bool
    reason: str
    seconds: float


async def chat_load(
    url: str,
    token: str,
    *,
    rate: float,
    seconds: float,
    message: str = "hola",
    timeout: float = 30.0,  # noqa: ASYNC109  the client's patience is what is measured
    path: str = "/operator/api/chat",
) -> list[ChatRecord]:
    """Sends ``rate`` chats per second for ``seconds``; returns all records in the order of their start."""
    offsets = [number / rate for number in range(_count(rate, seconds))]
    return await chats_at(url, token, offsets, message=message, timeout=timeout, path=path)


def poisson(seed: int, rate: float, count: int) -> list[float]:
    """The first ``count`` arrivals, in seconds from 0, of a Poisson process with ``rate`` arrivals a second."""
    if rate <= 0 or not 0 < count <= MOST_CALLS:
        raise ValueError(f"rate must be above 0 and count above 0 and at most {MOST_CALLS}")
    random = Random(seed)  # noqa: S311 - nothing here is a secret
    return list(itertools.accumulate(random.expovariate(rate) for _ in range(count)))


async def chats_at(
    url: str,
    token: str,
    offsets: Sequence[float],
    *,
    message: str = "hola",
    timeout: float = 30.0,  # noqa: ASYNC109  the client's patience is what is measured
    path: str = "/operator/api/chat",
) -> list[ChatRecord]:
    """Sends a chat at each of ``offsets``, seconds from now, rising; returns all records in that order.

    How late the load itself was is ``start`` less the offset.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)  # below the five seconds of the other side
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"X-VX11-Token": token},
        timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        began = time.perf_counter()
        tasks = []
        async with asyncio.TaskGroup() as group:
            for offset in offsets:
                await asyncio.sleep(max(0.0, began + offset - time.perf_counter()))
                tasks.append(group.create_task(_chat(session, url.rstrip("/") + path, message, began)))
    return [task.result() for task in tasks]


def _count(rate: float, seconds: float) -> int:
    if rate <= 0 or not 0 < seconds <= LONGEST:
        raise ValueError(f"rate must be above 0 and seconds above 0 and at most {LONGEST:.0f}")
    count = max(1, round(rate * seconds))
    if count > MOST_CALLS:
        raise ValueError(f"{count} chats are more than {MOST_CALLS}: lower the rate or the time")
    return count


async def _chat(session: aiohttp.ClientSession, url: str, message: str, began: float) -> ChatRecord:
    start = time.perf_counter()
    payload = {"message": message, "session_id": f"load-{uuid.uuid4()}"}
    status, trouble = 0, ""
    body: Mapping[str, Any] = {}
    try:
        async with session.post(url, json=payload) as answer:
            body = _object(await answer.read())
            status = answer.status
    except TimeoutError:
        trouble = "timeout"
    except aiohttp.ClientError as error:
        trouble = type(error).__name__
    return ChatRecord(
        start=start - began,
        status=status,
        provider=str(body.get("provider") or body.get("fallback_source") or ""),
        degraded=body.get("degraded") is True,
        reason=trouble or str(body.get("reason") or ""),
        seconds=time.perf_counter() - start,
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
