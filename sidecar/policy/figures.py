"""What the numbers of a policy come to: how long, how often and how much, at worst.

A pure function of the policy, by the same rules by which a chat is answered:

* The answer leaves by *patience* = ``deadline.client`` less ``deadline.margin``. A target may take what is left of it minus the
  reserves of the targets below, which keep back half of what is left at most.
* A retry needs something that may be tried again, a target that may be sent it, and a whole retry in the budget. Where only
  what was never sent is tried again, an attempt before the last can have lasted for the connect timeout at most.
* For any n chats since start a target gets at most n·(1 + ratio) + burst attempts, probes and hedges included.
* A hedge goes out beside the first attempt, so it makes no chat longer.
* A target that is back is found out when the open time and one probe are over at the latest, given that somebody chats.

Times are in seconds, and counted from the moment the chat came in where they say "by".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod
from types import MappingProxyType
from typing import NamedTuple

from sidecar.policy.model import Policy, Target
from sidecar.policy.objectives import Budget, budgets
from sidecar.policy.units import Rate

MIN_ATTEMPT = 0.05  # with less than this left a target is not asked
MAX_RESERVED = 0.5  # share of the time left that reserves may keep back
RESERVE_LEAST, RESERVE_MOST = 0.3, 1.5  # what `reserve: auto` stays within; the second before anything was observed

_UNOBSERVED: Mapping[str, float] = MappingProxyType({})


class Span(NamedTuple):
    """The same quantity when the targets above took all their time, and when they took none."""

    least: float
    most: float


class TargetFigures(NamedTuple):
    """What one target costs.

    ``share`` is the time it may take, ``attempt`` what one attempt may. ``needs`` is what its own numbers add up to with
    nothing to stop them: attempts, their timeouts, backoff caps (None for an attempt timeout of auto, which takes what there
    is). ``latency`` is what it can really take, queueing included; ``by`` is when it is over at the latest. ``degraded`` is
    how long it can take until a target that is back is noticed.
    """

    name: str
    attempts: int
    share: Span
    attempt: Span
    attempt_auto: bool
    reserve: float
    reserve_auto: bool
    needs: float | None
    latency: float
    by: float
    ratio: float
    burst: float
    degraded: float
    concurrent: int
    queue: int
    hedges: int = 0
    """Of one chat at most, on top of its attempts."""

    @property
    def requests(self) -> int:
        """What one chat can send it at most, one after the other and side by side."""
        return self.attempts + self.hedges

    def amplification(self, calls: int) -> float:
        """The most requests that ``calls`` chats since start can lead to."""
        return min(calls * (1 + self.ratio) + self.burst, calls * self.requests)


class Layers(NamedTuple):
    """Attempts of each layer on the next for one chat: they multiply."""

    ui: int
    sidecar: int
    switch: int

    @property
    def product(self) -> int:
        return prod(self)


class Figures(NamedTuple):
    """``answer_by``: when even the local answer has left. ``latency`` and ``layers``: of one chat that goes all the way down."""

    answer_by: float
    targets: tuple[TargetFigures, ...]
    latency: float
    layers: Layers
    sustained: float
    """Attempts per chat in the long run at most, all targets together, when the bursts are spent."""
    budgets: tuple[Budget, ...] = ()
    """What the objectives leave for failures."""


def figures(
    policy: Policy, p95: Mapping[str, float] = _UNOBSERVED, *, rate: Rate | None = None, ui: int = 1, switch: int = 1
) -> Figures:
    """Work ``policy`` out. ``p95`` are observed answer times by target, for reserves that are auto; ``rate`` is how many chats come.

    ``ui`` and ``switch`` are attempts made above and below the sidecar. The UI repeats only what it got a 404 for, which is
    never a chat of ours; the switch asks one model. madre asks the switch too, so its attempts count there as well.
    """
    patience = _exact(policy.deadline.client - policy.deadline.margin)
    reserves = [reserve_of(target, p95) for target in policy.ladder]
    found: list[TargetFigures] = []
    began = 0.0
    for depth, target in enumerate(policy.ladder):
        found.append(_target(target, reserves[depth], Span(began, 0.0), patience, sum(reserves[depth + 1 :])))
        began = found[-1].by
    layers = Layers(ui, sum(target.requests for target in found), switch)
    sustained = sum(min(1 + target.ratio, target.requests) for target in found) * ui * switch
    return Figures(patience, tuple(found), began, layers, sustained, budgets(policy.slo, rate))


def reserve_of(target: Target, p95: Mapping[str, float] = _UNOBSERVED) -> float:
    """Seconds the targets above keep back for this one."""
    if target.reserve is not None:
        return target.reserve
    return min(max(p95.get(target.name, RESERVE_MOST), RESERVE_LEAST), RESERVE_MOST)


def resends(target: Target) -> bool:
    """Whether a request that was sent may be sent again."""
    return target.effects != "unsafe" or not target.retry.only_if_unsent


def attempts_of(target: Target) -> int:
    """Attempts one chat can make on a target: without anything that may be retried, or a retry paid for, it is one."""
    retry = target.retry
    retries = retry.on or retry.on_timeout if resends(target) else "connect-failure" in retry.on
    return retry.max_attempts if retries and target.retry_budget.burst >= 1 else 1


def hedges_of(target: Target) -> int:
    """Second requests beside the first that one chat can lead to: with nothing that pays for one, or no time, it is none."""
    hedge, own = target.hedge, target.timeouts.attempt
    paid = hedge.max_extra_load > 0 and target.retry_budget.burst >= 1 and target.limiter.max_concurrent > 1
    in_time = own is None or isinstance(hedge.delay, str) or hedge.delay < own
    return int(hedge.enabled and target.effects != "unsafe" and paid and in_time)


def longest_open(target: Target) -> float:
    """The longest time for which the breaker refuses after one trip."""
    times = target.breaker.open
    return _exact(min(times.max, times.base * (1 + times.jitter))) if times.multiplier == 1 else times.max


def _target(target: Target, reserve: float, began: Span, patience: float, below: float) -> TargetFigures:
    own, attempts = target.timeouts.attempt, attempts_of(target)
    share = Span(_exact(_share(patience - began.least, below)), _exact(_share(patience - began.most, below)))
    attempt = share if own is None else Span(min(own, share.least), min(own, share.most))
    by = _exact(_end(target, attempts, began.least, patience, below))
    return TargetFigures(
        target.name,
        attempts,
        share,
        attempt,
        own is None,
        reserve,
        target.reserve is None,
        None if own is None else _needs(target, own, attempts),
        _exact(by - began.least),
        by,
        target.retry_budget.ratio,
        target.retry_budget.burst,
        _exact(longest_open(target) + attempt.most),
        target.limiter.max_concurrent,
        target.limiter.queue,
        hedges_of(target),
    )


def _exact(seconds: float) -> float:
    """To the microsecond, as a policy file counts."""
    return round(seconds, 6)


def _share(left: float, below: float) -> float:
    return left - min(below, left * MAX_RESERVED)


def _needs(target: Target, own: float, attempts: int) -> float:
    before_last = own if resends(target) else min(own, target.timeouts.connect)
    return _exact(sum((before_last + wait for wait in _waits(target, attempts)), own))


def _waits(target: Target, attempts: int) -> Sequence[float]:
    """The longest wait before each retry, if the target does not ask for another."""
    backoff = target.retry.backoff
    return [min(backoff.max, backoff.base * 2.0**retry) for retry in range(attempts - 1)]


def _end(target: Target, attempts: int, began: float, patience: float, below: float) -> float:
    """When the target is done with at the latest: each wait and each attempt as long as it can be, and any of them the last."""
    latest = patience - min(MIN_ATTEMPT + below, MIN_ATTEMPT / MAX_RESERVED)  # for an attempt to begin
    if latest < 0:
        return began
    limits, own = target.limiter, target.timeouts.attempt
    ends, now = [began], min(began, latest)
    for wait in (*_waits(target, attempts), inf):
        queued = min(limits.queue_timeout if limits.queue else 0.0, _share(patience - now, below))
        ends.append(now + queued)
        now = min(now + queued, latest)
        took = min(inf if own is None else own, _share(patience - now, below))
        ends.append(now + took)
        before_retry = took if resends(target) else min(took, target.timeouts.connect)
        now = min(now + before_retry + (inf if _may_ask_for_time(target) else wait), latest)
    return max(ends)


def _may_ask_for_time(target: Target) -> bool:
    """Whether an answer with Retry-After can lead to a retry: that wait is bounded by the time left alone."""
    retry = target.retry
    return resends(target) and retry.backoff.respect_retry_after and any(isinstance(cause, int) for cause in retry.on)
