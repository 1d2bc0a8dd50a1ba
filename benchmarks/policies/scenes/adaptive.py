"""The adaptive limit: as many at once as the target answers without making them wait for each other.

It pays where `max_concurrent` is a guess that is far too high: what waits at a serial switch waits until it times out, and is worked on
all the same. It would hurt if it took bursts, idle gaps or one long chat for a reason to let nobody through.
"""

from __future__ import annotations

from benchmarks.policies.figures import answered, attempts, share, times
from benchmarks.policies.scene import Claim, Figures, Scene
from benchmarks.policies.stage import Stage

QUIET, BUSY = 6.0, 30.0  # chats a second: alone, and half as much again as the switch does
ATTEMPT = 1.0  # seconds
SLOTS = 40  # half of which are in use where BUSY chats time out after ATTEMPT: below half a limit learns nothing
BURST, EVERY = 10, 1.5  # chats at once, and seconds from one burst to the next
BASE = """
deadline: {client: 6s}
breaker: {consecutive: 0, failure_rate: 100%, min_calls: 10000, window: {size: 10000}, slow_call: {rate: 100%}}
targets:
  - {name: switch}
  - {name: local}
"""
LIMITS = f"max_concurrent: {SLOTS}, queue: 8, queue_timeout: 300ms"
FEW = "max_concurrent: 16, queue: 8, queue_timeout: 300ms"


async def crowded(stage: Stage) -> Figures:
    """A quiet beginning, and then more than the switch can do."""
    quiet = [number / QUIET for number in range(stage.calls(24, 15))]
    busy = [quiet[-1] + offset for offset in stage.arrivals(BUSY, stage.calls(450, 240))]
    chats = (await stage.chats([*quiet, *busy]))[len(quiet) :]
    scrape = await stage.scrape()
    seconds = max(chat.start + chat.seconds for chat in chats) - chats[0].start
    good = share(chats, lambda chat: not chat.degraded)
    return {
        **answered(chats),
        "by the switch, a second": good * len(chats) / 100 / seconds,
        **times(chats),
        "p95 of the second half ms": times(chats[len(chats) // 2 :])["p95 ms"],
        "timeouts at the switch": scrape.counted("upstream_attempts_total", target="switch", result="timeout"),
        "slots at the end": scrape.counted("limiter_limit", target="switch"),
    }


async def bursts(stage: Stage) -> Figures:
    """A quiet beginning, then ten at once, nothing, ten at once; now and then one takes long."""
    quiet = [number / 4 for number in range(12)]
    turns = stage.calls(12, 2)
    chats = await stage.chats(
        [*quiet, *(quiet[-1] + (turn + 1) * EVERY for turn in range(turns) for _ in range(BURST))]
    )
    scrape = await stage.scrape()
    return {
        **answered(chats),
        **times(chats),
        **attempts(scrape, chats),
        "turned away by the limit": scrape.counted("target_refusals_total", target="switch", reason="limited"),
        "slots at the end": scrape.counted("limiter_limit", target="switch"),
    }


SCENES = (
    Scene(
        "adaptive",
        "helps",
        f"a serial switch, {SLOTS} slots, and half as many chats again as it can answer",
        BASE + f"timeouts: {{attempt: {ATTEMPT:g}s}}\n",
        {"off": f"limiter: {{{LIMITS}}}\n", "on": f"limiter: {{adaptive: gradient, {LIMITS}}}\n"},
        ("switch=slow:0.05",),
        crowded,
        (
            Claim(
                "on: at the end there are half the slots or fewer", lambda it: it["on"]["slots at the end"] <= SLOTS / 2
            ),
            Claim(
                "on: fewer timeouts",
                lambda it: it["on"]["timeouts at the switch"] < it["off"]["timeouts at the switch"],
            ),
            Claim(
                "on: half of the timeouts or fewer",
                lambda it: it["on"]["timeouts at the switch"] <= 0.5 * it["off"]["timeouts at the switch"],
                timed=True,
            ),
            Claim(
                "on: the switch answers more",
                lambda it: it["on"]["by the switch %"] > it["off"]["by the switch %"],
                timed=True,
            ),
            Claim(
                "on: once it has found its limit the p95 is lower",
                lambda it: it["on"]["p95 of the second half ms"] < it["off"]["p95 of the second half ms"],
                timed=True,
            ),
        ),
        "what cannot be answered in time does not wait at the switch until it times out; judged by timeouts and slots",
    ),
    Scene(
        "adaptive",
        "guarded",
        "bursts with nothing in between, and one chat in thirty takes two seconds longer",
        BASE + "timeouts: {attempt: 5s}\n",
        {"off": f"limiter: {{{FEW}}}\n", "on": f"limiter: {{adaptive: gradient, {FEW}}}\n"},
        ("switch=lognormal:0.2:0.1", "switch=straggling:0.033:2"),
        bursts,
        (
            Claim("on: a burst still fits", lambda it: it["on"]["slots at the end"] >= BURST),
            Claim("on: nobody is turned away", lambda it: it["on"]["turned away by the limit"] == 0),
            Claim("on: the switch answers everybody", lambda it: it["on"]["by the switch %"] == 100),
        ),
        "neither a burst nor one long chat is evidence of a full target; judged by the slots left and by who is turned away",
    ),
)
