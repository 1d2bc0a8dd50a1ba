"""The wall clock is set back, ahead, or runs fast, while a breaker is open, an override holds, a session is limited and a chat waits."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from benchmarks.losses.case import Case, Claim, Figures, Told, exactly, none, times, within
from benchmarks.losses.child import Child, serving
from benchmarks.losses.replayed import replayed
from benchmarks.losses.skewed import Clock
from benchmarks.losses.stage import Stage, until_or_never
from sidecar.lab.town import Lab

HOUR = 3600.0
EXPIRES = 1800.0  # seconds from the start until the chaos rule ends, by the wall clock
DEADLINE = 1.25  # seconds
POLICY = """
deadline: {{client: 1500ms, margin: 250ms}}
guards: {{rate_limit: 2 per 30s}}
breaker: {{open: {{base: 20s, max: 20s, jitter: 0}}}}
chaos:
  - {{name: broken, target: any, percentage: 100%, header: {{x-chaos: break-me}}, abort: 503, expires_at: "{expires}"}}
"""
EXACT = 0.25  # seconds that two readings of one monotonic figure may be apart from what passed between them


class Step(NamedTuple):
    """What is done to the clock: seconds ahead, further seconds a second, and how long we look on."""

    name: str
    words: str
    ahead: float
    faster: float = 0.0


class Reading(NamedTuple):
    """Figures that count down, in seconds, and when they were read."""

    at: float
    breaker: float
    override: float
    limit: float


async def play(step: Step, stage: Stage) -> Figures:
    clock, journal = Clock(stage.where / "clock"), stage.where / "journal"
    expires = datetime.fromtimestamp(time.time() + EXPIRES, UTC).isoformat(timespec="seconds")
    program = ("-m", "benchmarks.losses.skewed", str(stage.where / "clock"))
    policy = POLICY.format(expires=expires)
    async with Lab(seed=stage.seed) as lab:
        async with serving(
            stage.where, lab.urls, "--allow-chaos", "--journal", str(journal), policy=policy, program=program
        ) as child:
            await _prepare(lab, child)
            await lab.fault("madre", "hang")
            before = await _read(child)
            waiting = asyncio.create_task(child.client.chat(session="waits"))
            await asyncio.sleep(0.3)
            chaos_before = (await child.scrape()).counted("chaos_active")
            clock.set(step.ahead, step.faster)
            chat = await waiting
            await until_or_never(lambda: _chaos_off(child), 2.0)
            after = await _read(child)
            scrape = await child.scrape()
            await lab.clear("madre")
            other = await child.client.chat(session="after")
            lines, state = child.lines(), await child.state()
        found = await replayed(journal)
    passed = after.at - before.at
    moments = [datetime.fromisoformat(line["time"]).timestamp() for line in lines]
    return {
        "ahead s": step.ahead,
        "waited s": chat.seconds,
        "answered by local": chat.provider == "local",
        "breaker off s": abs(before.breaker - after.breaker - passed),
        "override off s": abs(before.override - after.override - passed),
        "limit off s": abs(before.limit - after.limit - passed),
        "breaker open": state["targets"]["switch"]["breaker"]["state"] == "open",
        "next chat answered": other.status == 200,
        "chaos before": chaos_before,
        "chaos after": scrape.counted("chaos_active"),
        "chaos off said": sum(line["event"] == "chaos_off" for line in lines),
        "log moved s": max((b - a for a, b in itertools.pairwise(moments)), key=abs),
        "replayed": found["fidelity"]["calls"],
        "replayed otherwise": found["fidelity"]["differing"],
        "journal lines not in order": found["skipped_lines"],
        "longest stall s": max((line["seconds"] for line in lines if line["event"] == "loop_stalled"), default=0.0),
    }


async def _prepare(lab: Lab, child: Child) -> None:
    """An open breaker, an override, and a session that has had all it may."""
    await lab.fault("switch", "500")
    for _ in range(3):
        await child.client.chat()
    await lab.clear("switch")
    held = {
        "target": "madre",
        "kind": "forced_closed",
        "author": "kill-tests",
        "reason": "a clock is set",
        "ttl": "60s",
    }
    assert await child.order("/overrides", **held) == 200
    for _ in range(2):
        await child.client.chat(session="limited")


async def _read(child: Child) -> Reading:
    state, limited = await child.state(), await child.client.chat(session="limited")
    breaker = state["targets"]["switch"]["breaker"]["probe_in_seconds"]
    held = state["overrides"][0]["seconds_left"] if state["overrides"] else 0.0
    return Reading(time.perf_counter(), breaker or 0.0, held, float(limited.fields.get("Retry-After", 0)))


async def _chaos_off(child: Child) -> bool:
    return bool(child.lines("chaos_off"))


def tell(it: Figures) -> Told:
    off = max(it["breaker off s"], it["override off s"])
    chaos = "ends" if it["chaos after"] < it["chaos before"] else "goes on"
    lost = (
        f"nothing: the waiting chat answered after {it['waited s']:.2f} s of {DEADLINE:g}, breaker and override right to "
        f"{1000 * off:.0f} ms, the 429 to {it['limit off s']:.1f} s; {it['replayed']:.0f} calls replay the same"
    )
    said = (
        f"chaos whose `expires_at` is {EXPIRES / 60:.0f} min away {chaos} (`chaos_off` {times(it['chaos off said'])}); "
        f"times in the log move by {it['log moved s']:+.0f} s, those of the journal do not"
    )
    return Told(lost, said, "at once: deadlines, breakers, limits, TTLs and the journal go by the monotonic clock")


def _case(step: Step) -> Case:
    ends = step.ahead > EXPIRES
    after = exactly("chaos after", 0.0 if ends else 1.0, "chaos goes by the clock as it is set")
    moved = Claim("times in the log are those of the clock", lambda it: abs(it["log moved s"] - it["ahead s"]) < 60)
    return Case(
        f"clock {step.name}",
        lambda _: (
            f"{step.words}, in the sidecar's process alone, while a breaker is open, an override holds and a chat waits"
        ),
        partial(play, step),
        tell,
        (
            within("waited s", DEADLINE + EXACT, "the chat that waits is answered within its deadline"),
            exactly("answered by local", 1, "by us"),
            within("breaker off s", EXACT, "the breaker opens for as long as it said"),
            exactly("breaker open", 1, "the breaker is open as before"),
            within("override off s", EXACT, "an override holds for as long as it said"),
            within("limit off s", 1.0 + EXACT, "a limit holds for as long as it said"),
            exactly("next chat answered", 1, "the next chat is answered"),
            exactly("chaos before", 1, "chaos was on"),
            after,
            exactly("chaos off said", float(ends), "the end of chaos is said"),
            none("replayed otherwise", "every call replays as it was"),
            none("journal lines not in order", "the journal's times stay in order"),
            within("longest stall s", 60.0, "it is taken for no stall"),
            *([moved] if step.ahead else []),
        ),
        brief=step.name == "ahead",
    )


CASES = tuple(
    _case(step)
    for step in (
        Step("back", "the wall clock set back by an hour", -HOUR),
        Step("ahead", "the wall clock set ahead by an hour", HOUR),
        Step("drift", "the wall clock runs a tenth faster", 0.0, 0.1),
    )
)
