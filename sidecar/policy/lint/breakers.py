"""Breakers: those that cannot open, those that open at nothing, and those that ask before they can know."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.lint.finding import Found, Rung
from sidecar.policy.units import duration_text as t

_LATE = 300.0  # seconds of outage after which a breaker that still waits for calls protects nobody


def of_a_target(rung: Rung) -> Iterator[Found]:
    yield from _window(rung)
    yield from _thresholds(rung)
    longest, base = rung.figures.attempt.most, rung.target.breaker.open.base
    if base < longest:
        yield rung.found(
            "open-shorter-than-probe",
            f"a probe of {rung.name} may take {t(longest)}, so after {t(base)} of open time it is asked again before it could "
            f"have recovered, and hangs for longer than it rests: write {t(longest)} or more",
            "breaker.open.base",
            "timeouts.attempt",
            "deadline.client",
        )


def _window(rung: Rung) -> Iterator[Found]:
    """Whether the window can ever hold the calls from which the rates are read."""
    breaker = rung.target.breaker
    if breaker.window.type == "time":
        too_few = _too_few(rung, breaker.window.duration)
        if too_few:
            yield rung.found(*too_few, "breaker.window.duration", "breaker.min_calls")
    elif rung.observed.rate and not breaker.consecutive:
        rate = rung.observed.rate
        takes = breaker.min_calls * rate.per / rate.calls
        if takes > _LATE:
            yield rung.found(
                "breaker-arms-late",
                f"at {rate} the {breaker.min_calls} calls from which the rates are read take {t(takes)} to come, and with "
                "consecutive: 0 nothing opens it before: write fewer, or consecutive: 3",
                "breaker.min_calls",
                "breaker.consecutive",
            )


def _too_few(rung: Rung, window: float) -> tuple[str, str] | None:
    """Code and words for a time window that never holds ``min_calls``, or not while the target hangs."""
    breaker, rate = rung.target.breaker, rung.observed.rate
    else_what = (
        f"only {breaker.consecutive} failures in a row open it"
        if breaker.consecutive
        else "with consecutive: 0 it never opens"
    )
    code = "breaker-window-too-short" if breaker.consecutive else "breaker-never-opens"
    if rate and rate.calls * window / rate.per < breaker.min_calls:
        return code, (
            f"at {rate} a window of {t(window)} holds {rate.calls * window / rate.per:.3g} calls and the rates are read from "
            f"{breaker.min_calls} on, so {else_what}: write {t(breaker.min_calls * rate.per / rate.calls)} or more, or type: count"
        )
    hangs = rung.figures.attempt.most
    holds = rung.figures.concurrent * (int(window / hangs) + 1)
    if holds < breaker.min_calls:
        return code, (
            f"while {rung.name} hangs a call takes {t(hangs)}, so with {rung.figures.concurrent} at once a window of {t(window)} "
            f"holds {holds} of them and the rates are read from {breaker.min_calls} on; {else_what}: write a longer window, or "
            "type: count"
        )
    if hangs * (breaker.min_calls - 1) > window:
        return "breaker-window-too-short", (
            f"while {rung.name} hangs one user's calls end {t(hangs)} apart, so a window of {t(window)} holds fewer than the "
            f"{breaker.min_calls} from which the rates are read: write {t(hangs * (breaker.min_calls - 1))} or more, or type: count"
        )
    return None


def _thresholds(rung: Rung) -> Iterator[Found]:
    breaker = rung.target.breaker
    if not breaker.consecutive and breaker.failure_rate == 1:
        yield rung.found(
            "breaker-only-total",
            f"with consecutive: 0 and 100% one good answer in the window keeps it closed, however sick {rung.name} is: write "
            "50%, or consecutive: 3",
            "breaker.failure_rate",
            "breaker.consecutive",
        )
    for field, trips in (
        ("consecutive", breaker.consecutive == 1),
        ("min_calls", breaker.min_calls == 1),
        ("failure_rate", breaker.failure_rate == 0),
        ("slow_call.rate", breaker.slow_call.rate == 0),
    ):
        if trips:
            yield rung.found(
                "breaker-trips-on-one",
                f"one bad call opens it and takes {rung.name} from everybody for {t(breaker.open.base)} or more: write a larger one",
                f"breaker.{field}",
            )
