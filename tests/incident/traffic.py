"""What comes in all the time, whatever breaks: chats at a steady rate, requests for the gateway, a stream and a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections import Counter
from collections.abc import Awaitable

import aiohttp

from sidecar.lab.town import DEFAULT_TOKEN
from tests.acceptance.running import CHAT

CHATS = 5.0  # per second
REQUESTS = 4.0  # per second, that are no chats
PATHS = ("/health", "/operator/api/status", "/operator/api/modules", "/operator/power/state", "/nowhere")
PATIENCE = 12.0  # seconds, of a client
NO_HTTP = b"GET / HTTP/1.1\r\nno colon\r\n\r\n"
ERRORS = (aiohttp.ClientError, OSError, TimeoutError)  # much is broken on purpose; what is counted, the sidecar counts


class Traffic:
    """Open loop: nobody waits for the answer to somebody else. ``statuses`` counts the answers to chats; 0 is none."""

    def __init__(self, session: aiohttp.ClientSession, listen: str) -> None:
        self._session = session
        self._listen = listen
        self._url = f"http://{listen}"
        self.statuses: Counter[int] = Counter()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._chats(group))
            group.create_task(self._requests())
            group.create_task(self._streams())
            group.create_task(self._sockets())
            group.create_task(self._strange())

    async def crowd(self, count: int) -> None:
        """``count`` chats at once, and their answers."""
        await asyncio.gather(*(self.chat() for _ in range(count)))

    async def chat(self, token: str = DEFAULT_TOKEN, message: str = "hola", session: str | None = None) -> None:
        fields = {"X-VX11-Token": token} if token else {}
        payload = {"message": message, "session_id": session or str(uuid.uuid4())}
        status = 0
        with contextlib.suppress(*ERRORS):
            async with self._session.post(self._url + CHAT, json=payload, headers=fields) as answer:
                status = answer.status
                await answer.read()
        self.statuses[status] += 1

    async def command(self) -> None:
        """A request to the path beside chat that reaches chat inside the gateway."""
        with contextlib.suppress(*ERRORS):
            async with self._session.post(self._url + CHAT + "/commands", json={"command": "status"}) as answer:
                await answer.read()

    async def _chats(self, group: asyncio.TaskGroup) -> None:
        while True:
            group.create_task(self.chat())
            await asyncio.sleep(1 / CHATS)

    async def _requests(self) -> None:
        for path in itertools.cycle(PATHS):
            await _tried(self._get(path))
            await asyncio.sleep(1 / REQUESTS)

    async def _get(self, path: str) -> None:
        async with self._session.get(self._url + path, headers={"X-VX11-Token": DEFAULT_TOKEN}) as answer:
            await answer.read()

    async def _strange(self) -> None:
        """What is turned away at the door, and a client that does not wait: seldom, for none of it is worth an alert."""
        while True:
            await asyncio.sleep(4)
            await self.chat(token="")
            await self.chat(message="x" * 5000)
            await _tried(self._left())
            await _tried(self._no_http())

    async def _left(self) -> None:
        async with asyncio.timeout(0.001):
            await self.chat()

    async def _no_http(self) -> None:
        host, _, port = self._listen.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(NO_HTTP)
            async with asyncio.timeout(PATIENCE):
                await reader.read()
        finally:
            writer.close()

    async def _streams(self) -> None:
        while True:
            await _tried(self._stream())
            await asyncio.sleep(2)

    async def _stream(self) -> None:
        wanted = {"Accept": "text/event-stream"}
        endless = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._url + "/operator/api/events", headers=wanted, timeout=endless) as answer:
            async for _ in answer.content:
                pass

    async def _sockets(self) -> None:
        while True:
            await _tried(self._talk())
            await asyncio.sleep(2)

    async def _talk(self) -> None:
        async with self._session.ws_connect(self._url + "/ws") as socket:
            while not socket.closed:
                await socket.receive()


async def _tried(what: Awaitable[None]) -> None:
    with contextlib.suppress(*ERRORS):
        await what
