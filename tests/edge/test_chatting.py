"""Chat on a client's connection: who is turned away before it is gathered, and what becomes of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from loopback import CHAT, Gateway, get, one_answer, post, said, serving, stage, talk

from sidecar.core.fact import ChatRejected
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Reply

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

    async def slow(_: Incoming) -> Reply:
        began.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return said({})

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
    async def large(_: Incoming) -> Reply:
        return Reply(200, b"x" * (8 * MIB))

    async with serving(Gateway()) as upstream, stage(upstream, chat=large) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port, limit=65536)
        for _ in range(2):
            writer.write(post())
            await asyncio.sleep(0.1)
            assert len((await one_answer(reader))[2]) == 8 * MIB
        writer.close()


async def test_chat_and_relay_share_a_connection():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for message in (post(), get(), post()):
            writer.write(message)
            assert (await one_answer(reader))[0] == 200
        writer.close()


async def test_a_chat_is_handed_over_with_its_decoded_path_and_without_its_framing():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        head = post("/oper%61tor%2fapi/chat?a=%22b", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        reader, writer = await port.connect()
        writer.write(head + b"2\r\n{}\r\n0\r\n\r\n")
        assert json.loads((await one_answer(reader))[2]) == {"chat": "{}", "path": CHAT[0], "peer": "127.0.0.1"}
        writer.close()


@pytest.mark.parametrize(("trusted", "peer"), [(True, "10.0.0.2"), (False, "127.0.0.1")])
async def test_who_asks_is_said_by_a_trusted_proxy_or_by_the_connection(trusted, peer):
    field = "X-Forwarded-For: 10.0.0.1, 10.0.0.2"
    async with serving(Gateway()) as upstream, stage(upstream, trusted=lambda _: trusted) as port:
        reader, writer = await port.connect()
        writer.write(post(CHAT[0], b"{}", field))
        assert json.loads((await one_answer(reader))[2])["peer"] == peer
        writer.close()


async def test_a_chat_learns_when_its_head_had_come():
    async def tell(asked: Incoming) -> Reply:
        return said({"waited": asyncio.get_running_loop().time() - asked.came})

    async with serving(Gateway()) as upstream, stage(upstream, chat=tell) as port:
        reader, writer = await port.connect()
        message = post(body=b"{}")
        writer.write(message[:-1])
        await asyncio.sleep(0.2)  # the body's own slowness
        writer.write(message[-1:])
        assert 0.19 < json.loads((await one_answer(reader))[2])["waited"] < 2
        writer.close()


async def test_the_client_says_that_it_is_the_last_and_reads_that_it_was():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        out, closed = await talk(port.port, post("/operator/api/chat", b"{}", "Connection: close"), patience=2)
        assert (b"\r\nConnection: close\r\n" in out, closed) == (True, True)


async def test_an_old_client_reads_that_its_connection_is_kept():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for _ in range(2):
            writer.write(post("/operator/api/chat", b"{}", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
            status, head, _ = await one_answer(reader)
            assert (status, b"\r\nConnection: keep-alive\r\n" in head) == (200, True)
        writer.close()


async def test_pipelined_chats_are_answered_one_at_a_time():
    at_once = most = 0

    async def slow(asked: Incoming) -> Reply:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)  # long enough for the next one to be let in, if anybody let it
        at_once -= 1
        return Reply(200, asked.body)

    async with serving(Gateway()) as upstream, stage(upstream, chat=slow) as port:
        reader, writer = await port.connect()
        writer.write(b"".join(post(body=b"%d" % n) for n in range(50)))
        for n in range(50):
            assert (await one_answer(reader))[2] == b"%d" % n
        assert most == 1
        writer.close()


async def test_a_client_that_leaves_in_the_moment_of_the_hand_over_is_left_only_after_its_chat_has_begun():
    told = []

    async def slow(_: Incoming) -> Reply:
        told.append("began")
        try:
            await asyncio.sleep(60)
        finally:
            told.append("ended")
        return said({})

    async with serving(Gateway()) as upstream, stage(upstream, chat=slow) as port:
        _, writer = await port.connect()
        await port.until(lambda: len(port.data_port) == 1)
        door = next(iter(port.data_port._doors))
        door.data_received(post())
        door.connection_lost(None)  # in one turn of the loop
        await port.until(lambda: len(told) == 2)
        assert told == ["began", "ended"]
        writer.close()
