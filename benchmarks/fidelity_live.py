"""One live run for ``benchmarks.fidelity``: a lab, the sidecar in front of it, and the chats of a scene, at the pace of real time.

    python -m benchmarks.fidelity_live --scene a --side b --calls 2000 --arrivals 1 --turns 2 --lab 3 --journal DIR

A process of its own, with real sockets between client, sidecar and lab. Standard output has one line of JSON: what the clients saw, how
late the load and the event loop were, and what the machine did meanwhile. What was decided is in the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import uvloop

from benchmarks.fidelity_scenes import SCENES, Scene
from benchmarks.parts import quantile
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import resolve
from sidecar.lab.load import ChatRecord, chats_at, poisson
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from sidecar.policy.load import Loaded, parse

URGENT = -10  # niceness, where it is ours to choose: what else the machine does should not be measured
TICK = 0.05  # seconds between two looks at how late the event loop is
ENVIRON = {"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN}


def policy(scene: Scene, side: str) -> Loaded:
    return parse(scene.a if side == "a" else scene.b, f"{scene.key}-{side}.yaml")


class Asked(NamedTuple):
    """``turns`` and ``lab`` are the seeds from which the turns of the scene and what the lab draws follow."""

    scene: Scene
    side: str
    offsets: Sequence[float]
    turns: int
    lab: int
    journal: Path


async def play(asked: Asked) -> dict[str, Any]:
    """Run it, and say how it was."""
    scene, offsets = asked.scene, asked.offsets
    late: list[float] = []
    logging, began, cpu = Logging("error"), time.monotonic(), time.process_time()
    try:
        async with (
            Lab(faults=scene.usual, seed=asked.lab) as lab,
            Sidecar(_settings(lab, policy(scene, asked.side), asked.journal), logging) as sidecar,
            _watched(late),
            _turning(lab, scene.turns(Random(asked.turns), offsets[-1])),
        ):
            records = await chats_at(f"http://{sidecar.serving.listen}", DEFAULT_TOKEN, offsets)
    finally:
        logging.close()
    seconds = time.monotonic() - began
    return {
        **_seen(records, offsets),
        "loop_late_p99": round(quantile(late, 0.99), 4),
        "seconds": round(seconds, 1),
        "cpu": round((time.process_time() - cpu) / seconds, 3),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _settings(lab: Lab, loaded: Loaded, journal: Path) -> Any:
    places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
    flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": str(journal), **places}
    return resolve(flags, read_environment(ENVIRON), ENVIRON, loaded)


@contextlib.asynccontextmanager
async def _turning(lab: Lab, turns: Sequence[tuple[float, tuple[str, ...]]]) -> AsyncIterator[None]:
    """What changes in the lab changes at its time, from now on."""

    async def turn() -> None:
        began = time.perf_counter()
        for at, orders in turns:
            await asyncio.sleep(max(began + at - time.perf_counter(), 0.0))
            for order in orders:
                await lab.order(order)

    async with _task(turn()):
        yield


@contextlib.asynccontextmanager
async def _watched(late: list[float]) -> AsyncIterator[None]:
    """Collects how late the event loop is."""

    async def watch() -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            late.append(time.perf_counter() - due)

    async with _task(watch()):
        yield


@contextlib.asynccontextmanager
async def _task(work: Any) -> AsyncIterator[None]:
    """Until the block ends. What goes wrong in it is raised then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _seen(records: Sequence[ChatRecord], offsets: Sequence[float]) -> dict[str, Any]:
    """What clients saw. Raises SystemExit for a chat without an answer.

    No client leaves, and a sidecar turns one away (503) only if the machine has no time for it; the journal says nothing of that.
    """
    unanswered = Counter(f"{record.status} {record.reason}" for record in records if record.status != 200)
    if unanswered:
        raise SystemExit(f"chats without an answer, by status: {dict(unanswered)}")
    lateness = [record.start - offset for record, offset in zip(records, offsets, strict=True)]
    seconds = [record.seconds for record in records]
    return {
        "calls": len(records),
        "degraded": sum(record.degraded for record in records) / len(records),
        "availability": sum(record.provider in ("switch", "madre") for record in records) / len(records),
        "p50": round(quantile(seconds, 0.5), 6),
        "p95": round(quantile(seconds, 0.95), 6),
        "load_late_p99": round(quantile(lateness, 0.99), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scenes = {scene.key: scene for scene in SCENES}
    parser.add_argument("--scene", choices=scenes, required=True)
    parser.add_argument("--side", choices=("a", "b"), required=True)
    parser.add_argument("--calls", type=int, required=True)
    for name in ("arrivals", "turns", "lab"):
        parser.add_argument(f"--{name}", type=int, metavar="SEED", required=True)
    parser.add_argument("--journal", type=Path, required=True)
    arguments = parser.parse_args()
    scene = scenes[arguments.scene]
    offsets = poisson(arguments.arrivals, scene.rate, arguments.calls)
    with contextlib.suppress(PermissionError):
        os.nice(URGENT)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        said = runner.run(
            play(Asked(scene, arguments.side, offsets, arguments.turns, arguments.lab, arguments.journal))
        )
    print(json.dumps(said))


if __name__ == "__main__":
    main()
