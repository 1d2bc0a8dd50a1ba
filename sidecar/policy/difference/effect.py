"""When a change takes effect, and what a reload does to what is remembered from call to call.

A reload swaps the policy whole. Chats under way end by the one they began with; breakers, budgets, limiters, rate limits and observed
latencies stay and take the new numbers, as their ``adopt`` says, but for the window of a breaker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from sidecar.policy.difference.change import Change, listed
from sidecar.policy.units import duration_text as t

Effect = Literal["reload", "start", "rules"]
"""Once the file is saved; only when the sidecar starts again; only once alert rules were built anew."""

_JUDGED = ("min_calls", "failure_rate", "consecutive", "slow_call", "half_open")


def effect(change: Change) -> Effect:
    if change.field.startswith("journal.") or (change.field == "auth.mode" and change.new == "off"):
        return "start"
    return "rules" if change.field.startswith("slo.") else "reload"


def memory(change: Change) -> str | None:
    """What happens to what is remembered when a reload brings this change; None where nothing is."""
    if change.field == "auth.mode" and change.new == "off":
        return (
            "while serving a file alone cannot turn it off: the reload is refused, and the policy before stays in force"
        )
    words = _MEMORY.get(change.field)
    if words is not None:
        return words(change)
    _, _, breaker = change.field.partition("targets[].breaker.")
    part = breaker.partition(".")[0]
    if part == "window":
        return "the window starts empty; state, open time and failures in a row stay"
    if part == "open":
        return "a breaker that is open keeps the end it was given"
    return "what was counted stays, and is judged by the new number" if part in _JUDGED else None


def _ladder(change: Change) -> str:
    added = [name for name in change.new if name not in change.old]
    removed = [name for name in change.old if name not in change.new]
    said = []
    if added:
        said.append(
            f"{listed(added)}: a closed breaker, a full budget and nothing observed, unless it stood there before"
        )
    if removed:
        said.append(f"what is remembered of {listed(removed)} is kept for a return")
    return "; ".join(said) or "what is remembered of each target stays"


def _burst(change: Change) -> str:
    if change.up:
        return "the balance stays, and grows by deposits: a reload buys no retries"
    return f"a balance above {change.new:g} is cut to it"


def _concurrent(change: Change) -> str:
    if change.was.limiter.adaptive == change.now.limiter.adaptive == "gradient":
        return _FOUND(change)
    return "who waits is let in at once" if change.up else "nobody under way is cut; the limit is reached as they end"


def _adaptive(change: Change) -> str:
    return "the limit that was found is forgotten" if change.new == "off" else "it starts at max_concurrent"


def _least(change: Change) -> str | None:
    return _FOUND(change) if change.was.limiter.adaptive == change.now.limiter.adaptive == "gradient" else None


def _sessions(change: Change) -> str:
    return "who is remembered stays" if change.up else "those idle longest are forgotten with the next chat"


def _stick(change: Change) -> str:
    if change.new:
        return "stays that have begun end when they would have; new ones begin with the next chat that falls back"
    return "every session is asked for at the primary again with its next chat"


def _always(words: str) -> Callable[[Change], str]:
    return lambda _: words


_FOUND = _always("the limit that was found stays, within the new bounds")
_DRAWN = _always("dashboards draw the new line at once")

_COUNTED = _always("what was counted stays, and is judged by the new number")
_NEXT_PROBE = _always("holds from the next probe on")

_MEMORY: Mapping[str, Callable[[Change], str | None]] = MappingProxyType(
    {
        "targets": _ladder,
        "targets[].reserve": _always("observed answer times stay"),
        "targets[].retry_budget.ratio": _always("the balance stays"),
        "targets[].retry_budget.burst": _burst,
        "targets[].hedge.max_extra_load": _always("what was saved up for hedges stays"),
        "affinity.stick": _stick,
        "targets[].limiter.max_concurrent": _concurrent,
        "targets[].limiter.queue": _always("nobody who waits is turned away"),
        "targets[].limiter.adaptive": _adaptive,
        "targets[].limiter.min_concurrent": _least,
        "targets[].limiter.slow_start": _always("one that is under way takes the new time"),
        "guards.rate_limit": _always("chats that were counted stay counted"),
        "guards.anonymous_rate_limit": _always("chats that were counted stay counted"),
        "guards.max_sessions": _sessions,
        "slo.availability": _DRAWN,
        "slo.undegraded": _DRAWN,
        "slo.latency.quantile": _DRAWN,
        "slo.latency.threshold": _DRAWN,
        "relay.limits.connections": _always("connections that stand stay"),
        "targets[].health.mode": _always(
            "what probes have said is forgotten, and the first one comes within an interval"
        ),
        "targets[].health.rise": _COUNTED,
        "targets[].health.fall": _COUNTED,
        "targets[].health.path": _NEXT_PROBE,
        "targets[].health.timeout": _NEXT_PROBE,
        "targets[].health.jitter": _NEXT_PROBE,
        "targets[].health.interval": lambda change: f"holds from the next probe on, {t(change.old)} later at most",
        "dormant.poll": lambda change: f"holds from the next time madre is asked on, {t(change.old)} later at most",
    }
)
