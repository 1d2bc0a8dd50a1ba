"""A setting live: real sidecars in this process, real sockets, real seconds.

They share an event loop with the load and the targets, as the drills ask little of a machine: what is measured is who answers and when
a breaker moves, and not how fast a machine is. Each has ports, connections, a seed and a state of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import aiohttp
import uvloop

from benchmarks.outages.notes import Notes
from benchmarks.outages.server import Server
from benchmarks.outages.setting import Chat, Coming, Run, Setting
from benchmarks.outages.upstream import Upstream
from benchmarks.policies.client import Client
from benchmarks.policies.stage import session
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import Environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.runtime import now
from sidecar.edge.settings import resolve

TOKEN = "outage-drill-token"
NOBODY = "127.0.0.1:9"  # the gateway: nothing is relayed
WAITS = 15.0  # seconds that a client waits, to see how late an answer is
SETTLES = 15.0  # seconds until nothing is under way, at most
STARTS = 0.5  # seconds between the last sidecar that serves and the begin of the drill


class Replica(NamedTuple):
    client: Client
    admin: str
    notes: Notes


async def play(setting: Setting, seed: int, logging: Logging) -> Run:
    """To the end of every chat. Raises OSError for a port that cannot be had, TimeoutError where chats do not end."""
    zero = now() + 3600.0  # until everybody serves: nothing befalls anybody before the drill begins

    def time() -> float:
        return now() - zero

    coming = setting.coming(seed)
    switch, madre = Upstream(setting.switch, setting.trouble, seed), Upstream(setting.madre, None, ~seed)
    async with (
        Server("switch", switch, time) as first,
        Server("madre", madre, time) as second,
        session() as connections,
    ):
        places = {"switch": first.place, "madre": second.place, "gateway": NOBODY}
        async with contextlib.AsyncExitStack() as stack:
            replicas = [
                await stack.enter_async_context(_standing(setting, places, number, connections, logging))
                for number in range(setting.replicas)
            ]
            zero = now() + STARTS
            for replica in replicas:
                replica.notes.zero = zero
            following = asyncio.gather(first.follow(), second.follow())
            chats = await _load(replicas, coming, zero)
            await following
            left = [held for replica in replicas for held in await _held(connections, replica.admin)]
    notes = [replica.notes for replica in replicas]
    return Run(
        setting,
        "live",
        seed,
        chats,
        sorted(asked for note in notes for asked in note.asked),
        sorted(move for note in notes for move in note.moves),
        switch.sent,
        left,
    )


@contextlib.asynccontextmanager
async def _standing(
    setting: Setting, places: dict[str, str], number: int, connections: aiohttp.ClientSession, logging: Logging
) -> AsyncIterator[Replica]:
    said = Environment(TOKEN, frozenset({TOKEN}), None, None, None, None, None)
    flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": None, **places}
    notes = Notes(number)
    sidecar = Sidecar(resolve(flags, said, {}, setting.policy), logging)
    sidecar._runtime.emit.add(notes)  # noqa: SLF001 - one more sink: it is told what metrics and log are told
    async with sidecar:
        client = Client(connections, f"http://{sidecar.serving.listen}", TOKEN)
        yield Replica(client, f"http://{sidecar.serving.admin}", notes)


async def _load(replicas: Sequence[Replica], coming: Sequence[Coming], zero: float) -> list[Chat]:
    """A chat at each moment, whatever became of those before it."""
    tasks = []
    async with asyncio.TaskGroup() as group:
        for each in coming:
            await asyncio.sleep(max(zero + each.at - now(), 0.0))
            tasks.append(group.create_task(_chat(replicas[each.replica].client, each, now() - zero - each.at)))
    return [task.result() for task in tasks]


async def _chat(client: Client, coming: Coming, late: float) -> Chat:
    got = await client.chat(str(coming.number), session=f"drill-{coming.number}", patience=WAITS)
    if got.status != 200:
        return Chat(*coming, got.seconds, "", got.trouble or f"HTTP {got.status}", late)
    return Chat(*coming, got.seconds, got.provider, got.reason, late)


async def _held(connections: aiohttp.ClientSession, admin: str) -> list[str]:
    """What chats that are over have not given back, once none is under way."""
    async with asyncio.timeout(SETTLES):
        while (state := await _state(connections, admin))["under_way"]["chat"]:  # noqa: ASYNC110 - to ask is all there is
            await asyncio.sleep(0.05)
    targets = state["targets"].items()
    held = ((name, each["limiter"]["in_flight"][0], each["breaker"]["permits_out"]) for name, each in targets)
    return [f"{name} keeps {slots} slots, {permits} permits" for name, slots, permits in held if slots or permits]


async def _state(connections: aiohttp.ClientSession, admin: str) -> Any:
    async with connections.get(admin + "/state") as answer:
        return json.loads(await answer.read())


async def _played(settings: Sequence[Setting], seed: int, *, together: bool) -> list[Run]:
    logging = Logging("error", libraries=False)
    try:
        if together:
            return list(await asyncio.gather(*(play(setting, seed, logging) for setting in settings)))
        return [await play(setting, seed, logging) for setting in settings]
    finally:
        logging.close()


def play_all(settings: Sequence[Setting], seed: int, *, together: bool = True) -> list[Run]:
    """All of them, each with sidecars and targets of its own, on an event loop as the sidecar's. Raises as ``play`` does."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_played(settings, seed, together=together))
