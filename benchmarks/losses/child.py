"""``sidecar serve`` as a process of its own: started in front of whatever plays VX11, asked, listened to, and ended with the block."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.parts import ROOT
from benchmarks.policies.client import Client
from benchmarks.policies.scrape import Scrape
from benchmarks.policies.stage import ADMIN_TOKEN, session
from sidecar.lab.town import DEFAULT_TOKEN

READY = 20.0  # seconds
ENDS = 15.0  # seconds
PORTS = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
_OWN = {"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN_TOKEN}


class Process:
    """A process that says in a line of JSON that it is ready; ``said`` is that line, ``log`` what it says on standard error meanwhile."""

    def __init__(
        self, process: asyncio.subprocess.Process, said: Mapping[str, Any], seconds: float, log: bytearray
    ) -> None:
        self._process = process
        self.said = said
        self.log = log
        self.started_in = seconds

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self._process.wait()


@contextlib.asynccontextmanager
async def started(
    *command: str, environ: Mapping[str, str] | None = None, errors: int | None = None
) -> AsyncIterator[Process]:
    """From its start to its end, however the block ends. ``errors`` becomes its standard error, which otherwise is read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "API_TOKEN"))}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=kept | _OWN | dict(environ or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if errors is None else errors,
    )
    log = bytearray()
    reading = asyncio.create_task(_read(process.stderr, log))
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), READY)
        if not line:
            await reading
            raise RuntimeError(f"did not start, exit code {await process.wait()}: {' '.join(command)}: {log.decode()}")
        yield Process(process, json.loads(line), time.perf_counter() - began, log)
    finally:
        if process.returncode is None:
            await _end(process)
        await reading


async def _read(stream: asyncio.StreamReader | None, into: bytearray) -> None:
    while stream is not None and (piece := await stream.read(65536)):
        into += piece


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asked first, and made to if it does not."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)  # who is stopped hears nothing
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), ENDS)
    except TimeoutError:
        process.kill()
        await process.wait()


class Child:
    """The sidecar that is tried."""

    def __init__(self, process: Process, connections: aiohttp.ClientSession) -> None:
        self.process = process
        self.client = Client(connections, f"http://{process.said['listen']}", DEFAULT_TOKEN)
        self.listen: str = process.said["listen"]
        self.admin = f"http://{process.said['admin']}"
        self._connections = connections

    @property
    def pid(self) -> int:
        return self.process.pid

    async def scrape(self) -> Scrape:
        return Scrape((await self.client.fetch("GET", self.admin + "/metrics")).decode())

    async def state(self) -> dict[str, Any]:
        return json.loads(await self.client.fetch("GET", self.admin + "/state"))  # type: ignore[no-any-return]

    async def order(self, path: str, **body: Any) -> int:
        return await self.client.order(self.admin + path, {"X-VX11-Admin-Token": ADMIN_TOKEN}, body)

    async def get(self, path: str) -> int:
        """Something that is relayed; its status, 0 where no answer came."""
        limit = aiohttp.ClientTimeout(total=40)
        try:
            async with self._connections.get(f"http://{self.listen}{path}", timeout=limit) as answer:
                await answer.read()
                return answer.status
        except (TimeoutError, aiohttp.ClientError):
            return 0

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it said on standard error so far, or of one event."""
        whole = bytes(self.process.log).rpartition(b"\n")[0].splitlines()
        said = [json.loads(line) for line in whole]
        return [line for line in said if event is None or line["event"] == event]


@contextlib.asynccontextmanager
async def serving(
    where: Path,
    places: Mapping[str, str],
    *flags: str,
    policy: str | Path = "",
    prefix: Sequence[str] = (),
    program: Sequence[str] = ("-m", "sidecar"),
    environ: Mapping[str, str] | None = None,
    errors: int | None = None,
) -> AsyncIterator[Child]:
    """A sidecar in front of ``places``, by name. ``policy`` is a text, which is put into ``where``, or where one is.

    ``prefix`` becomes the process, as nice does.
    """
    if isinstance(policy, str):
        (where / "policy.yaml").write_text(policy, encoding="utf-8")
        policy = where / "policy.yaml"
    at = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", places[name])]
    command = (*prefix, sys.executable, *program, "serve", *PORTS, *at, "--policy", str(policy), *flags)
    async with started(*command, environ=environ, errors=errors) as process, session() as connections:
        yield Child(process, connections)


@contextlib.asynccontextmanager
async def town(*flags: str) -> AsyncIterator[Process]:
    """The lab in a process of its own, so that it can be killed; ``said`` has the addresses of its services."""
    command = ("-m", "sidecar", "lab", "--only-services", "--control", "0", *flags)
    async with started(sys.executable, *command, errors=asyncio.subprocess.DEVNULL) as process:
        yield process
