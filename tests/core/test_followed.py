"""One call followed by a candidate: what is decided about it, from when on nothing is, and what that does to the machines."""

from __future__ import annotations

import pytest
from beside import Stage
from script import BEGIN, GOOD, LEFT, REFUSED, SILENT, WAITING, WOKE, policy, status, targets

from sidecar.core.fact import AttemptEnded, AttemptStarted, BreakerMoved, CallEnded, PolicyAdopted
from sidecar.core.vocabulary import ErrorKind, Outcome, Verdict

ONE_SECOND = policy(targets=targets({"timeouts": {"attempt": "1s"}}))
TRIED_ONCE = policy(retry={"max_attempts": 1})
NO_CONNECTION = Outcome(error=ErrorKind.CONNECT_TIMEOUT)


def lived(facts) -> list:
    """What two runs of the same calls have in common, to the moment."""
    return [fact for fact in facts if isinstance(fact, (AttemptStarted, AttemptEnded, BreakerMoved, CallEnded))]


# -- answered by the same attempt ---------------------------------------------------------------------------------------


def test_a_candidate_that_would_do_the_same_agrees():
    stage = Stage(policy())
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    assert stage.results == ["1 agrees: primary"]
    told = stage.told[0]
    assert (told.at, told.correlation_id, told.seconds) == (0.4, "call-1", 0.0)


def test_it_agrees_on_whoever_answers_and_why():
    stage = Stage(policy())
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (3.25, SILENT, "madre #2 within 1.5 (deadline)"),
        (3.3, WAITING, "finish madre #2 degraded (waiting)"),
    )
    stage.play(
        (9, BEGIN, "switch #1 within 3.25 (deadline)"), (9.5, status(400), "finish local degraded (caller_error)")
    )
    stage.play((19, BEGIN, "switch #1 within 3.25 (deadline)"), (19.5, LEFT, "finish None abandoned"))
    assert stage.results == ["1 agrees: fallback", "2 agrees: local", "3 agrees: client_gone"]
    assert stage.said[0] == PolicyAdopted(0.0, "c1", "candidate.yaml", policy())
    assert lived(stage.said) == lived(stage.facts)


def test_an_answer_means_what_the_candidate_says():
    strict = {"outcome": {"failure": [{"body": {"status": ["ok"]}}]}}
    stage = Stage(policy(targets=targets(strict)))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    # madre was not asked at 0.4 s: only that the switch would not have answered is known
    assert stage.results == ["1 not_primary: primary -> not_primary (not_asked)"]
    stage = Stage(policy(targets=[{"name": "switch", **strict}]))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    assert stage.results == ["1 differs: primary -> local"]


# -- who stops waiting first --------------------------------------------------------------------------------------------


def test_a_candidate_that_stops_waiting_before_the_record_does_is_decided():
    """It asks madre at 1 s, and nobody did: but that its primary would not have answered is known."""
    stage = Stage(ONE_SECOND)
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (2.0, GOOD, "finish switch #1"))
    assert stage.results == ["1 not_primary: primary -> not_primary (not_asked)"]
    assert stage.at_ease(2.0)
    ended = [f for f in stage.said if isinstance(f, AttemptEnded)]
    assert [(f.at, f.seconds, f.verdict) for f in ended] == [(1.0, 1.0, Verdict.FATAL), (1.0, 0.0, Verdict.IGNORED)]


def test_below_the_last_rung_it_is_decided_to_the_end():
    stage = Stage(policy(targets=[{"name": "switch", "timeouts": {"attempt": "1s"}}]))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (2.0, GOOD, "finish switch #1"))
    stage.play(
        (5, BEGIN, "switch #1 within 3.25 (deadline)"),
        (8.25, SILENT, "madre #2 within 1.5 (deadline)"),
        (8.5, GOOD, "finish madre #2 degraded (timeout)"),
    )
    stage.play((9, BEGIN, "switch #1 within 3.25 (deadline)"), (10.5, LEFT, "finish None abandoned"))
    stage.play((11, BEGIN, "switch #1 within 3.25 (deadline)"), (11.5, GOOD, "finish switch #1"))
    assert stage.results == [
        "1 differs: primary -> local -1",
        "2 differs: fallback -> local -2.5",
        "3 differs: client_gone -> local",
        "4 differs: primary -> local -0.5",  # three silences in a row have opened its breaker
    ]


