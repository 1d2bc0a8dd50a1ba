"""The sidecar inside an application instead of before one: FastAPI on uvicorn with ``ChatSidecar`` around it.

The application is no gateway of its own, but passes what it gets to the lab's, byte for byte as far as ASGI has kept it: so the same ears
hear what would have been the application's. Whatever it gets has been let through by the sidecar, and says so in ``Via``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import h11
from fastapi import FastAPI

from sidecar.asgi import ChatSidecar
from sidecar.lab.town import DEFAULT_TOKEN
from tests.uvicorn_server import uvicorn_on

VIA = (b"Via", b"1.1 vx11-sidecar-inside")
_OF_THE_CONNECTION = (b"connection", b"transfer-encoding", b"keep-alive")


class Passing:
    """An ASGI application that asks the server on ``port`` of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await (self._request if scope["type"] == "http" else self._websocket)(scope, receive, send)

    async def _request(self, scope: Any, receive: Any, send: Any) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        wire = h11.Connection(our_role=h11.CLIENT)
        headers = [(name, value) for name, value in scope["headers"] if name not in _OF_THE_CONNECTION]
        if dict(headers).keys().isdisjoint({b"content-length"}) and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            headers.append((b"Transfer-Encoding", b"chunked"))
        request = h11.Request(method=scope["method"], target=_target(scope), headers=[*headers, VIA])
        writer.write(wire.send(request) or b"")
        tasks = [
            asyncio.ensure_future(each)
            for each in (self._body(receive, wire, writer), self._answer(wire, reader, send))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # answered, or the client has left
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()

    async def _body(self, receive: Any, wire: h11.Connection, writer: asyncio.StreamWriter) -> None:
        """Until the client leaves."""
        while (message := await receive())["type"] == "http.request":
            if message.get("body"):
                writer.write(wire.send(h11.Data(data=message["body"])) or b"")
            if not message.get("more_body", False):
                writer.write(wire.send(h11.EndOfMessage()) or b"")
            await writer.drain()

    async def _answer(self, wire: h11.Connection, reader: asyncio.StreamReader, send: Any) -> None:
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Response):
                fields = [(name, value) for name, value in event.headers if name not in _OF_THE_CONNECTION]
                await send({"type": "http.response.start", "status": event.status_code, "headers": fields})
            elif isinstance(event, h11.Data):
                await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            elif not isinstance(event, h11.InformationalResponse):
                await send({"type": "http.response.body", "body": b""})
                return

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        url = f"ws://127.0.0.1:{self._port}{_target(scope).decode()}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as theirs:
            await receive()  # websocket.connect
            await send({"type": "websocket.accept"})
            back = asyncio.ensure_future(self._said(theirs, send))
            while (message := await receive())["type"] == "websocket.receive":
                await theirs.send_str(message["text"])
            back.cancel()
            await theirs.close(code=message["code"])

    async def _said(self, theirs: aiohttp.ClientWebSocketResponse, send: Any) -> None:
        async for message in theirs:
            await send({"type": "websocket.send", "text": message.data})


def _target(scope: Any) -> bytes:
    query = scope["query_string"]
    return scope["raw_path"] + (b"?" + query if query else b"")


@contextlib.asynccontextmanager
async def inside(policy: Path, gateway: int, switch: str, madre: str) -> AsyncIterator[int]:
    """From its start to its end; the port it listens on."""
    app = FastAPI(openapi_url=None)
    app.mount("/", Passing(gateway))
    environ = {"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN}
    sidecar = ChatSidecar(app, policy=policy, switch=switch, madre=madre, environ=environ, log_level="error")
    async with uvicorn_on(sidecar, timeout_graceful_shutdown=2) as url:
        yield int(url.rpartition(":")[2])
