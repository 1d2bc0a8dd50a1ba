"""The gateway's side: what it may do wrong, what the client is told, and what is never done twice."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
from loopback import OK, Gateway, get, one_answer, post, serving, stage, talk

from sidecar.core.fact import RelayEnded

LOOPS = ("asyncio", "uvloop")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def after_the_head(data: bytes, *, reset: bool = False, hang: bool = False, at_once: bool = False) -> Handler:
    """A gateway that reads a head (or not), says ``data`` and ends in some way."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not at_once:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        if hang:
            await reader.read()
        elif reset:
            await asyncio.sleep(0.05)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        writer.close()

    return handler


@pytest.mark.parametrize(
    ("handler", "status", "error", "told"),
    [
        (after_the_head(b"", reset=True), 502, "reset", "connection_terminated"),
        (after_the_head(b""), 502, "reset", "connection_terminated"),
        (after_the_head(b"", at_once=True), 502, "reset", "connection_terminated"),
        (after_the_head(b"HTTP/1.1 200 OK\r\nX-", reset=True), 502, "reset", "connection_terminated"),
        (after_the_head(b"HTTP/1.1 200 OK\r\nX-"), 502, "reset", "connection_terminated"),
        (after_the_head(b"", hang=True), 504, "timeout", "http_response_timeout"),
        (after_the_head(b"HTTP/1.1 200 OK\r\nX-", hang=True), 504, "timeout", "http_response_timeout"),
        (after_the_head(b"\x15\x03\x01\x00\x02\x02\x46", hang=True), 502, "protocol", "http_protocol_error"),
        (after_the_head(b"garbage", hang=True), 502, "protocol", "http_protocol_error"),
        (
            after_the_head(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, hang=True),
            502,
            "protocol",
            "http_response_header_section_size",
        ),
        (
            after_the_head(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 262_144 + b"\r\nContent-Length: 0\r\n\r\n", hang=True),
            502,
            "protocol",
            "http_response_header_section_size",
        ),
        (
            after_the_head(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", hang=True),
            502,
            "protocol",
            "http_protocol_error",
        ),
        (after_the_head(b"HTTP/1.1 103 Early\r\n\r\n" * 50, hang=True), 502, "protocol", "http_protocol_error"),
    ],
)
async def test_before_the_answer(handler: Handler, status: int, error: str, told: str):
    async with serving(handler) as upstream, stage(upstream, response_head_timeout=0.15) as port:
        reader, writer = await port.connect()
        writer.write(get())
        while True:
            got, head, body = await one_answer(reader)
            if got >= 200:
                break
        assert got == status
        assert body == (b'{"detail":"bad_gateway"}' if status == 502 else b'{"detail":"gateway_timeout"}')
        assert b"\r\nProxy-Status: vx11-sidecar; error=%b\r\n" % told.encode() in head
        fact = port.facts[-1]
        assert isinstance(fact, RelayEnded)
        assert (fact.status, fact.error, fact.kind, fact.method) == (status, error, "http", "GET")
        assert len(port.facts) == 1
        # The client's connection outlives the failure.
        writer.write(get("/again"))
        assert (await one_answer(reader))[0] < 600
        writer.close()


async def test_connection_refused_and_unresolvable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with stage(taken.getsockname()[1]) as port:
            out, _ = await talk(port.port, get("/", "Connection: close"), patience=3)
            assert out.startswith(b"HTTP/1.1 502 ")
            assert b"error=connection_refused" in out
            port.relay.host = "no-such-host.invalid"
            out, _ = await talk(port.port, post("/x", b"body", "Connection: close"), patience=5)
            assert out[9:12] in (b"502", b"504")
            assert port.facts[-1].error in ("connect", "timeout")


async def test_connect_timeout():
    # A listener whose queue is full lets connections hang.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        hogs = []
        for _ in range(3):
            hog = socket.socket()
            hog.setblocking(False)
            hog.connect_ex(full.getsockname())
            hogs.append(hog)
        async with stage(full.getsockname()[1], connect_timeout=0.1) as port:
            out, _ = await talk(port.port, get("/", "Connection: close"), patience=3)
            assert out.startswith(b"HTTP/1.1 504 ")
            assert b"error=connection_timeout" in out
        for hog in hogs:
            hog.close()


@pytest.mark.parametrize(
    ("data", "reset", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", False, "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", True, "reset"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", False, "truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", False, "protocol"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", True, "reset"),
    ],
)
async def test_a_cut_body_ends_early_and_in_a_reset_where_that_would_not_show(data: bytes, error: str, *, reset: bool):
    async with serving(after_the_head(data, reset=reset)) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get())
        if b"Content-Length" in data or b"chunked" in data:
            out = await asyncio.wait_for(reader.read(), 2)
            assert out.rstrip(b"\r\n").endswith(b"hello")  # neither the length nor the last chunk is there
        else:
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 2)
        writer.close()
        await port.until(lambda: port.facts)
        assert (port.facts[0].status, port.facts[0].error) == (200, error)


async def test_body_until_close_ends_well():
    async with serving(after_the_head(b"HTTP/1.1 200 OK\r\n\r\nhello")) as upstream, stage(upstream) as port:
        out, closed = await talk(port.port, get(), patience=2)
        assert out.endswith(b"\r\nConnection: close\r\n" + port.data_port.date + b"\r\n\r\nhello")
        assert closed
        assert port.facts[0].error is None


