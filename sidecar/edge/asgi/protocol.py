"""ASGI, as far as it is spoken here (asgi.readthedocs.io, specification 3.0, message format 2.x): its types, and our answers in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from sidecar.wire.answer import Fields

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_NO_CONTENT = 204
# The server's own business: which software it is, and what becomes of the connection.
_SERVERS = frozenset({"server", "connection"})


class Saying:
    """One answer. ``begun`` tells that a part of it may be out, so that no other can be given."""

    __slots__ = ("_head_only", "_send", "begun")

    def __init__(self, send: Send, *, head_only: bool) -> None:
        self._send = send
        self._head_only = head_only
        self.begun = False

    async def say(self, status: int, fields: Fields, body: bytes) -> None:
        """The whole of it. A client that left in the meantime is no error (message format 2.4 has servers raise OSError)."""
        self.begun = True
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in fields.items()
            if name.lower() not in _SERVERS
        ]
        if status != _NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(body)))
        bare = self._head_only or status == _NO_CONTENT
        try:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send({"type": "http.response.body", "body": b"" if bare else body, "more_body": False})
        except OSError:
            return

    async def close(self) -> None:
        """Refuse a WebSocket that was not accepted yet. 1008 is a policy's refusal (RFC 6455 7.4.1), for servers that tell it."""
        self.begun = True
        with suppress(OSError):
            await self._send({"type": "websocket.close", "code": 1008, "reason": ""})
