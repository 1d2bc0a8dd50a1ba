"""Limiter sizes from how many a target works on at once, or from how many ever met where it answers as fast however many ask.

* A target that works on c at once is asked c at once, and as many wait before it as are served within ``WAIT`` of the patience: more only
  wait there instead of here, out of sight. The three figures are one proposal.
* One that shows no queue gets half as many again as were ever under way together in 999 of 1 000 moments, and twice its limit where that
  was reached. Less than it has only where there is data of many moments: a calm hour does not show how many come at once on a bad day.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from sidecar.policy.model import LimiterPolicy, Policy, Target
from sidecar.policy.units import duration_text
from sidecar.replay.recommend.evidence import Seen
from sidecar.replay.recommend.times import patience
from sidecar.replay.recommend.value import FAIR, FEWEST, HIGH, LOW, Found, Missing, Proposal, too_few, unless_present

WAIT = 0.1  # share of the patience that waiting for a slot may take
HEADROOM = 1.5
OFTEN = 0.999
MANY = 10_000  # moments from which on fewer slots are proposed than there are
FEWEST_SLOTS = 2  # of a target without a queue
LONGEST_QUEUE = 1_000
QUEUE = "queue"  # the group of what a target with a queue needs


def limiter(seen: Seen, target: Target, policy: Policy) -> Iterator[Found]:
    found = seen.service.quantile(0.5)
    if seen.served.servers is not None and found is not None:
        yield from _queue(seen, target.limiter, patience(policy) * WAIT, seen.served.servers, found.seconds)
    else:
        yield _met(seen, target.limiter)


def _met(seen: Seen, limits: LimiterPolicy) -> Found:
    path, n, present = "limiter.max_concurrent", len(seen.together), limits.max_concurrent
    if n < FEWEST:
        return too_few(seen.target, path, n, FEWEST)
    often = seen.together[int(OFTEN * (n - 1))]
    if seen.together[-1] >= present:
        reached = sum(count >= present for count in seen.together) / n
        rise = seen.crowding.factor(1) - 1
        slower = f"each other one makes it {rise:.1%} slower" if rise else "it answers as fast however many ask"
        evidence = f"the limit was reached with {reached:.1%} of {n} attempts, and {slower}"
        value = max(2 * present, ceil(HEADROOM * often))
        return Proposal(seen.target, path, str(present), str(value), evidence, n, LOW)
    evidence = f"at most {often} were under way together in {OFTEN * 1000:.0f} of 1000 of {n} moments"
    value = max(ceil(HEADROOM * often), FEWEST_SLOTS)
    if value < present and n < MANY:
        why = f"{present} was never reached: {evidence}; too few moments for less"
        return Missing(seen.target, path, why, n, enough=True)
    evidence += "; half as many again leaves room"
    return unless_present(Proposal(seen.target, path, str(present), str(value), evidence, n, FAIR))


def _queue(seen: Seen, limits: LimiterPolicy, wait: float, servers: int, service: float) -> Iterator[Found]:
    met = seen.served.met
    served = f"it works on {servers} at once ({met} attempts that met others, {seen.served.nats:.0f} nats)"
    room = min(int(servers * wait / service), LONGEST_QUEUE) if service > 0 else LONGEST_QUEUE
    longest = duration_text(float(f"{wait:.3g}"))
    so_many = f"{served}, each for {service:.3g} s: so many are served within {longest}, a tenth of the patience"
    stated = [
        ("limiter.max_concurrent", str(limits.max_concurrent), str(servers), f"{served}: more only wait there", HIGH),
        ("limiter.queue", str(limits.queue), str(room), so_many, FAIR),
    ]
    if room:
        waits = f"{served}: who waits longer than a tenth of the patience is better off with the next target"
        stated.append(("limiter.queue_timeout", duration_text(limits.queue_timeout), longest, waits, FAIR))
    for path, present, value, evidence, confidence in stated:
        yield unless_present(Proposal(seen.target, path, present, value, evidence, met, confidence, QUEUE))
