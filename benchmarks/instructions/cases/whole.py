"""A chat from the client's bytes to its answer, through door, answerer, engine and a kept connection to the switch, without sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.instructions.cases.relay import no_task
from benchmarks.instructions.facts import nobody
from benchmarks.instructions.messages import DATE, SAID, TOKEN
from benchmarks.instructions.sinks import Loud, clock, everybody
from benchmarks.instructions.transports import Transport
from sidecar.core.engine import Engine
from sidecar.core.fact import Emit
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.exchange import Exchange
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.pool import Pool
from sidecar.edge.chat.upstream import Upstream
from sidecar.edge.data.port import DataPort
from sidecar.edge.data.relay import Relay
from sidecar.edge.data.terms import Lasting, terms
from sidecar.edge.data.witness import Memory
from sidecar.edge.snapshot import Destination, InForce, Snapshot
from sidecar.edge.token import Tokens
from sidecar.policy.model import Policy

SWITCH = ("127.0.0.1", 2)
HEAD = (
    b"POST /operator/api/chat HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/8\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nX-VX11-Token: " + TOKEN.encode() + b"\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Sat, 28 Nov 2026 16:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: %d\r\n"
    b"content-type: application/json\r\n\r\n" % len(SAID)
) + SAID


def asked(number: int) -> bytes:
    """Each in a session of its own."""
    body = b'{"message":"\xc2\xbfQu\xc3\xa9 m\xc3\xb3dulos est\xc3\xa1n activos?","session_id":"ui-%032d"}' % number
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def whole(emit: Emit) -> Callable[[], Any]:
    """Set up in a running loop; a turn is awaited."""
    loop, now = asyncio.get_running_loop(), clock()
    places = {
        name: Destination(f"http://127.0.0.1:{port}", "/chat", TOKEN) for name, port in (("switch", 2), ("madre", 1))
    }
    snapshot = Snapshot(Policy(), "sha256:5d1c", "built-in", Tokens([TOKEN]), places)
    engine = Engine(now(), snapshot.policy, revision=snapshot.revision, source="built-in", seed=1, emit=emit)
    pool = Pool()
    upstream = Upstream(pool)
    kitchen = Kitchen(engine, upstream, InForce(snapshot), emit, now, Loud())
    relay = Relay("127.0.0.1", 1, emit=emit, now=now, spawn=no_task, connect_timeout=1.0)
    lasting = Lasting(relay, Answering(kitchen), emit, now, b"vx11-sidecar-0123abcd", b"gateway:8000", Memory())
    port = DataPort(terms(snapshot, lasting))
    port.date = DATE
    kept(pool, loop)
    client, door = Transport(), port()
    door.connection_made(client)
    numbers = itertools.count()

    async def turn() -> list[bytes]:
        client.written.clear()
        door.data_received(asked(next(numbers)))
        while not client.written:  # noqa: ASYNC110 - how many turns of the loop it takes is a part of what is counted
            await asyncio.sleep(0)
        return client.written

    return turn


def kept(pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
    """A connection to the switch that answers in the next turn of the loop."""
    exchange = Exchange(pool, SWITCH)
    switch = Transport(heard=lambda _: loop.call_soon(answer))

    def answer() -> None:
        switch.written.clear()
        exchange.data_received(ANSWER)

    exchange.connection_made(switch)
    pool.keep(exchange)


def told_nobody(_: ExitStack) -> Callable[[], Any]:
    return whole(nobody)


def told_everybody(rest: ExitStack) -> Callable[[], Any]:
    return whole(everybody(rest, clock()))
