"""An ASGI server in a few lines: a request as a script of messages, and everything that was sent."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from canary import TOKEN

from sidecar.asgi import ChatSidecar
from sidecar.policy.load import parse

CHAT = "/operator/api/chat"
BODY = b'{"message": "hi"}'
ENVIRON = {"VX11_TENTACULO_LINK_TOKEN": TOKEN}
NOBODY = {"switch": "127.0.0.1:9", "madre": "127.0.0.1:9"}


async def until(condition: Any, patience: float = 5.0) -> None:
    """Wait for what comes by itself."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - there is nothing to await that would tell
            await asyncio.sleep(0.005)


def around(app: Any, policy: str | Path = "", **options: Any) -> ChatSidecar:
    """A sidecar around ``app`` with the policy of a line or a file; nobody is behind it unless ``options`` say who."""
    loaded = policy if isinstance(policy, Path) else parse(policy, "here.yaml")
    return ChatSidecar(app, policy=loaded, **{"environ": ENVIRON, **NOBODY, **options})


def http(path: str = CHAT, method: str = "POST", token: str | None = TOKEN, **more: Any) -> dict[str, Any]:
    """The scope of a request. ``headers`` are added to Host and the token."""
    headers = [(b"host", b"gateway"), *more.pop("headers", ())]
    if token is not None:
        headers.append((b"x-vx11-token", token.encode()))
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers, "client": ("10.1.2.3", 4711),
        **more,
    }  # fmt: skip


def body(content: bytes = BODY, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


class Client:
    """One client. ``told`` is what comes first; then it waits until ``leave``, as a server does."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self._told = list(told)
        self._left = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if self._told:
            return self._told.pop(0)
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self._left.set()

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def fields(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.sent[0]["headers"]}

    @property
    def content(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def said(self) -> Any:
        return json.loads(self.content)


async def ask(app: Any, scope: dict[str, Any] | None = None, *told: dict[str, Any]) -> Client:
    """One request from its beginning to its end."""
    client = Client(*(told or (body(),)))
    await app(http() if scope is None else scope, client.receive, client.send)
    return client


class Application:
    """The application: remembers what it was given, and answers 200 with the body it read."""

    def __init__(self, root_path: str = "") -> None:
        self.root_path = root_path
        self.given: list[tuple[Any, Any, Any]] = []
        self.read: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] != "lifespan", "this one does not know lifespan"
        self.given.append((scope, receive, send))
        if scope["type"] == "websocket":
            return
        content, more = b"", True
        while more:
            message = await receive()
            self.read.append(message)
            content, more = content + message.get("body", b""), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content, "more_body": False})


class Server:
    """The server's side of a lifespan."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._words: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    async def say(self, word: str) -> dict[str, Any]:
        """Say startup or shutdown; what the application says to that."""
        if self.task is None:
            self.task = asyncio.create_task(
                self._app({"type": "lifespan", "asgi": {}, "state": {}}, self._words.get, self.heard.put)
            )
        await self._words.put({"type": f"lifespan.{word}"})
        return await self.heard.get()


@asynccontextmanager
async def lived(app: Any):
    """Within the life of ``app``."""
    server = Server(app)
    assert (await server.say("startup"))["type"] == "lifespan.startup.complete"
    yield app
    assert (await server.say("shutdown"))["type"] == "lifespan.shutdown.complete"
    await server.task
