"""What a decision is said to be made by is what it was made by, also for calls that are older than the policy in force."""

from __future__ import annotations

import pytest

from sidecar.core.fact import AttemptStarted, Fact, Refused
from sidecar.core.limiter import Limiter

from .stage import perform
from .violation import Violation
from .world import Phase, Reload, Stretch, World

SLOW = Phase("switch", median=1.0)
CROWD = World(policy={"limiter": {"max_concurrent": 1, "queue": 1}}, stretches=(Stretch(calls=4),), phases=(SLOW,))


def told(world: World, kind: type) -> list[Fact]:
    facts: list[Fact] = []
    perform(world, facts.append)
    return [fact for fact in facts if isinstance(fact, kind)]


def test_it_is_the_slots_of_the_moment_that_are_told() -> None:
    refused = [(fact.call, fact.waited, fact.in_flight, fact.queued, fact.limits) for fact in told(CROWD, Refused)]
    assert refused[:2] == [(3, 0.0, 1, 1, (1, 1)), (4, 0.0, 1, 1, (1, 1))]
    first, *_ = told(CROWD, AttemptStarted)
    assert (first.call, first.left, first.reserved, first.breaker) == (1, 4.75, 1.5, "closed")


def test_a_wrong_figure_in_an_explanation_is_a_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "queued", 7)
    with pytest.raises(Violation, match="explanations: queued is 1, told was 7"):
        perform(CROWD)


OLDER = {
    # refused with two in flight: there is room for two
    "limits": World(
        policy={"limiter": {"max_concurrent": 1}},
        stretches=(Stretch(calls=3),),
        phases=(SLOW,),
        happenings=(Reload(10.1, {"limiter": {"max_concurrent": 2}}),),
    ),
    # a balance of 3, which may grow to 20 now
    "burst": World(
        policy={"targets": [{"name": "madre"}]},
        stretches=(Stretch(),),
        phases=(Phase("madre", median=0.5, failing=1.0, failures=("connect",)),),
        happenings=(Reload(10.2, {"retry_budget": {"burst": 20}}),),
    ),
}


@pytest.mark.parametrize("field", OLDER)
def test_a_call_older_than_the_policy_is_told_the_figures_in_force(field: str) -> None:
    perform(OLDER[field])
