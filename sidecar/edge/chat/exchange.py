"""One connection to a target, and the request on it: a whole answer comes of it, or the kind of failure that kept it away.

As on the relay the bytes are judged by ``wire``, strictly; other than there nothing is passed on before all of it is here, because what a
chat's answer means is known from the whole of it alone. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Protocol, cast

from sidecar.core.value import Value
from sidecar.core.vocabulary import ErrorKind
from sidecar.edge.chat.eager import Promise
from sidecar.edge.cork import Cork, Corked
from sidecar.wire import response
from sidecar.wire.body import BY_LENGTH, NOTHING, Body, UntilClose, reader
from sidecar.wire.head import Refused
from sidecar.wire.heads import Heads

LARGEST_ANSWER = 1 << 20  # bytes; madre was seen to echo 100 kB
LONGEST_HEAD = 16_384  # bytes
MOST_INTERIM = 16


class Heard(Value):
    """A whole answer; ``head`` as the wire's reader leaves it: without what belongs to the connection."""

    status: int
    head: bytes
    content: bytes


Result = Heard | ErrorKind


class Pool(Protocol):
    """Whose connection it is."""

    heads: Heads
    cork: Cork

    def keep(self, exchange: Exchange, /) -> None:
        """It can take another request."""

    def forget(self, exchange: Exchange, /) -> None: ...


class Exchange(asyncio.Protocol):
    """Between requests ``_result`` is None: whatever comes then was not asked for, and ends the connection."""

    __slots__ = (
        "_body", "_content", "_head", "_held", "_interim", "_method", "_out", "_pool", "_result", "_transport", "address", "since", "until",
    )  # fmt: skip

    def __init__(self, pool: Pool, address: tuple[str, int]) -> None:
        self._pool = pool
        self._transport: asyncio.Transport
        self._result: Promise[Result] | None = None
        self._body: Body | None = None
        self.address = address
        self.since = 0.0
        self.until = inf

    # The asker's side.

    def ask(self, method: bytes, message: bytes) -> Promise[Result]:
        """Send a whole request; the connection must be usable."""
        self._method = method
        self._head: response.Response | None = None
        self._body = None
        self._held = b""
        self._content = bytearray()
        self._interim = 0
        self._result = result = Promise[Result]()
        self._out.later(message)
        return result

    def fail(self, kind: ErrorKind) -> None:
        """No answer will come of it, and the connection is not to be used again."""
        result, self._result = self._result, None
        self._transport.abort()
        if result is not None:
            result.settle(kind)

    def time_out(self) -> None:
        self.fail(ErrorKind.TIMEOUT)

    def leave(self, asked: Promise[Result]) -> None:
        """Nobody waits for ``asked`` any more. Has its answer come, the connection may be the next one's, and is not ours to end."""
        if self._result is asked:
            self.fail(ErrorKind.TIMEOUT)

    def close(self) -> None:
        self._transport.close()

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing()

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._out = Corked(self._transport, self._pool.cork)

    def data_received(self, data: bytes) -> None:
        if self._result is None:
            self.fail(ErrorKind.PROTOCOL)
        elif self._body is None:
            self._read(self._held + data if self._held else data)
        else:
            self._take(self._body, data)

    def eof_received(self) -> bool:
        if isinstance(self._body, UntilClose):
            self._done(bytes(self._content))
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - what counts is how far the answer had come
        self._pool.forget(self)
        if self._result is not None:
            self.fail(ErrorKind.RESET if self._head is None else ErrorKind.TRUNCATED)

    # The answer.

    def _read(self, data: bytes) -> None:
        """A head, as soon as it is whole, after any number of interim ones that is not absurd."""
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > LONGEST_HEAD:
                self._held = data
                if len(data) > LONGEST_HEAD or not response.begins(data):
                    self.fail(ErrorKind.PROTOCOL)
                return
            head = self._pool.heads.response(data[:end], self._method)
            data = data[end:]
            if isinstance(head, Refused) or self._interim > MOST_INTERIM:
                self.fail(ErrorKind.PROTOCOL)
                return
            if head.status >= response.FINAL or head.status == response.SWITCHING:
                self._final(head, data)
                return
            self._interim += 1

    def _final(self, head: response.Response, data: bytes) -> None:
        self._head = head
        if head.framing == NOTHING or (head.framing == BY_LENGTH and len(data) == head.length):
            self._done(b"" if head.framing == NOTHING else data, spoiled=len(data) > head.length)
            return
        self._body = reader(head.framing, head.length, bare=True)
        if data:
            self._take(self._body, data)

    def _take(self, body: Body, data: bytes) -> None:
        self._content += body.feed(data)
        if len(self._content) > LARGEST_ANSWER:
            self.fail(ErrorKind.TOO_LARGE)
        elif body.refused is not None or body.rest:
            self.fail(ErrorKind.PROTOCOL)
        elif body.done:
            self._done(bytes(self._content))

    def _done(self, content: bytes, *, spoiled: bool = False) -> None:
        """The one place where an answer ends well. Nothing was asked that could be switched to: a 101 ends the connection."""
        head, result = self._head, self._result
        assert head is not None  # noqa: S101 - read before its body
        self._result = None
        if head.reusable and not spoiled and head.status >= response.FINAL and self.usable:
            self._pool.keep(self)
        else:
            self._transport.close()
        if result is not None:
            result.settle(Heard(head.status, head.head, content))
