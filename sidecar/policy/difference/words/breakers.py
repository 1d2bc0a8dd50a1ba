"""When a failing target is left alone, for how long, and how it comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from types import MappingProxyType

from sidecar.policy.difference.change import Change, many, times
from sidecar.policy.model import Window
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text


def _window(window: Window) -> str:
    return f"its last {window.size} calls" if window.type == "count" else f"its calls of the last {t(window.duration)}"


def _reads(change: Change) -> str:
    was, now = change.was.breaker.window, change.now.breaker.window
    return f"the breaker of {change.name} reads its rates from {_window(now)} instead of {_window(was)}"


def _extent(kind: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        now = change.now.breaker.window.type
        if now != kind:
            return f"nothing: breaker.window.type of {change.name} is {now}"
        if change.was.breaker.window.type != kind:
            return _reads(change)
        weight = (
            "one call weighs less, and the past counts for longer"
            if change.up
            else "one call weighs more, and the past is forgotten sooner"
        )
        return f"{_reads(change)}: {weight}"

    return words


def _sooner(change: Change) -> str:
    return "later" if change.up else "sooner"


def _min_calls(change: Change) -> str:
    return (
        f"the rates of {change.name} are read from {many(change.new, 'call')} on instead of {change.old}: its breaker can open "
        f"{_sooner(change)} by them"
    )


def _share(what: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        window = change.now.breaker.window
        full = f" ({ceil(round(change.new * window.size, 9))} of {window.size})" if window.type == "count" else ""
        return (
            f"the breaker of {change.name} opens at {share_text(change.new)} {what}{full} instead of {share_text(change.old)}: "
            f"{_sooner(change)}"
        )

    return words


def _consecutive(change: Change) -> str:
    if not change.new:
        return f"no number of failures in a row opens the breaker of {change.name} any more, only the rates do"
    failures = many(change.new, "failure")
    if not change.old:
        return f"the breaker of {change.name} opens after {failures} in a row, whatever the rates are"
    return f"the breaker of {change.name} opens after {failures} in a row instead of {change.old}: {_sooner(change)}"


def _slow(change: Change) -> str:
    most = change.after.attempt.most
    if change.new > most:
        return f"no call of {change.name} is slow: none lasts longer than {t(most)}"
    counts = "fewer calls are" if change.up else "more calls are"
    return f"a call of {change.name} is slow from {t(change.new)} on instead of {t(change.old)}: {counts}"


def _back(change: Change) -> str:
    late = times(change.before.degraded, change.after.degraded, " at the latest")
    return f"that {change.name} is back is noticed after {late}"


def _base(change: Change) -> str:
    return f"after its first trip {change.name} is left alone for about {t(change.new)} instead of {t(change.old)}; {_back(change)}"


def _max(change: Change) -> str:
    return f"however often it trips, {change.name} is left alone for {t(change.new)} at most instead of {t(change.old)}; {_back(change)}"


def _multiplier(change: Change) -> str:
    if change.new == 1:
        return f"every open time of {change.name} is as long as the first, instead of {change.old:g} times the one before; {_back(change)}"
    return (
        f"each trip in a row makes the open time of {change.name} {change.new:g} times as long instead of {change.old:g}, up to "
        f"{t(change.now.breaker.open.max)}; {_back(change)}"
    )


def _jitter(change: Change) -> str:
    apart = "further apart" if change.up else "closer together" if change.new else "at the same moment"
    return (
        f"open times of {change.name} are spread by ±{share_text(change.new)} instead of ±{share_text(change.old)}: several sidecars "
        f"ask it again {apart}; {_back(change)}"
    )


def _permits(change: Change) -> str:
    risk = (
        "found out sooner, and more chats are late if it is not" if change.up else "fewer chats are late if it is not"
    )
    chats = many(change.new, "chat")
    return f"{chats} at a time may try whether {change.name} is back instead of {change.old}: {risk}"


def _close_after(change: Change) -> str:
    then = "later, and less likely too soon" if change.up else "sooner, and more likely too soon"
    probes = many(change.new, "good probe")
    return f"the breaker of {change.name} closes after {probes} in a row instead of {change.old}: {then}"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "targets[].breaker.window.type": _reads,
        "targets[].breaker.window.size": _extent("count"),
        "targets[].breaker.window.duration": _extent("time"),
        "targets[].breaker.min_calls": _min_calls,
        "targets[].breaker.failure_rate": _share("failures"),
        "targets[].breaker.consecutive": _consecutive,
        "targets[].breaker.slow_call.duration": _slow,
        "targets[].breaker.slow_call.rate": _share("slow calls"),
        "targets[].breaker.open.base": _base,
        "targets[].breaker.open.max": _max,
        "targets[].breaker.open.multiplier": _multiplier,
        "targets[].breaker.open.jitter": _jitter,
        "targets[].breaker.half_open.permits": _permits,
        "targets[].breaker.half_open.close_after": _close_after,
    }
)
