"""Facts hold what they were decided by: each kind of decision as a script, and the inputs that its fact must name."""

from __future__ import annotations

import json

import pytest
from script import BEGIN, GOOD, LEFT, REFUSED, RESET, SILENT, WOKE, World, policy, status, targets

from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallBegan,
    CallEnded,
    Counts,
    FellBack,
    Refused,
    Retried,
    RetryDenied,
    RetryInputs,
    Thresholds,
    as_json,
)
from sidecar.core.value import asdict, astuple
from sidecar.core.vocabulary import Binding, ErrorKind, Finish, Outcome, Override, Reason

SWITCH = "switch #1 within 3.25 (deadline)"
DEDUP = {"effects": "dedup"}
NOW = {"backoff": {"base": "1ms", "max": "1ms"}}  # a backoff too short to matter
LIMITS = Thresholds(consecutive=3, min_calls=5, failure_rate=0.5, slow_rate=0.8, slow_seconds=3.0, close_after=2)


def world(switch: dict | None = None, madre: dict | None = None, **sections) -> World:
    return World(policy(targets=targets(switch, madre), **sections))


def only(w: World, kind: type):
    (fact,) = w.heard(kind)
    return fact


# -- an attempt begins ------------------------------------------------------------------------------------------


def test_a_call_says_which_ladder_it_goes_down():
    w = World()
    w.play((0.0, BEGIN, SWITCH))
    w.adopt(1.0, policy(targets=[{"name": "madre"}, {"name": "local"}]))
    w.play((1.0, BEGIN, "madre #1 within 4.75 (deadline)"))
    assert [fact.ladder for fact in w.heard(CallBegan)] == [("switch", "madre"), ("madre",)]


def test_an_attempt_says_what_was_left_what_was_kept_back_and_how_its_breaker_stood():
    w = World()
    w.play((0.0, BEGIN, SWITCH), (3.25, SILENT, "madre #2 within 1.5 (deadline)"))
    assert w.heard(AttemptStarted) == [
        AttemptStarted(0.0, 1, "switch", 1, 3.25, Binding.DEADLINE, 4.75, 1.5, 0.0, "closed"),
        AttemptStarted(3.25, 1, "madre", 2, 1.5, Binding.DEADLINE, 1.5, 0.0, 0.0, "closed"),
    ]


def test_what_is_kept_back_is_what_is_kept_back_and_not_what_was_wished_for():
    w = World()
    w.play((0.0, BEGIN, "switch #1 within 0.5 (deadline)"), patience=1.0)
    assert astuple(only(w, AttemptStarted))[6:8] == (1.0, 0.5)


def test_a_retry_has_what_is_left_then_and_the_same_kept_back():
    w = world({**DEDUP, "retry": NOW})
    call = w.play((0.0, BEGIN, SWITCH))
    call.tell(1.0, status(503))
    call.tell(2.0, WOKE)
    assert [astuple(fact)[6:8] for fact in w.heard(AttemptStarted)] == [(4.75, 1.5), (2.75, 1.5)]


def test_the_wait_for_a_slot_is_told_with_the_attempt_that_got_it():
    w = world({"limiter": {"max_concurrent": 1, "queue": 1}})
    first, second = w.play((0.0, BEGIN, SWITCH)), w.call()
    second.tell(0.0, BEGIN)
    first.tell(0.125, GOOD)
    second.tell(0.125, WOKE)
    assert [(fact.call, fact.waited) for fact in w.heard(AttemptStarted)] == [(1, 0.0), (2, 0.125)]


def test_a_probe_is_an_attempt_under_a_half_open_breaker():
    w = World()
    w.trip(0.0)
    w.play((10.0, BEGIN, SWITCH))
    assert only(w, AttemptStarted).breaker == "half_open"


# -- an attempt ends --------------------------------------------------------------------------------------------


def test_an_end_says_the_rule_and_the_breakers_counts_with_this_attempt_in_them():
    w = World()
    w.play(
        (0.0, BEGIN, SWITCH),
        (3.25, SILENT, "madre #2 within 1.5 (deadline)"),
        (3.5, GOOD, "finish madre #2 degraded (timeout)"),
    )
    assert [(f.rule, f.counts, f.heeded) for f in w.heard(AttemptEnded)] == [
        ("error timeout", Counts("closed", 1, 1, 1, 1, 0, LIMITS), True),
        ("answer", Counts("closed", 1, 0, 0, 0, 0, LIMITS), True),
    ]  # fmt: skip


def test_the_attempt_that_trips_the_breaker_says_the_counts_that_tripped_it_and_so_does_the_move():
    w = World()
    for n in range(3):
        w.play(
            (float(n), BEGIN, SWITCH),
            (n + 0.5, RESET, "madre #2 within 4.25 (deadline)"),
            (n + 0.5, GOOD, "finish madre #2 degraded (failure)"),
        )
    tripped = Counts("closed", 3, 3, 0, 3, 0, LIMITS)
    assert w.heard(AttemptEnded)[-2].counts == tripped
    assert only(w, BreakerMoved).counts == tripped
    assert only(w, BreakerMoved).call == 3


