"""The door, with real sockets: order, deadlines, refusals, streams, back-pressure. Chat and tunnels have files of their own."""

from __future__ import annotations

import asyncio
import random
import resource
from pathlib import Path

import pytest
from loopback import OK, Gateway, get, one_answer, post, serving, stage, talk

from sidecar.core.fact import MessageRefused, RelayEnded

LOOPS = ("asyncio", "uvloop")
MIB = 1 << 20


def echoing(head: bytes, body: bytes) -> bytes:
    target = head.split(b" ")[1]
    text = target + b"|" + body
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


# Order.


async def test_300_interleaved_requests_on_one_connection():
    async with serving(Gateway(echoing)) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for n in range(300):
            if n % 3 == 2:
                writer.write(post(body=b'{"n":%d}' % n))
                status, _, body = await one_answer(reader)
                assert (status, f'{{\\"n\\":{n}}}' in body.decode()) == (200, True)
            else:
                writer.write(get(f"/r/{n}") if n % 3 else post(f"/r/{n}", b"x" * n, token=None))
                status, _, body = await one_answer(reader)
                assert (status, body) == (200, b"/r/%d|" % n + (b"" if n % 3 else b"x" * n))
        writer.close()
        await port.until(lambda: sum(isinstance(fact, RelayEnded) for fact in port.facts) == 200)


async def test_200_pipelined_requests_are_answered_in_order():
    rng = random.Random(7)
    kinds = [rng.choice(("get", "post", "chunked", "chat")) for _ in range(200)]
    wire = b""
    for n, kind in enumerate(kinds):
        if kind == "get":
            wire += get(f"/p/{n}")
        elif kind == "post":
            wire += post(f"/p/{n}", b"b%d" % n)
        elif kind == "chunked":
            wire += b"POST /p/%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nb%d\r\n0\r\n\r\n" % (
                n,
                n % 10,
            )
        else:
            wire += post(body=b"chat%d" % n)
    async with serving(Gateway(echoing)) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        at = 0
        while at < len(wire):  # in pieces that fit nothing
            writer.write(wire[at : at + 777])
            at += 777
            await asyncio.sleep(0)
        for n, kind in enumerate(kinds):
            status, _, body = await one_answer(reader)
            assert status == 200
            assert (b"chat%d" % n if kind == "chat" else b"/p/%d|" % n) in body
        writer.close()


async def test_a_kept_connection_to_the_gateway_is_reused():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        for _ in range(3):
            reader, writer = await port.connect()
            for _ in range(3):
                writer.write(get())
                await one_answer(reader)
            writer.close()
        assert gateway.connections == 1


async def test_head_that_goes_on():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        await talk(
            port.port,
            get("/a?b=%2F", "X-Odd:  two ", "Connection: close, X-Gone", "x-gone: 1", "X-Forwarded-For: 6.6.6.6"),
            patience=2,
        )
        head = gateway.done[0][0]
    assert head == (
        b"GET /a?b=%2F HTTP/1.1\r\nHost: up.test\r\nX-Odd:  two \r\nVia: 1.1 vx11-sidecar-0123abcd\r\nX-Forwarded-For: 127.0.0.1\r\n"
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: up.test\r\n\r\n"
    )


async def test_trusted_peer_may_say_where_it_came_from():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream, trusted=lambda peer: peer == "127.0.0.1") as port:
        await talk(
            port.port, get("/", "X-Forwarded-For: 6.6.6.6", "x-forwarded-proto: https", "Connection: close"), patience=2
        )
        head = gateway.done[0][0]
    assert (
        b"\r\nX-Forwarded-For: 6.6.6.6, 127.0.0.1\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: up.test\r\n" in head
    )


# Refusals and deadlines.


async def test_slow_head_is_cut_and_idle_is_closed():
    async with serving(Gateway()) as upstream, stage(upstream, head_timeout=0.1, idle_timeout=0.3) as port:
        out, closed = await talk(port.port, b"GET / HTTP/1.1\r\nHost: h\r\nX-", patience=3)
        assert (int(out[9:12]), closed) == (408, True)
        assert await talk(port.port, b"", patience=3) == (b"", True)
        out, closed = await talk(port.port, get(), patience=3)
        assert (int(out[9:12]), closed) == (200, True)


async def test_one_too_many_is_503():
    async with serving(Gateway()) as upstream, stage(upstream, connections=1) as port:
        _, writer = await port.connect()
        await port.until(lambda: len(port.data_port) == 1)
        out, closed = await talk(port.port, b"", patience=2)
        assert (int(out[9:12]), closed) == (503, True)
        writer.close()


