"""What several drills claim."""

from __future__ import annotations

from benchmarks.outages import figures
from benchmarks.outages.setting import Claim, Run, each

THIN = 10  # chats: so many more may come until two probes of thin traffic have closed a breaker
BACK = 5.0  # seconds that they may take where chats are many


def _failed(run: Run) -> str | None:
    lost = figures.failed(run.chats)
    return f"{len(lost)} failed: {figures.reasons(lost)}" if lost else None


def _late(run: Run) -> str | None:
    found = figures.late(run, run.chats)
    slowest = max((chat.seconds for chat in found), default=0.0)
    return f"{len(found)} late, the slowest {slowest:.2f} s" if found else None


def _agree(run: Run) -> str | None:
    """Live a request that was not answered may have been lost on its way: its connection or its time ended before it was read."""
    told = sum(asked.sent or run.way == "virtual" for asked in run.asked)
    lost = sum(asked.sent and not asked.answered for asked in run.asked) if run.way == "live" else 0
    got = len(run.got)
    return None if told - lost <= got <= told else f"the sidecars tell of {told} requests, the switch of {got}"


def _left(run: Run) -> str | None:
    return "; ".join(run.left) or None


def _well(run: Run) -> str | None:
    before = figures.share(figures.within(run, figures.phases(run)[0], figures.judged(run)), figures.SWITCH)
    return f"{before:.1%} before" if before < run.setting.well else None


ALWAYS = (
    Claim("no chat fails", each(_failed)),
    Claim("no answer comes later than the client waits", each(_late)),
    Claim("before, the switch answers 99 %", each(_well), timed=True),
    Claim("sidecars and switch agree on how often it was asked", each(_agree)),
    Claim("in the end no slot and no permit is held", each(_left)),
)


def longest_open(run: Run) -> float:
    """Seconds: no open time is longer."""
    return run.setting.policy.policy.ladder[0].breaker.open.max


def patience_of_recovery(run: Run) -> float:
    """Seconds after which the switch must answer again: the longest open time, and the chats that close a breaker."""
    return longest_open(run) + max(BACK, THIN * run.setting.replicas / run.setting.rate)


def back_in_time(run: Run) -> str | None:
    after, most = figures.back(run), patience_of_recovery(run)
    return f"back after {after:.1f} s, {most:.1f} allowed" if after > most else None


def amplified(run: Run) -> str | None:
    """By the retry budget's own guarantee."""
    budget = run.setting.policy.policy.ladder[0].retry_budget
    most = len(run.chats) * (1 + budget.ratio) + budget.burst
    return f"{len(run.asked)} attempts, {most:.0f} allowed" if len(run.asked) > most else None
