"""Bytes that wait for their turn: parts of heads and pipelined requests have a bound for each connection, and one for all of them together."""

from __future__ import annotations

import asyncio

import pytest
from loopback import OK, Gateway, get, post, serving, stage, talk

from sidecar.core.fact import MessageRefused
from sidecar.edge.data import connection

LOOPS = ("asyncio", "uvloop")
MOST = 210_000  # four of the large ones
LARGE = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 50_000  # and its end never comes
SMALL = b"GET / HTTP/1.1\r\nHost: h\r\n"


@pytest.fixture(autouse=True)
def little(monkeypatch):
    monkeypatch.setattr(connection, "MOST_WAITING", MOST)


def waiting(port):
    return sum(len(door._ahead) for door in port.data_port._doors)


async def test_parts_of_heads_have_a_bound_together_and_the_others_are_served():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        others = [await port.connect() for _ in range(12)]
        for _, writer in others:
            writer.write(LARGE)
        await port.until(lambda: len(port.facts) >= 8)
        assert waiting(port) <= MOST
        assert [(fact.status, fact.why) for fact in port.facts] == [(503, "connections")] * 8
        assert all(isinstance(fact, MessageRefused) for fact in port.facts)
        out, _ = await talk(
            port.port, get(), patience=2, enough=lambda out: out.endswith(b"ok")
        )  # whole, so it waits for nothing
        assert out.startswith(b"HTTP/1.1 200 ")
        reader, writer = await port.connect()
        writer.write(SMALL)  # a small part is let in even now
        await port.until(lambda: waiting(port) and any(door._ahead == SMALL for door in port.data_port._doors))
        writer.write(b"\r\n")
        assert (await asyncio.wait_for(reader.readline(), 2)).startswith(b"HTTP/1.1 200 ")
        for _, each in [*others, (reader, writer)]:
            each.close()
        await port.until(lambda: not len(port.data_port))
        assert port.data_port.waiting == 0


async def test_requests_that_come_ahead_of_their_turn_count_as_well():
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with serving(silent) as upstream, stage(upstream) as port:
        others = [await port.connect() for _ in range(12)]
        for _, writer in others:
            writer.write(get() + b"a" * 50_000)
        await port.until(lambda: len(port.data_port) <= 4)
        assert waiting(port) <= MOST
        assert port.data_port.waiting == waiting(port)
        for _, writer in others:
            writer.close()
        await port.until(lambda: not len(port.data_port))
        assert port.data_port.waiting == 0
        assert port.relay.unanswered == 0


@pytest.mark.parametrize("message", [get(), post(), post("/operator/api/chat")])
async def test_what_was_answered_waits_no_more(message):
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for piece in (message[:20], message[20:] + message, message * 3):
            writer.write(piece)
            await asyncio.sleep(0.02)
        for _ in range(5):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
        assert port.data_port.waiting == 0
        writer.close()


async def test_a_large_body_is_passed_on_and_does_not_wait():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        out, _ = await talk(
            port.port, post("/upload", b"b" * (2 * MOST)), patience=3, enough=lambda out: out.endswith(b"ok")
        )
        assert out.startswith(OK[:12])
        assert port.data_port.waiting == 0
