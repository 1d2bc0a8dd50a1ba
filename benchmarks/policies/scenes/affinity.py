"""Affinity: a session that fell back stays with whom it fell to.

While the switch comes and goes a conversation would be answered by turns, by two that do not know each other's answers. It would hurt if a
session stayed for good: the switch is back, and madre goes on answering.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.policies.client import Chat
from benchmarks.policies.figures import answered, by_switch, share
from benchmarks.policies.scene import Claim, Figures, Scene
from benchmarks.policies.stage import Stage

SESSIONS = 6
EVERY = 0.15  # seconds between two chats, of whichever session: each chats once in 0.9 s
BASE = """
deadline: {client: 5s}
dormant: {mode: ignore}
guards: {rate_limit: 1000 per 60s}
breaker: {consecutive: 2, open: {base: 300ms, max: 300ms, multiplier: 1, jitter: 0}, half_open: {close_after: 1}}
targets:
  - {name: switch}
  - {name: madre, limiter: {max_concurrent: 8}}
  - {name: local}
"""
FAULTS = ("madre=detached",)
FLAP = 1.0  # seconds that the switch is there, and then not, and again
OUTAGE = (0.5, 1.5)  # seconds: when it is not there, once
STICK = 1.0
SETTLED = 3.5  # seconds: by then every stay is over, an open breaker's time included


async def flapping(stage: Stage) -> Figures:
    """Sessions that chat on while the switch goes and comes."""
    turns = [(FLAP * number, number % 2 == 1) for number in range(1, 100)]
    chats = await _talk(stage, turns, stage.calls(120, 36))
    return {
        **answered(chats),
        "changes of who answers, a session": changes(chats) / SESSIONS,
        "passed over for affinity": (await stage.scrape()).total("target_refusals_total", reason="affinity"),
    }


async def recovering(stage: Stage) -> Figures:
    """One outage, and then all is well."""
    chats = await _talk(stage, [(OUTAGE[0], True), (OUTAGE[1], False)], stage.calls(60, 36))
    return {
        **answered(chats),
        "by madre after the outage": sum(chat.provider == "madre" and chat.start > OUTAGE[1] + 0.5 for chat in chats),
        f"by the switch from {SETTLED:g} s on %": share([chat for chat in chats if chat.start > SETTLED], by_switch),
        "passed over for affinity": (await stage.scrape()).total("target_refusals_total", reason="affinity"),
    }


async def _talk(stage: Stage, turns: Sequence[tuple[float, bool]], count: int) -> list[Chat]:
    """Every session in turn; ``turns`` says when the switch is gone (true) or there."""
    turning = asyncio.create_task(_turning(stage, turns))
    try:
        offsets = [number * EVERY for number in range(count)]
        return await stage.chats(offsets, session=lambda number: f"talk-{number % SESSIONS}")
    finally:
        turning.cancel()


async def _turning(stage: Stage, turns: Sequence[tuple[float, bool]]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for at, gone in turns:
        await asyncio.sleep(began + at - loop.time())
        await stage.lab.fault("switch", "refuse" if gone else "ok")


def changes(chats: Sequence[Chat]) -> int:
    """How often a session's chat was answered by somebody else than its last one."""
    talks: defaultdict[str, list[str]] = defaultdict(list)
    for chat in chats:
        talks[chat.session].append(chat.provider)
    return sum(one != next_ for talk in talks.values() for one, next_ in itertools.pairwise(talk))


SCENES = (
    Scene(
        "affinity",
        "helps",
        "the switch comes and goes every second, and six sessions talk on",
        BASE,
        {"off": "", "on": "affinity: {stick: 60s}\n"},
        FAULTS,
        flapping,
        (
            Claim(
                "on: at most one change a session on average",
                lambda it: it["on"]["changes of who answers, a session"] <= 1,
            ),
            Claim("off: two or more", lambda it: it["off"]["changes of who answers, a session"] >= 2),
            Claim("on: sessions stayed", lambda it: it["on"]["passed over for affinity"] > 0),
        ),
        "a conversation is answered by one of the two; judged by changes of who answers, and paid for in degraded answers",
    ),
    Scene(
        "affinity",
        "guarded",
        "the switch is away once, and comes back for good",
        BASE,
        {"off": "", "on": f"affinity: {{stick: {STICK:g}s}}\n"},
        FAULTS,
        recovering,
        (
            Claim("on: sessions stayed with madre at first", lambda it: it["on"]["passed over for affinity"] > 0),
            Claim(
                f"on: from {SETTLED:g} s on the switch answers every chat again",
                lambda it: it["on"][f"by the switch from {SETTLED:g} s on %"] == 100,
            ),
        ),
        "a stay counts from the fall and ends although the conversation goes on; judged by who answers once `stick` is over",
    ),
)
