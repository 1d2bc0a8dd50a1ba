"""Every query of every panel shows something, on a real Prometheus that scraped a run in which things went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.redis_server import RedisServer
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from tests.acceptance.conftest import FREE
from tests.acceptance.running import CHAT, LINK, Process
from tests.dashboards.prometheus import Prometheus, Series, binary
from tests.dashboards.queries import Asked, annotation_queries, panel_queries

ADMIN = "live-admin-token"
JOB = "vx11-sidecar"
POLICY = """
health: {mode: probe, interval: 500ms, fall: 100}
timeouts: {attempt: 700ms}
dormant: {mode: ignore}
retry_budget: {burst: 1}
breaker: {open: {base: 1s, max: 1s}}
targets: [{name: switch, limiter: {max_concurrent: 1, queue: 2}}, {name: madre}, {name: local}]
"""
CANDIDATE = """
breaker: {open: {base: 1s, max: 1s}}
targets: [{name: switch, timeouts: {attempt: 300ms}}, {name: local}]
"""
RULES = """
groups:
  - name: live
    rules:
      - alert: LiveDegraded
        expr: vx11_sidecar_degraded == 1
        labels: {severity: ticket, service: vx11-sidecar}
"""
EMPTY_WHEN_WELL: set[tuple[str, str, str]] = set()
"""Board, panel and reference of queries that this run cannot fill, and another test does. None is left."""


class Scene:
    """A sidecar of its own process between a client and a lab that misbehaves, and the Prometheus that watches it."""

    def __init__(
        self,
        lab: Lab,
        ready: dict[str, Any],
        session: aiohttp.ClientSession,
        prometheus: Prometheus,
        policy: Path,
    ) -> None:
        self.lab = lab
        self.redis: RedisServer  # what replicas share
        self.prometheus = prometheus
        self.url, self.admin = f"http://{ready['listen']}", f"http://{ready['admin']}"
        self.listen = ready["listen"]
        self.session = session
        self.policy = policy

    async def chat(
        self, *, token: str = DEFAULT_TOKEN, session: str | None = None, message: str = "hola", **headers: str
    ) -> int:
        fields = ({"X-VX11-Token": token} if token else {}) | {
            name.replace("_", "-"): each for name, each in headers.items()
        }
        payload = {"message": message, "session_id": session or str(uuid.uuid4())}
        async with self.session.post(self.url + CHAT, json=payload, headers=fields) as answer:
            await answer.read()
            return answer.status

    async def chats(self, count: int, **sent: str) -> None:
        for _ in range(count):
            await self.chat(**sent)

    async def order(self, path: str, **body: str) -> None:
        fields = {"X-VX11-Admin-Token": ADMIN}
        async with self.session.post(self.admin + path, json=body, headers=fields) as answer:
            assert answer.status < 500, await answer.text()

    async def reload(self, text: str) -> None:
        self.policy.write_text(text)
        await self.order("/reload")

    async def seen(self, expr: str) -> None:
        """Until Prometheus has scraped it: ``increase`` and ``rate`` need a scrape before and one after."""
        await asyncio.to_thread(self.prometheus.wait, expr)

    async def scraped(self) -> None:
        """Until there is one more scrape, so that what was seen last stands for a while."""
        await self.seen(f"timestamp(vx11_sidecar_degraded) > {time.time():.3f}")


@contextlib.asynccontextmanager
async def scene(where: Path) -> AsyncIterator[Scene]:
    binary("prometheus")
    binary("redis-server")
    policy, candidate, rules = (where / name for name in ("policy.yaml", "candidate.yaml", "rules.yaml"))
    data = where / "prometheus"
    policy.write_text(POLICY)
    candidate.write_text(CANDIDATE)
    rules.write_text(RULES)
    data.mkdir()
    redis = RedisServer()
    environ = {LINK: DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN, "VX11_SIDECAR_REDIS_URL": redis.url}
    async with redis, Lab(faults=("madre=detached",)) as lab, aiohttp.ClientSession() as session:
        places = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", lab.urls[name])]
        arguments = (
            "serve",
            *FREE,
            *places,
            "--policy",
            str(policy),
            "--shadow",
            str(candidate),
            "--log-level",
            "error",
        )
        with Process(*arguments, environ=environ, errors=where / "stderr") as process:
            ready = await asyncio.to_thread(process.ready)
            with Prometheus(data, {JOB: [ready["admin"]]}, rules=[rules]) as prometheus:
                made = Scene(lab, ready, session, prometheus, policy)
                made.redis = redis
                yield made


async def well(scene: Scene) -> None:
    """Chats, relayed requests, a stream and a WebSocket, all as they should be."""
    await scene.seen("vx11_sidecar_build_info")
    await scene.chats(5)
    fields = {"X-VX11-Token": DEFAULT_TOKEN}
    for path in ("/health", "/operator/api/status", "/nowhere"):
        async with scene.session.get(scene.url + path, headers=fields) as answer:
            await answer.read()
    async with scene.session.get(scene.url + "/operator/api/events", headers={"Accept": "text/event-stream"}) as stream:
        await stream.content.readany()
    async with scene.session.ws_connect(scene.url + "/ws") as socket:
        await socket.receive()
        await scene.seen("vx11_sidecar_websocket_connections > 0")
    await scene.seen('increase(vx11_sidecar_chat_requests_total{outcome="primary"}[5s]) > 0')
    await scene.scraped()


async def refused(scene: Scene) -> None:
    """The switch is down: a retry, more that are denied, the breaker trips, madre answers, and it comes back."""
    await scene.lab.fault("switch", "refuse")
    await scene.chats(8)
    await scene.seen('vx11_sidecar_breaker_state{state="open"} == 1')
    await scene.seen("increase(vx11_sidecar_retries_denied_total[5s]) > 0")
    await scene.seen('ALERTS{alertname="LiveDegraded",alertstate="firing"}')
    await scene.lab.clear("switch")
    await recover(scene)


async def recover(scene: Scene) -> None:
    """Chat until the breaker of the switch has closed again: it lets one chat a second try."""
    async with asyncio.timeout(15):
        closed = 'vx11_sidecar_breaker_state{target="switch",state="closed"} == 1 and on (instance) vx11_sidecar_degraded == 0'
        while not await asyncio.to_thread(scene.prometheus.query, closed):
            await scene.chat()
            await asyncio.sleep(0.2)  # chats must not come faster than a breaker of one second can be seen


async def refusing_us(scene: Scene) -> None:
    await scene.lab.fault("switch", "unauthorised")
    await scene.chats(2)
    await scene.seen("increase(vx11_sidecar_misconfigured_total[5s]) > 0")
    await scene.lab.clear("switch")


async def silent(scene: Scene) -> None:
    """The switch hangs: its own limit ends attempts, then an impatient client's; a client leaves; nobody answers at last."""
    await scene.lab.fault("switch", "hang")
    await scene.chats(2)
    await scene.chats(2, X_Request_Timeout_Ms="900")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await scene.chat()
    await scene.lab.fault("madre", "refuse")
    await scene.chats(5)
    await scene.seen('increase(vx11_sidecar_chat_requests_total{outcome="local"}[5s]) > 0')
    await scene.lab.clear()
    await scene.lab.fault("madre", "detached")
    await recover(scene)


