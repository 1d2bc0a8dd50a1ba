"""A world from a number: the same one for the same number, in every process.

What is drawn is weighted towards trouble, because that is where decisions are: floods into few slots, targets that flap faster than
breakers open, clients with hardly any patience, reloads that turn everything round while calls wait. One in four worlds lives on a
grid of tenths of a second, so that many things happen at the very same moment.
"""

from __future__ import annotations

import random
from typing import Any

from .world import OUTCOMES, START, Happening, Hold, Leap, Phase, Power, Reload, Stretch, World

TARGETS = ("switch", "madre")
FAILURES = tuple(name for name in OUTCOMES if name not in ("ok", "no-socket"))  # the last is no answer of a target
UNSENT = ("connect", "dns", "connect-timeout")
RETRIED = (*UNSENT, "reset", "429", "502", "503", "504")  # by an empty policy file, where effects allow it
SIZES = (5, 20, 60, 120, 250)  # calls of a world, about
LEAPS = (0.3, 2.0, 10.0, 3600.0)  # seconds: a process that was starved, a machine that slept
FOCUSES = ("anything", "anything", "retries", "queues", "power", "breakers")
"""What a world is mostly about: where everything may happen at once, little of it happens long enough to lead to something."""

DEADLINES = ({}, {}, {}, {"client": "1s", "margin": "100ms"}, {"client": "20s"}, {"client": "3s", "margin": "10ms"})


def generate(number: int) -> World:
    """The world with that number."""
    luck = random.Random(number)
    focus = luck.choice(FOCUSES)
    grid = luck.random() < 0.25
    stretches = _stretches(luck, focus, grid=grid)
    end = max(stretch.at + stretch.calls * stretch.every for stretch in stretches) + 5.0
    phases = [phase for target in TARGETS for phase in _phases(luck, focus, target, end, grid=grid)]
    policy = _policy(luck, focus)
    happenings: list[Happening] = []
    if luck.random() < 0.6 or focus == "power":
        for _ in range(luck.randint(1, 6)):
            happenings += _happenings(luck, focus, policy, end)
    if luck.random() < (0.5 if focus == "breakers" else 0.2):
        happenings += [Leap(luck.uniform(START, end), luck.choice(LEAPS)) for _ in range(luck.randint(1, 3))]
    timed = [one._replace(at=round(one.at, 1)) if grid else one for one in happenings]
    return World(
        luck.getrandbits(63), policy, tuple(stretches), tuple(phases), tuple(sorted(timed, key=lambda one: one.at))
    )


# -- who comes --------------------------------------------------------------------------------------------------------


def _stretches(luck: random.Random, focus: str, *, grid: bool) -> list[Stretch]:
    calls = luck.choice(SIZES)
    found: list[Stretch] = []
    at, first = START, 1
    while first <= calls:
        every = luck.choice((0.1, 0.2, 1.0)) if grid else luck.choice((0.0, 0.02, 0.1, 0.1, 0.3, 0.3, 1.0, 4.0))
        some = min(luck.randint(1, calls), 60 if every == 0 else 20 if every > 1 else calls)
        leaving = luck.choice((0.0, 0.0, 0.1, 0.5))
        leaves = luck.choice((0.0, 0.1, 0.3, 0.5, 1.0, 3.0, 4.0)) if leaving else 0.0
        if leaving and focus == "retries":
            leaves = luck.choice((0.1, 0.3))
        patience = luck.choice((*(None,) * 12, 1.0, 1.0, 0.3, 0.3, 0.06, 0.02))
        found.append(Stretch(at, some, every, first, patience, leaving, leaves, not grid and luck.random() < 0.7))
        first += some
        if luck.random() < 0.7:  # else the next stretch runs beside this one
            at = round(at + some * every + luck.choice((0.0, 0.5, 3.0, 10.0)), 6)
    return found


# -- how targets behave -----------------------------------------------------------------------------------------------


