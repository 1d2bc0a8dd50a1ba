"""A minute without the switch: hung, or gone, at 1, 10 and 50 chats a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from benchmarks.outages import figures
from benchmarks.outages.claims import ALWAYS, back_in_time
from benchmarks.outages.setting import Claim, Drill, Form, Run, Setting, Way, each
from benchmarks.outages.upstream import Capacity, Trouble
from sidecar.policy.model import BreakerPolicy

KINDS: tuple[Literal["hung", "refusing"], ...] = ("hung", "refusing")
CASES = [(kind, rate) for kind in KINDS for rate in (1, 10, 50)]
BRIEF: list[tuple[Literal["hung", "refusing"], int]] = [("hung", 10), ("refusing", 50)]
SWITCH = Capacity(8, 0.04)
HALF = 0.5  # seconds within which half of the chats are answered, whatever the switch does


def settings(form: Form, way: Way) -> list[Setting]:
    brief = form.brief and way == "live"
    since, after = (2.0, 8.0) if brief else (10.0, 30.0 / form.scale + 15.0)
    states, until = form.breaker(), since + form.minute
    return [
        Setting(f"{kind}, {rate}/s", states, rate, until + after, SWITCH, Trouble(kind, since, until))
        for kind, rate in (BRIEF if brief else CASES)
    ]


def most_asked(run: Run) -> int:
    """Attempts during the outage, whatever the load: until its breaker has tripped, and one for each open time at its shortest."""
    target = run.setting.policy.policy.ladder[0]
    trouble = run.setting.trouble
    return (
        target.limiter.max_concurrent
        + target.breaker.consecutive
        + _probes(target.breaker, trouble.until - trouble.since)
    )


def _probes(breaker: BreakerPolicy, seconds: float) -> int:
    """As many as there are open times, one after the other, in so many seconds."""
    times, middle, count = breaker.open, breaker.open.base, 0
    most = times.max / (1 + times.jitter)
    while seconds > 0:
        seconds -= min(middle, most) * (1 - times.jitter)
        middle *= times.multiplier
        count += 1
    return count


def _spared(run: Run) -> str | None:
    asked, most = figures.asked(run, figures.phases(run)[1]), most_asked(run)
    return f"asked {asked} times during the outage, {most} allowed" if asked > most else None


def _quick(run: Run) -> str | None:
    found = sorted(chat.seconds for chat in figures.within(run, figures.phases(run)[1]))
    return f"half of them after {found[len(found) // 2]:.2f} s" if found[len(found) // 2] > HALF else None


def table(played: Sequence[Sequence[Run]]) -> tuple[Sequence[str], list[Sequence[object]]]:
    return figures.HEAD, [row for runs in played for row in figures.rows(runs)]


DRILL = Drill(
    "outage",
    "a minute without the switch, the shipped policy",
    settings,
    table,
    (
        *ALWAYS,
        Claim("during the outage the switch is asked as often as its breaker probes, whatever the load", each(_spared)),
        Claim(f"half of the chats during it are answered within {HALF:g} s", each(_quick), timed=True),
        Claim("the switch answers 99 % again within the longest open time and 5 s, or ten chats", each(back_in_time)),
    ),
)
