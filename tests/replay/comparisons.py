"""Comparisons as a replay could come to them, made up and always the same: an afternoon in which the switch hangs, then flaps."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import lru_cache

from sidecar.replay.column import Column, Comparison, Difference, Held, Interval, Slice

NAMES = (
    "recorded",
    "policies/one-second.yaml",
    "policies/first-rung.yaml",
    "policies/default.yaml",
    "candidates/short-breaker.yaml",
    "candidates/long-breaker.yaml",
    "candidates/no-retry.yaml",
    "candidates/teams/support/a-name-that-somebody-chose-without-thinking-of-tables.yaml",
)
HANGS, FLAPS = (0.30, 0.45), (0.62, 0.80)  # of the whole time


@lru_cache(maxsize=16)
def comparison(columns: int = 3, *, span: float = 4 * 3600.0, slices: int = 240, rate: float = 2.0) -> Comparison:
    """``columns`` of them, ``rate`` calls a second over ``span`` seconds."""
    listed = tuple(column(place, span=span, slices=slices, rate=rate) for place in range(columns))
    differences = [
        each
        for base in (0, 1)[: columns - 1]
        for place in range(base + 1, columns)
        for each in _differences(listed, base, place)
    ]
    said = (
        "switch has 4 periods in which it behaved alike; attempts that nobody made are drawn from those of their period.",
        "In the longest, 3.1% of the attempts were cut off; beyond that times are lognormal with a median of 0.412 s and a sigma of 0.61.",
        "madre has one period; attempts that nobody made are drawn from those of their period.",
        "Each candidate is in force from the first chat to the last, begins with closed breakers and an empty memory.",
    )
    return Comparison(listed, tuple(differences), said, 0.95)


def column(place: int, *, span: float, slices: int, rate: float) -> Column:
    """The better, the further right, in most respects."""
    luck, arrivals = random.Random(place), random.Random("the same for all")
    width = span / slices
    came = [
        max(
            round(
                rate * width * (0.7 + 0.5 * math.sin(n / slices * math.pi))
                + arrivals.gauss(0, math.sqrt(rate * width) / 3)
            ),
            0,
        )
        for n in range(slices)
    ]
    cut = tuple(
        _slice(luck, number * width, width, number / slices, (calls, place)) for number, calls in enumerate(came)
    )
    outcomes = {
        name: sum(getattr(each, name) for each in cut)
        for name in ("primary", "fallback", "local", "failed", "client_gone")
    }
    calls, attempts = sum(each.calls for each in cut), sum(each.attempts for each in cut)
    answered = calls - outcomes["client_gone"]
    held = {target: _held(luck, span, place, target) for target in ("switch", "madre")}
    distribution = latencies(luck, place)
    quantiles = {
        f"p{share * 100:g}": next(at for at, reached in distribution if reached >= share) for share in (0.5, 0.95, 0.99)
    }
    figures: dict[str, object] = {
        "calls": calls,
        "outcomes": outcomes,
        "providers": {"switch": outcomes["primary"], "madre": outcomes["fallback"], "local": outcomes["local"]},
        "reasons": {"none": outcomes["primary"], "open": outcomes["fallback"] // 2, "timeout": outcomes["local"]},
        "verdicts": {"switch": {"success": outcomes["primary"], "retryable": 40 + place}, "madre": {"success": outcomes["fallback"]}},
        "degraded_share": round(1 - outcomes["primary"] / answered, 4),
        "availability": round((outcomes["primary"] + outcomes["fallback"]) / answered, 4),
        "attempts": attempts,
        "attempts_per_call": round(attempts / calls, 4),
        "latency_seconds": quantiles,
        "breaker_open_seconds": {t: round(sum(h.until - h.since for h in each if h.state == "open"), 3) for t, each in held.items() if each},
        "deadline_misses": 3 if place == 0 else 0,
    }  # fmt: skip
    intervals = {
        name: Interval(value * 0.93, min(value * 1.06, 1.0 if name == "availability" else math.inf))
        for name, value in _compared(figures).items()
    }
    assumed = {} if not place else {"censored": 7 * place, "imputed": 411 * place * place, "unknown": 0}
    return Column(
        NAMES[place],
        "" if not place else f"{place:x}a41c0de{place:x}",
        figures,
        intervals,
        distribution,
        cut,
        held,
        assumed,
    )


def latencies(luck: random.Random, place: int) -> tuple[tuple[float, float], ...]:
    """Two humps, a tail, and an atom where the local answer goes out."""
    late = 4.75 - 0.45 * place if place else 4.75
    times = sorted(
        min(
            luck.lognormvariate(-2.1 + 0.08 * place, 0.5)
            if luck.random() < 0.8
            else luck.lognormvariate(-0.3, 0.6 - 0.04 * place),
            late,
        )
        for _ in range(20_000)
    )
    ranks = sorted(
        {math.ceil(step / 200 * len(times)) for step in range(1, 201)}
        | {math.ceil((1 - 10 ** (-step / 20)) * len(times)) for step in range(20, 81)}
    )
    return tuple((times[rank - 1], rank / len(times)) for rank in ranks)


def _slice(luck: random.Random, start: float, width: float, at: float, of: tuple[int, int]) -> Slice:
    """``at``: where in the whole time; ``of``: how many calls, and the place of the column."""
    calls, place = of
    ill = (
        0.95 - 0.03 * place if HANGS[0] <= at < HANGS[1] else 0.5 - 0.05 * place if FLAPS[0] <= at < FLAPS[1] else 0.01
    )
    degraded = min(round(calls * max(ill + luck.gauss(0, 0.02), 0)), calls)
    gone = min(round(calls * 0.004 * luck.random() * 3), calls - degraded)
    local = round(degraded * max(0.6 - 0.08 * place, 0))
    failed = round(degraded * 0.06) if place == 0 else 0
    attempts = calls + round(degraded * (0.4 + 0.05 * (7 - place)) - (degraded * 0.5 if place > 1 else 0))
    return Slice(start, width, calls, calls - degraded - gone, degraded - local - failed, local, failed, gone, attempts)


def _held(luck: random.Random, span: float, place: int, target: str) -> tuple[Held, ...]:
    if target == "madre":
        return (Held("forced_closed", span * 0.85, span * 0.9),) if place == 0 else ()
    at, found = span * HANGS[0], []
    while at < span * HANGS[1]:  # open, a probe, open again
        until = at + luck.uniform(8, 15) * (1 + place)
        found += [Held("open", at, until), Held("half_open", until, until + 0.4)]
        at = until + 0.4
    at = span * FLAPS[0]
    while at < span * FLAPS[1]:  # open, a probe, closed for a while
        until = at + luck.uniform(5, 12)
        found += [Held("open", at, until), Held("half_open", until, until + 0.1)]
        at = until + luck.uniform(20, 60) * (1 + place)
    found.append(Held("open", span * 0.93, span * 0.93 + 6))
    if place in {1, 4}:
        found.append(Held("forced_open", span * 0.95, span * 0.98))
    return tuple(found)


def _compared(figures: dict[str, object]) -> dict[str, float]:
    quantiles = figures["latency_seconds"]
    assert isinstance(quantiles, dict)
    plain = {name: figures[name] for name in ("degraded_share", "availability", "attempts_per_call")}
    return {name: value for name, value in {**plain, **quantiles}.items() if isinstance(value, float)}


def _differences(columns: Sequence[Column], base: int, place: int) -> list[Difference]:
    ours, theirs = _compared(dict(columns[place].figures)), _compared(dict(columns[base].figures))
    found = []
    for name, value in ours.items():
        difference, doubt = value - theirs[name], theirs[name] * (0.04 if name != "availability" else 0.01)
        found.append(
            Difference(
                columns[base].name,
                columns[place].name,
                name,
                difference,
                Interval(difference - doubt, difference + doubt),
            )
        )
    return found
