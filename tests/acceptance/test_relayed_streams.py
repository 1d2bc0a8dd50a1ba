"""What is not chat goes through the whole sidecar as if it were not there: streams and WebSockets most of all."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.acceptance.running import Standing, standing

FIRST = b'data: {"type": "connected", "message": "SSE stream established"}\n\n'


async def test_events_arrive_as_they_are_sent() -> None:
    async with standing(tempo=0.02) as town:
        direct, through = [
            await town.session.get(url + "/operator/api/events", headers={"Accept": "text/event-stream"})
            for url in (town.lab.gateway_url, town.url)
        ]
        async with direct, through, asyncio.timeout(5):
            assert through.status == direct.status == 200
            for name in ("Content-Type", "Cache-Control", "X-Accel-Buffering"):
                assert through.headers[name] == direct.headers[name]
            assert await through.content.readexactly(len(FIRST)) == FIRST  # at once, long before the next one
            assert await through.content.readuntil(b"\n\n") == b": keep-alive 1\n\n"
            assert await through.content.readuntil(b"\n\n") == b": keep-alive 2\n\n"


async def test_a_client_that_leaves_a_stream_is_counted_and_forgotten() -> None:
    async with standing() as town:
        async with town.session.get(
            town.url + "/operator/api/events", headers={"Accept": "text/event-stream"}
        ) as stream:
            await stream.content.readexactly(len(FIRST))
            await town.metrics_when(lambda scrape: scrape.total("inflight_requests", kind="relay") == 1)
        await town.metrics_when(lambda scrape: scrape.total("inflight_requests", kind="relay") == 0)


async def test_the_short_lived_token_in_the_query_reaches_the_gateway() -> None:
    async with standing() as town:
        fields = {"X-VX11-Token": town.lab.token}
        issued = (await town.ask("POST", town.url + "/operator/api/events/sse-token", headers=fields)).json
        async with town.session.get(town.url + issued["usage"]) as stream, asyncio.timeout(5):
            assert await stream.content.readexactly(len(FIRST)) == FIRST


async def test_a_websocket_talks_both_ways_and_closes_as_it_was_closed() -> None:
    async with standing() as town:
        url = town.url + "/ws?client_id=c1&channel=control"
        async with town.session.ws_connect(url, protocols=("vx11.v1",)) as socket:
            assert socket.protocol is None  # the gateway selects none, and so do we
            assert await socket.receive_json(timeout=5) == {
                "channel": "control",
                "type": "connected",
                "client_id": "c1",
            }
            for said in ({"type": "hello", "n": 1}, {"type": "ñ", "long": "x" * 200_000}):
                await socket.send_json(said)
                assert await socket.receive_json(timeout=5) == said
            assert (await town.metrics()).total("websocket_connections") == 1
            await socket.close(code=4001, message=b"enough")
            assert socket.close_code == 4001
        await town.metrics_when(lambda scrape: scrape.total("websocket_connections") == 0)
        scrape = await town.metrics()
        assert scrape.total("relay_bytes_total", direction="to_client") > 200_000


async def test_a_websocket_that_the_gateway_drops_is_dropped() -> None:
    async with standing() as town, town.session.ws_connect(town.url + "/ws") as socket:
        await socket.receive_json(timeout=5)
        await socket.send_bytes(b"the gateway takes no binary frames")
        assert (await socket.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert socket.close_code == 1006


async def test_chats_are_answered_while_streams_are_open() -> None:
    async with standing() as town, town.session.ws_connect(town.url + "/ws") as socket:
        await socket.receive_json(timeout=5)
        async with town.session.get(town.url + "/operator/api/events", headers={"Accept": "text/event-stream"}):
            assert (await town.chat()).json["provider"] == "switch"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/operator", 302),
        ("GET", "/operator/ui/", 200),
        ("GET", "/operator/api/v1/chat/window/status", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/operator/api/chat", 503),  # only POST is ours
        ("HEAD", "/operator/api/events/stream?token=x", 405),  # the UI gives up for good on a 403
    ],
)
async def test_the_gateways_own_answers_come_through(method: str, path: str, status: int) -> None:
    async def both(town: Standing) -> None:
        direct, through = [await town.ask(method, url + path) for url in (town.lab.gateway_url, town.url)]
        assert (through.status, through.headers.get("Content-Type")) == (
            direct.status,
            direct.headers.get("Content-Type"),
        )
        assert through.status == status
        if path != "/metrics":  # which tells the time
            assert through.body == direct.body

    async with standing() as town:
        await both(town)
