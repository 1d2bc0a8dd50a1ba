"""What probes do to chats: who is left out and when nobody may be, whose breaker tries again, and what stands above a probe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from script import BEGIN, GOOD, REFUSED, SILENT, World, policy, status

from sidecar.core.fact import AttemptStarted, BreakerMoved, FellBack, HealthHeard, HealthMoved, LimitMoved, Refused
from sidecar.core.vocabulary import ErrorKind, Outcome, Override, Reason, Verdict

PROBED = {"health": {"mode": "probe"}, "retry": {"max_attempts": 1}}
WELL = Outcome(status=200)
SWITCH, MADRE = "switch #1 within 3.25 (deadline)", "madre #1 within 4.75 (deadline)"
BY_SWITCH, BY_MADRE = "finish switch #1", "finish madre #1 degraded (unhealthy)"


def world(**sections) -> World:
    return World(policy(PROBED, **sections))


def probe(w: World, now: float, outcome: Outcome, target: str = "switch", *, busy: bool = False) -> None:
    w.engine.hear_health(now, target, outcome, busy=busy, seconds=0.1)


def down(w: World, now: float, target: str = "switch") -> None:
    """Three failed probes at once, as far as the machine can tell."""
    for _ in range(3):
        probe(w, now, REFUSED, target)
    assert w.machines(target).health.down(now)


def health_of(w: World, target: str, now: float) -> str:
    return w.engine.view(now)[target]["health"]["state"]


# -- who is asked -----------------------------------------------------------------------------------------------------


def test_a_target_that_is_down_is_left_out_without_an_attempt_and_asked_again_when_it_is_up():
    w = world()
    w.play((0.0, BEGIN, SWITCH), (0.1, GOOD, BY_SWITCH))
    down(w, 1.0)
    w.play((1.0, BEGIN, MADRE), (1.1, GOOD, BY_MADRE))
    probe(w, 6.0, WELL)
    w.play((6.0, BEGIN, MADRE), (6.1, GOOD, BY_MADRE))
    probe(w, 11.0, WELL)
    w.play((11.0, BEGIN, SWITCH), (11.1, GOOD, BY_SWITCH))
    assert [fact.target for fact in w.heard(AttemptStarted)] == ["switch", "madre", "madre", "switch"]
    assert w.machines("switch").breaker.admitted == 2
    assert w.at_rest(12.0)


def test_a_probe_is_told_as_it_was():
    w = world()
    w.engine.hear_health(2.5, "madre", REFUSED, busy=True, seconds=0.75)
    assert w.heard(HealthHeard) == [HealthHeard(2.5, "madre", REFUSED, True, 0.75, Verdict.FATAL)]
    w.engine.hear_health(3.5, "madre", SILENT, busy=True, seconds=2.0)
    assert w.heard(HealthHeard)[1:] == [HealthHeard(3.5, "madre", SILENT, True, 2.0, Verdict.IGNORED)]


def test_who_comes_back_by_probes_is_begun_slowly_and_nobody_else_is():
    w = world(limiter={"max_concurrent": 5, "slow_start": "4s"})
    probe(w, 0.0, WELL)
    assert w.engine.gauges(0.0)["switch"].slots == 5
    down(w, 1.0)
    probe(w, 6.0, WELL)
    assert w.engine.gauges(6.0)["switch"].slots == 5
    probe(w, 11.0, WELL)
    [moved] = w.heard(LimitMoved)
    assert (moved.at, moved.target, w.engine.gauges(11.0)["switch"].slots) == (11.0, "switch", 1)


def test_a_target_that_is_not_probed_has_no_health_to_answer_for():
    w = World()
    w.play((0.0, BEGIN, SWITCH), (0.1, GOOD, BY_SWITCH))
    assert w.heard(HealthMoved) == []


def test_who_is_left_out_is_told_by_what_and_since_when():
    w = world()
    down(w, 1.0)
    w.play((4.0, BEGIN, MADRE), (4.1, GOOD, BY_MADRE))
    [refused] = w.heard(Refused)
    assert (refused.reason, refused.target, refused.breaker) == (Reason.UNHEALTHY, "switch", "closed")
    assert (refused.health.at, refused.health.after, refused.health.failures) == (1.0, "down", 3)
    assert [(fact.target, fact.reason, fact.allowed) for fact in w.heard(FellBack)] == [
        ("switch", Reason.UNHEALTHY, True)
    ]


def test_a_policy_may_end_such_calls_at_the_last_rung():
    w = world(fallback={"on": ["failure"]})
    down(w, 1.0)
    w.play((1.0, BEGIN, "finish local degraded (unhealthy)"))


def test_a_call_that_began_before_asks_the_rung_below_as_it_is_by_then():
    w = world(targets=[{"name": "madre"}, {"name": "switch"}, {"name": "local"}])
    call = w.call()
    assert call.tell(0.0, BEGIN) == "madre #1 within 3.25 (deadline)"
    down(w, 0.5)
    assert call.tell(1.0, status(500)) == "finish local degraded (failure)"
    assert [fact.reason for fact in w.heard(Refused)] == [Reason.UNHEALTHY]


# -- busy, dormant, and other silences -----------------------------------------------------------------------------------


def test_silence_while_a_chat_is_in_flight_never_takes_a_target_away():
    w = world()
    for n in range(50):
        probe(w, 5.0 * n, SILENT, busy=True)
    w.play((250.0, BEGIN, SWITCH), (250.1, GOOD, BY_SWITCH))
    assert {fact.verdict for fact in w.heard(HealthHeard)} == {Verdict.IGNORED}
    assert not w.heard(HealthMoved)


def test_the_same_silence_of_an_idle_target_does():
    w = world()
    for n in range(3):
        probe(w, 5.0 * n, SILENT)
    w.play((10.0, BEGIN, MADRE), (10.1, GOOD, BY_MADRE))


@pytest.mark.parametrize("mode", ["explain", "obey"])
@pytest.mark.parametrize("kind", [ErrorKind.CONNECT, ErrorKind.DNS])
def test_a_switch_that_is_off_on_purpose_is_dormant_and_not_unhealthy(mode, kind):
    w = world(dormant={"mode": mode})
    w.engine.hear_dormancy(0.0, frozenset({"madre"}))
    for n in range(5):
        probe(w, 5.0 * n, Outcome(error=kind))
    call = w.call()
    call.tell(25.0, BEGIN)
    if mode == "explain":
        assert call.tell(25.0, REFUSED) == MADRE.replace("#1", "#2")
    assert [fact.reason for fact in w.heard(FellBack)] == [Reason.DORMANT]
    assert not w.heard(HealthMoved)


def test_where_the_power_state_is_ignored_a_switch_that_is_off_is_unhealthy():
    w = world(dormant={"mode": "ignore"})
    w.engine.hear_dormancy(0.0, frozenset({"madre"}))
    down(w, 1.0)
    w.play((1.0, BEGIN, MADRE), (1.1, GOOD, BY_MADRE))


def test_a_window_that_opens_lets_a_target_that_was_down_be_asked_at_once():
    w = world()
    down(w, 0.0)
    w.engine.hear_dormancy(1.0, frozenset({"madre"}))
    w.play((1.0, BEGIN, MADRE), (1.1, GOOD, BY_MADRE))
    w.engine.hear_dormancy(2.0, frozenset({"madre", "switch"}))
    w.play((2.0, BEGIN, SWITCH), (2.1, GOOD, BY_SWITCH))
    assert [(fact.after, fact.why) for fact in w.heard(HealthMoved)] == [
        ("down", "failed"),
        ("unknown", "window_opened"),
    ]
    assert w.engine.scene.shut == set()  # who is in there costs every call a look


def test_a_prober_that_stalls_holds_nobody_back_for_long():
    w = world()
    down(w, 0.0)
    w.play((20.0, BEGIN, MADRE), (20.1, GOOD, BY_MADRE))
    w.play((21.1, BEGIN, SWITCH), (21.2, GOOD, BY_SWITCH))
    assert health_of(w, "switch", 21.1) == "unknown"


# -- where probes are not obeyed --------------------------------------------------------------------------------------------


def test_where_all_are_down_all_are_asked():
    w = world()
    down(w, 0.0)
    down(w, 0.0, "madre")
    w.play(
        (1.0, BEGIN, SWITCH),
        (1.1, status(500), MADRE.replace("#1 within 4.75", "#2 within 4.65")),
        (1.2, GOOD, "finish madre #2 degraded (failure)"),
    )


def test_an_only_target_is_asked_whatever_its_probes_say():
    w = world(targets=[{"name": "switch"}, {"name": "local"}])
    down(w, 0.0)
    w.play((1.0, BEGIN, "switch #1 within 4.75 (deadline)"), (1.1, GOOD, BY_SWITCH))


def test_the_last_that_is_not_switched_off_is_asked_whatever_its_probes_say():
    w = world()
    down(w, 0.0)
    w.engine.override(1.0, "madre", Override.OFF)
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, BY_SWITCH))
    w.engine.override(2.0, "madre", None)
    down(w, 2.0)
    w.play((2.0, BEGIN, MADRE), (2.1, GOOD, BY_MADRE))


def test_the_last_that_is_not_dormant_is_asked_whatever_its_probes_say():
    w = world(dormant={"mode": "obey"})
    w.engine.hear_dormancy(0.0, frozenset({"madre"}))
    down(w, 0.0, "madre")
    w.play((1.0, BEGIN, MADRE), (1.1, GOOD, "finish madre #1 degraded (dormant)"))


def test_a_target_that_answers_when_nobody_else_is_left_is_up():
    w = world()
    down(w, 0.0)
    down(w, 0.0, "madre")
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, BY_SWITCH))
    moved = w.heard(HealthMoved)[-1]
    assert (moved.at, moved.target, moved.after, moved.why, moved.call) == (1.1, "switch", "up", "answered", 1)
    w.play((2.0, BEGIN, SWITCH), (2.1, GOOD, BY_SWITCH))


def test_an_operator_who_holds_the_breaker_closed_wants_the_target_asked():
    w = world()
    down(w, 0.0)
    w.engine.override(1.0, "switch", Override.FORCED_CLOSED)
    w.play(
        (1.0, BEGIN, SWITCH),
        (1.1, status(500), MADRE.replace("#1 within 4.75", "#2 within 4.65")),
        (1.2, GOOD, "finish madre #2 degraded (failure)"),
    )


def test_what_is_switched_off_stays_off_when_its_probes_are_good():
    w = world()
    w.engine.override(0.0, "switch", Override.OFF)
    down(w, 1.0)
    probe(w, 2.0, WELL)
    probe(w, 3.0, WELL)
    w.play((3.0, BEGIN, MADRE), (3.1, GOOD, "finish madre #1 degraded (off)"))
    w.engine.override(4.0, "switch", None)
    w.play((4.0, BEGIN, SWITCH), (4.1, GOOD, BY_SWITCH))


# -- breakers ---------------------------------------------------------------------------------------------------------------


OPEN = {"breaker": {"open": {"base": "60s", "max": "60s"}}}


def test_a_target_that_recovers_is_tried_at_once_and_only_answered_chats_close_its_breaker():
    w = world(**OPEN)
    w.trip(0.0)
    probe(w, 1.0, REFUSED)
    probe(w, 5.0, WELL)
    assert w.machines().breaker.state == "open"
    probe(w, 10.0, WELL)
    assert [(fact.at, fact.after, fact.why) for fact in w.heard(BreakerMoved)] == [(10.0, "half_open", "health")]
    for n in range(20):
        probe(w, 11.0 + n, WELL)
    assert w.machines().breaker.state == "half_open"
    w.play((40.0, BEGIN, SWITCH), (40.1, GOOD, BY_SWITCH))
    w.play((41.0, BEGIN, SWITCH), (41.1, GOOD, BY_SWITCH))
    assert w.machines().breaker.state == "closed"


def test_good_probes_of_a_target_whose_probes_never_failed_shorten_nothing():
    w = world(**OPEN)
    w.trip(0.0)
    for n in range(10):
        probe(w, 5.0 * n, WELL)
    assert w.machines().breaker.state == "open"


@pytest.mark.parametrize("override", [Override.FORCED_OPEN, Override.FORCED_CLOSED])
def test_what_an_operator_holds_no_probe_moves(override):
    w = world()
    w.engine.override(0.0, "switch", override)
    for n, outcome in enumerate((REFUSED, WELL, WELL, WELL)):
        probe(w, 1.0 + n, outcome)
    assert w.machines().breaker.state == override.value


# -- switched on and off ------------------------------------------------------------------------------------------------------


def test_probes_of_a_target_that_the_policy_does_not_probe_are_not_even_heard():
    w = World()
    before = list(w.facts)
    for target in ("switch", "gone"):
        probe(w, 1.0, REFUSED, target)
    assert w.facts == before
    assert w.engine.view(1.0)["switch"]["health"] is None
    assert w.engine.gauges(1.0)["switch"].health is None


def test_a_policy_without_probes_forgets_what_they_said_and_lets_go():
    w = world()
    down(w, 0.0)
    w.adopt(1.0, policy())
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, BY_SWITCH))
    assert [(fact.at, fact.after, fact.why) for fact in w.heard(HealthMoved)] == [
        (0.0, "down", "failed"),
        (1.0, "unknown", "off"),
    ]
    w.adopt(2.0, policy(PROBED))
    w.play((2.0, BEGIN, SWITCH), (2.1, GOOD, BY_SWITCH))


def test_one_target_alone_may_be_probed():
    w = World(policy(targets=[{"name": "switch", "health": {"mode": "probe"}}, {"name": "madre"}, {"name": "local"}]))
    probe(w, 0.0, REFUSED, "madre")
    down(w, 0.0)
    assert [fact.target for fact in w.heard(HealthHeard)] == ["switch"] * 3
    w.play((1.0, BEGIN, MADRE), (1.1, GOOD, BY_MADRE))


def test_traffic_counts_what_is_in_flight_and_what_has_begun():
    w = world()
    call = w.call()
    assert w.engine.traffic("switch") == (0, 0)
    call.tell(0.0, BEGIN)
    assert w.engine.traffic("switch") == (1, 1)
    call.tell(0.1, GOOD)
    assert w.engine.traffic("switch") == (0, 1)


# -- for all --------------------------------------------------------------------------------------------------------------------


OUTCOMES = st.sampled_from(
    [WELL, REFUSED, SILENT, Outcome(status=503), Outcome(status=404), Outcome(error=ErrorKind.DNS)]
)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 8),
        st.one_of(
            st.tuples(st.just("probe"), st.sampled_from(["switch", "madre"]), OUTCOMES, st.booleans()),
            st.tuples(st.just("chat"), st.sampled_from([GOOD, REFUSED, SILENT, status(500)])),
            st.tuples(st.just("power"), st.sampled_from([None, frozenset({"madre"}), frozenset({"madre", "switch"})])),
        ),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_probes_say_no_breaker_closes_by_them_and_somebody_is_always_asked(steps):
    w = world(breaker={"consecutive": 2, "open": {"base": "3s", "max": "6s"}})
    now = 0.0
    for after, (what, *told) in steps:
        now += after
        seen = len(w.facts)
        if what == "probe":
            target, outcome, busy = told
            w.engine.hear_health(now, target, outcome, busy=busy, seconds=0.1)
            for fact in w.facts[seen:]:
                assert not isinstance(fact, BreakerMoved) or (fact.before, fact.after, fact.why) == (
                    "open",
                    "half_open",
                    "health",
                )
        elif what == "power":
            w.engine.hear_dormancy(now, told[0])
        else:
            call = w.call()
            call.tell(now, BEGIN)
            while call.plan.finish is None:
                now += 0.05
                call.tell(now, told[0])
            reasons = [fact.reason for fact in w.facts[seen:] if isinstance(fact, Refused)]
            assert reasons.count(Reason.UNHEALTHY) < len(w.engine.targets)
    assert w.at_rest(now)
