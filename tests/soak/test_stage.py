"""The clock leaps as after a suspend, and whatever goes wrong is a promise that was broken."""

from __future__ import annotations

import pytest

from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptEnded, AttemptStarted, CallBegan, CallEnded, Fact, PolicyAdopted, Refused
from sidecar.core.limiter import Limiter

from .stage import Stage, perform
from .violation import Violation
from .world import Hold, Leap, Phase, Power, Reload, Stretch, World


def facts(world: World) -> list[Fact]:
    told: list[Fact] = []
    perform(world, told.append)
    return told


def times(world: World, kind: type) -> list[tuple[int, float]]:
    return [(fact.call, fact.at) for fact in facts(world) if isinstance(fact, kind)]


STEADY = (Phase("switch", median=1.0), Phase("madre", median=1.0))


def test_what_was_due_while_the_clock_leapt_is_done_when_it_has_landed() -> None:
    world = World(stretches=(Stretch(10.0, 3, 0.25),), phases=STEADY, happenings=(Leap(11.1, 20.0),))
    assert times(world, CallEnded) == [(1, 11.0), (2, 31.1), (3, 31.1)]
    slept = [fact.seconds for fact in facts(world) if isinstance(fact, AttemptEnded)]
    assert slept == pytest.approx([1.0, 20.85, 20.6])


def test_who_came_meanwhile_is_admitted_then_and_has_all_the_patience_it_had() -> None:
    world = World(stretches=(Stretch(10.0, 4, 1.0),), phases=STEADY, happenings=(Leap(10.5, 2.0),))
    assert times(world, CallBegan) == [(1, 10.0), (2, 12.5), (3, 12.5), (4, 13.0)]
    assert times(world, CallEnded) == [(1, 12.5), (2, 13.5), (3, 13.5), (4, 14.0)]


def test_a_leap_within_a_leap_begins_where_the_first_one_landed() -> None:
    world = World(stretches=(Stretch(10.0),), phases=STEADY, happenings=(Leap(10.5, 2.0), Leap(10.9, 3.0)))
    assert times(world, CallEnded) == [(1, 15.5)]
    late = World(stretches=(Stretch(10.0),), phases=STEADY, happenings=(Leap(10.5, 0.4), Leap(10.7, 3.0)))
    assert times(late, CallEnded) == [(1, pytest.approx(13.9))]


def test_a_call_whose_patience_ended_within_the_leap_is_over_when_it_has_landed() -> None:
    world = World(
        stretches=(Stretch(10.0),), phases=(Phase("switch", hanging=1.0), *STEADY[1:]), happenings=(Leap(10.5, 60.0),)
    )
    assert times(world, CallEnded) == [(1, 70.5)]
    reasons = [fact.reason for fact in facts(world) if isinstance(fact, Refused)]
    assert reasons == ["timeout"]  # madre is not asked any more


def test_everything_a_world_states_happens_at_its_time() -> None:
    world = World(
        stretches=(Stretch(12.0),),
        happenings=(
            Reload(10.5, {"limiter": {"queue": 1}}),
            Hold(11.0, "switch", "off"),
            Power(11.5, ("madre",)),
            Power(11.6, None),
            Hold(13.0, "switch", None),
        ),
    )
    watch = perform(world)
    assert {name: watch.counts[name] for name in ("reloads", "overrides", "power states", "calls")} == {
        "reloads": 1, "overrides": 2, "power states": 2, "calls": 1,
    }  # fmt: skip
    assert [fact.target for fact in facts(world) if isinstance(fact, AttemptStarted)] == ["madre"]
    assert [fact.at for fact in facts(world) if isinstance(fact, PolicyAdopted)] == [10.0, 10.5]


def test_a_target_that_no_policy_has_named_cannot_be_held() -> None:
    world = World(policy={"targets": [{"name": "madre"}]}, happenings=(Hold(11.0, "switch", "off"),))
    assert perform(world).counts["overrides"] == 0


def accused(world: World) -> Violation:
    with pytest.raises(Violation) as told:
        perform(world)
    return told.value


def test_an_exception_is_a_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "enter", lambda *_: int("x"))
    assert accused(World(stretches=(Stretch(first=7),))).text.startswith("ValueError: invalid literal")
    assert accused(World(stretches=(Stretch(first=7),))).call == 7


def test_a_plan_that_goes_round_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(stage: Stage, now: float, running: object, step: object) -> None:
        stage.at(now, lambda then: again(stage, then, running, step))

    monkeypatch.setattr(Stage, "_perform", again)
    assert accused(World(stretches=(Stretch(),))).promise == "every call ends"


def test_a_call_that_nobody_tells_anything_is_a_call_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "_perform", lambda *_: None)
    assert accused(World(stretches=(Stretch(first=7),))).text == "under way for ever: [7]"


def test_a_slot_that_is_held_in_the_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "leave", lambda *_: None)
    assert accused(World(stretches=(Stretch(),))).promise == "nothing is held in the end"


def test_a_budget_that_is_not_what_was_told_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.core.budget.RetryBudget.balance", lambda *_: 2.0)
    assert accused(World()).promise == "retry budget"


def test_a_breaker_that_moved_and_said_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Engine.adopt

    def adopt(engine: Engine, *arguments: object, **named: object) -> None:
        whole(engine, *arguments, **named)
        engine._machines["switch"].breaker.state = type(engine._machines["switch"].breaker.state)("open")

    monkeypatch.setattr(Engine, "adopt", adopt)
    assert accused(World()).promise == "breaker moves"