def test_an_answer_at_the_moment_it_stops_waiting_is_too_late():
    """As in a replay: an answer in the very last moment is none."""
    stage = Stage(policy(targets=[{"name": "switch", "timeouts": {"attempt": "1s"}}]))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (1.0, GOOD, "finish switch #1"))
    stage.play((5, BEGIN, "switch #1 within 3.25 (deadline)"), (5.999, GOOD, "finish switch #1"))
    assert stage.results == ["1 differs: primary -> local", "2 agrees: primary"]


def test_where_the_record_ends_first_nobody_knows():
    stage = Stage(policy(), ONE_SECOND)
    stage.play(
        (0, BEGIN, "switch #1 within 1 (attempt)"),
        (1.0, SILENT, "madre #2 within 3.75 (deadline)"),
        (1.2, GOOD, "finish madre #2 degraded (timeout)"),
    )
    assert stage.results == ["1 undecided: fallback (cut_off)"]
    assert stage.at_ease(1.2)


def test_what_ended_an_attempt_before_its_time_was_no_timeout_of_ours():
    """A connection that broke for want of an acknowledgement is said in the same word."""
    stage = Stage(
        policy(targets=[{"name": "switch"}]), policy(targets=[{"name": "switch", "timeouts": {"attempt": "1s"}}])
    )
    stage.play((0, BEGIN, "switch #1 within 1 (attempt)"), (0.5, SILENT, "finish local degraded (timeout)"))
    assert stage.results == ["1 agrees: local"]


def test_a_silence_longer_than_a_slow_call_is_known_to_be_slow():
    """Cut off after 2 s it would have been a slow call, whatever came."""
    slow = {
        "breaker": {"slow_call": {"duration": "1s"}, "min_calls": 2, "consecutive": 0},
        "timeouts": {"attempt": "2s"},
    }
    stage = Stage(policy(targets=targets({**slow, "timeouts": {"attempt": "3s"}})), policy(targets=targets(slow)))
    for at in (0, 10):
        stage.play(
            (at, BEGIN, "switch #1 within 2 (attempt)"),
            (at + 2.0, SILENT, "madre #2 within 2.75 (deadline)"),
            (at + 2.1, GOOD, "finish madre #2 degraded (timeout)"),
        )
    assert stage.results == ["1 undecided: fallback (cut_off)", "2 undecided: fallback (cut_off)"]
    assert stage.machine().breaker.state == "open"


# -- who is asked, and when ---------------------------------------------------------------------------------------------


def test_a_target_that_was_not_asked_is_unknown():
    stage = Stage(policy(targets=[{"name": "madre"}, {"name": "switch"}]))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    assert stage.results == ["1 undecided: primary (not_asked)"]
    assert stage.at_ease(0.4)
    assert stage.machine("madre").breaker.tally(0.4).calls == 0


def test_what_another_target_answered_is_not_for_the_one_it_asks():
    """The switch fails within the moment in which madre, whom the candidate asks, may still be asked as well."""
    stage = Stage(policy(targets=[{"name": "madre"}, {"name": "switch"}]))
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (0.005, status(500), "madre #2 within 4.75 (deadline)"),
        (0.3, GOOD, "finish madre #2 degraded (failure)"),
    )
    assert stage.results == ["1 differs: fallback -> primary"]


HEDGED = {"effects": "none", "hedge": {"enabled": True, "delay": "500ms", "max_extra_load": "100%"}}