async def crowded(scene: Scene) -> None:
    """More chats at once than the switch takes."""
    await scene.lab.fault("switch", "slow:0.4")
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(scene.chat())
    await scene.seen('increase(vx11_sidecar_target_refusals_total{reason="limited"}[5s]) > 0')
    await scene.lab.clear("switch")


async def searched(scene: Scene) -> None:
    """An adaptive limit: the baseline is measured, and then many at once meet silence."""
    await scene.reload(POLICY.replace("max_concurrent: 1, queue: 2", "max_concurrent: 8, queue: 8, adaptive: gradient"))
    await scene.chats(10)
    await scene.seen('vx11_sidecar_limiter_baseline_seconds{target="switch"} > 0')
    await scene.lab.fault("switch", "hang")
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(scene.chat())
    await scene.seen('increase(vx11_sidecar_limiter_drops_total{target="switch"}[5s]) > 0')
    await scene.seen('vx11_sidecar_limiter_limit{target="switch"} < 8')
    await scene.lab.clear("switch")
    await recover(scene)
    await scene.scraped()
    await scene.reload(POLICY)


async def turned_away(scene: Scene) -> None:
    """What is refused at the door, and a gateway that is down."""
    assert await scene.chat(token="") == 401
    assert await scene.chat(token="wrong") == 403
    assert await scene.chat(message="x" * 5000) == 413
    statuses = [await scene.chat(session="one and the same") for _ in range(11)]
    assert statuses[-1] == 429
    host, _, port = scene.listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
    await reader.read()
    writer.close()
    await scene.lab.fault("gateway", "refuse")
    async with scene.session.get(scene.url + "/health") as answer:
        assert answer.status >= 502
    await scene.lab.clear("gateway")
    await scene.seen("increase(vx11_sidecar_relay_errors_total[5s]) > 0")


