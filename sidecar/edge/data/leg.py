"""One raw connection to the gateway, and one exchange at a time on it.

A relayed request is never buffered, never changed beyond its head, and never sent twice: after the first byte every
failure is told to the client (RFC 9110 9.2.2 would allow more; a lost job is dearer than a 502).

States of a ``Leg``::

    CONNECTING  the connection is being made; bytes for it wait, one read of the client's at most
    HEAD        the request went out, at least its head; no final answer head yet
    BODY        the answer's body is on its way to the client
    TUNNEL      101: bytes in both directions until one side is done
    IDLE        kept in the pool; anything that arrives now was not asked for, and ends it
    OVER        nothing will come of it any more
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Protocol, cast

from sidecar.core.fact import Emit, RelayEnded
from sidecar.edge.data.refusal import method
from sidecar.wire import response
from sidecar.wire.body import BY_CHUNKS, BY_LENGTH, UNTIL_CLOSE, Body, Chunked, Length, UntilClose
from sidecar.wire.head import Refused, Rules
from sidecar.wire.request import Request

CONNECTING, HEAD, BODY, TUNNEL, IDLE, OVER = range(6)

LONGEST_HEAD = 262_144
MOST_INTERIM = 16
SWITCHING, FINAL = 101, 200


class Client(Protocol):
    """Who asked: the door, as this side sees it."""

    @property
    def closing(self) -> bool:
        """The client's connection ends with this answer."""

    @property
    def complete(self) -> bool:
        """The request is sent, body and all."""

    def write(self, data: bytes) -> None: ...
    def hold(self) -> None:
        """Send no more of the body for now."""

    def release(self) -> None: ...
    def switched(self) -> None:
        """101 went out: from now on this is a tunnel."""

    def answered(self, *, close: bool) -> None:
        """The whole answer went out."""

    def failed(self, status: int, error: str) -> None:
        """Nothing went out: say so in our own words. ``error`` is one of RFC 9209's."""

    def cut(self) -> None:
        """A part went out, and more will not come."""

    def finished(self) -> None:
        """The gateway sends no more through the tunnel."""


class Pool(Protocol):
    """Whose connection it is."""

    emit: Emit
    now: Callable[[], float]
    date: bytes

    def keep(self, leg: Leg, /) -> None: ...
    def forget(self, leg: Leg, /) -> None: ...