def test_a_probe_says_how_many_good_ones_there_were():
    w = World()
    w.trip(0.0)
    for n in range(2):
        w.play((10.0 + n, BEGIN, SWITCH), (10.5 + n, GOOD, "finish switch #1"))
    assert [astuple(f.counts)[-3:] for f in w.heard(AttemptEnded)] == [(0, 1, LIMITS), (0, 2, LIMITS)]
    assert [(m.why, m.call, m.counts.state) for m in w.heard(BreakerMoved)] == [("timer", 1, "open"), ("recovered", 2, "half_open")]  # fmt: skip


def test_a_straggler_and_a_permit_that_ran_out_are_not_heeded():
    w = World()
    straggler, late = w.play((0.0, BEGIN, SWITCH)), w.play((0.0, BEGIN, SWITCH))
    late.tell(9.0, status(500))
    w.trip(9.0)
    straggler.tell(9.0, status(500))
    assert [(f.call, f.heeded, f.counts.state) for f in w.heard(AttemptEnded)] == [(2, False, "closed"), (1, False, "open")]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "now", "rule"),
    [(LEFT, 0.5, "client left"), (SILENT, 0.5, "short patience"), (REFUSED, 0.01, "dormant"), (GOOD, 0.5, "answer")],
)
def test_what_only_the_plan_knows_has_words_of_its_own(what, now, rule):
    w = World()
    if what is REFUSED:
        w.engine.hear_dormancy(0.0, frozenset({"madre"}))
    call = w.play((0.0, BEGIN, "switch #1 within 0.5 (deadline)"), patience=1.0)
    call.tell(now, what)
    assert w.heard(AttemptEnded)[0].rule == rule


# -- asked again, or not ----------------------------------------------------------------------------------------


def test_a_retry_says_what_it_was_decided_by():
    w = world({"retry": {"max_attempts": 3, "backoff": {"base": "0.5s", "max": "0.5s"}}})
    w.play((0.0, BEGIN, SWITCH)).tell(0.25, REFUSED)
    retried = only(w, Retried)
    assert retried.balance == 2.0
    assert retried.inputs == RetryInputs(1, 3, retried.delay, 3.0, 3.0, 3.0, None)


@pytest.mark.parametrize(
    ("switch", "outcome", "why", "inputs"),
    [
        ({"retry": {"max_attempts": 1}}, REFUSED, "attempts", {"asked": 1, "most": 1}),
        ({}, status(503), "effects", {"asked": 1, "most": 2, "balance": 3.0}),
        ({"breaker": {"consecutive": 1, "open": {"jitter": 0.0}}}, REFUSED, "open", {"refuses_for": 5.0}),
        (DEDUP, status(503, retry_after=9.0), "deadline", {"left": 3.0}),
        ({"retry_budget": {"ratio": "0%", "burst": 0.5}}, REFUSED, "budget", {"balance": 0.5, "burst": 0.5}),
    ],
)
def test_a_retry_that_was_denied_says_what_forbade_it(switch, outcome, why, inputs):
    w = world(switch)
    w.play((0.0, BEGIN, SWITCH)).tell(0.25, outcome)
    denied = only(w, RetryDenied)
    assert denied.why == why
    told = asdict(denied.inputs)
    assert {name: told[name] for name in inputs} == inputs
    if why == "deadline":
        assert denied.inputs.delay >= 9.0


# -- not asked at all -------------------------------------------------------------------------------------------


def refused(w: World) -> Refused:
    fact = w.heard(Refused)[0]
    assert fact.target == "switch"
    return fact


def test_who_was_refused_by_a_breaker_is_told_what_opened_it():
    w = World()
    w.trip(0.0)
    w.play((1.0, BEGIN, "madre #1 within 4.75 (deadline)"))
    fact = refused(w)
    assert astuple(fact)[5:8] == (3.25, 0.0, "open")
    assert (fact.moved.at, fact.moved.why, fact.moved.call) == (0.0, "consecutive", None)
    assert fact.moved.counts == Counts("closed", 3, 3, 0, 3, 0, LIMITS)
    assert fact.retry_after == w.machines().breaker.until - 1.0


def test_who_came_while_a_probe_was_under_way_is_told_so():
    w = World()
    w.trip(0.0)
    w.play((10.0, BEGIN, SWITCH))
    w.play((10.5, BEGIN, "madre #1 within 4.75 (deadline)"))
    assert (refused(w).breaker, refused(w).moved.why) == ("half_open", "timer")


