"""Tunnels: how they begin, what passes through them, and how each side is told of the end."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import socket
import struct

import pytest
from loopback import Gateway, get, one_answer, serving, stage, talk

from sidecar.core.fact import RelayEnded

MIB = 1 << 20
LOOPS = ("asyncio", "uvloop")


def handshake(key: bytes) -> bytes:
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )


async def websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
    writer.write(handshake(b"dGhlIHNhbXBsZSBub25jZQ==") + b"\x81\x02hi")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_websocket_tunnel_with_early_bytes():
    ask = get(
        "/ws?client_id=1",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    async with serving(websocket) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(ask + b"\x81\x82maskAB")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert await reader.readexactly(12) == b"\x81\x02hi\x81\x82maskAB"
        blob = random.Random(1).randbytes(2 * MIB)
        writer.write(blob)
        assert await reader.readexactly(len(blob)) == blob
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await port.until(lambda: port.facts)
        assert (port.facts[0].kind, port.facts[0].status, port.facts[0].error) == ("websocket", 101, None)


async def test_unsolicited_101_is_502():
    gateway = Gateway()
    gateway.reply = handshake(b"x")
    async with serving(gateway) as upstream, stage(upstream) as port:
        out, _ = await talk(port.port, get("/", "Connection: close"), patience=2)
        assert out.startswith(b"HTTP/1.1 502 ")


async def test_refused_upgrade_leaves_an_ordinary_connection():
    gateway = Gateway()
    gateway.reply = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    async with serving(gateway) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        for _ in range(2):
            writer.write(get("/ws", "Connection: Upgrade", "Upgrade: websocket"))
            assert (await one_answer(reader))[0] == 403
        writer.close()


@pytest.mark.parametrize("first", ["gateway", "client"])
async def test_what_a_client_sends_last_arrives_whichever_side_of_a_tunnel_ends_first(first: str):
    """The gateway reads late, so that bytes wait in the relay when the client's connection is over already."""
    total, got = 4_000_000, bytearray()
    whole = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        if first == "gateway":
            writer.write_eof()
        await asyncio.sleep(0.3)
        while data := await reader.read(65_536):
            got.extend(data)
        whole.set()
        writer.close()

    async with serving(late, limit=4096) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get("/ws", "Connection: Upgrade", "Upgrade: x"))
        await reader.readuntil(b"\r\n\r\n")
        if first == "gateway":
            assert await reader.read() == b""
        writer.write(bytes(total))
        writer.write_eof()
        async with asyncio.timeout(5):
            await whole.wait()
        assert len(got) == total
        writer.close()


async def test_a_reset_within_a_tunnel_is_a_reset():
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with serving(rude) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get("/ws", "Connection: Upgrade", "Upgrade: x"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 2)
        writer.close()


async def speaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A WebSocket that sends a whole frame, then the first half of another; what it is told goes into ``heard``."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
    heard.append(await reader.readexactly(8))
    writer.write(b"\x82\x04ab")
    heard.append(await reader.readexactly(8))
    writer.write(b"cd\x81\x04late")
    await reader.read()


heard: list[bytes] = []


@pytest.mark.parametrize("within_a_frame", [False, True])
async def test_at_the_end_of_the_grace_a_websocket_is_told_between_two_frames_that_we_go(within_a_frame, monkeypatch):
    monkeypatch.setattr("sidecar.edge.data.port.FAREWELL", 0.5)
    heard.clear()
    async with serving(speaking) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get("/ws", "Connection: Upgrade", "Upgrade: websocket"))
        await reader.readuntil(b"\x81\x02hi")
        if within_a_frame:
            writer.write(b"\x81\x82keys\x00\x00")
            await reader.readexactly(4)
        draining = asyncio.ensure_future(port.data_port.drain(0.6))
        rest = await asyncio.wait_for(reader.read(), 2)
        assert rest == (b"cd" if within_a_frame else b"") + b"\x88\x02\x03\xe9"
        writer.write(b"\x88\x82keys\x68\x8c")  # the client answers the Close, and leaves
        writer.close()
        assert await asyncio.wait_for(draining, 2) == 0
        key = heard[-1][2:6]
        assert heard[-1][:2] == b"\x88\x82"
        assert bytes(a ^ b for a, b in zip(heard[-1][6:], key, strict=False)) == b"\x03\xe9"
        ended = next(fact for fact in port.facts if isinstance(fact, RelayEnded))
        assert (ended.kind, ended.error) == ("websocket", None)


async def test_a_websocket_whose_gateway_has_said_all_is_no_trouble_when_we_go():
    async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x88\x00")
        writer.write_eof()
        await reader.read()

    async with serving(brief) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get("/ws", "Connection: Upgrade", "Upgrade: websocket"))
        assert (await reader.read()).endswith(b"\x88\x00")
        assert await port.data_port.drain(0.1) == 1
        writer.close()
