"""tentaculo_link, the gateway, in its native mode: every path that clients were seen to use, with its ugly parts.

Handlers' own errors are ``{"error", "status_code"}``, the framework's are ``{"detail"}``; whatever else begins with
/operator/api/ ends in a catch-all 503; /debug/valid-tokens really gives the tokens away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from sidecar.lab.answers import RefusedError, as_json, detail, raw, redirect, server_error
from sidecar.lab.bodies import ChatRequest, check, read
from sidecar.lab.caller import Caller
from sidecar.lab.conversation import Conversation
from sidecar.lab.cors import mark, preflight
from sidecar.lab.events import Events
from sidecar.lab.faults import Faults
from sidecar.lab.pace import Pace
from sidecar.lab.page import page
from sidecar.lab.routes import Ask, Handler, Table

ANY_METHOD = ("GET", "POST", "PUT", "DELETE", "PATCH")
HEALTH = {"status": "ok", "module": "tentaculo_link", "version": "7.0"}
CONSTANT_WINDOW = {"status": "ok", "mode": "full", "window_id": None, "ttl_remaining_sec": None}


class CommandRequest(BaseModel):
    command: str
    message: str | None = None
    session_id: str | None = None


class Gateway:
    def __init__(self, pace: Pace, faults: Faults, token: str, caller: Caller, urls: dict[str, str]) -> None:
        self._pace = pace
        self._faults = faults
        self._token = token
        self._started = pace.now()
        self._events = Events(pace)
        self.conversation = Conversation(pace, caller, urls)
        self._table = Table()
        self._add_chat()
        self._add_state()
        self._add_streams()
        # Last, because the first fitting route wins.
        self._table.add("/operator/api/{rest:path}", _disabled, *ANY_METHOD)

    async def __call__(self, ask: Ask) -> web.StreamResponse:
        await self._pace.sleep(self._faults.slow)
        if self._faults.behaviour == "500":
            return server_error()
        if ask.wants_websocket():
            return await self._websocket(ask)
        return preflight(ask) or await self._marked(ask)

    async def _marked(self, ask: Ask) -> web.StreamResponse:
        try:
            answer = await self._table.answer(ask)
        except RefusedError as refused:
            answer = refused.answer
        if not answer.prepared:
            headers: dict[str, str] = {}
            mark(ask, headers)
            answer.headers.update(headers)
        return answer

    async def _websocket(self, ask: Ask) -> web.StreamResponse:
        if ask.path == "/ws":
            return await self._events.websocket(ask)
        refused = raw(403, b"", "text/plain")
        refused.force_close()
        return refused

    def _add_chat(self) -> None:
        self._table.add("/operator/api/chat", self._guarded(self._chat), "POST")
        self._table.add("/operator/api/chat/commands", self._guarded(self._command), "POST")
        self._table.add("/operator/chat", self._guarded(self._ask), "POST")
        self._table.add("/operator/chat/ask", self._guarded(self._ask), "POST")
        self._table.add("/operator/session/{session_id}", self._guarded(self._session), "GET")

    def _add_state(self) -> None:
        add = self._table.add
        add("/health", _constant(HEALTH), "GET")
        add("/metrics", self._metrics, "GET")
        add("/operator/power/state", self._guarded(self._power), "GET")
        add("/operator/api/chat/window/status", self._guarded(self._chat_window), "GET")
        add("/operator/api/window/status", self._guarded(self._window), "GET")
        add("/operator/api/v1/chat/window/status", _constant(CONSTANT_WINDOW), "GET")
        add("/operator/api/status", _constant({"status": "ok", "switch": "healthy", "madre": "healthy"}), "GET")
        add(
            "/operator/api/modules",
            _constant({"modules": [{"name": "switch", "status": "healthy", "core": False}]}),
            "GET",
        )
        add("/vx11/circuit-breaker/status", self._guarded(self._breakers), "GET")
        add("/debug/valid-tokens", _constant({"valid_tokens": [self._token]}), "GET")
        add("/debug/token-info", _constant({"token_header": "X-VX11-Token", "configured": True}), "GET")
        add("/operator", _to_page, "GET")
        add("/operator/ui/{file:path}", page, "GET", "HEAD")

    def _add_streams(self) -> None:
        for path in ("/operator/api/events", "/operator/api/v1/events", "/api/events"):
            self._table.add(path, self._events.feed, "GET")
        self._table.add("/operator/api/events/sse-token", self._sse_token, "POST")
        self._table.add("/operator/api/events/stream", self._events.stream_by_token, "GET")

    def _guarded(self, handler: Handler) -> Handler:
        """JSON is parsed before the token is looked at; the fields are checked after it."""

        async def guarded(ask: Ask) -> web.StreamResponse:
            read(ask.body, ask.header("content-type"))
            given = ask.header("x-vx11-token")
            if not given:
                raise RefusedError(as_json({"error": "auth_required", "status_code": 401}, 401))
            if given != self._token:
                raise RefusedError(as_json({"error": "forbidden", "status_code": 403}, 403))
            return await handler(ask)

        return guarded

    async def _chat(self, ask: Ask) -> web.Response:
        """The correlation id comes from the header; one in the body is ignored, and none is returned as a header."""
        request = check(read(ask.body, ask.header("content-type")), ChatRequest)
        return as_json(await self.conversation.chat(request, ask.header("x-correlation-id")))

    async def _command(self, ask: Ask) -> web.Response:
        request = check(read(ask.body, ask.header("content-type")), CommandRequest)
        if request.command == "message":
            chat = ChatRequest(message=request.message or "", session_id=request.session_id)
            return as_json(await self.conversation.chat(chat, ask.header("x-correlation-id")))
        if request.command == "status":
            return as_json(await self.conversation.status_command())
        return as_json({"error": f"Unknown command: {request.command}", "status_code": 400}, 400)

    async def _ask(self, ask: Ask) -> web.Response:
        request = check(read(ask.body, ask.header("content-type")), ChatRequest)
        return as_json(await self.conversation.ask(request))

    async def _session(self, ask: Ask) -> web.Response:
        session = ask.params["session_id"]
        missing = {"error": "session_not_found", "session_id": session}
        return as_json(self.conversation.sessions.get(session, missing))

    async def _power(self, _ask: Ask) -> web.Response:
        heard = await self.conversation.power()
        if not heard.status:
            return as_json({"status": "service_offline", "module": "madre", "error": heard.trouble})
        return as_json(heard.body, heard.status)

    async def _chat_window(self, _ask: Ask) -> web.Response:
        state = (await self.conversation.power()).body
        opened = state.get("window_id") is not None
        return as_json(
            {
                "status": ("open" if opened else "none") if state else None,
                "window_id": state.get("window_id"),
                "ttl_remaining_sec": state.get("ttl_remaining_sec"),
                "active_services": state.get("active_services", []),
                "mode": ("windowed" if opened else "solo_madre") if state else None,
            }
        )

    async def _window(self, _ask: Ask) -> web.Response:
        """When madre does not answer the mode is made up."""
        heard = await self.conversation.power()
        opened = heard.body.get("window_id") is not None
        return as_json(
            {
                "mode": "window_active" if opened else "solo_madre",
                "ttl_seconds": heard.body.get("ttl_remaining_sec"),
                "window_id": heard.body.get("window_id"),
                "services": heard.body.get("active_services", []),
                "degraded": not heard.good,
                "reason": None if heard.good else heard.trouble,
            }
        )

    async def _breakers(self, _ask: Ask) -> web.Response:
        return as_json({name: breaker.state() for name, breaker in self.conversation.breakers.items()})

    async def _sse_token(self, ask: Ask) -> web.Response:
        bearer = (ask.header("authorization") or "").removeprefix("Bearer ")
        if self._token not in (ask.header("x-vx11-token"), bearer):
            return as_json({"detail": "invalid_token", "reason": "main_auth_failed"}, 401)
        return as_json(self._events.issue())

    async def _metrics(self, _ask: Ask) -> web.Response:
        """Chat is not in them: nothing here moves when people talk."""
        names = (
            "cache_hit_total",
            "cache_miss_total",
            "cache_hit_rate",
            "shub_proxy_latency_p50",
            "shub_proxy_latency_p95",
            "shub_proxy_latency_p99",
            "rate_limit_rejections",
        )
        lines = [f"{name} 0" for name in names]
        lines.append(f"vx11_uptime_seconds {self._pace.now() - self._started:.1f}")
        return raw(200, ("\n".join(lines) + "\n").encode(), "text/plain; charset=utf-8; charset=utf-8")


def _constant(value: Mapping[str, Any]) -> Handler:
    async def constant(_ask: Ask) -> web.Response:
        return as_json(value)

    return constant


async def _disabled(_ask: Ask) -> web.Response:
    return detail(503, "Operator API proxy is disabled")


async def _to_page(_ask: Ask) -> web.Response:
    return redirect(302, "/operator/ui/")
