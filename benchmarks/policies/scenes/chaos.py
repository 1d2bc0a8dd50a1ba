"""Chaos: attempts broken on purpose.

A drill is worth something if it breaks what it says, no more and no less, and if whoever is not asked to break anything breaks nothing: a
rule in a file is armed only, and one that has expired stays expired whatever an operator orders.
"""

from __future__ import annotations

from math import sqrt

from benchmarks.policies.figures import answered, attempts
from benchmarks.policies.scene import Claim, Figures, Scene, Sides
from benchmarks.policies.stage import Stage

SHARE = 0.2
SURE = 4.0  # standard deviations of a binomial share: chance is beyond them once in 16,000 runs
BASE = """
breaker: {consecutive: 0, failure_rate: 100%, min_calls: 10000, window: {size: 10000}}
targets:
  - {name: switch, limiter: {max_concurrent: 100}}
  - {name: local}
"""
RULE = "chaos: [{{name: drill, target: switch, percentage: {share:.0%}, abort: 503, expires_at: {until}}}]\n"
ALIVE, OVER = "2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


async def drilled(stage: Stage) -> Figures:
    """Chats at a pace at which nothing else goes wrong."""
    count = stage.calls(600, 150)
    chats = await stage.chats(stage.arrivals(60.0, count))
    scrape = await stage.scrape()
    broken = scrape.counted("chaos_faults_total")
    return {"chats": count, **answered(chats), **attempts(scrape, chats), "broken on purpose %": 100 * broken / count}


async def ordered(stage: Stage) -> Figures:
    """Chats before anybody gave permission, and after an operator did."""
    count = stage.calls(200, 40)
    await stage.chats(stage.arrivals(60.0, count))
    before = (await stage.scrape()).counted("chaos_faults_total")
    await stage.order("/chaos", author="bench", reason="a drill", ttl="1m")
    chats = await stage.chats(stage.arrivals(60.0, count))
    after = (await stage.scrape()).counted("chaos_faults_total") - before
    return {"broken before the order": before, "broken after it": after, **answered(chats)}


def as_stated(it: Sides) -> bool:
    """Whether the share that was broken is what the rule states, as far as chance allows."""
    far = SURE * 100 * sqrt(SHARE * (1 - SHARE) / it["on"]["chats"])
    return abs(it["on"]["broken on purpose %"] - 100 * SHARE) <= far


SCENES = (
    Scene(
        "chaos",
        "helps",
        "a drill: a fifth of what the switch is asked fails, and who was to answer then does",
        BASE,
        {"off": "", "on": RULE.format(share=SHARE, until=ALIVE)},
        (),
        drilled,
        (
            Claim("off: nothing is broken", lambda it: it["off"]["broken on purpose %"] == 0),
            Claim("on: a fifth is, as far as chance allows", as_stated),
            Claim(
                "on: exactly the chats that were not broken are answered by the switch",
                lambda it: abs(it["on"]["by the switch %"] + it["on"]["broken on purpose %"] - 100) < 1e-6,
            ),
        ),
        "the share that is stated goes down the ladder, and nothing besides; judged by the share that was broken",
        ("--allow-chaos",),
    ),
    Scene(
        "chaos",
        "guarded",
        "rules in a file, a process that was not started for them, and an operator who orders them",
        BASE,
        {
            "off": "",
            "on": RULE.format(share=1.0, until=ALIVE),
            "expired": RULE.format(share=1.0, until=OVER),
        },
        (),
        ordered,
        (
            Claim(
                "nobody breaks anything by a file alone",
                lambda it: all(s["broken before the order"] == 0 for s in it.values()),
            ),
            Claim("on: the order breaks what the rule says", lambda it: it["on"]["broken after it"] > 0),
            Claim("expired: not even the order does", lambda it: it["expired"]["broken after it"] == 0),
            Claim("off: there is nothing to order", lambda it: it["off"]["broken after it"] == 0),
        ),
        "a file breaks nothing without a permission beside it, nor after its time; judged by what was broken before and after the order",
    ),
)
