"""Ten minutes that move every panel: chats and other requests at a steady rate, and a plan of what breaks when."""
# ruff: noqa: INP001, PLR2004 - a script beside its package.json; statuses and pauses are plain numbers

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp

from sidecar.lab.load import chat_load

SECONDS = 600.0
RATE = 3.0  # chats per second
PAUSE = 0.3  # between other requests, seconds
PATHS = (
    "/health",
    "/operator/power/state",
    "/operator/api/status",
    "/operator/api/modules",
    "/operator/ui/",
    "/nowhere",
    "/vx11/circuit-breaker/status",
    "/operator/api/window/status",
    "/operator/api/chat/window/status",
)
AMBIGUOUS = (
    b"POST /operator/api/chat HTTP/1.1\r\nHost: lab\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: lab\r\nHost: other\r\n\r\n",
)
PLAN: Sequence[tuple[float, str]] = (  # seconds, and what is done to the lab
    (70, "break switch/slow:0.25"),
    (110, "mend switch"),
    (130, "break switch/reset"),
    (150, "mend switch"),
    (200, "break switch/hang"),
    (370, "mend switch"),
    (420, "break switch/unauthorised"),
    (432, "mend switch"),
    (455, "break gateway/refuse"),
    (463, "mend gateway"),
    (480, "policy"),
    (490, "hold forced_open"),
    (505, "release"),
    (515, "hold off"),  # while nobody asks the switch its kept connections expire, so that those after it are refused
    (518, "break switch/refuse"),
    (530, "release"),
    (540, "mend switch"),
    (570, "break switch/hang"),  # still so when the pictures are taken: they show what trouble looks like
)


class Town(NamedTuple):
    """Where a running lab is. ``policy`` is the file that it watches."""

    sidecar: str
    admin: str
    control: str
    token: str
    admin_token: str
    policy: Path


async def run(town: Town) -> None:
    """Ends after SECONDS. Raises aiohttp.ClientError if the lab itself cannot be told what to do."""
    await _open_window(town)
    background = [asyncio.create_task(each(town)) for each in (_requests, _events, _socket)]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(chat_load(town.sidecar, town.token, rate=RATE, seconds=SECONDS))
            group.create_task(_follow(town))
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


async def _open_window(town: Town) -> None:
    """Without one the switch counts as dormant, and every picture would say so."""
    async with _session(town) as session:
        async with session.get(f"{town.control}/") as answer:
            madre = (await answer.json())["services"]["madre"]["url"]
        wish = {"services": ["switch"], "ttl_sec": 3000, "mode": "ttl"}
        async with session.post(f"{madre}/madre/power/window/open", json=wish) as answer:
            answer.raise_for_status()


async def _follow(town: Town) -> None:
    began = time.monotonic()
    async with _session(town) as session:
        for at, what in PLAN:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await _do(session, town, what)


async def _do(session: aiohttp.ClientSession, town: Town, what: str) -> None:
    kind, _, which = what.partition(" ")
    if kind == "policy":
        town.policy.write_text("extends: default.yaml\nretry:\n  backoff:\n    max: 300ms\n", encoding="utf-8")
        return
    if kind in {"break", "mend"}:
        request = session.request("POST" if kind == "break" else "DELETE", f"{town.control}/fault/{which}")
    elif kind == "hold":
        wish = {"target": "switch", "kind": which, "author": "ana", "reason": "shown in a picture", "ttl": "1m"}
        request = session.post(f"{town.admin}/overrides", json=wish)
    else:
        request = session.post(f"{town.admin}/overrides/release", json={"target": "switch"})
    async with request as answer:
        answer.raise_for_status()


async def _requests(town: Town) -> None:
    """What is not chat; now and then one without a right token, and one that says two things at once."""
    number = 0
    async with _session(town) as session:
        while True:
            number += 1
            await _tried(_read(session, town.sidecar + PATHS[number % len(PATHS)]))
            if number % 60 == 17:
                await _tried(_read(session, f"{town.sidecar}/operator/api/chat", token="wrong"))  # noqa: S106
            if number % 150 == 40:
                await _tried(_raw(town, AMBIGUOUS[number // 150 % 2]))
            await asyncio.sleep(PAUSE)


async def _events(town: Town) -> None:
    while True:
        await _tried(_stream(town))
        await asyncio.sleep(2)


async def _socket(town: Town) -> None:
    while True:
        await _tried(_talk(town))
        await asyncio.sleep(5)


async def _tried(act: Awaitable[None]) -> None:
    """Much is broken on purpose, so an error is no news here."""
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        await act


async def _read(session: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
    method = "GET" if token is None else "POST"
    headers = {} if token is None else {"X-VX11-Token": token}
    body = None if token is None else {"message": "hola"}
    async with session.request(
        method, url, headers=headers, json=body, timeout=aiohttp.ClientTimeout(total=6)
    ) as answer:
        await answer.read()


async def _raw(town: Town, data: bytes) -> None:
    host, _, port = town.sidecar.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        await asyncio.wait_for(reader.read(), 2)
    finally:
        writer.close()


async def _stream(town: Town) -> None:
    wanted = {"Accept": "text/event-stream"}
    async with _session(town) as session, session.get(f"{town.sidecar}/operator/api/events", headers=wanted) as answer:
        async for _ in answer.content:
            pass


async def _talk(town: Town) -> None:
    async with _session(town) as session, session.ws_connect(f"{town.sidecar}/ws") as socket:
        while not socket.closed:
            await socket.send_str('{"type":"ping"}')
            await socket.receive()  # which answers the other side's pings as well
            await asyncio.sleep(1)


def _session(town: Town) -> aiohttp.ClientSession:
    headers = {"X-VX11-Token": town.token, "X-VX11-Admin-Token": town.admin_token}
    return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=None, sock_connect=5))
