"""A data port on loopback for tests: a recording gateway behind it, somebody who answers chats, raw sockets in front."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sidecar.core.value import replace
from sidecar.edge.chat.eager import EagerTask
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Reply
from sidecar.edge.data.door import Terms
from sidecar.edge.data.port import DataPort
from sidecar.edge.data.relay import Relay
from sidecar.wire import head
from sidecar.wire.heads import Heads
from sidecar.wire.target import Routes
from tests.corpus.raw import OK, Gateway, serving, talk  # noqa: F401 - tests take them from here

STATUSES = {"auth_required": 401, "forbidden": 403, "too_large": 413, "body_timeout": 408, "overloaded": 503}
CORPUS = Path(__file__).parent.parent / "corpus"
TOKEN = b"right"
PSEUDONYM = b"vx11-sidecar-0123abcd"
CHAT = ("/operator/api/chat", "/operator/api/v1/chat")


def own_answer(word: str, asked: Any) -> tuple[int, dict[str, str], bytes]:
    status = STATUSES[word]
    return status, {"Content-Type": "application/json"}, json.dumps({"detail": word, "status_code": status}).encode()


def judge(values: Any) -> str | None:
    if not values or not values[0]:
        return "missing"
    return None if values[0] == TOKEN else "wrong"


def said(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


async def echo(asked: Incoming) -> Reply:
    return said({"chat": asked.body.decode("latin-1"), "path": asked.request.path.decode(), "peer": asked.peer})


class Chats:
    """Answers chats by a coroutine function."""

    def __init__(self, answer: Callable[[Incoming], Awaitable[Reply]]) -> None:
        self._answer = answer

    def begin(self, asked: Incoming, done: Callable[[Reply], None]) -> EagerTask:
        task = EagerTask(asyncio.get_running_loop(), self._run(asked, done))
        task.start()
        return task

    async def _run(self, asked: Incoming, done: Callable[[Reply], None]) -> None:
        done(await self._answer(asked))


class Stage:
    """Everything a test of the data port touches."""

    def __init__(self, data_port: DataPort, relay: Relay, facts: list[Any], number: int) -> None:
        self.data_port = data_port
        self.relay = relay
        self.facts = facts
        self.port = number

    def terms(self, **changes: Any) -> None:
        self.data_port.terms = replace(self.data_port.terms, **changes)

    async def until(self, holds: Callable[[], Any], patience: float = 3.0) -> None:
        """Wait for something that happens soon."""
        async with asyncio.timeout(patience):
            while not holds():  # noqa: ASYNC110 - what is awaited are states of others
                await asyncio.sleep(0.002)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**26)


@asynccontextmanager
async def stage(
    upstream: int,
    *,
    chat: Callable[[Incoming], Awaitable[Reply]] = echo,
    tick: float = 0.05,
    connect_timeout: float = 1.0,
    kept_for: float = 4.0,
    deny: tuple[str, ...] = ("/debug/*",),
    **changes: Any,
) -> AsyncIterator[Stage]:
    loop = asyncio.get_running_loop()
    facts: list[Any] = []
    relay = Relay(
        "127.0.0.1",
        upstream,
        emit=facts.append,
        now=loop.time,
        spawn=loop.create_task,
        connect_timeout=connect_timeout,
        kept_for=kept_for,
    )
    rules = head.rules(Routes(CHAT, deny), pseudonym=PSEUDONYM, authority=b"gateway:8000")
    terms = Terms(
        heads=Heads(rules),
        relay=relay,
        chats=Chats(chat),
        judge=judge,
        own_answer=own_answer,
        emit=facts.append,
        now=loop.time,
        **changes,
    )
    data_port = DataPort(terms, tick=tick)
    data_port.start()
    server = await loop.create_server(data_port, "127.0.0.1", 0)
    try:
        yield Stage(data_port, relay, facts, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await data_port.drain(0)
        relay.close()
        await asyncio.sleep(0)
        await server.wait_closed()


def post(path: str = "/operator/api/chat", body: bytes = b"{}", *fields: str, token: bytes | None = TOKEN) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: up.test", f"Content-Length: {len(body)}", *fields]
    if token is not None:
        lines.append("X-VX11-Token: " + token.decode())
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path: str = "/t", *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: up.test", *fields]).encode() + b"\r\n\r\n"


async def one_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Read one answer with a length (or none). Returns status, head and body."""
    head_ = await reader.readuntil(b"\r\n\r\n")
    status = int(head_[9:12])
    match = re.search(rb"\r\ncontent-length:[ \t]*(\d+)", head_, re.IGNORECASE)
    return status, head_, await reader.readexactly(int(match[1])) if match else b""
