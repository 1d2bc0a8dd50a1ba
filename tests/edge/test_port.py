"""The data port as a whole: how many may come, how long anybody may let us wait, and how it ends. Real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress
from typing import Any

import pytest
from loopback import OK, Gateway, get, one_answer, post, said, serving, stage

from sidecar.core.fact import RelayEnded, RequestShed
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Reply
from sidecar.edge.data.port import PULSES

LOOPS = ("asyncio", "uvloop")


# The process ends.


async def test_drain_finishes_what_is_under_way_and_closes_what_stays_idle():
    gate = asyncio.Event()

    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        writer.write(OK)
        await reader.read()
        writer.close()

    async with serving(later) as upstream, stage(upstream) as port:
        idle, idle_writer = await port.connect()
        busy, busy_writer = await port.connect()
        busy_writer.write(get())
        await port.until(lambda: len(port.data_port) == 2 and port.data_port.under_way("relay"))
        draining = asyncio.ensure_future(port.data_port.drain(0.6))
        assert await asyncio.wait_for(idle.read(), 2) == b""
        assert not draining.done()
        gate.set()
        out = await asyncio.wait_for(busy.read(), 2)
        assert out.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in out
        assert await draining == 0
        idle_writer.close()
        busy_writer.close()


@pytest.mark.parametrize("message", [get(), post()])
async def test_while_draining_an_idle_connection_gets_one_more_answer(message):
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(message)
        status, head_, _ = await one_answer(reader)
        assert status == 200
        assert b"Connection: close" not in head_
        draining = asyncio.ensure_future(port.data_port.drain(5))
        await asyncio.sleep(0)
        writer.write(message)
        status, head_, _ = await one_answer(reader)
        assert status == 200
        assert b"connection: close" in head_.lower()
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        assert await asyncio.wait_for(draining, 3) == 0


async def test_a_chat_under_way_when_the_drain_begins_gets_its_answer_and_reads_that_it_is_the_last():
    gate = asyncio.Event()

    async def slow(_: Incoming) -> Reply:
        await gate.wait()
        return said({})

    async with serving(Gateway()) as upstream, stage(upstream, chat=slow) as port:
        reader, writer = await port.connect()
        writer.write(post())
        await port.until(lambda: port.data_port.under_way("chat"))
        draining = asyncio.ensure_future(port.data_port.drain(5))
        await asyncio.sleep(0)
        gate.set()
        status, head_, _ = await one_answer(reader)
        assert (status, b"connection: close" in head_.lower()) == (200, True)
        writer.close()
        assert await asyncio.wait_for(draining, 3) == 0


async def test_a_connection_accepted_while_draining_gets_its_one_answer():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        waiting, waiting_writer = await port.connect()  # keeps the drain from being over
        await port.until(lambda: len(port.data_port) == 1)
        draining = asyncio.ensure_future(port.data_port.drain(5))
        await asyncio.sleep(0)
        reader, writer = await port.connect()
        writer.write(get())
        assert (await one_answer(reader))[0] == 200
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        waiting_writer.close()
        assert await asyncio.wait_for(draining, 3) == 0
        assert await waiting.read() == b""


def beginning(head_: bytes) -> Any:
    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head_ + b"some")
        await reader.read()

    return begin


async def test_after_the_grace_an_answer_that_shows_its_length_is_ended_and_one_that_does_not_is_reset():
    async with (
        serving(beginning(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")) as upstream,
        stage(upstream) as port,
    ):
        reader, writer = await port.connect()
        writer.write(get())
        await reader.readuntil(b"some")
        assert await port.data_port.drain(0.05) == 1
        assert await reader.read() == b""
        writer.close()
    async with serving(beginning(b"HTTP/1.0 200 OK\r\n\r\n")) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get())
        await reader.readuntil(b"some")
        assert await port.data_port.drain(0.05) == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert [fact.error for fact in port.facts if isinstance(fact, RelayEnded)] == ["drained"]


async def test_a_connection_that_comes_when_the_drain_is_over_is_closed():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        await port.data_port.drain(0)  # here the listener is still open, as if the connection had been accepted before
        reader, writer = await port.connect()
        assert await asyncio.wait_for(reader.read(), 2) == b""
        await port.until(lambda: not len(port.data_port))
        writer.close()


# Who lets us wait:


async def test_an_upload_that_stops_half_way_is_told_and_cut():
    async with serving(Gateway()) as upstream, stage(upstream, stall_timeout=0.3) as port:
        reader, writer = await port.connect()
        writer.write(b"POST /t HTTP/1.1\r\nHost: up.test\r\nContent-Length: 10\r\n\r\nhalf")
        status, _, body = await asyncio.wait_for(one_answer(reader), 3)
        assert (status, body) == (408, b'{"detail":"body_timeout"}')
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()
        assert [fact.error for fact in port.facts if isinstance(fact, RelayEnded)] == ["protocol"]


async def test_an_upload_that_is_slow_but_moves_is_let_through():
    async with serving(Gateway()) as upstream, stage(upstream, stall_timeout=0.3) as port:
        reader, writer = await port.connect()
        writer.write(b"POST /t HTTP/1.1\r\nHost: up.test\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.08)
            writer.write(b"x")
        assert (await asyncio.wait_for(one_answer(reader), 3))[0] == 200
        writer.close()


def pouring(size: int) -> Any:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await writer.drain()
        await reader.read()

    return pour


async def test_a_client_that_reads_nothing_of_its_answer_is_cut():
    async with serving(pouring(1 << 25)) as upstream, stage(upstream, stall_timeout=0.4) as port:
        reader, writer = await port.connect()
        writer.transport.pause_reading()
        writer.write(get())
        await port.until(lambda: any(isinstance(fact, RelayEnded) for fact in port.facts))
        await port.until(lambda: not len(port.data_port))
        assert [fact.error for fact in port.facts if isinstance(fact, RelayEnded)] == ["client-timeout"]
        writer.transport.abort()
        assert reader is not None


async def test_a_gateway_that_reads_nothing_of_an_upload_is_a_504():
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.sleep(5)

    async with serving(deaf) as upstream, stage(upstream, stall_timeout=0.4) as port:
        reader, writer = await port.connect()
        writer.write(b"POST /t HTTP/1.1\r\nHost: up.test\r\nContent-Length: 33554432\r\n\r\n" + b"x" * (1 << 25))
        status, _, body = await asyncio.wait_for(one_answer(reader), 4)
        assert (status, body) == (504, b'{"detail":"gateway_timeout"}')
        writer.transport.abort()


async def test_the_last_answer_reaches_a_reader_who_takes_longer_than_we_linger(monkeypatch):
    monkeypatch.setattr("sidecar.edge.data.connection.LINGER_FOR", 0.05)
    size = 60_000
    async with serving(pouring(size)) as upstream, stage(upstream, stall_timeout=1.0) as port:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port.port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=2**10)
        await port.until(lambda: len(port.data_port) == 1)
        line = next(iter(port.data_port._doors))._line
        line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        writer.transport.pause_reading()
        writer.write(get("/t", "Connection: close"))
        await port.until(lambda: any(isinstance(fact, RelayEnded) for fact in port.facts))
        assert line.unsent  # the answer is over for us, and has not left
        await asyncio.sleep(0.4)  # eight times as long as we linger
        writer.transport.resume_reading()
        await reader.readuntil(b"\r\n\r\n")
        assert len(await asyncio.wait_for(reader.read(), 5)) == size
        writer.close()


# Too much to do:


async def test_beyond_so_many_chats_at_once_the_next_is_turned_away_and_may_try_again():
    gate = asyncio.Event()

    async def slow(_: Incoming) -> Reply:
        await gate.wait()
        return said({})

    async with serving(Gateway()) as upstream, stage(upstream, chat=slow, most_chats=2) as port:
        clients = [await port.connect() for _ in range(3)]
        for _, writer in clients[:2]:
            writer.write(post())
        await port.until(lambda: port.data_port.under_way("chat") == 2)
        reader, writer = clients[2]
        writer.write(post())
        status, head_, body = await one_answer(reader)
        assert (status, json.loads(body)["detail"]) == (503, "overloaded")
        assert b"Connection: close" not in head_
        assert [fact.why for fact in port.facts if isinstance(fact, RequestShed)] == ["chats"]
        writer.write(get())
        assert (await one_answer(reader))[0] == 200  # the relay is not chat
        gate.set()
        for other, _ in clients[:2]:
            assert (await one_answer(other))[0] == 200
        writer.write(post())
        assert (await one_answer(reader))[0] == 200
        for _, each in clients:
            each.close()
        await port.until(lambda: not len(port.data_port))
        assert port.data_port.chats == 0


async def test_beyond_so_many_requests_without_an_answer_the_gateway_is_not_asked_for_more():
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head_ = await reader.readuntil(b"\r\n\r\n")
            if b"/slow" in head_:
                await gate.wait()
            writer.write(OK)

    async with serving(slow) as upstream, stage(upstream, relays=2) as port:
        clients = [await port.connect() for _ in range(2)]
        for _, writer in clients:
            writer.write(get("/slow"))
        await port.until(lambda: port.relay.unanswered == 2)
        reader, writer = await port.connect()
        writer.write(get())
        status, head_, _ = await one_answer(reader)
        assert (status, b"\r\nRetry-After: 1\r\n" in head_) == (503, True)
        writer.write(post())
        assert (await one_answer(reader))[0] == 200  # chat is not relayed
        assert [fact.why for fact in port.facts if isinstance(fact, RequestShed)] == ["relays"]
        clients[0][1].close()  # who leaves makes room
        await port.until(lambda: port.relay.unanswered == 1)
        writer.write(get())
        assert (await one_answer(reader))[0] == 200
        gate.set()
        assert (await one_answer(clients[1][0]))[0] == 200
        assert port.relay.unanswered == 0
        for _, each in (*clients, (reader, writer)):
            each.close()


async def test_answers_that_nobody_reads_take_places_of_the_relay_until_somebody_does():
    """What is held for them is held by us: without a bound of theirs a few hundred clients would take all there is."""
    async with serving(pouring(1 << 25)) as upstream, stage(upstream, relays=2) as port:
        clients = [await port.connect() for _ in range(2)]
        for _, writer in clients:
            writer.transport.pause_reading()
            writer.write(get())
        await port.until(lambda: port.data_port.unread == 2)
        assert port.relay.unanswered == 0
        reader, writer = await port.connect()
        writer.write(get())
        assert (await one_answer(reader))[0] == 503
        writer.write(post())
        assert (await one_answer(reader))[0] == 200  # chat is not relayed
        assert [fact.why for fact in port.facts if isinstance(fact, RequestShed)] == ["relays"]
        clients[0][1].transport.resume_reading()
        await port.until(lambda: port.data_port.unread == 1)
        clients[1][1].transport.abort()
        await port.until(lambda: port.data_port.unread == 0)
        for _, each in (*clients, (reader, writer)):
            each.close()


async def test_a_chat_whose_client_leaves_frees_its_place():
    async def never(_: Incoming) -> Reply:
        await asyncio.sleep(60)
        return said({})

    async with serving(Gateway()) as upstream, stage(upstream, chat=never) as port:
        for message in (post(), post()[:-1]):  # handed over, and still being gathered
            _, writer = await port.connect()
            writer.write(message)
            await port.until(lambda: port.data_port.chats == 1)
            writer.close()
            await port.until(lambda: port.data_port.chats == 0)


@pytest.mark.parametrize(("message", "keeps"), [(get(), True), (post(), True), (post()[:-1], False)])
async def test_while_the_loop_is_late_requests_are_turned_away_at_once(message, keeps):
    async with serving(Gateway()) as upstream, stage(upstream, longest_wait=0.2) as port:
        reader, writer = await port.connect()
        await port.until(lambda: len(port.data_port) == 1)
        port.data_port._latest.extend([0.3] * PULSES)
        port.data_port.late = 0.3
        writer.write(message)
        status, head_, body = await one_answer(reader)
        assert (status, json.loads(body)["detail"]) == (503, "overloaded")
        assert (b"Connection: close" not in head_) == keeps
        assert [fact.why for fact in port.facts if isinstance(fact, RequestShed)] == ["lag"]
        if keeps:
            await port.until(lambda: port.data_port.late < 0.2)  # the next pulse comes in time
            writer.write(message)
            assert (await one_answer(reader))[0] == 200
        writer.close()


async def test_a_loop_that_is_late_again_and_again_is_overloaded_and_one_stall_is_not():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        await asyncio.sleep(0.15)
        time.sleep(0.4)  # noqa: ASYNC251 - the stall itself
        await port.until(lambda: max(port.data_port._latest) > 0.1)
        assert port.data_port.late < 0.1
        stalls = 0
        while port.data_port.late < 0.1:
            time.sleep(0.25)  # noqa: ASYNC251
            await asyncio.sleep(0)
            stalls += 1
            assert stalls < 50
        assert stalls >= PULSES - 1  # the first one still counts
        await port.until(lambda: port.data_port.late < 0.1)


async def test_where_descriptors_are_few_those_who_are_turned_away_get_a_share_of_them_alone(monkeypatch):
    """They linger to read why, and would otherwise take what chats and scrapes need."""
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        monkeypatch.setattr(port.data_port, "ceiling", 8)
        kept = [await port.connect() for _ in range(8)]
        await port.until(lambda: len(port.data_port) == 8)
        told = [await port.connect() for _ in range(2)]
        for reader, _ in told:
            assert (await one_answer(reader))[0] == 503
        beyond, beyond_writer = await port.connect()
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(beyond.read(), 2) == b""
        for _, writer in (*kept, *told):
            writer.close()
        beyond_writer.close()


async def test_those_who_are_turned_away_take_nobodys_place(monkeypatch):
    monkeypatch.setattr("sidecar.edge.data.port.MOST_TURNED_AWAY", 2)
    async with serving(Gateway()) as upstream, stage(upstream, connections=1) as port:
        first, first_writer = await port.connect()
        await port.until(lambda: len(port.data_port) == 1)
        others = [await port.connect() for _ in range(2)]
        for reader, _ in others:
            assert (await one_answer(reader))[0] == 503
        beyond, beyond_writer = await port.connect()
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(beyond.read(), 2) == b""  # not even told
        first_writer.close()
        await port.until(lambda: not port.data_port._doors)
        again, again_writer = await port.connect()
        again_writer.write(get())
        assert (await one_answer(again))[0] == 200
        for writer in (again_writer, beyond_writer, *(writer for _, writer in others)):
            writer.close()
        assert await first.read() == b""
