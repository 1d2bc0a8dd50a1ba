"""Server-sent events and the WebSocket, as observed."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import Client

FIRST = b'data: {"type": "connected", "message": "SSE stream established"}\n\n'
TEMPO = 0.02  # nothing here has a time limit that a busy machine could miss
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(tempo=TEMPO) as town:
        yield town


async def frames(answer: aiohttp.ClientResponse, count: int) -> list[bytes]:
    return [await answer.content.readuntil(b"\n\n") for _ in range(count)]


@pytest.mark.parametrize("accept", ["text/event-stream", None])
async def test_the_first_frame_comes_at_once_and_then_keep_alives(lab: Lab, http: Client, accept: str | None) -> None:
    skip = ["Accept"] if accept is None else []
    headers = {} if accept is None else {"Accept": accept}
    began = time.perf_counter()
    url = lab.gateway_url + "/operator/api/events"
    async with http.session.get(url, headers=headers, skip_auto_headers=skip) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert await frames(answer, 1) == [FIRST]
        assert (time.perf_counter() - began) / TEMPO < 10
        assert await frames(answer, 2) == [b": keep-alive 1\n\n", b": keep-alive 2\n\n"]
        assert (time.perf_counter() - began) / TEMPO >= 20


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_other_accepts_get_json(lab: Lab, http: Client, accept: str) -> None:
    answer = await http.get(lab.gateway_url + "/operator/api/events", headers={"Accept": accept})
    assert {**answer.json, "note": ""} == {"events": [], "total": 0, "limit": 10, "note": ""}


@pytest.mark.parametrize("how", ["x-vx11-token", "authorization"])
async def test_a_stream_by_token_that_may_be_used_again(lab: Lab, http: Client, how: str) -> None:
    given = lab.token if how == "x-vx11-token" else f"Bearer {lab.token}"
    url = lab.gateway_url + "/operator/api/events/sse-token"
    issued = (await http.post(url, token=None, headers={how: given})).json
    assert set(issued) == {"sse_token", "ttl_sec", "endpoint", "usage"}
    assert issued["ttl_sec"] == 60
    for _ in range(2):
        async with http.session.get(lab.gateway_url + issued["usage"], headers=STREAM) as answer:
            assert await frames(answer, 1) == [FIRST]


async def test_tokens_refused(lab: Lab, http: Client) -> None:
    refused = await http.post(lab.gateway_url + "/operator/api/events/sse-token", token="wrong")
    assert (refused.status, refused.json) == (401, {"detail": "invalid_token", "reason": "main_auth_failed"})
    stream = lab.gateway_url + "/operator/api/events/stream"
    assert (await http.get(stream + "?token=nothing")).json == {"detail": "invalid_token"}
    assert (await http.ask("HEAD", stream)).status == 405


def connect(lab: Lab, http: Client, path: str = "/ws?client_id=c1", **more: Any) -> Any:
    return http.session.ws_connect(lab.gateway_url + path, **more)


async def test_the_greeting_and_the_echo(lab: Lab, http: Client) -> None:
    origin, offered = "http://evil.test", ("vx11.v1", "json")
    async with connect(lab, http, origin=origin, protocols=offered, compress=15) as socket:
        assert socket.protocol is None
        assert socket.compress  # permessage-deflate is negotiated
        assert await socket.receive_json() == {"channel": "control", "type": "connected", "client_id": "c1"}
        await socket.send_str("not json")
        await socket.send_str('{"a":"\u00f1"}')
        assert await socket.receive_str() == '{"a": "\\u00f1"}'


async def test_canonical_events_reach_everybody_and_the_sender_twice(lab: Lab, http: Client) -> None:
    async with connect(lab, http) as sender, connect(lab, http, "/ws?client_id=c2") as other:
        await sender.receive_str()
        await other.receive_str()
        await sender.send_json({"type": "system.alert"})
        assert await sender.receive_json() == await sender.receive_json() == {"type": "system.alert"}
        assert await other.receive_json() == {"type": "system.alert"}


async def test_a_list_is_echoed_and_then_it_fails(lab: Lab, http: Client) -> None:
    async with connect(lab, http) as socket:
        await socket.receive_str()
        await socket.send_str("[1]")
        assert await socket.receive_str() == "[1]"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1011


async def test_a_binary_frame_drops_the_connection(lab: Lab, http: Client) -> None:
    async with connect(lab, http) as socket:
        await socket.receive_str()
        await socket.send_bytes(b"x")
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert socket.close_code == 1006


async def test_close_code_and_reason_come_back(lab: Lab, http: Client) -> None:
    async with connect(lab, http, autoclose=False) as socket:
        await socket.receive_str()
        await socket.close(code=4001, message=b"bye")
        assert socket.close_code == 4001


async def test_a_message_above_16_mib_is_1009(http: Client) -> None:
    # In real time: nobody answers pings while 16 MiB are under way.
    async with Lab() as lab, connect(lab, http, max_msg_size=0, compress=0) as socket:
        await socket.receive_str()
        await socket.send_str('{"a":"' + "a" * (16_777_160 - 8) + '"}')
        assert len(await socket.receive_str()) == 16_777_160 + 1  # a space more
        # Only the head of a frame of 17 MiB: the verdict comes before the bytes do.
        transport = socket.get_extra_info("socket")
        assert transport is not None
        raw = os.dup(transport.fileno())
        try:
            os.write(raw, b"\x81\xff" + (17 * 1024 * 1024).to_bytes(8, "big") + bytes(4) + b"a" * 64)
        finally:
            os.close(raw)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1009


async def test_pings_every_20_seconds_and_1011_for_who_does_not_answer(lab: Lab, http: Client) -> None:
    began = time.perf_counter()
    async with connect(lab, http, autoping=False) as socket:
        await socket.receive_str()
        assert (await socket.receive()).type is aiohttp.WSMsgType.PING
        assert (time.perf_counter() - began) / TEMPO >= 19
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1011
        assert (time.perf_counter() - began) / TEMPO >= 39


async def test_a_pong_keeps_it_open_and_pings_are_answered(lab: Lab, http: Client) -> None:
    async with connect(lab, http, autoping=False) as socket:
        await socket.receive_str()
        await socket.ping(b"mine")
        answer = await socket.receive()
        assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"mine")
        for _ in range(2):
            assert (await socket.receive()).type is aiohttp.WSMsgType.PING
            await socket.pong()


async def test_elsewhere_the_handshake_is_refused(lab: Lab, http: Client) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await connect(lab, http, "/ws/other")
    assert refused.value.status == 403
    assert (await http.get(lab.gateway_url + "/ws")).status == 404