def test_who_found_no_slot_and_no_room_in_the_queue_is_told_how_many_there_were():
    w = world({"limiter": {"max_concurrent": 1, "queue": 1}})
    w.play((0.0, BEGIN, SWITCH))
    w.call().tell(0.0, BEGIN)
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"))
    assert (refused(w).reason, refused(w).waited, astuple(refused(w))[-4:-1]) == (Reason.LIMITED, 0.0, (1, 1, (1, 1)))


def test_who_waited_in_vain_is_told_how_long():
    w = world({"limiter": {"max_concurrent": 1, "queue": 1}})
    w.play((0.0, BEGIN, SWITCH))
    w.play((0.0, BEGIN, "queue for switch within 0.2"), (0.2, WOKE, "madre #1 within 4.55 (deadline)"))
    assert (refused(w).reason, refused(w).waited, astuple(refused(w))[-4:-1]) == (Reason.LIMITED, 0.2, (1, 0, (1, 1)))


@pytest.mark.parametrize(("patience", "woke", "reason"), [(4.75, 0.1, Reason.OPEN), (0.3, 0.12, Reason.TIMEOUT)])
def test_who_was_refused_right_behind_the_queue_is_told_the_wait_too(patience, woke, reason):
    w = world({"limiter": {"max_concurrent": 1, "queue": 1}})
    first, second = w.play((0.0, BEGIN, SWITCH)), w.call(patience)
    second.tell(0.0, BEGIN)
    if reason is Reason.OPEN:
        w.trip(0.05)
    first.tell(woke, GOOD)
    second.tell(woke, WOKE)
    assert (refused(w).reason, refused(w).waited) == (reason, woke)


def test_who_had_no_time_is_told_how_little_there_was():
    w = World()
    w.play((0.0, BEGIN, "madre #1 within 0.0625 (deadline)"), patience=0.0625)
    assert [(f.target, f.left, f.breaker, f.moved) for f in w.heard(Refused)] == [("switch", 0.03125, "closed", None)]


@pytest.mark.parametrize(("reason", "allowed"), [(Reason.FAILURE, True), (Reason.TIMEOUT, False), (Reason.OFF, True)])
def test_the_way_down_says_whether_the_policy_allows_it(reason, allowed):
    w = world(fallback={"on": ["failure"]})
    if reason is Reason.OFF:
        w.engine.override(0.0, "switch", Override.OFF)
    call = w.call()
    call.tell(0.0, BEGIN)
    if reason is not Reason.OFF:
        call.tell(1.0, SILENT if reason is Reason.TIMEOUT else status(500))
    assert astuple(only(w, FellBack))[2:] == ("switch", reason, allowed)


# -- as JSON ----------------------------------------------------------------------------------------------------


def test_a_fact_becomes_its_name_its_time_and_its_fields():
    ended = CallEnded(12.5, 7, 2.5, Finish("madre", 2, degraded=True, reason=Reason.TIMEOUT), Reason.TIMEOUT, 2)
    assert as_json(ended, 10.0) == {
        "fact": "CallEnded",
        "after_seconds": 2.5,
        "seconds": 2.5,
        "finish": {
            "is": "Finish",
            "provider": "madre",
            "attempt": 2,
            "degraded": True,
            "reason": "timeout",
            "abandoned": False,
        },
        "first_reason": "timeout",
        "attempts": 2,
    }


def test_what_stands_in_a_fact_is_an_object_too_and_its_time_counts_from_the_same_begin():
    moved = BreakerMoved(8.0, "switch", "closed", "open", "consecutive", 5.0, Counts("closed", 3, 3, 0, 3, 0, LIMITS), 3)  # fmt: skip
    told = as_json(Refused(10.0, 7, "switch", Reason.OPEN, 3.0, moved=moved, limits=(4, 8)), 10.0)
    assert (told["after_seconds"], told["moved"]["after_seconds"]) == (0.0, -2.0)
    assert told["moved"]["is"] == "BreakerMoved"
    assert told["moved"]["counts"]["thresholds"] == {"is": "Thresholds", **asdict(LIMITS)}
    assert "call" not in told
    assert "call" not in told["moved"]


def test_whatever_a_call_leads_to_can_be_written_as_json():
    w = world({**DEDUP, "breaker": {"consecutive": 2}})
    for n in range(4):
        call = w.call()
        call.tell(float(n), BEGIN)
        for what in (Outcome(error=ErrorKind.RESET), WOKE, GOOD):
            if call.plan.finish is None:
                call.tell(n + 0.5, what if "back off" not in str(call.step) else WOKE)
    told = [as_json(fact, 0.0) for fact in w.facts if getattr(fact, "call", None) is not None]
    assert json.loads(json.dumps(told))
    assert {fact["fact"] for fact in told} >= {"AttemptEnded", "BreakerMoved", "Refused", "CallEnded"}
