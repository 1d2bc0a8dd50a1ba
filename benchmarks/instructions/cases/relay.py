"""A relayed GET from the client's bytes to the answer's last, through the data port and a kept connection, without sockets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.instructions.case import Case, Turn
from benchmarks.instructions.facts import nobody
from benchmarks.instructions.messages import ANSWER, DATE, HEAD, TOKEN, unique_heads
from benchmarks.instructions.sinks import clock, everybody
from benchmarks.instructions.transports import Transport
from sidecar.core.fact import Emit
from sidecar.edge.data.door import Door
from sidecar.edge.data.leg import Leg
from sidecar.edge.data.port import DataPort
from sidecar.edge.data.relay import Relay
from sidecar.edge.data.terms import Lasting, terms
from sidecar.edge.data.witness import Memory
from sidecar.edge.snapshot import Snapshot
from sidecar.edge.token import Tokens
from sidecar.policy.model import Policy
from sidecar.wire.heads import MOST
from sidecar.wire.request import Request


def no_task(work: Coroutine[Any, Any, None]) -> Any:
    work.close()
    raise AssertionError("nothing here takes time")


def snapshot() -> Snapshot:
    return Snapshot(Policy(), "sha256:5d1c", "built-in", Tokens([TOKEN]), {})


def standing(relay: Relay, door: Door, port: DataPort) -> tuple[Leg, Transport]:
    """A kept connection to the gateway, and the gateway's end of it: as after a first request of this door's."""
    leg, gateway, heads = Leg(relay), Transport(), port.terms.heads
    first = heads.request(HEAD)
    assert isinstance(first, Request)
    leg.begin(relay.now(), door, first, first.outgoing(b"127.0.0.1", trusted=False), heads)
    leg.connection_made(gateway)
    leg.data_received(ANSWER)
    return leg, gateway


def relayed(following: Callable[[], bytes], emit: Emit) -> Turn:
    now = clock()
    relay = Relay("127.0.0.1", 1, emit=emit, now=now, spawn=no_task, connect_timeout=1.0)
    chats: Any = None
    lasting = Lasting(relay, chats, emit, now, b"vx11-sidecar-0123abcd", b"gateway:8000", Memory())
    port = DataPort(terms(snapshot(), lasting))
    port.date = DATE
    relay.tick(now(), DATE)
    client, door = Transport(), port()
    door.connection_made(client)
    leg, gateway = standing(relay, door, port)
    to_client, to_gateway = client.written, gateway.written

    def turn() -> list[bytes]:
        to_client.clear()
        to_gateway.clear()
        door.data_received(following())
        leg.data_received(ANSWER)
        return to_client

    return turn


def same() -> Callable[[], bytes]:
    return itertools.repeat(HEAD).__next__


def unique() -> Callable[[], bytes]:
    """Each is forgotten before it comes again."""
    return itertools.cycle(unique_heads(4 * MOST)).__next__


CASES = (
    Case("relay.same", "a GET whose head is remembered, its facts thrown away", lambda _: relayed(same(), nobody)),
    Case("relay.unique", "a GET with a header of its own, its facts thrown away", lambda _: relayed(unique(), nobody)),
    Case(
        "relay.same-told",
        "a GET whose head is remembered, its facts told to everybody",
        lambda rest: relayed(same(), everybody(rest, clock())),
    ),
    Case(
        "relay.unique-told",
        "a GET with a header of its own, its facts told to everybody",
        lambda rest: relayed(unique(), everybody(rest, clock())),
    ),
)
