"""Hedging: a second request where the first is late.

It pays where lateness is bad luck, and that of the second request is another one. It would hurt where everybody is late because the target
has too much to do: a serial switch works on both requests, so that each hedge makes all that come after it later.
"""

from __future__ import annotations

from benchmarks.policies.figures import answered, attempts, times
from benchmarks.policies.scene import Claim, Figures, Scene, Sides
from benchmarks.policies.stage import Stage

LOAD = 0.1  # hedges are at most this share of the calls, in the scene in which they help
GUARD = 0.02  # and in the one in which they would hurt
BASE = """
deadline: {client: 5s}
timeouts: {attempt: 1500ms}
breaker: {consecutive: 0, failure_rate: 100%, min_calls: 10000, window: {size: 10000}}
targets:
  - {name: switch, effects: none, limiter: {max_concurrent: 100}}
  - {name: local}
"""


async def unlucky(stage: Stage) -> Figures:
    """Eight in a hundred take a second longer than they need."""
    return await _loaded(stage, 50.0, stage.calls(800, 150))


async def busy(stage: Stage) -> Figures:
    """A serial switch at eight tenths of what it can do."""
    return await _loaded(stage, 16.0, stage.calls(300, 50))


async def _loaded(stage: Stage, rate: float, count: int) -> Figures:
    chats = await stage.chats(stage.arrivals(rate, count))
    scrape = await stage.scrape()
    hedges = scrape.counted("hedges_total")
    return {
        **answered(chats),
        **times(chats),
        **attempts(scrape, chats),
        "hedges %": 100 * hedges / count,
        "of them, won by the hedge %": 100 * scrape.total("hedges_total", won="hedge") / hedges if hedges else 0.0,
        "refused for their share of the load": scrape.counted("hedges_denied_total", reason="load"),
    }


def within(share: float) -> Claim:
    words = f"on: hedges are at most {share:.0%} of the chats, and off there is none"
    return Claim(words, lambda it: it["on"]["hedges %"] <= 100 * share + 1e-9 and it["off"]["hedges %"] == 0)


def by_switch(it: Sides, side: str) -> float:
    return it[side]["by the switch %"]


SCENES = (
    Scene(
        "hedge",
        "helps",
        "eight in a hundred requests to the switch take a second longer, and nobody knows why",
        BASE,
        {"off": "", "on": f"hedge: {{enabled: true, delay: 200ms, max_extra_load: {LOAD:.0%}}}\n"},
        ("switch=lognormal:0.03:0.3", "switch=straggling:0.08:1"),
        unlucky,
        (
            within(LOAD),
            Claim("on: hedges win", lambda it: it["on"]["of them, won by the hedge %"] > 0),
            Claim(
                "on: the p95 is less than half", lambda it: it["on"]["p95 ms"] < 0.5 * it["off"]["p95 ms"], timed=True
            ),
            Claim(
                "on: the median is no longer by more than a fifth",
                lambda it: it["on"]["p50 ms"] < 1.2 * it["off"]["p50 ms"],
                timed=True,
            ),
        ),
        "the tail goes, for a share of requests more that is bounded; judged by p95 and p99, and by hedges as a share of the chats",
    ),
    Scene(
        "hedge",
        "guarded",
        "a serial switch is nearly at its limit, so that most requests are late",
        BASE,
        {
            "off": "",
            "on": f"hedge: {{enabled: true, delay: 80ms, max_extra_load: {GUARD:.0%}}}\n",
            "without guards": "hedge: {enabled: true, delay: 80ms, max_extra_load: 100%}\nretry_budget: {ratio: 100%, burst: 1000}\n",
        },
        ("switch=slow:0.05",),
        busy,
        (
            within(GUARD),
            Claim("without guards: hedges are more than a fifth", lambda it: it["without guards"]["hedges %"] > 20),
            Claim(
                "on: the switch answers as many, within 5 points",
                lambda it: by_switch(it, "on") > by_switch(it, "off") - 5,
                timed=True,
            ),
            Claim(
                "without guards: it answers fewer, by 10 points or more",
                lambda it: by_switch(it, "without guards") < by_switch(it, "off") - 10,
                timed=True,
            ),
        ),
        "where everybody is late hedges would finish the switch off; judged by hedges as a share of the chats, which max_extra_load bounds",
    ),
)