async def test_denied_says_so_and_leaves_a_fact():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        out, _ = await talk(port.port, get("/debug/valid-tokens?token=secret"), patience=2)
        assert b'{"detail":"denied_by_policy"}' in out
        fact = port.facts[-1]
        assert isinstance(fact, RelayEnded)
        assert (fact.status, fact.error) == (403, "denied")
        assert "secret" not in repr(port.facts)


async def test_loop():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        out, _ = await talk(port.port, get("/", "Via: 1.1 a, 1.1 VX11-sidecar-0123abcd (x)"), patience=2)
        assert out.startswith(b"HTTP/1.1 508 ")
        assert b'{"detail":"loop_detected"}' in out
        assert port.facts[-1].error == "loop"
        out, _ = await talk(port.port, get("/", "Via: 1.1 vx11-sidecar-ffffffff", "Connection: close"), patience=2)
        assert out.startswith(b"HTTP/1.1 200 ")


async def test_a_refusal_is_read_although_more_was_sent():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + b"x" * MIB)
        await asyncio.sleep(0.05)
        writer.write(b"x" * 1000)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        assert any(isinstance(fact, MessageRefused) and fact.why == "host" for fact in port.facts)


async def test_bad_chunk_after_a_good_one_cuts_the_gateway_off():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(b"POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await port.until(lambda: b"hello" in gateway.raw)
        writer.write(b"zz\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        await asyncio.wait_for(gateway.lost.wait(), 2)
        assert gateway.done == []
        writer.close()


async def test_refused_body_within_an_answer_leaves_no_second_answer():
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await reader.read()
        writer.close()

    async with serving(early) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(b"POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await reader.readuntil(b"hello")
        writer.write(b"zz\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


# Streams.


async def test_server_sent_events_arrive_frame_by_frame():
    gate = asyncio.Event()

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
        )
        for n in range(3):
            frame = b"data: %d\n\n" % n
            writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
            await gate.wait()
            gate.clear()
        await reader.read()
        writer.close()
        gone.set()

    gone = asyncio.Event()
    async with serving(events) as upstream, stage(upstream, response_head_timeout=0.1) as port:
        reader, writer = await port.connect()
        writer.write(get("/operator/api/events"))
        for n in range(3):
            assert await asyncio.wait_for(reader.readuntil(b"data: %d\n\n\r\n" % n), 2)
            await asyncio.sleep(0.12)  # longer than the answer's head may take
            gate.set()
        writer.close()
        await asyncio.wait_for(gone.wait(), 2)
        await port.until(lambda: port.facts)
        assert (port.facts[0].kind, port.facts[0].status, port.facts[0].error) == ("sse", 200, "client-gone")


async def test_silent_stream_is_cut_when_the_policy_says_so():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await reader.read()
        writer.close()

    async with serving(silent) as upstream, stage(upstream, response_head_timeout=0.1, stream_timeout=0.1) as port:
        out, closed = await talk(port.port, get(), patience=3)
        assert (out[-5:], closed, port.facts[-1].error) == (b"hello", True, "timeout")


# Large bodies.


async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"GET"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            writer.write(b"x" * MIB)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    left = 64 * MIB
    while left:
        left -= len(await reader.read(65536))
    writer.write(OK)
    await reader.read()
    writer.close()


def resident() -> int:
    """Bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_64_mib_each_way_to_a_slow_reader_in_little_memory():
    async with serving(large, limit=65536) as upstream, stage(upstream) as port:
        before = most = resident()
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port, limit=65536)
        writer.write(get())
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)  # nobody reads: the gateway has to wait
        left = 64 * MIB
        while left:
            left -= len(await reader.read(MIB))
            most = max(most, resident())
        head = post("/up", b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: %d" % (64 * MIB)) + b"\r\n\r\n"
        writer.write(head)
        for _ in range(64):
            writer.write(b"y" * MIB)
            await writer.drain()
            most = max(most, resident())
        assert (await one_answer(reader))[0] == 200
        writer.close()
        assert most - before < 16 * MIB  # client, gateway and door in one process


async def test_who_does_not_read_gets_no_further_answers():
    body = b"x" * 65536
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    gateway = Gateway(lambda head, body: reply)
    async with serving(gateway) as upstream, stage(upstream) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port, limit=65536)
        writer.write(get() * 2000)
        before = -1
        while before != len(gateway.done):
            before = len(gateway.done)
            await asyncio.sleep(0.1)
        assert before < 1000
        for _ in range(2000):
            assert len((await one_answer(reader))[2]) == len(body)
        writer.close()


# The gateway misbehaves: see test_relay.py. Who waits, who is one too many, and how it all ends: see test_port.py.


async def test_new_terms_hold_from_the_next_request_on():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post())
        assert (await one_answer(reader))[0] == 200
        port.terms(judge=lambda values: "wrong")
        writer.write(post())
        assert (await one_answer(reader))[0] == 403
        writer.close()
