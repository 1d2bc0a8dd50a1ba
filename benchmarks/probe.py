"""Requests at a fixed rate that wait for nobody (an open loop), over connections that are kept, or a new one each."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import NamedTuple, cast

from benchmarks.parts import TOKEN, Running, quantile

SOURCES = 16  # addresses we send from: each has its own 28,000 ports
LOST, TIMED_OUT, UNCONNECTED = -1, -2, -3
DEGRADED = 299  # a 200 of the sidecar's own making


class Outcome(NamedTuple):
    """``status`` is one of the answer, or of the three above; ``start`` and ``seconds`` count from when it was due.

    ``late`` is how long after that we came to it: our own slowness, not the other side's.
    """

    status: int
    start: float
    seconds: float
    late: float


class Connection(asyncio.Protocol):
    """One request at a time; the answer has a length, as all have that we ask for here."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.usable = False
        self._end(LOST)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end:
            lower = head.lower()
            if len(body) >= int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0):
                self._received = b""
                if b"connection: close" in lower:
                    self.usable = False
                self._end(DEGRADED if b'"degraded":true' in body else int(head[9:12]))

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self.usable = False
        self._transport.abort()

    def _end(self, status: int) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(status)


class Probe:
    """Asks one place. ``kept``: connections are used again; else each request has its own.

    Beyond ``most`` requests under way a further one is not sent, and counts as not connected.
    """

    def __init__(self, place: Running, *, kept: bool, patience: float = 10.0, most: int = 2_000) -> None:
        self._place = place
        self._kept = kept
        self._patience = patience
        self._most = most
        self._busy = 0
        self._idle: list[Connection] = []
        self._numbers = itertools.count()

    def chat(self) -> bytes:
        body = json.dumps({"message": "hola", "session_id": f"probe-{id(self)}-{next(self._numbers)}"}).encode()
        return (
            f"POST /operator/api/chat HTTP/1.1\r\nHost: {self._place.address}\r\nX-VX11-Token: {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def relayed(self) -> bytes:
        return f"GET /operator/api/status HTTP/1.1\r\nHost: {self._place.address}\r\n\r\n".encode()

    async def at(self, rate: float, seconds: float, kinds: str = "chat") -> list[Outcome]:
        """``rate`` requests a second, of each of the ``kinds`` in turn; all outcomes, in the order in which they were due."""
        makes = itertools.cycle([getattr(self, kind) for kind in kinds.split()])
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[Outcome]] = []
        began = time.perf_counter()
        for number in range(round(rate * seconds)):
            due = began + number / rate
            ahead = due - time.perf_counter()
            if ahead > 0.001 or not number % 32:
                await asyncio.sleep(max(ahead, 0.0))
            tasks.append(loop.create_task(self._one(next(makes)(), began, due)))
        return list(await asyncio.gather(*tasks))

    async def _one(self, request: bytes, began: float, due: float) -> Outcome:
        status = UNCONNECTED
        connection = None
        late = time.perf_counter() - due
        if self._busy >= self._most:
            return Outcome(status, due - began, late, late)
        self._busy += 1
        try:
            async with asyncio.timeout(self._patience):
                connection = self._take() or await self._connect()
                status = TIMED_OUT
                status = await connection.ask(request)
        except (OSError, TimeoutError):
            pass
        finally:
            self._busy -= 1
        if connection is not None:
            if self._kept and status > 0 and connection.usable:
                self._idle.append(connection)
            else:
                connection.close()
        return Outcome(status, due - began, time.perf_counter() - due, late)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        source = (f"127.0.0.{1 + next(self._numbers) % SOURCES}", 0)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(Connection, self._place.host, self._place.port, local_addr=source)
        return made

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class Told(NamedTuple):
    """What became of requests: counts, and the quantiles of those answered and of those shed, in seconds.

    ``degraded`` are among the answered.
    ``unsent`` were beyond what the load has connections for, or found none; ``late`` is the load's own p99.
    """

    asked: int
    answered: int
    degraded: int
    shed: int
    errors: int
    unsent: int
    median: float
    high: float
    shed_high: float
    late: float

    @property
    def share(self) -> float:
        return self.answered / self.asked if self.asked else 1.0


def told(outcomes: list[Outcome]) -> Told:
    answered = [each.seconds for each in outcomes if each.status in (200, DEGRADED)]
    shed = [each.seconds for each in outcomes if each.status == 503]
    unsent = sum(each.status == UNCONNECTED for each in outcomes)
    return Told(
        asked=len(outcomes),
        answered=len(answered),
        degraded=sum(each.status == DEGRADED for each in outcomes),
        shed=len(shed),
        errors=len(outcomes) - len(answered) - len(shed) - unsent,
        unsent=unsent,
        median=quantile(answered, 0.5) if answered else 0.0,
        high=quantile(answered, 0.99) if answered else 0.0,
        shed_high=quantile(shed, 0.99) if shed else 0.0,
        late=quantile([each.late for each in outcomes], 0.99) if outcomes else 0.0,
    )