def _phases(luck: random.Random, focus: str, target: str, end: float, *, grid: bool) -> list[Phase]:
    if luck.random() < 0.3:  # flapping
        every, bad = luck.choice((0.5, 2.0, 10.0)), _bad(luck, focus, target)
        listed = [_well(target) if turn % 2 else bad for turn in range(min(int((end - START) / every) + 1, 60))]
        phases = [phase._replace(since=START + turn * every) for turn, phase in enumerate(listed)]
    else:
        times = [0.0, *sorted(luck.uniform(START, end) for _ in range(luck.randint(0, 4)))]
        phases = [
            (_well(target) if luck.random() < 0.4 else _bad(luck, focus, target))._replace(since=at) for at in times
        ]
    if grid:
        return [
            phase._replace(since=round(phase.since, 1), median=luck.choice((0.1, 0.2, 0.5, 1.0)), sigma=0.0) for phase in phases
        ]  # fmt: skip
    return phases


def _well(target: str) -> Phase:
    return Phase(target, median=0.05, sigma=0.4)


def _bad(luck: random.Random, focus: str, target: str) -> Phase:
    some = tuple(luck.sample(FAILURES, luck.randint(1, 4)))
    refusing = Phase(target, median=0.003, sigma=0.2, failing=luck.choice((0.4, 0.7, 1.0)), failures=UNSENT)
    slow = Phase(target, median=luck.choice((0.3, 1.0, 2.5, 3.5)), sigma=0.5)
    if focus == "retries" and luck.random() < 0.8:
        return luck.choice((refusing, Phase(target, median=0.03, sigma=0.6, failing=0.6, failures=RETRIED)))
    if focus == "queues" and luck.random() < 0.6:
        return slow
    if focus == "power" and luck.random() < 0.8:
        return luck.choice((refusing, Phase(target, median=0.03, failing=0.9, failures=some)))
    return luck.choice((
        slow,
        refusing,
        Phase(target, median=0.05, sigma=0.4, hanging=luck.choice((0.3, 0.9, 1.0))),
        Phase(target, median=0.03, sigma=0.6, failing=luck.choice((0.3, 0.9, 1.0)), failures=some),
        Phase(target, median=0.4, sigma=1.0, failing=0.4, failures=FAILURES, hanging=0.1),
    ))  # fmt: skip


# -- what policies say ------------------------------------------------------------------------------------------------


def _policy(luck: random.Random, focus: str) -> dict[str, Any]:
    """A policy as a file would state it. Now and then it is an empty file."""
    if luck.random() < 0.1:
        return {}
    burst = luck.choice((3, 20, 20) if focus == "retries" else (0, 0.5, 1, 3, 20))
    return {
        "targets": _ladder(luck, focus),
        "deadline": luck.choice(DEADLINES),
        "timeouts": {"attempt": luck.choice(("auto", "auto", "200ms", "800ms", "3s"))},
        "retry": _retry(luck, focus),
        "retry_budget": {"ratio": luck.choice(("0%", "20%", "50%", "100%")), "burst": burst},
        "breaker": _breaker(luck, focus),
        "limiter": _limiter(luck, focus),
        "fallback": {
            "on": luck.choice((CAUSES, CAUSES, CAUSES, ["failure"], ["open", "limited"], [])),
            "local": luck.choice(("answer", "answer", "error")),
        },
        "dormant": {"mode": luck.choice(("explain", "obey", "ignore"))},
        "outcome": luck.choice(({}, {}, {}, *RULES)),
    }


OPEN_TIMES = (("100ms", "400ms"), ("200ms", "1s"), ("500ms", "2s"), ("500ms", "500ms"))
RELOADED = {"queues": ("limiter",), "breakers": ("retry", "limiter", "breaker"), "retries": ("retry_budget", "retry")}
"""Which section alone is changed by a reload; anything by default."""
CAUSES = ["open", "failure", "timeout", "budget", "limited", "dormant", "misconfigured"]
RULES = (
    {"misconfigured": [{"status": [503]}], "degraded": [{"body": {"status": ["partial"]}}]},
    {"failure": [{"body": {"status": ["WAITING"]}}, {"error": ["not-json"]}], "caller_error": [{"status": [502]}]},
    {"caller_error": [{"error": ["too-large"]}], "misconfigured": [{"error": ["dns"]}, {"error": ["timeout"]}]},
)


def _ladder(luck: random.Random, focus: str) -> list[dict[str, Any]]:
    names = luck.choice((("switch", "madre"),) * 6 + (("madre", "switch"), ("switch",), ("madre",), ()))
    return [*(_target(luck, focus, name) for name in names), {"name": "local"}]


