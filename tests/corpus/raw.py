"""Raw sockets for wire cases: an upstream that records every byte, and a client that sends bytes as they are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

SLICES = 16
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Gateway:
    """Parses just enough to know where messages end; records raw bytes and every complete request, per connection."""

    def __init__(self, answer: Callable[[bytes, bytes], bytes | None] | None = None) -> None:
        self.raw = b""
        self.done: list[tuple[bytes, bytes]] = []
        self.reply: bytes = OK
        self.replies: list[bytes] = []  # taken before ``reply``
        self.answer = answer
        self.close = False
        self.framing_bad = False
        self.connections = 0
        self.lost = asyncio.Event()
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            self.lost.set()

    async def until(self, reader: asyncio.StreamReader, mark: bytes) -> bytes:
        try:
            data = await reader.readuntil(mark)
        except asyncio.IncompleteReadError as short:
            self.raw += short.partial
            raise
        self.raw += data
        return data

    async def exactly(self, reader: asyncio.StreamReader, size: int) -> bytes:
        try:
            data = await reader.readexactly(size)
        except asyncio.IncompleteReadError as short:
            self.raw += short.partial
            raise
        self.raw += data
        return data

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head_ = await self.until(reader, b"\r\n\r\n")
        low = head_.lower()
        lengths = re.findall(rb"\r\ncontent-length:[ \t]*([^\r]*)", low)
        codings = re.findall(rb"\r\ntransfer-encoding:[ \t]*([^\r]*)", low)
        if lengths and codings:
            self.framing_bad = True
        if b"\r\nexpect: 100-continue" in low:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if codings:
            while True:
                size = int((await self.until(reader, b"\r\n")).split(b";")[0].strip(), 16)
                if size == 0:
                    while await self.until(reader, b"\r\n") != b"\r\n":
                        pass
                    break
                body += (await self.exactly(reader, size + 2))[:size]
        elif lengths:
            body = await self.exactly(reader, int(lengths[0]))
        self.done.append((head_, body))
        reply = self.answer(head_, body) if self.answer else self.replies.pop(0) if self.replies else self.reply
        if reply is None:
            return True
        writer.write(reply)
        await writer.drain()
        return not (self.close or b"HTTP/1.0" in reply[:9])


@asynccontextmanager
async def serving(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], limit: int = 2**26
) -> AsyncIterator[int]:
    """An upstream of any kind; yields its port. Whatever still serves at the end is cancelled, and every connection closed."""
    running: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, limit=limit)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running)
        await asyncio.sleep(0)


async def talk(
    port: int,
    data: bytes,
    *,
    patience: float,
    half_close: bool = False,
    step: int = 0,
    enough: Callable[[bytes], bool] = lambda _: False,
) -> tuple[bytes, bool]:
    """Send (``step`` bytes at a time), and read until the end, ``enough`` or the end of patience. Returns what came, and whether the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    heard = bytearray()
    # From the start: what came before a reset, while we were still sending, is lost to who reads only after it.
    reading = asyncio.ensure_future(_read(reader, heard, enough))
    closed = False
    try:
        if step:
            for at in range(0, len(data), step):
                writer.write(data[at : at + step])
                await asyncio.sleep(0)
                if writer.is_closing():
                    break
        else:
            writer.write(data)
        if half_close:
            writer.write_eof()
        closed = await _within(reading, patience)
    except ConnectionError:
        closed = True
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return bytes(heard), closed


async def _read(reader: asyncio.StreamReader, heard: bytearray, enough: Callable[[bytes], bool]) -> bool:
    """Whether the end came, before it was ``enough``."""
    while not enough(bytes(heard)):
        piece = await reader.read(65536)
        if not piece:
            return True
        heard.extend(piece)
    return False


async def _within(reading: asyncio.Future[bool], patience: float) -> bool:
    """Whether the end came. Patience passes in slices: a loop that is held up loses one of them, not the answer it was about to deliver."""
    for _ in range(SLICES):
        await asyncio.wait({reading}, timeout=patience / SLICES)
        if reading.done():
            return reading.result()
    return False
