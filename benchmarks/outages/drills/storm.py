"""A retry storm: a switch that is loaded well stalls for a moment, and what waits meanwhile is asked again.

Retries of what is late add to the queue that made it late, and a switch that works on what nobody waits for never comes to those who
still wait. The cause is gone, its effect keeps itself alive: a metastable failure (Bronson, Aghayev, Charapko and Zhu, "Metastable failures
in distributed systems", HotOS 2021). The shipped policy cannot get there: it sends a chat to the switch once. So it is played as it
is; with retries of silence and everything that bounds them; with each bound taken away alone; and with none.
"""

from __future__ import annotations

from benchmarks.outages import figures
from benchmarks.outages.claims import ALWAYS, amplified
from benchmarks.outages.drills.outage import table
from benchmarks.outages.setting import NO_BREAKER, NO_LIMITER, Claim, Drill, Form, Run, Setting, Way, each, of_switch
from benchmarks.outages.upstream import Capacity, Trouble

SWITCH = Capacity(4, 0.1, 0.2)
LOAD = 0.65  # of what it can do
STALL, BRIEF_STALL = 5.0, 2.0  # seconds; with the brief one open times and claims are scaled alike
BACK = 20.0  # seconds from the end of the cause
LAST = 5.0  # seconds at the end of a run, in which a storm that keeps itself alive is to be seen
STORM = 0.5  # share: below, the switch has not come back

RETRIES = "effects: none, timeouts: {attempt: 1s}, retry: {max_attempts: 3, on_timeout: true}"
NO_BUDGET = "retry_budget: {ratio: 100%, burst: 1000}"
SHIPPED, GUARDED, UNGUARDED = "shipped", "retries", "retries, no guard"
SIDES = {
    SHIPPED: (),
    GUARDED: (RETRIES,),
    "retries, no budget": (RETRIES, NO_BUDGET),
    "retries, no breaker": (RETRIES, NO_BREAKER),
    "retries, no limiter": (RETRIES, NO_LIMITER),
    "retries, limiter only": (RETRIES, NO_BUDGET, NO_BREAKER),
    "retries, breaker only": (RETRIES, NO_BUDGET, NO_LIMITER),
    "retries, budget only": (RETRIES, NO_BREAKER, NO_LIMITER),
    UNGUARDED: (RETRIES, NO_BUDGET, NO_BREAKER, NO_LIMITER),
}
LIVE = (SHIPPED, GUARDED, UNGUARDED)


def settings(form: Form, way: Way) -> list[Setting]:
    brief = form.brief and way == "live"
    before, stall, after = (2.0, BRIEF_STALL, BACK * BRIEF_STALL / STALL + 3.0) if brief else (40.0, STALL, 40.0)
    opens = form.breaker(scale=STALL / stall)
    trouble = Trouble("stalled", before, before + stall)

    def one(name: str) -> Setting:
        states = opens + of_switch(*SIDES[name])
        return Setting(name, states, LOAD * SWITCH.rate, before + stall + after, SWITCH, trouble)

    return [one(name) for name in (SIDES if way == "virtual" else LIVE)]


def _guarded(run: Run) -> bool:
    return run.name in (SHIPPED, GUARDED)


def _unguarded(run: Run) -> bool:
    return run.name == UNGUARDED


def _back(run: Run) -> str | None:
    trouble = run.setting.trouble
    most = BACK * (trouble.until - trouble.since) / STALL
    after = figures.back(run)
    return f"back after {after:.1f} s, {most:.0f} allowed" if after > most else None


def _stormed(run: Run) -> str | None:
    """The drill would be of no use if nothing happened without guards."""
    last = figures.share([chat for chat in run.chats if chat.at >= run.setting.lasts - LAST], figures.SWITCH)
    return f"the switch answers {last:.0%} in the end" if last >= STORM else None


DRILL = Drill(
    "storm",
    f"a switch of {SWITCH.at_once} at a time, {LOAD:.0%} loaded, stalls for {STALL:g} s",
    settings,
    table,
    (
        *ALWAYS,
        Claim(
            f"shipped, and with guarded retries: the switch answers 99 % again within {BACK:g} s",
            each(_back, _guarded),
        ),
        Claim(
            "there, attempts are at most chats · (1 + ratio) + burst",
            each(amplified, _guarded),
        ),
        Claim(
            f"with no guard the storm keeps itself alive: below {STORM:.0%} in the last {LAST:g} s",
            each(_stormed, _unguarded),
        ),
    ),
)