def test_a_candidate_that_would_hedge_is_decided_until_it_would():
    stage = Stage(policy(targets=targets(HEDGED)), policy(targets=targets({"effects": "none"})))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    stage.play((1, BEGIN, "switch #1 within 3.25 (deadline)"), (1.6, GOOD, "finish switch #1"))
    assert stage.results == ["1 agrees: primary", "2 undecided: primary (hedged)"]
    assert stage.at_ease(1.6)


def test_a_candidate_whose_hedge_is_denied_waits_for_the_same_answer():
    poor = {"effects": "none", "hedge": {**HEDGED["hedge"], "max_extra_load": "1%"}}
    stage = Stage(policy(targets=targets(poor)), policy(targets=targets({"effects": "none"})))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.6, GOOD, "finish switch #1"))
    stage.play(
        (1, BEGIN, "switch #1 within 3.25 (deadline)"),
        (4.25, SILENT, "madre #2 within 1.5 (deadline)"),
        (4.4, GOOD, "finish madre #2 degraded (timeout)"),
    )
    assert stage.results == ["1 agrees: primary", "2 agrees: fallback"]


def test_where_the_policy_in_force_hedges_nobody_knows_what_one_request_would_have_got():
    stage = Stage(policy(targets=targets({"effects": "none"})), policy(targets=targets(HEDGED)))
    stage.play((0, BEGIN, "race switch #1, late after 0.5"), (0.3, (1, GOOD), "finish switch #1"))
    stage.play(
        (1, BEGIN, "race switch #1, late after 0.5"),
        (1.5, WOKE, "race switch #1 and #2"),
        (1.6, (2, GOOD), "finish switch #2"),
    )
    assert stage.results == ["1 agrees: primary", "2 undecided: primary (hedged)"]
    assert stage.at_ease(1.6)


def test_a_second_request_after_the_candidate_has_ended_changes_nothing():
    hasty = {"name": "switch", "effects": "none", "timeouts": {"attempt": "300ms"}}
    stage = Stage(policy(targets=[hasty]), policy(targets=targets(HEDGED)))
    stage.play(
        (0, BEGIN, "race switch #1, late after 0.5"),
        (0.5, WOKE, "race switch #1 and #2"),
        (0.6, (2, GOOD), "finish switch #2"),
    )
    assert stage.results == ["1 differs: primary -> local -0.3"]


def test_where_a_hedge_was_denied_the_one_request_went_on():
    poor = {"effects": "none", "hedge": {**HEDGED["hedge"], "max_extra_load": "1%"}}
    stage = Stage(policy(targets=targets({"effects": "none"})), policy(targets=targets(poor)))
    stage.play(
        (0, BEGIN, "race switch #1, late after 0.5"),
        (0.5, WOKE, "race switch #1"),
        (0.7, (1, status(500)), "madre #2 within 4.05 (deadline)"),
        (0.8, GOOD, "finish madre #2 degraded (failure)"),
    )
    assert stage.results == ["1 agrees: fallback"]


def test_a_target_that_was_asked_at_another_moment_is_told_apart():
    stage = Stage(policy(targets=[{"name": "madre"}, {"name": "switch"}]))
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (0.4, status(500), "madre #2 within 4.35 (deadline)"),
        (0.6, GOOD, "finish madre #2 degraded (failure)"),
    )
    assert stage.results == ["1 undecided: fallback (other_moment)"]


def test_an_open_breaker_of_the_candidate_leaves_out_whom_the_call_did_ask():
    stage = Stage(policy(breaker={"consecutive": 1}))
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (0.1, status(500), "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (failure)"),
    )
    stage.play((1, BEGIN, "switch #1 within 3.25 (deadline)"), (1.1, GOOD, "finish switch #1"))
    assert stage.results == ["1 agrees: fallback", "2 not_primary: primary -> not_primary (not_asked)"]
    assert stage.shadow.beside().states == {"switch": "open", "madre": "closed"}


