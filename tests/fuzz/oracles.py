"""Two readers of other people, for a stream of requests that we would send: h11, and the C parser of aiohttp."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import h11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import EMPTY_PAYLOAD

Seen = list[tuple[bytes, bytes, bytes]]  # method, target and body of every request
LARGEST = 1 << 20


def by_h11(data: bytes) -> Seen | None:
    """What h11 makes of a stream; None when it refuses some of it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST)
    connection.receive_data(data)
    seen: Seen = []
    method = target = body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                method, target, body = bytes(event.method), bytes(event.target), b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                seen.append((method, target, body))
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return seen
                connection.start_next_cycle()
            else:
                return seen
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        return None


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """A loop that never runs: the parser wants one to make futures that nobody awaits."""
    return asyncio.new_event_loop()


def by_aiohttp(data: bytes) -> Seen | None:
    """What the C parser makes of a stream; None when it refuses some of it, or a message is not complete."""
    loop: Any = _loop()
    parser = HttpRequestParser(
        BaseProtocol(loop),
        loop,
        LARGEST,
        max_line_size=LARGEST,
        max_field_size=LARGEST,
        max_headers=1_000,
        auto_decompress=False,
    )
    try:
        messages, _, _ = parser.feed_data(data)
    except (HttpProcessingError, ValueError):
        return None
    seen: Seen = []
    for head, payload in messages:
        if payload is not EMPTY_PAYLOAD and (payload.exception() is not None or not payload.is_eof()):
            return None
        body = b"" if payload is EMPTY_PAYLOAD else payload.read_nowait(-1)
        seen.append((head.method.encode(), head.path.encode("utf-8", "surrogateescape"), body))
    return seen
