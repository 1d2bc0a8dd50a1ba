"""Who takes part: targets that do what they are told to, the sidecar in a process of its own, and the ways to look at it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults.target import Target
from benchmarks.parts import ROOT, TOKEN
from benchmarks.policies.client import Client
from benchmarks.policies.stage import ADMIN_TOKEN, ENDS, READY, session
from benchmarks.proc import descriptors, rss, seconds

BASE = """\
deadline: {client: 2s, margin: 250ms}
guards: {rate_limit: 100000 per 1s, anonymous_rate_limit: 100000 per 1s}
timeouts: {connect: 200ms, attempt: %(attempt)s}
targets:
  - {name: switch, limiter: %(limiter)s}
  - {name: madre, reserve: 600ms, limiter: {max_concurrent: 64, queue: 32}}
  - {name: local}
dormant: {mode: ignore}
health: {mode: probe}
idempotency: {mode: "on", ttl: 60s}
journal: {max_file: 4MiB, keep: 4}
"""
SLOTS = "{max_concurrent: 64, queue: 32}"
POLICIES = (
    BASE % {"attempt": "500ms", "limiter": SLOTS},
    BASE % {"attempt": "400ms", "limiter": SLOTS},
    BASE % {"attempt": "500ms", "limiter": "{max_concurrent: 64, queue: 32, adaptive: gradient, slow_start: 3s}"},
    BASE % {"attempt": "500ms", "limiter": SLOTS} + "affinity: {stick: 20s}\n",
)
NO_POLICY = "deadline: {client: soon}\n"
DEADLINE = 2.0  # seconds: what every one of them gives the client
JOURNAL = 5 * 4.0  # MiB at most: four closed files and the open one


class Seen(NamedTuple):
    """The process at one moment. ``memory`` and ``journal`` in MiB, ``used`` in seconds of processor time."""

    memory: float
    descriptors: int
    used: float
    tasks: int
    timers: int
    objects: int
    under_way: int
    held: int
    """Slots, places in queues and permits."""
    journal: float


class Town:
    """As it stands: ``targets`` by role, ``policy`` is the file in force, ``told`` what the sidecar writes of itself."""

    def __init__(self, targets: dict[str, Target], said: dict[str, Any], pid: int, directory: Path) -> None:
        self.targets = targets
        self.url = f"http://{said['listen']}"
        self.admin = f"http://{said['admin']}"
        self.pid = pid
        self.policy = directory / "policy.yaml"
        self.journal = directory / "journal"
        self._looks = directory / "looks.jsonl"

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with session() as connections:
            yield Client(connections, self.url, TOKEN)

    async def order(self, path: str, **body: Any) -> int:
        async with self.client() as client:
            return await client.order(self.admin + path, {"X-VX11-Admin-Token": ADMIN_TOKEN}, body)

    async def state(self) -> dict[str, Any]:
        async with self.client() as client:
            return json.loads(await client.fetch("GET", self.admin + "/state"))  # type: ignore[no-any-return]

    async def metrics(self) -> str:
        async with self.client() as client:
            return (await client.fetch("GET", self.admin + "/metrics")).decode()

    async def look(self) -> Seen:
        state = await self.state()
        inside = json.loads(self._looks.read_text("utf-8").splitlines()[-1])
        journal = sum(file.stat().st_size for file in self.journal.iterdir()) / (1 << 20)
        return Seen(
            rss(self.pid),
            descriptors(self.pid),
            seconds(self.pid),
            inside["tasks"],
            inside["timers"],
            inside["objects"],
            sum(state["under_way"].values()),
            sum(held(target) for target in state["targets"].values()),
            journal,
        )


def held(target: dict[str, Any]) -> int:
    """What chats hold of a target, by its part of ``/state``."""
    limiter = target["limiter"]
    return int(limiter["in_flight"][0] + limiter["queued"][0] + target["breaker"]["permits_out"])


@contextlib.asynccontextmanager
async def town(directory: Path, every: float) -> AsyncIterator[Town]:
    """``every`` so many seconds the process looks at itself. All of it ends with the block."""
    (directory / "policy.yaml").write_text(POLICIES[0], "utf-8")
    async with Target("switch") as switch, Target("madre") as madre, Target("gateway") as gateway:
        targets = {"switch": switch, "madre": madre, "gateway": gateway}
        places = [f"--{name}=127.0.0.1:{target.port}" for name, target in targets.items()]
        flags = ["--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--policy", str(directory / "policy.yaml")]
        watched = ["-m", "benchmarks.endurance.watched", str(every), str(directory / "looks.jsonl"), "serve"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "API_TOKEN"))}
        environ = kept | {"VX11_TENTACULO_LINK_TOKEN": TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN_TOKEN}
        with (directory / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *watched, *places, *flags, "--journal", str(directory / "journal"),
                cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), READY)
            if not line:
                raise RuntimeError(f"did not start: {(directory / 'log').read_text('utf-8')[-300:]}")
            yield Town(targets, json.loads(line), process.pid, directory)
        finally:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), ENDS)
            if process.returncode is None:
                process.kill()
                await process.wait()
