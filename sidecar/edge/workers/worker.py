"""One worker: a whole sidecar on sockets that it shares, at the other end of its supervisor's pipes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import orjson

from sidecar.edge.admin.colleagues import Colleagues
from sidecar.edge.app import OWN, Sidecar
from sidecar.edge.environment import UnusableEnvironmentError, read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.process import Leave, Stop, as_reached, raise_descriptor_limit
from sidecar.edge.runtime import Read
from sidecar.edge.settings import Address, Settings
from sidecar.edge.workers.assignment import Assignment

SIGN = 1.0  # seconds between two signs of life


async def work(settings: Settings, logging_: Logging, read: Read, leave: Leave, assignment: Assignment) -> None:
    """Serve until told to stop, or until the supervisor is gone. Raises OSError and ValueError."""
    raise_descriptor_limit()
    stop = Stop(leave)
    listeners = assignment.listeners()
    own, others = parted(listeners.data, assignment.own())
    listeners = listeners._replace(data=own)
    colleagues = Colleagues(assignment.number)
    sidecar = Sidecar(as_reached(settings, listeners), logging_, read, listeners, colleagues)
    async with sidecar:
        sidecar.started_before(assignment.starts)
        async with Link(sidecar, stop, colleagues, assignment, others):
            say({"event": "ready", "desk": sidecar.own.port})
            logging_.log.info("ready", listen=str(sidecar.serving.listen), admin=str(sidecar.serving.admin))
            await stop.first.wait()
            for sock in others.values():
                sock.close()
            await stop.drain(sidecar)


Sockets = dict[int, socket.socket]


def parted(sockets: Sequence[socket.socket], own: frozenset[int]) -> tuple[tuple[socket.socket, ...], Sockets]:
    """Those of ours, and those of others by their place."""
    others = {place: sock for place, sock in enumerate(sockets) if place not in own}
    return tuple(sock for place, sock in enumerate(sockets) if place in own), others


class Link:
    """The supervisor's words on standard input, and signs of life on standard output, while inside."""

    def __init__(
        self, sidecar: Sidecar, stop: Stop, colleagues: Colleagues, assignment: Assignment, others: Sockets
    ) -> None:
        """``others`` are the sockets of colleagues."""
        self._sidecar = sidecar
        self._stop = stop
        self._colleagues = colleagues
        self._assignment = assignment
        self._others = others
        # Then colleagues serve already, and an operator may have ordered something of them.
        self._late = assignment.starts > 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        os.set_blocking(sys.stdout.fileno(), False)  # a supervisor that hangs must not hold us up
        self._tasks = [loop.create_task(self._listen(reader)), loop.create_task(_live())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._transport.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                await self._hear(orjson.loads(line))
        finally:  # whoever is told nothing any more is not wanted
            self._stop.leave()

    async def _hear(self, told: Mapping[str, Any]) -> None:
        match told["event"]:
            case "colleagues":
                desks = {int(number): Address(OWN, port) for number, port in told["desks"].items()}
                self._colleagues.desks, self._colleagues.workers = desks, self._assignment.workers
                orphans = self._assignment.orphans(tuple(desks))
                if not self._stop.first.is_set():
                    await self._sidecar.adopt({place: self._others[place] for place in orphans})
                if self._late:
                    self._late = False
                    self._sidecar.catch_up(_token())
            case "reload":
                self._sidecar.reload()
            case "leave":
                {"drain": self._stop.leave, "relieved": self._stop.relieve, "cut": self._stop.cut}[told["how"]]()


def _token() -> str | None:
    try:
        return read_environment(os.environ).admin_token
    except UnusableEnvironmentError:
        return None


async def _live() -> None:
    while True:
        await asyncio.sleep(SIGN)
        say({"event": "alive"})


def say(event: Mapping[str, object]) -> None:
    """A line to the supervisor; lost if it does not read."""
    with suppress(OSError):
        os.write(sys.stdout.fileno(), orjson.dumps(event) + b"\n")
