"""madre: plans a chat and executes the plan; the fallback that depends on the primary.

Her plan checks the health of the gateway and of herself (which probes the switch) with 2 s each, then asks the switch
with 5 s. So when the switch hangs she needs 7.1 s. Her own work is serial, about nine chats a second; waiting for
others is not. She works on when her caller has left, and every call leaves rows behind.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sidecar.lab.answers import RefusedError, as_json, detail, server_error
from sidecar.lab.bodies import ChatRequest, check, read
from sidecar.lab.caller import Caller
from sidecar.lab.faults import Faults
from sidecar.lab.pace import Pace
from sidecar.lab.power import Power, WindowRequest
from sidecar.lab.routes import Ask, Handler, Table

HEALTH_LIMIT, SWITCH_LIMIT = 2.0, 5.0
HEALTH_WORK, PLAN_WORK, WAITING_WORK = 0.054, 0.057, 0.006
DESTRUCTIVE = re.compile(r"\b(delete|reset|kill|destroy|drop|wipe)\b", re.IGNORECASE)
AUDIO = re.compile(r"\b(audio|reverb|mastering|equalizer|mixdown)\b", re.IGNORECASE)
# The confirm_token it speaks of is nowhere in the answer.
CONFIRM = "Action requires confirmation. Provide plan_id and confirm_token to /madre/plans/{id}/confirm"


class Madre:
    """``urls`` names the other services: gateway, switch, and madre itself; it is filled once they listen."""

    def __init__(self, pace: Pace, faults: Faults, token: str, caller: Caller, urls: dict[str, str]) -> None:
        self._pace = pace
        self._faults = faults
        self._token = token
        self._caller = caller
        self._urls = urls
        self._work = asyncio.Lock()
        self.power = Power(pace)
        self.rows: Counter[str] = Counter()
        self._table = Table()
        self._table.add("/health", self._health, "GET")
        self._table.add("/madre/chat", self._chat, "POST")
        self._table.add("/madre/power/state", self._guarded(self._state), "GET")
        self._table.add("/madre/power/window/open", self._guarded(self._open), "POST")
        self._table.add("/madre/power/window/close", self._guarded(self._close), "POST")

    async def __call__(self, ask: Ask) -> web.StreamResponse:
        return await self._table.answer(ask)

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(ask: Ask) -> web.StreamResponse:
            read(ask.body, ask.header("content-type"))  # bad JSON is 422 before anything is said about the token
            given = ask.header("x-vx11-token")
            if not given:
                raise RefusedError(detail(401, "auth_required: X-VX11-Token header missing"))
            if given != self._token:
                raise RefusedError(detail(403, "forbidden: invalid token"))
            return await handler(ask)

        return guarded

    async def _state(self, _ask: Ask) -> web.Response:
        return as_json(self.power.state())

    async def _open(self, ask: Ask) -> web.Response:
        return as_json(self.power.open(check(read(ask.body, ask.header("content-type")), WindowRequest)))

    async def _close(self, _ask: Ask) -> web.Response:
        return as_json(self.power.close())

    async def _health(self, _ask: Ask) -> web.Response:
        await self._busy(HEALTH_WORK)
        heard = await self._caller.ask("GET", f"{self._urls['switch']}/health", HEALTH_LIMIT)
        deps = {"switch": "up" if heard.good else "down", "hormiguero": "down", "spawner": "down"}
        now = datetime.now(UTC).isoformat()
        return as_json({"module": "madre", "status": "ok", "version": "7.0", "time": now, "deps": deps})

    async def _chat(self, ask: Ask) -> web.Response:
        if self._faults.behaviour == "500":
            return server_error()
        request = check(read(ask.body, ask.header("content-type")), ChatRequest)
        await self._pace.sleep(self._faults.slow + self._faults.draw_seconds())
        if self._faults.draw_failure():
            return server_error()
        refused = _unspeakable(request.message)
        return refused if refused is not None else as_json(await self._planned(request))

    async def _planned(self, request: ChatRequest) -> dict[str, Any]:
        self.rows["intents_log"] += 1
        if self._faults.behaviour == "waiting" or DESTRUCTIVE.search(request.message):
            await self._busy(WAITING_WORK)
            return _answer(request, "WAITING", "MADRE", CONFIRM, [])
        await self._busy(PLAN_WORK)
        self.rows.update({"tasks": 1, "madre_actions": 3, "context": 3})
        mode = "AUDIO_ENGINEER" if AUDIO.search(request.message) else "MADRE"
        actions = await self._execute(request.message, mode)
        status = "ERROR" if self._faults.behaviour == "error" else "DONE"
        text = f"Plan executed. Mode: ModeEnum.{mode}. Status: {status}"
        return _answer(request, status, mode, text, actions)

    async def _execute(self, message: str, mode: str) -> list[dict[str, Any]]:
        if "detached" in self._faults:
            return []
        actions = []
        if mode == "MADRE":
            actions.append(await self._check("tentaculo_link", self._urls["gateway"]))
        actions.append(await self._check("madre", self._urls["madre"]))
        if mode == "MADRE":
            actions.append(await self._ask_switch(message))
        return actions

    async def _check(self, target: str, url: str) -> dict[str, Any]:
        heard = await self._caller.ask("GET", f"{url}/health", HEALTH_LIMIT)
        result = {"target": target, "status": "ok" if heard.good else "error", "error": heard.trouble or None}
        return {"step": "SYSTEM_HEALTHCHECK", "result": result}

    async def _ask_switch(self, message: str) -> dict[str, Any]:
        self.rows["task_queue"] += 1
        payload = {"prompt": message, "metadata": {"source": "madre"}}
        heard = await self._caller.ask("POST", f"{self._urls['switch']}/switch/route-v5", SWITCH_LIMIT, payload)
        if heard.good and heard.body:
            return {"step": "CALL_SWITCH", "result": dict(heard.body)}
        error = heard.trouble or f"HTTP {heard.status}"
        return {"step": "CALL_SWITCH", "result": {"status": "error", "error": error}}

    async def _busy(self, seconds: float) -> None:
        """Work on the database: one at a time, whoever else waits."""
        async with self._work:
            await self._pace.sleep(seconds / self._faults.capacity)


def _answer(
    request: ChatRequest, status: str, mode: str, response: str, actions: list[dict[str, Any]]
) -> dict[str, Any]:
    """Neither a latency nor a correlation id; ``response`` never answers the user."""
    return {
        "response": response,
        "session_id": request.session_id or str(uuid.uuid4()),
        "intent_id": str(uuid.uuid4()),
        "plan_id": str(uuid.uuid4()),
        "status": status,
        "mode": mode,
        "provider": "fallback_local",
        "model": "local",
        "warnings": [],
        "targets": [],
        "actions": actions,
    }


def _unspeakable(message: str) -> web.Response | None:
    """A lone surrogate passes the JSON parser and fails when the answer is written."""
    try:
        message.encode()
    except UnicodeEncodeError as error:
        return detail(500, f"Error serializing to JSON: UnicodeEncodeError: {error}")
    return None
