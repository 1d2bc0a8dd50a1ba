"""Real sidecars in front of real sockets that misbehave: each run has a sidecar and two targets of its own, and draws what it sends.

Runs share this process, many at a time, and the event loop is asyncio's own: that one asks Python for names, so that a name can be unknown
for a while. What a run is judged by: every answer within the deadline and as ``model`` says; nothing sent twice; breakers as they must
be; no slot, no permit and no chat left; and when all have ended, as many descriptors open as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from benchmarks.faults.catalogue import Comes, Fault
from benchmarks.faults.model import Model, Must
from benchmarks.faults.target import Manner, Target, well
from benchmarks.faults.virtual import PATIENCE, policy
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import Environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import resolve

TOKEN = "fault-suite-token"
MOST_CHATS = 6
AT_ONCE = 24  # runs
SLACK = 0.25  # seconds beyond the deadline at which an answer must be here: the machine is busy with the other runs
DESCRIPTORS = Path("/proc/self/fd")
LOOPBACK = ".faults.test"  # names that are this machine's


class Run(NamedTuple):
    """What came of one. ``slowest`` is the answer that took longest, in seconds."""

    wrong: list[str]
    chats: int
    answered_by: Counter[str]
    reasons: Counter[str]
    attempts: int
    slowest: float


class Names:
    """Host names of the suite, and which of them nobody knows now. Put into the running loop."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        loop = asyncio.get_running_loop()
        self._real = loop.getaddrinfo
        loop.getaddrinfo = self._found  # type: ignore[method-assign]

    async def _found(self, host: Any, port: Any, **options: Any) -> Any:
        if str(host).endswith(LOOPBACK):
            if host in self.unknown:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return await self._real(host, port, **options)


class Faulty:
    """A target that shows a fault, chat by chat: what of it concerns listening and names is set before each chat."""

    def __init__(self, target: Target, fault: Fault, names: Names) -> None:
        self.name = f"{target.role}-{uuid.uuid4().hex}{LOOPBACK}"
        self._target = target
        self._fault = fault
        self._names = names
        self._passed = 0  # attempts that never reached the target
        target.turn = self._turn

    def _turn(self, number: int) -> Manner:
        return self._fault.comes(number + self._passed).manner or well

    async def prepare(self, asked: int) -> None:
        """For the chat that follows ``asked`` attempts. Both attempts of a chat meet the same, where they are not sent."""
        comes: Comes = self._fault.comes(asked)
        self._passed = asked - len(self._target.asked)
        (self._names.unknown.add if comes.dns else self._names.unknown.discard)(self.name)
        if comes.manner is None and not comes.dns:
            await self._target.shut()
        else:
            await self._target.open()


class Town(NamedTuple):
    targets: Mapping[str, Target]
    faulty: Mapping[str, Faulty]
    url: str
    admin: str
    client: aiohttp.ClientSession

    async def chat(self, text: str, patience: float | None = None) -> tuple[Must, float]:
        """What came, and after how many seconds. An answer that is no 200 is told by its status."""
        began = time.perf_counter()
        limit = aiohttp.ClientTimeout(total=patience or 10)
        fields, said = {"X-VX11-Token": TOKEN}, {"message": text, "session_id": str(uuid.uuid4())}
        try:
            async with self.client.post(self.url, json=said, headers=fields, timeout=limit) as answer:
                told = await answer.json()
                must = Must(str(told.get("provider")), bool(told.get("degraded")), told.get("reason") or "")
                return (
                    must if answer.status == 200 else Must(str(answer.status), degraded=True, reason="")
                ), time.perf_counter() - began
        except (TimeoutError, aiohttp.ClientError) as error:
            return Must("nobody", degraded=True, reason=type(error).__name__), time.perf_counter() - began

    async def state(self) -> dict[str, Any]:
        async with self.client.get(self.admin + "/state") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def settled(self) -> dict[str, Any]:
        """The state, once no chat is under way."""
        async with asyncio.timeout(10):
            while (state := await self.state())["under_way"]["chat"]:  # noqa: ASYNC110 - to ask is all there is
                await asyncio.sleep(0.02)
        return state

    async def attempts(self) -> Counter[str]:
        """By target, as the sidecar counts them."""
        async with self.client.get(self.admin + "/metrics") as answer:
            text = await answer.text()
        found: Counter[str] = Counter()
        for line in text.splitlines():
            if line.startswith("vx11_sidecar_upstream_attempts_total{"):
                found[line.partition('target="')[2].partition('"')[0]] += round(float(line.rpartition(" ")[2]))
        return found


@contextlib.asynccontextmanager
async def town(faults: Mapping[str, Fault], names: Names, logging: Logging) -> AsyncIterator[Town]:
    said = Environment(TOKEN, frozenset({TOKEN}), None, None, None, None, None)
    async with Target("switch") as switch, Target("madre") as madre, aiohttp.ClientSession() as client:
        targets = {"switch": switch, "madre": madre}
        faulty = {name: Faulty(target, faults[name], names) for name, target in targets.items()}
        places = {name: f"{each.name}:{targets[name].port}" for name, each in faulty.items()}
        flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": None, "gateway": "127.0.0.1:9", **places}
        async with Sidecar(resolve(flags, said, {}, policy()), logging) as sidecar:
            url = f"http://{sidecar.serving.listen}/operator/api/chat"
            yield Town(targets, faulty, url, f"http://{sidecar.serving.admin}", client)


