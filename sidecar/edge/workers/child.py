"""One worker as its supervisor sees it: a process, what it says, and what it is told."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import orjson

from sidecar.edge.workers.assignment import Assignment

START = 60.0  # seconds that a worker may take to serve
SILENCE = 30.0  # seconds without a sign of life after which a worker counts as hung
LONGEST_LINE = 64 * 1024

Words = Mapping[str, object]


class Child:
    """Made by ``start``. What cannot be told to a worker that is ending is not told."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.desk: int | None = None
        """The port on loopback where it can be asked about itself alone; None before it serves."""

    @classmethod
    async def start(cls, command: Sequence[str], assignment: Assignment) -> Self:
        """Raises OSError."""
        environ = {name: value for name, value in os.environ.items() if name not in _OF_THE_SERVICE}
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                env=environ | assignment.told(),
                pass_fds=(*assignment.data, *assignment.admin),
                limit=LONGEST_LINE,
                start_new_session=True,  # what a terminal asks of the supervisor is not asked of everybody
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def said(self) -> AsyncIterator[dict[str, Any]]:
        """Everything it says but signs of life, until it ends. One that hangs is killed."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        patience = START
        while True:
            try:
                async with asyncio.timeout(patience):
                    line = await self._process.stdout.readline()
            except TimeoutError:
                self.kill()
                continue
            if not line:
                return
            told = _read(line)
            if told.get("event") == "ready":
                patience, self.desk = SILENCE, told["desk"]
            if told and told["event"] != "alive":
                yield told

    def tell(self, words: Words) -> None:
        stream = self._process.stdin
        if stream is not None and not stream.is_closing():
            with suppress(OSError, RuntimeError):
                stream.write(orjson.dumps(words) + b"\n")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Its exit code, once it has one; that of a signal is negative."""
        return await self._process.wait()


def _read(line: bytes) -> dict[str, Any]:
    """Nothing, for what is no word of a worker: a library may print."""
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) and "event" in told else {}


# What a service manager said to the supervisor: a worker that answered would be taken for it.
_OF_THE_SERVICE = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
)
