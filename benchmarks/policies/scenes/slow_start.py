"""Slow start: a target that has just recovered gets one chat at a time at first.

It pays where a switch that comes back is cold: all slots at once wait for each other behind the first and time out, and its breaker opens
again.
It would hurt if it turned chats away where there are hardly any.
"""

from __future__ import annotations

import asyncio

from benchmarks.policies.figures import answered, by_switch, share
from benchmarks.policies.scene import Claim, Figures, Scene
from benchmarks.policies.scrape import Scrape
from benchmarks.policies.stage import Stage

AWAY = (0.5, 1.5)  # seconds: when the switch is not there
COLD = "cold:0.4:12"
BASE = """
deadline: {client: 4s}
dormant: {mode: ignore}
timeouts: {attempt: 800ms}
breaker: {consecutive: 3, open: {base: 500ms, max: 500ms, multiplier: 1, jitter: 0}, half_open: {close_after: 1}}
targets:
  - {name: switch}
  - {name: local}
"""
LIMITS = "max_concurrent: 16, queue: 4, queue_timeout: 100ms"
SIDES = {"off": f"limiter: {{{LIMITS}}}\n", "on": f"limiter: {{{LIMITS}, slow_start: 10s}}\n"}


async def cold(stage: Stage) -> Figures:
    """Traffic that would fill all slots when the switch comes back."""
    return await _away(stage, 0.04, stage.calls(250, 130))


async def thin(stage: Stage) -> Figures:
    """One chat at a time, with a pause after each."""
    return await _away(stage, 0.4, stage.calls(20, 12))


async def _away(stage: Stage, every: float, count: int) -> Figures:
    async with asyncio.TaskGroup() as group:
        turns = group.create_task(_turns(stage))
        chats = await stage.chats([number * every for number in range(count)])
    before, after = turns.result(), await stage.scrape()

    def since(name: str, **labels: str) -> float:
        return after.counted(name, target="switch", **labels) - before.counted(name, target="switch", **labels)

    return {
        **answered(chats),
        "by the switch in the last quarter %": share(chats[-count // 4 :], by_switch),
        "timeouts since it is back": since("upstream_attempts_total", result="timeout"),
        "its breaker opened again": since("breaker_transitions_total", to="open"),
        "turned away by the limit": since("target_refusals_total", reason="limited"),
    }


async def _turns(stage: Stage) -> Scrape:
    """The switch goes and comes back; what was counted up to then."""
    await asyncio.sleep(AWAY[0])
    await stage.lab.fault("switch", "refuse")
    await asyncio.sleep(AWAY[1] - AWAY[0])
    await stage.lab.clear("switch")
    await stage.lab.fault("switch", COLD)
    return await stage.scrape(now=True)


SCENES = (
    Scene(
        "slow_start",
        "helps",
        "a serial switch comes back cold, and 25 chats a second wait for it",
        BASE,
        SIDES,
        (),
        cold,
        (
            Claim(
                "on: half of the timeouts or fewer",
                lambda it: it["on"]["timeouts since it is back"] <= 0.5 * it["off"]["timeouts since it is back"],
            ),
            Claim("off: there are some", lambda it: it["off"]["timeouts since it is back"] >= 3),
            Claim("on: its breaker opens no more often", lambda it: _opened(it["on"]) <= _opened(it["off"])),
        ),
        "it warms up with one chat at a time and nobody waits in vain; judged by timeouts and by how often its breaker opens again",
    ),
    Scene(
        "slow_start",
        "guarded",
        "the same, and one chat every 0.4 s",
        BASE,
        SIDES,
        (),
        thin,
        (
            Claim("on: nobody is turned away", lambda it: it["on"]["turned away by the limit"] == 0),
            Claim(
                "on: the switch answers the last quarter, as it does off",
                lambda it: (
                    it["on"]["by the switch in the last quarter %"]
                    == it["off"]["by the switch in the last quarter %"]
                    == 100
                ),
            ),
        ),
        "one slot is enough where there is one chat at a time; judged by those turned away",
    ),
)


def _opened(figures: Figures) -> float:
    return figures["its breaker opened again"]