async def play(faults: Mapping[str, Fault], seed: int, names: Names, logging: Logging) -> Run:
    luck = random.Random(f"{seed} {[fault.name for fault in faults.values()]}")
    async with town(faults, names, logging) as at:
        if faults["switch"].leaves is not None:
            return await _left(at, faults["switch"].leaves, luck)
        if faults["switch"].at_once > 1:
            return await _together(at, faults["switch"].at_once, luck)
        return await _in_turn(at, Model(faults), luck)


async def _in_turn(at: Town, model: Model, luck: random.Random) -> Run:
    wrong: list[str] = []
    told, reasons, slowest = Counter[str](), Counter[str](), 0.0
    count, began = luck.randint(1, MOST_CHATS), time.perf_counter()
    for number in range(1, count + 1):
        if time.perf_counter() - began > 3.0:  # a breaker may be half-open soon, and that is another question
            break
        for name, faulty in at.faulty.items():
            await faulty.prepare(model.asked[name])
        must = model.chat()
        got, seconds = await at.chat(_text(luck))
        told[got.provider] += 1
        reasons[got.reason] += 1
        slowest = max(slowest, seconds)
        if got != must:
            wrong.append(f"chat {number}: {got} where {must} was due")
        if seconds > PATIENCE + SLACK:
            wrong.append(f"chat {number} took {seconds:.2f} s")
        await asyncio.sleep(luck.uniform(0.0, 0.02))
    state = await at.settled()
    attempts = await at.attempts()
    if {name: attempts[name] for name in model.asked} != model.asked:
        wrong.append(f"attempts {dict(attempts)} where {model.asked} were due")
    opened = {name: state["targets"][name]["breaker"]["state"] == "open" for name in model.open}
    if opened != model.open:
        wrong.append(f"open {opened} where {model.open} was due")
    return Run(wrong + _kept(state) + _twice(at), told.total(), told, reasons, sum(attempts.values()), slowest)


async def _together(at: Town, many: int, luck: random.Random) -> Run:
    """Chats at once to a target that does one thing at a time, and is asked for its health meanwhile: all of them are answered by it."""
    got = await asyncio.gather(*(at.chat(_text(luck)) for _ in range(many)))
    wrong = [f"{each}" for each, _ in got if each != Must("switch", degraded=False, reason="")]
    wrong += [f"took {seconds:.2f} s" for _, seconds in got if seconds > PATIENCE + SLACK]
    providers = Counter(each.provider for each, _ in got)
    attempts = sum((await at.attempts()).values())
    kept = _kept(await at.settled())
    return Run(wrong + kept + _twice(at), many, providers, Counter(), attempts, max(seconds for _, seconds in got))


async def _left(at: Town, after: float, luck: random.Random) -> Run:
    """Clients that leave while the switch is silent: nothing is sent to anybody else, nothing is kept, and no breaker minds."""
    many = luck.randint(1, MOST_CHATS)
    got = await asyncio.gather(*(at.chat(_text(luck), after) for _ in range(many)))
    state = await at.settled()
    wrong = [f"{each}" for each, _ in got if each.provider != "nobody"]
    if at.targets["madre"].asked or state["targets"]["switch"]["breaker"]["state"] != "closed":
        wrong.append("somebody minded")
    attempts = sum((await at.attempts()).values())
    providers = Counter(each.provider for each, _ in got)
    return Run(wrong + _kept(state) + _twice(at), many, providers, Counter(), attempts, 0.0)


def _text(luck: random.Random) -> str:
    return f"{luck.getrandbits(64):x} " + "hola " * luck.randint(0, 200)


def _kept(state: Mapping[str, Any]) -> list[str]:
    """What is left of chats that are over."""
    found = []
    for name, target in state["targets"].items():
        slots, queued, permits = (
            target["limiter"]["in_flight"][0],
            target["limiter"]["queued"][0],
            target["breaker"]["permits_out"],
        )
        if slots or queued or permits:
            found.append(f"{name} keeps {slots} slots, {queued} places, {permits} permits")
    return found


def _twice(at: Town) -> list[str]:
    return [
        f"{name} got {many} times the same chat"
        for name, target in at.targets.items()
        for many in Counter(target.asked).values()
        if many > 1
    ]


class Batch(NamedTuple):
    runs: list[Run]
    descriptors: int
    """More open than before."""


async def _batch(work: Sequence[tuple[Mapping[str, Fault], int]]) -> Batch:
    names, logging = Names(), Logging("error", libraries=False)
    try:
        before = _open()
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(faults: Mapping[str, Fault], seed: int) -> Run:
            async with turns:
                return await play(faults, seed, names, logging)

        runs = await asyncio.gather(*(one(faults, seed) for faults, seed in work))
        gc.collect()
        for _ in range(50):  # what was reset is closed a turn or two later
            if _open() <= before:
                break
            await asyncio.sleep(0.02)
        return Batch(list(runs), _open() - before)
    finally:
        logging.close()


def _open() -> int:
    return sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.is_dir() else 0


def batch(work: Iterable[tuple[Mapping[str, Fault], int]]) -> Batch:
    """Runs, many at a time, on a loop of their own."""
    return asyncio.run(_batch(list(work)))
