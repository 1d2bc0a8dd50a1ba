"""Recording a golden journal: a lab, the sidecar in front of it under a shipped policy, and a script of what goes wrong.

At the lab's real pace, since a policy's times mean something only against those of VX11; waits for breakers follow the policy's own open
time. Which call meets what is in the script; the milliseconds are the machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp

from sidecar.edge.app import Sidecar
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.reload import Source
from sidecar.edge.settings import resolve
from sidecar.lab.power import WindowRequest
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from sidecar.policy.load import Loaded, load

ADMIN = "golden-admin"
ENVIRON = {"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN}
HEARD = 1.5  # seconds after a poll until what it said is known


class Stage:
    """``open_time`` is how long the policy's breakers stay open at first, ``patience`` how long a chat waits for a slot, in seconds."""

    def __init__(self, lab: Lab, sidecar: Sidecar, session: aiohttp.ClientSession, loaded: Loaded) -> None:
        self._lab = lab
        self._chat = f"http://{sidecar.serving.listen}/operator/api/chat"
        self._admin = f"http://{sidecar.serving.admin}"
        self._session = session
        self._poll = loaded.policy.dormant.poll
        self.open_time = loaded.policy.breaker.open.base
        self.patience = loaded.policy.limiter.queue_timeout
        self._longest = loaded.policy.breaker.open.max
        self._numbers = itertools.count(1)
        self._under_way: set[asyncio.Task[None]] = set()

    async def faults(self, *orders: str) -> None:
        """From now on these and no others; madre answers by herself, as she does while the switch is off."""
        await self._lab.clear()
        for order in ("madre=detached", *orders):
            await self._lab.order(order)

    def chat(self, *, leaves: float | None = None, patience_ms: int | None = None) -> None:
        """Somebody chats, and waits for the answer or ``leaves`` after so many seconds."""
        task = asyncio.create_task(self._one(next(self._numbers), leaves, patience_ms))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def chats(
        self, count: int, every: float, *, leaves: float | None = None, patience_ms: int | None = None
    ) -> None:
        for _ in range(count):
            self.chat(leaves=leaves, patience_ms=patience_ms)
            await asyncio.sleep(every)

    async def answered(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def rest(self) -> None:
        """Until an open breaker lets a probe pass, however often it had opened before."""
        await self.answered()
        await asyncio.sleep(self._longest + HEARD)

    async def window(self, *, opens: bool) -> None:
        """The power window of the switch opens or closes, and that becomes known."""
        if opens:
            self._lab.madre.power.open(WindowRequest(services=["switch"], mode="hold"))
        else:
            self._lab.madre.power.close()
        await asyncio.sleep(self._poll + HEARD)

    async def override(self, target: str, kind: str | None) -> None:
        """An operator decides, None: that ends."""
        order = {"target": target} if kind is None else {
            "target": target, "kind": kind, "author": "golden", "reason": "golden journal", "ttl": "10m",
        }  # fmt: skip
        path = "/overrides/release" if kind is None else "/overrides"
        fields = {"X-VX11-Admin-Token": ADMIN}
        async with self._session.post(self._admin + path, json=order, headers=fields) as answer:
            assert answer.status == 200, await answer.text()

    async def _one(self, number: int, leaves: float | None, patience_ms: int | None) -> None:
        fields = {"X-VX11-Token": DEFAULT_TOKEN, "X-Correlation-Id": f"golden-{number:03}"}
        if patience_ms is not None:
            fields["X-Request-Timeout-Ms"] = str(patience_ms)
        payload = {"message": "hola", "session_id": f"golden-{number:03}"}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(leaves), self._session.post(self._chat, json=payload, headers=fields) as answer:
                await answer.read()


async def _healthy(stage: Stage) -> None:
    await stage.window(opens=True)
    await stage.faults()
    await stage.chats(4, 0.2)
    await stage.faults("switch=lognormal:0.3:0.5")
    await stage.chats(4, 0.4)
    await stage.answered()


async def _crowd(stage: Stage) -> None:
    """More at once than there are slots and places, then as many as wait in vain, but for one. A place is never won by milliseconds."""
    await stage.faults(f"switch=slow:{5 * stage.patience}", f"madre=slow:{5 * stage.patience}")
    await stage.chats(16, 0.0)
    await stage.answered()
    await stage.faults()
    await stage.chats(2, 0.3)
    await stage.faults(f"switch=slow:{4.75 * stage.patience}")
    await stage.chats(10, stage.patience / 2)
    await stage.answered()
    await stage.faults()
    await stage.chats(2, 0.3)


async def _hung(stage: Stage) -> None:
    """Timeouts until the breaker opens, refusals, a probe that fails, and recovery."""
    await stage.faults("switch=hang")
    await stage.chats(5, 0.4)
    await stage.answered()
    await stage.chats(4, stage.open_time / 2)
    await stage.answered()
    await stage.faults()
    await stage.rest()
    await stage.chats(3, 0.3)


async def _errors(stage: Stage) -> None:
    """Failures of several kinds, apart and in a row, one of them under 200; the first is of a kind that may be tried again."""
    await stage.faults("switch=refuse")
    await stage.chats(1, 0.5)
    await stage.answered()
    await stage.faults()
    await stage.chats(4, 0.3)
    await stage.faults("switch=error")
    await stage.chats(1, 0.3)
    await stage.faults()
    await stage.chats(1, 0.3)
    await stage.faults("switch=503")
    await stage.chats(1, 0.3)
    await stage.faults("switch=refuse")
    await stage.chats(2, 0.5)
    await stage.faults("madre=slow:2")
    await stage.chats(2, 0.3)
    await stage.answered()
    await stage.faults("madre=waiting")
    await stage.chats(2, 0.3)
    await stage.faults("madre=hang")
    await stage.chats(1, 0.3)
    await stage.answered()
    await stage.faults()
    await stage.rest()
    await stage.chats(3, 0.3)


async def _operators(stage: Stage) -> None:
    await stage.faults()
    await stage.override("switch", "off")
    await stage.chats(2, 0.3)
    await stage.override("switch", "forced_open")
    await stage.chats(1, 0.3)
    await stage.override("switch", None)
    await stage.chats(3, 0.3)


async def _clients(stage: Stage) -> None:
    """Some leave, some have little patience."""
    await stage.faults("switch=slow:0.8")
    await stage.chats(2, 1.0, leaves=0.4)
    await stage.chats(2, 1.0, patience_ms=700)
    await stage.chats(1, 1.0)
    await stage.answered()


async def _dormant(stage: Stage) -> None:
    """Off by madre's power state, and back."""
    await stage.faults("switch=refuse")
    await stage.window(opens=False)
    await stage.chats(3, 0.3)
    await stage.faults()
    await stage.chats(1, 0.3)
    await stage.window(opens=True)
    await stage.chats(2, 0.3)
    await stage.answered()


SCENES: Sequence[Callable[[Stage], Awaitable[None]]] = (
    _healthy, _crowd, _hung, _errors, _operators, _clients, _dormant,
)  # fmt: skip


async def record(policy: Path, name: str, directory: Path) -> Path:
    """The journal of the whole script under ``policy``, which it calls ``name``: a file in ``directory``, which is empty."""
    loaded = replace(load(policy), source=name)
    async with _stage(loaded, directory) as stage:
        for scene in SCENES:
            await scene(stage)
    return directory / "journal-000001.jsonl"


@contextlib.asynccontextmanager
async def _stage(loaded: Loaded, directory: Path) -> AsyncIterator[Stage]:
    logging = Logging("error")
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    try:
        async with (
            Lab() as lab,
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
            flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": str(directory), **places}
            settings = resolve(flags, read_environment(ENVIRON), ENVIRON, loaded)

            def nothing_new() -> Source:
                return Source(settings.snapshot, settings.files, settings.mutators)

            async with Sidecar(settings, logging, nothing_new) as sidecar:
                yield Stage(lab, sidecar, session, loaded)
    finally:
        logging.close()
