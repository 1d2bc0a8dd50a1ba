"""The gateway's two chat pipelines.

``/operator/api/chat`` can never get an answer from the switch: without a window it does not ask, and with one it posts
a body the switch refuses (422), which it counts against the switch. So every answer is the degraded canned text.
``/operator/chat`` asks the switch in another way, then madre, and is the only one that writes session history.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from sidecar.lab.answers import RefusedError, as_json
from sidecar.lab.bodies import ChatRequest
from sidecar.lab.caller import Caller, Heard
from sidecar.lab.pace import Pace

LONGEST_MESSAGE = 4000
PER_MINUTE = 10
CACHED_FOR = 60.0
MOST_REMEMBERED = 10_000
CLIENT_COST = 0.020  # a new HTTP client for every chat, and nothing else runs meanwhile
POWER_LIMIT, SWITCH_LIMIT, MADRE_LIMIT = 3.0, 15.0, 15.0
DEGRADED = "[LOCAL LLM DEGRADED] Received message ({count} chars). Switch unavailable in solo_madre mode."


class Breaker:
    """The gateway's own: three failures in a row, closed to all for 60 s, then open to all again. 4xx are failures."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.failures = 0
        self._until = 0.0

    @property
    def refuses(self) -> bool:
        return self.failures >= 3 and self._pace.now() < self._until

    def note(self, heard: Heard) -> None:
        self.failures = 0 if heard.good else self.failures + 1
        if self.failures >= 3:
            self._until = self._pace.now() + 60.0

    def state(self) -> dict[str, Any]:
        name = "OPEN" if self.refuses else "HALF_OPEN" if self.failures >= 3 else "CLOSED"
        return {"state": name, "failure_count": self.failures}


class Conversation:
    def __init__(self, pace: Pace, caller: Caller, urls: dict[str, str]) -> None:
        self._pace = pace
        self._caller = caller
        self._urls = urls
        self._loop = asyncio.Lock()
        self._recent: dict[str, deque[float]] = {}
        self._cache: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        self.breakers = {"switch": Breaker(pace), "madre": Breaker(pace)}
        self.sessions: dict[str, dict[str, Any]] = {}

    async def chat(self, request: ChatRequest, correlation_id: str | None) -> dict[str, Any]:
        """``/operator/api/chat``: limit, then length, then cache, then the canned text."""
        session = request.session_id or f"session_{int(time.time())}"
        self._limit(session)
        if len(request.message) > LONGEST_MESSAGE:
            error = f"Message too long (max {LONGEST_MESSAGE} characters)"
            too_long = {"error": error, "message_length": len(request.message), "session_id": session}
            raise RefusedError(as_json(too_long, 413))
        fresh = {"message_id": str(uuid.uuid4()), "correlation_id": correlation_id or str(uuid.uuid4())}
        known = self._cache.get((session, request.message))
        if known is not None and self._pace.now() < known[0]:
            return {**known[1], **fresh, "cache_hit": True}
        await self._in_vain(request.message, session)
        answer = {
            "message_id": "",
            "session_id": session,
            "response": DEGRADED.format(count=len(request.message)),
            "model": "local_llm_degraded",
            "fallback_source": "local_llm_degraded",
            "degraded": True,
            "correlation_id": "",
        }
        self._cache[session, request.message] = (self._pace.now() + CACHED_FOR, answer)
        _forget_oldest(self._cache)
        return {**answer, **fresh}

    async def power(self) -> Heard:
        return await self._caller.ask("GET", f"{self._urls['madre']}/madre/power/state", POWER_LIMIT)

    async def _in_vain(self, message: str, session: str) -> None:
        """What the gateway does before it says that the switch is not available."""
        async with self._loop:
            await self._pace.sleep(CLIENT_COST)
        power = await self.power()
        if power.body.get("window_id") is None or self.breakers["switch"].refuses:
            return
        payload = {"message": message, "session_id": session}  # not what the switch takes: 422
        heard = await self._caller.ask("POST", f"{self._urls['switch']}/switch/chat", SWITCH_LIMIT, payload)
        self.breakers["switch"].note(heard)

    def _limit(self, session: str) -> None:
        """By session only: neither client nor token counts, and a refused call is no call."""
        now = self._pace.now()
        recent = self._recent.setdefault(session, deque())
        _forget_oldest(self._recent)
        while recent and now - recent[0] >= 60.0:
            recent.popleft()
        if len(recent) >= PER_MINUTE:
            error = f"Rate limit exceeded ({PER_MINUTE} requests/minute)"
            raise RefusedError(as_json({"error": error, "retry_after": 60, "session_id": session}, 429))
        recent.append(now)

    async def status_command(self) -> dict[str, Any]:
        """Asks madre on a path she does not have, which counts as her failure."""
        heard = await self._caller.ask("GET", f"{self._urls['madre']}/madre/status", POWER_LIMIT)
        self.breakers["madre"].note(heard)
        return {"command": "status", "status": "error", "error": heard.trouble or f"HTTP {heard.status}"}

    async def ask(self, request: ChatRequest) -> dict[str, Any]:
        """``/operator/chat``: the switch, then madre, then an apology with HTTP 200."""
        session = request.session_id or str(uuid.uuid4())
        self._remember(session, "user", request.message)
        answer = await self._from_switch(request.message) or await self._from_madre(request.message, session)
        self._remember(session, "assistant", str(answer.get("reply") or answer.get("response") or ""))
        return answer

    async def _from_switch(self, message: str) -> dict[str, Any] | None:
        if self.breakers["switch"].refuses:
            return None
        payload = {"prompt": message, "metadata": {"source": "operator"}}
        heard = await self._caller.ask("POST", f"{self._urls['switch']}/switch/route-v5", SWITCH_LIMIT, payload)
        self.breakers["switch"].note(heard)
        return dict(heard.body) if heard.good and heard.body else None

    async def _from_madre(self, message: str, session: str) -> dict[str, Any]:
        offline = {"status": "service_offline", "module": "madre"}
        if self.breakers["madre"].refuses:
            return {**offline, "reason": "circuit_open"}
        payload = {"message": message, "session_id": session}
        heard = await self._caller.ask("POST", f"{self._urls['madre']}/madre/chat", MADRE_LIMIT, payload)
        self.breakers["madre"].note(heard)
        return dict(heard.body) if heard.good else {**offline, "error": heard.trouble or f"HTTP {heard.status}"}

    def _remember(self, session: str, role: str, content: str) -> None:
        now = datetime.now(UTC).isoformat()
        empty = {"session_id": session, "user_id": "local", "created_at": now, "message_count": 0, "messages": []}
        history = self.sessions.setdefault(session, {**empty, "summary": None})
        history["messages"].append({"role": role, "content": content, "timestamp": now, "metadata": {}})
        history["message_count"] += 1
        _forget_oldest(self.sessions)


def _forget_oldest(known: dict[Any, Any]) -> None:
    """A long load must not fill the memory of whoever runs the lab."""
    if len(known) > MOST_REMEMBERED:
        del known[next(iter(known))]