async def again(scene: Scene) -> None:
    """Chats that are sent again under their keys: while the first is under way, after it, and with something else."""
    keyed = POLICY.replace("limiter:", "effects: dedup, limiter:")
    await scene.reload(keyed + 'idempotency: {mode: "on"}\n')
    await scene.lab.fault("switch", "slow:0.3")
    twice = [scene.chat(session="again", Idempotency_Key="k") for _ in range(2)]
    assert sorted(await asyncio.gather(*twice)) == [200, 409]
    assert await scene.chat(session="again", Idempotency_Key="k") == 200
    assert await scene.chat(session="again", Idempotency_Key="k", message="else") == 422
    await scene.seen('increase(vx11_sidecar_idempotency_keys_total{result="mismatch"}[5s]) > 0')
    await scene.seen("increase(vx11_sidecar_idempotency_keys_sent_total[5s]) > 0")
    await scene.scraped()
    await scene.lab.clear("switch")
    await scene.reload(POLICY)


async def alone(scene: Scene) -> None:
    """What replicas share is gone for a while."""
    await scene.redis.kill()
    await scene.seen('vx11_sidecar_shared_store{state="away"} == 1')
    await scene.seen("increase(vx11_sidecar_shared_lost_total[5s]) > 0")
    await scene.scraped()
    await scene.redis.start()
    await scene.seen('vx11_sidecar_shared_store{state="up"} == 1')
    await scene.chats(2)


async def hedged(scene: Scene) -> None:
    """Each request is late, until the budget pays for no second one any more."""
    hedge = "effects: none, hedge: {enabled: true, delay: 100ms, max_extra_load: 100%}, limiter: {max_concurrent: 2, "
    await scene.reload(POLICY.replace("limiter: {max_concurrent: 1, ", hedge))
    await scene.lab.fault("switch", "slow:0.3")
    await scene.chats(8)
    await scene.seen("increase(vx11_sidecar_hedges_total[5s]) > 0")
    await scene.seen('increase(vx11_sidecar_hedges_denied_total{reason="budget"}[5s]) > 0')
    await scene.scraped()
    await scene.lab.clear("switch")
    await scene.reload(POLICY)


async def broken(scene: Scene) -> None:
    """A drill: a rule that is armed, an operator who orders it, and who stops it."""
    rule = "{name: drill, target: switch, percentage: 100%, abort: 503, expires_at: 2099-01-01T00:00:00Z}"
    await scene.reload(POLICY + f"chaos: [{rule}]\n")
    await scene.order("/chaos", author="live", reason="test", ttl="1m")
    await scene.chats(2)
    await scene.seen("vx11_sidecar_chaos_active == 1")
    await scene.seen("increase(vx11_sidecar_chaos_faults_total[5s]) > 0")
    await scene.scraped()
    await scene.order("/chaos/stop")
    await scene.seen("vx11_sidecar_chaos_active == 0")
    await scene.reload(POLICY)
    await recover(scene)


