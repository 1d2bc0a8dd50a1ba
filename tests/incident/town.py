"""Everything that runs: a lab, a sidecar of its own process, Prometheus with the rules of its policy, Alertmanager, and traffic."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from canary import ADMIN

from sidecar.cli import main
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from tests.acceptance.conftest import FREE
from tests.acceptance.running import LINK, Process
from tests.dashboards.prometheus import Prometheus, Series
from tests.incident.alertmanager import Alertmanager, Receivers
from tests.incident.traffic import PATIENCE, Traffic
from tests.incident.watch import Watch

JOB = "vx11-sidecar"
SCALE = 60.0  # an hour is a minute
WITHIN = 45.0  # seconds until what must come has come, on a machine that is busy with something else
SETTINGS = """
deadline: {client: 9s}
timeouts: {attempt: 1s}
overload: {chats: 40}
retry_budget: {burst: 1}
breaker: {consecutive: 8, open: {base: 1s, max: 1s}}
targets:
  - name: switch
  - name: madre  # slow here, and not given up: a chat takes longer than promised
    timeouts: {attempt: 8s}
    limiter: {max_concurrent: 60, queue: 8}
    breaker: {slow_call: {duration: 7s}}
  - name: local
"""

CANDIDATE = """
deadline: {client: 9s}
breaker: {consecutive: 4, open: {base: 1s, max: 1s}}
targets: [{name: switch, timeouts: {attempt: 500ms}}, {name: local}]
"""


class Town:
    """``marks`` are the moments (Unix seconds) at which something was done, by what."""

    def __init__(
        self,
        lab: Lab,
        *,
        sidecar: Process,
        ready: dict[str, Any],
        session: aiohttp.ClientSession,
        policy: Path,
        prometheus: Prometheus,
        watch: Watch,
        receivers: Receivers,
    ) -> None:
        self.lab = lab
        self.prometheus = prometheus
        self.watch = watch
        self.receivers = receivers
        self.traffic = Traffic(session, ready["listen"])
        self.marks: dict[str, float] = {}
        self._sidecar = sidecar
        self._session = session
        self._admin = f"http://{ready['admin']}"
        self._policy = policy
        self._background: set[asyncio.Task[None]] = set()

    def mark(self, what: str) -> None:
        self.marks[what] = time.time()

    def send(self, count: int) -> None:
        """``count`` chats at once, whose answers nobody waits for here."""
        task = asyncio.create_task(self.traffic.crowd(count))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def order(self, path: str, **body: str) -> None:
        """An order of the operator's on the admin port; what is refused is in the metrics."""
        fields = {"X-VX11-Admin-Token": ADMIN}
        async with self._session.post(self._admin + path, json=body, headers=fields) as answer:
            assert answer.status < 500, await answer.text()

    async def save(self, text: str) -> None:
        """A policy in the place of the one in force, or of one that was refused."""
        self._policy.write_text(text, encoding="utf-8")
        await self.order("/reload")

    async def kill_sidecar(self) -> None:
        """At once, as when it is killed for want of memory."""
        await asyncio.to_thread(self._sidecar.end, signal.SIGKILL)

    async def seen(self, expr: str) -> list[Series]:
        """The value of ``expr`` in Prometheus as soon as it has one."""
        return await asyncio.to_thread(self.prometheus.wait, expr, WITHIN)

    async def answered(self) -> None:
        while self._background:
            await asyncio.wait(self._background)


@contextlib.asynccontextmanager
async def town(where: Path) -> AsyncIterator[Town]:
    """A town in which all is well, watched, without traffic so far. ``where`` is an empty directory."""
    policy, candidate, rules = (where / name for name in ("policy.yaml", "candidate.yaml", "rules.yaml"))
    policy.write_text(SETTINGS, encoding="utf-8")
    candidate.write_text(CANDIDATE, encoding="utf-8")
    rules.write_text("groups: []\n", encoding="utf-8")
    folders = {name: where / name for name in ("prometheus", "alertmanager", "journal")}
    for folder in folders.values():
        folder.mkdir()
    async with Lab(faults=("madre=detached",)) as lab, _client() as session:
        await _open_window(session, lab)
        arguments = ("serve", *FREE, *_places(lab), "--policy", str(policy), "--journal", str(folders["journal"]))
        arguments = (*arguments, "--shadow", str(candidate))
        environ = {LINK: DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN}
        with contextlib.ExitStack() as stack:
            receivers = stack.enter_context(Receivers())
            process = stack.enter_context(
                Process(*arguments, "--log-level", "error", environ=environ, errors=where / "stderr")
            )
            ready = await asyncio.to_thread(process.ready)
            alertmanager = Alertmanager(folders["alertmanager"], receivers.url, SCALE)
            await asyncio.to_thread(stack.enter_context, alertmanager)
            addresses = [f"127.0.0.1:{alertmanager.port}"]
            prometheus = Prometheus(
                folders["prometheus"], {JOB: [ready["admin"]]}, rules=[rules], alertmanagers=addresses
            )
            await asyncio.to_thread(stack.enter_context, prometheus)
            await asyncio.to_thread(_load_rules, prometheus, policy, rules)
            watch = Watch(prometheus, alertmanager)
            yield Town(
                lab,
                sidecar=process,
                ready=ready,
                session=session,
                policy=policy,
                prometheus=prometheus,
                watch=watch,
                receivers=receivers,
            )


def _load_rules(prometheus: Prometheus, policy: Path, rules: Path) -> None:
    """Those of the policy, once there is something to look at: a Prometheus scrapes nothing in its first five seconds, and those
    are five minutes of the rules.
    """
    prometheus.wait("up == 1", WITHIN)
    assert main(["rules", "build", "--time-scale", f"{SCALE:g}", "--policy", str(policy), "--output", str(rules)]) == 0
    prometheus.reload()
    prometheus.wait("slo:objective:ratio", WITHIN)


def _client() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())


def _places(lab: Lab) -> list[str]:
    return [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", lab.urls[name])]


async def _open_window(session: aiohttp.ClientSession, lab: Lab) -> None:
    """Without one the switch is off on purpose, and nothing that happens to it would be worth an alert."""
    wish = {"services": ["switch"], "ttl_sec": 3000, "mode": "ttl"}
    fields = {"X-VX11-Token": DEFAULT_TOKEN}
    async with session.post(lab.madre_url + "/madre/power/window/open", json=wish, headers=fields) as answer:
        assert answer.status == 200, await answer.text()


@contextlib.asynccontextmanager
async def busy(town: Town) -> AsyncIterator[None]:
    """Traffic and looks, as long as the block runs. Raises what went wrong in them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(town.watch.run()), group.create_task(town.traffic.run())]
        try:
            yield
            await town.answered()
        finally:
            for task in tasks:
                task.cancel()
