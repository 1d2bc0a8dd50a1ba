"""Cases played: virtual times to the microsecond, scripted answers, what happens in the middle, and the luck of seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.fact import AttemptEnded
from sidecar.core.vocabulary import ErrorKind, Outcome, Override, Reason
from sidecar.edge.chat.request import patience as live_patience
from sidecar.policy.load import parse
from sidecar.policy.model import DeadlinePolicy
from sidecar.policy.problem import Place
from sidecar.replay.cases.case import Answer, Case, Chat, Overriding, Phase, Power, Reload
from sidecar.replay.cases.given import WORDS
from sidecar.replay.cases.play import patience, play

HERE = Place("c", 1, 1)
POLICY = parse("", "built-in")
NEVER_TRIPS = "breaker: {consecutive: 0, min_calls: 20, failure_rate: 100%}\n"
CALM = parse(NEVER_TRIPS, "calm")


def script(target, *words):
    return (Phase(0.0, tuple(WORDS[target][word] if isinstance(word, str) else word for word in words)),)


def after(seconds, most=None):
    return WORDS["switch"]["ok"]._replace(least=seconds, most=most or seconds)


def case(switch=("ok",), madre=("ok",), chats=((0.0, None, None),), events=()):
    given = {"switch": script("switch", *switch), "madre": script("madre", *madre)}
    return Case("n", HERE, given, tuple(Chat(*chat) for chat in chats), tuple(events), ())


def every(seconds, count):
    return tuple((seconds * n, None, None) for n in range(count))


def outcomes(played):
    """Every attempt of every chat as a word."""
    return [
        [f"{a.target} {a.outcome.error or a.outcome.status}" for a in chat.course if isinstance(a, AttemptEnded)]
        for chat in played.chats
    ]


def providers(played):
    return [chat.finish.provider for chat in played.chats]


# -- who answers, and when ---------------------------------------------------------------------------------------------


def test_an_answer_takes_exactly_as_long_as_it_was_given():
    [chat] = play(case([after(3.249999)]), POLICY, 1).chats
    assert (chat.finish.provider, chat.seconds) == ("switch", 3.249999)


def test_one_that_comes_when_the_attempt_ends_is_too_late():
    [chat] = play(case([after(3.25)], [after(0.06)]), POLICY, 1).chats
    assert chat.finish.provider == "madre"
    assert chat.seconds == pytest.approx(3.31, abs=1e-9)


def test_a_target_of_which_nothing_is_said_is_well():
    [chat] = play(Case("n", HERE, {}, (Chat(2.0, None, None),), (), ()), POLICY, 1).chats
    assert (chat.at, chat.finish.provider) == (2.0, "switch")
    assert chat.seconds == pytest.approx(0.05, abs=1e-9)


def test_answers_are_given_in_order_and_the_last_repeats():
    played = play(case(["error", "ok", "empty"], chats=every(1.0, 5)), CALM, 1)
    assert providers(played) == ["madre", "switch", "madre", "madre", "madre"]


def test_phases_are_by_the_time_at_which_an_attempt_begins():
    given = {"switch": (Phase(0.0, (WORDS["switch"]["error"],)), Phase(2.0, (WORDS["switch"]["ok"],)))}
    chats = tuple(Chat(at, None, None) for at in (0.0, 1.999, 2.0, 3.0))
    assert providers(play(Case("n", HERE, given, chats, (), ()), CALM, 1)) == ["madre", "madre", "switch", "switch"]


def test_a_connection_that_does_not_stand_in_time_is_a_connect_timeout():
    played = play(case([Answer(0.3, 0.3, Outcome(error=ErrorKind.CONNECT))]), POLICY, 1)
    assert outcomes(played) == [["switch connect-timeout", "switch connect-timeout", "madre 200"]]
    [first, *_] = played.chats[0].course
    assert first.seconds == pytest.approx(0.3, abs=1e-9)
    refused = play(case([Answer(0.299, 0.299, Outcome(error=ErrorKind.DNS))]), POLICY, 1)
    assert outcomes(refused) == [["switch dns", "switch dns", "madre 200"]]


def test_a_host_that_is_gone_is_left_after_the_connect_timeout_of_the_policy():
    slow = parse("timeouts: {connect: 1s}\nretry: {max_attempts: 1}", "slow")
    gone = Answer(float("inf"), float("inf"), Outcome(error=ErrorKind.CONNECT_TIMEOUT))
    [chat] = play(case([gone]), slow, 1).chats
    assert chat.course[0].seconds == 1.0


def test_a_client_leaves_and_what_was_under_way_says_nothing():
    [chat] = play(case(["hang"], chats=[(0.0, None, 1.5)]), POLICY, 1).chats
    assert (chat.finish.abandoned, chat.seconds) == (True, 1.5)
    assert chat.course[0].outcome is None


# -- patience ----------------------------------------------------------------------------------------------------------


def test_a_client_in_a_hurry_is_answered_in_its_time():
    [chat] = play(case(["hang"], ["hang"], chats=[(0.0, 1.0, None)]), POLICY, 1).chats
    assert (chat.finish.provider, chat.seconds) == ("local", 0.75)


@given(st.none() | st.integers(1, 60_000), st.integers(1, 30_000), st.integers(1, 30_000))
def test_patience_is_that_of_the_live_sidecar(said, client, margin):
    client, margin = max(client, margin) + 1, min(client, margin)
    policy = DeadlinePolicy(client=f"{client}ms", margin=f"{margin}ms")
    header = None if said is None else str(said)
    mine = patience(None if said is None else said / 1000, policy)
    assert mine == live_patience(header, policy.client, policy.margin)


# -- in the middle -----------------------------------------------------------------------------------------------------


def test_after_a_reload_new_chats_have_the_patience_of_the_new_policy():
    nine, three = (parse(f"{NEVER_TRIPS}deadline: {{client: {time}}}", time) for time in ("9s", "3s"))
    events = [Reload(2.0, nine), Reload(4.0, three)]
    played = play(case(["hang"], ["hang"], every(1.0, 5), events), CALM, 1)
    assert [chat.seconds for chat in played.chats] == pytest.approx([4.75, 4.75, 8.75, 8.75, 2.75], abs=1e-9)


def test_what_happens_at_the_moment_of_a_chat_happens_first():
    events = [Overriding(1.0, HERE, "switch", Override.OFF), Overriding(2.0, HERE, "switch", None)]
    played = play(case(chats=every(1.0, 3), events=events), POLICY, 1)
    assert [chat.finish.reason for chat in played.chats] == [None, Reason.OFF, None]


def test_the_power_state_is_heard():
    events = [Power(0.0, frozenset({"madre"})), Power(2.0, None)]
    played = play(case(["refuse"], chats=every(1.0, 3), events=events), POLICY, 1)
    assert [chat.finish.reason for chat in played.chats] == [Reason.DORMANT, Reason.DORMANT, Reason.FAILURE]


def test_an_override_of_who_is_not_on_the_ladder_is_missed():
    alone = parse("targets: [{name: switch}]", "alone")
    override = Overriding(0.0, HERE, "madre", Override.OFF)
    assert play(case(events=[override]), alone, 1).missed == (override,)
    assert play(case(events=[override]), POLICY, 1).missed == ()


def test_moves_of_breakers_are_told():
    moves = play(case(["error"], chats=every(1.0, 4)), POLICY, 1).moves
    [move] = moves
    assert (move.target, move.before, move.after, move.why) == ("switch", "closed", "open", "consecutive")
    assert move.at == pytest.approx(2.05, abs=1e-9)
    assert 3.5 <= move.open_for <= 6.5


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_a_seed_decides_everything_that_is_left_to_chance():
    chancy = case(["refuse", after(0.02, 0.08)], chats=every(1.0, 10))
    assert play(chancy, POLICY, 7) == play(chancy, POLICY, 7)
    assert play(chancy, POLICY, 7) != play(chancy, POLICY, 8)


def test_answers_between_two_times_come_between_them_and_fill_the_range():
    chancy = case([after(0.02, 0.08)], chats=every(1.0, 400))
    times = [chat.seconds for chat in play(chancy, POLICY, 3).chats]
    assert 0.02 <= min(times) < 0.022
    assert 0.078 < max(times) < 0.08
    assert sum(times) / len(times) == pytest.approx(0.05, abs=0.004)
