"""A connection that is listened to: stands before a server, passes bytes both ways, and keeps every request head that went by."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Literal, NamedTuple, Self

HEAD = re.compile(rb"^([A-Za-z]+) ([^\r\n]+) HTTP/1\.[01]\r\n(.*?)\r\n\r\n", re.MULTILINE | re.DOTALL)

Manner = Literal["pass", "silent", "cut"]
"""silent: takes what comes and never answers; cut: ends the connection when a request has come."""


class Head(NamedTuple):
    method: str
    target: str
    fields: str  # as they came, lines between line feeds

    def values(self, name: str) -> list[str]:
        found = re.findall(rf"^{re.escape(name)}:[ \t]*([^\r\n]*)", self.fields, re.MULTILINE | re.IGNORECASE)
        return [value.strip() for value in found]

    @property
    def through_the_sidecar(self) -> bool:
        return any("vx11-sidecar" in value for value in self.values("Via"))


class Tap:
    """In front of ``port`` of loopback, as an async context. ``manner`` may change at any time."""

    def __init__(self, port: int) -> None:
        self.manner: Manner = "pass"
        self.port = 0
        self._behind = port
        self._heard: list[bytearray] = []
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """From now on nobody is here."""
        self._server.close()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def forget(self) -> None:
        for heard in self._heard:
            heard.clear()

    @property
    def heads(self) -> list[Head]:
        """Of all requests since the last ``forget``, by connection. A body of JSON looks like none of them."""
        found = (match for heard in self._heard for match in HEAD.finditer(bytes(heard)))
        return [Head(*(part.decode("latin-1") for part in match.groups())) for match in found]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._between(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # the end of the tap: nobody waits for this task but ``close``
        finally:
            self._running.discard(task)
            writer.close()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their, our = await asyncio.open_connection("127.0.0.1", self._behind)
        back = asyncio.ensure_future(_pump(their, writer))
        heard = bytearray()
        self._heard.append(heard)
        try:
            while data := await reader.read(65_536):
                heard += data
                if self.manner == "cut":
                    return
                if self.manner == "pass":
                    our.write(data)
                    await our.drain()
            our.write_eof()
            await back
        finally:
            back.cancel()
            our.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