async def observed(scene: Scene) -> None:
    """The gateway answers: as it does, late, with an error; to whom we would have said no, and to what only looks like chat."""
    await scene.reload(POLICY + "mode: shadow\nguards: {rate_limit: 3 per 60s}\n")
    for _ in range(5):
        await scene.chat(session="watched")
    await scene.chats(2, X_Request_Timeout_Ms="1")
    await scene.lab.fault("gateway", "500")
    await scene.chats(2)
    await scene.lab.clear("gateway")
    command = {"command": "status"}
    async with scene.session.post(scene.url + CHAT + "/commands", json=command) as answer:
        await answer.read()
    await scene.seen('increase(vx11_sidecar_observed_chats_total{gateway="error"}[5s]) > 0')
    await scene.seen("increase(vx11_sidecar_observed_lookalikes_total[5s]) > 0")
    await scene.scraped()
    await scene.reload(POLICY)


async def operated(scene: Scene) -> None:
    """An override, a policy that is taken and one that cannot be."""
    await scene.order("/overrides", target="switch", kind="forced_open", author="live", reason="test", ttl="1m")
    await scene.chats(2)
    await scene.seen('vx11_sidecar_override_active{kind="forced_open"} == 1')
    await scene.scraped()
    await scene.order("/overrides/release", target="switch")
    await scene.reload(POLICY + "deadline: {client: 4s}\n")
    await scene.seen('increase(vx11_sidecar_policy_reloads_total{result="changed"}[5s]) > 0')
    await scene.reload(POLICY + "deadline: {client: -4s}\n")
    await scene.seen("vx11_sidecar_policy_last_reload_successful == 0")
    await scene.scraped()
    await scene.reload(POLICY)
    await scene.seen("vx11_sidecar_policy_last_reload_successful == 1")


@pytest.mark.slow
async def test_every_panel_shows_something(tmp_path: Path) -> None:
    began = time.time()
    async with scene(tmp_path) as town:
        for act in (
            well,
            refused,
            refusing_us,
            silent,
            crowded,
            searched,
            turned_away,
            again,
            alone,
            hedged,
            broken,
            observed,
            operated,
        ):
            started = time.time()
            await act(town)
            print(f"{act.__name__:14}{time.time() - started:6.1f} s")
        asked = panel_queries() + annotation_queries()
        ended = time.time()
        found = [await asyncio.to_thread(town.prometheus.query_range, each.expr, began, ended, 0.5) for each in asked]
        nothing = await asyncio.to_thread(town.prometheus.query_range, "vx11_sidecar_nothing", began, ended)
        table = [line(each, series) for each, series in zip(asked, found, strict=True)]
        (tmp_path / "panels.txt").write_text("\n".join(table))
        print("\n".join(table))
    assert nothing == [], "what does not exist must count as empty"
    empty = {_key(each) for each, series in zip(asked, found, strict=True) if not _samples(series)}
    assert empty == EMPTY_WHEN_WELL
    print(f"{len(asked)} queries, {sum(_samples(series) for series in found)} samples, {len(empty)} empty")


def line(asked: Asked, found: list[Series]) -> str:
    """One row of the table: how many series, how many samples, and the greatest of them."""
    most = max((value for series in found for _, value in series.samples), default=float("nan"))
    where = f"{asked.board:10}{asked.panel[:44]:45}{asked.ref:3}"
    return f"{where}{len(found):5} series{_samples(found):7} samples   at most {most:.6g}"


def _samples(found: list[Series]) -> int:
    return sum(len(series.samples) for series in found)


def _key(asked: Asked) -> tuple[str, str, str]:
    return asked.board, asked.panel, asked.ref