def test_a_half_open_breaker_probes_with_the_calls_that_ask_and_keeps_its_place_by_those_that_do_not():
    """The switch's breaker is open in earnest while the candidate's is half-open: nothing is decided, nothing is held against it."""
    stage = Stage(
        policy(breaker={"consecutive": 1, "open": {"base": "1s", "max": "1s"}}), policy(breaker={"consecutive": 1})
    )
    ask, good = "switch #1 within 3.25 (deadline)", "finish switch #1"
    stage.play(
        (0, BEGIN, ask),
        (0.1, status(500), "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (failure)"),
    )
    stage.play((2, BEGIN, "madre #1 within 4.75 (deadline)"), (2.1, GOOD, "finish madre #1 degraded (open)"))
    assert stage.results[1:] == ["2 undecided: fallback (not_asked)"]
    assert stage.machine().breaker.state == "half_open"
    assert stage.machine().breaker.outstanding(2.1) == 0
    for at in (20, 21):
        stage.play((at, BEGIN, ask), (at + 0.1, GOOD, good))
    assert stage.results[2:] == ["3 agrees: primary", "4 agrees: primary"]
    assert stage.machine().breaker.state == "closed"


def test_two_moments_are_the_same_within_the_tolerance():
    """The candidate gives up 5 ms before the record: what madre was asked then is what it would have asked."""
    stage = Stage(
        policy(targets=targets({"timeouts": {"attempt": "1995ms"}})),
        policy(targets=targets({"timeouts": {"attempt": "2s"}})),
    )
    stage.play(
        (0, BEGIN, "switch #1 within 2 (attempt)"),
        (2.0, SILENT, "madre #2 within 2.75 (deadline)"),
        (2.2, GOOD, "finish madre #2 degraded (timeout)"),
    )
    assert stage.results == ["1 agrees: fallback"]
    stage = Stage(
        policy(targets=targets({"timeouts": {"attempt": "1980ms"}})),
        policy(targets=targets({"timeouts": {"attempt": "2s"}})),
    )
    stage.play(
        (0, BEGIN, "switch #1 within 2 (attempt)"),
        (2.0, SILENT, "madre #2 within 2.75 (deadline)"),
        (2.2, GOOD, "finish madre #2 degraded (timeout)"),
    )
    assert stage.results == ["1 not_primary: fallback -> not_primary (other_moment)"]


def test_the_real_attempt_may_have_begun_a_moment_before():
    """The real call was kept from the switch; the candidate waits 5 ms for a slot there before it asks madre as well."""
    narrow = {"limiter": {"max_concurrent": 1, "queue": 1, "queue_timeout": "5ms"}}
    stage = Stage(policy(targets=targets(narrow), dormant={"mode": "ignore"}), policy(dormant={"mode": "obey"}))
    first = stage.call()
    first.tell(0, BEGIN)
    stage.engine.hear_dormancy(0.05, frozenset({"madre"}))
    stage.play((0.1, BEGIN, "madre #1 within 4.75 (deadline)"), (0.3, GOOD, "finish madre #1 degraded (dormant)"))
    first.tell(0.5, GOOD)
    assert [told.result for told in stage.told] == ["differs", "agrees"]
    assert stage.told[0][4:] == ("fallback", "fallback", None, 0.0)


def test_a_late_timer_makes_no_difference():
    """The loop stood still: the timeouts of 3.25 s, equal in both, came 300 ms late, and so they would have for the candidate."""
    stage = Stage(policy())
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (3.55, SILENT, "madre #2 within 1.2 (deadline)"),
        (3.6, GOOD, "finish madre #2 degraded (timeout)"),
    )
    assert stage.results == ["1 agrees: fallback"]


# -- waits --------------------------------------------------------------------------------------------------------------


def test_the_same_retry_is_waited_for_and_answered_together():
    stage = Stage(policy())
    call = stage.call()
    assert call.tell(0, BEGIN) == "switch #1 within 3.25 (deadline)"
    assert call.tell(0.1, REFUSED).startswith("back off switch")
    # 3 ms late, as timers are
    assert call.tell(0.1 + call.step.delay + 0.003, WOKE).startswith("switch #2")
    assert call.tell(0.3, GOOD) == "finish switch #2"
    assert stage.results == ["1 agrees: primary"]


