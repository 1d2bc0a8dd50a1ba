"""What the gateway says: the head of its answer, the body, and the bytes of a tunnel, passed on as they come.

A relayed request is never buffered and never changed beyond its head. It is sent again in one case only: on a kept connection
that the gateway was closing in that moment, when the system itself says that not one byte of it arrived (``delivery``).
Every other failure is told to the client (RFC 9110 9.2.2 would allow more; a lost job is dearer than a 502).
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from sidecar.edge.data.delivery import acknowledged
from sidecar.edge.data.exchange import BODY, HEAD, IDLE, OVER, SWITCHING, TUNNEL, Client, Exchange
from sidecar.wire import response
from sidecar.wire.body import BY_CHUNKS, UntilClose, reader
from sidecar.wire.head import Refused

LONGEST_HEAD = 262_144
MOST_INTERIM = 16
RECEIVE_BUFFER = 262_144  # bytes, as many as the loop reads at once: more of an answer stays in the gateway while the client reads slowly
SYN = 1  # acknowledged like a byte
FINAL = 200


class Leg(Exchange):
    """The exchange as its connection drives it."""

    __slots__ = ()

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.connecting = None
        if self.state == OVER or self._client is None:
            self._transport.abort()
            return
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.state = HEAD
        self._transport.write(self._waiting)
        self._waiting = b""
        if self._held_back:
            self._transport.pause_reading()
        if not self.paused:
            self._client.release()

    def data_received(self, data: bytes) -> None:
        client = self._client
        if client is None:
            self._stop()
        elif self.state == HEAD:
            if self._held:
                data, self._held = self._held + data, b""
            self._head(client, data)
        elif self.state == BODY:
            self._pass(client, b"", data)
        else:
            self.received += len(data)
            client.through(data)

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
            self._lost()
        elif self.state == TUNNEL:
            self._break(None if exc is None else "reset")
        elif self.state == BODY:
            self._break("truncated" if exc is None else "reset")
        self.state = OVER

    def _lost(self) -> None:
        """The connection ended before an answer. If nothing of the request arrived, the request goes out once more."""
        client, unsure = self._client, self._unsure
        if client is None or not unsure or self._held or self._interim or not self._undelivered():
            self.fail(502, "reset", "connection_terminated")
            return
        self._client = None
        self._pool.unanswered -= 1
        client.moved(self._pool.again(client, self._request, unsure, self._heads))

    def _undelivered(self) -> bool:
        assert self._transport is not None  # noqa: S101 - lost only after it stood
        taken = acknowledged(self._transport.get_extra_info("socket"))
        return taken is not None and taken <= SYN + self._written

    # The answer.

    def _head(self, client: Client, data: bytes) -> None:
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > LONGEST_HEAD:  # not found, or not in time
                self._held = data
                if len(data) > LONGEST_HEAD:
                    self.fail(502, "protocol", "http_response_header_section_size")
                elif not response.begins(data):
                    self.fail(502, "protocol", "http_protocol_error")
                return
            head = self._heads.response(data[:end], self._request.method)
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
        self._interim += 1
        if head.status == SWITCHING:
            if not self._request.upgrade or not client.complete:
                self.fail(502, "protocol", "http_upgrade_failed")
                return False
            self._response = head
            self._pool.unanswered -= 1
            self.state = TUNNEL
            self._write(client, head.head + b"\r\n\r\n")
            client.switched()
            if rest:
                self.data_received(rest)
            return False
        if self._interim > MOST_INTERIM:
            self.fail(502, "protocol", "http_protocol_error")
            return False
        if self._request.minor:
            self._write(client, head.head + b"\r\n\r\n")
        return True

    def _final(self, client: Client, head: response.Response, data: bytes) -> None:
        """The head of the answer itself, and what came with it."""
        pool, minor, out, length = self._pool, self._request.minor, head.head, head.length
        pool.unanswered -= 1
        self.state = BODY
        self._response = head
        close = client.closing or not client.complete
        if length < 0:  # not known beforehand
            if head.framing == BY_CHUNKS and minor:
                out += b"\r\nTransfer-Encoding: chunked"
            else:
                close = True
        if close:
            out += b"\r\nConnection: close"  # beside the Connection: Upgrade of a 426, which may have two of it
        elif not minor:
            out += b"\r\nConnection: keep-alive"
        if not head.dated and pool.date:
            out += b"\r\n" + pool.date
        out += b"\r\n\r\n"
        if 0 <= length <= len(data):  # the answer is all there with its head, as most are
            self._write(client, out + data[:length])
            self._done(close=close, spoiled=length < len(data))
            return
        self._body = reader(head.framing, length, bare=not minor)
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
        now, head, transport = self._pool.now(), self._response, self._transport
        self._report(now, None)
        if (
            (head is not None and head.reusable)
            and client.complete
            and not (spoiled or self.paused)
            and (transport is not None and not transport.is_closing())
        ):
            self.state = IDLE
            self._unsure = None
            if self._held_back:  # by a client that has not read all of it yet: no matter of the next one
                self.release()
            self._pool.keep(now, self)
        else:
            self._stop()
        client.answered(close=close)
