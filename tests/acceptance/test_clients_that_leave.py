"""A client that leaves takes its work with it, and says nothing about the target it was waiting for."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Self

import pytest

from tests.acceptance.running import standing

REPLY = json.dumps({"status": "ok", "reply": "here", "content": "here", "engine_used": "general-7b"}).encode()


class Switch:
    """Silent until told to answer; notices when the connection of a waiting request is closed."""

    def __init__(self) -> None:
        self.asked = self.left = 0
        self.answers = False
        self.moved = asyncio.Condition()
        self.url = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def until(self, *, asked: int, left: int) -> None:
        async with asyncio.timeout(5), self.moved:
            await self.moved.wait_for(lambda: self.asked >= asked and self.left >= left)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                async with self.moved:
                    self.asked += 1
                    self.moved.notify_all()
                if not self.answers:
                    assert await reader.read() == b""
                    async with self.moved:
                        self.left += 1
                        self.moved.notify_all()
                    return
                fields = f"Content-Type: application/json\r\nContent-Length: {len(REPLY)}\r\n\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\n" + fields.encode() + REPLY)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    async with Switch().listening() as stands:
        yield stands


async def test_a_client_that_leaves_cancels_the_work_and_is_counted_as_gone(switch: Switch) -> None:
    async with standing(switch=switch.url) as town:
        waiting = asyncio.create_task(town.chat())
        await switch.until(asked=1, left=0)
        waiting.cancel()
        await switch.until(asked=1, left=1)
        scrape = await town.metrics_when(lambda scrape: scrape.total("chat_requests_total") == 1)
        assert scrape.total("chat_requests_total", outcome="client_gone", code="499") == 1
        assert scrape.total("upstream_attempts_total") == 1
        assert scrape.total("upstream_attempts_total", target="switch", result="client_gone") == 1
        assert scrape.total("inflight_requests", kind="chat") == 0
        assert town.lab.requests("madre").get("POST /madre/chat", 0) == 0


async def test_clients_that_leave_early_do_not_open_the_breaker(switch: Switch) -> None:
    """More than the three failures in a row and the twenty calls of the window that would."""
    async with standing(switch=switch.url) as town:
        for number in range(1, 26):
            waiting = asyncio.create_task(town.chat())
            await switch.until(asked=number, left=number - 1)
            waiting.cancel()
            await switch.until(asked=number, left=number)
        scrape = await town.metrics_when(lambda s: s.total("chat_requests_total", outcome="client_gone") == 25)
        assert scrape.breaker("switch") == "closed"
        assert scrape.total("fallbacks_total") == 0
        switch.answers = True
        answer = await town.chat()
        assert (answer.json["provider"], answer.json["response"]) == ("switch", "here")


async def test_many_that_leave_at_once_leave_no_slot_taken(switch: Switch) -> None:
    """Those that wait for a slot in the queue included."""
    async with standing(switch=switch.url) as town:
        waiting = [asyncio.create_task(town.chat()) for _ in range(10)]
        await switch.until(asked=4, left=0)
        for each in waiting:
            each.cancel()
        await switch.until(asked=4, left=4)
        await town.metrics_when(lambda scrape: scrape.total("inflight_requests", kind="chat") == 0)
        switch.answers = True
        answers = await asyncio.gather(*(town.chat() for _ in range(4)))
        assert [answer.json["provider"] for answer in answers] == ["switch"] * 4
