"""The switch: routes a chat to a model, one at a time, and reports most of its failures with HTTP 200.

While one chat runs the event loop of the real switch is blocked, so /health waits as well: that is the lock here.
Of the messages only one is used: the executing lane takes the first, the local lane the last.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from typing import Any

from aiohttp import web

from sidecar.lab.answers import RefusedError, as_json, detail, raw, server_error, uvicorn_headers
from sidecar.lab.bodies import SwitchRequest, check, read
from sidecar.lab.faults import Faults
from sidecar.lab.pace import Pace
from sidecar.lab.routes import Ask, Table
from sidecar.lab.shell import tell

UPSTREAM_ERROR = "Error: 'int' object has no attribute 'strip'"
PARTIAL_TEXT = "Error en Hermes"
PAGE = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"
HUGE_PIECE = b"a" * 65536
HUGE_PIECES = 512  # 32 MiB
CHAT_WORK = 0.001  # about 800 chats a second, one after the other
MOST_REMEMBERED = 10_000
OPEN_TO_ALL = ("/health", "/metrics")


class Switch:
    def __init__(self, pace: Pace, faults: Faults, token: str) -> None:
        self._pace = pace
        self._faults = faults
        self._token = token
        self._turn = asyncio.Lock()
        self._jobs = itertools.count(1)
        self.executed: deque[str] = deque(maxlen=MOST_REMEMBERED)
        self.answered = 0
        self._table = Table()
        self._table.add("/health", self._health, "GET")
        self._table.add("/metrics", self._metrics, "GET")
        self._table.add("/switch/chat", self._chat, "POST")
        self._table.add("/switch/route-v5", self._route, "POST")

    async def __call__(self, ask: Ask) -> web.StreamResponse:
        if ask.path not in OPEN_TO_ALL:
            self._authenticate(ask)
        return await self._table.answer(ask)

    def _authenticate(self, ask: Ask) -> None:
        """Missing and wrong are the same to the switch."""
        if "unauthorised" in self._faults or ask.header("x-vx11-token") != self._token:
            raise RefusedError(detail(401, "auth_required"))

    async def _health(self, _ask: Ask) -> web.Response:
        async with self._turn:
            return as_json(
                {
                    "status": "ok",
                    "module": "switch",
                    "active_model": "general-7b",
                    "warm_model": "audio-engineering",
                    "queue_size": 0,
                }
            )

    async def _metrics(self, _ask: Ask) -> web.Response:
        """JSON, not Prometheus."""
        async with self._turn:
            return as_json({"module": "switch", "queue_size": 0, "active_model": "general-7b", "chats": self.answered})

    async def _chat(self, ask: Ask) -> web.StreamResponse:
        request = check(read(ask.body, ask.header("content-type")), SwitchRequest)
        await self._pace.sleep(self._faults.draw_seconds())
        async with self._turn:
            await self._pace.sleep(self._work())
            broken = await self._misbehaviour(ask)
            return broken if broken is not None else as_json(await self._judged(request))

    async def _route(self, ask: Ask) -> web.StreamResponse:
        """The other way in, which queues a job as well: madre and the gateway's older pipeline use it."""
        payload = read(ask.body, ask.header("content-type"))
        prompt = str(payload.get("prompt", "")) if isinstance(payload, dict) else ""
        await self._pace.sleep(self._faults.draw_seconds())
        async with self._turn:
            await self._pace.sleep(self._work())
            broken = await self._misbehaviour(ask)
            if broken is not None:
                return broken
            if self._faults.behaviour in ("error", "partial"):
                return as_json(_failed())
            reply = "" if self._faults.behaviour == "empty" else f"[general-7b] {prompt}"
            answer = {"status": "queued", "model": "general-7b", "queue_size": 1, "task_queue_id": next(self._jobs)}
            return as_json({**answer, "reply": reply})

    def _work(self) -> float:
        """Seconds in which a chat blocks it; one more chat has come to it when it is asked for."""
        return (CHAT_WORK + self._faults.slow + self._faults.warm_up()) / self._faults.capacity

    async def _misbehaviour(self, ask: Ask) -> web.StreamResponse | None:
        if self._faults.draw_failure():
            return detail(503, "Service Unavailable")
        match self._faults.behaviour:
            case "500":
                return server_error()
            case "503":
                return detail(503, "Service Unavailable")
            case "html":
                return raw(200, PAGE, "text/html; charset=utf-8")
            case "huge":
                return await _huge(ask)
        return None

    async def _judged(self, request: SwitchRequest) -> dict[str, Any]:
        started = time.perf_counter()
        kind = request.metadata.get("task_type", "")
        if self._faults.behaviour == "error" or not isinstance(kind, str):
            return _failed()
        answer = await self._answer(request)
        self.answered += 1
        return {**answer, "latency_ms": int((time.perf_counter() - started) * 1000)}

    async def _answer(self, request: SwitchRequest) -> dict[str, Any]:
        if self._faults.behaviour == "partial" or request.metadata.get("language_lane") is False:
            return _answer(PARTIAL_TEXT, status="partial", provider="hermes", fallback_reason="hermes_unavailable")
        texts = [message.content for message in request.messages] or [""]
        if "execute" in self._faults:
            self.executed.append(texts[0])
            told = tell(texts[0])
            if told is not None:
                await self._pace.sleep(told.seconds)
                return _answer(
                    told.output, provider="generic_shell", decision="cli", engine_used="generic_shell", used_cli=True
                )
        reply = "" if self._faults.behaviour == "empty" else f"[local-7b] {texts[-1]}"
        return _answer(reply, fallback_reason="cli_unavailable")


def _answer(content: str, **fields: Any) -> dict[str, Any]:
    """The success shape; ``reply`` and ``content`` are the same text."""
    usual = {
        "status": "ok",
        "provider": "local",
        "decision": "local",
        "content": content,
        "reply": content,
        "latency_ms": 0,
        "engine_used": "general-7b",
        "used_cli": False,
        "fallback_reason": None,
        "tokens_used": None,
    }
    return usual | fields


def _failed() -> dict[str, Any]:
    """HTTP 200 all the same, and neither ``reply`` nor ``engine_used``."""
    return {"status": "error", "provider": "fallback", "content": UPSTREAM_ERROR, "latency_ms": 0}


async def _huge(ask: Ask) -> web.StreamResponse:
    answer = web.StreamResponse(headers=uvicorn_headers() | {"content-type": "application/json"})
    await answer.prepare(ask.request)
    await answer.write(b'{"status":"ok","provider":"local","reply":"')
    for _ in range(HUGE_PIECES):
        await answer.write(HUGE_PIECE)
    await answer.write(b'"}')
    return answer
