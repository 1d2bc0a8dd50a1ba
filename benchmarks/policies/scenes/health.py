"""Health probes: a target that is down is left out before a chat finds out.

They pay where traffic is thin: without them the next chats wait for a switch that has died, and it is back for long before one of them
tries. They would hurt if a switch that is busy were taken for dead: it answers nothing else while it works on a chat, its /health included.
"""

from __future__ import annotations

import asyncio

from benchmarks.policies.figures import answered, times
from benchmarks.policies.scene import Claim, Figures, Scene
from benchmarks.policies.stage import Stage

# The power state says that the switch is off, as it does in a VX11 nobody has touched: it must not explain anything here.
BASE = """
deadline: {client: 6s}
dormant: {mode: ignore}
breaker: {consecutive: 2, open: {base: 30s, max: 30s, multiplier: 1, jitter: 0}, half_open: {close_after: 1}}
"""
DEAD = BASE + "timeouts: {attempt: 700ms}\n"
BUSY = BASE + "timeouts: {attempt: 4s}\n"
PROBE = "health: {{mode: probe, {pace}, rise: 2, fall: 2}}"
LADDER = """
targets:
  - {{name: switch, limiter: {{max_concurrent: 16}}{more}}}
  - {{name: madre}}
  - {{name: local}}
"""
FAULTS = ("madre=detached",)
GONE = 0.8  # seconds: when the switch hangs; nobody chats at that moment
WAITING = (3.2, 4.4)  # when chats come while it does
BACK = 5.4
AFTER = (7.6, 8.0, 8.4)  # and when it is back


def sides(pace: str) -> dict[str, str]:
    return {"off": LADDER.format(more=""), "on": LADDER.format(more=", " + PROBE.format(pace=pace))}


async def dead(stage: Stage) -> Figures:
    """A chat now and then, a switch that hangs in between, and is back."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_turns(stage))
        chats = await stage.chats([0.0, *WAITING, *AFTER])
    scrape = await stage.scrape()
    after = chats[-len(AFTER) :]
    return {
        "chats that waited for it in vain": scrape.counted(
            "upstream_attempts_total", target="switch", result="timeout"
        ),
        "by the switch once it is back": sum(chat.provider == "switch" for chat in after),
        "longest wait while it is away ms": 1000 * max(chat.seconds for chat in chats[1 : 1 + len(WAITING)]),
        "probes": scrape.total("health_probes_total", target="switch"),
    }


async def _turns(stage: Stage) -> None:
    await asyncio.sleep(GONE)
    await stage.lab.fault("switch", "hang")
    await asyncio.sleep(BACK - GONE)
    await stage.lab.clear("switch")


async def busy(stage: Stage) -> Figures:
    """Chats nearly one after the other, each of which stalls /health for longer than a probe waits."""
    count = stage.calls(30, 10)
    chats = await stage.chats([number * 0.5 for number in range(count)])
    scrape = await stage.scrape()
    return {
        **answered(chats),
        **times(chats),
        "left out as down": scrape.total("target_refusals_total", target="switch", reason="unhealthy"),
        "probes": scrape.total("health_probes_total", target="switch"),
        "of them, silence that said nothing": scrape.total("health_probes_total", target="switch", result="busy"),
    }


SCENES = (
    Scene(
        "health",
        "helps",
        "the switch hangs while nobody chats, and is back before anybody tries it",
        DEAD,
        sides("interval: 500ms, jitter: 0.1, timeout: 450ms"),
        FAULTS,
        dead,
        (
            Claim(
                "off: chats wait for it in vain",
                lambda it: it["off"]["chats that waited for it in vain"] == len(WAITING),
            ),
            Claim("on: none does", lambda it: it["on"]["chats that waited for it in vain"] == 0),
            Claim(
                "on: it answers every chat once it is back, and off none while its breaker is open",
                lambda it: (
                    (it["on"]["by the switch once it is back"], it["off"]["by the switch once it is back"])
                    == (len(AFTER), 0)
                ),
            ),
        ),
        "probes find out, and no user pays for it, neither for the end nor for the return; judged by attempts that timed out",
    ),
    Scene(
        "health",
        "guarded",
        "a serial switch is busy four fifths of the time, and its /health waits with everything else",
        BUSY,
        sides("interval: 300ms, jitter: 0.5, timeout: 150ms"),
        (*FAULTS, "switch=slow:0.4"),
        busy,
        (
            Claim(
                "on: probes were left without an answer", lambda it: it["on"]["of them, silence that said nothing"] > 0
            ),
            Claim("on: it is never left out", lambda it: it["on"]["left out as down"] == 0),
            Claim("on: it answers everybody", lambda it: it["on"]["by the switch %"] == 100),
        ),
        "silence while a chat is in flight says nothing: busy is not dead; judged by chats that were kept from it",
    ),
)