def test_a_retry_at_another_moment_is_another_one():
    stage = Stage(policy(retry={"backoff": {"base": "250ms", "max": "250ms"}}))
    call = stage.call()
    call.tell(0, BEGIN)
    call.tell(0.1, REFUSED)
    assert call.tell(0.1 + call.step.delay, WOKE).startswith("switch #2")
    call.tell(0.9, GOOD)
    assert stage.results == ["1 undecided: primary (other_moment)"]


def test_a_retry_nobody_made_is_unknown():
    stage = Stage(policy(), TRIED_ONCE)
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (0.1, REFUSED, "madre #2 within 4.65 (deadline)"),
        (0.4, GOOD, "finish madre #2 degraded (failure)"),
    )
    assert stage.results == ["1 undecided: fallback (other_moment)"]
    assert stage.at_ease(0.4)


def test_a_retry_the_candidate_would_not_make_is_a_difference():
    stage = Stage(policy(TRIED_ONCE.model_dump(include={"retry"}, mode="json"), targets=[{"name": "switch"}]))
    call = stage.call()
    call.tell(0, BEGIN)
    call.tell(0.1, REFUSED)
    call.tell(0.1 + call.step.delay, WOKE)
    assert call.tell(0.3, GOOD) == "finish switch #2"
    assert stage.results == ["1 differs: primary -> local -0.2"]


def test_a_wait_of_the_candidates_own_goes_on_after_the_real_answer():
    """Backed off for a retry that nobody made, it asks a target of which nothing is known."""
    slow = {"backoff": {"base": "250ms", "max": "250ms"}}
    stage = Stage(policy(retry=slow), policy(targets=[{"name": "switch"}], retry={"max_attempts": 1}))
    stage.play((0, BEGIN, "switch #1 within 4.75 (deadline)"), (0.1, REFUSED, "finish local degraded (failure)"))
    assert stage.results == []
    stage.shadow.advance(0.5)
    assert stage.results == ["1 undecided: local (other_moment)"]


NARROW = {"limiter": {"max_concurrent": 1, "queue": 1, "queue_timeout": "200ms"}}


def test_a_wait_for_a_slot_is_over_with_the_real_one():
    stage = Stage(policy(targets=targets(NARROW)), policy(targets=targets(NARROW)))
    first, second = stage.call(), stage.call()
    assert first.tell(0, BEGIN) == "switch #1 within 3.25 (deadline)"
    assert second.tell(0.1, BEGIN) == "queue for switch within 0.2"
    assert first.tell(0.2, GOOD) == "finish switch #1"
    # a turn of the loop later
    assert second.tell(0.201, WOKE) == "switch #1 within 3.15 (deadline)"
    assert second.tell(0.3, GOOD) == "finish switch #1"
    assert stage.results == ["1 agrees: primary", "2 agrees: primary"]
    assert lived(stage.said) == lived(stage.facts)


def test_a_wait_for_a_slot_that_never_comes_ends_with_the_real_one():
    stage = Stage(policy(targets=targets(NARROW)), policy(targets=targets(NARROW)))
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    second.play(
        (0.1, BEGIN, "queue for switch within 0.2"),
        (0.303, WOKE, "madre #1 within 4.55 (deadline)"),
        (0.4, GOOD, "finish madre #1 degraded (limited)"),
    )
    first.tell(0.5, GOOD)
    assert stage.results == ["2 agrees: fallback", "1 agrees: primary"]
    assert lived(stage.said) == lived(stage.facts)


