"""A GET that is not ours on its way to an application: the application alone, and the same with the sidecar around it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.instructions.case import Case, Turn
from benchmarks.instructions.messages import HEAD, TOKEN
from sidecar.asgi import ChatSidecar
from sidecar.policy.load import parse

SCOPE = {
    "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET", "scheme": "http",
    "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 40_000), "root_path": "", "path": "/operator/api/status",
    "raw_path": b"/operator/api/status", "query_string": b"", "state": {},
    "headers": [
        (name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in HEAD.split(b"\r\n")[1:-2])
    ],
}  # fmt: skip
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
BODY = {"type": "http.response.body", "body": b'{"status":"ok"}', "more_body": False}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The smallest there is: it reads nothing and answers at once."""
    del scope, receive
    await send(START)
    await send(BODY)


def around(app: Any) -> Any:
    return ChatSidecar(app, policy=parse("", "built-in"), environ={"VX11_TENTACULO_LINK_TOKEN": TOKEN})


def asked(app: Callable[[Any, Any, Any], Coroutine[Any, Any, None]]) -> Turn:
    async def receive() -> Any:
        raise AssertionError("nobody reads a body here")

    async def send(message: Any) -> None:
        del message

    def turn() -> None:
        try:
            app(SCOPE, receive, send).send(None)  # nothing in it waits, so it needs no loop
        except StopIteration:
            return
        raise AssertionError("it waits for something")

    return turn


CASES = (
    Case("asgi.bare", "an application asked without anybody around it", lambda _: asked(application), turns=2_000),
    Case(
        "asgi.through",
        "the same behind a ChatSidecar, for a path that is not ours",
        lambda _: asked(around(application)),
        turns=2_000,
    ),
)
