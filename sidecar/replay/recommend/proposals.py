"""All that evidence says about the fields of a policy: reserves first, since attempts have what they leave, then target by target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.policy.model import Policy, Target
from sidecar.replay.recommend.breakers import breaker
from sidecar.replay.recommend.evidence import Seen
from sidecar.replay.recommend.limits import limiter
from sidecar.replay.recommend.times import attempt, reserve, seconds_of, share_given_up, share_of, slow_call
from sidecar.replay.recommend.value import Found, Proposal

ATTEMPT = "attempt"  # the group of an attempt's time with what is slow because of it


def proposals(seen: Sequence[Seen], policy: Policy) -> Iterator[Found]:
    """``seen`` is of the targets of ``policy``'s ladder, from the top."""
    reserves: dict[str, float] = {}
    for each, target in zip(seen[1:], policy.ladder[1:], strict=True):
        kept_back = reserve(each, target, policy)
        yield kept_back
        time = seconds_of(kept_back)
        if time is not None:
            reserves[target.name] = time
    for place, (each, target) in enumerate(zip(seen, policy.ladder, strict=True)):
        yield from _of_target(each, target, policy, share_of(policy, place, reserves), last=place == len(seen) - 1)


def _of_target(seen: Seen, target: Target, policy: Policy, share: float, *, last: bool) -> Iterator[Found]:
    """``share`` is the time that the target has; nobody waits for the ``last`` one to be given up."""
    own = target.timeouts.attempt
    today = share if own is None else min(own, share)
    most, given_up = today, 0.0
    found = None if last else attempt(seen, target, share)
    if isinstance(found, Proposal):
        most = seconds_of(found) or share
        given_up = share_given_up(seen, most)
    slow = slow_call(seen, target, policy, most)
    if isinstance(found, Proposal) and isinstance(slow, Proposal) and slow != slow_call(seen, target, policy, today):
        found, slow = found._replace(group=ATTEMPT), slow._replace(group=ATTEMPT)
    yield from (one for one in (found, slow) if one is not None)
    yield from breaker(seen, target, most, given_up)
    yield from limiter(seen, target, policy)
