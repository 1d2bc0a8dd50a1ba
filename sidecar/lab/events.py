"""The gateway's streams: server-sent events, the short-lived tokens for them, and the WebSocket.

Who gets a stream is decided by Accept: ``text/event-stream`` or no Accept at all; ``*/*`` gets JSON.
"""

from __future__ import annotations

import itertools
import json
import secrets
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from sidecar.lab.answers import as_json, detail, uvicorn_headers
from sidecar.lab.cors import mark
from sidecar.lab.pace import Pace
from sidecar.lab.routes import Ask

KEEP_ALIVE = 10.0
PING = 20.0
TOKEN_TTL = 60
LARGEST_MESSAGE = 16 * 1024 * 1024
FIRST_FRAME = b'data: {"type": "connected", "message": "SSE stream established"}\n\n'
BROADCAST = "system."  # messages of these types are sent to everybody as well


class Events:
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._tokens: dict[str, float] = {}
        self._sockets: set[web.WebSocketResponse] = set()

    async def feed(self, ask: Ask) -> web.StreamResponse:
        accept = ask.header("accept")
        if accept is None or "text/event-stream" in accept:
            return await self.stream(ask)
        return as_json({"events": [], "total": 0, "limit": 10, "note": "Use Accept: text/event-stream for live events"})

    async def stream(self, ask: Ask) -> web.StreamResponse:
        headers = uvicorn_headers() | {
            "cache-control": "no-cache",
            "connection": "keep-alive",
            "x-accel-buffering": "no",
            "content-type": "text/event-stream; charset=utf-8",
        }
        mark(ask, headers)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(ask.request)
        await answer.write(FIRST_FRAME)
        for count in itertools.count(1):
            await self._pace.sleep(KEEP_ALIVE)
            await answer.write(f": keep-alive {count}\n\n".encode())
        return answer

    def issue(self) -> dict[str, Any]:
        token = secrets.token_urlsafe(24)
        self._tokens[token] = self._pace.now() + TOKEN_TTL
        return {
            "sse_token": token,
            "ttl_sec": TOKEN_TTL,
            "endpoint": "/operator/api/events/stream",
            "usage": f"/operator/api/events/stream?token={token}",
        }

    async def stream_by_token(self, ask: Ask) -> web.StreamResponse:
        """The token may be used again for as long as it lives."""
        if self._tokens.get(ask.query("token"), 0.0) <= self._pace.now():
            return detail(401, "invalid_token")
        return await self.stream(ask)

    async def websocket(self, ask: Ask) -> web.StreamResponse:
        """No auth, any origin, never a subprotocol; pings and closes as the real server does, by hand."""
        socket = web.WebSocketResponse(autoping=False, autoclose=False, max_msg_size=LARGEST_MESSAGE)
        socket.headers.update(uvicorn_headers())
        await socket.prepare(ask.request)
        self._sockets.add(socket)
        try:
            await _say(
                socket, {"channel": "control", "type": "connected", "client_id": ask.query("client_id") or "anonymous"}
            )
            await self._converse(socket, ask)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _converse(self, socket: web.WebSocketResponse, ask: Ask) -> None:
        unanswered = False
        next_ping = self._pace.now() + PING
        while not socket.closed:
            try:
                message = await socket.receive(timeout=self._pace.real(max(0.001, next_ping - self._pace.now())))
            except TimeoutError:
                if unanswered:
                    await socket.close(code=1011, message=b"keepalive ping timeout")
                    return
                await socket.ping()
                unanswered, next_ping = True, self._pace.now() + PING
                continue
            if message.type is WSMsgType.PONG:
                unanswered = False
            elif not await self._heard(socket, message, ask):
                return

    async def _heard(self, socket: web.WebSocketResponse, message: WSMessage, ask: Ask) -> bool:
        """False when the conversation is over."""
        match message.type:
            case WSMsgType.TEXT:
                return await self._echo(socket, message.data)
            case WSMsgType.PING:
                await socket.pong(message.data)
                return True
            case WSMsgType.BINARY:
                if ask.request.transport is not None:
                    ask.request.transport.abort()  # the real one drops the connection without a close frame
            case WSMsgType.CLOSE:
                await socket.close(code=message.data or 1000, message=(message.extra or "").encode())
        return False

    async def _echo(self, socket: web.WebSocketResponse, data: str) -> bool:
        try:
            value = json.loads(data)
        except ValueError:
            return True  # not JSON: no answer
        await _say(socket, value)
        if not isinstance(value, dict):
            await socket.close(code=1011)  # echoed first, then it fails on what is no object
            return False
        if str(value.get("type", "")).startswith(BROADCAST):
            for listener in list(self._sockets):
                await _say(listener, value)
        return True


async def _say(socket: web.WebSocketResponse, value: Any) -> None:
    await socket.send_str(json.dumps(value))
