"""Where a scene is played: a lab of its own, and ``sidecar serve`` in a process of its own in front of it, both on free loopback ports.

Whatever is started here ends with the block, however that ends; nothing else is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import aiohttp

from benchmarks.parts import ROOT
from benchmarks.policies.client import Chat, Client
from benchmarks.policies.scrape import Scrape
from sidecar.lab.load import poisson
from sidecar.lab.town import DEFAULT_TOKEN, Lab

ADMIN_TOKEN = "bench-admin-token"
READY = 20.0  # seconds until it serves
ENDS = 15.0  # seconds until it has ended, after it was told to
LONGEST = 120.0  # seconds of one run: no scene takes a half of that


class Setting(NamedTuple):
    """What a run is played with. ``brief``: a few calls, for a test."""

    policy: str
    faults: tuple[str, ...]
    seed: int
    brief: bool = False
    flags: tuple[str, ...] = ()
    redis: str = ""


class Stage:
    def __init__(self, lab: Lab, client: Client, admin: str, setting: Setting) -> None:
        self.lab = lab
        self.client = client
        self.brief = setting.brief
        self.seed = setting.seed
        self.random = Random(setting.seed)
        self._admin = admin

    def calls(self, usual: int, brief: int) -> int:
        return brief if self.brief else usual

    def arrivals(self, rate: float, count: int) -> list[float]:
        """A Poisson process of this run's seed, in seconds from 0."""
        return poisson(self.seed, rate, count)

    async def chats(self, offsets: Sequence[float], **sent: Any) -> list[Chat]:
        """A chat at each of ``offsets`` seconds from now, whatever becomes of the others; in that order."""
        return await self.client.at(offsets, **sent)

    async def scrape(self, *, now: bool = False) -> Scrape:
        """The sidecar's own metrics. They follow the answers: unless it shall be ``now``, it waits until nothing is under way."""
        async with asyncio.timeout(READY):
            while True:
                found = Scrape((await self.client.fetch("GET", self._admin + "/metrics")).decode())
                if now or not found.total("inflight_requests", kind="chat"):
                    return found
                await asyncio.sleep(0.02)

    async def state(self) -> dict[str, Any]:
        return json.loads(await self.client.fetch("GET", self._admin + "/state"))  # type: ignore[no-any-return]

    async def order(self, path: str, **body: Any) -> int:
        """An order to the admin port; the status says what came of it."""
        return await self.client.order(self._admin + path, {"X-VX11-Admin-Token": ADMIN_TOKEN}, body)


@contextlib.asynccontextmanager
async def stage(setting: Setting) -> AsyncIterator[Stage]:
    async with (
        asyncio.timeout(LONGEST),
        Lab(faults=setting.faults, seed=setting.seed) as lab,
        served(lab, setting) as said,
        session() as connections,
    ):
        client = Client(connections, f"http://{said['listen']}", DEFAULT_TOKEN)
        yield Stage(lab, client, f"http://{said['admin']}", setting)


@contextlib.asynccontextmanager
async def served(lab: Lab, setting: Setting) -> AsyncIterator[Mapping[str, Any]]:
    """``python -m sidecar serve`` in front of ``lab``; what it says when it is ready, and its ``pid``."""
    with tempfile.TemporaryDirectory() as where:
        policy = Path(where) / "policy.yaml"
        policy.write_text(setting.policy, encoding="utf-8")
        places = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", lab.urls[name])]
        ports = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        command = ("-m", "sidecar", "serve", *ports, *places, "--policy", str(policy), "--log-level", "error")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, *setting.flags, cwd=ROOT, env=_environ(setting), stdout=asyncio.subprocess.PIPE
        )
        try:
            yield {**await asyncio.wait_for(_ready(process), READY), "pid": process.pid}
        finally:
            await _end(process)


def _environ(setting: Setting) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "API_TOKEN"))}
    own = {"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN_TOKEN}
    return kept | own | ({"VX11_SIDECAR_REDIS_URL": setting.redis} if setting.redis else {})


async def _ready(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(
            f"the sidecar did not start (exit code {await process.wait()}); it says why on standard error"
        )
    return json.loads(line)  # type: ignore[no-any-return]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asked first, and made to if it does not."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), ENDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def session() -> aiohttp.ClientSession:
    """No limit of its own, and connections are given up before the other side does."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
