"""A candidate beside the policy in force: what else it hears, its bounds, and what is shown of it."""

from __future__ import annotations

import pytest
from beside import Stage
from script import BEGIN, GOOD, REFUSED, SILENT, WOKE, policy, status, targets

from sidecar.core.fact import AttemptStarted, CallBegan, DormancyHeard, HealthHeard, Overridden
from sidecar.core.shadow import Beside, Shadow
from sidecar.core.value import replace
from sidecar.core.vocabulary import Override

ONE_SECOND = policy(targets=targets({"timeouts": {"attempt": "1s"}}))


def test_the_candidate_has_the_patience_of_its_own_deadline():
    stage = Stage(policy(deadline={"client": "3s"}))
    stage.call().tell(0, BEGIN)
    assert [fact.patience for fact in stage.said if isinstance(fact, CallBegan)] == [2.75]


# -- what else it hears -------------------------------------------------------------------------------------------------


def test_power_states_and_overrides_hold_for_the_candidate():
    stage = Stage(policy(dormant={"mode": "obey"}))
    stage.engine.hear_dormancy(0.0, frozenset({"madre"}))
    stage.play((1, BEGIN, "switch #1 within 3.25 (deadline)"), (1.4, GOOD, "finish switch #1"))
    assert stage.results == ["1 not_primary: primary -> not_primary (not_asked)"]
    stage.engine.hear_dormancy(2.0, None)
    stage.engine.override(3.0, "switch", Override.OFF)
    stage.play((4, BEGIN, "madre #1 within 4.75 (deadline)"), (4.2, GOOD, "finish madre #1 degraded (off)"))
    assert stage.results[1:] == ["2 agrees: fallback"]
    stage.engine.override(5.0, "switch", Override.FORCED_OPEN)
    assert stage.shadow.beside().states["switch"] == "forced_open"
    stage.engine.override(6.0, "switch", None)
    assert stage.shadow.beside().states["switch"] == "half_open"


def test_an_override_of_a_target_that_the_candidate_does_not_know_is_none():
    stage = Stage(policy(targets=[{"name": "switch"}]))
    stage.engine.override(1.0, "madre", Override.OFF)
    assert set(stage.shadow.view(1.0)["targets"]) == {"switch"}


def test_another_policy_in_force_changes_what_calls_from_then_on_are_held_beside():
    stage = Stage(ONE_SECOND, ONE_SECOND)
    running = stage.call()
    running.tell(0, BEGIN)
    stage.adopt(0.5, policy())
    running.play((1.0, SILENT, "madre #2 within 3.75 (deadline)"), (1.1, GOOD, "finish madre #2 degraded (timeout)"))
    stage.play((2, BEGIN, "switch #1 within 3.25 (deadline)"), (4, GOOD, "finish switch #1"))
    assert stage.results == ["1 agrees: fallback", "2 not_primary: primary -> not_primary (not_asked)"]


def test_a_candidate_that_comes_later_does_not_know_the_calls_of_before():
    stage, late = Stage(policy()), Stage(policy()).shadow
    call = stage.call()
    for now, what in ((0, BEGIN), (0.1, REFUSED), (0.4, WOKE), (0.5, status(500)), (0.6, GOOD)):
        call.tell(now, what)
    assert stage.results == ["1 agrees: fallback"]
    for fact in stage.facts:
        if not isinstance(fact, CallBegan):
            late.take(fact)
    assert late.view(1.0)["calls"] == late.view(1.0)["under_way"] == 0


def test_it_hears_which_targets_were_left():
    """So the candidate knows the wait for a slot of madre as its own, and asks a turn of the loop after the slot came, as the call did."""
    rules = policy(targets=targets(madre={"limiter": {"max_concurrent": 1, "queue": 1, "queue_timeout": "200ms"}}))
    stage = Stage(rules, rules)
    stage.engine.override(0.0, "switch", Override.OFF)
    first, second = stage.call(), stage.call()
    first.tell(0.1, BEGIN)
    assert second.tell(0.2, BEGIN) == "queue for madre within 0.2"
    first.tell(0.3, GOOD)
    second.tell(0.301, WOKE)
    second.tell(0.4, GOOD)
    assert stage.results == ["1 agrees: fallback", "2 agrees: fallback"]
    assert [fact for fact in stage.said if isinstance(fact, AttemptStarted)] == stage.heard(AttemptStarted)


