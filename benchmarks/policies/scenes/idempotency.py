"""Idempotency keys: the same chat, sent again, is carried out once.

A client whose answer got lost, or who clicked twice, can only send its chat again. It would hurt if what is remembered were a degraded
answer, given again when the switch is long back, or if ever new keys took ever more memory.
"""

from __future__ import annotations

import asyncio

from benchmarks.policies.client import Chat
from benchmarks.policies.figures import by_switch, share
from benchmarks.policies.scene import Claim, Figures, Scene
from benchmarks.policies.stage import Stage

RATE = 8.0  # chats a second
HASTE = 0.05  # seconds from a click to the next
KEPT = 50  # answers, where memory is what is looked at
BASE = """
deadline: {client: 3s, margin: 250ms}
breaker: {consecutive: 0, failure_rate: 100%, min_calls: 10000, window: {size: 10000}}
targets:
  - {name: switch, limiter: {max_concurrent: 200}}
  - {name: local}
"""


async def again(stage: Stage) -> Figures:
    """Every chat is sent twice under one key: by turns before its answer is there, and after it got lost."""
    count = stage.calls(80, 16)
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number in range(count):
            tasks.append(group.create_task((_hasty if number % 2 else _lost)(stage, number)))
            await asyncio.sleep(1 / RATE)
    pairs = [task.result() for task in tasks]
    scrape = await stage.scrape()
    return {
        "carried out by the switch, a chat": stage.lab.requests("switch").get("POST /switch/chat", 0) / count,
        "repetitions with the first answer %": 100
        * sum(first.status == last.status == 200 and first.correlation == last.correlation for first, last in pairs)
        / count,
        "409s": scrape.total("idempotency_keys_total", result="running"),
        "replayed": scrape.total("idempotency_keys_total", result="replayed"),
    }


async def _hasty(stage: Stage, number: int) -> tuple[Chat, Chat]:
    """Two clicks; after a 409 the client waits as it is told."""
    who = {"session": f"hasty-{number}", "key": f"key-{number}"}
    first = asyncio.create_task(stage.client.chat(**who))
    await asyncio.sleep(HASTE)
    last = await stage.client.chat(**who)
    if last.status == 409:
        await asyncio.sleep(float(last.fields["Retry-After"]))
        last = await stage.client.chat(**who)
    return await first, last


async def _lost(stage: Stage, number: int) -> tuple[Chat, Chat]:
    """An answer that the client never saw."""
    who = {"session": f"lost-{number}", "key": f"key-{number}"}
    first = await stage.client.chat(**who)
    return first, await stage.client.chat(**who)


async def stale(stage: Stage) -> Figures:
    """Chats while the switch is away, the same again when it is back; then a flood of keys."""
    who = [{"session": f"stale-{number}", "key": f"stale-{number}"} for number in range(stage.calls(30, 10))]
    await stage.lab.fault("switch", "refuse")
    first = [await stage.client.chat(**each) for each in who]
    await stage.lab.clear("switch")
    last = [await stage.client.chat(**each) for each in who]
    flood = stage.calls(400, 120)
    await asyncio.gather(*(_flood(stage, number, flood) for number in range(4)))
    scrape = await stage.scrape()
    return {
        "degraded at first %": share(first, lambda chat: chat.degraded),
        "the same again, by the switch %": share(last, by_switch),
        "keys of the flood": flood,
        "answers kept": scrape.counted("idempotency_remembered", state="kept"),
        "KiB kept": scrape.counted("idempotency_bytes") / 1024,
        "answers gone to make room": scrape.total("idempotency_keys_total", result="evicted"),
    }


async def _flood(stage: Stage, number: int, count: int) -> None:
    for turn in range(number, count, 4):
        await stage.client.chat(key=f"flood-{turn}")


ON = f"idempotency: {{mode: 'on', max: {KEPT}}}\n"
SCENES = (
    Scene(
        "idempotency",
        "helps",
        "clients send a chat again: before its answer is there, or because it got lost",
        BASE,
        {"off": "", "on": "idempotency: {mode: 'on'}\n"},
        ("switch=lognormal:0.4:0",),
        again,
        (
            Claim("on: each chat is carried out once", lambda it: it["on"]["carried out by the switch, a chat"] == 1),
            Claim("off: each is carried out twice", lambda it: it["off"]["carried out by the switch, a chat"] == 2),
            Claim(
                "on: every repetition gets the first answer",
                lambda it: it["on"]["repetitions with the first answer %"] == 100,
            ),
            Claim("on: there were 409s and replays", lambda it: it["on"]["409s"] > 0 and it["on"]["replayed"] > 0),
        ),
        "a repetition costs no target anything; judged by what the switch itself counted",
    ),
    Scene(
        "idempotency",
        "guarded",
        "an outage in which answers are degraded, and then a flood of keys",
        BASE,
        {
            "off": "",
            "on": ON,
            "degraded kept, too": f"idempotency: {{mode: 'on', max: {KEPT}, degraded_ttl: 60s}}\n",
        },
        (),
        stale,
        (
            Claim("on: all were degraded at first", lambda it: it["on"]["degraded at first %"] == 100),
            Claim(
                "on: the same again is answered by the switch, as it is off",
                lambda it: (
                    it["on"]["the same again, by the switch %"] == it["off"]["the same again, by the switch %"] == 100
                ),
            ),
            Claim(
                "degraded kept, too: none of them is",
                lambda it: it["degraded kept, too"]["the same again, by the switch %"] == 0,
            ),
            Claim(f"on: {KEPT} answers are kept, however many keys", lambda it: it["on"]["answers kept"] == KEPT),
        ),
        "a degraded answer frees its key, and memory is bounded; judged by who answers the repetition, and by answers kept",
    ),
)
