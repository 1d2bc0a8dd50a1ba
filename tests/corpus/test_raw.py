"""The client of wire cases waits as long as it says, and a busy machine takes nothing from it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

from tests.corpus.raw import OK, serving, talk

ASKED = b"GET / HTTP/1.1\r\n\r\n"
REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n"


async def test_a_loop_that_is_held_up_costs_no_answer() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        time.sleep(0.2)  # noqa: ASYNC251 - that is the case: everything in this process stands still
        writer.write(OK)
        await reader.read()

    async with serving(slow) as port:
        assert await talk(port, ASKED, patience=0.1, enough=lambda out: out.endswith(b"ok")) == (OK, False)


async def test_silence_ends_with_patience_and_the_end_with_the_connection() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP")
        await reader.read()

    async def curt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP")
        writer.close()

    async with serving(silent) as port:
        assert await talk(port, ASKED, patience=0.05) == (b"HTTP", False)
    async with serving(curt) as port:
        assert await talk(port, ASKED, patience=5) == (b"HTTP", True)


async def test_what_was_answered_before_a_reset_is_heard_although_more_was_being_sent() -> None:
    answered = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.write(REFUSAL)
        await writer.drain()
        await asyncio.sleep(0.05)  # so that the answer is there before the reset: nothing tells
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        answered.set()

    async with serving(refuse) as port:
        heard, closed = await talk(port, b"x" * 20_000_000, patience=3.0, step=2_000)
        assert answered.is_set()
    assert (heard, closed) == (REFUSAL, True)