async def test_chunks_for_a_client_that_knows_none():
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
    async with serving(Gateway(lambda head, body: reply)) as upstream, stage(upstream) as port:
        out, closed = await talk(port.port, get().replace(b"HTTP/1.1", b"HTTP/1.0"), patience=2)
        assert out.endswith(b"\r\n\r\nhello")
        assert b"chunked" not in out
        assert closed
        out, _ = await talk(port.port, get(), patience=2, enough=lambda out: out.endswith(b"0\r\nX-T: 1\r\n\r\n"))
        assert b"\r\nTransfer-Encoding: chunked\r\n" in out


async def test_keep_alive_for_an_old_client():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for _ in range(2):
            writer.write(get("/", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
            status, head, _ = await one_answer(reader)
            assert (status, b"\r\nConnection: keep-alive\r\n" in head) == (200, True)
        writer.close()


async def test_client_gone_closes_the_gateway_at_once():
    for message in (get(), post("/x", b"half")[:-2]):
        gateway = Gateway(lambda head, body: None)
        async with serving(gateway) as upstream, stage(upstream) as port:
            _, writer = await port.connect()
            writer.write(message)
            await port.until(lambda gateway=gateway: gateway.raw)
            writer.close()
            await asyncio.wait_for(gateway.lost.wait(), 1)
            await port.until(lambda port=port: [fact for fact in port.facts if isinstance(fact, RelayEnded)])


async def test_client_gone_while_connecting():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        hog = socket.create_connection(full.getsockname())
        hogs = [hog]
        for _ in range(2):
            more = socket.socket()
            more.setblocking(False)
            more.connect_ex(full.getsockname())
            hogs.append(more)
        async with stage(full.getsockname()[1], connect_timeout=0.3) as port:
            _, writer = await port.connect()
            writer.write(post("/x", b"x" * 1000, token=None))
            await port.until(lambda: len(port.data_port) == 1)
            writer.transport.abort()
            await port.until(lambda: not len(port.data_port), 2)
        for one in hogs:
            one.close()


async def test_nothing_is_sent_twice():
    """A kept connection that dies under a request is a failure, not an invitation to repeat it."""
    seen = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        if len(seen) == 1:
            writer.write(OK)
            seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with serving(once) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for expected in (200, 502):
            writer.write(get())
            assert (await one_answer(reader))[0] == expected
        assert len(seen) == 2
        writer.close()


async def test_a_connection_closed_while_kept_is_passed_over():
    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with serving(one_each) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for n in range(40):
            writer.write(post(f"/{n}", b"x"))
            assert (await one_answer(reader))[0] == 200
            await port.until(lambda: not port.relay._kept)
        writer.close()


async def test_idle_connections_are_closed_before_the_gateway_does():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream, kept_for=0.1) as port:
        reader, writer = await port.connect()
        writer.write(get())
        await one_answer(reader)
        assert len(port.relay._kept) == 1
        await asyncio.wait_for(gateway.lost.wait(), 2)
        assert not port.relay._kept
        writer.write(get())
        await one_answer(reader)
        assert gateway.connections == 2
        writer.close()


async def test_unasked_bytes_on_a_kept_connection_reach_nobody():
    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSTOLEN")
        await reader.read()
        writer.close()

    async with serving(eager) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get())
        assert (await one_answer(reader))[2] == b"ok"
        await port.until(lambda: not port.relay._kept)
        writer.write(get())
        assert (await one_answer(reader))[2] == b"ok"
        writer.close()


async def test_an_early_answer_ends_the_request():
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()
        writer.close()

    async with serving(early) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post("/x", b"x" * 100, token=None)[:-50])
        status, head, _ = await one_answer(reader)
        assert (status, b"\r\nConnection: close\r\n" in head) == (413, True)
        writer.write(b"x" * 50 + get())
        assert await reader.read() == b""
        writer.close()


async def test_interim_answers_pass():
    reply = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    async with serving(Gateway(lambda head, body: reply)) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get())
        assert [(await one_answer(reader))[0] for _ in range(2)] == [103, 200]
        writer.close()
        out, _ = await talk(port.port, get().replace(b"HTTP/1.1", b"HTTP/1.0"), patience=2)
        assert b" 103 " not in out


async def test_a_request_that_expects_100_is_asked_of_the_gateway():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post("/x", b"hello", "Expect: 100-continue")[:-5])
        assert (await one_answer(reader))[0] == 100
        writer.write(b"hello")
        assert (await one_answer(reader))[0] == 200
        assert gateway.done[0][1] == b"hello"
        writer.close()


async def test_slow_gateway_holds_the_client_back():
    gate = asyncio.Event()
    total = 32 * 1024 * 1024

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        left = total
        while left:
            left -= len(await reader.read(1 << 20))
        writer.write(OK)
        await reader.read()
        writer.close()

    async with serving(slow, limit=65536) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post("/up", b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: %d" % total) + b"\r\n\r\n")
        sent = 0

        async def push() -> None:
            nonlocal sent
            while sent < total:
                writer.write(b"z" * 65536)
                await writer.drain()
                sent += 65536

        pushing = asyncio.ensure_future(push())
        before = -1
        while before != sent or not sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < total * 0.75  # stopped: kernel buffers and ours are full
        gate.set()
        await asyncio.wait_for(pushing, 10)
        assert (await one_answer(reader))[0] == 200
        writer.close()
