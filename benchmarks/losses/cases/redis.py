"""What replicas share is gone: Redis killed, Redis that says nothing, and Redis that comes back with nothing in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.losses.case import Case, Claim, Figures, Told, exactly, none, times, within
from benchmarks.losses.child import Child, serving
from benchmarks.losses.stage import Stage, until_or_never
from benchmarks.losses.traffic import Traffic, degraded, failed, median, slowest
from benchmarks.redis_server import RedisServer
from sidecar.lab.town import Lab

RATE = 30.0  # chats a second
LIMIT = 5
SWITCH = "switch=lognormal:0.01:0.3"
POLICY = (
    f"guards: {{rate_limit: {LIMIT} per 60s}}\nshared: {{timeout: 50ms, pause: 500ms}}\n"
    "targets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}, {name: local}]\n"
)
KNOWN, BACK = 6.0, 2.0  # seconds until it is known to be away, with somebody who asks; and to be back
WAITS = 1.0  # seconds of the slowest chat: the store's 50 ms, the switch's few, and a machine that is busy


@asynccontextmanager
async def _town(stage: Stage) -> AsyncIterator[tuple[RedisServer, Child, Traffic]]:
    async with (
        RedisServer() as redis,
        Lab(faults=(SWITCH,), seed=stage.seed) as lab,
        serving(stage.where, lab.urls, policy=POLICY, environ={"VX11_SIDECAR_REDIS_URL": redis.url}) as child,
    ):
        await until_or_never(lambda: _store(child, "up"))
        async with Traffic(child.client, RATE, stage.random) as traffic:
            await asyncio.sleep(0.5)
            yield redis, child, traffic


async def _store(child: Child, state: str) -> bool:
    return (await child.scrape()).counted("shared_store", state=state) == 1


async def killed(stage: Stage) -> Figures:
    async with _town(stage) as (redis, child, traffic):
        gone = time.perf_counter()
        await redis.kill()
        known = await until_or_never(lambda: _store(child, "away"), 10.0)
        alone = await _passes(child, "alone")
        await asyncio.sleep(stage.seconds(3.0, 1.0))
        came = time.perf_counter()
        await redis.start()
        back = await until_or_never(lambda: _store(child, "up"), 10.0)
        found = await _told(child, traffic, gone, came)
    return {**found, "known s": known, "back s": back, "passed alone": alone}


async def hung(stage: Stage) -> Figures:
    async with _town(stage) as (redis, child, traffic):
        gone = time.perf_counter()
        redis.hold()
        try:
            known = await until_or_never(lambda: _store(child, "away"), 10.0)
            alone = await _passes(child, "alone")
            await asyncio.sleep(stage.seconds(3.0, 1.0))
            came = time.perf_counter()
        finally:
            redis.release()
        back = await until_or_never(lambda: _store(child, "up"), 10.0)
        found = await _told(child, traffic, gone, came)
    return {**found, "known s": known, "back s": back, "passed alone": alone}


async def empty(stage: Stage) -> Figures:
    async with _town(stage) as (redis, child, traffic):
        first = await _passes(child, "much")
        gone = time.perf_counter()
        await redis.kill()
        await redis.start()
        came = time.perf_counter()
        back = await until_or_never(lambda: _store(child, "up"), 10.0)
        again = await _passes(child, "much")
        more = await _passes(child, "much")
        found = await _told(child, traffic, gone, came)
    return {**found, "back s": back, "passed before": first, "passed again": again, "and again": more}


async def _passes(child: Child, session: str) -> int:
    """How many of twice as many chats as it may a session gets through now."""
    chats = [await child.client.chat(session=session) for _ in range(2 * LIMIT)]
    return sum(chat.status == 200 for chat in chats)


async def _logged(child: Child) -> bool:
    """Lines leave a moment after what they tell of."""
    return len(child.lines("shared_store_up")) == len(child.lines("shared_store_away")) + 1


async def _told(child: Child, traffic: Traffic, gone: float, came: float) -> Figures:
    await until_or_never(lambda: _logged(child), 1.0)
    scrape, said = await child.scrape(), [line["event"] for line in child.lines()]
    meanwhile = traffic.between(gone, came)
    return {
        "chats meanwhile": len(meanwhile),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "slowest meanwhile s": slowest(traffic.between(gone, time.perf_counter())),
        "median before ms": 1000 * median(traffic.between(0, gone)),
        "median meanwhile ms": 1000 * median(meanwhile),
        "late": scrape.counted("shared_asked_total", told="late"),
        "alone": scrape.counted("shared_asked_total", told="away"),
        "lost": scrape.counted("shared_lost_total"),
        "away lines": said.count("shared_store_away"),
        "up lines": said.count("shared_store_up"),
    }


def _tell(it: Figures) -> Told:
    if "passed again" in it:
        lost = f"what was counted: a session that had passed {it['passed before']:.0f} passes {it['passed again']:.0f} more, then none"
        said = f"`shared_store_away` {times(it['away lines'])}: whoever asks next finds a store, and nothing in it"
        return Told(lost, said, f"{it['back s']:.2f} s after it was back")
    lost = (
        f"the limit of all; each replica keeps its own ({it['passed alone']:.0f} of {LIMIT} pass). No chat: of "
        f"{it['chats meanwhile']:.0f} the slowest took {1000 * it['slowest meanwhile s']:.0f} ms, {it['late']:.0f} met the timeout"
    )
    said = (
        f"`shared_store_away` {times(it['away lines'])}, `shared_store_up` {times(it['up lines'])}, `shared_store{{state}}` after "
        f'{it["known s"]:.2f} s, `shared_asked_total{{told="away"}}` {it["alone"]:.0f}'
    )
    return Told(lost, said, f"{it['back s']:.2f} s after it was back")


_UNHARMED = (
    none("failed", "no chat fails"),
    none("degraded", "none is degraded"),
    within("slowest meanwhile s", WAITS, "none waits longer than the store may take"),
    within("back s", BACK, "that it is back is known"),
)
_SAID = (
    within("known s", KNOWN, "that it is away is known"),
    Claim("one line of the log says that it is away", lambda it: it["away lines"] == it["lost"] >= 1),
    Claim("and one that it is back", lambda it: it["up lines"] == it["away lines"] + 1),  # the other is of the start
    within("away lines", 3, "the log is no storm"),
)
_LIMITED = exactly("passed alone", LIMIT, "a session passes the limit of its replica alone")
CASES = (
    Case(
        "redis killed",
        lambda _: f"Redis killed, then started, under {RATE:.0f} chats/s",
        killed,
        _tell,
        (*_UNHARMED, *_SAID, _LIMITED),
    ),
    Case(
        "redis hung",
        lambda _: f"Redis held by SIGSTOP, then SIGCONT, under {RATE:.0f} chats/s",
        hung,
        _tell,
        (*_UNHARMED, *_SAID, _LIMITED),
        brief=False,
    ),
    Case(
        "redis empty",
        lambda _: f"Redis killed and at once started with nothing in it, under {RATE:.0f} chats/s",
        empty,
        _tell,
        (
            *_UNHARMED,
            exactly("passed before", LIMIT, "the limit holds before"),
            exactly("passed again", LIMIT, "what the store forgot passes once more"),
            none("and again", "and no more"),
            within("away lines", 3, "the log is no storm"),
        ),
        brief=False,
    ),
)
