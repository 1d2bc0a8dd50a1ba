"""One request on one connection to the gateway: what is sent, held back, counted, reported, and how it ends.

What the gateway says is read by ``leg``. States::

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
from typing import Protocol

from sidecar.core.fact import Emit, RelayEnded
from sidecar.edge.data.delivery import acknowledged
from sidecar.edge.data.refusal import method
from sidecar.wire import response
from sidecar.wire.body import Body, Chunked, Length
from sidecar.wire.heads import Heads
from sidecar.wire.inventory import usage
from sidecar.wire.request import Request

CONNECTING, HEAD, BODY, TUNNEL, IDLE, OVER = range(6)

FLUSH_FOR = 10.0  # seconds that the end of a tunnel may take to reach the gateway
MOST_UNSURE = 65_536  # bytes of a request that are remembered until the gateway shows that it has them
SWITCHING = 101


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

    def through(self, data: bytes) -> None:
        """The gateway's bytes in the tunnel."""

    def answered(self, *, close: bool) -> None:
        """The whole answer went out."""

    def failed(self, status: int, error: str) -> None:
        """Nothing went out: say so in our own words. ``error`` is one of RFC 9209's."""

    def cut(self, *, plain: bool) -> None:
        """A part went out, and more will not come. ``plain`` says that its framing shows that by itself."""

    def moved(self, exchange: Way) -> None:
        """The exchange goes on elsewhere."""

    def finished(self) -> None:
        """The gateway sends no more through the tunnel."""


class Way(Protocol):
    """An exchange, as whoever asks sees it."""

    @property
    def answering(self) -> bool: ...
    @property
    def paused(self) -> bool:
        """The gateway reads slowly."""

    @property
    def plain(self) -> bool: ...
    @property
    def progress(self) -> int: ...
    def send(self, data: bytes) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    def end(self) -> None: ...
    def abandon(self, error: str | None = "client-gone") -> None: ...
    def part(self) -> None: ...
    def timed_out(self) -> None: ...


class Pool(Protocol):
    """Whose connection it is."""

    emit: Emit
    now: Callable[[], float]
    date: bytes
    unanswered: int
    """Requests under way of which no final head has come yet."""

    def keep(self, now: float, exchange: Exchange, /) -> None: ...
    def forget(self, exchange: Exchange, /) -> None: ...
    def again(self, client: Client, request: Request, message: bytes, heads: Heads, /) -> Exchange:
        """Send what was never delivered once more, on a connection of its own."""


class Exchange(asyncio.Protocol):
    """A connection to the gateway, and the request on it."""

    __slots__ = (
        "_began", "_body", "_client", "_close_after", "_heads", "_held", "_held_back", "_interim", "_pool", "_request",
        "_response", "_transport", "_unsure", "_waiting", "_written", "connecting", "paused", "received", "sent", "since", "state",
    )  # fmt: skip

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._held = b""
        self._written = 0
        self._unsure: bytes | None = None
        self.paused = False
        self._held_back = False
        self.connecting: asyncio.Task[None] | None = None
        self.since = 0.0
        self.sent = 0
        self.state = CONNECTING

    # The door's side.

    def begin(self, now: float, client: Client, request: Request, message: bytes, heads: Heads) -> None:
        """Send ``message``, the beginning of ``request`` or all of it."""
        self._began = now
        self._client: Client | None = client
        self._request = request
        self._heads = heads
        self._response: response.Response | None = None
        self._body: Body | None = None
        self._interim = 0
        self._pool.unanswered += 1
        self._written += self.sent
        self.sent = len(message)
        self.received = 0
        if self._transport is None:
            self._waiting = message
        else:
            self.state = HEAD
            self._unsure = message  # only a connection that was kept may be closing already
            self._transport.write(message)

    def send(self, data: bytes) -> None:
        self.sent += len(data)
        if self._transport is None:
            self._waiting += data
        elif self.state != OVER:
            self._transport.write(data)
            if self._unsure is not None:
                self._unsure = self._unsure + data if self.sent <= MOST_UNSURE else None

    @property
    def answering(self) -> bool:
        """The final head has come."""
        return self._response is not None

    @property
    def progress(self) -> int:
        """Grows with every byte that comes or goes here; the gateway's reading by the system's count where there is one."""
        transport = self._transport
        if transport is None:
            return self.sent
        acked = acknowledged(transport.get_extra_info("socket"))
        return self.sent + self.received + (-transport.get_write_buffer_size() if acked is None else acked)

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
        self._report(self._pool.now(), None if self.state == TUNNEL and error == "client-gone" else error)
        self._stop()

    def part(self) -> None:
        """The tunnel is over for us: what was written still goes out, if the gateway takes it."""
        if self._client is None:
            return
        self._client = None
        self._report(self._pool.now(), None)
        self.drop()
        if self._transport is not None and self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(FLUSH_FOR, self._transport.abort)

    def timed_out(self) -> None:
        """The answer, or more of it, did not come in time."""
        if self._response is None:
            self.fail(504, "timeout", "http_response_timeout")
        else:
            self._break("timeout")

    # The gateway's reading.

    def pause_writing(self) -> None:
        self.paused = True
        if self._client is not None:
            self._client.hold()

    def resume_writing(self) -> None:
        self.paused = False
        if self._client is not None:
            self._client.release()

    # How it ends.

    def fail(self, status: int, error: str, told: str) -> None:
        """Nothing of a final answer went out yet."""
        client, self._client = self._client, None
        self._stop()
        if client is not None:
            self._report(self._pool.now(), error, status)
            client.failed(status, told)

    def _break(self, error: str | None) -> None:
        client, self._client = self._client, None
        tunnel = self.state == TUNNEL
        self._stop()
        if client is not None:
            self._report(self._pool.now(), error)
            client.cut(plain=self.plain or (tunnel and error is None))

    @property
    def plain(self) -> bool:
        """Whether a client can tell from the framing of the answer that a part of it is missing."""
        body = self._body
        return isinstance(body, Length) or (isinstance(body, Chunked) and not body.bare)

    def _stop(self) -> None:
        if self.state in (CONNECTING, HEAD):
            self._pool.unanswered -= 1
        elif self.state == IDLE:
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

    def _report(self, now: float, error: str | None, status: int | None = None) -> None:
        head, asked = self._response, self._request
        kind = "http"
        if head is not None:
            status = head.status
            kind = "websocket" if status == SWITCHING else "sse" if head.stream else "http"
        used, seconds = usage(asked), now - self._began
        self._pool.emit(
            RelayEnded(
                now, kind, method(asked), status, seconds, self.sent, self.received, error, used.template, used.client
            )
        )
