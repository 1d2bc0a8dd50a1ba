"""Affinity: a session stays where it fell back to, as scripts, and the machine alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from script import BEGIN, GOOD, LEFT, REFUSED, WAITING, World, policy, status, targets

from sidecar.core.affinity import Affinity, Stay
from sidecar.core.fact import CallEnded, FellBack, Refused
from sidecar.core.vocabulary import Finish, Override, Reason

ONCE = {"retry": {"max_attempts": 1}, "breaker": {"consecutive": 0, "failure_rate": "100%", "min_calls": 20}}
SWITCH = "switch #1 within 3.25 (deadline)"
STAYS = "madre #1 within 3.25 (deadline)"  # the switch is below it now, and its reserve is kept back


def world(stick: str = "60s", **sections) -> World:
    return World(policy(targets=targets(ONCE, ONCE), affinity={"stick": stick}, **sections))


def falls(w: World, now: float, session: str = "a") -> None:
    """A call of the session that the switch refuses and madre answers."""
    w.play(
        (now, BEGIN, SWITCH),
        (now, REFUSED, "madre #2 within 4.75 (deadline)"),
        (now + 0.1, GOOD, "finish madre #2 degraded (failure)"),
        session=session,
    )


def test_a_session_stays_where_it_fell_and_says_why():
    w = world()
    falls(w, 0.0)
    w.play((1.0, BEGIN, STAYS), (1.1, GOOD, "finish madre #1 degraded (affinity)"), session="a")
    (refused,) = w.heard(Refused)
    assert (refused.target, refused.reason) == ("switch", Reason.AFFINITY)
    assert refused.retry_after == pytest.approx(59.1)
    assert w.heard(FellBack)[-1] == FellBack(1.0, 2, "switch", Reason.AFFINITY)
    assert w.heard(CallEnded)[-1].first_reason is Reason.AFFINITY
    assert w.at_rest(1.1)


def test_it_comes_back_when_its_time_is_over_however_lively_it_was():
    w = world()
    falls(w, 0.0)
    for second in range(1, 60, 7):
        w.play((float(second), BEGIN, STAYS), (second + 0.1, GOOD, "finish madre #1 degraded (affinity)"), session="a")
    w.play((60.1, BEGIN, SWITCH), (60.2, GOOD, "finish switch #1"), session="a")


def test_other_sessions_and_chats_without_one_stay_nowhere():
    w = world()
    falls(w, 0.0)
    falls(w, 1.0, session="")
    for session in ("b", ""):
        w.play((2.0, BEGIN, SWITCH), (2.1, GOOD, "finish switch #1"), session=session)


def test_where_the_target_it_stays_with_fails_the_primary_is_asked_and_it_is_back():
    w = world()
    falls(w, 0.0)
    w.play(
        (1.0, BEGIN, STAYS),
        (1.1, status(500), "switch #2 within 4.65 (deadline)"),
        (1.2, GOOD, "finish switch #2"),
        session="a",
    )
    assert w.heard(CallEnded)[-1].first_reason is None
    w.play((2.0, BEGIN, SWITCH), (2.1, GOOD, "finish switch #1"), session="a")


def test_the_primary_is_asked_after_the_one_stayed_with_whatever_the_policy_calls_a_fallback():
    w = world(fallback={"on": ["failure"]})
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.1, status(500), "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (failure)"),
        session="a",
    )
    w.play(
        (1.0, BEGIN, STAYS),
        (1.1, status(401), "switch #2 within 4.65 (deadline)"),
        (1.2, GOOD, "finish switch #2"),
        session="a",
    )
    assert [fact.allowed for fact in w.heard(FellBack)] == [True, True, True]


def test_a_request_that_is_wrong_is_wrong_for_the_primary_too():
    w = world()
    falls(w, 0.0)
    w.play((1.0, BEGIN, STAYS), (1.1, status(413), "finish local degraded (caller_error)"), session="a")


def test_where_both_fail_the_reason_is_that_of_the_primary():
    w = world()
    falls(w, 0.0)
    w.play(
        (1.0, BEGIN, STAYS),
        (1.1, status(500), "switch #2 within 4.65 (deadline)"),
        (1.2, status(401), "finish local degraded (misconfigured)"),
        session="a",
    )
    w.play((2.0, BEGIN, SWITCH), (2.1, LEFT, "finish None abandoned"), session="a")


def test_a_client_that_leaves_changes_nothing():
    w = world()
    falls(w, 0.0)
    w.play((1.0, BEGIN, STAYS), (1.1, LEFT, "finish None abandoned"), session="a")
    assert w.call(session="a").tell(2.0, BEGIN) == STAYS


def test_who_waits_for_a_confirmation_stays_with_whom_it_is_to_be_given():
    w = world()
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.0, REFUSED, "madre #2 within 4.75 (deadline)"),
        (0.1, WAITING, "finish madre #2 degraded (waiting)"),
        session="a",
    )
    assert w.call(session="a").tell(1.0, BEGIN) == STAYS


def test_a_target_that_is_switched_off_is_not_stayed_with():
    w = world()
    falls(w, 0.0)
    w.engine.override(0.5, "madre", Override.OFF)
    w.play((1.0, BEGIN, SWITCH.replace("3.25", "4.75")), (1.1, GOOD, "finish switch #1"), session="a")


def test_a_reload_without_it_sends_everybody_to_the_primary():
    w = world()
    falls(w, 0.0)
    w.adopt(0.5, policy(targets=targets(ONCE, ONCE)))
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, "finish switch #1"), session="a")


def test_a_target_that_left_the_ladder_is_not_stayed_with():
    w = world()
    falls(w, 0.0)
    w.adopt(0.5, policy(targets=[{"name": "switch", **ONCE}, {"name": "local"}], affinity={"stick": "60s"}))
    assert w.call(session="a").tell(1.0, BEGIN) == "switch #1 within 4.75 (deadline)"


# -- the machine --------------------------------------------------------------------------------------------------------

BY_MADRE = Finish("madre", 2, degraded=True, reason=Reason.FAILURE)
BY_SWITCH = Finish("switch", 1, degraded=False, reason=None)
BY_NOBODY = Finish("local", None, degraded=True, reason=Reason.FAILURE)
GONE = Finish(None, None, degraded=False, reason=None, abandoned=True)


def test_the_session_whose_stay_began_first_is_forgotten_first():
    affinity = Affinity(2)
    for at, session in enumerate("abc"):
        affinity.settle(at, session, BY_MADRE, "switch", 60.0)
    assert [affinity.of(3.0, session) is not None for session in "abc"] == [False, True, True]
    assert [affinity.of(61.5, session) is not None for session in "abc"] == [False, False, True]


def test_a_session_that_the_primary_answers_takes_no_place_among_those_that_stay_elsewhere():
    w = world(guards={"max_sessions": 1})
    falls(w, 0.0)
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, "finish switch #1"), session="b")
    w.play((2.0, BEGIN, STAYS), (2.1, GOOD, "finish madre #1 degraded (affinity)"), session="a")


def test_a_session_that_fell_elsewhere_begins_its_stay_anew():
    """A reload turned the ladder round in between: the primary of the first two is below madre now."""
    affinity = Affinity(2)
    affinity.settle(0.0, "a", BY_MADRE, "switch", 60.0)
    affinity.settle(1.0, "b", BY_MADRE, "switch", 60.0)
    affinity.settle(2.0, "a", BY_SWITCH, "madre", 60.0)
    affinity.settle(3.0, "c", BY_SWITCH, "madre", 60.0)
    stays = {session: affinity.of(4.0, session) for session in "abc"}
    assert stays == {"a": Stay("switch", 62.0), "b": None, "c": Stay("switch", 63.0)}


EVENTS = st.tuples(
    st.floats(0, 5), st.sampled_from(["a", "b", "c", "d", ""]), st.sampled_from([BY_MADRE, BY_SWITCH, BY_NOBODY, GONE])
)


@given(st.lists(EVENTS, max_size=80), st.floats(0.1, 20))
def test_nobody_stays_longer_than_from_the_fall_and_nobody_is_remembered_beyond_the_bound(story, stick):
    affinity, fell, now = Affinity(3), {}, 0.0
    for passed, session, finish in story:
        now += passed
        stay = affinity.of(now, session)
        if stay is not None:
            assert now < stay.until <= fell[session] + stick
        affinity.settle(now, session, finish, "switch", stick)
        if session and finish is BY_MADRE and (stay is None):
            fell[session] = now
            assert affinity.of(now, session) == Stay("madre", now + stick)
        elif session and finish in (BY_SWITCH, BY_NOBODY):
            assert affinity.of(now, session) is None
        assert len(affinity) <= 3
        assert affinity.of(now, "") is None
