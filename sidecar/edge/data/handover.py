"""Handing one chat to aiohttp's server, and hearing when its answer is over. Public interface of aiohttp only.

aiohttp sees a transport of its own, the *face*: what it writes goes to the client's socket, what it wants to do to the
connection is told to the door, which alone knows where messages begin and end. Each chat is one ``data_received`` with
one whole request written anew, so that no odd spelling ever meets a second parser, and never a byte more.

The end of an answer is the access logger: it is the only thing that aiohttp calls after the last byte. Without one
(``access_log=None``) the end would never be known, which ``rehearse`` finds out at start.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from aiohttp.abc import AbstractAccessLogger
from aiohttp.web import BaseRequest, StreamResponse

from sidecar.edge.chat.application import HEAD_CAME
from sidecar.wire.request import Request

ServerFactory = Callable[[], asyncio.Protocol]

# What chat reads of a request. The rest of the head stays outside.
CHAT_FIELDS = frozenset({
    b"content-type", b"authorization", b"origin", b"accept", b"accept-language", b"user-agent", b"x-correlation-id", b"x-request-id",
    b"traceparent", b"tracestate", b"idempotency-key",
})  # fmt: skip
LINE = re.compile(rb"\r\n([^:\r]+):[\t ]*([^\r]*)")
# aiohttp refuses longer lines and more fields, and echoes them; there is nothing in such that a chat could mean.
LONGEST = 8_000
MOST_LINES = 100
UNSAFE = re.compile(rb"[^\x21\x24-\x3b\x3d\x3f-\x5f\x61-\x7a\x7c\x7e]")


class Owner(Protocol):
    """The door, as aiohttp's side sees it."""

    def write(self, data: bytes) -> None: ...
    def chat_answered(self, *, close: bool) -> None:
        """The whole answer went out."""

    def chat_cut(self) -> None:
        """The answerer gave up the connection within a chat."""


class Face(asyncio.Transport):
    """The transport that aiohttp's protocol holds: one per client connection that chats."""

    def __init__(self, owner: Owner, real: asyncio.Transport, inner: asyncio.Protocol) -> None:
        super().__init__()
        self._owner = owner
        self._real = real
        self._closed = False
        self._writing_paused = False
        self.busy = False
        self.began: float | None = None
        self.inner: asyncio.Protocol | None = inner

    # aiohttp's side.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closed:
            self._owner.write(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._closed or self._real.is_closing()

    def close(self) -> None:
        """Between chats this only means that aiohttp forgets the connection; within one it ends it."""
        if self._closed:
            return
        self._closed = True
        asyncio.get_running_loop().call_soon(self.lost, None)
        if self.busy:
            self.busy = False
            self._owner.chat_cut()

    def abort(self) -> None:
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == HEAD_CAME:
            return self.began
        # The socket and its options are the door's.
        return default if name == "socket" else self._real.get_extra_info(name, default)

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """A whole request was given: there is nothing to hold back."""

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The limits are the door's."""

    def get_write_buffer_size(self) -> int:
        return self._real.get_write_buffer_size()

    # The door's side.

    @property
    def usable(self) -> bool:
        return not self._closed and self.inner is not None

    def chat(self, message: bytes, *, began: float | None = None, writing_paused: bool) -> None:
        """Give aiohttp one whole request, whose head had come at ``began``."""
        assert self.inner is not None  # noqa: S101 - the door asks ``usable`` first
        self.busy = True
        self.began = began
        if writing_paused:
            self.pause_writing()
        self.inner.data_received(message)

    def answered(self, *, close: bool) -> None:
        """Told by ``Done``."""
        if self.busy:
            self.busy = False
            self.resume_writing()
            self._owner.chat_answered(close=close)

    def pause_writing(self) -> None:
        """The protocol insists that pauses and resumptions alternate, and has no need of them between chats."""
        if self.busy and self.inner is not None and not self._writing_paused:
            self._writing_paused = True
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self._writing_paused:
            self._writing_paused = False
            if self.inner is not None:
                self.inner.resume_writing()

    def lost(self, exc: Exception | None) -> None:
        """The client is gone, or aiohttp is to forget it: a handler at work is cancelled."""
        self._closed = True
        self.busy = False
        inner, self.inner = self.inner, None
        if inner is not None:
            inner.connection_lost(exc)


class Done(AbstractAccessLogger):
    """``access_log_class`` for the server that chats are handed to."""

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:  # noqa: ARG002
        face = request.transport
        if isinstance(face, Face):
            face.answered(close=not response.keep_alive)


def face(owner: Owner, real: asyncio.Transport, server: ServerFactory) -> Face:
    """A connection of aiohttp's behind the door's."""
    inner = server()
    made = Face(owner, real, inner)
    inner.connection_made(made)
    return made


def canonical(
    request: Request,
    body: bytes,
    token: bytes,
    fields: frozenset[bytes] = CHAT_FIELDS,
    *,
    forwarded_for: bytes = b"",
    close: bool,
) -> bytes:
    """The request written anew: decoded path, raw query, the fields that chat reads, and a length.

    ``forwarded_for`` is what a trusted peer said.
    """
    _, mark, query = request.target.partition(b"?")
    aim = request.path + mark + UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], query)
    if len(aim) > LONGEST:
        aim = request.path
    lines = [b"%s %s HTTP/1.%d" % (request.method, aim, request.minor), b"Host: " + (request.host or b"localhost")]
    for match in LINE.finditer(request.raw, request.raw.index(b"\r\n"), len(request.raw) - 2):
        name = match[1].lower()
        if (name in fields or name == token) and len(match[2]) <= LONGEST and len(lines) < MOST_LINES:
            lines.append(name + b": " + match[2].rstrip(b" \t"))
    if forwarded_for:
        lines.append(b"x-forwarded-for: " + forwarded_for.removesuffix(b", "))
    lines.append(b"content-length: %d" % len(body))
    if close:
        lines.append(b"connection: close")
    elif not request.minor:
        lines.append(b"connection: keep-alive")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class _Rehearsal:
    """Stands in for a door while nobody has come yet."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.kept = False

    def write(self, data: bytes) -> None: ...

    def chat_answered(self, *, close: bool) -> None:
        self.kept = not close
        self.over.set()

    def chat_cut(self) -> None:
        self.over.set()


class _Nowhere(asyncio.Transport):
    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


async def rehearse(server: ServerFactory, path: str, patience: float = 2.0) -> None:
    """Two requests for ``path`` (any path that answers) on one connection: proof that the end of an answer is heard.

    Raises RuntimeError when it is not, which happens when the server has no access log, or not ``Done``.
    """
    owner = _Rehearsal()
    stand_in = face(owner, _Nowhere(), server)
    try:
        for _ in range(2):
            owner.over.clear()
            if stand_in.usable:
                stand_in.chat(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), writing_paused=False)
                async with asyncio.timeout(patience):
                    await owner.over.wait()
            if not owner.kept:
                raise RuntimeError("the chat server closes the connection after one answer")
    except TimeoutError:
        raise RuntimeError(
            "the chat server does not report the end of an answer: it needs access_log_class=Done and an access_log"
        ) from None
    finally:
        stand_in.lost(None)