class Leg(asyncio.Protocol):
    """One connection to the gateway, and the exchange on it."""

    __slots__ = (
        "_began", "_body", "_client", "_close_after", "_held", "_held_back", "_interim", "_paused", "_pool", "_request", "_response",
        "_rules", "_transport", "_waiting", "connecting", "received", "sent", "since", "state",
    )  # fmt: skip

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._paused = False
        self._held_back = False
        self.connecting: asyncio.Task[None] | None = None
        self.since = 0.0
        self.state = CONNECTING

    # The door's side.

    def begin(self, client: Client, request: Request, rules: Rules) -> None:
        self._client: Client | None = client
        self._request = request
        self._rules = rules
        self._response: response.Response | None = None
        self._body: Body | None = None
        self._held = b""
        self._interim = 0
        self._began = self._pool.now()
        self.sent = 0
        self.received = 0
        if self._transport is not None:
            self.state = HEAD

    def send(self, data: bytes) -> None:
        self.sent += len(data)
        if self._transport is None:
            self._waiting += data
        elif self.state != OVER:
            self._transport.write(data)

    @property
    def answering(self) -> bool:
        """The final head has come."""
        return self._response is not None

    def hold(self) -> None:
        """The client reads slowly."""
        self._held_back = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        self._held_back = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """The client sends no more through the tunnel."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def abandon(self, error: str | None = "client-gone") -> None:
        """The client is gone, or its request is broken: so is this connection."""
        if self._client is None:
            return
        self._client = None
        self._report(None if self.state == TUNNEL and error == "client-gone" else error)
        self._stop()

    def timed_out(self) -> None:
        """The answer, or more of it, did not come in time."""
        if self._response is None:
            self.fail(504, "timeout", "http_response_timeout")
        else:
            self._break("timeout")

    # The gateway's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.connecting = None
        if self.state == OVER or self._client is None:
            self._transport.abort()
            return
        self.state = HEAD
        self._transport.write(self._waiting)
        self._waiting = b""
        if self._held_back:
            self._transport.pause_reading()
        if not self._paused:
            self._client.release()

    def pause_writing(self) -> None:
        self._paused = True
        if self._client is not None:
            self._client.hold()

    def resume_writing(self) -> None:
        self._paused = False
        if self._client is not None:
            self._client.release()

    def data_received(self, data: bytes) -> None:
        client = self._client
        if client is None:
            self._stop()
        elif self.state == HEAD:
            self._head(client, self._held + data if self._held else data)
        elif self.state == BODY:
            self._pass(client, b"", data)
        else:
            self.received += len(data)
            client.write(data)

    def eof_received(self) -> bool:
        if self.state == BODY and isinstance(self._body, UntilClose):
            self._done(close=True)
        elif self.state == TUNNEL and self._client is not None:
            self._client.finished()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state == IDLE:
            self._pool.forget(self)
        elif self.state == HEAD:
            self.fail(502, "reset", "connection_terminated")
        elif self.state == TUNNEL:
            self._break(None if exc is None else "reset")
        elif self.state == BODY:
            self._break("truncated" if exc is None else "reset")
        self.state = OVER

    # The answer.

    def _head(self, client: Client, data: bytes) -> None:
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:  # not found
                self._held = data
                if len(data) > LONGEST_HEAD:
                    self.fail(502, "protocol", "http_response_header_section_size")
                elif data[:7] != b"HTTP/1."[: len(data)]:
                    self.fail(502, "protocol", "http_protocol_error")
                return
            head = response.read(data[:end], self._request.method, self._rules)
            data = data[end:]
            if isinstance(head, Refused):
                self.fail(502, "protocol", "http_protocol_error")
                return
            if head.status >= FINAL:
                self._final(client, head, data)
                return
            if not self._take_interim(client, head, data) or not data:
                return

    def _take_interim(self, client: Client, head: response.Response, rest: bytes) -> bool:
        """Pass a 1xx on. Returns whether the final head is still to come."""
        self._held = b""
        self._interim += 1
        if head.status == SWITCHING:
            if not self._request.upgrade or not client.complete:
                self.fail(502, "protocol", "http_upgrade_failed")
                return False
            self._response = head
            self.state = TUNNEL
            self._write(client, head.head + b"\r\n\r\n" + rest)
            client.switched()
            return False
        if self._interim > MOST_INTERIM:
            self.fail(502, "protocol", "http_protocol_error")
            return False
        if self._request.minor:
            self._write(client, head.head + b"\r\n\r\n")
        return True

    def _final(self, client: Client, head: response.Response, data: bytes) -> None:
        self._response = head
        self._held = b""
        bare = head.framing == BY_CHUNKS and not self._request.minor
        close = client.closing or bare or head.framing == UNTIL_CLOSE or not client.complete
        out = head.head
        if head.framing == BY_CHUNKS and not bare:
            out += b"\r\nTransfer-Encoding: chunked"
        if close and head.status != 426:  # 426 has a Connection of its own
            out += b"\r\nConnection: close"
        elif not self._request.minor:
            out += b"\r\nConnection: keep-alive"
        if not head.dated and self._pool.date:
            out += b"\r\n" + self._pool.date
        out += b"\r\n\r\n"
        self.state = BODY
        if head.framing == BY_LENGTH:
            self._body = Length(head.length)
        elif head.framing == BY_CHUNKS:
            self._body = Chunked(bare=bare)
        elif head.framing == UNTIL_CLOSE:
            self._body = UntilClose()
        else:
            self._write(client, out)
            self._done(close=close, spoiled=bool(data))
            return
        self._close_after = close
        self._pass(client, out, data)

    def _pass(self, client: Client, before: bytes, data: bytes) -> None:
        body = self._body
        assert body is not None  # noqa: S101 - set with the state
        out = body.feed(data) if data else b""
        if before or out:
            self._write(client, before + out if before else out)
        if body.done:
            self._done(close=self._close_after, spoiled=bool(body.rest))
        elif body.refused is not None:
            self._break("protocol")

    def _write(self, client: Client, data: bytes) -> None:
        self.received += len(data)
        client.write(data)

    def _done(self, *, close: bool, spoiled: bool = False) -> None:
        """The one place where an answer ends well."""
        client, self._client = self._client, None
        if client is None:
            return
        self._report(None)
        head = self._response
        if (
            head is not None
            and head.reusable
            and client.complete
            and not spoiled
            and not self._paused
            and self.whole(look=False)
        ):
            self.state = IDLE
            if self._held_back:  # by a client that has not read all of it yet: no matter of the next one
                self.release()
            self._pool.keep(self)
        else:
            self._stop()
        client.answered(close=close)

    # What goes wrong.

    def fail(self, status: int, error: str, told: str) -> None:
        """Nothing of a final answer went out yet."""
        client, self._client = self._client, None
        self._stop()
        if client is not None:
            self._report(error, status)
            client.failed(status, told)

    def _break(self, error: str | None) -> None:
        client, self._client = self._client, None
        self._stop()
        if client is not None:
            self._report(error)
            client.cut()

    def _stop(self) -> None:
        if self.state == IDLE:
            self._pool.forget(self)
        self.state = OVER
        if self._transport is not None:
            self._transport.abort()
        elif self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None

    def drop(self) -> None:
        """Close a connection that nobody uses."""
        self.state = OVER
        if self._transport is not None:
            self._transport.close()

    def whole(self, *, look: bool) -> bool:
        """Whether a request can be sent here. ``look`` asks the system whether the gateway has closed, or sent something."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if not look:
            return True
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def _report(self, error: str | None, status: int | None = None) -> None:
        head = self._response
        if head is not None:
            status = head.status
        kind = "http" if head is None else "websocket" if status == SWITCHING else "sse" if head.stream else "http"
        now = self._pool.now()
        self._pool.emit(
            RelayEnded(now, kind, method(self._request), status, now - self._began, self.sent, self.received, error)
        )
