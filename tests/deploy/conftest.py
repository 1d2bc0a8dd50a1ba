"""A lab in a process of its own, and where its services are."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.zero_loss import GENEROUS, Process


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The flags that put a sidecar in front of a lab, with a policy that lets a load through."""
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--control", "0")
    lab = await Process.start("lab", *free, log=tmp_path / "lab.log")
    try:
        services = await asyncio.to_thread(_services, lab.said["control"])
        policy = tmp_path / "policy.yaml"
        policy.write_text(GENEROUS)
        flags = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", services[name]["url"])]
        yield [*flags, "--policy", str(policy), "--log-level", "warning"]
    finally:
        await lab.end()


def _services(control: str) -> dict[str, dict[str, str]]:
    with urllib.request.urlopen(control + "/") as answer:  # loopback
        found: dict[str, dict[str, str]] = json.load(answer)["services"]
    return found
