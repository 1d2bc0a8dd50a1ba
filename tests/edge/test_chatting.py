"""Chat on a client's connection: who is turned away before it is gathered, and what becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from loopback import Gateway, get, one_answer, post, serving, stage, talk

from sidecar.core.fact import ChatRejected

LOOPS = ("asyncio", "uvloop")
MIB = 1 << 20


async def test_token_is_judged_before_the_body_is_read():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        head = post(body=b"x" * 50, token=None)[:-50]
        for extra, status in ((b"", 401), (b"X-VX11-Token: wrong\r\n", 403), (b"X-VX11-Token:\r\n", 401)):
            out, closed = await talk(port.port, head[:-2] + extra + b"\r\n", patience=2)
            assert (int(out[9:12]), closed) == (status, True)
        assert [fact.reason for fact in port.facts if isinstance(fact, ChatRejected)] == [
            "auth_required",
            "forbidden",
            "auth_required",
        ]


async def test_413_before_reading():
    async with serving(Gateway()) as upstream, stage(upstream, max_body=100) as port:
        out, closed = await talk(port.port, post(body=b"x" * 101)[:-101], patience=2)
        assert (int(out[9:12]), closed) == (413, True)
        assert b"100 Continue" not in out


async def test_413_when_chunks_grow_too_large():
    head = post(body=b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    async with serving(Gateway()) as upstream, stage(upstream, max_body=100) as port:
        out, closed = await talk(port.port, head + b"40\r\n" + b"x" * 64 + b"\r\n40\r\n" + b"x" * 64, patience=2)
        assert (int(out[9:12]), closed) == (413, True)
        out, _ = await talk(
            port.port,
            head + b"40\r\n" + b"x" * 64 + b"\r\n0\r\nX-T: 1\r\n\r\n",
            patience=2,
            enough=lambda out: b'"chat"' in out,
        )
        assert b"x" * 64 in out


async def test_expect_continue_is_answered_by_us():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post("/operator/api/chat?q=%22", b"hello", "Expect: 100-continue")[:-5])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        status, _, body = await one_answer(reader)
        assert (status, b"hello" in body) == (200, True)
        writer.close()


async def test_a_chat_body_that_does_not_come_is_408():
    async with serving(Gateway()) as upstream, stage(upstream, body_timeout=0.1) as port:
        out, closed = await talk(port.port, post(body=b"hello")[:-2], patience=3)
        assert (int(out[9:12]), closed) == (408, True)


async def test_client_gone_cancels_the_chat():
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        began.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return web.Response()

    async with serving(Gateway()) as upstream, stage(upstream, chat=slow) as port:
        _, writer = await port.connect()
        writer.write(post())
        await asyncio.wait_for(began.wait(), 2)
        writer.close()
        await asyncio.wait_for(cancelled.wait(), 2)


async def test_get_and_preflight_of_the_chat_path_go_to_the_gateway():
    gateway = Gateway()
    async with serving(gateway) as upstream, stage(upstream) as port:
        for method in (b"GET", b"OPTIONS", b"DELETE"):
            await talk(
                port.port, method + b" /operator/api/chat HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", patience=2
            )
        assert len(gateway.done) == 3


async def test_http10_chat():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        out, closed = await talk(port.port, post().replace(b"HTTP/1.1", b"HTTP/1.0"), patience=2)
        assert (out[9:12], b"transfer-encoding" in out.lower(), closed) == (b"200", False, True)


async def test_large_chat_answer_to_a_slow_reader():
    async def large(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(8 * MIB)})
        await answer.prepare(request)
        for _ in range(128):
            await answer.write(b"x" * 65536)
        return answer

    async with serving(Gateway()) as upstream, stage(upstream, chat=large) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port, limit=65536)
        for _ in range(2):
            writer.write(post())
            await asyncio.sleep(0.1)
            assert len((await one_answer(reader))[2]) == 8 * MIB
        writer.close()


async def test_chat_and_relay_share_a_connection_after_aiohttp_forgot_it(monkeypatch: Any):
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post())
        assert (await one_answer(reader))[0] == 200
        door = next(iter(port.data_port._doors))
        door._face.close()  # as aiohttp does when it was idle too long
        await asyncio.sleep(0)
        for message in (get(), post()):
            writer.write(message)
            assert (await one_answer(reader))[0] == 200
        writer.close()
