"""A server that plays switch or madre and does with a request whatever it is told to, byte by byte.

Written on bare streams: a server that is one would not let half of this out. It remembers what it was asked, so that it can be
told whether anything was sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from benchmarks.parts import ANSWER
from benchmarks.proxies.process import free_port

Manner = Callable[["Request"], Awaitable[None]]


def _completion(text: str) -> dict[str, object]:
    """The same for a peer that speaks OpenAI's protocol (platform.openai.com/docs/api-reference/chat), in fields that no one else reads."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "chat", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage}


SWITCH = _completion(str(ANSWER["reply"])) | ANSWER
MADRE = _completion("Plan executed. Status: DONE") | {
    "response": "Plan executed. Status: DONE",
    "session_id": "s",
    "status": "DONE",
    "actions": [],
    "model": "madre",
}
WELL = {"switch": SWITCH, "madre": MADRE}
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset


class Request(NamedTuple):
    """One request that came whole; ``text`` is the user's, as this target was sent it."""

    target: Target
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    text: str

    async def send(self, *pieces: bytes, every: float = 0.0) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if every:
                await asyncio.sleep(every)

    async def gone(self) -> None:
        """Say nothing until the other side leaves."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


class Target:
    """As an async context; ``open`` and ``shut`` change whether it listens, ``turn`` says what it does with the chat of a number."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.asked: list[str] = []
        """The texts of all chats that reached us, in order."""
        self.turn: Callable[[int], Manner] = lambda _: well
        self.lock = asyncio.Lock()  # for a target that does one thing at a time
        self.port = 0
        self._held: socket.socket | None = None  # the port is ours while we do not listen, too
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()
        if self._held is not None:
            self._held.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open(self) -> None:
        if self._held is None:
            self._held, self.port = _reserved()
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, reuse_port=True)

    async def shut(self) -> None:
        """Connections are refused; those that stand go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
        body = await reader.readexactly(length)
        if head.startswith(b"GET"):
            async with self.lock:
                await _json(writer, 200, {"status": "ok"})
            return
        text = _text(body)
        manner = self.turn(len(self.asked))
        self.asked.append(text)
        await manner(Request(self, reader, writer, text))


def _reserved() -> tuple[socket.socket, int]:
    """A port that nobody else gets while the socket is open. It does not listen: where we do not either, connections are refused."""
    while True:
        held, port = socket.socket(), free_port()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind(("127.0.0.1", port))
        except OSError:  # somebody else's by now
            held.close()
        else:
            return held, port


def _text(body: bytes) -> str:
    """What the user said: the last message of a switch's conversation, madre's message, or a proxy's."""
    told = json.loads(body)
    return str(told["messages"][-1]["content"] if "messages" in told else told["message"])


async def _json(writer: asyncio.StreamWriter, status: int, value: object, *fields: str) -> None:
    body = json.dumps(value).encode()
    writer.write(whole(status, body, *fields))
    await writer.drain()


def whole(status: int, body: bytes, *fields: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def well(request: Request) -> None:
    await _json(request.writer, 200, WELL[request.target.role])


def says(status: int, value: object, *fields: str) -> Manner:
    """A whole answer with this JSON."""

    async def manner(request: Request) -> None:
        await _json(request.writer, status, value, *fields)

    return manner


def bytes_(*pieces: bytes, then: str = "gone", every: float = 0.0) -> Manner:
    """Exactly these; ``then`` the connection is ``reset``, ``close``d, ``kept``, or silent until the other side is ``gone``."""

    async def manner(request: Request) -> None:
        await request.send(*pieces, every=every)
        if then == "gone":
            await request.gone()
        elif then == "reset":
            await asyncio.sleep(0.01)  # or what was sent is taken back
            request.reset()
        elif then == "close":
            request.close()

    return manner


def late(seconds: float) -> Manner:
    async def manner(request: Request) -> None:
        await asyncio.sleep(seconds)
        await well(request)

    return manner


def one_at_a_time(seconds: float) -> Manner:
    """As the real switch: while it is at work its /health waits, too."""

    async def manner(request: Request) -> None:
        async with request.target.lock:
            await asyncio.sleep(seconds)
            await well(request)

    return manner


async def well_and_closed_soon(request: Request) -> None:
    """Kept as far as anybody was told, and closed before the next request."""
    await well(request)
    request.close()
