"""The client side of the WebSocket suite: two libraries behind one face, and a bare socket for what no library would send."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from benchmarks.websocket_peer import LARGEST, fields, frame, short

PATIENCE = 10.0
HANDSHAKE = (
    "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)
MASK = b"\x12\x34\x56\x78"

Pairs = Sequence[tuple[str, str]]


class RefusedError(Exception):
    """The handshake was answered with something else than 101; its argument says with what."""


class Place(NamedTuple):
    host: str
    port: int

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"


class Conversation(Protocol):
    """An open WebSocket as a case uses it."""

    shaken: Any

    async def send(self, message: str | bytes | list[str] | list[bytes]) -> None: ...
    async def receive(self) -> Any:
        """A message in short, or ``("closed", code, reason)``."""

    async def ping(self, data: bytes) -> Any: ...
    async def pong(self, data: bytes) -> None: ...
    async def close(self, code: int, reason: str) -> Any: ...
    def abort(self) -> None: ...


# -- websockets ---------------------------------------------------------------------------------------------------------


class Websockets:
    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws
        assert ws.response is not None
        self.shaken = (ws.subprotocol, fields(ws.response.headers.raw_items()))

    async def send(self, message: Any) -> None:
        await self._ws.send(message)

    async def receive(self) -> Any:
        try:
            return short(await self._ws.recv())
        except ConnectionClosed:
            return ("closed", self._ws.close_code, self._ws.close_reason)

    async def ping(self, data: bytes) -> Any:
        await (await self._ws.ping(data))
        return "pong"

    async def pong(self, data: bytes) -> None:
        await self._ws.pong(data)

    async def close(self, code: int, reason: str) -> Any:
        await self._ws.close(code, reason)
        return (self._ws.close_code, self._ws.close_reason)

    def abort(self) -> None:
        self._ws.transport.abort()


@contextlib.asynccontextmanager
async def by_websockets(
    place: Place,
    target: str,
    *,
    protocols: Sequence[str] = (),
    headers: Pairs = (),
    deflate: str = "",
    most: int = LARGEST,
) -> AsyncIterator[Conversation]:
    lean = deflate == "no takeover"
    factory = ClientPerMessageDeflateFactory(server_no_context_takeover=lean, client_no_context_takeover=lean)
    try:
        async with connect(
            f"ws://{place.authority}{target}", proxy=None, compression=None, extensions=[factory] if deflate else None,
            subprotocols=list(protocols) or None, additional_headers=list(headers), ping_interval=None, max_size=most,
            close_timeout=2,
        ) as ws:  # fmt: skip
            yield Websockets(ws)
    except InvalidStatus as error:
        answer = error.response
        raise RefusedError(answer.status_code, fields(answer.headers.raw_items()), answer.body) from error
    except InvalidHandshake as error:
        raise RefusedError(type(error).__name__) from error


# -- aiohttp ------------------------------------------------------------------------------------------------------------


class Aiohttp:
    """Pings and pongs of the other side are received like messages here."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._ws = ws
        answer = ws._response  # noqa: SLF001 - there is no other way to the answer's fields
        self.shaken = (ws.protocol, ws.compress, fields(_pairs(answer.raw_headers)))

    async def send(self, message: Any) -> None:
        if isinstance(message, list):  # this library sends no fragments by itself
            kind = aiohttp.WSMsgType.TEXT if isinstance(message[0], str) else aiohttp.WSMsgType.BINARY
            whole = "".join(message).encode() if isinstance(message[0], str) else b"".join(message)
            await self._ws.send_frame(whole, kind)
        elif isinstance(message, str):
            await self._ws.send_str(message)
        else:
            await self._ws.send_bytes(message)

    async def receive(self) -> Any:
        said = await self._ws.receive(PATIENCE)
        if said.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return short(said.data)
        if said.type is aiohttp.WSMsgType.PING:
            await self._ws.pong(said.data)
            return ("ping", bytes(said.data))
        if said.type is aiohttp.WSMsgType.PONG:
            return ("pong", bytes(said.data))
        return ("closed", self._ws.close_code, said.extra if said.type is aiohttp.WSMsgType.CLOSE else "")

    async def ping(self, data: bytes) -> Any:
        await self._ws.ping(data)
        return await self.receive()

    async def pong(self, data: bytes) -> None:
        await self._ws.pong(data)

    async def close(self, code: int, reason: str) -> Any:
        await self._ws.close(code=code, message=reason.encode())
        return self._ws.close_code

    def abort(self) -> None:
        transport = self._ws.get_extra_info("socket")
        assert transport is not None
        connection = self._ws._response.connection  # noqa: SLF001
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()


@contextlib.asynccontextmanager
async def by_aiohttp(
    place: Place,
    target: str,
    *,
    protocols: Sequence[str] = (),
    headers: Pairs = (),
    deflate: str = "",
    most: int = LARGEST,
) -> AsyncIterator[Conversation]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        try:
            async with session.ws_connect(
                f"http://{place.authority}{target}", protocols=protocols, headers=headers, autoping=False, max_msg_size=most,
                compress=15 if deflate else 0,
            ) as ws:  # fmt: skip
                yield Aiohttp(ws)
        except aiohttp.WSServerHandshakeError as error:
            raise RefusedError(error.status, fields((error.headers or {}).items())) from error


def _pairs(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


CLIENTS = {"websockets": by_websockets, "aiohttp": by_aiohttp}


# -- a bare socket ------------------------------------------------------------------------------------------------------


def masked(opcode: int, payload: bytes, *, fin: bool = True, bits: int = 0) -> bytes:
    return frame(opcode, payload, fin=fin, bits=bits, mask=MASK)


class Bare:
    """One connection, byte by byte."""

    def __init__(self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.place = place
        self._reader = reader
        self._writer = writer

    def handshake(self, target: str, more: str = "") -> bytes:
        return HANDSHAKE.format(target=target, host=self.place.authority, more=more).encode("latin-1")

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self) -> Any:
        """Status and fields of an answer."""
        said = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = said.rstrip("\r\n").split("\r\n")
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return [status, *fields(pairs)]

    async def frames(self, count: int) -> list[tuple[int, bytes]]:
        """The next ones: first byte and payload."""
        found = []
        for _ in range(count):
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
            found.append((first, await self._reader.readexactly(size)))
        return found

    def half_close(self) -> None:
        self._writer.write_eof()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def rest(self, *, telling_resets: bool = False) -> Any:
        """What comes until the end. How it ends is told only where both ways must end alike."""
        received = bytearray()
        end = "end"
        try:
            while data := await self._reader.read(65_536):
                received += data
        except ConnectionError:
            end = "reset"
        return (short(received), end if telling_resets else "over", bytes(received[:200]))


@contextlib.asynccontextmanager
async def by_hand(place: Place) -> AsyncIterator[Bare]:
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        yield Bare(place, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def without_place(told: Any, place: Place, key: str) -> Any:
    """What was told, with neither the address it was told at nor the key of its conversation."""
    text = repr(told).replace(place.authority, "PLACE").replace(key, "KEY")
    return re.sub(r"('[Ss]ec-[Ww]eb[Ss]ocket-(?:Key|Accept|key|accept)', )'[^']*'", r"\1NONCE", text)
