"""The server side of the WebSocket suite: an echo peer by ``websockets``, and one that sends the bytes it is told to.

Both run scripts, named by the path of the handshake, and write down what they saw, under the ``key`` of its query.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
import struct
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

LARGEST = 16 << 20
STREAM = bytes(range(251)) * 4_096  # about 1 MiB that shows what is missing
RESET = struct.pack("ii", 1, 0)
# What an intermediary must or may add or change (RFC 9110 7.6), and what tells the time.
OWN = frozenset({
    "connection", "date", "forwarded", "keep-alive", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
})  # fmt: skip


def fields(pairs: Any) -> list[tuple[str, str]]:
    """Field lines, without what may differ behind an intermediary; in their order where it has a meaning (RFC 9110 5.3)."""
    kept = [(name, value) for name, value in pairs if name.lower() not in OWN]
    return sorted(kept, key=lambda pair: pair[0].lower())


def short(data: str | bytes | bytearray) -> tuple[str, int, int]:
    """A message as it is compared: kind, length, sum."""
    raw = data.encode() if isinstance(data, str) else bytes(data)
    return ("text" if isinstance(data, str) else "binary", len(raw), zlib.crc32(raw))


class Seen:
    """What the server saw of each conversation."""

    def __init__(self) -> None:
        self._notes: dict[str, list[Any]] = {}
        self._over: dict[str, asyncio.Event] = {}

    def begin(self, target: str) -> tuple[str, dict[str, str], list[Any], asyncio.Event]:
        """Path, query, the notes of this conversation, and what to set when it is over."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        key = query.get("key", "")
        return parts.path, query, self._notes.setdefault(key, []), self._over.setdefault(key, asyncio.Event())

    async def of(self, key: str) -> list[Any]:
        """All of it, when it is over."""
        async with asyncio.timeout(10):
            await self._over.setdefault(key, asyncio.Event()).wait()
        return self._notes[key]


# -- the echo peer ------------------------------------------------------------------------------------------------------


async def echo_peer(seen: Seen, stack: contextlib.AsyncExitStack) -> int:
    """Starts it; the port."""

    async def converse(ws: ServerConnection) -> None:
        assert ws.request is not None
        path, query, notes, over = seen.begin(ws.request.path)
        notes.append(fields(ws.request.headers.raw_items()))
        try:
            with contextlib.suppress(ConnectionClosed):
                await SCRIPTS[path](ws, query, notes)
            await ws.wait_closed()
            notes.append(("closed", ws.close_code, ws.close_reason))
        finally:
            over.set()

    def request(ws: ServerConnection, asked: Request) -> Response | None:
        path, query, notes, over = seen.begin(asked.path)
        if path != "/refuse":
            return None
        notes.append(fields(asked.headers.raw_items()))
        over.set()
        answer = ws.respond(HTTPStatus(int(query["status"])), "not you, not now\n")
        answer.headers.update({"X-Why": "because", "WWW-Authenticate": 'Bearer realm="vx11"'})
        if query["status"] == "302":
            answer.headers["Location"] = f"/echo?key={query['key']}-after"
        _cookies(answer.headers)
        return answer

    def response(_: ServerConnection, asked: Request, answer: Response) -> None:
        if urlsplit(asked.path).path == "/odd":
            _cookies(answer.headers)
            answer.headers.update({"X-Empty": "", "x-lOwEr": "kept", "X-Latin": "ca\u00f1\u00f3n"})

    def choose(_: ServerConnection, offered: Any) -> Any:
        return next((each for each in ("vx11.v2", "vx11.v1") if each in offered), None)

    server = await stack.enter_async_context(
        serve(
            converse, "127.0.0.1", 0, max_size=LARGEST, ping_interval=None, close_timeout=2,
            process_request=request, process_response=response, select_subprotocol=choose,
        )
    )  # fmt: skip
    return int(server.sockets[0].getsockname()[1])


def _cookies(headers: Headers) -> None:
    headers["Set-Cookie"] = "a=1; Path=/"  # this class appends
    headers["Set-Cookie"] = "b=2; HttpOnly"


async def _echo(ws: ServerConnection, _: dict[str, str], notes: list[Any]) -> None:
    while True:
        message = await ws.recv()
        notes.append(short(message))
        await ws.send(message)


async def _fragments(ws: ServerConnection, _: dict[str, str], notes: list[Any]) -> None:
    """What came in fragments goes back in the same ones."""
    while True:
        pieces = [piece async for piece in ws.recv_streaming()]
        notes.append([short(piece) for piece in pieces])
        await ws.send(pieces)