def test_before_any_policy_is_known_nothing_is_followed():
    told = []
    shadow = Shadow(0.0, policy(), revision="c", source="s", seed=1, tell=told.append)
    shadow.take(CallBegan(0.0, 1, 4.75, "early", "r1"))
    assert shadow.view(0.0)["under_way"] == 0


def test_what_is_known_of_the_targets_is_taken_over():
    stage = Stage(policy())
    for at in range(25):
        stage.play((at, BEGIN, "switch #1 within 3.25 (deadline)"), (at + 0.1, GOOD, "finish switch #1"))
    later = Stage(policy(targets=[{"name": "switch"}]))
    later.shadow.learn(stage.engine)
    assert list(later.machine().latency) == list(stage.machines().latency)
    assert later.machine().latency.quantile(0.95) == pytest.approx(0.1)


# -- bounds, and what is shown ------------------------------------------------------------------------------------------


def test_no_more_calls_are_followed_than_agreed():
    stage = Stage(policy(), most=1)
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    second.tell(0.1, BEGIN)
    second.tell(0.2, GOOD)
    first.tell(0.3, GOOD)
    assert stage.results == ["2 undecided: None (crowded)", "1 agrees: primary"]


def test_what_it_waits_for_is_forgotten_when_it_no_longer_matters():
    """A long timeout per call: calls that are over leave nothing behind that grows."""
    patient = policy(deadline={"client": "1h"}, targets=[{"name": "switch", "timeouts": {"attempt": "10m"}}])
    stage = Stage(patient, policy(deadline={"client": "1h"}, targets=[{"name": "switch"}]))
    for at in range(3000):
        call = stage.call(3599.75)
        call.tell(at / 100, BEGIN)
        call.tell(at / 100 + 0.001, GOOD)
    assert len(stage.told) == 3000
    assert len(stage.shadow._agenda._heap) < 1100


def test_the_candidate_is_told_of_everything_as_the_live_engine_was():
    probed = policy(health={"mode": "probe"})
    stage = Stage(probed, probed)
    stage.call(session="s").tell(0.5, BEGIN)
    stage.engine.hear_dormancy(1.5, frozenset({"madre"}))
    stage.engine.hear_health(2.5, "madre", REFUSED, busy=True, seconds=0.75)
    stage.engine.override(3.5, "switch", Override.OFF)
    kinds = (CallBegan, DormancyHeard, HealthHeard, Overridden)
    told = [fact for fact in stage.said if isinstance(fact, kinds)]
    assert [fact if not isinstance(fact, CallBegan) else replace(fact, revision="r1") for fact in told] == [
        fact for fact in stage.facts if isinstance(fact, kinds)
    ]
    assert len(told) == 4


def test_what_people_see_of_one_that_came_later():
    stage = Stage(policy(), now=10.0)
    assert stage.shadow.view(12.26)["for_seconds"] == 2.3
    assert stage.shadow.beside() == Beside("c1", "candidate.yaml", {"switch": "closed", "madre": "closed"})


def test_its_targets_are_shown_as_they_are_at_that_moment():
    stage = Stage(policy(breaker={"consecutive": 1}))
    stage.play((1, BEGIN, "switch #1 within 3.25 (deadline)"), (1.5, status(500), "madre #2 within 4.25 (deadline)"))
    breaker = stage.shadow.view(4.0)["targets"]["switch"]["breaker"]
    assert (breaker["state"], breaker["for_seconds"]) == ("open", 2.5)


def test_what_people_see():
    stage = Stage(ONE_SECOND)
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (2.0, GOOD, "finish switch #1"))
    stage.play((3, BEGIN, "switch #1 within 3.25 (deadline)"), (3.5, GOOD, "finish switch #1"))
    view = stage.shadow.view(10.0)
    assert set(view.pop("targets")) == {"switch", "madre"}
    assert view == {
        "revision": "c1",
        "source": "candidate.yaml",
        "for_seconds": 10.0,
        "calls": 2,
        "agrees": 1,
        "not_primary": 1,
        "differs": {"primary": {"not_primary": 1}},
        "undecided": {"not_asked": 1},
        "seconds_earlier": 0.0,
        "seconds_later": 0.0,
        "examples": [
            {
                "correlation_id": "call-1",
                "active": "primary",
                "candidate": "not_primary",
                "seconds": None,
                "seconds_ago": 8.0,
            }
        ],
        "under_way": 0,
    }