def test_a_candidate_of_less_patience_leaves_the_queue_by_its_own_clock():
    """Both wait for a slot of the switch. The candidate leaves 0.2 s later, and the moment in which the call may leave as well."""
    patient = {"limiter": NARROW["limiter"] | {"queue_timeout": "2s"}}
    stage = Stage(policy(targets=[{"name": "switch", **NARROW}]), policy(targets=[{"name": "switch", **patient}]))
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    assert second.tell(0.1, BEGIN) == "queue for switch within 2"
    first.tell(0.8, GOOD)
    assert second.tell(0.8, WOKE).startswith("switch #1")
    second.tell(1.0, GOOD)
    assert stage.results == ["1 agrees: primary", "2 differs: primary -> local -0.69"]


def test_a_slot_that_the_call_got_and_the_candidate_did_not_leaves_the_candidate_waiting():
    """With one slot where there really are two, the candidate's third call stands behind its second until its time is over."""
    one, two = ({"limiter": NARROW["limiter"] | {"max_concurrent": slots, "queue": 2}} for slots in (1, 2))
    stage = Stage(policy(targets=[{"name": "switch", **one}]), policy(targets=[{"name": "switch", **two}]))
    first, second, third = stage.call(), stage.call(), stage.call()
    first.tell(0, BEGIN)
    second.tell(0.1, BEGIN)
    assert third.tell(0.15, BEGIN) == "queue for switch within 0.2"
    second.tell(0.2, GOOD)
    assert third.tell(0.2, WOKE).startswith("switch #1")
    third.tell(0.6, GOOD)
    assert stage.results[1:] == ["3 differs: primary -> local -0.25"]


def test_a_slot_of_its_own_that_the_call_did_not_get_is_used_at_a_moment_nobody_knows():
    """The candidate's first call has ended at 1 s, so its second gets the slot, and would ask at a moment when nobody did."""
    narrow = NARROW["limiter"] | {"queue_timeout": "2s"}
    short = {"limiter": narrow, "timeouts": {"attempt": "1s"}}
    stage = Stage(
        policy(targets=[{"name": "switch", **short}]), policy(targets=[{"name": "switch", "limiter": narrow}])
    )
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    assert second.tell(0.9, BEGIN) == "queue for switch within 2"
    stage.shadow.advance(1.5)
    assert stage.at_ease(1.5)
    first.tell(2.0, GOOD)
    assert stage.results == ["1 differs: primary -> local -1"]
    second.tell(2.0, WOKE)
    second.tell(2.3, GOOD)
    assert stage.results[1:] == ["2 undecided: primary (other_moment)"]


def test_a_wait_for_a_slot_that_the_call_did_not_need_is_decided_where_nobody_is_left_to_ask():
    stage = Stage(policy(targets=[{"name": "switch", **NARROW}]))
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    second.play((0.1, BEGIN, "switch #1 within 3.25 (deadline)"), (0.2, GOOD, "finish switch #1"))
    assert stage.results == []
    first.tell(0.5, GOOD)
    assert stage.results == ["2 differs: primary -> local +0.1", "1 agrees: primary"]


def test_a_wait_of_a_moment_that_the_candidate_is_spared_makes_no_difference():
    stage = Stage(policy(), policy(targets=targets(NARROW)))
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    assert second.tell(0.1, BEGIN) == "queue for switch within 0.2"
    first.tell(0.104, GOOD)
    assert second.tell(0.105, WOKE).startswith("switch #1")
    second.tell(0.4, GOOD)
    assert stage.results == ["1 agrees: primary", "2 agrees: primary"]


def test_a_slot_that_comes_while_only_the_candidate_waits_is_used_at_once():
    stage = Stage(policy(targets=[{"name": "switch", **NARROW}]))
    first, second = stage.call(), stage.call()
    first.tell(0, BEGIN)
    second.tell(0.1, BEGIN)
    first.tell(0.2, GOOD)
    stage.shadow.advance(0.25)
    second.tell(0.3, GOOD)
    assert stage.results == ["1 agrees: primary", "2 undecided: primary (other_moment)"]
    assert [fact.at for fact in stage.said if isinstance(fact, AttemptStarted)] == [0, 0.2]


