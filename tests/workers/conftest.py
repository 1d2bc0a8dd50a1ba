"""A lab, and sidecars of several workers in front of it, all in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.zero_loss import ENVIRON, GENEROUS, Load, Process, services_of

TOKEN = ENVIRON["VX11_TENTACULO_LINK_TOKEN"]
ADMIN = {"X-VX11-Admin-Token": ENVIRON["VX11_SIDECAR_ADMIN_TOKEN"]}


class Crew:
    """A sidecar with workers, as a client and an operator see it."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def load(self) -> Load:
        return Load(int(self.process.said["listen"].rpartition(":")[2]), TOKEN)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        return await asyncio.to_thread(self._ask, method, path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.process.said['admin']}{path}", data, ADMIN, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as got:
                status, text = got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        return status, json.loads(text) if text.startswith("{") else text

    async def state(self) -> dict[str, Any]:
        return (await self.ask("GET", "/state"))[1]

    async def pids(self) -> dict[int, int]:
        return {worker["worker"]: worker["pid"] for worker in (await self.state())["workers"]}

    async def counted(self, name: str, **labels: str) -> dict[str, float]:
        """A metric by worker, summed over its other labels."""
        _, text = await self.ask("GET", "/metrics")
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"vx11_sidecar_{name}" and labels.items() <= sample.labels.items():
                    found[sample.labels["worker"]] = found.get(sample.labels["worker"], 0) + sample.value
        return found

    async def until(self, so: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> float:
        """How long it took until ``so``."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while not await so():  # noqa: ASYNC110 - to ask is all there is
                await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def complete(self, workers: int) -> float:
        """Until so many serve."""

        async def so() -> bool:
            return len(await self.pids()) == workers

        return await self.until(so)

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="session")
def alive() -> Callable[[int], bool]:
    def there(pid: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False

    return there


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Crew]]]:
    """Starts sidecars in front of one lab; whatever is left of them at the end is killed."""
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    lab = await Process.start("lab", *free, "--control", "0", log=tmp_path / "lab.log")
    started: list[Process] = []
    policy = tmp_path / "policy.yaml"
    policy.write_text(GENEROUS)

    async def start(workers: int = 2, *flags: str) -> Crew:
        log = tmp_path / f"sidecar-{len(started)}.log"
        services = await asyncio.to_thread(services_of, lab.said["control"])
        places = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", services[name]["url"])]
        common = ("--workers", str(workers), "--policy", str(policy), "--grace", "2s")
        process = await Process.start("serve", *free, *places, *common, *flags, log=log)
        started.append(process)
        return Crew(process, log)

    try:
        yield start
    finally:
        for process in (
            started
        ):  # workers first: one that still asked for madre's power state would meet whoever gets the lab's port next
            await _leave(process)
        await lab.end()


async def _leave(process: Process) -> None:
    """Until nothing of it is left."""
    try:
        with contextlib.suppress(ProcessLookupError):
            process.signal(signal.SIGTERM)
        await process.ended()
    finally:
        await process.end()