async def _pinged(ws: ServerConnection, _: dict[str, str], notes: list[Any]) -> None:
    """Pings between the fragments of one message, a ping that is waited for, a pong nobody asked for."""

    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            await ws.ping(f"within {number}".encode())
            yield f"piece {number} " * 100

    await ws.send(pieces())
    await (await ws.ping(b"and after it"))
    notes.append("pong")
    await ws.pong(b"unasked")
    await _echo(ws, {}, notes)


async def _close(ws: ServerConnection, query: dict[str, str], _: list[Any]) -> None:
    await ws.send("before the end")
    await ws.close(int(query["code"]), query["reason"])


async def _bytes(ws: ServerConnection, query: dict[str, str], notes: list[Any]) -> None:
    """Whatever bytes, past the library's judgement."""
    ws.transport.write(bytes.fromhex(query["hex"]))
    await _echo(ws, {}, notes)


async def _abort(ws: ServerConnection, _: dict[str, str], notes: list[Any]) -> None:
    notes.append(short(await ws.recv()))
    ws.transport.abort()


async def _big(ws: ServerConnection, query: dict[str, str], _: list[Any]) -> None:
    await ws.send(b"x" * int(query["size"]))
    await ws.wait_closed()


Script = Callable[[ServerConnection, dict[str, str], list[Any]], Awaitable[None]]
SCRIPTS: dict[str, Script] = {
    "/echo": _echo, "/odd": _echo, "/fragments": _fragments, "/pinged": _pinged, "/close": _close, "/bytes": _bytes,
    "/abort": _abort, "/big": _big,
}  # fmt: skip


# -- the peer of bare bytes ---------------------------------------------------------------------------------------------

BARE = frozenset({
    "/same-segment", "/half-closed-client", "/half-closed-server", "/both-half-closed-slow", "/cut-within-a-frame",
    "/reset-within-a-frame", "/refuse-until-close", "/wrong-accept", "/mirror", "/reads-slowly",
})  # fmt: skip


async def bare_peer(seen: Seen, stack: contextlib.AsyncExitStack) -> int:
    """Starts it; the port. It speaks no WebSocket beyond the handshake, and leaves half-closed connections half open."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        notes: list[Any] = []
        over = asyncio.Event()
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path, _, notes, over = seen.begin(head.split(" ")[1])
            if path not in BARE:  # the sidecar asks madre how it is, and finds us
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            await _perform(path, switching(head), reader, writer, notes)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            notes.append("incomplete" if isinstance(error, asyncio.IncompleteReadError) else "lost")
        finally:
            over.set()
            writer.close()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # what is not read yet shall be with the sender
    server = await asyncio.start_server(converse, sock=listening)
    stack.push_async_callback(server.wait_closed)
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


def switching(head: str) -> bytes:
    """The 101 for a handshake."""
    key = next(
        line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:")
    )
    accept = b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    )
    return "\r\n".join((*lines, "", "")).encode()


async def _perform(  # noqa: C901 - a list of scripts
    path: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, notes: list[Any]
) -> None:
    if path == "/same-segment":
        writer.write(head + frame(1, b"with the head"))
        notes.append(short(await reader.read()))
    elif path == "/half-closed-client":  # all of it, then all of ours
        writer.write(head)
        notes.append(short(await reader.read()))
        writer.write(STREAM)
        await writer.drain()
    elif path == "/half-closed-server":
        writer.write(head + STREAM)
        writer.write_eof()
        notes.append(short(await reader.read()))
    elif path in ("/both-half-closed-slow", "/reads-slowly"):  # what it was sent, at leisure
        writer.write(head)
        if path == "/both-half-closed-slow":
            writer.write_eof()
        notes.append(short(await _at_leisure(reader)))
    elif path in ("/cut-within-a-frame", "/reset-within-a-frame"):
        writer.write(head + frame(2, STREAM)[:70_000])
        await writer.drain()
        await reader.readexactly(1)
        if path.startswith("/reset"):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    elif path == "/refuse-until-close":
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno length, only an end")
    elif path == "/wrong-accept":
        writer.write(re.sub(rb"Accept: .*", b"Accept: no\r", head))
        notes.append(short(await reader.read()))
    else:
        writer.write(head)
        while data := await reader.read(65_536):
            writer.write(data)


async def _at_leisure(reader: asyncio.StreamReader) -> bytes:
    """So that the end is still in somebody's buffer when the other side has said its last word."""
    received = bytearray()
    while data := await reader.read(32_768):
        received += data
        await asyncio.sleep(0.002)
    return bytes(received)


def frame(opcode: int, payload: bytes, *, fin: bool = True, bits: int = 0, mask: bytes = b"") -> bytes:
    """One frame; ``mask`` is four bytes or none, ``bits`` the reserved ones."""
    first = (0x80 if fin else 0) | bits << 4 | opcode
    masked = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if mask:
        mixed = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        payload = mixed.to_bytes(size, "big")
    return head + mask + payload
