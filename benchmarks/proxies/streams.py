"""What lasts: event streams to many readers at once, and WebSockets that echo. Told as processor time an event, and a message.

``sse``        every reader gets the same events at the same moments, ten a second
``websocket``  every connection says 64 bytes, waits until it hears them again, and so on
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Coroutine
from typing import NamedTuple, cast

from benchmarks.proxies.measure import cpu

STREAMS = 1_000
ECHOES = 32
AT_ONCE = 100  # connections made at the same moment
PATIENCE = 20.0  # seconds until all are open


class Passed(NamedTuple):
    """``whole``: every stream or socket that was asked for stood, and something came on each."""

    passed: int
    processor: float
    whole: bool

    @property
    def each(self) -> float:
        """Microseconds of the proxy's processor time."""
        return self.processor / self.passed * 1e6 if self.passed else 0.0


class _Reader(asyncio.Protocol):
    """Counts events."""

    request = b"GET /events HTTP/1.1\r\nHost: benchmark\r\nAccept: text/event-stream\r\n\r\n"

    def __init__(self) -> None:
        self.count = 0
        self.well = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.well:
            self.well = b" 200 " in data[:20]
        self.count += data.count(b"\n\n")


class _Echo(asyncio.Protocol):
    """Says the same frame whenever it has heard it. The mask is the same each time: nobody between looks into it."""

    def __init__(self) -> None:
        self.count = 0
        self.well = False
        payload, mask = os.urandom(64), os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        self._frame = bytes((0x82, 0x80 | len(payload))) + mask + masked
        self._echo = bytes((0x82, len(payload))) + payload
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16))
        self.transport.write(
            b"GET /echo HTTP/1.1\r\nHost: benchmark\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key
        )

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if not self.well:
            head, end, self._heard = self._heard.partition(b"\r\n\r\n")
            self.well = end != b"" and b" 101 " in head[:20]
            if self.well:
                self.transport.write(self._frame)
            elif not end:
                self._heard = head
        elif len(self._heard) >= len(self._echo):
            if self._heard != self._echo:
                self.transport.abort()
                self.well = False
                return
            self._heard = b""
            self.count += 1
            self.transport.write(self._frame)


async def _passed(make: Callable[[], _Reader | _Echo], connections: int, pid: int, port: int, seconds: float) -> Passed:
    loop = asyncio.get_running_loop()
    clients: list[_Reader | _Echo] = []
    try:
        for begin in range(0, connections, AT_ONCE):
            some = range(begin, min(begin + AT_ONCE, connections))
            made = await asyncio.gather(*(loop.create_connection(make, "127.0.0.1", port) for _ in some))
            clients += [protocol for _, protocol in made]
        deadline = loop.time() + PATIENCE
        while loop.time() < deadline and not all(client.well and client.count for client in clients):  # noqa: ASYNC110 - there are a thousand to wait for
            await asyncio.sleep(0.05)
        whole = all(client.well and client.count for client in clients)
        before, counted = cpu(pid), sum(client.count for client in clients)
        await asyncio.sleep(seconds)
        used, count = cpu(pid) - before, sum(client.count for client in clients) - counted
        return Passed(count, used, whole and all(client.well for client in clients))
    finally:
        for client in clients:
            client.transport.abort()
        await asyncio.sleep(0.2)


def run(made: Coroutine[None, None, Passed]) -> Passed:
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(made)


def sse(pid: int, port: int, seconds: float, streams: int = STREAMS) -> Passed:
    return run(_passed(_Reader, streams, pid, port, seconds))


def websocket(pid: int, port: int, seconds: float) -> Passed:
    return run(_passed(_Echo, ECHOES, pid, port, seconds))
