"""What a candidate has to know of the policy in force, and of what a call really does."""

from __future__ import annotations

import pytest
from script import policy, targets

from sidecar.core.actual import Actual, Attempting, Backing, Terms, Waiting, gave_up_connecting, patience_of, terms_of
from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptStarted, FellBack, Retried
from sidecar.core.vocabulary import Answered, Backoff, Binding, ErrorKind, Outcome, Queue, Reason, Ticket, Woke
from sidecar.policy.model import DeadlinePolicy

ACTIVE = DeadlinePolicy()
SAME = 0.01


def terms(candidate=None, active=None) -> Terms:
    candidate = candidate or policy()
    engine = Engine(0.0, candidate, revision="c", source="s", seed=1, emit=lambda _: None)
    return terms_of(active or policy(), candidate, engine.scene.ladder)


@pytest.mark.parametrize(
    ("candidate", "patience", "expected"),
    [
        ({}, 4.75, 4.75),
        ({}, 1.0, 1.0),
        ({"client": 3.0}, 4.75, 2.75),
        ({"client": 3.0}, 4.73, 2.73),  # 20 ms of the body
        ({"client": 3.0}, 4.0, 2.75),  # it said 4.25 s: more than the candidate gives
        ({"client": 3.0}, 1.0, 1.0),  # it said 1.25 s
        ({"client": 9.0}, 4.75, 8.75),
        ({"client": 9.0}, 1.0, 1.0),
        ({"margin": 1.0}, 4.75, 4.0),
        ({"margin": 1.0}, 2.0, 1.25),
        ({"margin": 1.0}, 0.5, 0.0),
        ({"client": 1.0, "margin": 0.9}, 0.2, 0.0),
    ],
)
def test_the_patience_a_candidate_would_have_had(candidate, patience, expected):
    stated = {name: f"{value}s" for name, value in candidate.items()}
    assert patience_of(patience, ACTIVE, DeadlinePolicy.model_validate(stated)) == pytest.approx(expected)


def test_a_call_of_full_patience_is_one_of_full_patience():
    """To the last bit: only an impatient client's timeout counts for nothing."""
    active = DeadlinePolicy.model_validate({"margin": "310ms"})
    candidate = DeadlinePolicy.model_validate({"client": "4.7s", "margin": "130ms"})
    assert patience_of(5 - 0.31, active, candidate) == 4.7 - 0.13


def test_what_a_candidate_would_ask_otherwise():
    assert terms().ladder == ("switch", "madre")
    assert {name: asked[:2] for name, asked in terms().asked.items()} == {"switch": (True, True), "madre": (True, True)}
    moved = terms(policy(targets=targets({"path": "/other"})))
    assert (moved.asked["switch"].same_request, moved.asked["madre"].same_request) == (False, True)
    alone = terms(policy(targets=[{"name": "madre"}]))
    assert alone.asked["switch"] == (False, False, 0.3)
    curious = policy(targets=targets(madre={"outcome": {"degraded": [{"body": {"mode": ["x"]}}]}}))
    assert (terms(curious).asked["switch"].readable, terms(curious).asked["madre"].readable) == (True, False)
    assert terms(policy(), curious).asked["madre"].readable


def test_what_it_does_is_what_its_facts_say_last():
    actual = Actual(terms(), 1.0, SAME)
    assert actual.doing == Waiting(1.0)
    actual.attempts(AttemptStarted(1.0, 1, "switch", 1, 3.0, Binding.DEADLINE))
    assert actual.doing == Attempting("switch", 1.0, 4.0)
    assert actual.hears(Woke(1.5)) == actual.doing == Attempting("switch", 1.0, 4.0)  # it is late, and goes on
    assert actual.hears(Answered(2.0, Outcome(status=503))) == Attempting("switch", 1.0, 4.0)
    assert actual.doing == Waiting(2.0)
    actual.backs_off(Retried(2.0, 1, "switch", 0.1, "connect", 2.0))
    assert actual.doing == Backing("switch", 2.0, 2.1)
    assert actual.asked == {"switch"}


def test_an_attempt_is_the_same_on_the_same_target_since_the_same_moment():
    actual = Actual(terms(), 1.0, SAME)
    assert actual.attempting("switch", 1.0) is None
    actual.attempts(AttemptStarted(1.0, 1, "switch", 1, 3.0, Binding.DEADLINE))
    assert actual.attempting("switch", 1.009) == actual.attempting("switch", 0.991) == actual.doing
    assert actual.attempting("madre", 1.0) is actual.attempting("switch", 1.02) is None


def test_a_wait_for_a_slot_is_known_by_the_rungs_that_were_left():
    actual, step = Actual(terms(), 1.0, SAME), Queue("madre", Ticket(), 0.2)
    assert not actual.same_queue(step, 1.0, actual.doing)
    actual.falls(FellBack(1.0, 1, "switch", Reason.OPEN))
    assert actual.same_queue(step, 1.0, actual.doing)
    assert not actual.same_queue(step, 1.1, actual.doing)
    assert not actual.same_queue(step, 1.0, Backing("madre", 1.0, 1.2))
    actual.falls(FellBack(1.0, 1, "madre", Reason.OPEN))
    assert not actual.same_queue(step, 1.0, actual.doing)


def test_a_target_that_was_passed_over_comes_after_the_one_that_is_stayed_with():
    actual = Actual(terms(), 1.0, SAME)
    actual.falls(FellBack(1.0, 1, "switch", Reason.AFFINITY))
    assert actual.same_queue(Queue("madre", Ticket(), 0.2), 1.0, actual.doing)
    actual.falls(FellBack(1.0, 1, "madre", Reason.FAILURE))
    assert actual.same_queue(Queue("switch", Ticket(), 0.2), 1.0, actual.doing)
    actual.falls(FellBack(1.0, 1, "switch", Reason.FAILURE))
    assert not actual.same_queue(Queue("switch", Ticket(), 0.2), 1.0, actual.doing)


def test_a_backoff_is_the_same_if_it_begins_and_ends_with_the_other():
    actual, step = Actual(terms(), 1.0, SAME), Backoff("switch", 0.1)
    doing = Backing("switch", 1.0, 1.1)
    assert actual.same_backoff(step, 1.0, doing)
    assert not actual.same_backoff(step, 1.0, doing._replace(target="madre"))
    assert not actual.same_backoff(step, 1.0, doing._replace(due=1.2))
    assert not actual.same_backoff(step, 1.05, doing)
    assert not actual.same_backoff(step, 1.0, Waiting(1.0))


def test_a_timeout_is_one_only_when_the_time_is_over():
    actual, doing = Actual(terms(), 1.0, SAME), Attempting("switch", 1.0, 2.0)
    silent = Outcome(error=ErrorKind.TIMEOUT)
    assert actual.timed_out(Answered(2.0, silent), doing)
    assert actual.timed_out(Answered(2.3, silent), doing)
    assert not actual.timed_out(Answered(1.5, silent), doing)
    assert not actual.timed_out(Answered(2.0, Outcome(status=504)), doing)
    assert gave_up_connecting(Outcome(error=ErrorKind.CONNECT_TIMEOUT))
    assert not gave_up_connecting(silent)
