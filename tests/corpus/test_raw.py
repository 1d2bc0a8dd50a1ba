"""The client of wire cases waits as long as it says, and a busy machine takes nothing from it."""

from __future__ import annotations

import asyncio
import time

from tests.corpus.raw import OK, serving, talk

ASKED = b"GET / HTTP/1.1\r\n\r\n"


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
