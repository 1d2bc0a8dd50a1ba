"""The generated worlds have everything in them, and a number is one world."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from sidecar.core.fact import AttemptEnded, BreakerMoved, CallEnded, Fact, FellBack, Refused, RetryDenied
from sidecar.core.vocabulary import Override, Reason, Verdict

from .generate import FAILURES, generate
from .stage import perform, policies, policy_of
from .verdicts import name_of
from .world import Hold, Leap, Power, Reload

WORLDS = 150


def test_a_number_is_one_world() -> None:
    number = random.getrandbits(40)
    assert generate(number) == generate(number)
    assert generate(number) != generate(number + 1)


def test_every_policy_is_one_that_could_be_in_force() -> None:
    for number in range(200):
        for stated in policies(generate(number)):
            policy_of(stated)


def test_calls_have_numbers_of_their_own() -> None:
    for number in range(50):
        world = generate(number)
        numbers = [stretch.first + turn for stretch in world.stretches for turn in range(stretch.calls)]
        assert sorted(numbers) == list(range(1, world.calls + 1))


def test_everything_that_may_happen_does() -> None:
    """Over numbers that are always the same, so that this says something about the generator and nothing about luck."""
    seen: Counter[Any] = Counter()

    def take(fact: Fact) -> None:
        if isinstance(fact, BreakerMoved):
            seen["moved", fact.why] += 1
        elif isinstance(fact, AttemptEnded):
            seen["verdict", fact.verdict] += 1
            seen["outcome", None if fact.outcome is None else name_of(fact.outcome)] += 1
            seen["heeded", fact.heeded] += 1
        elif isinstance(fact, Refused | FellBack):
            seen[type(fact).__name__, fact.reason] += 1
        elif isinstance(fact, RetryDenied):
            seen["denied", fact.why] += 1
        elif isinstance(fact, CallEnded):
            seen["by", fact.finish.provider, fact.finish.abandoned] += 1

    for number in range(WORLDS):
        world = generate(number)
        perform(world, take)
        seen.update((type(one).__name__,) for one in world.happenings)
        seen.update(one.override for one in world.happenings if isinstance(one, Hold))
        seen.update(("flood",) for stretch in world.stretches if stretch.calls > 1 and stretch.every == 0)
    moves = (
        "failure_rate",
        "consecutive",
        "slow_rate",
        "probe_failed",
        "recovered",
        "timer",
        "window_opened",
        "override",
        "override_ended",
    )
    expected = {
        *(("moved", why) for why in moves),
        *(("verdict", verdict) for verdict in Verdict),
        *(("outcome", name) for name in (None, "ok", "timeout", *FAILURES)),
        ("heeded", False),
        *(("Refused", why) for why in (Reason.OFF, Reason.DORMANT, Reason.TIMEOUT, Reason.OPEN, Reason.LIMITED)),
        *(("FellBack", why) for why in Reason if why not in {Reason.WAITING, Reason.AFFINITY, Reason.UNHEALTHY}),
        *(("denied", why) for why in ("attempts", "effects", "open", "deadline", "budget")),
        *(("by", provider, False) for provider in ("switch", "madre", "local", None)),
        ("by", None, True),
        *((kind.__name__,) for kind in (Reload, Hold, Power, Leap)),
        *(override.value for override in Override),
        None,
        ("flood",),
    }
    assert expected - set(seen) == set()
