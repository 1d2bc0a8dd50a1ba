"""The retry budget. "Off" is what cannot be written otherwise: a budget that pays for everything.

A serial switch that was slow for a moment has a queue; it is asked again when it is silent too long, and works on what was given up all
the same. So retries keep alive what they were an answer to (a metastable failure: Bronson et al., HotOS 2021), at a load that the switch
would carry easily. The budget bounds them by calls, and the queue drains.
"""

from __future__ import annotations

import asyncio

from benchmarks.policies.figures import answered, attempts, by_switch, share, times
from benchmarks.policies.scene import Claim, Figures, Scene, Sides
from benchmarks.policies.stage import Stage

RATIO, BURST = 0.2, 3
# Without a breaker, which would end the storm by leaving the switch alone altogether, and with room for everybody.
BASE = """
deadline: {client: 3s}
timeouts: {attempt: 400ms}
breaker: {consecutive: 0, failure_rate: 100%, min_calls: 10000, window: {size: 10000}}
retry: {max_attempts: 3, on_timeout: true}
targets:
  - {name: switch, effects: none, limiter: {max_concurrent: 200}}
  - {name: local}
"""
# Silence is no part of rare failures, so that nobody is cut off on a machine that is busy with something else.
PATIENT = BASE.replace("client: 3s", "client: 8s").replace("attempt: 400ms", "attempt: 4s")
OFF = "retry_budget: {ratio: 100%, burst: 1000}\n"
ON = f"retry_budget: {{ratio: {RATIO:.0%}, burst: {BURST}}}\n"

WORK, STUCK = 0.02, 0.25  # seconds of a chat at the switch, usually and for a moment
RATE = 25.0  # chats a second; the switch does 45
BAD = (1.0, 2.5)  # seconds: when the moment is


async def storm(stage: Stage) -> Figures:
    """Steady traffic, and a moment in which the switch is slow."""
    count = stage.calls(400, 75)
    async with asyncio.TaskGroup() as group:
        group.create_task(_moment(stage))
        chats = await stage.chats(stage.arrivals(RATE, count))
    after = chats[-count // 3 :]
    return {
        **answered(chats),
        "by the switch in the last third %": share(after, by_switch),
        **times(chats),
        **attempts(await stage.scrape(), chats),
        "allowed by ratio and burst": 1 + RATIO + BURST / count,
    }


async def _moment(stage: Stage) -> None:
    await asyncio.sleep(BAD[0])
    await stage.lab.fault("switch", f"slow:{STUCK}")
    await asyncio.sleep(BAD[1] - BAD[0])
    await stage.lab.fault("switch", f"slow:{WORK}")


async def hiccups(stage: Stage) -> Figures:
    """One failure in twenty, drawn: retries are what they are for."""
    chats = await stage.chats(stage.arrivals(40.0, stage.calls(500, 160)))
    scrape = await stage.scrape()
    return {
        **answered(chats),
        **times(chats),
        **attempts(scrape, chats),
        "retries": scrape.counted("retries_total"),
        "retries refused for want of budget": scrape.counted("retries_denied_total", reason="budget"),
    }


def bounded(it: Sides) -> bool:
    """By the guarantee itself: attempts ≤ calls · (1 + ratio) + burst."""
    return it["on"]["attempts a chat"] <= it["on"]["allowed by ratio and burst"]


SCENES = (
    Scene(
        "retry_budget",
        "helps",
        "a serial switch is slow for a moment, and silence is asked again",
        BASE,
        {"off": OFF, "on": ON},
        (f"switch=slow:{WORK}",),
        storm,
        (
            Claim("on: attempts a chat are at most 1 + ratio + burst / chats", bounded),
            Claim("off: more than 1.4 attempts a chat", lambda it: it["off"]["attempts a chat"] > 1.4),
            Claim(
                "on: the switch answers at least 20 points more of the last third",
                lambda it: _late(it, "on") >= _late(it, "off") + 20,
                timed=True,
            ),
        ),
        "without a budget retries keep the queue alive after its cause is gone; judged by attempts a chat",
    ),
    Scene(
        "retry_budget",
        "guarded",
        "one request in twenty fails, and a retry mends it",
        PATIENT,
        {"off": OFF, "on": ON},
        ("switch=slow:0.005", "switch=failing:0.05"),
        hiccups,
        (
            Claim("retries are made", lambda it: it["on"]["retries"] > 0),
            Claim("on: at most two are refused", lambda it: it["on"]["retries refused for want of budget"] <= 2),
            Claim("on: the switch answers at least 99 %", lambda it: it["on"]["by the switch %"] >= 99),
        ),
        "the budget would hurt if it refused retries that cost little; it is judged by those refused",
    ),
)


def _late(it: Sides, side: str) -> float:
    return it[side]["by the switch in the last third %"]
