"""Connections that stand beside the busy ones and say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import cast

AT_ONCE = 100  # made at the same moment
PATIENCE = 60.0  # seconds until all stand


class _Idle(asyncio.Protocol):
    """Asks once, for a connection that never asked anything is cut sooner, and is silent from then on."""

    request = b"GET / HTTP/1.1\r\nHost: benchmark\r\n\r\n"

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self.request)

    def data_received(self, _: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError())


@contextlib.contextmanager
def idle(port: int, count: int) -> Iterator[None]:
    """Connections that stand beside, held by a thread; silent after one answer each."""
    standing, over = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    async def hold() -> None:
        loop = asyncio.get_running_loop()
        made = []
        try:
            for begin in range(0, count, AT_ONCE):
                some = range(begin, min(begin + AT_ONCE, count))
                now = await asyncio.gather(*(loop.create_connection(_Idle, "127.0.0.1", port) for _ in some))
                made += now
                await asyncio.gather(*(protocol.answered for _, protocol in now))
            standing.set()
            while not over.is_set():  # noqa: ASYNC110 - an event of threads
                await asyncio.sleep(0.1)
        finally:
            for transport, _ in made:
                transport.abort()
            await asyncio.sleep(0.2)

    def run() -> None:
        try:
            asyncio.run(hold())
        except OSError as error:
            failed.append(error)
        standing.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        standing.wait(PATIENCE)
        if failed:
            raise failed[0]
        yield
    finally:
        over.set()
        thread.join()
