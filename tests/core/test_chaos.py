"""Which attempts are broken on purpose, and how: as literal lines, and for all draws within the interval that the percentage allows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.chaos import SPOILED, Armed, after, at_first, at_last, before, left, met
from sidecar.core.draw import draw
from sidecar.core.vocabulary import Attempt, Binding, ErrorKind, Outcome
from sidecar.policy.chaos import ABORTS, ChaosRule
from sidecar.policy.model import Policy

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
STEP = Attempt("switch", 1, 3.0, 0.3, Binding.DEADLINE)


def rule(**stated) -> ChaosRule:
    needed = {"name": "a", "target": "any", "percentage": "100%", "expires_at": "2030-01-31T18:00:00Z"}
    return Policy(chaos=[{**needed, **stated}]).chaos[0]


def armed(*rules: ChaosRule, until: float = math.inf) -> list[Armed]:
    return [Armed(each, index, until) for index, each in enumerate(rules)]


def nothing(_name: str, _value: str) -> bool:
    return False


def meets(rules, *, now=0.0, target="switch", number=1, carries=nothing, seed=7, call=1):
    step = Attempt(target, number, 3.0, 0.3, Binding.DEADLINE)
    found = met(now, rules, step, carries, seed=seed, call=call)
    return found and found.name


# ── which ──


def test_the_first_rule_that_fits_breaks_the_attempt():
    rules = armed(rule(name="madre", target="madre", cut=True), rule(name="one", cut=True), rule(name="two", cut=True))
    assert meets(rules) == "one"
    assert meets(rules, target="madre") == "madre"
    assert meets([]) is None


def test_a_rule_does_nothing_from_its_end_on():
    rules = armed(rule(cut=True), until=10.0)
    assert meets(rules, now=9.999) == "a"
    assert meets(rules, now=10.0) is None
    assert meets(rules, now=1e9) is None


def test_a_rule_with_a_header_meets_only_chats_that_carry_all_of_it():
    rules = armed(rule(header={"x-chaos": "break-me", "x-who": "testers"}, cut=True))
    sent = {"x-chaos": "break-me"}
    assert meets(rules) is None
    assert meets(rules, carries=lambda name, value: sent.get(name) == value) is None
    sent["x-who"] = "somebody"
    assert meets(rules, carries=lambda name, value: sent.get(name) == value) is None
    sent["x-who"] = "testers"
    assert meets(rules, carries=lambda name, value: sent.get(name) == value) == "a"


def test_nobody_looks_for_a_header_where_there_is_none_to_find():
    def never(_name, _value):
        raise AssertionError

    assert meets(armed(rule(cut=True)), carries=never) == "a"
    assert meets(armed(rule(cut=True, percentage="0%", header={"x-chaos": "break-me"})), carries=never) is None


@given(st.integers(0, 2**63), st.integers(1, 9_999).map(lambda n: n / 100))
def test_as_many_are_broken_as_the_percentage_says(seed, percent):
    """Within six standard deviations of a binomial count, which one run in 500 million leaves."""
    rules, n = armed(rule(cut=True, percentage=f"{percent:.2f}%")), 1_000
    p = rules[0].rule.percentage
    hits = sum(meets(rules, seed=seed, call=call) is not None for call in range(n))
    assert abs(hits - n * p) <= 6 * math.sqrt(n * p * (1 - p)) + 1


def test_every_attempt_of_a_chat_and_every_rule_draws_by_itself():
    once = armed(rule(cut=True, percentage="50%"))
    attempts = [meets(once, number=number) for number in range(1, 200)]
    assert 60 < sum(each is None for each in attempts) < 140
    one, other = rule(name="one", cut=True, percentage="50%"), rule(name="other", cut=True, percentage="50%")
    both = [meets(armed(one, other), call=call) for call in range(2_000)]
    shares = {name: both.count(name) / len(both) for name in ("one", "other", None)}
    assert shares == pytest.approx({"one": 0.5, "other": 0.25, None: 0.25}, abs=0.04)


def test_another_run_breaks_others_and_a_draw_for_chaos_is_for_nothing_else():
    """A draw that retries use as well would break those whose backoff is short."""
    once = armed(rule(cut=True, percentage="50%"))
    runs = [[meets(once, seed=seed, call=call) is not None for call in range(400)] for seed in (1, 2)]
    backoffs = [draw(1, call, 1) < 0.5 for call in range(400)]
    ruled = [draw(1, call, 1, 0) < 0.5 for call in range(400)]
    for other in (runs[1], backoffs, ruled):
        assert 120 < sum(one != another for one, another in zip(runs[0], other, strict=True)) < 280


@given(st.integers(0, 2**63), st.integers(0, 10_000), st.integers(1, 9))
def test_the_same_attempt_always_meets_the_same(seed, call, number):
    rules = armed(rule(cut=True, percentage="50%"))
    more = armed(rule(cut=True, percentage="50%"), rule(name="b", cut=True))
    found = meets(rules, seed=seed, call=call, number=number)
    assert meets(rules, seed=seed, call=call, number=number) == found
    assert meets(more, seed=seed, call=call, number=number) == (found or "b")


# ── how ──


@pytest.mark.parametrize(
    ("stated", "waits", "comes"),
    [
        ({"delay": "2s"}, 2.0, None),
        ({"delay": "2s", "cut": True}, 2.0, None),
        ({"body": "empty"}, 0.0, None),
        # what is longer than the attempt may take is a timeout, whatever was to follow
        ({"delay": "3s"}, 3.0, "timeout"),
        ({"delay": "10s", "abort": 503}, 3.0, "timeout"),
        # at once
        ({"abort": "connect"}, 0.0, "connect"),
        ({"abort": "dns"}, 0.0, "dns"),
        ({"abort": "reset"}, 0.0, "reset"),
        ({"abort": 503}, 0.0, 503),
        ({"abort": 503, "delay": "500ms"}, 0.5, 503),
        # as long as the real thing
        ({"abort": "connect-timeout"}, 0.3, "connect-timeout"),
        ({"abort": "connect-timeout", "delay": "1s"}, 1.3, "connect-timeout"),
        ({"abort": "connect-timeout", "delay": "2900ms"}, 3.0, "timeout"),
        ({"abort": "timeout"}, 3.0, "timeout"),
        ({"abort": "timeout", "delay": "1s"}, 3.0, "timeout"),
    ],
)
def test_what_comes_before_the_target_is_asked(stated, waits, comes):
    seconds, outcome = before(rule(**stated), STEP)
    assert seconds == pytest.approx(waits)
    assert (outcome and (outcome.error or outcome.status)) == comes


@pytest.mark.parametrize("word", ABORTS)
def test_only_what_could_not_connect_is_believed_to_be_unsent(word):
    _, outcome = before(rule(abort=word), STEP)
    assert outcome is not None
    assert outcome.sent is (word in ("reset", "timeout"))


@given(st.integers(1, 10_000), st.integers(0, 20_000), st.sampled_from([None, 500, *ABORTS]))
def test_nothing_takes_longer_than_the_attempt_may(timeout, delay, abort):
    step = Attempt("switch", 1, timeout / 1000, 0.3, Binding.ATTEMPT)
    stated = {"delay": f"{delay}ms"} | ({"abort": abort} if abort else {"cut": True})
    seconds, outcome = before(rule(**stated), step)
    assert 0 <= seconds <= step.timeout
    if outcome is None:
        rest = left(step, seconds)
        assert rest.timeout == pytest.approx(step.timeout - seconds)
        assert rest is step or 0 <= rest.connect_timeout <= min(rest.timeout, 0.3)
        assert (rest.target, rest.number, rest.binding) == (step.target, step.number, step.binding)


def test_an_attempt_that_did_not_wait_is_the_one_it_was():
    assert left(STEP, 0.0) is STEP


@pytest.mark.parametrize("word", SPOILED)
def test_an_answer_is_replaced_and_a_failure_is_left_as_it_is(word):
    spoils = rule(body=word)
    assert after(spoils, GOOD) == SPOILED[word]
    assert after(spoils, Outcome(status=503, retry_after=1.0)) == SPOILED[word]
    for kind in ErrorKind:
        failed = Outcome(error=kind)
        assert after(spoils, failed) is failed


def test_an_answer_is_cut_off_and_a_delay_alone_changes_none():
    assert after(rule(cut=True), GOOD) == Outcome(error=ErrorKind.TRUNCATED)
    assert after(rule(delay="1s"), GOOD) is GOOD


@pytest.mark.parametrize(
    ("stated", "first", "last"),
    [
        ({"delay": "1s"}, ["delay"], "body"),
        ({"abort": 503}, ["abort"], "body"),
        ({"delay": "1s", "abort": "dns"}, ["delay", "abort"], "body"),
        ({"delay": "3s", "abort": "dns"}, ["delay"], "body"),
        ({"delay": "1s", "cut": True}, ["delay"], "cut"),
        ({"body": "huge"}, [], "body"),
    ],
)
def test_what_is_said_to_have_been_done(stated, first, last):
    assert list(at_first(rule(**stated), STEP)) == first
    assert at_last(rule(**stated)) == last
