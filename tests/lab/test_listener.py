"""The socket: uvicorn's manners on the wire, and the faults below HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import aiohttp
import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(url: str, request: bytes) -> bytes:
    async with wire(url) as (reader, writer):
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 5)


GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_headers_are_lower_case_and_idle_connections_end_after_five_seconds(lab: Lab) -> None:
    began = time.perf_counter()
    answer = await exchange(lab.gateway_url, GET)
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert [line.split(b":")[0] for line in lines[1:]] == [b"date", b"server", b"content-length", b"content-type"]
    assert lines[3] == b"content-length: %d" % len(body)
    assert 4.5 <= (time.perf_counter() - began) / TEMPO < 12


async def test_a_faster_town_keeps_idle_connections_as_long() -> None:
    """Clients' pools go by clocks of their own: a connection closed within their bound is closed under a request."""
    async with Lab(tempo=0.001) as lab, wire(lab.madre_url) as (reader, writer):
        for _ in range(2):
            writer.write(GET)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            await asyncio.sleep(0.05)
        assert not reader.at_eof()


async def test_pipelining(lab: Lab) -> None:
    assert (await exchange(lab.gateway_url, GET * 3)).count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"FOO /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01 not http\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_in_plain_text(lab: Lab, request_bytes: bytes) -> None:
    answer = await exchange(lab.gateway_url, request_bytes)
    assert answer.startswith(b"HTTP/1.")
    assert answer.split(b" ")[1] == b"400"
    assert answer.endswith(b"Invalid HTTP request received.")


async def test_a_large_header_and_chunks_pass(lab: Lab) -> None:
    large = b"GET /health HTTP/1.1\r\nHost: x\r\nx: " + b"a" * 70_000 + b"\r\nConnection: close\r\n\r\n"
    assert (await exchange(lab.gateway_url, large)).startswith(b"HTTP/1.1 200 ")
    body = b'{"message":"hola"}'
    chunked = (
        b"POST /operator/api/chat HTTP/1.1\r\nHost: x\r\nx-vx11-token: vx11-local-token\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    )
    assert (await exchange(lab.gateway_url, chunked)).startswith(b"HTTP/1.1 200 ")


async def test_expect_100_continue_is_answered(lab: Lab) -> None:
    async with wire(lab.switch_url) as (reader, writer):
        writer.write(
            b"POST /switch/chat HTTP/1.1\r\nHost: x\r\nx-vx11-token: vx11-local-token\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
        )
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"messages":[]}')
        assert (await asyncio.wait_for(reader.readline(), 5)) == b"HTTP/1.1 200 OK\r\n"


async def test_a_hung_service_accepts_says_nothing_and_drops_everybody_when_mended(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "hang")
    async with wire(lab.switch_url) as (reader, writer):
        writer.write(GET)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        await lab.clear("switch")
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
    assert (await http.get(lab.switch_url + "/health")).status == 200


@pytest.mark.parametrize("name", ["gateway", "switch", "madre"])
async def test_refusing_closes_what_is_open_and_comes_back_on_the_same_port(lab: Lab, name: str) -> None:
    url = lab.urls[name]
    async with wire(url) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        await lab.fault(name, "refuse")
        await asyncio.wait_for(reader.read(), 5)
    for _ in range(2):  # more than once: the port is kept
        with pytest.raises(ConnectionRefusedError):
            await exchange(url, GET)
    await lab.fault(name, "refuse")
    await lab.clear(name)
    await lab.clear(name)
    assert (await exchange(url, GET)).startswith(b"HTTP/1.1 200 ")


async def test_reset(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "reset")
    async with wire(lab.switch_url) as (reader, writer):
        writer.write(GET)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
    await lab.clear("switch")
    assert (await http.get(lab.switch_url + "/health")).status == 200


async def test_garbage(lab: Lab) -> None:
    await lab.fault("switch", "garbage")
    answer = await exchange(lab.switch_url, GET)
    assert b"this is not HTTP" in answer
    assert not answer.startswith(b"HTTP/")


async def test_requests_are_counted(lab: Lab, http: Client) -> None:
    await http.get(lab.gateway_url + "/health?token=secret")
    await http.get(lab.gateway_url + "/health")
    assert lab.requests("gateway") == {"GET /health": 2}


async def test_the_client_of_a_hung_service_may_leave(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "hang")
    with pytest.raises(TimeoutError):
        await http.get(lab.switch_url + "/health", timeout=aiohttp.ClientTimeout(total=0.02))
    await lab.clear("switch")
    assert (await http.get(lab.switch_url + "/health")).status == 200


@pytest.mark.parametrize("turns", range(6))
async def test_connections_accepted_just_before_it_refuses_are_dropped(lab: Lab, turns: int) -> None:
    place = ("127.0.0.1", int(lab.switch_url.rpartition(":")[2]))
    with ExitStack() as stack:
        # Blocking: the kernel connects them before our loop has accepted one.
        clients = [stack.enter_context(socket.create_connection(place)) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await lab.fault("switch", "refuse")
        for client in clients:
            client.settimeout(5)
            with suppress(ConnectionError):
                client.sendall(GET)
                assert await asyncio.to_thread(client.recv, 100) == b""


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_connections_accepted_just_before_it_closes_are_closed(turns: int) -> None:
    with ExitStack() as stack:
        async with Lab(tempo=TEMPO) as lab:
            place = ("127.0.0.1", int(lab.switch_url.rpartition(":")[2]))
            clients = [stack.enter_context(socket.create_connection(place)) for _ in range(5)]
            for _ in range(turns):
                await asyncio.sleep(0)
        for client in clients:
            client.settimeout(5)
            with suppress(ConnectionError):
                assert await asyncio.to_thread(client.recv, 100) == b""
