"""The record of a run: chats, attempts and patience as they were, and what patience is under another deadline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.fact import AttemptEnded, CallBegan, CallEnded, PolicyAdopted
from sidecar.core.value import replace
from sidecar.core.vocabulary import Binding, ErrorKind, Finish, Outcome, Verdict
from sidecar.edge.chat.request import patience
from sidecar.policy.model import DeadlinePolicy
from sidecar.replay.record import Attempted, Came, Record, kind_of
from sidecar.replay.simulate import TIMED_OUT
from sidecar.replay.world import GOOD
from tests.replay.worlds import World, policy

FIVE = DeadlinePolicy.model_validate({})


def deadline(client, margin="250ms"):
    return DeadlinePolicy.model_validate({"client": client, "margin": margin})


def came(seconds, under=FIVE):
    return Came(1.0, 1, seconds, under, None)


# -- patience ----------------------------------------------------------------------------------------------------------


def test_a_client_with_all_the_time_there_is_waits_as_long_as_any_policy_says():
    assert came(4.75).patience_under(deadline("8s", "500ms")) == pytest.approx(7.5)
    assert came(4.75).patience_under(deadline("2s")) == pytest.approx(1.75)


def test_what_its_body_took_is_gone_under_every_policy():
    assert came(4.74).patience_under(deadline("8s")) == pytest.approx(7.74)


def test_a_client_that_asked_for_less_waits_as_long_as_it_did_and_never_longer_than_the_policy():
    assert came(1.75).patience_under(deadline("8s")) == pytest.approx(1.75)
    assert came(1.75).patience_under(deadline("8s", "500ms")) == pytest.approx(1.5)
    assert came(1.75).patience_under(deadline("1s")) == pytest.approx(0.75)


@given(
    st.integers(100, 20_000),
    st.tuples(st.integers(400, 10_000), st.integers(1, 300)),
    st.tuples(st.integers(400, 10_000), st.integers(1, 300)),
)
def test_it_is_what_the_chats_own_reader_would_have_made_of_the_same_client(asked, recorded, candidate):
    """But where the recorded policy hides it: a client that asked for nearly all, or more, is one that asked for nothing."""
    one, other = (deadline(f"{client}ms", f"{margin}ms") for client, margin in (recorded, candidate))
    had = patience(str(asked), one.client, one.margin)
    would = patience(str(asked), other.client, other.margin)
    if asked / 1000 < one.client - 0.06 and asked / 1000 >= 2 * one.margin:
        assert came(had, one).patience_under(other) == pytest.approx(would)
    if asked / 1000 >= one.client:
        assert came(had, one).patience_under(other) == pytest.approx(patience(None, other.client, other.margin))


def test_under_the_recorded_deadline_it_is_the_recorded_one_to_the_last_bit():
    record = Record(7)
    record(PolicyAdopted(0.0, "r", "s", policy()))
    record(CallBegan(1.0, 1, 4.749123456789, "c", "r"))
    record(ended(1, 2.0))
    record.settle()
    assert [one.call.patience for one in record.arrivals(policy())] == [4.749123456789]
    [longer] = record.arrivals(policy(deadline={"client": "8s"}))
    assert longer.call.patience == pytest.approx(7.749123456789)


def test_each_chat_is_as_patient_as_the_policy_it_met():
    """A reload in between changed the deadline."""
    record = Record(7)
    record(PolicyAdopted(0.0, "r", "s", policy()))
    record(CallBegan(1.0, 1, 4.75, "c", "r"))
    record(ended(1, 2.0))
    record(PolicyAdopted(3.0, "r", "s", policy(deadline={"client": "2s"})))
    record(CallBegan(4.0, 2, 1.75, "c", "r"))
    record(ended(2, 5.0))
    record.settle()
    assert [one.call.patience for one in record.arrivals(policy(deadline={"client": "8s"}))] == [7.75, 7.75]
    assert len(record.policies) == 2


# -- attempts ----------------------------------------------------------------------------------------------------------


def ended(call, at, seconds=1.0, *, abandoned=False):
    finish = Finish(
        None if abandoned else "switch", None if abandoned else 1, degraded=False, reason=None, abandoned=abandoned
    )
    return CallEnded(at, call, seconds, finish, None, 1)


def attempt(call, at, seconds, outcome, target="switch", *, number=1):
    return AttemptEnded(at, call, target, number, seconds, outcome, Verdict.SUCCESS, Binding.ATTEMPT)


def test_attempts_are_in_the_order_in_which_they_began():
    record = Record(7)
    for call in (1, 2):
        record(CallBegan(float(call), call, 4.75, "c", "r"))
    record(attempt(2, 2.5, 0.1, GOOD))
    record(attempt(1, 3.0, 1.9, GOOD))
    record.settle()
    assert [one.call for one in record.attempts["switch"]] == [1, 2]
    assert record.attempts["switch"][0].began == pytest.approx(1.1)


def test_turns_count_by_target_and_not_within_the_call():
    record = Record(7)
    record(CallBegan(0.0, 1, 4.75, "c", "r"))
    record(attempt(1, 1.0, 1.0, TIMED_OUT))
    record(attempt(1, 2.0, 0.5, GOOD, "madre", number=2))
    record(attempt(1, 3.0, 0.5, GOOD, "switch", number=3))
    assert record.turn(1, "switch", 1).cut
    assert record.turn(1, "switch", 2) == Attempted(1, 2.5, 0.5, GOOD)
    assert record.turn(1, "madre", 1).seconds == 0.5
    assert record.turn(1, "madre", 2) is None
    assert record.turn(9, "switch", 1) is None


def test_cut_is_what_somebody_stopped_waiting_for():
    assert Attempted(1, 0.0, 1.0, None).cut
    assert Attempted(1, 0.0, 1.0, TIMED_OUT).cut
    assert not Attempted(1, 0.0, 1.0, Outcome(error=ErrorKind.CONNECT_TIMEOUT)).cut


def test_outcomes_that_are_alike_are_one_object():
    record = Record(7)
    record(CallBegan(0.0, 1, 4.75, "c", "r"))
    for number in range(1, 4):
        record(attempt(1, float(number), 0.5, Outcome(status=503, body={"a": "b"}), number=number))
    first, second, third = (record.turn(1, "switch", turn).outcome for turn in (1, 2, 3))
    assert first is second is third
    assert kind_of(first) != kind_of(replace(first, retry_after=1.0))


def test_a_call_that_ends_twice_or_never_began_is_a_damaged_record_and_no_crash():
    record = Record(7)
    record(ended(5, 1.0))
    record(CallBegan(1.0, 1, 4.75, "c", "r"))
    record(ended(1, 2.0))
    record(ended(1, 3.0))
    record.settle()
    assert [one.number for one in record.chats] == [1]


@pytest.mark.parametrize("number", range(5))
def test_everything_that_happened_in_a_world_is_in_its_record(number):
    world, facts, record = World(number, 100), [], Record(7)
    world.simulate(lambda fact: (facts.append(fact), record(fact)))
    record.settle()
    attempts = [fact for fact in facts if isinstance(fact, AttemptEnded)]
    assert sum(map(len, record.attempts.values())) == len(attempts)
    assert [one.number for one in record.chats] == list(range(1, 101))
    left = {fact.call: fact.at for fact in facts if isinstance(fact, CallEnded) and fact.finish.abandoned}
    assert record.leave_at == left
    assert {one.number for one in record.chats if one.leaves_after is not None} == set(left)
    assert record.span == (world.arrivals[0].at, world.arrivals[-1].at)
    assert Record(7).span == (0.0, 0.0)
