"""Thresholds of a breaker from how often a target fails by chance while it is well, and its open time from how long it is not.

* ``breaker.consecutive``: as few failures in a row as a well target has by chance once in ``QUIET`` days at most. For chance p that one
  fails, n calls see n·p^k runs of k failures at most.
* ``breaker.min_calls``: as few calls as show ``failure_rate`` by chance once in as many days; the window is made larger where they do not
  fit into it.
* ``breaker.open.base``: √(2·D/λ) for outages of D seconds and λ chats a second. Probing an outage every o seconds costs D/o users their
  time, and those who come before the first probe after it are λ·o/2 users that nobody need have sent elsewhere; the sum is least there (the
  square-root rule of Harris, 1913). Not longer than ``breaker.open.max``; where a probe may take longer, that is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, comb, log, sqrt
from statistics import median

from sidecar.policy.model import Target
from sidecar.policy.units import duration_text, share_text
from sidecar.replay.recommend.evidence import Seen
from sidecar.replay.recommend.value import FAIR, FEWEST, HIGH, LOW, Found, Missing, Proposal, too_few, unless_present

QUIET = 10.0  # days
DAY = 86_400.0
MANY = 2_000  # attempts from which on a share of failures is known well
LEAST_IN_ROW, MOST_IN_ROW = 2, 20
LEAST_CALLS, MOST_CALLS = 3, 200
FEWEST_OUTAGES, MANY_OUTAGES = 3, 10
MOST_FAILING = 0.999
SHORTEST = 0.5  # seconds of open time
AS_GOOD = 0.01  # more users than at the best open time, up to which the present one stays
WINDOW = "window"  # the group of min_calls with the window that it needs


def breaker(seen: Seen, target: Target, probe: float, given_up: float = 0.0) -> Iterator[Found]:
    """``probe``: the seconds that an attempt may take. ``given_up``: the share of its well attempts that a proposed timeout cuts off."""
    if seen.asked < FEWEST:
        yield too_few(seen.target, "breaker.consecutive", seen.asked, FEWEST)
        yield too_few(seen.target, "breaker.min_calls", seen.asked, FEWEST)
    else:
        yield _consecutive(seen, target, given_up)
        yield from _min_calls(seen, target, given_up)
    yield _open(seen, target, probe)


def at_least(calls: int, failed: int, share: float) -> float:
    """The chance that at least so many of ``calls`` fail, each with ``share``."""
    return sum(comb(calls, k) * share**k * (1 - share) ** (calls - k) for k in range(failed, calls + 1))


def _chances(seen: Seen) -> float:
    """Calls in ``QUIET`` days: each may be the last of a run, or of a window."""
    return max(seen.calls_per_second * DAY * QUIET, 1.0)


def _failing(seen: Seen, given_up: float) -> float:
    return min(seen.failing[1] + given_up, MOST_FAILING)


def _said(seen: Seen, given_up: float) -> str:
    _, most = seen.failing
    besides = f", and {given_up:.2%} more would be given up" if given_up else ""
    return (
        f"{seen.failed} of {seen.asked} attempts failed while it was well (at most {most:.2%} by this sample){besides}"
    )


def _confidence(seen: Seen) -> str:
    return HIGH if seen.asked >= MANY else FAIR


def _consecutive(seen: Seen, target: Target, given_up: float) -> Found:
    most, chances = _failing(seen, given_up), _chances(seen)
    row = min(max(ceil(log(chances) / -log(most)), LEAST_IN_ROW), MOST_IN_ROW)
    often = most**row * chances / QUIET  # a day
    rare = f"{row} in a row come by chance once in {QUIET:.0f} days at most"
    if often * QUIET > 1:
        rare = f"{row} in a row, though they come by chance up to {often:.2g} times a day: it is never quite well"
    return unless_present(
        Proposal(
            seen.target,
            "breaker.consecutive",
            str(target.breaker.consecutive),
            str(row),
            f"{_said(seen, given_up)}; {rare}",
            seen.asked,
            _confidence(seen),
        )
    )


def _min_calls(seen: Seen, target: Target, given_up: float) -> Iterator[Found]:
    path, rules, most, said = "breaker.min_calls", target.breaker, _failing(seen, given_up), _said(seen, given_up)
    rate, chances = rules.failure_rate, _chances(seen)
    calls = next(
        (n for n in range(LEAST_CALLS, MOST_CALLS + 1) if at_least(n, ceil(rate * n - 1e-9), most) * chances <= 1), None
    )
    if calls is None:
        why = f"{said}: {share_text(rate)} of even {MOST_CALLS} calls fail by chance too often; a larger breaker.failure_rate is needed"
        yield Missing(seen.target, path, why, seen.asked, enough=True)
        return
    evidence = f"{said}; {share_text(rate)} of {calls} calls fail by chance once in {QUIET:.0f} days at most"
    larger = rules.window.type == "count" and calls > rules.window.size
    group, confidence = WINDOW if larger else "", _confidence(seen)
    present = str(rules.min_calls)
    yield unless_present(Proposal(seen.target, path, present, str(calls), evidence, seen.asked, confidence, group))
    if larger:
        evidence = f"breaker.min_calls of {calls} must fit into it"
        present = str(rules.window.size)
        yield Proposal(seen.target, "breaker.window.size", present, str(calls), evidence, seen.asked, confidence, group)


def _open(seen: Seen, target: Target, probe: float) -> Found:
    path, count, times = "breaker.open.base", len(seen.outages), target.breaker.open
    if count < FEWEST_OUTAGES:
        return too_few(seen.target, path, count, FEWEST_OUTAGES, "outages from beginning to end")
    length = median(seen.outages)
    best = sqrt(2 * length / seen.calls_per_second)
    value = min(max(best, SHORTEST), times.max)
    evidence = (
        f"{count} outages of {length:.3g} s at the middle ({min(seen.outages):.3g} to {max(seen.outages):.3g}), "
        f"{seen.calls_per_second:.3g} chats a second: probing every {best:.3g} s costs the fewest users"
    )
    if value == times.max < best:
        evidence += f"; breaker.open.max allows {duration_text(times.max)}"
    if value < probe:
        evidence += f"; a probe may take longer, up to {probe:.3g} s, of which check warns"
    more = (best / times.base + times.base / best) / 2 - 1
    if more <= AS_GOOD:
        return Missing(seen.target, path, f"{duration_text(times.base)} is as good: {evidence}", count, enough=True)
    confidence = FAIR if count >= MANY_OUTAGES else LOW
    written = duration_text(float(f"{value:.3g}"))
    return unless_present(Proposal(seen.target, path, duration_text(times.base), written, evidence, count, confidence))
