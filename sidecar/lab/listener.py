"""A service's socket: opened, closed (connection refused) and opened again on the same port, and the faults that
happen below HTTP.

aiohttp does the HTTP, with the settings that make it look like uvicorn. A handler goes on when its client leaves, as
the real services do: abandoned work still occupies them. So the tasks are counted here and cancelled on close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sidecar.lab.answers import RefusedError, bad_request, server_error
from sidecar.lab.faults import Faults
from sidecar.lab.routes import Ask, path_and_query

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where the caller asks for it
KEEP_ALIVE = 5.0
ACCEPTING = 3  # turns of the event loop from an accepted connection to its protocol
MOST_COUNTED = 1000  # different requests; further ones are counted together
HEADER_LIMIT = 128 * 1024  # 70 kB header fields were seen to pass
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x50 this is not HTTP \xff\xfe\r\n\r\n"

App = Callable[[Ask], Awaitable[web.StreamResponse]]


class _Protocol(web.RequestHandler):
    """Says what uvicorn says to something that is not HTTP, and keeps it out of the log."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        del request, exc, message
        return bad_request() if status < 500 else server_error()


class _Server(web.Server):
    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **settings: Any) -> None:
        super().__init__(handler)
        self._settings = settings

    def __call__(self) -> _Protocol:
        return _Protocol(self, loop=asyncio.get_running_loop(), **self._settings)


class Listener:
    """``keep_alive`` is in wall-clock seconds, whatever the lab's tempo: clients count on it by clocks of their own."""

    def __init__(
        self, app: App, faults: Faults | None = None, host: str = LOOPBACK, *, keep_alive: float = KEEP_ALIVE
    ) -> None:
        self._app = app
        self._faults = faults
        settings = {"max_line_size": HEADER_LIMIT, "max_field_size": HEADER_LIMIT, "access_log": None}
        self._server = _Server(self._serve, keepalive_timeout=keep_alive, **settings)
        self._listening: asyncio.Server | None = None
        self._place: socket.socket | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self.address: tuple[str, int] = (host, 0)
        self.requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where this machine finds it."""
        host, port = self.address
        return f"http://{LOOPBACK if host == EVERYWHERE else host}:{port}"

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    async def open(self, port: int = 0) -> None:
        """On an IPv4 address of this machine. Raises OSError."""
        self._place = await _bind((self.address[0], port))
        self.address = self._place.getsockname()[:2]
        await self._listen()

    async def follow(self) -> None:
        """Brings the socket in line with the faults: closed while refusing, open otherwise."""
        refusing = self._faults is not None and self._faults.behaviour == "refuse"
        if refusing and self._listening is not None:
            await self._refuse()
        elif not refusing and self._listening is None:
            await self._listen()

    async def close(self) -> None:
        """At once: whatever is being served is cancelled, hung or not."""
        self._closing = True
        await self._end_listening()
        if self._place is not None:
            self._place.close()
            self._place = None
        await self._drop()
        await self._server.shutdown(1.0)

    async def _listen(self) -> None:
        place, self._place = self._place or await _bind(self.address), None
        self._listening = await asyncio.get_running_loop().create_server(self._server, sock=place, backlog=512)

    async def _refuse(self) -> None:
        """A bound socket that does not listen refuses connections and keeps the port for the way back."""
        await self._end_listening()
        await self._drop()
        self._place = await _bind(self.address)

    async def _end_listening(self) -> None:
        """Nobody is accepted any more, and who was is let in first: asyncio leaves open, and forgets, a connection that it only comes to
        when its server is closed.
        """
        listening, self._listening = self._listening, None
        if listening is None:
            return
        for place in listening.sockets:
            asyncio.get_running_loop().remove_reader(place.fileno())
        for _ in range(ACCEPTING):
            await asyncio.sleep(0)
        listening.close()

    async def _drop(self) -> None:
        """Every connection and all work, as when a process dies."""
        for connection in self._server.connections:
            if connection.transport is not None:  # uvloop's are no asyncio.Transport
                connection.transport.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is None or self._closing:  # the second: it was read before the connection was dropped
            return server_error()
        self._tasks.add(task)
        path, query = path_and_query(request.raw_path)
        self._count(f"{request.method} {path}")
        try:
            return await self._answer(Ask(request, path, query))
        finally:
            self._tasks.discard(task)

    def _count(self, name: str) -> None:
        self.requests[name if name in self.requests or len(self.requests) < MOST_COUNTED else "other"] += 1

    async def _answer(self, ask: Ask) -> web.StreamResponse:
        try:
            if self._faults is not None and await _broken(ask.request, self._faults):
                return web.Response()  # never seen: the connection is gone
            if ask.method not in METHODS:
                return bad_request()
            await _read(ask)
            return await self._app(ask)
        except RefusedError as refused:
            return refused.answer
        except ConnectionError:  # the client left while its answer was being written
            return web.Response()
        except Exception:  # as Starlette: whatever nobody caught is a 500 in plain text
            logger.exception("unhandled in %s %s", ask.method, ask.path)
            return server_error()


async def _read(ask: Ask) -> None:
    """All of it: VX11 has no size limit."""
    request = ask.request
    if (ask.header("expect") or "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    ask.body = b"".join([piece async for piece in request.content.iter_any()])


async def _broken(request: web.BaseRequest, faults: Faults) -> bool:
    """Faults below HTTP. True when the connection is no more."""
    hung = False
    while faults.behaviour == "hang":
        hung = True
        await faults.moved()
    transport = request.transport
    if transport is None:
        return hung
    if hung:
        transport.abort()
    elif faults.behaviour == "reset":
        _reset(transport)
    elif faults.behaviour == "garbage":
        transport.write(GARBAGE)
        transport.close()
    else:
        return False
    return True


def _reset(transport: asyncio.Transport) -> None:
    """Lingering for zero seconds makes the kernel say RST instead of FIN. Event loops lend their sockets for reading
    only, so the option is set through a duplicate.
    """
    handle = transport.get_extra_info("socket")
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle.fileno())) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _bind(address: tuple[str, int]) -> socket.socket:
    """A listener that was just closed may hold the port for another turn of the loop."""
    for attempt in range(50):
        place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.setblocking(False)  # noqa: FBT003
        try:
            place.bind(address)
        except OSError:
            place.close()
            if attempt == 49 or not address[1]:
                raise
            await asyncio.sleep(0.002)
        else:
            return place
    raise AssertionError("unreachable")
