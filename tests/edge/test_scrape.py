"""A scrape of the whole sidecar: always a 200 that parses, however odd what clients send, and never a series more for it."""

from __future__ import annotations

import asyncio
import random

import pytest
from kitchen import TOKEN
from office import BASE, standing
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
async def office(tmp_path):
    path = tmp_path / "politica-\udcff-ñ.yaml"
    path.write_text(BASE)
    async with standing(path) as opened:
        yield opened


async def say(office, raw):
    """Send bytes as they are, read until the connection ends."""
    reader, writer = await asyncio.open_connection(*office.sidecar.serving.listen)
    try:
        writer.write(raw)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


async def scrape(office, accept="text/plain", query=""):
    url = f"http://{office.sidecar.serving.admin}/metrics{query}"
    async with office.client.get(url, headers={"Accept": accept}) as got:
        assert got.status == 200
        return await got.text()


def series(text):
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def odd(luck, length):
    """Bytes that a head may hold, and that no encoding makes text of."""
    return bytes(luck.choice((luck.randint(0x21, 0x7E), luck.randint(0x80, 0xFF))) for _ in range(length))


async def test_odd_bytes_in_every_place_of_a_request_leave_the_scrape_well_and_as_large_as_it_was(office):
    luck = random.Random(5)
    before = series(await scrape(office))
    for _ in range(50):
        path = odd(luck, 9).replace(b"#", b"")
        head = b"GET /%s?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (path, odd(luck, 5).replace(b"#", b""))
        fields = (b"User-Agent", b"traceparent", b"tracestate", b"X-Correlation-Id", b"X-VX11-Token")
        lines = b"".join(b"%s: %s\r\n" % (name, odd(luck, 20)) for name in fields)
        assert (await say(office, head + lines + b"\r\n")).startswith(b"HTTP/1.1 ")
    body = b'{"message": "hi", "session_id": "\xc3\xb1\\udcff"}'
    for token in (TOKEN.encode(), odd(luck, 8)):
        chat = (
            b"POST /operator/api/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-VX11-Token: %s\r\nUser-Agent: %s\r\n"
            b"X-Correlation-Id: %s\r\ntracestate: %s\r\ntraceparent: %s\r\nContent-Length: %d\r\n\r\n"
        ) % (token, odd(luck, 9), odd(luck, 9), odd(luck, 9), TRACE.encode(), len(body))
        assert (await say(office, chat + body)).startswith((b"HTTP/1.1 422", b"HTTP/1.1 403"))
    text = await scrape(office)
    assert series(text) == before
    assert list(parse(text))
    assert list(parse_openmetrics(await scrape(office, OPENMETRICS)))


@pytest.mark.parametrize("query", ["?name[]=%ff", "?name[]=%ed%b3%bf", "?name[]=nothing", "?%ff=%ff"])
@pytest.mark.parametrize(
    "accept", ["*/*", "application/openmetrics-text", "é", "application/openmetrics-text;version=é", ""]
)
async def test_no_question_of_a_scraper_is_more_than_it_can_take(office, query, accept):
    await scrape(office, accept, query)


async def test_every_family_is_there_before_anybody_has_asked_anything(office):
    declared = {family.name for family in office.sidecar._runtime.telemetry.declared}
    shown = set()
    for family in parse(await scrape(office)):
        shown.add(family.name + ("_total" if family.type == "counter" else ""))
    assert declared <= shown
