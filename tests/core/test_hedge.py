"""Hedging: a second attempt beside a late one, as scripts, and what it may cost at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from script import BEGIN, GOOD, LEFT, REFUSED, SILENT, WOKE, World, policy, status, targets

from sidecar.core.breaker import State
from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    Hedged,
    HedgeDenied,
    HedgeEnded,
    Refused,
    RetryDenied,
)
from sidecar.core.vocabulary import ErrorKind, Outcome, Race, Reason, Verdict

LATE = "race switch #1, late after 0.5"
MADRE = "madre #3 within 2.25 (deadline)"
BOTH = "race switch #1 and #2"
EAGER = {"enabled": True, "delay": "500ms", "max_extra_load": "100%"}


def world(switch: dict | None = None, **sections) -> World:
    """The switch may be asked twice, and is: half a second late is late, and every call pays for a hedge."""
    return World(policy(targets=targets({"effects": "none", "hedge": EAGER, **(switch or {})}), **sections))


def won(w: World) -> list[str]:
    return [fact.won for fact in w.heard(HedgeEnded)]


def denied(w: World) -> list[str]:
    return [fact.why for fact in w.heard(HedgeDenied)]


def settled(w: World) -> list[tuple[int, Verdict, str | None]]:
    return [(fact.number, fact.verdict, fact.rule) for fact in w.heard(AttemptEnded)]


# -- the race -----------------------------------------------------------------------------------------------------------


def test_an_answer_in_time_is_not_hedged():
    w = world()
    w.play((0.0, BEGIN, LATE), (0.2, (1, GOOD), "finish switch #1"))
    assert w.heard(Hedged) == w.heard(HedgeEnded) == w.heard(HedgeDenied) == []
    assert [fact.raced for fact in w.heard(AttemptEnded)] == [False]
    assert w.at_rest(0.2)


def test_the_hedge_answers_first_and_the_late_one_is_cancelled():
    w = world()
    w.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH), (0.6, (2, GOOD), "finish switch #2"))
    assert settled(w) == [(2, Verdict.SUCCESS, "answer"), (1, Verdict.IGNORED, "lost the race")]
    assert won(w) == ["hedge"]
    assert w.story(AttemptStarted, Hedged, AttemptEnded, HedgeEnded) == [
        "AttemptStarted", "Hedged", "AttemptStarted", "AttemptEnded", "AttemptEnded", "HedgeEnded",
    ]  # fmt: skip
    assert w.at_rest(0.6)


def test_a_race_is_told_with_what_decided_it():
    w = world({"hedge": {**EAGER, "max_extra_load": "50%"}, "retry_budget": {"burst": 4, "ratio": "100%"}})
    w.play((0.0, BEGIN, LATE), (0.2, (1, GOOD), "finish switch #1"))
    w.play((1.0, BEGIN, LATE), (1.75, WOKE, BOTH), (1.8, (2, GOOD), "finish switch #2"))
    assert w.heard(Hedged) == [Hedged(1.75, 2, "switch", 2, 0.75, 1.0, 4.0)]
    assert w.heard(HedgeEnded) == [HedgeEnded(1.8, 2, "switch", "hedge")]
    first, second = w.heard(AttemptStarted)[1:]
    assert (first.waited, second.waited) == (0.0, 0.0)
    assert [fact.raced for fact in w.heard(AttemptEnded)] == [False, True, True]
    w.play((2.0, BEGIN, LATE), (2.75, WOKE, "race switch #1"), (2.8, (1, GOOD), "finish switch #1"))
    assert w.heard(HedgeDenied) == [HedgeDenied(2.75, 3, "switch", "load", 0.75)]


@pytest.mark.parametrize("ends", [LEFT, (1, SILENT)], ids=["left", "silent"])
def test_both_of_a_race_are_told_as_raced_however_it_ends(ends):
    w = world()
    call = w.call()
    call.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH))
    call.tell(3.25, ends)
    assert [fact.raced for fact in w.heard(AttemptEnded)] == [True, True]


def test_the_late_one_answers_after_all_and_the_hedge_is_cancelled():
    w = world()
    w.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH), (0.7, (1, GOOD), "finish switch #1"))
    assert settled(w) == [(1, Verdict.SUCCESS, "answer"), (2, Verdict.IGNORED, "lost the race")]
    assert won(w) == ["first"]
    assert w.at_rest(0.7)


def test_a_hedge_has_what_is_left_of_the_time_and_is_a_turn_of_its_own():
    w = world()
    call = w.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH))
    first, second = call.step.attempts
    assert (first.turn, second.turn, second.number) == (1, 2, 2)
    assert (first.timeout, second.timeout) == (3.25, 2.75)


@pytest.mark.parametrize(("fails", "then"), [(1, 2), (2, 1)])
def test_a_failure_of_one_is_not_the_end_while_the_other_is_under_way(fails, then):
    w = world()
    w.play(
        (0.0, BEGIN, LATE),
        (0.5, WOKE, BOTH),
        (0.6, (fails, status(500)), f"race switch #{then}"),
        (0.9, (then, GOOD), f"finish switch #{then}"),
    )
    assert w.at_rest(0.9)


def test_where_both_fail_the_call_goes_down_the_ladder():
    w = world()
    w.play(
        (0.0, BEGIN, LATE),
        (0.5, WOKE, BOTH),
        (0.6, (2, status(500)), "race switch #1"),
        (1.0, (1, status(500)), "madre #3 within 3.75 (deadline)"),
        (1.1, GOOD, "finish madre #3 degraded (failure)"),
    )
    assert won(w) == ["none"]
    assert w.at_rest(1.1)


def test_two_that_are_silent_until_the_deadline_end_together():
    w = world()
    w.play(
        (0.0, BEGIN, LATE),
        (0.5, WOKE, BOTH),
        (3.25, (1, SILENT), "madre #3 within 1.5 (deadline)"),
        (3.4, GOOD, "finish madre #3 degraded (timeout)"),
    )
    assert [fact.outcome for fact in w.heard(AttemptEnded)] == [SILENT, SILENT, GOOD]
    assert w.machines().breaker.failures_in_row == 2
    assert won(w) == ["none"]
    assert w.at_rest(3.4)


def test_one_that_is_silent_for_its_own_time_does_not_end_the_other():
    w = world({"timeouts": {"attempt": "1s"}})
    w.play(
        (0.0, BEGIN, LATE),
        (0.5, WOKE, BOTH),
        (1.0, (1, SILENT), "race switch #2"),
        (1.2, (2, GOOD), "finish switch #2"),
    )


def test_a_retry_after_a_race_is_a_further_turn_and_not_hedged_again():
    w = world({"retry": {"backoff": {"base": "1ms", "max": "1ms"}}})
    call = w.call()
    call.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH), (0.6, (2, status(503)), "race switch #1"))
    assert call.tell(0.7, (1, status(503))).startswith("back off switch ")
    assert call.tell(0.701, WOKE) == "switch #3 within 2.55 (deadline)"
    assert call.step.turn == 3
    call.play((0.8, GOOD, "finish switch #3"))
    assert w.at_rest(0.8)


@pytest.mark.parametrize(
    ("outcome", "next_step"),
    [
        (status(401), "madre #3 within 4.15 (deadline)"),
        (status(413), "finish local degraded (caller_error)"),
    ],
)
def test_what_the_other_could_only_repeat_ends_the_race(outcome, next_step):
    w = world()
    w.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH), (0.6, (2, outcome), next_step))
    assert (1, Verdict.IGNORED, "lost the race") in settled(w)
    assert won(w) == ["none"]


def test_a_client_that_leaves_ends_both():
    w = world()
    w.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH), (0.6, LEFT, "finish None abandoned"))
    assert settled(w) == [(1, Verdict.IGNORED, "client left"), (2, Verdict.IGNORED, "client left")]
    assert won(w) == ["left"]
    assert w.at_rest(0.6)


def test_a_client_that_leaves_before_the_hedge_ends_the_one():
    w = world()
    w.play((0.0, BEGIN, LATE), (0.3, LEFT, "finish None abandoned"))
    assert w.at_rest(0.3)


def test_a_straggler_of_the_race_decides_nothing_after_the_breaker_moved():
    w = world({"breaker": {"consecutive": 1}})
    w.play(
        (0.0, BEGIN, LATE),
        (0.5, WOKE, BOTH),
        (0.6, (2, status(500)), "race switch #1"),
        (0.8, (1, status(500)), "madre #3 within 3.95 (deadline)"),
    )
    assert [fact.heeded for fact in w.heard(AttemptEnded)] == [True, False]
    assert len(w.heard(BreakerMoved)) == 1


def test_a_loser_that_was_silent_for_long_was_slow():
    w = world({"hedge": {**EAGER, "delay": "3100ms"}})
    w.play((0.0, BEGIN, "race switch #1, late after 3.1"), (3.1, WOKE, BOTH), (3.2, (2, GOOD), "finish switch #2"))
    assert w.machines().breaker.tally(3.2).slow == 1


# -- when there is none -------------------------------------------------------------------------------------------------


def test_an_unsafe_target_is_never_hedged():
    w = world({"effects": "unsafe"})
    w.play((0.0, BEGIN, "switch #1 within 3.25 (deadline)"), (0.9, GOOD, "finish switch #1"))


def test_a_delay_beyond_the_timeout_is_none():
    w = world({"timeouts": {"attempt": "400ms"}})
    assert w.call().tell(0.0, BEGIN) == "switch #1 within 0.4 (attempt)"


def test_a_quantile_needs_twenty_answers():
    w = world({"hedge": {**EAGER, "delay": "p50"}})
    for n in range(20):
        assert w.play((n, BEGIN, "switch #1 within 3.25 (deadline)"), (n + 0.1, GOOD, "finish switch #1"))
    assert w.call().tell(30.0, BEGIN) == "race switch #1, late after 0.1"


def test_the_length_of_an_attempt_that_lost_is_remembered_and_that_of_a_hedge_is_not():
    w = world()
    w.play((0.0, BEGIN, LATE), (0.5, WOKE, BOTH), (0.625, (2, GOOD), "finish switch #2"))
    assert list(w.machines().latency) == [0.125, 0.625]
    w.play((1.0, BEGIN, LATE), (1.5, WOKE, BOTH), (1.75, (1, GOOD), "finish switch #1"))
    assert list(w.machines().latency) == [0.125, 0.625, 0.75]
    w.play((2.0, BEGIN, LATE), (2.5, WOKE, BOTH), (2.875, (2, GOOD), "finish switch #2"))
    assert list(w.machines().latency)[3:] == [0.375, 0.875]


@pytest.mark.parametrize(
    ("why", "switch"),
    [
        ("load", {"hedge": {**EAGER, "max_extra_load": "99%"}}),
        ("budget", {"retry_budget": {"burst": 0.5}}),
        ("budget", {"retry_budget": {"burst": 0.5}, "limiter": {"adaptive": "gradient"}}),
        ("limited", {"limiter": {"max_concurrent": 1}}),
        ("limited", {"limiter": {"max_concurrent": 1, "queue": 0}}),
    ],
)
def test_what_forbids_a_hedge_is_told_and_nothing_is_taken(why, switch):
    w = world(switch)
    budget = w.machines().budget.balance(0.0)
    w.play((0.0, BEGIN, LATE), (0.5, WOKE, "race switch #1"), (0.9, (1, GOOD), "finish switch #1"))
    assert denied(w) == [why]
    assert [fact.raced for fact in w.heard(AttemptEnded)] == [True]
    assert w.machines().budget.balance(0.0) == pytest.approx(min(budget + 0.2, w.machines().budget.burst))
    assert w.heard(HedgeEnded) == []
    assert w.at_rest(0.9)


def test_a_probe_is_not_hedged():
    w = world({"breaker": {"open": {"base": "1s", "jitter": 0}}})
    w.trip(0.0)
    w.play((1.0, BEGIN, LATE), (1.5, WOKE, "race switch #1"), (1.6, (1, GOOD), "finish switch #1"))
    assert denied(w) == ["open"]
    assert w.machines().breaker.state is State.HALF_OPEN


def test_a_driver_that_wakes_too_late_for_a_hedge_sends_none():
    w = world()
    w.play((0.0, BEGIN, LATE), (3.22, WOKE, "race switch #1"))
    assert denied(w) == ["deadline"]


@pytest.mark.parametrize(
    ("delay", "step"), [("3200ms", "race switch #1, late after 3.2"), ("3201ms", "switch #1 within 3.25 (deadline)")]
)
def test_a_hedge_must_have_the_time_of_an_attempt(delay, step):
    assert world({"hedge": {**EAGER, "delay": delay}}).call().tell(0.0, BEGIN) == step


def test_whoever_waits_for_a_slot_comes_before_a_hedge():
    w = world({"limiter": {"max_concurrent": 2, "queue": 2, "queue_timeout": "4s"}})
    one, two, three = w.call(), w.call(), w.call()
    assert [each.tell(0.0, BEGIN) for each in (one, two)] == [LATE, LATE]
    assert three.tell(0.1, BEGIN).startswith("queue for switch")
    assert one.tell(0.5, WOKE) == "race switch #1"
    two.play((0.6, (1, GOOD), "finish switch #1"))
    assert w.machines().limiter.queued == 0  # it was the one who waited that got the slot


# -- what it costs at most ----------------------------------------------------------------------------------------------

OUTCOMES = st.sampled_from([GOOD, SILENT, REFUSED, status(503), status(500), Outcome(error=ErrorKind.RESET)])
STORY = st.lists(st.tuples(st.booleans(), OUTCOMES, st.integers(1, 2), OUTCOMES), min_size=1, max_size=60)


@given(STORY, st.sampled_from([1, 5, 10, 33, 50]))
def test_hedges_are_at_most_their_share_of_calls_and_attempts_stay_in_the_budget(story, percent):
    w = world({"hedge": {**EAGER, "max_extra_load": f"{percent}%"}, "retry": {"max_attempts": 1}})
    now, calls = 0.0, 0
    for late, outcome, first, other in story:
        now += 10.0
        call = w.call()
        if not call.tell(now, BEGIN).startswith("race"):
            assert w.heard(Refused)[-1].reason is Reason.OPEN
            call.tell(now + 0.1, LEFT)
            continue
        calls += 1
        if late:
            call.tell(now + 0.5, WOKE)
        number = min(first, len(call.step.attempts))
        call.tell(now + 0.6, (number, outcome))
        if isinstance(call.step, Race):
            call.tell(now + 0.7, (call.step.attempts[0].number, other))
        if call.plan.finish is None:
            call.tell(now + 1.0, LEFT)
        hedges = len(w.heard(Hedged))
        assert hedges <= calls * percent / 100 + 1e-6
        asked = sum(fact.target == "switch" for fact in w.heard(AttemptStarted))
        assert asked == calls + hedges
        assert asked <= calls * 1.2 + 3 + 1e-6
        assert len(w.heard(AttemptEnded)) == len(w.heard(AttemptStarted))
        assert w.at_rest(now + 1.0)
    assert w.heard(RetryDenied) == [fact for fact in w.heard(RetryDenied) if fact.why == "attempts"]