def _target(luck: random.Random, focus: str, name: str) -> dict[str, Any]:
    stated: dict[str, Any] = {"name": name}
    if luck.random() < 0.6:
        stated["effects"] = luck.choice(("none", "dedup", "unsafe"))
    if luck.random() < 0.4:
        stated["reserve"] = luck.choice(("100ms", "1s", "2s", "10s"))
    if luck.random() < 0.2:
        stated["limiter"] = _limiter(luck, focus)
    if luck.random() < 0.2:
        stated["breaker"] = _breaker(luck, focus)
    return stated


def _retry(luck: random.Random, focus: str) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "max_attempts": luck.randint(2 if focus == "retries" else 1, 5),
        "on_timeout": luck.random() < 0.25,
        "only_if_unsent": luck.random() < 0.7,
        "backoff": {
            "base": luck.choice(("1ms", "25ms", "100ms", "300ms")),
            "max": luck.choice(("250ms", "1s")) if luck.random() < 0.7 else "300ms",
            "respect_retry_after": luck.random() < 0.7,
        },
    }
    if luck.random() < 0.3:
        stated["on"] = luck.choice((["connect-failure"], [500, 503], ["reset-before-headers", 429], []))
    return stated


def _breaker(luck: random.Random, focus: str) -> dict[str, Any]:
    """One that trips now and then: where it does nothing else, hardly anybody is asked any more."""
    size = luck.choice((5, 10, 20))
    window = {"type": "time", "duration": luck.choice(("1s", "2s", "10s"))}
    stated: dict[str, Any] = {"window": luck.choice(({"type": "count", "size": size}, window))}
    if focus not in ("breakers", "power") and luck.random() < 0.6:
        return {
            **stated,
            "min_calls": size,
            "failure_rate": "100%",
            "consecutive": 0,
            "slow_call": {"duration": "3s", "rate": "100%"},
        }
    base, most = luck.choice((*OPEN_TIMES, ("5s", "15s"))) if focus != "power" else ("5s", "15s")
    return {
        **stated,
        "min_calls": luck.choice((1, 3, 5, size)),
        "failure_rate": luck.choice(("10%", "50%", "50%", "100%")),
        "consecutive": luck.choice((0, 0, 1, 3, 5)),
        "slow_call": {"duration": luck.choice(("100ms", "1s", "3s")), "rate": luck.choice(("20%", "80%", "100%"))},
        "open": {
            "base": base,
            "max": most,
            "multiplier": luck.choice((1, 1.5, 2, 10)),
            "jitter": luck.choice((0, 0.3, 1)),
        },
        "half_open": {"permits": luck.choice((1, 1, 2, 5)), "close_after": luck.choice((1, 2, 2, 5))},
    }


def _limiter(luck: random.Random, focus: str) -> dict[str, Any]:
    queues = focus == "queues"
    return {
        "max_concurrent": luck.choice((1, 2, 4) if queues else (1, 2, 4, 8, 30)),
        "queue": luck.choice((4, 8, 30) if queues else (0, 1, 2, 4, 8, 30)),
        "queue_timeout": luck.choice(("900ms", "3s") if queues else (0, "100ms", "200ms", "900ms", "3s")),
    }


# -- what happens besides ---------------------------------------------------------------------------------------------


def _happenings(luck: random.Random, focus: str, policy: dict[str, Any], end: float) -> list[Happening]:
    """One thing that happens, and often that it is over a little later."""
    at = luck.uniform(START, end)
    over = at + luck.choice((0.2, 1.0, 5.0))
    what = luck.choice(("reload", "reload", "hold", "hold", "power"))
    if luck.random() < 0.8:
        what = {"power": "power", "queues": "reload"}.get(focus, what)
    if what == "reload":
        other = _policy(luck, focus)
        if luck.random() < 0.6 and other and policy:  # all else as it was: what is remembered stays
            section = luck.choice(RELOADED.get(focus, tuple(other)))
            other = {**policy, section: other[section]}
        return [Reload(at, other)] if luck.random() < 0.7 else [Reload(at, other), Reload(over, policy)]
    if what == "hold":
        target, override = luck.choice(TARGETS), luck.choice(("forced_open", "forced_closed", "off"))
        return (
            [Hold(at, target, override)]
            if luck.random() < 0.2
            else [Hold(at, target, override), Hold(over, target, None)]
        )
    if luck.random() < 0.3:
        return [Power(at, luck.choice((None, (), ("madre",), ("madre", "switch"))))]
    return [Power(at, ("madre",)), Power(over, ("madre", "switch"))]
