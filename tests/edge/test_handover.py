"""The hand-over: one whole canonical request in, the end of the answer heard, the connection never aiohttp's to end."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from aiohttp import web
from loopback import Gateway, one_answer, post, serving, stage, talk

from sidecar.edge.data import handover
from sidecar.wire import head, request
from sidecar.wire.target import Routes

LOOPS = ("asyncio", "uvloop")
RULES = head.rules(Routes(("/operator/api/chat",)), pseudonym=b"vx11-sidecar-0123abcd", authority=b"gateway:8000")


def asked(line: bytes, *fields: bytes) -> request.Request:
    read = request.read(b"\r\n".join([line, b"Host: h", *fields]) + b"\r\n\r\n", RULES)
    assert isinstance(read, request.Request)
    return read


def test_canonical_request():
    read = asked(
        b'POST /oper%61tor%2fapi/chat?a="b"|<%20>{\xe9} HTTP/1.1',
        b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"TE: trailers", b"Connection: upgrade, TE, close", b"Cookie: c", b"X-Odd: o",
        b"Content-Type:   application/json ", b"X-VX11-TOKEN: t", b"ORIGIN: http://a", b"Upgrade: h2c",
    )  # fmt: skip
    message = handover.canonical(read, b"{}", token=b"x-vx11-token", close=False)
    assert message == (
        b"POST /operator/api/chat?a=%22b%22|%3C%20%3E%7B%E9%7D HTTP/1.1\r\nHost: h\r\n"
        b"content-type: application/json\r\nx-vx11-token: t\r\norigin: http://a\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert b"\r\nconnection: close\r\n" in handover.canonical(read, b"", token=b"t", close=True)


async def test_what_aiohttp_would_refuse_is_left_out():
    giant = f"User-Agent: {'a' * 9000}"
    crowd = [f"Accept: a/{n}" for n in range(90)]
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        for extra in ([giant], crowd):
            out, _ = await talk(
                port.port, post("/operator/api/chat?" + "q" * 9000, b"{}", "Connection: close", *extra), patience=2
            )
            assert out.startswith(b"HTTP/1.1 200 ")


async def test_chat_learns_when_the_head_had_come():
    async def tell(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        came = request.transport.get_extra_info(handover.HEAD_CAME)
        return web.json_response({"waited": asyncio.get_running_loop().time() - came})

    async with serving(Gateway()) as upstream, stage(upstream, chat=tell) as port:
        reader, writer = await port.connect()
        message = post(body=b"{}")
        writer.write(message[:-1])
        await asyncio.sleep(0.2)
        writer.write(message[-1:])
        _, _, body = await one_answer(reader)
        assert 0.19 < json.loads(body)["waited"] < 2
        writer.close()


async def server(**options: object) -> web.AppRunner:
    app = web.Application()
    runner = web.AppRunner(app, **options)  # type: ignore[arg-type]
    await runner.setup()
    return runner


async def test_rehearsal():
    runner = await server(access_log_class=handover.Done, access_log=logging.getLogger("test.access"))
    assert runner.server is not None
    await handover.rehearse(runner.server, "/nothing-here")
    await runner.cleanup()


async def test_rehearsal_finds_a_server_that_never_tells():
    runner = await server(access_log=None)
    assert runner.server is not None
    with pytest.raises(RuntimeError, match="does not report"):
        await handover.rehearse(runner.server, "/", patience=0.1)
    await runner.cleanup()


async def test_streamed_chat_answer_and_the_next():
    async def streamed(asked: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(asked)
        for _ in range(3):
            await answer.write(b"piece")
            await asyncio.sleep(0)
        return answer

    async with serving(Gateway()) as upstream, stage(upstream, chat=streamed) as port:
        reader, writer = await port.connect()
        for _ in range(3):
            writer.write(post())
            assert (await reader.readuntil(b"0\r\n\r\n")).count(b"piece") == 3
        writer.close()


async def test_a_handler_that_fails_answers_500_and_the_connection_ends_in_order(caplog: pytest.LogCaptureFixture):
    async def broken(asked: web.Request) -> web.StreamResponse:
        raise ValueError("on purpose")

    async with serving(Gateway()) as upstream, stage(upstream, chat=broken) as port:
        out, closed = await talk(port.port, post(), patience=2)
        assert (out[9:12], closed) == (b"500", True)
    assert "on purpose" in caplog.text


async def test_a_handler_that_fails_within_its_answer_cuts_it(caplog: pytest.LogCaptureFixture):
    async def broken(asked: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "10"})
        await answer.prepare(asked)
        await answer.write(b"hello")
        raise ValueError("on purpose")

    async with serving(Gateway()) as upstream, stage(upstream, chat=broken) as port:
        out, closed = await talk(port.port, post(), patience=2)
        assert (out[-5:], closed) == (b"hello", True)
    assert "on purpose" in caplog.text


async def test_close_asked_by_the_client_or_by_chat():
    async def closing(asked: web.Request) -> web.StreamResponse:
        answer = web.Response(text="bye")
        answer.force_close()
        return answer

    async with serving(Gateway()) as upstream, stage(upstream, chat=closing) as port:
        out, closed = await talk(port.port, post(), patience=2)
        assert (b"bye" in out, closed) == (True, True)
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        out, closed = await talk(port.port, post("/operator/api/chat", b"{}", "Connection: close"), patience=2)
        assert (b"\r\nConnection: close\r\n" in out, closed) == (True, True)


async def test_pipelined_chats_meet_aiohttp_one_at_a_time():
    at_once = most = 0

    async def slow(asked: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        return web.Response(body=await asked.read())

    async with serving(Gateway()) as upstream, stage(upstream, chat=slow) as port:
        reader, writer = await port.connect()
        writer.write(b"".join(post(body=b"%d" % n) for n in range(50)))
        for n in range(50):
            assert (await one_answer(reader))[2] == b"%d" % n
        assert most == 1
        writer.close()