def test_a_client_that_leaves_leaves_the_candidate_wherever_it_is():
    """Waiting for a retry, for a slot, and for a target."""
    stage = Stage(policy(targets=targets(NARROW)), policy(targets=targets(NARROW)))
    first, second, third = stage.call(), stage.call(), stage.call()
    first.tell(0, BEGIN)
    second.tell(0.1, BEGIN)
    assert second.tell(0.2, LEFT) == "finish None abandoned"
    first.tell(0.25, REFUSED)
    assert first.tell(0.25, LEFT) == "finish None abandoned"
    third.tell(0.3, BEGIN)
    assert third.tell(0.4, LEFT) == "finish None abandoned"
    assert stage.results == [f"{number} agrees: client_gone" for number in (2, 1, 3)]
    assert stage.at_ease(0.4)


def test_whoever_was_answered_before_the_client_left_had_an_answer():
    """The real call waits for madre when its client leaves; the candidate has been without targets since the switch failed."""
    stage = Stage(policy(targets=[{"name": "switch"}]))
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (0.1, status(500), "madre #2 within 4.65 (deadline)"),
        (1.0, LEFT, "finish None abandoned"),
    )
    assert stage.results == ["1 differs: client_gone -> local"]


# -- what is asked, and what is read of the answer ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "candidate",
    [
        policy(targets=targets({"url": "http://10.0.0.1:8002"})),
        policy(targets=targets({"path": "/other"})),
        policy(targets=targets({"token_from": "env OTHER"})),
        policy(targets=targets({"shield": False})),
        policy(guards={"metadata_allow": ["task_type"]}),
    ],
)
def test_what_was_never_sent_has_no_known_answer(candidate):
    stage = Stage(candidate)
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    assert stage.results == ["1 undecided: primary (other_request)"]
    assert stage.at_ease(0.4)


def test_madre_has_no_shield_and_gets_no_metadata():
    stage = Stage(
        policy(targets=[{"name": "madre", "shield": False}], guards={"metadata_allow": ["task_type"]}),
        policy(targets=[{"name": "madre"}]),
    )
    stage.play((0, BEGIN, "madre #1 within 4.75 (deadline)"), (0.4, GOOD, "finish madre #1"))
    assert stage.results == ["1 agrees: primary"]


def test_a_rule_that_looks_at_words_nobody_kept_decides_nothing():
    stage = Stage(policy(targets=[{"name": "switch", "outcome": {"failure": [{"body": {"engine.state": ["warm"]}}]}}]))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.4, GOOD, "finish switch #1"))
    stage.play(
        (5, BEGIN, "switch #1 within 3.25 (deadline)"),
        (5.1, Outcome(error=ErrorKind.RESET), "madre #2 within 4.65 (deadline)"),
        (5.2, GOOD, "finish madre #2 degraded (failure)"),
    )
    assert stage.results == ["1 undecided: primary (unread)", "2 differs: fallback -> local -0.1"]


def test_patience_for_connections():
    """A longer one: given up too early to know. A shorter one: known only as long as it lasts."""
    stage = Stage(policy(timeouts={"connect": "1s"}), policy(retry={"max_attempts": 1}))
    stage.play(
        (0, BEGIN, "switch #1 within 3.25 (deadline)"),
        (0.3, NO_CONNECTION, "madre #2 within 4.45 (deadline)"),
        (0.4, GOOD, "finish madre #2 degraded (failure)"),
    )
    stage.play((5, BEGIN, "switch #1 within 3.25 (deadline)"), (6.5, GOOD, "finish switch #1"))
    assert stage.results == ["1 undecided: fallback (cut_off)", "2 agrees: primary"]
    stage = Stage(policy(timeouts={"connect": "100ms"}))
    stage.play((0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.1, GOOD, "finish switch #1"))
    stage.play((5, BEGIN, "switch #1 within 3.25 (deadline)"), (5.2, GOOD, "finish switch #1"))
    assert stage.results == ["1 agrees: primary", "2 undecided: primary (connecting)"]
